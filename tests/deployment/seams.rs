//! Who may depend on whom, as `cargo tree` tells it.

use std::{collections::BTreeSet, env, process::Command};

use black_box::binary::root;

/// Every crate that is linked into `package` as it is built with `arguments`.
fn dependencies(package: &str, arguments: &[&str]) -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none"])
        .args(["--format={p}", "--package", package])
        .args(arguments)
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).filter(|name| name != package && !name.is_empty()).collect()
}

fn assert_without(package: &str, forbidden: &[&str]) {
    let found = dependencies(package, &[]);
    for name in forbidden {
        assert!(!found.contains(*name), "{package} must not depend on {name}");
    }
}

#[test]
fn the_gate_sees_what_is_there() {
    assert!(dependencies("crud", &[]).contains("ingest"));
    assert!(dependencies("crud", &["--features=sqlite"]).contains("rusqlite"));
}

#[test]
fn streaming_does_not_link_what_makes_songs() {
    assert_without("streaming", &["ingest", "crud", "tags", "command-fds"]);
}

#[test]
fn packaging_and_storing_do_not_know_each_other() {
    assert_without("hls", &["store", "ingest", "service", "mongodb"]);
    assert_without("store", &["hls", "ingest", "service", "axum"]);
}

#[test]
fn rules_and_packaging_do_no_io() {
    for package in ["music", "hls", "tags"] {
        assert_without(
            package,
            &["tokio", "mio", "hyper", "axum", "mongodb", "rusqlite", "tempfile", "rustix"],
        );
    }
}

#[test]
fn the_reader_of_tags_knows_no_other_crate_of_ours() {
    let ours = ["music", "hls", "store", "ingest", "service", "crud", "streaming", "gateway"];
    assert_without("tags", &ours);
    assert!(dependencies("ingest", &[]).contains("tags"));
}

#[test]
fn what_both_functions_share_knows_neither() {
    assert_without("service", &["crud", "streaming", "gateway", "hls", "ingest"]);
}

#[test]
fn deployed_functions_leave_the_embedded_database_out() {
    for package in ["crud", "streaming"] {
        assert_without(package, &["rusqlite", "libsqlite3-sys", "proptest"]);
    }
}
