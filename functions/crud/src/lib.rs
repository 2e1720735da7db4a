//! Manages songs and makes them playable: the routes under `/songs` and `/uploads`, and the jobs
//! behind them.

mod announced;
mod claim;
mod config;
mod given;
mod routes;
mod song_json;
mod uploads;
mod worker;

use std::sync::Arc;

use axum::middleware;
use ingest::Ingest;
use service::{
    Access::{Add, Listen, Manage},
    Dispatch, Routes,
    routes::{get, head, post},
};
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

/// The routes under `/songs` and `/uploads`, over `crud`.
pub fn router(crud: Crud) -> Routes {
    let announced = middleware::from_fn_with_state(Arc::clone(&crud.config), announced::check);
    routes().with_state(crud).layer(announced)
}

/// The routes under `/songs` and `/uploads`, and the access that each needs.
#[must_use]
pub fn routes() -> Routes<Crud> {
    let uploads = Routes::new()
        .collection("/uploads", post(Add, routes::create_upload).options(routes::upload_options))
        .route(
            "/uploads/{id}",
            head(Add, routes::show_upload)
                .patch(Add, routes::append)
                .delete(Add, routes::terminate)
                .post(Add, routes::overridden)
                .options(routes::upload_options),
        )
        .layer(middleware::from_fn(routes::resumable));
    Routes::new()
        .collection("/songs", get(Listen, routes::list).post(Add, routes::add))
        .route(
            "/songs/{id}",
            get(Listen, routes::show)
                .patch(Manage, routes::describe)
                .delete(Manage, routes::remove),
        )
        .route("/songs/{id}/original", get(Listen, routes::original).holding_chunks())
        .route("/songs/{id}/ingest", post(Manage, routes::ingest_again))
        .merge(uploads)
}
