//! Reads what a client is still sending when its answer is ready.
//!
//! A connection that is closed with bytes unread is reset, and a client that is busy writing sees
//! that, not the 401 or 413 that came before.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// How much is read for nothing. Whoever sends more than that sees the reset.
const LIMIT: usize = 64 * 1024 * 1024;

/// How long is read for nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body that two can hold: the handler, and whoever reads what it left.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

pub(crate) async fn linger(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let mut shared = Shared(Arc::new(Mutex::new(body)));
    let response = next.run(Request::from_parts(head, Body::new(shared.clone()))).await;
    // Either way the answer goes out: this is for the client's sake only.
    let _ = tokio::time::timeout(PATIENCE, shared.drain()).await;
    response
}

impl Shared {
    async fn drain(&mut self) {
        let mut read = 0;
        while read < LIMIT && !self.is_end_stream() {
            let Some(Ok(frame)) = self.frame().await else { return };
            read += frame.data_ref().map_or(0, Bytes::len);
        }
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
