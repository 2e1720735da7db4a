//! How much memory the bodies of answers take together.
//!
//! A client that does not read its answer leaves it in memory. What is sent from the store is read
//! only once there is room for it, and keeps its room until the last byte was written.

use std::{
    pin::Pin,
    sync::Arc,
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
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{Problem, Result};

/// How long a request waits for room before it is refused.
const WAIT: Duration = Duration::from_secs(5);

/// What one chunk of the store takes at most, in KiB.
#[expect(clippy::cast_possible_truncation, reason = "4 MiB")]
const CHUNK: u32 = (store::CHUNK_LIMIT / 1024) as u32;

/// What is written at a time.
const PIECE: usize = 64 * 1024;

/// Room for bodies, in KiB.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    /// Room for so many bytes, and for at least one chunk.
    pub(crate) fn new(bytes: u64) -> Self {
        let room = usize::try_from(bytes / 1024).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(room.clamp(CHUNK as usize, Semaphore::MAX_PERMITS))))
    }
}

fn full() -> Problem {
    Problem::unavailable("too many answers are being read too slowly")
}

/// For handlers whose answers hold a chunk of the store at a time: each is read once there is room.
pub(crate) async fn chunks(
    State(Budget(room)): State<Budget>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let room_for_one = Arc::clone(&room).acquire_many_owned(CHUNK);
    let Ok(Ok(share)) = timeout(WAIT, room_for_one).await else { return Err(full()) };
    Ok(held(next.run(request).await, room, share))
}

/// For all other handlers: an answer of more than a piece is refused if there is no room for it.
pub(crate) async fn whole(
    State(Budget(room)): State<Budget>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().unwrap_or(0);
    if size <= PIECE as u64 {
        return Ok(response);
    }
    let size = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    match Arc::clone(&room).try_acquire_many_owned(size) {
        Ok(share) => Ok(held(response, room, share)),
        Err(_) => Err(full()),
    }
}

fn held(response: Response, room: Arc<Semaphore>, share: OwnedSemaphorePermit) -> Response {
    if response.body().is_end_stream() {
        return response;
    }
    response.map(|body| {
        let share = Share::Held(share);
        Body::new(Pieces { body, chunk: Bytes::new(), room, share })
    })
}

/// A body in pieces, each of which keeps the room of its chunk until it is written.
struct Pieces {
    body: Body,
    /// What is left of the last chunk.
    chunk: Bytes,
    room: Arc<Semaphore>,
    share: Share,
}

type Acquired = std::result::Result<OwnedSemaphorePermit, AcquireError>;

/// The room for the next chunk.
enum Share {
    None,
    Awaited(Pin<Box<dyn Future<Output = Acquired> + Send>>),
    Held(OwnedSemaphorePermit),
}

/// A chunk, and its room.
struct Chunk {
    bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Pieces {
    /// Waits until there is room for the next chunk.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
        loop {
            self.share = match &mut self.share {
                Share::Held(_) => return Poll::Ready(Ok(())),
                Share::None => {
                    Share::Awaited(Box::pin(Arc::clone(&self.room).acquire_many_owned(CHUNK)))
                }
                Share::Awaited(room) => match std::task::ready!(room.as_mut().poll(context)) {
                    Ok(share) => Share::Held(share),
                    Err(error) => return Poll::Ready(Err(axum::Error::new(error))),
                },
            };
        }
    }

    /// Takes a chunk in. What it does not need of its room is free again.
    fn take(&mut self, bytes: Bytes) {
        let share = match std::mem::replace(&mut self.share, Share::None) {
            Share::Held(mut share) => share.split(bytes.len().div_ceil(1024)).or(Some(share)),
            _ => None,
        };
        self.chunk = Bytes::from_owner(Chunk { bytes, _share: share });
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        while this.chunk.is_empty() {
            if this.body.is_end_stream() {
                this.share = Share::None;
                return Poll::Ready(None);
            }
            if let Err(error) = std::task::ready!(this.poll_room(context)) {
                return Poll::Ready(Some(Err(error)));
            }
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => this.take(bytes),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => {
                    this.share = Share::None;
                    return Poll::Ready(ended);
                }
            }
        }
        let piece = this.chunk.split_to(this.chunk.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.chunk.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.chunk.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + left);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + left);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware::from_fn_with_state, routing::get};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    const SIZE: usize = 3 * PIECE + 1;

    fn app(budget: &Budget) -> Router {
        let handler = get(async || Body::from(vec![7; SIZE]));
        Router::new().route("/", handler.layer(from_fn_with_state(budget.clone(), chunks)))
    }

    async fn ask(app: &Router) -> Response {
        app.clone().oneshot(Request::new(Body::empty())).await.expect("answers")
    }

    #[tokio::test]
    async fn a_body_comes_in_pieces_and_is_the_same() {
        let response = ask(&app(&Budget::new(0))).await;
        assert_eq!(response.body().size_hint().exact(), Some(SIZE as u64));
        let mut body = response.into_body();
        let mut sizes = Vec::new();
        while let Some(frame) = body.frame().await {
            sizes.push(frame.expect("does not break off").into_data().expect("is data").len());
        }
        assert_eq!(sizes, [PIECE, PIECE, PIECE, 1]);
    }

    #[tokio::test]
    async fn a_chunk_keeps_its_room_until_its_last_piece_is_dropped() {
        let budget = Budget::new(0);
        let app = app(&budget);
        let free = || budget.0.available_permits();
        let mut body = ask(&app).await.into_body();
        assert_eq!(free(), 0, "there is room for one chunk");
        let first = body.frame().await.expect("has one").expect("does not break off");
        let needed = SIZE.div_ceil(1024);
        assert_eq!(free(), CHUNK as usize - needed, "it takes what it needs");
        drop(body);
        assert_eq!(free(), CHUNK as usize - needed, "a piece is still to be written");
        drop(first);
        assert_eq!(free(), CHUNK as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_finds_no_room_is_asked_to_come_again() {
        let app = app(&Budget::new(0));
        let unread = ask(&app).await;
        let refused = ask(&app).await;
        assert_eq!(refused.status(), 503);
        assert!(refused.headers().contains_key("retry-after"));
        drop(unread);
        assert_eq!(ask(&app).await.status(), 200);
    }
}
