//! How far a session is, in the words of the REST API. Pure.

use domain::StepState;
use serde::Serialize;
use utoipa::ToSchema;

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// There is no step yet.
    GeneratingSteps,
    /// A step is being executed, or waits for a person.
    InProgress,
    /// A step failed, and none is being executed.
    Failed,
    /// Every step is completed.
    Completed,
    /// No step was begun.
    NotStarted,
    /// Anything between: some are completed, or are queued.
    PartiallyCompleted,
}

/// How many leaves there are, and how many in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// All leaves.
    #[schema(minimum = 0)]
    pub total: usize,
    /// Not begun, and not asked for.
    #[schema(minimum = 0)]
    pub not_started: usize,
    /// Being executed, or waiting for a person.
    #[schema(minimum = 0)]
    pub in_progress: usize,
    /// Done.
    #[schema(minimum = 0)]
    pub completed: usize,
    /// Failed.
    #[schema(minimum = 0)]
    pub failed: usize,
    /// Asked for, and not begun.
    #[schema(minimum = 0)]
    pub queued: usize,
}

impl Counts {
    /// Counts the leaves of a runbook.
    pub fn of(leaves: impl IntoIterator<Item = StepState>) -> Self {
        let mut counts = Self::default();
        for leaf in leaves {
            counts.total += 1;
            *match leaf {
                StepState::NotStarted => &mut counts.not_started,
                StepState::Queued => &mut counts.queued,
                StepState::InProgress | StepState::Waiting => &mut counts.in_progress,
                StepState::Completed(_) => &mut counts.completed,
                StepState::Failed(_) => &mut counts.failed,
            } += 1;
        }
        counts
    }

    /// The first rule that fits decides, so that every mix has exactly one status.
    pub fn status(&self) -> Status {
        match self {
            Self { total: 0, .. } => Status::GeneratingSteps,
            Self { in_progress: 1.., .. } => Status::InProgress,
            Self { failed: 1.., .. } => Status::Failed,
            Self { total, completed, .. } if completed == total => Status::Completed,
            Self { total, not_started, .. } if not_started == total => Status::NotStarted,
            _ => Status::PartiallyCompleted,
        }
    }
}

/// The word for one step's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not begun, and not asked for.
    NotStarted,
    /// Asked for, and not begun.
    Queued,
    /// Being executed, or waiting for a person.
    InProgress,
    /// Done.
    Completed,
    /// Failed.
    Failed,
}

impl From<StepState> for StepStatus {
    fn from(state: StepState) -> Self {
        match state {
            StepState::NotStarted => Self::NotStarted,
            StepState::Queued => Self::Queued,
            StepState::InProgress | StepState::Waiting => Self::InProgress,
            StepState::Completed(_) => Self::Completed,
            StepState::Failed(_) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Completion, Failure};

    const NOT: StepState = StepState::NotStarted;
    const QUEUED: StepState = StepState::Queued;
    const RUNS: StepState = StepState::InProgress;
    const WAITS: StepState = StepState::Waiting;
    const DONE: StepState = StepState::Completed(Completion::Changed);
    const FAILED: StepState = StepState::Failed(Failure::Error);

    #[test]
    fn t018_t019_the_first_rule_that_fits_decides() {
        let table: &[(&[StepState], Status)] = &[
            (&[], Status::GeneratingSteps),
            (&[NOT, NOT], Status::NotStarted),
            (&[RUNS, FAILED], Status::InProgress),
            (&[WAITS, FAILED], Status::InProgress),
            (&[WAITS], Status::InProgress),
            (&[RUNS, DONE, QUEUED, NOT], Status::InProgress),
            (&[FAILED, DONE], Status::Failed),
            (&[FAILED, QUEUED], Status::Failed),
            (&[DONE, NOT], Status::PartiallyCompleted),
            (&[QUEUED, NOT], Status::PartiallyCompleted),
            (&[DONE, QUEUED], Status::PartiallyCompleted),
            (&[QUEUED, QUEUED], Status::PartiallyCompleted),
            (&[DONE, DONE], Status::Completed),
        ];
        for (leaves, status) in table {
            assert_eq!(Counts::of(leaves.iter().copied()).status(), *status, "{leaves:?}");
        }
    }

    #[test]
    fn every_leaf_is_counted_once() {
        let counts = Counts::of([NOT, QUEUED, QUEUED, RUNS, WAITS, DONE, FAILED]);
        assert_eq!(counts, Counts { total: 7, not_started: 1, queued: 2, in_progress: 2, completed: 1, failed: 1 });
    }
}
