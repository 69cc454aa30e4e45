//! How many refusals the audit log has room for.

use domain::{Deed, DoerKind};
use governor::{Quota, RateLimiter, clock::DefaultClock, state::keyed::HashMapStateStore};
use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How many refusals are written down, so that nobody fills the disk with them: a hundred of strangers at once, then one
/// every ten seconds; twenty of somebody who came in, then one a minute. The next that is tells of those that were not.
pub struct Refusals {
    strangers: RateLimiter<(), HashMapStateStore<()>, DefaultClock>,
    callers: RateLimiter<String, HashMapStateStore<String>, DefaultClock>,
    unwritten: AtomicU64,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusals")
    }
}

impl Refusals {
    pub fn new() -> Self {
        let quota = |every: u64, burst: u32| {
            let quota = Quota::with_period(Duration::from_secs(every)).expect("a period that is not zero");
            quota.allow_burst(NonZeroU32::new(burst).expect("not zero"))
        };
        Self {
            strangers: RateLimiter::hashmap(quota(10, 100)),
            callers: RateLimiter::hashmap(quota(60, 20)),
            unwritten: AtomicU64::new(0),
        }
    }

    /// Whether one more is written down, and how many before it were not.
    pub fn one_more(&self, deed: &Deed) -> Option<u64> {
        let fits = match deed.kind {
            DoerKind::Stranger => self.strangers.check_key(&()).is_ok(),
            // There are no more of them than the account has people and tokens.
            _ => self.callers.check_key(&deed.actor).is_ok(),
        };
        if fits {
            return Some(self.unwritten.swap(0, Ordering::Relaxed));
        }
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        None
    }
}
