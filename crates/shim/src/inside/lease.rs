//! The deadline after which nothing of the sandbox may run.

use rustix::fs::{Mode, OFlags};
use shim::proto::Refusal;
use std::{
    io,
    os::fd::OwnedFd,
    process,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The file in the spool directory that says why the shim ended.
const ENDED: &str = "ended";

/// A deadline on this process's own monotonic clock.
pub struct Lease {
    shared: Arc<Shared>,
    spool: OwnedFd,
}

struct Shared {
    terms: Mutex<Terms>,
    changed: Condvar,
}

#[derive(Clone, Copy)]
struct Terms {
    epoch: i64,
    deadline: Instant,
}

impl Lease {
    /// Starts the watch.
    pub fn start(epoch: i64, ttl: Duration, spool: OwnedFd) -> io::Result<Self> {
        let terms = Terms { epoch, deadline: deadline(ttl) };
        let shared = Arc::new(Shared { terms: Mutex::new(terms), changed: Condvar::new() });
        let (watched, note_in) = (shared.clone(), spool.try_clone()?);
        super::spawn("lease", move || watch(&watched, &note_in))?;
        Ok(Self { shared, spool })
    }

    /// Moves the deadline. The epoch never falls.
    pub fn renew(&self, epoch: i64, ttl: Duration) -> Result<(), Refusal> {
        let mut terms = self.lock();
        if epoch < terms.epoch {
            return Err(Refusal::StaleEpoch { current: terms.epoch });
        }
        *terms = Terms { epoch, deadline: deadline(ttl) };
        drop(terms);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Takes in a client's epoch and gives the highest seen.
    pub fn greet(&self, epoch: i64) -> i64 {
        let mut terms = self.lock();
        terms.epoch = terms.epoch.max(epoch);
        terms.epoch
    }

    /// Refuses a client that was overtaken.
    pub fn check(&self, epoch: i64) -> Result<(), Refusal> {
        let current = self.lock().epoch;
        if epoch < current { Err(Refusal::StaleEpoch { current }) } else { Ok(()) }
    }

    /// Ends the sandbox on request.
    pub fn end(&self) -> ! {
        end(&self.spool, "shut down")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Terms> {
        self.shared.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Absurd lengths are cut to a year, so that the sum stays representable.
fn deadline(ttl: Duration) -> Instant {
    Instant::now() + ttl.min(Duration::from_hours(24 * 365))
}

fn watch(shared: &Shared, spool: &OwnedFd) {
    let mut terms = shared.terms.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = terms.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            end(spool, "its lease ran out");
        }
        terms = shared.changed.wait_timeout(terms, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn end(spool: &OwnedFd, why: &str) -> ! {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
    if let Ok(note) = rustix::fs::openat(spool, ENDED, flags, Mode::from_raw_mode(0o600)) {
        let _ = rustix::io::write(&note, why.as_bytes());
    }
    process::exit(0)
}
