//! The programs under test.

use std::{
    collections::HashMap,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program of ours: one of `crud`, `streaming` and `gateway`.
///
/// That of the folder in `BLACK_BOX_BINARIES`, laid out as `sam build` does, if that is set; else
/// built from the sources as they are now, once in a process.
///
/// # Panics
/// If it cannot be built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    if let Some(folder) = env::var_os("BLACK_BOX_BINARIES").filter(|_| name != "gateway") {
        let function = if name == "crud" { "CrudFunction" } else { "StreamingFunction" };
        let file = root().join(folder).join(function).join("bootstrap");
        assert!(file.is_file(), "there is no {}: run `make build` first", file.display());
        return file;
    }
    BUILT.get_or_init(build).get(name).unwrap_or_else(|| panic!("cargo built no {name}")).clone()
}

fn build() -> HashMap<String, PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--bins", "--message-format=json"]);
    if cfg!(debug_assertions) {
        // The selection that `make test` builds: any other would build the dependencies anew.
        cargo.args(["--workspace", "--all-features"]);
    } else {
        // For a measurement: optimised, and with what is deployed.
        cargo.args(["--release", "--package=crud", "--package=streaming"]);
    }
    // What cargo tells a test of its own package would make build scripts run again.
    for (name, _) in env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "the programs under test cannot be built");
    let mut programs = HashMap::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
        if let (Some(file), Some(name)) =
            (message["executable"].as_str(), message["target"]["name"].as_str())
        {
            programs.insert(name.to_owned(), PathBuf::from(file));
        }
    }
    programs
}
