//! Manages songs and makes them playable: the routes under `/songs` and `/uploads`, and the jobs
//! behind them.

mod claim;
mod config;
mod given;
mod routes;
mod song_json;
mod uploads;
mod worker;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{MethodRouter, get, head, post},
};
use ingest::Ingest;
use service::Dispatch;
use store::Store;
use tokio::sync::Semaphore;

use uploads::Uploads;

pub use config::Config;
pub use worker::Worker;

/// What the routes work with.
#[derive(Clone)]
pub struct Crud {
    store: Arc<dyn Store>,
    ingest: Ingest,
    uploads: Uploads,
    /// Who performs what is answered with 202.
    dispatch: Arc<dyn Dispatch>,
    /// How many songs are encoded at a time in this process, whoever waits for them.
    encoding: Arc<Semaphore>,
    /// How many requests may hold a received song at a time.
    receiving: Arc<Semaphore>,
    config: Arc<Config>,
}

impl Crud {
    /// The function and its worker, over `store`.
    pub fn new(
        store: Arc<dyn Store>,
        config: Config,
    ) -> Result<(Self, Arc<Worker>), ingest::Error> {
        let ingest = Ingest::new(Arc::clone(&store), config.ingest.clone())?;
        let encoding = Arc::new(Semaphore::new(config.ingest_concurrency));
        let uploads = Uploads::new(
            Arc::clone(&store),
            ingest.clone(),
            config.upload_expiry,
            config.max_open_uploads,
        );
        let worker = Arc::new(Worker::new(
            Arc::clone(&store),
            ingest.clone(),
            uploads.clone(),
            Arc::clone(&encoding),
        ));
        let dispatch = service::dispatch(worker.clone(), config.queue_length, &config.http);
        worker.hand_over_to(Arc::clone(&dispatch));
        let receiving = Arc::new(Semaphore::new(config.ingest_concurrency + config.queue_length));
        let config = Arc::new(config);
        let crud = Self { store, ingest, uploads, dispatch, encoding, receiving, config };
        Ok((crud, worker))
    }

    /// Logs a warning if ffmpeg is not there or does not run, while the process goes on to start:
    /// what there is can be played without. Not on Lambda, where a layer brings ffmpeg and every
    /// start is waited for.
    pub fn check_ffmpeg(&self) {
        if self.config.http.on_lambda {
            return;
        }
        let ingest = self.ingest.clone();
        tokio::spawn(async move {
            if let Err(error) = ingest.check_ffmpeg().await {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "no song can be added: set FFMPEG to a working ffmpeg");
            }
        });
    }
}

/// The routes under `/songs` and `/uploads`.
pub fn router(crud: Crud) -> Router {
    let uploads =
        collection("/uploads", &post(routes::create_upload).options(routes::upload_options))
            .route(
                "/uploads/{id}",
                head(routes::show_upload)
                    .patch(routes::append)
                    .delete(routes::terminate)
                    .post(routes::overridden)
                    .options(routes::upload_options),
            )
            .layer(middleware::from_fn(routes::resumable));
    collection("/songs", &get(routes::list).post(routes::add))
        .route("/songs/{id}", get(routes::show).patch(routes::describe).delete(routes::remove))
        .route("/songs/{id}/original", get(routes::original))
        .route("/songs/{id}/ingest", post(routes::ingest_again))
        .merge(uploads)
        .with_state(crud)
}

/// The routes of a collection, with and without a slash at the end: clients put together their URLs
/// in either way, and a redirect would lose the body of what they send.
fn collection(path: &str, methods: &MethodRouter<Crud>) -> Router<Crud> {
    Router::new().route(path, methods.clone()).route(&format!("{path}/"), methods.clone())
}
