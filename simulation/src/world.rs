//! Servers of the real engine on one record under virtual time, with seeded faults; what happened is written down outside
//! of them, and judged by that alone.
//!
//! The same seed gives the same history to the last line: there is one thread, time is paused, and every choice comes
//! from the seed.

mod checks;
mod forge;
mod history;
mod many;
mod node;
mod people;
mod sandboxes;
mod script;
mod stage;
mod wire;

pub use checks::Violation;
pub use history::Fact;
pub use many::{Tally, many};
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
    /// Who claims an action that was to be stopped does not hear of that.
    StopForgotten,
    /// Who goes on with a run starts an agent beside the one that lives.
    SecondAgent,
    /// A sandbox does not end when nobody renews it.
    SandboxOutlivesLease,
    /// A commit is pushed before it is on record.
    PushBeforeNote,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::FenceIgnored,
        Self::AttemptsForgotten,
        Self::WallClockLease,
        Self::TwoTransactions,
        Self::SubscribeAfterSnapshot,
        Self::PullRequestNotLookedUp,
        Self::StopForgotten,
        Self::SecondAgent,
        Self::SandboxOutlivesLease,
        Self::PushBeforeNote,
    ];
}
