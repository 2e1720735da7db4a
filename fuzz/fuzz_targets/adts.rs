//! Frames come out of any bytes, or an error, and never more bytes than went in.
#![no_main]

use bytes::BytesMut;
use hls::AdtsReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let (mut reader, mut buffer, mut taken) = (AdtsReader::new(), BytesMut::new(), 0);
    for piece in bytes.chunks(usize::from(cut) + 1) {
        buffer.extend_from_slice(piece);
        loop {
            match reader.next_frame(&mut buffer) {
                Ok(Some(frame)) => taken += frame.len(),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(taken + buffer.len() <= bytes.len());
    let _ = reader.finish(&buffer);
});
