//! Requests to a router without a network, for tests.

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// A request that is being put together.
pub struct Call<'a> {
    app: &'a Router,
    request: axum::http::request::Builder,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl<'a> Call<'a> {
    /// A request to `app`.
    #[must_use]
    pub fn new(app: &'a Router, method: Method, path: &str) -> Self {
        Self { app, request: Request::builder().method(method).uri(path) }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(app: &'a Router, path: &str) -> Self {
        Self::new(app, Method::GET, path)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sends it with a body.
    ///
    /// # Panics
    /// If the request is malformed, or the answer's body breaks off.
    pub async fn send(self, body: impl Into<Body>) -> Answer {
        let request = self.request.body(body.into()).expect("is a request");
        let Ok(response) = self.app.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the answer is whole").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends it without a body.
    pub async fn empty(self) -> Answer {
        self.send(Body::empty()).await
    }
}

impl Answer {
    /// A header's value, or an empty text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("is text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("is JSON")
    }

    /// The kind of problem that it is.
    ///
    /// # Panics
    /// If it is none, or one that is not told as RFC 9457 and our contract want it.
    #[must_use]
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store");
        let json = self.json();
        assert_eq!(json["status"], self.status.as_u16());
        assert!(json["title"].is_string() && json["detail"].is_string(), "{json}");
        let kind = json["type"].as_str().expect("has a type");
        kind.strip_prefix("urn:segue:problem:").expect("is one of ours").to_owned()
    }
}
