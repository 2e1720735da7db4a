//! Writes chunks while whoever makes them goes on, so many at a time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use store::{ChunkKey, Store};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
};

use crate::{Result, patience::patiently};

/// Chunks on their way into the store. All that can be held in memory are as many as may be under
/// way.
pub(crate) struct Uploads {
    store: Arc<dyn Store>,
    patience: Duration,
    places: Arc<Semaphore>,
    tasks: Mutex<JoinSet<store::Result<()>>>,
}

impl Uploads {
    /// Nothing under way yet, and never more than `at_once` chunks.
    pub(crate) fn new(store: Arc<dyn Store>, patience: Duration, at_once: usize) -> Self {
        let places = Arc::new(Semaphore::new(at_once));
        Self { store, patience, places, tasks: Mutex::default() }
    }

    /// Begins to write a chunk, once there is a place for it.
    ///
    /// # Errors
    /// That of a chunk begun earlier.
    pub(crate) async fn put(&self, key: ChunkKey, bytes: Bytes) -> Result<()> {
        // Never closed, so there always is a place at last.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (store, patience) = (Arc::clone(&self.store), self.patience);
        let mut tasks = self.tasks.lock().await;
        while let Some(done) = tasks.try_join_next() {
            settle(done)?;
        }
        tasks.spawn(async move {
            let _place = place;
            patiently(patience, || store.put(&key, bytes.clone())).await
        });
        Ok(())
    }

    /// Waits for all that is under way, also where some of it fails: what has not ended could still
    /// write after its song is gone.
    ///
    /// # Errors
    /// The first one.
    pub(crate) async fn finish(&self) -> Result<()> {
        let mut tasks = self.tasks.lock().await;
        let mut outcome = Ok(());
        while let Some(done) = tasks.join_next().await {
            outcome = outcome.and(settle(done));
        }
        outcome
    }
}

fn settle(done: Result<store::Result<()>, tokio::task::JoinError>) -> Result<()> {
    match done {
        Ok(outcome) => Ok(outcome?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the runtime's own end cancels them.
            Err(error) => Err(store::Error::Unavailable(error.into()).into()),
        },
    }
}
