//! How many connections there may be.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// What one customer of a network has: an IPv4 address, or the first 64 bits of an IPv6 one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::from((address.to_bits() >> 64 << 64).to_be_bytes()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Counts connections, in all and by network.
#[derive(Debug)]
pub struct Places {
    most: usize,
    per_network: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// One connection's place, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    network: IpAddr,
}

impl Places {
    /// So many at once, and so many of one network.
    pub fn new(most: usize, per_network: usize) -> Arc<Self> {
        Arc::new(Self { most, per_network, taken: Mutex::default() })
    }

    /// A place for a peer, if there is one; only the number in all limits one that is `trusted`.
    pub fn take(self: &Arc<Self>, peer: IpAddr, trusted: bool) -> Option<Place> {
        let network = network(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_network = taken.by_network.get(&network).copied().unwrap_or(0);
        if taken.all >= self.most || (!trusted && of_network >= self.per_network) {
            return None;
        }
        taken.all += 1;
        taken.by_network.insert(network, of_network + 1);
        Some(Place { places: Arc::clone(self), network })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        match taken.by_network.get_mut(&self.network) {
            Some(count) if *count > 1 => *count -= 1,
            _ => _ = taken.by_network.remove(&self.network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_network_and_in_all_and_come_free() {
        let places = Places::new(4, 2);
        let from = |n: u8| IpAddr::from([10, 0, 0, n]);
        let (one, two) = (places.take(from(1), false), places.take(from(1), false));
        assert!(one.is_some() && two.is_some() && places.take(from(1), false).is_none());
        let mapped = "::ffff:10.0.0.1".parse().expect("an address");
        assert!(places.take(mapped, false).is_none(), "the same address by another name");
        let proxy = places.take(from(1), true);
        assert!(proxy.is_some(), "a proxy brings many");
        let other = places.take(from(2), false);
        assert!(other.is_some() && places.take(from(3), true).is_none(), "four in all");
        drop((one, proxy, two, other));
        let taken = places.taken.lock().expect("no test panicked");
        assert!(taken.all == 0 && taken.by_network.is_empty(), "{taken:?}");
    }
}
