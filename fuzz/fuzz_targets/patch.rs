//! A merge patch describes a song, or is refused; what it describes is described by itself again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use music::Patch;
use serde_json::{Map, Value};

fuzz_target!(|bytes: &[u8]| {
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    let Ok(patch) = serde_json::from_value::<Patch>(Value::Object(fields)) else { return };
    let Ok(description) = patch.clone().describe() else { return };
    assert_eq!(patch.apply(description.clone()).as_ref(), Ok(&description));
});
