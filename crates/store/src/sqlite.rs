//! SQLite: everything in one file, on one machine. Several processes may share it.
//!
//! Space that a removed song leaves is used by the next: the file grows to what was once needed at
//! the same time, and shrinks only by `VACUUM`.

mod chunks;
mod claims;
mod search;
mod songs;
mod uploads;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use tokio::{sync::Semaphore, task};

use crate::{Error, Result};

/// How long one process waits for another's change, below the 5 s within which a request is
/// answered.
const BUSY_LIMIT: Duration = Duration::from_secs(4);

/// Reads at the same time. They wait for no writer, and seldom for the disk.
const READERS: usize = 4;

/// Large pages keep a segment in a few of them, and a read of it in few steps.
const PAGE_BYTES: u32 = 16_384;

/// What makes a file of version `n` one of version `n + 1`. The version is in `user_version`.
const MIGRATIONS: [&str; 2] = [include_str!("sqlite/1.sql"), include_str!("sqlite/2.sql")];

/// A file.
pub(crate) struct Sqlite {
    path: Arc<Path>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    permits: Arc<Semaphore>,
    /// Connections that nobody reads with at the moment.
    readers: Arc<Mutex<Vec<Connection>>>,
}

/// The one connection that changes the file: in one process, whoever comes first is served first.
struct Writer {
    connection: Connection,
    durability: Durability,
}

/// When a change is certain to survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// As soon as it is made.
    Now,
    /// As soon as any later change of kind [`Now`](Self::Now) is made. There is one log: bringing
    /// its end to the disk brings all of it.
    WithNext,
}

impl Sqlite {
    /// Opens a file, and makes it if it is missing. The path may have `//` before it.
    pub(crate) async fn open(path: &str) -> Result<Self> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(Error::Url("sqlite: is followed by the path of a file".to_owned()));
        }
        let path: Arc<Path> = PathBuf::from(path).into();
        let connection = blocking({
            let path = Arc::clone(&path);
            move || {
                let mut connection = connect(&path)?;
                migrate(&mut connection, &path)?;
                connection.pragma_update(None, "synchronous", "FULL")?;
                Ok(connection)
            }
        })
        .await?;
        Ok(Self {
            path,
            writer: Arc::new(Writer { connection, durability: Durability::Now }.into()),
            permits: Arc::new(Semaphore::new(READERS)),
            readers: Arc::default(),
        })
    }

    /// Reads, all from one state of the file.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(Error::backend)?;
        let (path, readers) = (Arc::clone(&self.path), Arc::clone(&self.readers));
        blocking(move || {
            let idle = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = idle.map_or_else(|| connect(&path), Ok)?;
            let transaction = connection.transaction()?;
            let done = work(&transaction);
            drop(transaction);
            readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            done
        })
        .await
    }

    /// Makes changes, all or none.
    async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        blocking(move || {
            if writer.durability != durability {
                let synchronous = if durability == Durability::Now { "FULL" } else { "NORMAL" };
                writer.connection.pragma_update(None, "synchronous", synchronous)?;
                writer.durability = durability;
            }
            // Immediate: a transaction that begins by reading cannot wait for its turn to write.
            let transaction =
                writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }
}

fn connect(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Of effect on a file that is still empty.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // Two processes that make one file at the same moment are not made to wait for each other.
    let until = Instant::now() + BUSY_LIMIT;
    while let Err(error) = connection.pragma_update(None, "journal_mode", "WAL") {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) || Instant::now() > until {
            return Err(error.into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    // What one large removal needed does not stay for ever.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    if version(connection)? == count(MIGRATIONS.len()) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let schema = version(&transaction)?;
    let Some(missing) = usize::try_from(schema).ok().and_then(|done| MIGRATIONS.get(done..)) else {
        return Err(Error::NewerSchema { document: format!("{}", path.display()), schema }.into());
    };
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", count(MIGRATIONS.len()))?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T> {
    match task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Error::from),
        Err(panicked) => Err(Error::backend(panicked)),
    }
}

/// What goes wrong while the file is worked on.
enum Failure {
    Sqlite(rusqlite::Error),
    Json(serde_json::Error),
    Store(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                    Self::unavailable(error)
                }
                _ => Self::backend(error),
            },
            Failure::Json(error) => Self::backend(error),
            Failure::Store(error) => error,
        }
    }
}

/// Refuses what a newer program wrote.
fn check(schema: i64, document: impl FnOnce() -> String) -> Result<(), Failure> {
    if schema > i64::from(crate::SCHEMA) {
        return Err(Error::NewerSchema { document: document(), schema }.into());
    }
    Ok(())
}

/// A number of rows, as SQLite counts.
fn count(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
