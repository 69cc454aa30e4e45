//! Which life of which record this is, so that of a record that was restored from a backup only the newest life acts.

use crate::{Mint, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// By how much the epochs of all leases rise when a record is restored: more than an instance can reach that goes on
/// from the same backup, since each claim raises an epoch by one.
pub const EPOCHS_PER_GENERATION: i64 = 1 << 32;

/// The life of a record. Restoring a backup begins the next one; all that still runs of an earlier one must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The record: the same for all lives.
    pub record: Uuid,
    /// 1 for a record that never was restored; each restore raises it.
    pub number: i64,
    /// The life: a backup that is restored twice becomes two of the same number.
    pub instance: Uuid,
    /// When it began.
    pub since: Timestamp,
    /// When the backup was made that it began with.
    pub backed_up_at: Option<Timestamp>,
    /// True until it was looked up what had been done outside after the backup was made.
    pub unsettled: bool,
}

impl Generation {
    /// The first life of a new record.
    pub fn first(mint: &dyn Mint, now: Timestamp) -> Self {
        Self { record: mint.uuid(), number: 1, instance: mint.uuid(), since: now, backed_up_at: None, unsettled: false }
    }

    /// The life that begins when a backup of this one is restored. `seen` is the highest number that anything outside
    /// knows of.
    #[must_use]
    pub fn next(self, seen: i64, mint: &dyn Mint, backed_up_at: Timestamp, now: Timestamp) -> Self {
        Self {
            record: self.record,
            number: self.number.max(seen) + 1,
            instance: mint.uuid(),
            since: now,
            backed_up_at: Some(backed_up_at),
            unsettled: true,
        }
    }

    /// Whether this life has to end because `other`, a life of the same record, began after it.
    pub fn yields_to(&self, other: &Self) -> bool {
        self.record == other.record
            && self.instance != other.instance
            && (self.number, self.since, self.instance) < (other.number, other.since, other.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU64);

    impl Mint for Counting {
        fn uuid(&self) -> Uuid {
            Uuid::from_u128(u128::from(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        }
    }

    #[test]
    fn of_two_lives_exactly_one_yields() {
        let mint = Counting(1.into());
        let first = Generation::first(&mint, Timestamp(1));
        let restored = first.next(0, &mint, Timestamp(5), Timestamp(10));
        let same_number = first.next(0, &mint, Timestamp(5), Timestamp(10));
        let later = first.next(2, &mint, Timestamp(5), Timestamp(7));
        let lives = [first, restored, same_number, later];
        for (at, a) in lives.iter().enumerate() {
            assert!(!a.yields_to(a));
            for b in &lives[at + 1..] {
                assert!(a.yields_to(b) != b.yields_to(a), "{a:?} {b:?}");
            }
        }
        assert!(lives[..3].iter().all(|life| life.yields_to(&later)), "the highest number lives");
        assert_eq!(later.number, 3);
        let stranger = Generation { number: 9, ..Generation::first(&mint, Timestamp(99)) };
        assert!(!first.yields_to(&stranger), "another record is none of its business");
    }
}
