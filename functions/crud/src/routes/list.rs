//! `GET /songs`: pages of songs.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use music::{Name, Status, query_words};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use service::{Problem, Result};
use store::Cursor;

use super::query::Query;
use crate::{Crud, song_json::SongJson};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// A page ends early rather than grow beyond what one Lambda answer can carry: 6 MB of JSON that
/// holds this one as a text, in which each quote takes two bytes, and a quoted one four.
const MAX_BYTES: usize = 2 * 1024 * 1024;

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    q: Option<String>,
    album: Option<String>,
    status: Option<Status>,
    sha256: Option<String>,
}

/// `GET /songs?limit=&cursor=&q=&album=&status=&sha256=`: a JSON array, and a `Link` to the next page
/// while there is one (RFC 8288). The songs of one file come without one.
pub(crate) async fn list(
    State(crud): State<Crud>,
    Query(asked): Query<ListQuery>,
) -> Result<Response> {
    if let Some(sha256) = &asked.sha256 {
        return made_of(&crud, &asked, sha256).await;
    }
    let words = asked.q.as_deref().map(query_words);
    let after = asked.cursor.as_deref().map(parse_cursor).transpose()?;
    let limit = asked.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    if limit == 0 {
        return Err(Problem::bad_request("limit must be at least 1"));
    }
    let album = asked.album.as_deref().filter(|album| !album.is_empty());
    let query = store::Query {
        status: asked.status.unwrap_or(Status::Ready),
        album: album
            .map(Name::parse)
            .transpose()
            .map_err(|error| Problem::bad_request(format!("album: {error}")))?,
        words: words.clone().unwrap_or_default(),
        after,
        limit,
    };
    // Words that cannot begin any word of any song match nothing, which is not the same as no words.
    if words.is_some_and(|words| words.is_empty())
        && asked.q.as_deref().is_some_and(|q| !q.trim().is_empty())
    {
        return Ok(page("[]".into(), None));
    }
    let found = crud.store.list(&query).await?;
    let mut body = String::from("[");
    let mut next = found.next;
    for (index, song) in found.songs.iter().enumerate() {
        let json = serde_json::to_string(&SongJson::new(song, crud.config.http.base_path()))
            .map_err(Problem::internal)?;
        if index > 0 {
            if body.len() + json.len() > MAX_BYTES {
                next = found.songs.get(index - 1).map(|last| Cursor {
                    album_position: last.description.album_position(),
                    id: last.id,
                });
                break;
            }
            body.push(',');
        }
        body.push_str(&json);
    }
    body.push(']');
    let link = next.map(|cursor| next_link(&crud, &asked, limit, cursor));
    Ok(page(body, link))
}

/// The songs that were made of the file with this hash.
async fn made_of(crud: &Crud, asked: &ListQuery, sha256: &str) -> Result<Response> {
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Problem::bad_request("sha256 must be 64 hexadecimal digits"));
    }
    if asked.q.is_some() || asked.album.is_some() || asked.cursor.is_some() {
        return Err(Problem::bad_request("sha256 goes with status and limit only"));
    }
    let status = asked.status.unwrap_or(Status::Ready);
    let mut songs = crud.store.made_of(&sha256.to_ascii_lowercase(), MAX_LIMIT).await?;
    songs.retain(|song| song.status == status);
    songs.truncate(asked.limit.unwrap_or(DEFAULT_LIMIT));
    let base_path = crud.config.http.base_path();
    let songs: Vec<_> = songs.iter().map(|song| SongJson::new(song, base_path)).collect();
    Ok(page(serde_json::to_string(&songs).map_err(Problem::internal)?, None))
}

fn page(body: String, link: Option<String>) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        headers.insert(header::LINK, link);
    }
    response
}

fn next_link(crud: &Crud, asked: &ListQuery, limit: usize, cursor: Cursor) -> String {
    let status = asked.status.and_then(|status| serde_json::to_value(status).ok());
    let status = status.as_ref().and_then(|status| status.as_str());
    let mut link = format!("<{}/songs?limit={limit}", crud.config.http.base_path());
    for (name, value) in
        [("q", asked.q.as_deref()), ("album", asked.album.as_deref()), ("status", status)]
    {
        if let Some(value) = value {
            link.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
    }
    link.push_str(&format!("&cursor={}.{}>; rel=\"next\"", cursor.album_position, cursor.id));
    link
}

fn parse_cursor(text: &str) -> Result<Cursor> {
    let parsed = text.split_once('.').and_then(|(position, id)| {
        Some(Cursor { album_position: position.parse().ok()?, id: id.parse().ok()? })
    });
    parsed.ok_or_else(|| Problem::bad_request("cursor must be one that a Link gave"))
}
