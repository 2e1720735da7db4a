//! The pairs of an `Upload-Metadata` are the same when they are written out and read again.
#![no_main]

use base64::{Engine, prelude::BASE64_STANDARD};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &str| {
    let Some(pairs) = fuzz::pairs(header) else { return };
    let written: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{key} {}", BASE64_STANDARD.encode(value)))
        .collect();
    assert_eq!(fuzz::pairs(&written.join(",")), Some(pairs));
});
