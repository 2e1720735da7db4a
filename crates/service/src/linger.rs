//! Reads what a client sends: not for ever if it says nothing more, and to the end if its answer is
//! ready before.
//!
//! A connection that is closed with bytes unread is reset, and a client that is busy writing sees
//! that, not the 401 or 413 that came before.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};

/// How much is read for nothing. Whoever sends more than that sees the reset.
const LIMIT: usize = 64 * 1024 * 1024;

/// How long is read for nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body that two can hold: the handler, and whoever reads what it left.
#[derive(Clone)]
struct Shared(Arc<Mutex<Received>>);

/// A body that breaks off when its client stops sending. `tower-http` has one as well, which does
/// not tell how long a body is, nor that it is empty, and uploads ask for both.
struct Received {
    body: Body,
    /// How long the client may say nothing.
    silence: Duration,
    /// Runs while it does.
    timer: Option<Pin<Box<Sleep>>>,
}

/// `silence` is how long a client may say nothing in the middle of a body: one that went away
/// without a word would hold its place for ever.
pub(crate) async fn linger(
    State(silence): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let received = Received { body, silence, timer: None };
    let mut shared = Shared(Arc::new(Mutex::new(received)));
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
        let mut received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Received { body, silence, timer } = &mut *received;
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
            *timer = None;
            return Poll::Ready(frame);
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(*silence)));
        let silent = || axum::Error::new(io::Error::from(io::ErrorKind::TimedOut));
        timer.as_mut().poll(context).map(|()| Some(Err(silent())))
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint()
    }
}
