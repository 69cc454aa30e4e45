//! What happened, written down outside of what is simulated.

use domain::{ActionId, CommitId, ExecId, Lease, RunId, ServerId, SessionId, StepId, Timestamp};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::time::Duration;
use tokio::time::Instant;

/// One thing that happened.
#[expect(missing_docs, reason = "the fields are named after the words of `domain`")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A server's life began.
    Started(ServerId),
    /// It died.
    Crashed(ServerId),
    /// It stood still until then.
    Paused(ServerId, Duration),
    /// An action was claimed: not before when it was to run, and the time on the claimant's wall clock.
    Claimed { session: SessionId, action: ActionId, lease: Lease, due: Timestamp, now: Timestamp },
    /// A beat was raised.
    Beat(SessionId, i64),
    /// A lease was taken over.
    Expired(SessionId, Lease),
    /// A lease was given back.
    Released(SessionId, i64),
    /// A commit under a lease was accepted.
    Committed { session: SessionId, owner: ServerId, epoch: i64, ended: Vec<ActionId>, completed: Vec<StepId> },
    /// It was refused because of its epoch.
    Fenced(SessionId, i64),
    /// A commit of a run was put on record.
    Noted(SessionId, CommitId),
    /// A session has events up to this number.
    Events(SessionId, i64),
    /// Work on a step began in an attempt at its action.
    Begun { session: SessionId, action: ActionId, step: StepId, run: RunId, epoch: i64 },
    /// A call of the agent was admitted.
    Called(SessionId, i64),
    /// A push moved a branch.
    Pushed { session: SessionId, from: Option<CommitId>, to: CommitId },
    /// The forge was asked for a pull request and made one.
    Opened(SessionId),
    /// A viewer saw an event.
    Seen { session: SessionId, viewer: usize, number: i64 },
    /// A person asked for something.
    Asked(String),
    /// A person was told that it is done.
    Acknowledged(String),
    /// A person said something, and was told that it was heard.
    Told(SessionId, String),
    /// A stop of an action was put on record.
    StopAsked { session: SessionId, action: ActionId },
    /// A run was stopped.
    Stopped(SessionId, RunId),
    /// An agent was started in a sandbox.
    AgentStarted { session: SessionId, run: RunId, exec: ExecId, epoch: i64 },
    /// It was found alive, or with its work done, by an attempt after the one that started it.
    Adopted { session: SessionId, run: RunId, exec: ExecId },
    /// One was started beside another in the same sandbox.
    AgentDoubled { session: SessionId, first: ExecId, second: ExecId },
    /// It ended, at that time.
    AgentEnded { session: SessionId, exec: ExecId, at: Duration },
}

/// Everything that happened, with when.
pub struct History {
    start: Instant,
    facts: Mutex<Vec<(Duration, Fact)>>,
}

impl History {
    /// An empty one that begins now.
    pub fn new() -> Self {
        Self { start: Instant::now(), facts: Mutex::default() }
    }

    /// Virtual time since the beginning.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// When an instant is, since the beginning.
    pub fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    /// Writes a fact down.
    pub fn add(&self, fact: Fact) {
        self.facts.lock().push((self.now(), fact));
    }

    /// All facts so far, in order.
    pub fn facts(&self) -> Vec<(Duration, Fact)> {
        self.facts.lock().clone()
    }

    /// A digest of all of it.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for fact in self.facts.lock().iter() {
            hasher.update(format!("{fact:?}\n"));
        }
        hex::encode(hasher.finalize())
    }
}
