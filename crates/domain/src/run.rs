//! The state machine of a run.

use crate::{ActionId, CommitId, Failure, Refused, RunId, SessionId, StepId, Timestamp, Usage};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum RunState {
    /// It waits for its turn.
    Queued,
    /// It works.
    Running,
    /// It waits for a person.
    Waiting,
    /// It did its work.
    Succeeded,
    /// It did not.
    Failed(Failure),
    /// A person stopped it.
    Stopped,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEvent {
    /// A worker began.
    Start,
    /// It asks a person.
    Wait,
    /// The person answered.
    Resume,
    /// It did its work.
    Succeed,
    /// It failed.
    Fail(Failure),
    /// A person stopped it.
    Stop,
}

impl RunState {
    /// The state after `event`.
    pub fn next(self, event: RunEvent) -> Result<Self, Refused> {
        use RunEvent as E;
        use RunState as S;
        Ok(match (self, event) {
            (S::Queued, E::Start) | (S::Waiting, E::Resume) => S::Running,
            (S::Running, E::Wait) => S::Waiting,
            (S::Running, E::Succeed) => S::Succeeded,
            (S::Queued | S::Running | S::Waiting, E::Fail(why)) => S::Failed(why),
            (S::Queued | S::Running | S::Waiting, E::Stop) => S::Stopped,
            _ => return Err(Refused::new("run", &self, &event)),
        })
    }

    /// True when nothing can happen to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed(_) | Self::Stopped)
    }
}

/// One attempt at an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Whose run it is.
    pub session: SessionId,
    /// What it attempts.
    pub action: ActionId,
    /// The leaf that it executes, if it executes one.
    pub step: Option<StepId>,
    /// Where it stands.
    pub state: RunState,
    /// The runbook's version when it started.
    pub version: Option<i64>,
    /// The agent's conversation that it continues.
    pub agent_session: Uuid,
    /// The commit that it started from.
    pub base: Option<CommitId>,
    /// The commit that its work became.
    pub commit: Option<CommitId>,
    /// Why it failed, in words for people.
    pub message: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        let over = [RunState::Succeeded, RunState::Failed(Failure::Error), RunState::Stopped];
        let events = [
            RunEvent::Start,
            RunEvent::Wait,
            RunEvent::Resume,
            RunEvent::Succeed,
            RunEvent::Fail(Failure::Error),
            RunEvent::Stop,
        ];
        for state in over {
            assert!(state.is_over());
            for event in events {
                assert!(state.next(event).is_err(), "{state:?} took {event:?}");
            }
        }
    }

    #[test]
    fn only_a_running_run_succeeds() {
        assert_eq!(RunState::Running.next(RunEvent::Succeed), Ok(RunState::Succeeded));
        for state in [RunState::Queued, RunState::Waiting] {
            assert!(state.next(RunEvent::Succeed).is_err());
        }
    }
}
