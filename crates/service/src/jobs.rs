//! Work that outlives the request it came with.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::{HttpConfig, lambda_invoke::LambdaInvoke, local_queue::LocalQueue};

/// Any error, for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a function does besides answering requests.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Does a job that [`Dispatch::submit`] took earlier, perhaps in another process, perhaps for
    /// the second time: a platform may deliver one more than once.
    async fn perform(&self, job: Value) -> Result<(), BoxError>;

    /// Tidies up after crashes, as much as can be done in a few minutes. Called now and then. Returns
    /// whether all there is was looked at.
    async fn sweep(&self) -> Result<bool, BoxError>;

    /// Hands over what was refused for want of a place, now that one is free.
    async fn catch_up(&self) {}
}

/// Nothing besides answering requests.
#[derive(Debug, Clone, Copy)]
pub struct NoJobs;

#[async_trait]
impl Jobs for NoJobs {
    async fn perform(&self, _: Value) -> Result<(), BoxError> {
        Err("this function has no jobs".into())
    }

    async fn sweep(&self) -> Result<bool, BoxError> {
        Ok(true)
    }
}

/// Why a job was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// There are enough already; trying again later may help.
    #[error("too many jobs are waiting")]
    Full,
    /// The platform did not take it.
    #[error("the platform did not take the job")]
    Platform(#[source] BoxError),
}

/// Hands a job to whoever will perform it.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Takes a job, without waiting for it to be done.
    async fn submit(&self, job: Value) -> Result<(), DispatchError>;
}

/// Whoever performs jobs where the process runs: on Lambda an invocation of their own; elsewhere,
/// and under what only looks like Lambda, `jobs`, which then hold `queue_length` at the most.
#[must_use]
pub fn dispatch(
    jobs: Arc<dyn Jobs>,
    queue_length: usize,
    config: &HttpConfig,
) -> Arc<dyn Dispatch> {
    let here = LocalQueue::new(jobs, queue_length);
    if config.on_lambda { Arc::new(LambdaInvoke::new(here)) } else { Arc::new(here) }
}
