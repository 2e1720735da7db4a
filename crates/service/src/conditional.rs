//! Conditional and range requests (RFC 9110 §13, §14) for representations whose size is known.

use std::ops::Range;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use headers::{ContentRange, ETag, HeaderMapExt, IfMatch, IfNoneMatch};

use crate::Problem;

/// Which part of a representation answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// None: the client has it (304).
    NotModified,
    /// All of it (200).
    Whole,
    /// These bytes (206).
    Part(Range<u64>),
    /// None: it ends before what was asked for begins (416).
    Unsatisfiable,
}

/// What to send of a representation of `length` bytes. A range is for GET only (RFC 9110 §14.2).
///
/// More than one range is answered with the whole, as RFC 9110 §14.2 allows: no player asks for it.
#[must_use]
pub fn select(method: &Method, request: &HeaderMap, etag: &ETag, length: u64) -> Selection {
    if is_not_modified(request, etag) {
        return Selection::NotModified;
    }
    // An `If-Range` that does not hold makes the range go away. A date never holds: we send none.
    let valid = request.get(header::IF_RANGE).is_none_or(|value| {
        value.to_str().ok().and_then(|text| text.parse::<ETag>().ok()).as_ref() == Some(etag)
    });
    let range = request.get(header::RANGE).filter(|_| valid && *method == Method::GET);
    range
        .and_then(|value| value.to_str().ok())
        .map_or(Selection::Whole, |range| single_range(range, length))
}

/// What a `Range` header's value selects of `length` bytes. One that is malformed, or of another
/// unit, is ignored (RFC 9110 §14.2).
fn single_range(value: &str, length: u64) -> Selection {
    let Some((first, last)) =
        value.strip_prefix("bytes=").and_then(|spec| spec.trim().split_once('-'))
    else {
        return Selection::Whole;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Selection::Whole;
    }
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..length.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(suffix)) if first.is_empty() => length.saturating_sub(suffix)..length,
        _ => return Selection::Whole,
    };
    if range.is_empty() { Selection::Unsatisfiable } else { Selection::Part(range) }
}

/// Whether the client already has the representation (`If-None-Match`).
#[must_use]
pub fn is_not_modified(request: &HeaderMap, etag: &ETag) -> bool {
    request.typed_get::<IfNoneMatch>().is_some_and(|condition| !condition.precondition_passes(etag))
}

/// Refuses with 412 what is conditional on another state than the present one (`If-Match`).
pub fn check_match(request: &HeaderMap, etag: &ETag) -> Result<(), Problem> {
    match request.typed_get::<IfMatch>() {
        Some(condition) if !condition.precondition_passes(etag) => Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition-failed",
            "it has changed since; read it again",
        )),
        _ => Ok(()),
    }
}

/// The answer that `selection` stands for; `body` is called with the bytes to send, if any are.
pub fn respond(
    selection: Selection,
    etag: &ETag,
    length: u64,
    content_type: &'static str,
    cache_control: &'static str,
    body: impl FnOnce(Range<u64>) -> Body,
) -> Response {
    let (status, range) = match selection {
        Selection::NotModified => (StatusCode::NOT_MODIFIED, None),
        Selection::Whole => (StatusCode::OK, Some(0..length)),
        Selection::Part(range) => (StatusCode::PARTIAL_CONTENT, Some(range)),
        Selection::Unsatisfiable => {
            let detail = format!("there are {length} bytes");
            let mut response =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", detail)
                    .into_response();
            response.headers_mut().typed_insert(ContentRange::unsatisfied_bytes(length));
            return response;
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.typed_insert(etag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
    let Some(range) = range else { return response };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(value) = ContentRange::bytes(range.clone(), length)
    {
        headers.typed_insert(value);
    }
    *response.body_mut() = body(range);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(pairs: &[(header::HeaderName, &'static str)]) -> Selection {
        selected_by(&Method::GET, pairs)
    }

    fn selected_by(method: &Method, pairs: &[(header::HeaderName, &'static str)]) -> Selection {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        select(method, &headers, &"\"one\"".parse().expect("is an entity tag"), 100)
    }

    #[test]
    fn one_range_is_cut_to_what_there_is() {
        assert_eq!(selected(&[]), Selection::Whole);
        assert_eq!(selected(&[(header::RANGE, "bytes=0-0")]), Selection::Part(0..1));
        assert_eq!(selected(&[(header::RANGE, "bytes=90-200")]), Selection::Part(90..100));
        assert_eq!(selected(&[(header::RANGE, "bytes=-10")]), Selection::Part(90..100));
        assert_eq!(selected(&[(header::RANGE, "bytes=-1000")]), Selection::Part(0..100));
        assert_eq!(selected(&[(header::RANGE, "bytes=5-")]), Selection::Part(5..100));
    }

    #[test]
    fn a_range_means_something_to_get_only() {
        for range in ["bytes=0-0", "bytes=500-600"] {
            assert_eq!(selected_by(&Method::HEAD, &[(header::RANGE, range)]), Selection::Whole);
        }
    }

    #[test]
    fn what_begins_after_the_end_is_unsatisfiable() {
        assert_eq!(selected(&[(header::RANGE, "bytes=100-")]), Selection::Unsatisfiable);
        assert_eq!(selected(&[(header::RANGE, "bytes=500-600")]), Selection::Unsatisfiable);
        assert_eq!(selected(&[(header::RANGE, "bytes=-0")]), Selection::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_byte_range_is_answered_whole() {
        for value in
            ["bytes=1-2,5-6", "bytes=9-2", "pages=1-2", "bytes=x-", "bytes=-", "bytes=+1-2"]
        {
            assert_eq!(selected(&[(header::RANGE, value)]), Selection::Whole, "{value}");
        }
    }

    #[test]
    fn a_range_of_another_representation_is_not_sent() {
        let range = (header::RANGE, "bytes=0-0");
        assert_eq!(
            selected(&[range.clone(), (header::IF_RANGE, "\"one\"")]),
            Selection::Part(0..1)
        );
        for other in ["\"two\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(selected(&[range.clone(), (header::IF_RANGE, other)]), Selection::Whole);
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for value in ["\"one\"", "W/\"one\"", "\"zero\", \"one\"", "*"] {
            assert_eq!(
                selected(&[(header::IF_NONE_MATCH, value)]),
                Selection::NotModified,
                "{value}"
            );
        }
        assert_eq!(selected(&[(header::IF_NONE_MATCH, "\"two\"")]), Selection::Whole);
    }
}
