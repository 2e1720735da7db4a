//! Links what is deployed at a fixed address: the table of what a loader would have to move takes
//! 1.3 MB, and its time at every cold start. Libraries, heap and stack stay where chance puts them.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|actual| actual == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
