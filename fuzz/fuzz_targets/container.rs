//! Whatever a file begins with, it is told what it is in, or that it is in nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((_, offset)) = fuzz::recognise(bytes) {
        assert!(offset < bytes.len() as u64);
    }
});
