//! How often somebody may try to come in.

use crate::listen::network;
use governor::{Quota, RateLimiter, clock::Clock as _, clock::DefaultClock, state::keyed::HashMapStateStore};
use std::{net::IpAddr, num::NonZeroU32, time::Duration};

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// Limits by mail address, so that many machines cannot guess one password, and by network, so that one machine cannot
/// try many names. An IPv6 network is its first 64 bits, which is what one customer has.
pub struct Brake {
    by_name: Limiter<String>,
    by_network: Limiter<IpAddr>,
}

impl std::fmt::Debug for Brake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Brake")
    }
}

/// How long to wait before the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany(pub Duration);

impl Brake {
    /// Ten attempts at once for a name, then one every 30 s; thirty for a network, then one every 2 s.
    pub fn new() -> Self {
        let quota = |every: u64, burst: u32| {
            let quota = Quota::with_period(Duration::from_secs(every)).expect("a period that is not zero");
            quota.allow_burst(NonZeroU32::new(burst).expect("not zero"))
        };
        Self { by_name: RateLimiter::hashmap(quota(30, 10)), by_network: RateLimiter::hashmap(quota(2, 30)) }
    }

    /// Counts an attempt on a name, from an address, as far as they are known.
    pub fn attempt(&self, name: Option<&str>, from: Option<IpAddr>) -> Result<(), TooMany> {
        let now = DefaultClock::default().now();
        // Whoever is not seen for a while has all attempts again and needs no entry.
        if self.by_name.len() + self.by_network.len() > 10_000 {
            self.by_name.retain_recent();
            self.by_network.retain_recent();
        }
        if let Some(from) = from {
            let network = network(from);
            self.by_network.check_key(&network).map_err(|not_until| TooMany(not_until.wait_time_from(now)))?;
        }
        if let Some(name) = name {
            let name: String = name.trim().to_lowercase().chars().take(320).collect();
            self.by_name.check_key(&name).map_err(|not_until| TooMany(not_until.wait_time_from(now)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_from_everywhere_and_many_names_from_one_network() {
        let brake = Brake::new();
        let from = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        for n in 0..10 {
            brake.attempt(Some(if n % 2 == 0 { "ada@x" } else { " ADA@x" }), from(n)).expect("the first ten");
        }
        assert!(brake.attempt(Some("ada@x"), from(99)).is_err(), "whatever the address");
        assert!(brake.attempt(Some("ada@x"), None).is_err(), "and without one");
        brake.attempt(Some("grace@x"), from(99)).expect("another name");
        let one_of = |n: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 1, n, n, n, n]));
        for n in 0..30 {
            brake.attempt(Some(&format!("{n}@x")), one_of(n)).expect("the first thirty");
        }
        let TooMany(wait) = brake.attempt(Some("another@x"), one_of(99)).expect_err("the same network");
        assert!(wait <= Duration::from_secs(2), "{wait:?}");
    }
}
