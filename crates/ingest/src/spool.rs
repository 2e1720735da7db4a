//! A file on its way in, on disk in a directory of its own for as long as it is worked on.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _};

use crate::{
    Error, Rejection, Result,
    workplace::{Directory, Workplace},
};

/// A file in a directory of its own, which goes when this does.
#[derive(Debug)]
pub struct Spool {
    directory: Directory,
    bytes: u64,
    sha256: String,
    // The directory is in it.
    _workplace: Arc<Workplace>,
}

impl Spool {
    /// The size of the file, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of the file, in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Where ffmpeg works on it.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.file()
    }
}

/// A [`Spool`] that is still being written.
pub(crate) struct SpoolWriter {
    workplace: Arc<Workplace>,
    directory: Directory,
    file: File,
    hash: Sha256,
    bytes: u64,
    limit: u64,
}

impl SpoolWriter {
    /// Begins a file of at most `limit` bytes.
    pub(crate) async fn new(workplace: &Arc<Workplace>, limit: u64) -> Result<Self> {
        let directory = workplace.job().map_err(|error| Error::io("make a directory", error))?;
        let file = File::create_new(directory.file())
            .await
            .map_err(|error| Error::io("make a file", error))?;
        let workplace = Arc::clone(workplace);
        Ok(Self { workplace, directory, file, hash: Sha256::new(), bytes: 0, limit })
    }

    /// How many bytes there are so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what comes next.
    pub(crate) async fn write(&mut self, bytes: &Bytes) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(Rejection::TooLarge { limit: self.limit }.into());
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).await.map_err(|error| Error::io("write a file", error))
    }

    /// Ends the file.
    pub(crate) async fn finish(mut self) -> Result<Spool> {
        self.file.flush().await.map_err(|error| Error::io("write a file", error))?;
        let sha256 = hexadecimal(&self.hash.finalize());
        Ok(Spool {
            directory: self.directory,
            bytes: self.bytes,
            sha256,
            _workplace: self.workplace,
        })
    }
}

/// Bytes as they are read, in lower-case hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
