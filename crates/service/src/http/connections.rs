//! How many connections there may be: from one address, and in all.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts as an open connection until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, open: Mutex::default() })
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = subscriber(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.most {
            return None;
        }
        let own = open.by_address.entry(address).or_default();
        if *own >= self.most_per_address {
            return None;
        }
        *own += 1;
        open.all += 1;
        Some(Place { connections: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(own) = open.by_address.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                open.by_address.remove(&self.address);
            }
        }
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
        let first = connections.admit(address("192.0.2.1")).expect("there is room");
        let _second = connections.admit(address("::ffff:192.0.2.1")).expect("there is room");
        assert!(connections.admit(address("192.0.2.1")).is_none(), "it has two");
        let _third = connections.admit(address("192.0.2.2")).expect("there is room");
        assert!(connections.admit(address("192.0.2.3")).is_none(), "there are three");
        drop(first);
        assert!(connections.admit(address("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let connections = Connections::new(9, 1);
        let _one = connections.admit(address("2001:db8::1")).expect("there is room");
        assert!(connections.admit(address("2001:db8::ffff:2")).is_none());
        assert!(connections.admit(address("2001:db8:0:1::1")).is_some());
    }
}
