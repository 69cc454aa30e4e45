//! Many simulations, on every processor, and how often what they are for was met.

use super::{
    history::Fact,
    stage::{Outcome, Plan, run},
};
use anyhow::Result;
use engine::simulation::Tools;
use parking_lot::Mutex;
use std::{
    fmt,
    ops::{AddAssign, Range},
    sync::atomic::{AtomicU64, Ordering},
};

/// How often each kind of trouble was met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Servers that died.
    pub crashes: u64,
    /// Servers that stood still for a while.
    pub pauses: u64,
    /// Leases that were taken over.
    pub takeovers: u64,
    /// Writes that were refused because of their epoch.
    pub fenced: u64,
    /// Stops that were put on record.
    pub stops: u64,
    /// Runs that ended as stopped.
    pub stopped: u64,
    /// Agents that were gone on with by another attempt.
    pub adoptions: u64,
    /// What people asked for.
    pub asked: u64,
    /// Messages that were acknowledged.
    pub told: u64,
    /// Branches that were moved.
    pub pushes: u64,
}

impl Tally {
    /// What one simulation met.
    pub fn of(outcome: &Outcome) -> Self {
        let mut tally = Self::default();
        for (_, fact) in &outcome.history {
            match fact {
                Fact::Crashed(_) => tally.crashes += 1,
                Fact::Paused(..) => tally.pauses += 1,
                Fact::Expired(..) => tally.takeovers += 1,
                Fact::Fenced(..) => tally.fenced += 1,
                Fact::StopAsked { .. } => tally.stops += 1,
                Fact::Stopped(..) => tally.stopped += 1,
                Fact::Adopted { .. } => tally.adoptions += 1,
                Fact::Asked(_) => tally.asked += 1,
                Fact::Told(..) => tally.told += 1,
                Fact::Pushed { .. } => tally.pushes += 1,
                _ => {}
            }
        }
        tally
    }

    fn counts(&self) -> [(&'static str, u64); 10] {
        [
            ("crashes", self.crashes),
            ("pauses", self.pauses),
            ("take-overs", self.takeovers),
            ("fenced calls", self.fenced),
            ("stops", self.stops),
            ("stopped runs", self.stopped),
            ("adoptions", self.adoptions),
            ("requests", self.asked),
            ("messages", self.told),
            ("pushes", self.pushes),
        ]
    }

    /// What was never met: then nothing was shown about it.
    pub fn unmet(&self) -> Vec<&'static str> {
        self.counts().into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.crashes += other.crashes;
        self.pauses += other.pauses;
        self.takeovers += other.takeovers;
        self.fenced += other.fenced;
        self.stops += other.stops;
        self.stopped += other.stopped;
        self.adoptions += other.adoptions;
        self.asked += other.asked;
        self.told += other.told;
        self.pushes += other.pushes;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts().map(|(name, count)| format!("{count} {name}"));
        f.write_str(&counts.join(", "))
    }
}

/// Runs the plan of each seed; `each` hears of every outcome, from several threads and in no order.
pub fn many(
    seeds: Range<u64>,
    plan: impl Fn(u64) -> Plan + Sync,
    tools: &Tools,
    each: impl Fn(u64, &Outcome) + Sync,
) -> Result<Tally> {
    let (next, met) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()));
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return Ok(());
            }
            let outcome = run(plan(seed), tools)?;
            *met.lock() += Tally::of(&outcome);
            each(seed, &outcome);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let ended: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        started.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for thread in ended {
        thread.map_err(|panic| std::panic::resume_unwind(panic)).unwrap_or(Ok(()))?;
    }
    let met = *met.lock();
    Ok(met)
}
