//! `/songs/{id}`: show, describe, remove.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use headers::HeaderMapExt;
use music::Patch;
use serde_json::{Map, Value, json};
use service::{Problem, Result, conditional};

use super::{NO_CACHE, etag, no_such_song, parse_id, problem};
use crate::Crud;

/// How often a description is tried again when the record changed meanwhile, as it does with the
/// progress of an ingest.
const ATTEMPTS: usize = 10;

/// `GET /songs/{id}`: the song, whatever its status.
pub(crate) async fn show(
    State(crud): State<Crud>,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Response> {
    let song = crud.store.get(parse_id(&id)?).await?.ok_or_else(no_such_song)?;
    let tag = etag(&song)?;
    if conditional::is_not_modified(&request, &tag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        response.headers_mut().typed_insert(tag);
        response.headers_mut().insert(header::CACHE_CONTROL, NO_CACHE);
        return Ok(response);
    }
    crud.answer(StatusCode::OK, &song)
}

/// `PATCH /songs/{id}`: an RFC 7396 merge patch of the descriptive fields.
pub(crate) async fn describe(
    State(crud): State<Crud>,
    Path(id): Path<String>,
    request: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let id = parse_id(&id)?;
    let patch = parse(&body)
        .map_err(|error| Problem::bad_request(format!("not a merge patch of a song: {error}")))?;
    for _ in 0..ATTEMPTS {
        let song = crud.store.get(id).await?.ok_or_else(no_such_song)?;
        conditional::check_match(&request, &etag(&song)?)?;
        let description = patch
            .clone()
            .apply(song.description)
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        if let Some(song) = crud.store.describe(id, song.version, &description).await? {
            return crud.answer(StatusCode::OK, &song);
        }
    }
    Err(Problem::unavailable("the song keeps changing"))
}

/// An object only: serde would take a list of the fields' values as well.
fn parse(body: &[u8]) -> serde_json::Result<Patch> {
    let fields: Map<String, Value> = serde_json::from_slice(body)?;
    serde_json::from_value(Value::Object(fields))
}

/// `DELETE /songs/{id}`: unplayable at once; its chunks follow. `If-Match` is honoured.
pub(crate) async fn remove(
    State(crud): State<Crud>,
    Path(id): Path<String>,
    request: HeaderMap,
) -> Result<Json<Value>> {
    let id = parse_id(&id)?;
    if request.contains_key(header::IF_MATCH) {
        let song = crud.store.get(id).await?.ok_or_else(no_such_song)?;
        conditional::check_match(&request, &etag(&song)?)?;
    }
    if !crud.ingest.discard(id).await.map_err(problem)? {
        return Err(no_such_song());
    }
    Ok(Json(json!({ "deleted": 1 })))
}
