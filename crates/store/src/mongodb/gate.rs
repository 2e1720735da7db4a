//! The one way to the driver: no more commands at once than its pool has connections.
//!
//! The driver's pool (mongodb 3.9.1, `cmap/worker.rs`) serves at most one waiting command for each
//! event that it sees. A command whose future was dropped while it waited stays in the pool's queue
//! and uses up an event. After a few hundred dropped commands each new command wakes the pool for a
//! dropped one, times out, and so becomes another. Therefore:
//!
//! - A command takes a permit before it reaches the driver. There are as many permits as a server's
//!   pool has connections, so commands wait for permits, first come first served, and a future that
//!   is dropped while it waits leaves the queue.
//! - A command that has a permit runs in a task of its own, to its end. A client that leaves does
//!   not interrupt it, so its connection goes back to the pool and is not closed.
//! - A command that takes too long is reported to its caller, but stays in its task for [`LINGER`]
//!   more before its future is dropped. By then it no longer waits for a connection: it has one, and
//!   dropping the future closes that, or the driver has noticed that the server is gone and has
//!   ended the command.
//!
//! One permit covers one closure. Its commands follow each other, so that they never use two
//! connections at once, and its time limit covers all of them.

mod connection;

use std::{future::Future, sync::Arc, time::Duration};

use mongodb::options::ConnectionString;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

pub(super) use self::connection::Collections;
use self::connection::Connection;
#[cfg(doc)]
use self::connection::{CONNECT_LIMIT, HEARTBEAT};
use super::{
    clock::LocalClock,
    failure,
    members::{Member, Members},
};
use crate::{Error, Result};

/// How long a closure may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// The longest wait for a permit. It is below `total`, so that a command which gets its permit
    /// late still has time.
    wait: Duration,
    /// The longest time from the call to its result, the wait included.
    total: Duration,
}

/// A request is answered within 5 s, whatever the server does. The driver has no socket timeout, so
/// it does not end a read from a server that has stopped.
const READ: Limits = Limits { wait: Duration::from_secs(3), total: READ_LIMIT };

/// The longest time that a read takes.
pub(super) const READ_LIMIT: Duration = Duration::from_millis(4_500);

/// Together with the collections that the first change makes, still below the 29 s that an API
/// gateway waits. Changes wait longer for a permit than reads: an encoder stores segments while
/// listeners ask for theirs.
const WRITE: Limits = Limits { wait: Duration::from_secs(8), total: Duration::from_secs(12) };

/// How long a command may go on after its caller was told that it takes too long. With it, even a
/// read lasts longer than the driver needs to notice that a server has stopped: a wait of
/// [`HEARTBEAT`], then a check that fails after [`HEARTBEAT`] and [`CONNECT_LIMIT`].
const LINGER: Duration = Duration::from_millis(3_500);

/// See the module.
pub(super) struct Gate {
    connection: Arc<Connection>,
    members: Arc<Members>,
    /// Permits for commands to the primary.
    primary: Arc<Semaphore>,
    /// Permits for commands to secondaries, so that commands which wait for a frozen primary do not
    /// keep these waiting. The driver has a pool for each server.
    secondaries: Arc<Semaphore>,
}

/// Every connection was in use for too long.
#[derive(Debug, thiserror::Error)]
#[error("every connection to the database was in use for {} s", .0.as_secs())]
struct Overload(Duration);

impl Gate {
    /// Nothing goes over the network before the first use, not even a name's resolution.
    pub(super) fn new(address: ConnectionString, clock: LocalClock) -> Self {
        let members = Arc::new(Members::default());
        let connection = Connection::new(address, Arc::clone(&members), clock);
        let pool = usize::try_from(connection.pool()).unwrap_or(usize::MAX);
        let permits = pool.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            connection: Arc::new(connection),
            members,
            primary: Arc::new(Semaphore::new(permits)),
            secondaries: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Runs a read at the primary.
    pub(super) async fn read<T, F>(
        &self,
        commands: impl FnOnce(Arc<Collections>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        self.read_at(Member::Primary, commands).await
    }

    /// Runs a read at a member.
    pub(super) async fn read_at<T, F>(
        &self,
        member: Member,
        commands: impl FnOnce(Arc<Collections>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        self.run(member, READ, commands).await
    }

    /// Runs a change. Where it fails as unavailable, it may or may not have taken effect.
    pub(super) async fn write<T, F>(
        &self,
        commands: impl FnOnce(Arc<Collections>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        self.run(Member::Primary, WRITE, commands).await
    }

    async fn run<T, F>(
        &self,
        member: Member,
        limits: Limits,
        commands: impl FnOnce(Arc<Collections>) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = mongodb::error::Result<T>> + Send + 'static,
    {
        let end = Instant::now() + limits.total;
        let permit = self.permit(member, limits.wait).await?;
        let connection = Arc::clone(&self.connection);
        let task = tokio::spawn(async move {
            let commands = async { commands(connection.collections().await?).await };
            let done = timeout_at(end + LINGER, commands).await;
            // After the future is gone, and with it the connection that it had.
            drop(permit);
            done
        });
        match timeout_at(end, task).await {
            Ok(Ok(Ok(done))) => done.map_err(failure),
            Ok(Ok(Err(elapsed))) | Err(elapsed) => Err(Error::unavailable(elapsed)),
            Ok(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(cancelled) => Err(Error::unavailable(cancelled)),
            },
        }
    }

    async fn permit(&self, member: Member, wait: Duration) -> Result<OwnedSemaphorePermit> {
        let permits = match member {
            Member::Primary => &self.primary,
            Member::Secondary => &self.secondaries,
        };
        // Saves the timer; a permit is only there if no command waits for it.
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Ok(permit);
        }
        match timeout(wait, Arc::clone(permits).acquire_owned()).await {
            Ok(permit) => permit.map_err(Error::unavailable),
            Err(_) => Err(Error::unavailable(Overload(wait))),
        }
    }

    /// Reads bytes that never change once they are written, from whichever member answers.
    pub(super) async fn read_immutable<T, F>(&self, read: impl Fn(Member) -> F) -> Result<Option<T>>
    where
        F: Future<Output = Result<Option<T>>>,
    {
        self.members.read(READ.total, read).await
    }
}
