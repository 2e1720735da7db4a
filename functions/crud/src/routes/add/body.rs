//! The forms that a song is sent in: JSON, a form of several parts, or the file itself.
//!
//! The first bytes tell, and the content type where they do not: no audio file begins with `{`, or as
//! a form does. What a client wraps around a file is never stored as the file.

mod json;
mod multipart;

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header},
};
use bytes::{Buf, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use ingest::Spool;
use percent_encoding::percent_decode_str;
use service::{BoxError, Problem, Result};

use super::problem;
use crate::{
    Crud,
    given::{Given, fields, from_fields},
    routes::media_type::{check_coding, media_type},
};

/// How many bytes are looked at to tell the form: more than the boundary of a form may have, and the
/// first header behind it.
const HEAD: usize = 512;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The form of a body.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Json,
    Multipart { boundary: String },
    File,
}

/// Receives a song of any form.
pub(super) async fn receive(
    crud: &Crud,
    headers: &HeaderMap,
    query: Vec<(String, String)>,
    body: Body,
) -> Result<(Spool, Given)> {
    check_coding(headers)?;
    let (ingest, limit) = (&crud.ingest, crud.config.request_limit());
    let announced = body.size_hint().lower();
    let mut bytes = body.into_data_stream();
    let mut head = begin(&mut bytes).await?;
    if head.is_empty() {
        return Err(Problem::bad_request("the body is empty: send a song"));
    }
    let form = Form::of(headers, &head)?;
    if form == Form::Json && head.starts_with(BYTE_ORDER_MARK) {
        head.advance(BYTE_ORDER_MARK.len());
    }
    let bytes = stream::iter([Ok(head)]).chain(bytes);
    let (spool, given) = match form {
        Form::Json => json::receive(ingest, bytes).await?,
        Form::Multipart { boundary } => {
            let (spool, pairs) = multipart::receive(ingest, bytes, boundary).await?;
            (spool, from_fields(fields(query.into_iter().chain(pairs)))?)
        }
        Form::File => {
            if announced > limit {
                return Err(Problem::too_large(limit));
            }
            let given = from_fields(fields(attached_name(headers).into_iter().chain(query)))?;
            let bytes = bytes.map(|chunk| chunk.map_err(BoxError::from));
            (ingest.receive(bytes).await.map_err(problem)?, given)
        }
    };
    // What came in chunks announced nothing.
    if spool.bytes() > limit {
        return Err(Problem::too_large(limit));
    }
    Ok((spool, given))
}

impl Form {
    /// The form of a body that begins with `head`.
    fn of(headers: &HeaderMap, head: &[u8]) -> Result<Self> {
        let media_type = media_type(headers).unwrap_or_default();
        if media_type == "multipart/form-data" {
            let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let boundary = multer::parse_boundary(value.unwrap_or_default()).map_err(|_| {
                Problem::bad_request("Content-Type: multipart/form-data without its boundary")
            })?;
            return Ok(Self::Multipart { boundary });
        }
        if let Some(boundary) = boundary(head) {
            return Ok(Self::Multipart { boundary });
        }
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
        let says_json = media_type == "application/json" || media_type.ends_with("+json");
        Ok(if says_json || text.starts_with(b"{") { Self::Json } else { Self::File })
    }
}

/// The boundary of a form that is not called one: its first line, if headers of a part follow.
fn boundary(head: &[u8]) -> Option<String> {
    const LIMIT: usize = 70;
    let rest = head.strip_prefix(b"--")?;
    let end =
        rest.windows(2).position(|it| it == b"\r\n").filter(|end| (1..=LIMIT).contains(end))?;
    let (line, rest) = rest.split_at(end);
    let has_headers = rest.to_ascii_lowercase().windows(20).any(|it| it == b"content-disposition:");
    let boundary = std::str::from_utf8(line).ok()?.trim_end();
    has_headers.then(|| boundary.to_owned())
}

/// The first bytes of a body, all of a short one.
async fn begin(
    bytes: &mut (impl Stream<Item = std::result::Result<Bytes, axum::Error>> + Unpin),
) -> Result<Bytes> {
    let mut head = BytesMut::new();
    while head.len() < HEAD {
        match bytes.next().await {
            Some(Ok(chunk)) if head.is_empty() && chunk.len() >= HEAD => return Ok(chunk),
            Some(Ok(chunk)) => head.extend_from_slice(&chunk),
            Some(Err(error)) => return Err(broken(&error)),
            None => break,
        }
    }
    Ok(head.freeze())
}

/// The file's name in a `Content-Disposition` (RFC 6266), as the field that it stands for.
fn attached_name(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::CONTENT_DISPOSITION)?.to_str().ok()?;
    let parameters = || value.split(';').skip(1).filter_map(|it| it.trim().split_once('='));
    let named = |wanted: &str| {
        parameters()
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|it| it.1.trim())
    };
    let extended = named("filename*").and_then(|value| {
        let (charset, value) = value.split_once('\'')?;
        let (_, value) = value.split_once('\'')?;
        let is_utf8 = charset.eq_ignore_ascii_case("utf-8");
        let text = percent_decode_str(value).decode_utf8().ok()?;
        is_utf8.then(|| text.into_owned())
    });
    let name = extended.or_else(|| named("filename").map(|it| it.trim_matches('"').to_owned()))?;
    Some(("filename".to_owned(), name))
}

fn broken(error: &axum::Error) -> Problem {
    Problem::bad_request(format!("the body broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        [(name, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn the_first_bytes_tell_the_form_and_the_content_type_where_they_do_not() {
        const FORM: &[u8] = b"--x-1\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        let form = |boundary: &str| Form::Multipart { boundary: boundary.to_owned() };
        for (content_type, head, expected) in [
            ("audio/mpeg", &b"ID3"[..], Form::File),
            ("audio/mpeg", b"\xef\xbb\xbf \n{\"name\"", Form::Json),
            ("Application/JSON; charset=utf-8", b"ID3", Form::Json),
            ("application/json-seq", b"ID3", Form::File),
            ("audio/mpeg", FORM, form("x-1")),
            ("Multipart/Form-Data; boundary=y", b"", form("y")),
            ("audio/mpeg", b"--\r\n", Form::File),
            ("audio/mpeg", b"--x\r\nID3", Form::File),
        ] {
            let form = Form::of(&headers(header::CONTENT_TYPE, content_type), head);
            assert_eq!(form.expect("is one"), expected, "{content_type}");
        }
        assert!(Form::of(&headers(header::CONTENT_TYPE, "multipart/form-data"), FORM).is_err());
    }

    #[test]
    fn the_file_s_name_is_read_from_the_disposition() {
        for (value, expected) in [
            ("attachment; filename=\"a.mp3\"", Some("a.mp3")),
            ("attachment; filename=a.mp3; FileName*=UTF-8'de'J%C3%B3ga.mp3", Some("Jóga.mp3")),
            ("attachment; filename*=UTF-8''%E9.mp3", None),
            ("attachment", None),
        ] {
            let name = attached_name(&headers(header::CONTENT_DISPOSITION, value));
            assert_eq!(name.as_ref().map(|(_, name)| name.as_str()), expected, "{value}");
        }
    }
}
