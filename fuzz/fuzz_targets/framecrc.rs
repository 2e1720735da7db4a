//! What ffmpeg writes adds up the same however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let whole = fuzz::framecrc([bytes]);
    let pieces = fuzz::framecrc(bytes.chunks(usize::from(cut).max(1)));
    assert_eq!((whole.0, whole.1), (pieces.0, pieces.1));
    assert!(whole.2 == pieces.2 || whole.2.is_nan() && pieces.2.is_nan());
});
