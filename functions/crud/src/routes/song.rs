//! `/songs/{id}`: show, describe, remove.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use headers::HeaderMapExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use music::Patch;
use serde_json::{Map, Value, json};
use service::{Problem, Result, conditional};

use super::{
    NO_CACHE, etag,
    media_type::{check_coding, media_type, unsupported},
    no_such_song, parse_id, problem,
};
use crate::{Crud, given::DESCRIPTION_LIMIT};

/// How often a description is tried again when the record changed meanwhile, as it does with the
/// progress of an ingest.
const ATTEMPTS: usize = 10;

/// What a patch may be (RFC 7396, or plain JSON, which many clients call it).
const PATCH_TYPES: [&str; 2] = ["application/merge-patch+json", "application/json"];

/// RFC 5789 §3.1.
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

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
    body: Body,
) -> Result<Response> {
    let id = parse_id(&id)?;
    let body = patch_body(&request, body).await?;
    let patch = parse(&body)
        .map_err(|error| Problem::bad_request(format!("not a merge patch of a song: {error}")))?;
    for _ in 0..ATTEMPTS {
        let song = crud.store.get(id).await?.ok_or_else(no_such_song)?;
        conditional::check_match(&request, &etag(&song)?)?;
        let description = patch
            .clone()
            .apply(song.description.clone())
            .map_err(|error| Problem::bad_request(error.to_string()))?;
        // What changes nothing leaves the song its version, and its readers their copies.
        if description == song.description {
            return crud.answer(StatusCode::OK, &song);
        }
        if let Some(song) = crud.store.describe(id, song.version, &description).await? {
            return crud.answer(StatusCode::OK, &song);
        }
    }
    Err(Problem::unavailable("the song keeps changing"))
}

/// Receives a patch.
async fn patch_body(request: &HeaderMap, body: Body) -> Result<Bytes> {
    check_coding(request)?;
    if let Some(kind) = media_type(request)
        && !PATCH_TYPES.contains(&kind.as_str())
    {
        let detail = format!("a patch is one of {}, not {kind}", PATCH_TYPES.join(", "));
        let accepted = HeaderValue::from_static("application/merge-patch+json, application/json");
        return Err(unsupported(detail).header(ACCEPT_PATCH, accepted));
    }
    match Limited::new(body, DESCRIPTION_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Problem::too_large(DESCRIPTION_LIMIT as u64))
        }
        Err(error) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
    }
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
