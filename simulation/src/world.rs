//! Servers of the real engine on one record under virtual time, with seeded faults; what happened is written down outside
//! of them, and judged by that alone.
//!
//! The same seed gives the same history to the last line: there is one thread, time is paused, and every choice comes
//! from the seed.

mod checks;
mod forge;
mod history;
mod node;
mod script;
mod stage;
mod wire;

pub use checks::Violation;
pub use history::Fact;
pub use stage::{Outcome, Plan, Rates, run, tools};

/// A mistake that a simulation is given on purpose, to show that its checks notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The store takes a write under any epoch.
    FenceIgnored,
    /// A claim does not tell how many attempts were lost.
    AttemptsForgotten,
    /// Leases are judged by the wall clock.
    WallClockLease,
    /// The result of a step and the end of its action are two transactions.
    TwoTransactions,
    /// A viewer subscribes after it looked, and nothing bounds its wait.
    SubscribeAfterSnapshot,
    /// A pull request is opened without looking its key up.
    PullRequestNotLookedUp,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FenceIgnored,
        Self::AttemptsForgotten,
        Self::WallClockLease,
        Self::TwoTransactions,
        Self::SubscribeAfterSnapshot,
        Self::PullRequestNotLookedUp,
    ];
}
