//! Answers that say what went wrong: `application/problem+json` (RFC 9457).

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// What a handler returns.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// How long a client is asked to wait before it tries again what failed for our reasons.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The same where an operator or the removal of songs has to make room first.
const RETRY_AFTER_ROOM: Duration = Duration::from_mins(1);

/// An error as a client sees it. Nothing in it is internal: what is, goes to the log.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of `kind` (a word that a program can rely on), told in `detail` to a person.
    #[must_use]
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, kind, detail: detail.into(), headers: Vec::new() }
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// 404: there is no such thing, or cannot be.
    #[must_use]
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// 413: more bytes than `limit`.
    #[must_use]
    pub fn too_large(limit: u64) -> Self {
        let detail = format!("the limit is {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// 500: our fault. `cause` is logged, not told.
    pub fn internal(cause: impl std::error::Error) -> Self {
        tracing::error!(error = chain(&cause), "request failed");
        let detail = "something went wrong here; the log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).retry_after(RETRY_AFTER)
    }

    /// 503: not now. `detail` says what of.
    #[must_use]
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(RETRY_AFTER)
    }

    /// 507: there is no room for what was sent. `detail` says where.
    #[must_use]
    pub fn insufficient_storage(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "insufficient-storage", detail)
            .retry_after(RETRY_AFTER_ROOM)
    }

    /// Sets a header of the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
        self
    }

    /// Asks the client to wait so long, in whole seconds (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        self.header(header::RETRY_AFTER, wait.as_secs().max(1))
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Unavailable(_) => {
                tracing::warn!(error = chain(&error), "database unavailable");
                Self::unavailable("the database does not answer")
            }
            store::Error::Full(_) => {
                tracing::warn!(error = chain(&error), "database full");
                Self::insufficient_storage("the database has no room left: remove songs first")
            }
            // The store has logged it. Trying again does not help.
            store::Error::Corrupt { .. } => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "corrupt",
                "the stored bytes are not as they were written; the log says which",
            ),
            _ => Self::internal(error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:segue:problem:{}", self.kind),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

/// An error and its sources, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_set_again_replaces_the_first() {
        let problem = Problem::unavailable("busy").retry_after(Duration::from_mins(1));
        let response = problem.into_response();
        let values: Vec<_> = response.headers().get_all(header::RETRY_AFTER).iter().collect();
        assert_eq!(values, ["60"]);
    }
}
