//! Bodies that are too large by their own account are refused before any of them is sent.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use headers::{ContentLength, HeaderMapExt};
use service::{Problem, Result};

use crate::Config;

/// How much a body may hold besides the file: the other fields of JSON or of a form.
const ENVELOPE_LIMIT: u64 = 1024 * 1024;

/// Refuses a request whose `Content-Length` is above what any handler takes. A client that sends
/// `Expect: 100-continue` (RFC 9110 §10.1.1) hears of it instead of the 100.
pub(crate) async fn check(
    State(config): State<Arc<Config>>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let limit = config.request_limit();
    let headers = request.headers();
    let content_type = headers.get(header::CONTENT_TYPE);
    let is_audio = content_type.is_some_and(|value| value.as_bytes().starts_with(b"audio/"));
    // Base64 takes a third more than the file, and line breaks a little beside that.
    let most = if is_audio { limit } else { limit.saturating_add(limit / 2 + ENVELOPE_LIMIT) };
    match headers.typed_get::<ContentLength>() {
        Some(ContentLength(length)) if length > most => Err(Problem::too_large(limit)),
        _ => Ok(next.run(request).await),
    }
}
