//! What a request says of the form of its body.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use service::{Problem, Result};

/// The media type of the body, in lower case and without its parameters (RFC 9110 §8.3.1); nothing
/// where the request does not say one.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    (!essence.is_empty()).then(|| essence.to_ascii_lowercase())
}

/// 415: a body of this kind is not taken.
pub(crate) fn unsupported(detail: String) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
}

/// Refuses with 415 a body that is compressed or encoded in another way (RFC 9110 §8.4, §12.5.3).
pub(crate) fn check_coding(headers: &HeaderMap) -> Result<()> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    for coding in codings.map(|coding| String::from_utf8_lossy(coding.trim_ascii())) {
        if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
            let detail = format!("the Content-Encoding {coding:?} is not taken: send it as it is");
            return Err(unsupported(detail)
                .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
        }
    }
    Ok(())
}
