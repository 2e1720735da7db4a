//! An AWS endpoint that writes down what it is asked.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode},
};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

/// An endpoint that gives every request the same answer.
#[derive(Debug, Clone)]
pub struct Recorder {
    url: String,
    status: StatusCode,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path, decoded.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Recorder {
    /// Starts an endpoint that answers with `status` and nothing else.
    ///
    /// # Panics
    /// If there is no port, or no such status.
    pub async fn start(status: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a port");
        let url = format!("http://{}", listener.local_addr().expect("is bound"));
        let status = StatusCode::from_u16(status).expect("is a status");
        let recorder = Self { url, status, calls: Arc::default() };
        let router = Router::new()
            .fallback(record)
            .layer(DefaultBodyLimit::disable())
            .with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        recorder
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn record(State(recorder): State<Recorder>, request: Request) -> StatusCode {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
    let call = Call { method: head.method.to_string(), path, headers: head.headers, body };
    recorder.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    recorder.status
}
