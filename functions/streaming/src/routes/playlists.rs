//! `outputlist.m3u8` and `playlist.m3u8`.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use headers::{ETag, HeaderMapExt};
use hls::{MediaPlaylist, MultivariantPlaylist};
use music::{Revision, RevisionId, SongId};
use service::{Problem, Result, conditional};
use store::Store;

use super::IMMUTABLE;

/// Long enough to spare us a player's repeated requests, short enough that a new revision is heard.
const SHORT: &str = "public, max-age=10";

/// RFC 8216 §4 names this type for playlists.
const PLAYLIST: &str = "application/vnd.apple.mpegurl";

/// How long until a song that is being made may be worth asking for again.
const NOT_READY: Duration = Duration::from_secs(3);

/// `GET /stream/{id}/outputlist.m3u8`: the variants of the song's revision.
pub(crate) async fn multivariant_playlist(
    State(store): State<Arc<dyn Store>>,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Response> {
    let revision = revision(store.as_ref(), &id).await?;
    Ok(playlist(&request, &revision.id.to_string(), SHORT, || {
        MultivariantPlaylist::new(&revision).to_string()
    }))
}

/// `GET /stream/{id}/{revision}/{variant}/playlist.m3u8`: the segments of one variant.
pub(crate) async fn media_playlist(
    State(store): State<Arc<dyn Store>>,
    Path((id, wanted, variant)): Path<(String, String, String)>,
    request: HeaderMap,
) -> Result<Response> {
    let wanted: RevisionId = wanted.parse().map_err(|_| no_such_song())?;
    let revision = revision(store.as_ref(), &id).await?;
    if revision.id != wanted || !revision.variants.iter().any(|known| known.name == variant) {
        return Err(Problem::not_found("the song has no such variant, or a newer revision"));
    }
    let tag = format!("{wanted}-{variant}");
    Ok(playlist(&request, &tag, IMMUTABLE, || MediaPlaylist::new(&revision.timeline).to_string()))
}

async fn revision(store: &dyn Store, id: &str) -> Result<Revision> {
    let id: SongId = id.parse().map_err(|_| no_such_song())?;
    let song = store.get(id).await?.ok_or_else(no_such_song)?;
    song.revision.ok_or_else(|| {
        let detail = match song.error {
            Some(_) => "the song could not be made ready; GET /songs/{id} says why",
            None => "the song is still being made ready",
        };
        Problem::new(StatusCode::NOT_FOUND, "song-not-ready", detail).retry_after(NOT_READY)
    })
}

fn no_such_song() -> Problem {
    Problem::not_found("there is no such song")
}

/// The entity tag is weak because the same playlist is sent both compressed and not.
fn playlist(
    request: &HeaderMap,
    tag: &str,
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
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PLAYLIST));
        *response.body_mut() = Body::from(text());
    }
    response
}
