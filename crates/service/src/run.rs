//! Serves an app on whatever platform the process finds itself on.

use std::{env, sync::Arc};

use axum::Router;
use store::Store;
use tokio::runtime::Builder;

use crate::{BoxError, HttpConfig, Jobs, http, lambda};

/// Runs `main` to its end, on as many threads as the platform has work for.
///
/// Lambda gives a process one event at a time: with one thread, nothing waits for another to wake.
pub fn block_on(main: impl Future<Output = Result<(), BoxError>>) -> Result<(), BoxError> {
    let mut builder = if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder.enable_all().build()?.block_on(main)
}

/// Serves `app`, made by [`app`](crate::app()), and performs `jobs`, until the platform ends it.
///
/// On Lambda where `AWS_LAMBDA_RUNTIME_API` is set; elsewhere as [`serve`](crate::serve) does.
pub async fn run(
    app: Router,
    jobs: Arc<dyn Jobs>,
    store: Arc<dyn Store>,
    config: &HttpConfig,
) -> Result<(), BoxError> {
    if config.on_lambda {
        lambda::run(app, jobs, config).await
    } else {
        http::serve(http::bind(config).await?, app, jobs, store, config).await
    }
}
