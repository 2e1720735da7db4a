//! Whatever an encoder may write in place of fragments: samples or an error, never a panic.
#![no_main]

use bytes::BytesMut;
use hls::FragmentReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let (mut reader, mut buffer, mut read) = (FragmentReader::new(), BytesMut::new(), 0);
    for piece in bytes.chunks(usize::from(cut) + 1) {
        buffer.extend_from_slice(piece);
        loop {
            match reader.next_sample(&mut buffer) {
                Ok(Some(sample)) => read += sample.bytes.len(),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(read <= bytes.len());
    let _ = reader.finish(&buffer);
});
