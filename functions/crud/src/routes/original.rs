//! `GET /songs/{id}/original`: the file as it came.

use std::{ops::Range, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};
use futures_util::stream;
use headers::ETag;
use music::SongId;
use service::{
    Problem, Result,
    conditional::{self, Selection},
};
use store::Store;

use super::{no_such_song, parse_id};
use crate::Crud;

/// The file that a song was made from, whole or in part. It never changes.
pub(crate) async fn original(
    State(crud): State<Crud>,
    Path(id): Path<String>,
    method: Method,
    request: HeaderMap,
) -> Result<Response> {
    let id = parse_id(&id)?;
    let song = crud.store.get(id).await?.ok_or_else(no_such_song)?;
    let length = song.source.bytes;
    // Not hashed yet: what came in by parts is of its song alone, and stays as it is.
    let tag = song.source.sha256.clone().unwrap_or_else(|| id.to_string());
    let etag: ETag = format!("\"{tag}\"").parse().map_err(|_| no_such_song())?;
    conditional::check_match(&request, &etag)?;
    let mut selection = conditional::select(&method, &request, &etag, length);
    if let Some(limit) = crud.config.http.response_limit {
        selection = match selection {
            // A server may answer with less than was asked for (RFC 9110 §15.3.7).
            Selection::Part(range) => {
                Selection::Part(range.start..range.end.min(range.start + limit))
            }
            Selection::Whole if length > limit && method != Method::HEAD => {
                let detail =
                    format!("this platform answers with at most {limit} bytes: ask for a Range");
                return Err(Problem::new(StatusCode::BAD_REQUEST, "range-required", detail));
            }
            other => other,
        };
    }
    // Read ahead of the answer's head, while a file that was not kept can still be told.
    let first = match &selection {
        Selection::Whole => Some(0),
        Selection::Part(range) => Some(range.start),
        _ => None,
    };
    let not_kept = || {
        let detail = "the original of this song was not kept";
        Problem::new(StatusCode::NOT_FOUND, "no-original", detail)
    };
    let first = match first {
        // Parts of it may still be there.
        Some(_) if !song.keeps_original() => return Err(not_kept()),
        Some(offset) => Some(crud.store.read_original(id, offset).await?.ok_or_else(not_kept)?),
        None => None,
    };
    let content_type =
        content_type(song.source.media.as_ref().map_or("", |media| &media.container));
    let cache_control = "private, no-cache";
    Ok(conditional::respond(selection, &etag, length, content_type, cache_control, |range| {
        body(crud.store, id, range, first)
    }))
}

/// The bytes of `range`, one chunk at a time.
fn body(store: Arc<dyn Store>, id: SongId, range: Range<u64>, first: Option<(u64, Bytes)>) -> Body {
    let state = (store, range, first);
    Body::from_stream(stream::try_unfold(state, move |(store, range, chunk)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let chunk = match chunk {
            Some(chunk) => Some(chunk),
            None => store.read_original(id, range.start).await?,
        };
        // Removed while it was being read: break off, so that the client sees it is not whole.
        let gone = || service::BoxError::from("the original is gone");
        let (start, bytes) = chunk.ok_or_else(gone)?;
        let end = range.end.min(start + bytes.len() as u64);
        if range.start < start || range.start >= end {
            return Err(gone());
        }
        #[expect(clippy::cast_possible_truncation, reason = "within the length of a slice")]
        let part = bytes.slice((range.start - start) as usize..(end - start) as usize);
        Ok(Some((part, (store, end..range.end, None))))
    }))
}

fn content_type(container: &str) -> &'static str {
    match container {
        "mp3" => "audio/mpeg",
        "adts" => "audio/aac",
        "mp4" => "audio/mp4",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        "aiff" => "audio/aiff",
        "ogg" => "audio/ogg",
        _ => "application/octet-stream",
    }
}
