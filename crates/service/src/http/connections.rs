//! How many connections there may be: from one address, and in all.
//!
//! A connection that is idle costs its client nothing. So when there is no room, the one that has
//! been idle the longest makes room for a new one: half-sent heads keep no other client out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::Client;

/// How many of every four file descriptors connections may use. The others are for the database,
/// for files and for ffmpeg.
const SHARE_OF_FOUR: u64 = 3;

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_per_address: usize,
    open: Mutex<Open>,
}

/// Those that count. A connection that was told to close counts no more.
#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    by_id: HashMap<u64, (IpAddr, Connection)>,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection. Clones are the same connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    activity: Arc<Mutex<Activity>>,
    closed: CancellationToken,
}

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Activity {
    /// It waits for a whole head since then.
    Idle(Instant),
    /// A request is being handled.
    Busy,
    /// The body of the answer has ended, and may still be in a buffer.
    Answered,
    /// It has to make room for another connection, and takes no request any more.
    Closed,
}

/// Counts as an open connection until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
    address: IpAddr,
    connection: Connection,
}

impl Connections {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, open: Mutex::default() })
    }

    /// A place for a connection from `address`, if there is one or an idle connection can make room:
    /// one of the same address, if the address has too many.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = subscriber(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.by_address.get(&address).copied().unwrap_or_default();
        if own >= self.most_per_address {
            open.make_room(Some(address))?;
        } else if open.by_id.len() >= self.most {
            open.make_room(None)?;
        }
        let connection = Connection::new();
        let id = open.next_id;
        open.next_id += 1;
        open.by_id.insert(id, (address, connection.clone()));
        *open.by_address.entry(address).or_default() += 1;
        Some(Place { connections: Arc::clone(self), id, address, connection })
    }

    /// Closes all connections without a request under way.
    pub(super) fn close_idle(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, connection) in open.by_id.values() {
            connection.close();
        }
    }
}

impl Open {
    /// Closes the connection, of `address` if one is given, that has been idle the longest. `None` if
    /// all are busy.
    fn make_room(&mut self, address: Option<IpAddr>) -> Option<()> {
        loop {
            let candidates =
                self.by_id.iter().filter(|(_, (of, _))| address.is_none_or(|it| it == *of));
            let idle = candidates.filter_map(|(id, (_, it))| Some((it.idle_since()?, *id)));
            let (_, id) = idle.min()?;
            // A request may have come in since.
            let is_closed = self.by_id.get(&id).is_some_and(|(_, connection)| connection.close());
            if is_closed {
                self.remove(id);
                return Some(());
            }
        }
    }

    fn remove(&mut self, id: u64) {
        let Some((address, _)) = self.by_id.remove(&id) else { return };
        if let Some(own) = self.by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

impl Place {
    /// Who connected. All addresses of one subscriber are the same.
    pub(super) fn client(&self) -> Client {
        Client(self.address)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).remove(self.id);
    }
}

impl Connection {
    fn new() -> Self {
        let activity = Arc::new(Mutex::new(Activity::Idle(Instant::now())));
        Self { activity, closed: CancellationToken::new() }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_since(&self) -> Option<Instant> {
        match *self.activity() {
            Activity::Idle(since) => Some(since),
            _ => None,
        }
    }

    /// Closes the connection if it is idle. Returns whether it was.
    fn close(&self) -> bool {
        let mut activity = self.activity();
        let is_idle = matches!(*activity, Activity::Idle(_));
        if is_idle {
            *activity = Activity::Closed;
            self.closed.cancel();
        }
        is_idle
    }

    /// Resolves once the connection has to make room for another.
    pub(super) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// A request came in. The connection is busy until the answer was written after the guard is
    /// dropped. `None` if the connection is closed: the request must not be handled.
    pub(super) fn begin(&self) -> Option<Busy> {
        let mut activity = self.activity();
        if *activity == Activity::Closed {
            return None;
        }
        *activity = Activity::Busy;
        Some(Busy(self.clone()))
    }

    /// All that was to be written is with the kernel.
    pub(super) fn flushed(&self) {
        let mut activity = self.activity();
        if *activity == Activity::Answered {
            *activity = Activity::Idle(Instant::now());
        }
    }
}

/// Keeps its connection busy.
#[derive(Debug)]
pub(super) struct Busy(Connection);

impl Busy {
    /// `body`, which keeps the connection busy until it is dropped.
    pub(super) fn with(self, body: Body) -> Answer {
        Answer { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.activity() = Activity::Answered;
    }
}

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What one subscriber of a provider has: an IPv4 address, or an IPv6 network of 64 bits (RFC 6177).
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How many connections there may be: `wanted`, or as many as file descriptors allow. The limit on
/// these is raised as far as the system lets this process raise it.
pub(super) fn most(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let descriptors = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit on file descriptors stays as it is");
            limit.current
        }
    };
    let possible = descriptors.map_or(usize::MAX, |descriptors| {
        usize::try_from(descriptors / 4 * SHARE_OF_FOUR).unwrap_or(usize::MAX)
    });
    if possible < wanted {
        tracing::warn!(wanted, possible, "file descriptors allow fewer connections than wanted");
    }
    wanted.min(possible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("is an address")
    }

    #[test]
    fn one_address_leaves_room_for_others_and_gets_its_places_back() {
        let connections = Connections::new(3, 2);
        let busy = |from: &str| {
            let place = connections.admit(address(from))?;
            let busy = place.connection().begin().expect("is open");
            Some((place, busy))
        };
        let first = busy("192.0.2.1").expect("there is room");
        let _second = busy("::ffff:192.0.2.1").expect("there is room");
        assert!(busy("192.0.2.1").is_none(), "it has two");
        let _third = busy("192.0.2.2").expect("there is room");
        assert!(busy("192.0.2.3").is_none(), "there are three");
        drop(first);
        assert!(busy("192.0.2.1").is_some());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let connections = Connections::new(9, 1);
        let one = connections.admit(address("2001:db8::1")).expect("there is room");
        let _busy = one.connection().begin().expect("is open");
        assert!(connections.admit(address("2001:db8::ffff:2")).is_none());
        assert!(connections.admit(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn the_connection_that_is_idle_the_longest_makes_room() {
        let connections = Connections::new(3, 2);
        let admit = |from: &str| connections.admit(address(from)).expect("there is room");
        let is_closed = |place: &Place| place.connection().closed.is_cancelled();
        let other = admit("192.0.2.2");
        let first = admit("192.0.2.1");
        let second = admit("192.0.2.1");
        let busy = first.connection().begin().expect("is open");
        let third = admit("192.0.2.1");
        assert!(is_closed(&second), "it made room for one of its address");
        assert!(second.connection().begin().is_none(), "it takes no request any more");
        // Its answer is not written yet.
        drop(busy);
        let fourth = admit("192.0.2.1");
        assert!(is_closed(&third) && !is_closed(&first));
        first.connection().flushed();
        let _fifth = admit("192.0.2.1");
        assert!(is_closed(&fourth) && !is_closed(&first), "it is idle for a shorter time");
        let _sixth = admit("192.0.2.3");
        assert!(is_closed(&other), "there were three in all");
        // The places of those that were closed are given back once.
        drop((second, third, fourth, other));
        let open = connections.open.lock().expect("is not poisoned");
        assert_eq!((open.by_id.len(), open.by_address.values().sum::<usize>()), (3, 3));
    }
}
