//! What can be asked of a session, one at a time.

use crate::{ActionId, ChangeId, Refused, SessionId, StepId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// How many attempts of one action may be lost to crashes before it is poison.
pub const MAX_LOST_ATTEMPTS: i64 = 3;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ActionKind {
    /// Make the runbook from the request.
    Plan,
    /// Answer a message; the answer may be a new version of the runbook.
    Answer {
        /// What the person wrote.
        message: String,
    },
    /// Change the code of an open pull request as reviewers asked.
    Revise {
        /// The change whose branch gets the new commit.
        change: ChangeId,
        /// What is to be done, reviewers' comments included.
        instructions: String,
    },
    /// Mend a failing check of a pull request.
    Rework {
        /// The change whose check fails.
        change: ChangeId,
        /// The check and its log.
        instructions: String,
    },
    /// Execute one leaf.
    ExecuteStep {
        /// The leaf.
        step: StepId,
        /// The runbook's version when it was asked for.
        version: i64,
    },
    /// Take back a completed leaf.
    RevertStep {
        /// The leaf.
        step: StepId,
    },
    /// Bring a branch whose base moved in line again, with the agent's help.
    ResolveConflict {
        /// The change whose branch conflicts.
        change: ChangeId,
        /// The files that conflict.
        files: Vec<String>,
    },
    /// Open the pull request of what was done so far, or make the one-shot's draft ready.
    Finish,
}

impl ActionKind {
    /// The kind's name, as stored and shown.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Answer { .. } => "answer",
            Self::Revise { .. } => "revise",
            Self::Rework { .. } => "rework",
            Self::ExecuteStep { .. } => "execute_step",
            Self::RevertStep { .. } => "revert_step",
            Self::ResolveConflict { .. } => "resolve_conflict",
            Self::Finish => "finish",
        }
    }

    /// The leaf that it is about.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Self::ExecuteStep { step, .. } | Self::RevertStep { step } => Some(*step),
            _ => None,
        }
    }
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// It waits for its turn.
    Queued,
    /// A worker holds it.
    Running,
    /// It waits for a person; nobody works on it.
    Waiting,
    /// It is over, whatever came of it.
    Done,
    /// It was taken out of the queue before it started.
    Removed,
}

impl ActionState {
    /// The state after moving to `to`.
    pub fn next(self, to: Self) -> Result<Self, Refused> {
        use ActionState as S;
        match (self, to) {
            (S::Queued, S::Running | S::Removed | S::Done)
            | (S::Running, S::Waiting | S::Done | S::Queued)
            | (S::Waiting, S::Queued | S::Done) => Ok(to),
            _ => Err(Refused::new("action", &self, &to)),
        }
    }
}

/// One row of a session's queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Its id.
    pub id: ActionId,
    /// Whose action it is.
    pub session: SessionId,
    /// Its place in the session's queue: lower goes first.
    pub position: i64,
    /// What is asked.
    pub kind: ActionKind,
    /// Where it stands.
    pub state: ActionState,
    /// How many attempts began: raised in the transaction that claims it, so that a crash is counted.
    pub attempts: i64,
    /// How many of these ended in good order (a wait for a person, an error that is worth a retry) and are no crash.
    pub handed_back: i64,
    /// Set when a person asked to stop it.
    pub stop_requested: bool,
    /// Who asked; none when the engine did.
    pub requested_by: Option<UserId>,
    /// When it was asked.
    pub created_at: Timestamp,
    /// It does not start before this moment (back-off).
    pub not_before: Timestamp,
}

impl Action {
    /// Attempts that began and never reported back, the current one not counted.
    pub fn lost_attempts(&self) -> i64 {
        let current = i64::from(self.state == ActionState::Running);
        (self.attempts - self.handed_back - current).max(0)
    }

    /// True when too many attempts were lost: it must fail instead of starting again.
    pub fn is_poison(&self) -> bool {
        self.lost_attempts() >= MAX_LOST_ATTEMPTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_or_removed_never_starts_again() {
        let all =
            [ActionState::Queued, ActionState::Running, ActionState::Waiting, ActionState::Done, ActionState::Removed];
        for from in [ActionState::Done, ActionState::Removed] {
            for to in all {
                assert!(from.next(to).is_err(), "{from:?} -> {to:?}");
            }
        }
    }
}
