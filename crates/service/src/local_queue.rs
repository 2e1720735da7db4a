//! Jobs where the process stays: it does them itself.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{Dispatch, DispatchError, Jobs, problem::chain};

/// Performs jobs in this process, at once as far as the queue is concerned, so many at the most.
pub(crate) struct LocalQueue {
    jobs: Arc<dyn Jobs>,
    places: Arc<Semaphore>,
}

impl LocalQueue {
    /// A queue that holds at most `length` jobs, those under way included.
    pub(crate) fn new(jobs: Arc<dyn Jobs>, length: usize) -> Self {
        Self { jobs, places: Arc::new(Semaphore::new(length)) }
    }
}

#[async_trait]
impl Dispatch for LocalQueue {
    async fn submit(&self, job: Value) -> Result<(), DispatchError> {
        let place =
            Arc::clone(&self.places).try_acquire_owned().map_err(|_| DispatchError::Full)?;
        let jobs = Arc::clone(&self.jobs);
        tokio::spawn(async move {
            if let Err(error) = jobs.perform(job).await {
                tracing::error!(error = chain(error.as_ref()), "job failed");
            }
            drop(place);
            jobs.catch_up().await;
        });
        Ok(())
    }
}
