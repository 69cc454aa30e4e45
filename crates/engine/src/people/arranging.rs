//! Edits of one step: its text, its place, whether it is there at all. Pure.

use crate::{Edit, Problem, ProblemCode, StepPlace, selection::is_below};
use domain::{Change, Completion, RunbookVersion, Step, StepId, StepState, VersionStep};
use runbook::{Document, EditError, Place, StepNumber};
use std::collections::HashMap;
use uuid::Uuid;

/// The document after an edit of one step, and which step each of its steps is when nothing of that is to be guessed.
pub(super) fn edited(
    current: &RunbookVersion,
    states: &HashMap<StepId, Step>,
    changes: &[Change],
    edit: &Edit,
) -> Result<(Document, Option<Vec<Uuid>>), Problem> {
    let document = Document::parse(current.text.as_str());
    let state = |step: &VersionStep| states.get(&step.id).map_or(StepState::NotStarted, |row| row.state);
    let wanted = match edit {
        Edit::Text { text } => return Ok((Document::parse(text.as_str()), None)),
        Edit::Step { step, text } => {
            runbook::Edit::ReplaceStep { number: number(step)?, text: text.clone(), with_substeps: false }
        }
        Edit::Delete { step } => {
            may_go(current, &state, changes, step, "deleted")?;
            runbook::Edit::DeleteStep { number: number(step)? }
        }
        Edit::Move { step, to } => {
            may_go(current, &state, changes, step, "moved")?;
            let queued = within(current, step).find(|leaf| state(leaf) == StepState::Queued);
            if let Some(queued) = queued {
                let message = format!("step {} is queued, so it cannot be moved", queued.number);
                return Err(Problem::new(ProblemCode::Conflict, message).mend("take it out of the queue first"));
            }
            runbook::Edit::MoveStep { number: number(step)?, place: place(&document, &number(step)?, to)? }
        }
    };
    let arranges = matches!(edit, Edit::Delete { .. } | Edit::Move { .. });
    // A step that was skipped left nothing behind, so that it may get another number.
    let locked = |number: &StepNumber| {
        let step = current.numbered(&number.to_string());
        step.is_some_and(|step| if arranges { state(step).is_fixed() } else { state(step).is_completed() })
    };
    let done = runbook::edit(&document, &wanted, &locked).map_err(|error| match error {
        EditError::Invalid(diagnostics) => {
            Problem::new(ProblemCode::BadRequest, runbook::render_text("runbook", &diagnostics))
                .mend("mend what is named and save again; the stored version is unchanged")
        }
        EditError::Locked(number) => {
            let found = current.numbered(&number.to_string()).map_or(StepState::NotStarted, state);
            stays(&number, found)
        }
        error @ EditError::NoSuchStep(_) => Problem::new(ProblemCode::NotFound, error.to_string()),
        error => Problem::new(ProblemCode::BadRequest, error.to_string()),
    })?;
    let ids = runbook::origins(&document, &wanted)
        .filter(|origins| origins.len() == done.steps().len())
        .map(|origins| origins.iter().filter_map(|at| current.steps.get(*at).map(|step| step.id.0)).collect::<Vec<_>>())
        .filter(|ids| ids.len() == done.steps().len());
    Ok((done, ids))
}

fn number(text: &str) -> Result<StepNumber, Problem> {
    text.parse().map_err(|error: runbook::BadStepNumber| Problem::new(ProblemCode::BadRequest, error.to_string()))
}

/// The leaves of a step: itself when it is one.
fn within<'v>(version: &'v RunbookVersion, number: &str) -> impl Iterator<Item = &'v VersionStep> {
    version.leaves().filter(move |leaf| leaf.number == number || is_below(&leaf.number, number))
}

/// Why a step keeps its text and its number.
fn stays(number: &StepNumber, state: StepState) -> Problem {
    let (what, mend) = if state.is_running() {
        ("is being executed, so its number stays", "wait for it, or stop it")
    } else if state == StepState::Completed(Completion::Skipped) {
        ("is skipped, so its text cannot change", "say first that it is to be done after all")
    } else {
        ("is completed, so its text and its number stay", "revert it first, or leave it where it is")
    };
    Problem::new(ProblemCode::Conflict, format!("step {number} {what}")).mend(mend)
}

/// Refuses what would take away or move work that is done, being done, or on a branch.
fn may_go(
    version: &RunbookVersion,
    state: &dyn Fn(&VersionStep) -> StepState,
    changes: &[Change],
    step: &str,
    what: &str,
) -> Result<(), Problem> {
    for leaf in within(version, step) {
        let found = state(leaf);
        let refused = |why: &str| {
            Problem::new(ProblemCode::Conflict, format!("step {} {why}, so it cannot be {what}", leaf.number))
        };
        if found.is_running() {
            return Err(refused("is being executed").mend("wait for it, or stop it"));
        }
        if found.is_fixed() {
            return Err(refused("is completed").mend("revert it first"));
        }
        if let Some(change) = changes.iter().find(|change| change.steps.contains(&leaf.id)) {
            let work = match change.pull_request {
                Some(number) => format!("has work in pull request #{number}"),
                None => format!("has work on the branch `{}`", change.branch),
            };
            return Err(refused(&work).mend("execute it to its end and revert it, or skip it"));
        }
    }
    Ok(())
}

/// Where a step goes to, in the document's words.
fn place(document: &Document, step: &StepNumber, to: &StepPlace) -> Result<Place, Problem> {
    Ok(match to {
        StepPlace::Before(other) => Place::Before(number(other)?),
        StepPlace::After(other) => Place::After(number(other)?),
        StepPlace::Into(other) => Place::Into(number(other)?),
        StepPlace::End => Place::End,
        StepPlace::Up | StepPlace::Down => {
            let at = document
                .step(step)
                .ok_or_else(|| Problem::new(ProblemCode::NotFound, EditError::NoSuchStep(step.clone()).to_string()))?;
            let beside: Vec<_> = document.steps().iter().filter(|other| other.parent == at.parent).collect();
            let own = beside.iter().position(|other| other.number == *step).unwrap_or_default();
            let (next, end) = match to {
                StepPlace::Up => (own.checked_sub(1), "first"),
                _ => (Some(own + 1), "last"),
            };
            match (next.and_then(|next| beside.get(next)), to) {
                (Some(other), StepPlace::Up) => Place::Before(other.number.clone()),
                (Some(other), _) => Place::After(other.number.clone()),
                (None, _) => {
                    let message = format!("step {step} is the {end} one on its level");
                    return Err(Problem::new(ProblemCode::Conflict, message)
                        .mend("name the step that it is to stand before, after or in"));
                }
            }
        }
    })
}
