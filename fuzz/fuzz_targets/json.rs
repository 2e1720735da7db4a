//! A body that calls itself JSON is a song or is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = crud::is_song(bytes);
});
