//! Checksums of chunks: whether their bytes are still those that were written.

use std::sync::atomic::{AtomicU64, Ordering};

use crc32fast::Hasher;

use crate::{Error, Result};

/// The CRC-32 (ISO 3309) of a chunk's key and its bytes: bytes that come under another chunk's key
/// are as wrong as changed ones.
pub(crate) fn checksum(key: &str, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Compares chunks with their checksums, and counts those that have changed.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    corrupt: AtomicU64,
}

impl Verifier {
    /// Checks a chunk that was written with a checksum; nothing of one that has none.
    ///
    /// # Errors
    /// [`Error::Corrupt`], which is logged with how many there have been since the store was opened.
    pub(crate) fn verify(&self, key: &str, bytes: &[u8], written: Option<i64>) -> Result<()> {
        if written.is_none_or(|written| written == i64::from(checksum(key, bytes))) {
            return Ok(());
        }
        let corrupt_chunks = self.corrupt.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(chunk = key, corrupt_chunks, "a chunk is not as it was written");
        Err(Error::Corrupt { chunk: key.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_that_of_the_standard() {
        // The check value of CRC-32/ISO-HDLC: databases outlive the library that computes it.
        assert_eq!(checksum("1234", b"56789"), 0xcbf4_3926);
    }

    #[test]
    fn every_changed_chunk_is_counted() {
        let verifier = Verifier::default();
        let written = Some(i64::from(checksum("key", b"bytes")));
        assert!(verifier.verify("key", b"bytes", written).is_ok());
        assert!(verifier.verify("key", b"bytez", None).is_ok());
        for (key, bytes) in [("key", "bytez"), ("kez", "bytes"), ("key", "byte"), ("key", "")] {
            let changed = verifier.verify(key, bytes.as_bytes(), written);
            assert!(matches!(changed, Err(Error::Corrupt { chunk }) if chunk == key));
        }
        assert!(verifier.verify("key", b"bytes", Some(-1)).is_err());
        assert_eq!(verifier.corrupt.into_inner(), 5);
    }
}
