//! `outputlist.m3u8`, `lossless.m3u8`, `playlist.m3u8` and `manifest.mpd`.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use headers::{ETag, HeaderMapExt};
use hls::{Manifest, MediaPlaylist, MultivariantPlaylist};
use music::{Revision, RevisionId, Song, SongId};
use service::{Problem, Result, conditional};
use store::Store;

use super::IMMUTABLE;

/// Long enough to spare us a player's repeated requests, short enough that a new revision is heard.
const SHORT: &str = "public, max-age=10";

/// RFC 8216 §4 names this type for playlists.
const PLAYLIST: &str = "application/vnd.apple.mpegurl";

/// ISO/IEC 23009-1 annex C names this type for manifests.
const MANIFEST: &str = "application/dash+xml";

/// How long until a song that is being made may be worth asking for again.
const NOT_READY: Duration = Duration::from_secs(3);

/// `GET /stream/{id}/outputlist.m3u8`: the variants of the song's revision.
pub(crate) async fn multivariant_playlist(
    State(store): State<Arc<dyn Store>>,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Response> {
    let revision = revision(store.as_ref(), &id).await?;
    Ok(rendered(&request, &revision.id.to_string(), PLAYLIST, SHORT, || {
        MultivariantPlaylist::new(&revision).to_string()
    }))
}

/// `GET /stream/{id}/lossless.m3u8`: the variants of the song's revision, FLAC first.
pub(crate) async fn lossless_playlist(
    State(store): State<Arc<dyn Store>>,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Response> {
    let revision = revision(store.as_ref(), &id).await?;
    let playlist = MultivariantPlaylist::lossless(&revision).ok_or_else(|| {
        Problem::not_found("the song has nothing lossless: ingest it with lossless=true")
    })?;
    let tag = format!("{}-lossless", revision.id);
    Ok(rendered(&request, &tag, PLAYLIST, SHORT, || playlist.to_string()))
}

/// `GET /stream/{id}/manifest.mpd`: the same variants and segments for DASH.
pub(crate) async fn manifest(
    State(store): State<Arc<dyn Store>>,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Response> {
    let revision = revision(store.as_ref(), &id).await?;
    let tag = format!("{}-dash", revision.id);
    Ok(rendered(&request, &tag, MANIFEST, SHORT, || Manifest::new(&revision).to_string()))
}

/// `GET /stream/{id}/{revision}/{variant}/playlist.m3u8`: the segments of one variant.
pub(crate) async fn media_playlist(
    State(store): State<Arc<dyn Store>>,
    Path((id, wanted, variant)): Path<(String, String, String)>,
    request: HeaderMap,
) -> Result<Response> {
    let wanted: RevisionId = wanted.parse().map_err(|_| no_such_song())?;
    let song = song(store.as_ref(), &id).await?;
    let mut variants = song.variants_of(wanted, music::now()).iter();
    let found =
        variants.find(|known| known.name == variant).ok_or_else(|| match song.revision {
            Some(_) => Problem::not_found(
                "the song has no such revision any more, or it has no such variant",
            ),
            None => not_ready(&song),
        })?;
    let tag = format!("{wanted}-{variant}");
    let text = || MediaPlaylist::new(&found.timeline).to_string();
    Ok(rendered(&request, &tag, PLAYLIST, IMMUTABLE, text))
}

async fn song(store: &dyn Store, id: &str) -> Result<Song> {
    let id: SongId = id.parse().map_err(|_| no_such_song())?;
    store.get(id).await?.ok_or_else(no_such_song)
}

async fn revision(store: &dyn Store, id: &str) -> Result<Revision> {
    let mut song = song(store, id).await?;
    song.revision.take().ok_or_else(|| not_ready(&song))
}

fn not_ready(song: &Song) -> Problem {
    let detail = match song.error {
        Some(_) => "the song could not be made ready; GET /songs/{id} says why",
        None => "the song is still being made ready",
    };
    Problem::new(StatusCode::NOT_FOUND, "song-not-ready", detail).retry_after(NOT_READY)
}

fn no_such_song() -> Problem {
    Problem::not_found("there is no such song")
}

/// A playlist or a manifest. Its entity tag is weak because the same is sent both compressed and
/// not.
fn rendered(
    request: &HeaderMap,
    tag: &str,
    content_type: &'static str,
    cache_control: &'static str,
    text: impl FnOnce() -> String,
) -> Response {
    let mut response = Response::new(Body::empty());
    if let Ok(etag) = format!("W/\"{tag}\"").parse::<ETag>() {
        if conditional::is_not_modified(request, &etag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response.headers_mut().typed_insert(etag);
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        *response.body_mut() = Body::from(text());
    }
    response
}
