//! Serves HTTP Live Streaming and DASH out of the store: playlists rendered from a song's timeline, and
//! segments as they were packaged.
//!
//! Every request costs one read of the store.

mod config;
mod routes;

use std::sync::Arc;

use axum::{Router, routing::get};
use store::Store;
use tower_http::compression::CompressionLayer;

pub use config::Config;

/// The routes under `/stream`.
pub fn router(store: Arc<dyn Store>) -> Router {
    let playlists = Router::new()
        .route("/stream/{id}/outputlist.m3u8", get(routes::multivariant_playlist))
        .route("/stream/{id}/lossless.m3u8", get(routes::lossless_playlist))
        .route("/stream/{id}/manifest.mpd", get(routes::manifest))
        .route("/stream/{id}/{revision}/{variant}/playlist.m3u8", get(routes::media_playlist))
        .layer(CompressionLayer::new());
    Router::new()
        .route("/stream/{id}/{revision}/{variant}/{file}", get(routes::media))
        .merge(playlists)
        .with_state(store)
}
