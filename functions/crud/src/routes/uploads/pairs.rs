//! The form of `Upload-Metadata` (tus 1.0.0, Creation): pairs of a key and a value in base64.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};

/// Reads the header's value: keys, of which none is there twice, and what their values stand for.
///
/// # Errors
/// What is wrong with it, for whoever sent it.
pub(super) fn pairs(header: &str) -> Result<Vec<(&str, Vec<u8>)>, String> {
    if header.trim().is_empty() {
        return Ok(Vec::new());
    }
    let (mut pairs, mut seen) = (Vec::new(), BTreeSet::new());
    for pair in header.split(',').map(str::trim) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a key must be visible ASCII characters".to_owned());
        }
        if !seen.insert(key) {
            return Err(format!("{key} is there twice"));
        }
        let value = BASE64_STANDARD
            .decode(value.trim())
            .map_err(|error| format!("the value of {key} is not base64: {error}"))?;
        pairs.push((key, value));
    }
    Ok(pairs)
}
