//! Ways to build it wrong.

/// A mistake that the model is given on purpose, to show that its properties notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The store takes a write under any epoch.
    FenceIgnored,
    /// A sandbox obeys whoever comes.
    SandboxIgnoresEpoch,
    /// The way out does not ask for the lease.
    WayOutUnchecked,
    /// A pull request is opened without looking its key up.
    PullRequestNotLookedUp,
    /// A push does not say where it expects the branch.
    PushBlind,
    /// The branch is pushed before its commit is on record.
    PushBeforeNote,
    /// The result of a step and the end of its action are two transactions.
    TwoTransactions,
    /// A lost attempt is forgotten.
    AttemptsForgotten,
    /// A take-over does not compare the beat that it saw.
    TakeOverWithoutCompare,
    /// A passing failure after the commit was noted fails the run, so that the step is worked on again.
    CommittedRunFails,
    /// An action that is given up as poison leaves the run of its last attempt as it is.
    PoisonLeavesRun,
    /// A server never looks at leases in its own name, though none of its workers may know of them.
    OwnLeasesUnwatched,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::FenceIgnored,
        Self::SandboxIgnoresEpoch,
        Self::WayOutUnchecked,
        Self::PullRequestNotLookedUp,
        Self::PushBlind,
        Self::PushBeforeNote,
        Self::TwoTransactions,
        Self::AttemptsForgotten,
        Self::TakeOverWithoutCompare,
        Self::CommittedRunFails,
        Self::PoisonLeavesRun,
        Self::OwnLeasesUnwatched,
    ];
}
