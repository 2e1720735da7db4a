//! Manages songs and makes them playable: the routes under `/songs`, and the jobs behind them.

mod config;
mod routes;
mod song_json;
mod worker;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use ingest::Ingest;
use service::Dispatch;
use store::Store;
use tokio::sync::Semaphore;

pub use config::Config;
pub use worker::Worker;

/// What the routes work with.
#[derive(Clone)]
pub struct Crud {
    store: Arc<dyn Store>,
    ingest: Ingest,
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
        let worker = Arc::new(Worker::new(ingest.clone(), Arc::clone(&encoding)));
        let dispatch = service::dispatch(worker.clone(), config.queue_length, &config.http);
        let receiving = Arc::new(Semaphore::new(config.ingest_concurrency + config.queue_length));
        let config = Arc::new(config);
        Ok((Self { store, ingest, dispatch, encoding, receiving, config }, worker))
    }
}

/// The routes under `/songs`.
pub fn router(crud: Crud) -> Router {
    Router::new()
        .route("/songs", get(routes::list).post(routes::add))
        .route("/songs/{id}", get(routes::show).patch(routes::describe).delete(routes::remove))
        .route("/songs/{id}/original", get(routes::original))
        .route("/songs/{id}/ingest", post(routes::ingest_again))
        .with_state(crud)
}
