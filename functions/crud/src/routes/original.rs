//! `GET /songs/{id}/original`: the file as it came.

use std::{ops::Range, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use futures_util::stream;
use headers::ETag;
use music::SongId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
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
    let disposition = disposition(song.source.filename.as_deref(), id);
    let content_type =
        content_type(song.source.media.as_ref().map_or("", |media| &media.container));
    let cache_control = "private, no-cache";
    let respond = |range| body(crud.store, id, range, first);
    let mut response =
        conditional::respond(selection, &etag, length, content_type, cache_control, respond);
    // The file is what its sender says: opened in a browser, it must not run here.
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    Ok(response)
}

const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

/// What RFC 8187 §3.2.1 leaves as it is in an extended value.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// `Content-Disposition` of a file to be saved (RFC 6266): under the name that it came with, without
/// the folders before it and without what can be no part of a file's name.
fn disposition(filename: Option<&str>, id: SongId) -> HeaderValue {
    let last = filename.and_then(|name| name.rsplit(['/', '\\']).next()).unwrap_or_default();
    let unsafe_for_files = |character: char| character.is_control() || is_invisible(character);
    let name: String = last.chars().filter(|character| !unsafe_for_files(*character)).collect();
    let name = name.trim_matches(|character: char| character == '.' || character.is_whitespace());
    let name = if name.is_empty() { id.to_string() } else { name.to_owned() };
    let plain = |character: char| match character {
        '"' | '\\' | '%' => '_',
        ' '..='~' => character,
        _ => '_',
    };
    let ascii: String = name.chars().map(plain).collect();
    let extended = utf8_percent_encode(&name, ATTRIBUTE);
    let value = format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{extended}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// Whether a character changes the direction or the look of a name without being seen, so that a
/// name may seem to end in another extension.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_saved_under_its_name_and_nowhere_else() {
        let id = SongId::new();
        let fallback = format!("attachment; filename=\"{id}\"; filename*=UTF-8''{id}");
        for (name, expected) in [
            ("song.mp3", "attachment; filename=\"song.mp3\"; filename*=UTF-8''song.mp3"),
            (
                "J\u{f3}ga 1.flac",
                "attachment; filename=\"J_ga 1.flac\"; filename*=UTF-8''J%C3%B3ga%201.flac",
            ),
            ("../../etc/passwd", "attachment; filename=\"passwd\"; filename*=UTF-8''passwd"),
            ("C:\\music\\a.wav", "attachment; filename=\"a.wav\"; filename*=UTF-8''a.wav"),
            (
                "a\"; x=\"b.mp3",
                "attachment; filename=\"a_; x=_b.mp3\"; filename*=UTF-8''a%22%3B%20x%3D%22b.mp3",
            ),
            ("a\r\nX: y", "attachment; filename=\"aX: y\"; filename*=UTF-8''aX%3A%20y"),
            ("a\u{202e}3pm.exe", "attachment; filename=\"a3pm.exe\"; filename*=UTF-8''a3pm.exe"),
            ("..", fallback.as_str()),
            ("", fallback.as_str()),
        ] {
            assert_eq!(disposition(Some(name), id), expected, "{name:?}");
        }
        assert_eq!(disposition(None, id), fallback.as_str());
    }
}
