//! `/uploads`: songs of any size, part by part, by the tus resumable upload protocol 1.0.0 with its
//! extensions Creation, Creation With Upload, Expiration, Checksum and Termination.

mod checksum;
pub(crate) mod metadata;
mod pairs;
mod part;

use axum::{
    body::{Body, HttpBody},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::fmt::rfc2822::DateTimePrinter;
use music::{SongId, Timestamp};
use service::{Problem, Result};
use store::Upload;

use self::checksum::Checksum;
use super::media_type::{check_coding, media_type, unsupported};
use crate::Crud;

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,expiration,checksum,termination";

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSION: HeaderName = HeaderName::from_static("tus-version");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");

/// Speaks version 1.0.0, and refuses who does not.
pub(crate) async fn resumable(request: Request, next: Next) -> Response {
    let speaks_it = request.headers().get(TUS_RESUMABLE).is_some_and(|it| it == VERSION);
    let mut response = if speaks_it || request.method() == Method::OPTIONS {
        next.run(request).await
    } else {
        let detail = "this is the tus protocol: Tus-Resumable must be 1.0.0";
        Problem::new(StatusCode::PRECONDITION_FAILED, "tus-version", detail)
            .header(TUS_VERSION, HeaderValue::from_static(VERSION))
            .into_response()
    };
    response.headers_mut().insert(TUS_RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

/// `OPTIONS /uploads`: what this server can do.
pub(crate) async fn options(State(crud): State<Crud>) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(TUS_VERSION, HeaderValue::from_static(VERSION));
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert("tus-max-size", crud.config.ingest.max_upload_bytes.into());
    headers.insert("tus-checksum-algorithm", HeaderValue::from_static(checksum::ALGORITHMS));
    response
}

/// `POST /uploads`: a new upload, with its first part if there is a body.
pub(crate) async fn create(
    State(crud): State<Crud>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    if headers.contains_key("upload-concat") {
        return Err(Problem::bad_request("Upload-Concat: concatenation is not supported"));
    }
    let Some(length) = number(&headers, &UPLOAD_LENGTH)? else {
        return Err(Problem::bad_request("Upload-Length is missing: it must be known beforehand"));
    };
    let limit = crud.config.ingest.max_upload_bytes;
    if length > limit {
        return Err(Problem::too_large(limit));
    }
    if length == 0 {
        let detail = ingest::Rejection::Empty.to_string();
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-playable", detail));
    }
    let metadata = headers.get(UPLOAD_METADATA).map_or(Ok(""), HeaderValue::to_str);
    let metadata =
        metadata.map_err(|_| Problem::bad_request("Upload-Metadata: it must be ASCII"))?;
    metadata::parse(metadata)?;
    let has_part = !body.is_end_stream();
    // Ahead of the record, so that what is refused leaves nothing.
    let checksum = if has_part { part_headers(&headers)? } else { None };
    if has_part {
        part::check_announced(&crud, length, &body)?;
    }
    let upload = crud.uploads.begin(length, metadata::about_song(metadata)).await?;
    let upload = if has_part {
        match part::append(&crud, upload.clone(), checksum, body).await {
            Ok(upload) => upload,
            // What is wrong with the part, its sender hears; of the upload they know nothing.
            Err(problem) => {
                crud.ingest.discard(upload.id).await.map_err(super::problem)?;
                return Err(problem);
            }
        }
    } else {
        upload
    };
    let mut response = Crud::upload_answer(StatusCode::CREATED, &upload);
    let location = format!("{}/uploads/{}", crud.config.http.base_path(), upload.id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// `HEAD /uploads/{id}`: how much of it is in.
pub(crate) async fn show(State(crud): State<Crud>, Path(id): Path<String>) -> Result<Response> {
    let upload = crud.find_upload(parse_id(&id)?).await?;
    crud.finish_if_complete(&upload).await?;
    let mut response = Crud::upload_answer(StatusCode::OK, &upload);
    let headers = response.headers_mut();
    headers.insert(UPLOAD_LENGTH, upload.length.into());
    if !upload.metadata.is_empty()
        && let Ok(metadata) = HeaderValue::from_str(&upload.metadata)
    {
        headers.insert(UPLOAD_METADATA, metadata);
    }
    Ok(response)
}

/// `PATCH /uploads/{id}`: the next part.
pub(crate) async fn append(
    State(crud): State<Crud>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let checksum = part_headers(&headers)?;
    let Some(offset) = number(&headers, &UPLOAD_OFFSET)? else {
        return Err(Problem::bad_request("Upload-Offset is missing"));
    };
    let upload = crud.find_upload(parse_id(&id)?).await?;
    if upload.offset != offset {
        return Err(part::wrong_offset(&upload));
    }
    part::check_announced(&crud, upload.length - upload.offset, &body)?;
    let upload = part::append(&crud, upload, checksum, body).await?;
    Ok(Crud::upload_answer(StatusCode::NO_CONTENT, &upload))
}

/// `DELETE /uploads/{id}`: gives it up, and the song with it, if it has become one.
pub(crate) async fn terminate(
    State(crud): State<Crud>,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let id = parse_id(&id)?;
    if crud.ingest.discard(id).await.map_err(super::problem)? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(no_such_upload())
    }
}

/// `POST /uploads/{id}`, for clients whose environment has no other methods: `X-HTTP-Method-Override`
/// says which is meant.
pub(crate) async fn overridden(
    crud: State<Crud>,
    id: Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let meant = headers.get("x-http-method-override").map_or("", |it| it.to_str().unwrap_or(""));
    match meant {
        "PATCH" => append(crud, id, headers, body).await,
        "HEAD" => show(crud, id).await,
        "DELETE" => terminate(crud, id).await.map(IntoResponse::into_response),
        _ => {
            let detail = "POST is for X-HTTP-Method-Override: PATCH, HEAD or DELETE";
            Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
                .header(header::ALLOW, HeaderValue::from_static("HEAD,PATCH,DELETE,POST")))
        }
    }
}

impl Crud {
    /// The upload; one that became a song is one whose parts are all in.
    async fn find_upload(&self, id: SongId) -> Result<Upload> {
        let Some(upload) = self.uploads.find(id).await? else {
            let song = self.store.get(id).await?.ok_or_else(no_such_upload)?;
            let bytes = song.source.bytes;
            return Ok(Upload {
                id,
                length: bytes,
                offset: bytes,
                metadata: String::new(),
                expires_at: Timestamp::MAX,
            });
        };
        if upload.offset < upload.length && upload.expires_at <= music::now() {
            let detail = "no part of this upload came in for too long: begin again";
            return Err(Problem::new(StatusCode::GONE, "upload-expired", detail));
        }
        Ok(upload)
    }

    /// Makes a song of an upload whose parts are all in. That it cannot be ingested at once is no
    /// concern of whoever sent it: the sweep comes back to it.
    async fn finish_if_complete(&self, upload: &Upload) -> Result<()> {
        if upload.offset < upload.length || upload.expires_at == Timestamp::MAX {
            return Ok(());
        }
        match self.uploads.finish(self.dispatch.as_ref(), upload).await {
            Err(problem) if self.store.get(upload.id).await?.is_some() => {
                tracing::warn!(?problem, upload = %upload.id, "a complete upload has to wait");
                Ok(())
            }
            finished => finished,
        }
    }

    fn upload_answer(status: StatusCode, upload: &Upload) -> Response {
        let mut response = status.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(UPLOAD_OFFSET, upload.offset.into());
        if let Ok(id) = HeaderValue::from_str(&upload.id.to_string()) {
            headers.insert("segue-song", id);
        }
        if upload.offset < upload.length
            && let Ok(date) = DateTimePrinter::new().timestamp_to_rfc9110_string(&upload.expires_at)
            && let Ok(date) = HeaderValue::from_str(&date)
        {
            headers.insert("upload-expires", date);
        }
        response
    }
}

/// Refuses what does not come as a part must, and tells the checksum that it comes with.
fn part_headers(headers: &HeaderMap) -> Result<Option<Checksum>> {
    check_coding(headers)?;
    if media_type(headers).is_none_or(|kind| kind != "application/offset+octet-stream") {
        let detail = "the Content-Type of a part is application/offset+octet-stream";
        return Err(unsupported(detail.to_owned()));
    }
    Checksum::of(headers)
}

/// A header that is a number of bytes.
fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|it| it.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| Problem::bad_request(format!("{name} must be a number of bytes")))
}

fn no_such_upload() -> Problem {
    Problem::not_found("there is no such upload")
}

fn parse_id(id: &str) -> Result<SongId> {
    id.parse().map_err(|_| no_such_upload())
}
