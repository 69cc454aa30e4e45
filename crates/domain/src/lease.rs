//! The right to work on something until a deadline, judged without any wall clock.

use crate::ServerId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who may work on a session now.
///
/// The owner raises `beat` at a steady pace; `epoch` rises with every change of owner and fences what an earlier owner
/// still tries to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The server that holds it.
    pub owner: ServerId,
    /// Rises by one with every new holder; never falls.
    pub epoch: i64,
    /// Rises while the holder lives.
    pub beat: i64,
}

/// A challenger's view of somebody else's lease: it may be taken over only when the same `(epoch, beat)` was seen for
/// `patience` on the challenger's own monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Watcher {
    seen: Lease,
    since: Duration,
}

impl Watcher {
    /// Starts to watch at monotonic time `now`.
    pub fn new(lease: Lease, now: Duration) -> Self {
        Self { seen: lease, since: now }
    }

    /// Takes in what the lease is at monotonic time `now`; true when its holder has been silent for `patience`.
    pub fn observe(&mut self, lease: Lease, now: Duration, patience: Duration) -> bool {
        if (lease.epoch, lease.beat) != (self.seen.epoch, self.seen.beat) {
            *self = Self::new(lease, now);
            return false;
        }
        now.saturating_sub(self.since) >= patience
    }

    /// The lease as it was last seen: what the take-over compares with.
    pub fn seen(&self) -> Lease {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn lease(epoch: i64, beat: i64) -> Lease {
        Lease { owner: ServerId(Uuid::nil()), epoch, beat }
    }

    #[test]
    fn a_beating_lease_is_never_taken_and_a_silent_one_is() {
        let patience = Duration::from_secs(15);
        let mut watcher = Watcher::new(lease(1, 0), Duration::ZERO);
        for second in 1..100 {
            let beat = i64::try_from(second / 14).expect("small");
            assert!(!watcher.observe(lease(1, beat), Duration::from_secs(second), patience), "second {second}");
        }
        assert!(!watcher.observe(lease(1, 7), Duration::from_secs(112), patience));
        assert!(watcher.observe(lease(1, 7), Duration::from_secs(113), patience));
    }

    #[test]
    fn a_new_epoch_starts_the_wait_again() {
        let patience = Duration::from_secs(15);
        let mut watcher = Watcher::new(lease(1, 7), Duration::ZERO);
        assert!(!watcher.observe(lease(2, 7), Duration::from_secs(20), patience));
        assert!(!watcher.observe(lease(2, 7), Duration::from_secs(34), patience));
        assert!(watcher.observe(lease(2, 7), Duration::from_secs(35), patience));
    }
}
