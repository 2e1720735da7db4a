//! Serves an app on whatever platform the process finds itself on.

use std::sync::Arc;

use axum::Router;
use store::Store;

use crate::{BoxError, HttpConfig, Jobs, http, lambda};

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
        http::serve(http::bind(config).await?, app, jobs, store).await
    }
}
