//! Reads what a client sends: not from one that is too slow, and to the end if its answer is ready
//! before.
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
    http::header,
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use super::pace::Pace;

/// How much is read for nothing. A client that sends more than that sees the reset.
const LIMIT: usize = 64 * 1024 * 1024;

/// How long is read for nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body that two can hold: the handler, and the code here that reads what the handler left.
#[derive(Clone)]
struct Shared(Arc<Mutex<Received>>);

/// A body that breaks off when its client sends nothing, or too little, for too long. `tower-http`
/// has one as well, which does not tell how long a body is, nor that it is empty, and uploads ask
/// for both.
struct Received {
    body: Body,
    pace: Pace,
    /// Whether any of it was asked for.
    is_wanted: bool,
}

/// `patience` is how long a client may send nothing, or less than the least rate, in the middle of a
/// body: it would hold its place for ever.
pub(super) async fn linger(
    State(patience): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let waits = head.headers.contains_key(header::EXPECT);
    let received = Received { body, pace: Pace::new(patience), is_wanted: false };
    let mut shared = Shared(Arc::new(Mutex::new(received)));
    let response = next.run(Request::from_parts(head, Body::new(shared.clone()))).await;
    // The client waits to be told to send the body (RFC 9110 §10.1.1), and reading would tell it so.
    if waits && !shared.is_wanted() {
        return response;
    }
    // Either way the answer goes out: this is for the client's sake only.
    let _ = tokio::time::timeout(PATIENCE, shared.drain()).await;
    response
}

impl Shared {
    fn is_wanted(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_wanted
    }

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
        received.is_wanted = true;
        if let Poll::Ready(frame) = Pin::new(&mut received.body).poll_frame(context) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            received.pace.moved(data.map_or(0, Bytes::len));
            return Poll::Ready(frame);
        }
        let too_slow = || axum::Error::new(io::Error::from(io::ErrorKind::TimedOut));
        received.pace.poll_too_slow(context).map(|()| Some(Err(too_slow())))
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).body.size_hint()
    }
}
