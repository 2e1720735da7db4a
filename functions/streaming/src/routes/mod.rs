//! The routes, as their paths have them.

mod media;
mod playlists;

pub(crate) use media::media;
pub(crate) use playlists::{lossless_playlist, manifest, media_playlist, multivariant_playlist};

/// What may be kept for good: everything under a revision, which never changes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
