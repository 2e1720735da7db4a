//! How much memory the bodies of answers take together.
//!
//! A client that does not read its answer leaves it in memory. What is sent from the store is read
//! only once there is room for it, and keeps its room until the last byte was written. A client that
//! reads slowly keeps it for long, so one client gets half of the room at most.

use std::{
    collections::HashMap,
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, Weak},
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
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError},
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

/// Who asks, where clients connect to this process themselves: an extension of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);

/// Room for bodies, in KiB.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    all: Arc<Semaphore>,
    each: usize,
    clients: Arc<Mutex<HashMap<IpAddr, Weak<Semaphore>>>>,
}

impl Budget {
    /// Room for so many bytes, and for at least one chunk.
    pub(crate) fn new(bytes: u64) -> Self {
        let room = usize::try_from(bytes / 1024).unwrap_or(usize::MAX);
        let room = room.clamp(CHUNK as usize, Semaphore::MAX_PERMITS);
        let each = (room / 2).max(CHUNK as usize);
        Self { all: Arc::new(Semaphore::new(room)), each, clients: Arc::default() }
    }

    fn of(&self, request: &Request) -> Room {
        let own = request.extensions().get().map(|Client(address)| {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(own) = clients.get(address).and_then(Weak::upgrade) {
                return own;
            }
            clients.retain(|_, own| own.strong_count() > 0);
            let own = Arc::new(Semaphore::new(self.each));
            clients.insert(*address, Arc::downgrade(&own));
            own
        });
        Room { own, all: Arc::clone(&self.all) }
    }
}

/// The room that one client finds.
#[derive(Debug, Clone)]
struct Room {
    /// What the client may take itself.
    own: Option<Arc<Semaphore>>,
    all: Arc<Semaphore>,
}

/// Room that is taken, in KiB.
#[derive(Debug)]
struct Taken {
    own: Option<OwnedSemaphorePermit>,
    all: OwnedSemaphorePermit,
}

impl Room {
    /// Waits for room. The client's own comes first, so that its requests do not wait in the line of
    /// all clients for what it has itself.
    async fn take(self, size: u32) -> Result<Taken, AcquireError> {
        let own = match self.own {
            Some(own) => Some(own.acquire_many_owned(size).await?),
            None => None,
        };
        Ok(Taken { own, all: self.all.acquire_many_owned(size).await? })
    }

    /// Takes room if it is free.
    fn try_take(self, size: u32) -> Result<Taken, TryAcquireError> {
        let own = self.own.map(|own| own.try_acquire_many_owned(size)).transpose()?;
        Ok(Taken { own, all: self.all.try_acquire_many_owned(size)? })
    }
}

impl Taken {
    /// Keeps so much of it, or all if it is less. The rest is free again.
    fn keep(&mut self, size: usize) {
        for permit in self.own.iter_mut().chain([&mut self.all]) {
            drop(permit.split(permit.num_permits().saturating_sub(size)));
        }
    }
}

fn full() -> Problem {
    Problem::unavailable("too many answers are being read too slowly")
}

/// For handlers whose answers hold a chunk of the store at a time: each is read once there is room.
pub(crate) async fn chunks(
    State(budget): State<Budget>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let room = budget.of(&request);
    let Ok(Ok(share)) = timeout(WAIT, room.clone().take(CHUNK)).await else { return Err(full()) };
    Ok(held(next.run(request).await, room, share))
}

/// For all other handlers: an answer of more than a piece is refused if there is no room for it.
pub(crate) async fn whole(
    State(budget): State<Budget>,
    request: Request,
    next: Next,
) -> Result<Response> {
    let room = budget.of(&request);
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().unwrap_or(0);
    if size <= PIECE as u64 {
        return Ok(response);
    }
    let size = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    match room.clone().try_take(size) {
        Ok(share) => Ok(held(response, room, share)),
        Err(_) => Err(full()),
    }
}

fn held(response: Response, room: Room, share: Taken) -> Response {
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
    /// The bytes of the last chunk that are still to be sent.
    chunk: Bytes,
    room: Room,
    share: Share,
}

type Acquired = Result<Taken, AcquireError>;

/// The room for the next chunk.
enum Share {
    None,
    Awaited(Pin<Box<dyn Future<Output = Acquired> + Send>>),
    Held(Taken),
}

/// A chunk, and its room.
struct Chunk {
    bytes: Bytes,
    _share: Option<Taken>,
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
                Share::None => Share::Awaited(Box::pin(self.room.clone().take(CHUNK))),
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
            Share::Held(mut share) => {
                share.keep(bytes.len().div_ceil(1024));
                Some(share)
            }
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
        let free = || budget.all.available_permits();
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

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_leaves_room_for_others() {
        let app = app(&Budget::new(64 << 20));
        let ask = async |address: [u8; 4]| {
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(Client(address.into()));
            app.clone().oneshot(request).await.expect("answers")
        };
        let mut unread = Vec::new();
        loop {
            let answer = ask([192, 0, 2, 1]).await;
            if answer.status() != 200 {
                assert_eq!(answer.status(), 503);
                break;
            }
            let mut body = answer.into_body();
            // One piece of the chunk is on its way.
            unread.push((body.frame().await, body));
        }
        assert!(unread.len() > 100, "it has room for {} only", unread.len());
        assert_eq!(ask([192, 0, 2, 2]).await.status(), 200);
        drop(unread);
        assert_eq!(ask([192, 0, 2, 1]).await.status(), 200);
    }
}
