//! One part of an upload, from its first byte to the offset behind it.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, HttpBody},
    http::StatusCode,
};
use bytes::BytesMut;
use futures_util::StreamExt;
use service::{Problem, Result};
use store::{ChunkKey, Upload};

use super::{Checksum, UPLOAD_OFFSET, no_such_upload};
use crate::Crud;

/// What arrived of a part.
struct Arrived {
    bytes: Bytes,
    /// Why there is no more, if the part broke off.
    broken: Option<axum::Error>,
}

/// Refuses a part that says beforehand that it is too large for an upload that lacks `left` bytes.
pub(super) fn check_announced(crud: &Crud, left: u64, body: &Body) -> Result<()> {
    check_size(crud, left, body.size_hint().lower())
}

fn check_size(crud: &Crud, left: u64, size: u64) -> Result<()> {
    let limit = crud.config.part_limit();
    if size > limit {
        let detail = format!("a part may have at most {limit} bytes: send smaller ones");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "part-too-large", detail));
    }
    if size > left {
        let detail = format!("the upload lacks {left} bytes only");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
    }
    Ok(())
}

/// 409: the part does not begin where the upload ends.
pub(super) fn wrong_offset(upload: &Upload) -> Problem {
    let detail = format!("the upload's offset is {}", upload.offset);
    Problem::new(StatusCode::CONFLICT, "wrong-offset", detail).header(UPLOAD_OFFSET, upload.offset)
}

/// Adds what `body` brings at the upload's offset, and returns the upload as it then is.
///
/// What has arrived of a part that breaks off is kept, unless it came with a checksum. For that the
/// work goes on when its client has left.
pub(super) async fn append(
    crud: &Crud,
    upload: Upload,
    checksum: Option<Checksum>,
    body: Body,
) -> Result<Upload> {
    let busy = |_| Problem::unavailable("too many songs are being received");
    let place = Arc::clone(&crud.receiving).try_acquire_owned().map_err(busy)?;
    let crud = crud.clone();
    let work = tokio::spawn(async move {
        let _place = place;
        let Arrived { bytes, broken } = receive(&crud, &upload, body).await?;
        let unchecked = checksum.is_some() && broken.is_some();
        if let Some(checksum) = checksum.filter(|_| !unchecked) {
            checksum.check(&bytes)?;
        }
        let upload =
            if bytes.is_empty() || unchecked { upload } else { keep(&crud, upload, bytes).await? };
        crud.finish_if_complete(&upload).await?;
        match broken {
            Some(error) => Err(Problem::bad_request(format!("the body broke off: {error}"))),
            None => Ok(upload),
        }
    });
    work.await.unwrap_or_else(|error| Err(Problem::internal(error)))
}

async fn receive(crud: &Crud, upload: &Upload, body: Body) -> Result<Arrived> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(next) = stream.next().await {
        match next {
            Ok(next) => {
                check_size(crud, upload.length - upload.offset, (bytes.len() + next.len()) as u64)?;
                bytes.extend_from_slice(&next);
            }
            Err(error) => return Ok(Arrived { bytes: bytes.freeze(), broken: Some(error) }),
        }
    }
    Ok(Arrived { bytes: bytes.freeze(), broken: None })
}

/// Writes a part, then the offset behind it.
async fn keep(crud: &Crud, upload: Upload, bytes: Bytes) -> Result<Upload> {
    let (id, from) = (upload.id, upload.offset);
    let key = ChunkKey::original(id, from);
    let to = from + bytes.len() as u64;
    if !crud.store.put_new(&key, bytes.clone()).await? {
        // Another request's part, or this very one, whose answer was lost.
        let present = crud.store.read(&key).await?;
        let upload = crud.find_upload(id).await?;
        return if present == Some(bytes) && upload.offset == to {
            Ok(upload)
        } else {
            Err(wrong_offset(&upload))
        };
    }
    let expires_at = crud.uploads.expiry();
    if crud.store.advance_upload(id, from, to, expires_at).await? {
        return Ok(Upload { offset: to, expires_at, ..upload });
    }
    // Somebody who saw the part has moved the offset already, or the upload was given up.
    if crud.store.get_upload(id).await?.is_none() && crud.store.get(id).await?.is_none() {
        crud.store.remove_all(id).await?;
        return Err(no_such_upload());
    }
    crud.find_upload(id).await
}
