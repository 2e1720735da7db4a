//! Serves HTTP Live Streaming and DASH out of the store: playlists rendered from a song's timeline, and
//! segments as they were packaged.
//!
//! Every request costs one read of the store.

mod config;
mod routes;

use std::sync::Arc;

use service::{Access::Open, Routes, routes::get};
use store::Store;
use tower_http::compression::CompressionLayer;

pub use config::Config;

/// The routes under `/stream`, over `store`.
pub fn router(store: Arc<dyn Store>) -> Routes {
    routes().with_state(store)
}

/// The routes under `/stream`. All are open: a stream's URL is a capability, which players on any
/// page are given.
#[must_use]
pub fn routes() -> Routes<Arc<dyn Store>> {
    let playlists = Routes::new()
        .route("/stream/{id}/outputlist.m3u8", get(Open, routes::multivariant_playlist))
        .route("/stream/{id}/lossless.m3u8", get(Open, routes::lossless_playlist))
        .route("/stream/{id}/manifest.mpd", get(Open, routes::manifest))
        .route("/stream/{id}/{revision}/{variant}/playlist.m3u8", get(Open, routes::media_playlist))
        .layer(CompressionLayer::new());
    Routes::new()
        .route(
            "/stream/{id}/{revision}/{variant}/{file}",
            get(Open, routes::media).holding_chunks(),
        )
        .merge(playlists)
}
