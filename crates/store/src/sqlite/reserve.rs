//! Room on the disk that is kept for the changes that free some.
//!
//! SQLite writes every change into its log first, a removal too: on a disk without a free block it
//! can remove nothing. So a file of some megabytes lies beside the database. A change that adds
//! records or bytes is refused while that file cannot be allocated, or while the disk has little
//! room besides it; a change that removes some may delete the file to get its room.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use rustix::{
    fs::{FallocateFlags, fallocate, statvfs},
    io::Errno,
};

use super::Failure;
use crate::Error;

/// The size of the reserve, in bytes, on a file system of eight times that or more: the log of the
/// changes between two checkpoints fits in several times.
const LARGEST: u64 = 16 << 20;
const SMALLEST: u64 = 1 << 20;

/// The file beside the database.
pub(super) struct Reserve {
    path: PathBuf,
    log: PathBuf,
    folder: PathBuf,
    bytes: u64,
}

impl Reserve {
    /// The reserve of a database. Makes no file yet.
    pub(super) fn of(database: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = OsString::from(database);
            name.push(suffix);
            PathBuf::from(name)
        };
        let folder = match database.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let size = statvfs(&folder).map_or(0, |found| found.f_blocks * found.f_frsize);
        let bytes = if size == 0 { LARGEST } else { (size / 8).clamp(SMALLEST, LARGEST) };
        Self { path: beside("-reserve"), log: beside("-wal"), folder, bytes }
    }

    /// Whether there is room for a change that adds something: on the disk, or in the pages of the
    /// file that are free.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub(super) fn check(&self, connection: &Connection) -> Result<(), Failure> {
        let available = self.available().map_err(Error::backend)?;
        self.hold(available).map_err(|error| full("the reserve cannot be kept", &error))?;
        let available = self.available().map_err(Error::backend)?;
        if available >= self.bytes / 2 {
            return Ok(());
        }
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        let free = u64::from(pragma("freelist_count")?) * u64::from(pragma("page_size")?);
        // Pages that are free in the file are written by way of the log as well.
        let log = fs::metadata(&self.log).map_or(0, |log| log.len());
        if free >= self.bytes / 2 && available + log >= self.bytes / 4 {
            return Ok(());
        }
        let cause = io::Error::from(io::ErrorKind::StorageFull);
        Err(full("only the reserve is left", &cause))
    }

    /// Gives the room to the changes that free some.
    pub(super) fn release(&self) {
        match fs::remove_file(&self.path) {
            Ok(()) => tracing::warn!("the disk is full: the reserve of the database is given up"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the reserve of the database cannot be given up"),
        }
    }

    /// Makes sure that the file lies there. Half of it will do while the disk is nearly full.
    fn hold(&self, available: u64) -> io::Result<()> {
        let held = fs::metadata(&self.path).map_or(0, |file| file.len());
        if held >= self.bytes || (held >= self.bytes / 2 && available < 2 * self.bytes) {
            return Ok(());
        }
        self.allocate(self.bytes).or_else(|_| self.allocate(self.bytes / 2))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        let allocated = match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP) => write_zeros(&file, bytes),
            allocated => Ok(allocated?),
        };
        if allocated.is_err() {
            // What there is of it is no reserve.
            fs::remove_file(&self.path)?;
        }
        allocated
    }

    /// What the disk has left, in bytes. No end of it where the file system does not say.
    fn available(&self) -> io::Result<u64> {
        let found = statvfs(&self.folder)?;
        Ok(if found.f_blocks == 0 { u64::MAX } else { found.f_bavail * found.f_frsize })
    }
}

fn write_zeros(mut file: &File, bytes: u64) -> io::Result<()> {
    const BLOCK: usize = 8 * 1024;
    for _ in 0..bytes.div_ceil(BLOCK as u64) {
        file.write_all(&[0; BLOCK])?;
    }
    file.sync_all()
}

fn full(what: &'static str, cause: &io::Error) -> Failure {
    Error::Full(format!("{what}: {cause}").into()).into()
}
