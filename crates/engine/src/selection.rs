//! Which leaves a request to execute means. Pure.

use crate::{Problem, ProblemCode, Selection};
use domain::{RunbookVersion, StepId, StepState, VersionStep};
use std::collections::HashMap;

/// The leaves that are to be queued for `what`, in document order: everything that is not completed from the start of
/// the runbook to the last leaf that is meant, less what is queued or running already.
pub(crate) fn leaves_to_queue(
    version: &RunbookVersion,
    states: &HashMap<StepId, StepState>,
    what: &Selection,
) -> Result<Vec<StepId>, Problem> {
    let leaves: Vec<&VersionStep> = version.leaves().collect();
    if leaves.is_empty() {
        return Err(Problem::new(ProblemCode::Conflict, "the runbook has no step to execute")
            .mend("say in a message what is to be done, or edit the runbook"));
    }
    let state = |leaf: &VersionStep| states.get(&leaf.id).copied().unwrap_or(StepState::NotStarted);
    let open = |leaf: &VersionStep| {
        !state(leaf).is_completed() && !state(leaf).is_running() && state(leaf) != StepState::Queued
    };
    let (first, last) = match what {
        Selection::All => (0, leaves.len() - 1),
        Selection::Next => match leaves.iter().position(|leaf| open(leaf)) {
            Some(next) => (0, next),
            None => return Err(nothing_left(&leaves, &state)),
        },
        Selection::Step(number) => {
            let meant = |leaf: &VersionStep| leaf.number == *number || is_below(&leaf.number, number);
            let Some(last) = leaves.iter().rposition(|leaf| meant(leaf)) else {
                let numbers: Vec<_> = version.steps.iter().map(|step| step.number.as_str()).collect();
                return Err(Problem::new(ProblemCode::NotFound, format!("the runbook has no step {number}"))
                    .mend(format!("its steps are {}", numbers.join(", "))));
            };
            if leaves.iter().filter(|leaf| meant(leaf)).all(|leaf| state(leaf).is_completed()) {
                return Err(Problem::new(ProblemCode::Conflict, format!("step {number} is completed"))
                    .mend("revert it first to execute it again"));
            }
            (0, last)
        }
    };
    let chosen: Vec<StepId> = leaves[first..=last].iter().filter(|leaf| open(leaf)).map(|leaf| leaf.id).collect();
    if chosen.is_empty() {
        return Err(nothing_left(&leaves[first..=last], &state));
    }
    Ok(chosen)
}

fn nothing_left(leaves: &[&VersionStep], state: &dyn Fn(&VersionStep) -> StepState) -> Problem {
    if leaves.iter().all(|leaf| state(leaf).is_completed()) {
        Problem::new(ProblemCode::Conflict, "every step is completed").mend("say in a message what more is to be done")
    } else {
        Problem::new(ProblemCode::Conflict, "what is not completed is queued or running already")
            .mend("wait for it, or stop it")
    }
}

/// Whether `number` is a substep of `parent` at any depth.
pub(crate) fn is_below(number: &str, parent: &str) -> bool {
    number.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Completion, Failure, SessionId, Timestamp};
    use uuid::Uuid;

    fn id(n: u128) -> StepId {
        StepId(Uuid::from_u128(n))
    }

    /// The runbook of the acceptance cases: 1 (1.1, 1.2) and 2 (2.1).
    fn rb() -> RunbookVersion {
        let step =
            |n: u128, number: &str, leaf| VersionStep { id: id(n), number: number.into(), title: number.into(), leaf };
        RunbookVersion {
            session: SessionId(Uuid::nil()),
            version: 1,
            text: String::new(),
            steps: vec![
                step(1, "1", false),
                step(11, "1.1", true),
                step(12, "1.2", true),
                step(2, "2", false),
                step(21, "2.1", true),
            ],
            author: None,
            restores: None,
            created_at: Timestamp(0),
        }
    }

    fn pick(states: &[(u128, StepState)], what: &Selection) -> Result<Vec<u128>, String> {
        let states = states.iter().map(|(n, state)| (id(*n), *state)).collect();
        leaves_to_queue(&rb(), &states, what)
            .map(|ids| ids.into_iter().map(|id| id.0.as_u128()).collect())
            .map_err(|problem| problem.message)
    }

    const DONE: StepState = StepState::Completed(Completion::Changed);

    #[test]
    fn a_later_leaf_takes_along_what_stands_before_it() {
        assert_eq!(pick(&[], &Selection::Step("1.2".into())), Ok(vec![11, 12]));
        assert_eq!(pick(&[], &Selection::Step("1".into())), Ok(vec![11, 12]));
        assert_eq!(pick(&[(11, StepState::InProgress)], &Selection::Step("2.1".into())), Ok(vec![12, 21]));
        assert_eq!(pick(&[], &Selection::All), Ok(vec![11, 12, 21]));
    }

    #[test]
    fn next_is_the_first_that_is_not_completed_even_when_it_failed() {
        assert_eq!(pick(&[], &Selection::Next), Ok(vec![11]));
        assert_eq!(pick(&[(11, DONE), (12, StepState::Failed(Failure::Error))], &Selection::Next), Ok(vec![12]));
    }

    #[test]
    fn what_cannot_be_executed_is_refused_in_words() {
        assert_eq!(pick(&[], &Selection::Step("7".into())), Err("the runbook has no step 7".into()));
        assert_eq!(pick(&[(11, DONE)], &Selection::Step("1.1".into())), Err("step 1.1 is completed".into()));
        assert_eq!(pick(&[(11, DONE), (12, DONE), (21, DONE)], &Selection::All), Err("every step is completed".into()));
        assert_eq!(
            pick(&[(11, DONE), (12, DONE), (21, StepState::Queued)], &Selection::All),
            Err("what is not completed is queued or running already".into())
        );
    }

    #[test]
    fn a_prefix_of_digits_is_no_parent() {
        assert!(is_below("1.10", "1"));
        assert!(!is_below("10.1", "1"));
        assert!(!is_below("1", "1"));
    }
}
