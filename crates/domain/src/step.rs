//! The state machine of a leaf step.

use crate::{Refused, SessionId, StepId, Usage};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a step was completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completion {
    /// Its work changed the repository.
    Changed,
    /// Its work changed nothing.
    NoChange,
    /// It was not done: its condition did not hold, or a person decided so.
    Skipped,
    /// A person marked it done.
    ByPerson,
}

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The agent or its surroundings failed.
    Error,
    /// A check of the step failed.
    Check,
    /// A person stopped it.
    Stopped,
    /// A budget was used up.
    Budget,
    /// Too many attempts were lost to crashes.
    Poison,
}

/// Where a leaf step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum StepState {
    /// Nobody asked for it yet.
    NotStarted,
    /// It waits for its turn.
    Queued,
    /// A run works on it.
    InProgress,
    /// Its run waits for a person.
    Waiting,
    /// It is done.
    Completed(Completion),
    /// Its last run failed.
    Failed(Failure),
}

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEvent {
    /// It was asked for.
    Queue,
    /// It left the queue unstarted.
    Dequeue,
    /// A run began.
    Start,
    /// The run asks a person.
    Wait,
    /// The person answered.
    Resume,
    /// The run did its work.
    Complete(Completion),
    /// The run failed.
    Fail(Failure),
    /// Its change was taken back.
    Revert,
}

impl StepState {
    /// The state after `event`.
    pub fn next(self, event: StepEvent) -> Result<Self, Refused> {
        use StepEvent as E;
        use StepState as S;
        Ok(match (self, event) {
            // From in progress: the attempt failed for a passing reason and the next one waits for its turn.
            (S::NotStarted | S::Failed(_) | S::InProgress, E::Queue) => S::Queued,
            (S::Queued, E::Dequeue) | (S::Completed(_), E::Revert) => S::NotStarted,
            // From in progress: the attempt before was lost in a crash.
            (S::Queued | S::InProgress | S::Waiting, E::Start) | (S::Waiting, E::Resume) => S::InProgress,
            (S::InProgress, E::Wait) => S::Waiting,
            (S::InProgress | S::Waiting, E::Complete(how)) => S::Completed(how),
            (S::NotStarted | S::Failed(_), E::Complete(how @ (Completion::ByPerson | Completion::Skipped))) => {
                S::Completed(how)
            }
            // A queued step fails without starting when its action is poison or the budget is already used up.
            (S::Queued | S::InProgress | S::Waiting, E::Fail(why)) => S::Failed(why),
            _ => return Err(Refused::new("step", &self, &event)),
        })
    }

    /// True when a run holds the step.
    pub fn is_running(self) -> bool {
        matches!(self, Self::InProgress | Self::Waiting)
    }

    /// True when there is something that was done, or is being done: the step stays where it is.
    pub fn is_fixed(self) -> bool {
        self.is_running() || matches!(self, Self::Completed(how) if how != Completion::Skipped)
    }

    /// True when the step is completed.
    pub fn is_completed(self) -> bool {
        matches!(self, Self::Completed(_))
    }

    /// The glyph that people see, the same everywhere.
    pub fn glyph(self) -> char {
        match self {
            Self::NotStarted => '○',
            Self::Queued => '◔',
            Self::InProgress => '◐',
            Self::Waiting => '⏸',
            Self::Completed(_) => '✓',
            Self::Failed(Failure::Stopped) => '■',
            Self::Failed(_) => '✗',
        }
    }

    /// The state in words, such as `failed (check)`.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotStarted => "not started",
            Self::Queued => "queued",
            Self::InProgress => "in progress",
            Self::Waiting => "waiting for a person",
            Self::Completed(Completion::Changed) => "completed",
            Self::Completed(Completion::NoChange) => "completed (no change)",
            Self::Completed(Completion::Skipped) => "completed (skipped)",
            Self::Completed(Completion::ByPerson) => "completed (by a person)",
            Self::Failed(Failure::Error) => "failed (error)",
            Self::Failed(Failure::Check) => "failed (check)",
            Self::Failed(Failure::Stopped) => "stopped",
            Self::Failed(Failure::Budget) => "failed (budget)",
            Self::Failed(Failure::Poison) => "failed (too many crashes)",
        }
    }

    /// What a parent shows for its leaves: running wins, then failed, then queued, then how far they are.
    pub fn of_parent(leaves: impl IntoIterator<Item = Self>) -> Self {
        let leaves: Vec<Self> = leaves.into_iter().collect();
        let first = |wanted: fn(&Self) -> bool| leaves.iter().copied().find(wanted);
        first(|state| matches!(state, Self::Waiting))
            .or_else(|| first(|state| matches!(state, Self::InProgress)))
            .or_else(|| first(|state| matches!(state, Self::Failed(_))))
            .or_else(|| first(|state| matches!(state, Self::Queued)))
            .or_else(|| first(|state| matches!(state, Self::NotStarted)))
            .or_else(|| first(|state| matches!(state, Self::Completed(Completion::Changed))))
            .or_else(|| leaves.first().copied())
            .unwrap_or(Self::NotStarted)
    }
}

/// What lasts of a leaf step besides its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Survives edits of the runbook.
    pub id: StepId,
    /// Whose step it is.
    pub session: SessionId,
    /// Where it stands.
    pub state: StepState,
    /// The agent's conversation for this step; a retry resumes it.
    pub agent_session: Uuid,
    /// What all of its runs used.
    pub usage: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const STATES: [StepState; 9] = [
        StepState::NotStarted,
        StepState::Queued,
        StepState::InProgress,
        StepState::Waiting,
        StepState::Completed(Completion::Changed),
        StepState::Completed(Completion::NoChange),
        StepState::Failed(Failure::Error),
        StepState::Failed(Failure::Stopped),
        StepState::Failed(Failure::Poison),
    ];

    const EVENTS: [StepEvent; 10] = [
        StepEvent::Queue,
        StepEvent::Dequeue,
        StepEvent::Start,
        StepEvent::Wait,
        StepEvent::Resume,
        StepEvent::Complete(Completion::Changed),
        StepEvent::Complete(Completion::ByPerson),
        StepEvent::Complete(Completion::Skipped),
        StepEvent::Fail(Failure::Check),
        StepEvent::Revert,
    ];

    #[test]
    fn the_whole_table_is_as_written() {
        let mut table = String::new();
        for state in STATES {
            for event in EVENTS {
                if let Ok(next) = state.next(event) {
                    let _ = writeln!(table, "{state:?} --{event:?}--> {next:?}");
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_completed_step_leaves_that_state_only_by_a_revert() {
        for event in EVENTS {
            let next = StepState::Completed(Completion::Changed).next(event);
            assert_eq!(next.is_ok(), event == StepEvent::Revert, "{event:?}");
        }
    }

    #[test]
    fn a_parent_shows_what_matters_most_of_its_leaves() {
        use StepState as S;
        let done = S::Completed(Completion::Changed);
        assert_eq!(S::of_parent([done, S::Failed(Failure::Check), S::Queued]), S::Failed(Failure::Check));
        assert_eq!(S::of_parent([done, S::Failed(Failure::Check), S::InProgress]), S::InProgress);
        assert_eq!(S::of_parent([done, S::NotStarted]), S::NotStarted);
        assert_eq!(S::of_parent([S::Completed(Completion::NoChange), done]), done);
        assert_eq!(S::of_parent([S::Completed(Completion::NoChange)]), S::Completed(Completion::NoChange));
    }
}
