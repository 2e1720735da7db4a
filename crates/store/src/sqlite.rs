//! SQLite: everything in one file, on one machine. Several processes may share it.
//!
//! Space that a removed song leaves is used by the next: the file grows to what was once needed at
//! the same time, and shrinks only by `VACUUM`. A file beside it, `…-reserve`, keeps room for removals
//! on a disk that is full.

mod chunks;
mod claims;
mod reserve;
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
use tokio::{
    sync::{OwnedMutexGuard, Semaphore},
    task,
    time::{sleep, timeout_at},
};

use crate::{Error, Result, checksum::Verifier};
use reserve::Reserve;

/// How long a read or a change may wait altogether: for its turn in this process, and for another
/// process's change. Below the 5 s within which a request is answered.
const WAIT_LIMIT: Duration = Duration::from_secs(4);

/// How long a change pauses before it asks again for the lock that another process has.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Reads at the same time. They wait for no writer, and seldom for the disk.
const READERS: usize = 4;

/// Large pages keep a segment in a few of them, and a read of it in few steps.
const PAGE_BYTES: u32 = 16_384;

/// After how many pages the log is brought into the file: 4 MiB, so that it stays small beside the
/// reserve.
const CHECKPOINT_PAGES: u32 = 256;

/// What makes a file of version `n` one of version `n + 1`. The version is in `user_version`.
const MIGRATIONS: [&str; 3] =
    [include_str!("sqlite/1.sql"), include_str!("sqlite/2.sql"), include_str!("sqlite/3.sql")];

/// What a file that was just made gets besides.
const NEW: &str = include_str!("sqlite/new.sql");

/// A file.
pub(crate) struct Sqlite {
    path: Arc<Path>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    permits: Arc<Semaphore>,
    /// Connections that nobody reads with at the moment.
    readers: Arc<Mutex<Vec<Connection>>>,
    reserve: Arc<Reserve>,
    verifier: Arc<Verifier>,
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

/// What room a change may take on a disk that is nearly full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    /// None of the reserve: the change adds a record or bytes.
    Room,
    /// The reserve too: the change removes some, or ends a step that began while there was room.
    Reserve,
}

impl Sqlite {
    /// Opens a file, and makes it if it is missing. The path may have `//` before it.
    pub(crate) async fn open(path: &str) -> Result<Self> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(Error::Url("sqlite: is followed by the path of a file".to_owned()));
        }
        let path: Arc<Path> = PathBuf::from(path).into();
        let (connection, reserve) = blocking({
            let path = Arc::clone(&path);
            move || {
                let reserve = Reserve::of(&path);
                let connection = match open_writer(&path) {
                    // SQLite needs a file of its own beside the database even to read.
                    Err(failure) if failure.is_full() => {
                        reserve.release();
                        open_writer(&path)?
                    }
                    opened => opened?,
                };
                if let Err(failure) = reserve.check(&connection) {
                    let error = Error::from(failure);
                    tracing::warn!(%error, "songs can be removed, but none added");
                }
                Ok((connection, reserve))
            }
        })
        .await?;
        Ok(Self {
            path,
            writer: Arc::new(Writer { connection, durability: Durability::Now }.into()),
            permits: Arc::new(Semaphore::new(READERS)),
            readers: Arc::default(),
            reserve: Arc::new(reserve),
            verifier: Arc::default(),
        })
    }

    /// Reads, all from one state of the file.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        let until = Instant::now() + WAIT_LIMIT;
        let permit = timeout_at(until.into(), Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(Error::unavailable)?.map_err(Error::backend)?;
        let (path, readers) = (Arc::clone(&self.path), Arc::clone(&self.readers));
        blocking(move || {
            let idle = readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = idle.map_or_else(|| connect(&path, until), Ok)?;
            connection.busy_timeout(until.saturating_duration_since(Instant::now()))?;
            let transaction = connection.transaction()?;
            let done = work(&transaction);
            drop(transaction);
            readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            done
        })
        .await
    }

    /// Makes changes, all or none. `work` is done again where the file is locked or the disk full.
    ///
    /// Changes wait for their turn in the order in which they came, and for other processes, for
    /// [`WAIT_LIMIT`] altogether. One whose caller leaves while it waits gives up its turn, and is
    /// not made.
    async fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        space: Space,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Clone + Send + 'static,
    ) -> Result<T> {
        let until = Instant::now() + WAIT_LIMIT;
        let turn = timeout_at(until.into(), Arc::clone(&self.writer).lock_owned()).await;
        let mut writer = turn.map_err(Error::unavailable)?;
        loop {
            let (work, reserve) = (work.clone(), Arc::clone(&self.reserve));
            let done;
            (writer, done) = blocking(move || {
                let mut writer: OwnedMutexGuard<Writer> = writer;
                let done = writer.write(durability, space, &reserve, work);
                Ok((writer, done))
            })
            .await?;
            match done {
                // Asked again from here, not by SQLite: a wait of its own would outlast its caller.
                Err(failure) if failure.is_busy() && Instant::now() < until => {
                    sleep(LOCK_PAUSE).await;
                }
                done => return Ok(done?),
            }
        }
    }
}

impl Writer {
    fn write<T>(
        &mut self,
        durability: Durability,
        space: Space,
        reserve: &Reserve,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Clone,
    ) -> Result<T, Failure> {
        if space == Space::Room {
            reserve.check(&self.connection)?;
        }
        match self.transact(durability, work.clone()) {
            Err(failure) if failure.is_full() => {}
            done => return done,
        }
        if space == Space::Reserve {
            reserve.release();
        }
        // Moves the pages of the log into the file, and gives the log's room back to the disk. If it
        // cannot, the change below fails and says why.
        let _ = self.connection.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.transact(durability, work)
    }

    fn transact<T>(
        &mut self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.durability != durability {
            let synchronous = if durability == Durability::Now { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", synchronous)?;
            self.durability = durability;
        }
        // Immediate: a transaction that begins by reading cannot wait for its turn to write.
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

fn open_writer(path: &Path) -> Result<Connection, Failure> {
    let mut connection = connect(path, Instant::now() + WAIT_LIMIT)?;
    migrate(&mut connection, path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    // Changes wait by themselves.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

fn connect(path: &Path, until: Instant) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(until.saturating_duration_since(Instant::now()))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Of effect on a file that is still empty.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // Two processes that make one file at the same moment are not made to wait for each other.
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
    if schema == 0 {
        transaction.execute_batch(NEW)?;
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

impl Failure {
    /// Whether another process has the file.
    fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    /// Whether the disk is full, or the quota.
    fn is_full(&self) -> bool {
        /// What SQLite says where a quota is used up, and of the file that processes share.
        const UNWRITABLE: [i32; 2] =
            [rusqlite::ffi::SQLITE_IOERR_WRITE, rusqlite::ffi::SQLITE_IOERR_SHMSIZE];
        let Self::Sqlite(error) = self else { return false };
        error.sqlite_error_code() == Some(ErrorCode::DiskFull)
            || error.sqlite_error().is_some_and(|error| UNWRITABLE.contains(&error.extended_code))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let (is_busy, is_full) = (failure.is_busy(), failure.is_full());
        match failure {
            Failure::Sqlite(error) if is_busy => Self::unavailable(error),
            Failure::Sqlite(error) if is_full => Self::Full(error.into()),
            Failure::Sqlite(error) => Self::backend(error),
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
