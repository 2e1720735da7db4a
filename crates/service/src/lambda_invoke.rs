//! Jobs on Lambda: the function invokes itself, asynchronously, and so has its whole time for them.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_lambda::{Client, primitives::Blob, types::InvocationType};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{Dispatch, DispatchError, local_queue::LocalQueue};

/// The ARN by which this process was called last, with the alias, if the caller named one.
///
/// A process is one function and has one event at a time; what it hands over may come from a task
/// that the event started, or from a sweep.
static CALLED_AS: Mutex<String> = Mutex::new(String::new());

/// Notes by which ARN an event came.
pub(crate) fn called_as(arn: &str) {
    arn.clone_into(&mut CALLED_AS.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Hands jobs to the function that is being invoked, as it is being invoked: by the same alias, so
/// that the alias's retries and its queue of failures apply.
pub(crate) struct LambdaInvoke {
    /// Made for the first job: most cold starts never see one.
    client: OnceCell<Client>,
    /// Where nobody can be invoked.
    here: LocalQueue,
}

impl LambdaInvoke {
    pub(crate) fn new(here: LocalQueue) -> Self {
        Self { client: OnceCell::new(), here }
    }
}

#[async_trait]
impl Dispatch for LambdaInvoke {
    async fn submit(&self, job: Value) -> Result<(), DispatchError> {
        let function = CALLED_AS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // `cargo lambda watch` names no function, and would keep this request waiting for the job.
        // It does not freeze a process between two events either: the job is done here.
        if !function.starts_with("arn:") {
            tracing::info!(function, "nobody can be invoked by that name: the job is done here");
            return self.here.submit(job).await;
        }
        let client = self.client.get_or_init(connect).await;
        client
            .invoke()
            .function_name(function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(json!({ "segue_job": job }).to_string()))
            .send()
            .await
            .map_err(|error| DispatchError::Platform(error.into()))?;
        Ok(())
    }
}

async fn connect() -> Client {
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest()).load().await;
    Client::new(&config)
}
