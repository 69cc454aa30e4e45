//! Rows of a session's queue: made, and taken out again.

use crate::shared::Shared;
use domain::{
    Action, ActionId, ActionKind, ActionState, EventPayload, RunbookVersion, Session, Step, StepEvent, StepId,
    StepState,
};
use std::collections::HashMap;
use store::Write;

/// How far apart rows of a queue stand, so that one can be put in front of another.
const PLACES: i64 = 16;

/// A new row for the end of a session's queue.
pub(crate) fn queued(
    shared: &Shared,
    session: &Session,
    queue: &[Action],
    offset: i64,
    kind: ActionKind,
    by: Option<domain::UserId>,
) -> Action {
    let now = shared.now();
    let last = queue.iter().map(|action| action.position).max().unwrap_or(0);
    Action {
        id: ActionId::new(shared.mint.as_ref()),
        session: session.id,
        // Positions only ever rise, so that a row that left the queue never shares its place with a new one.
        position: now.0.max(last + PLACES) + offset * PLACES,
        kind,
        state: ActionState::Queued,
        attempts: 0,
        handed_back: 0,
        stop_requested: false,
        requested_by: by,
        created_at: now,
        not_before: now,
    }
}

/// Where what a person told the agent on top of an action is kept.
pub(crate) fn note_key(action: ActionId) -> String {
    format!("note:{action}")
}

/// What people hear of a step's new state.
pub(crate) fn step_event(version: &RunbookVersion, step: StepId, state: StepState) -> EventPayload {
    let (number, title) =
        version.step(step).map_or_else(Default::default, |found| (found.number.clone(), found.title.clone()));
    EventPayload::StepState { step, number, title, state }
}

/// Removes a queued row; its step goes back to where it can be asked for again.
pub(crate) fn take_out(
    action: &Action,
    version: Option<&RunbookVersion>,
    steps: &HashMap<StepId, Step>,
) -> (Vec<Write>, Vec<EventPayload>) {
    let mut writes = vec![Write::Action {
        id: action.id,
        from: ActionState::Queued,
        to: ActionState::Removed,
        not_before: None,
        handed_back: true,
    }];
    let mut events = Vec::new();
    if let (ActionKind::ExecuteStep { step, .. }, Some(version)) = (&action.kind, version)
        && steps.get(step).is_some_and(|step| step.state == StepState::Queued)
    {
        writes.push(Write::Step { id: *step, from: StepState::Queued, event: StepEvent::Dequeue });
        events.push(step_event(version, *step, StepState::NotStarted));
    }
    (writes, events)
}
