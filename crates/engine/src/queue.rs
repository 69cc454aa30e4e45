//! Rows of a session's queue: made, and taken out again.

use crate::shared::Shared;
use domain::{
    Action, ActionId, ActionKind, ActionState, Actor, EventPayload, Failure, Request, RequestState, Run, RunEvent,
    RunState, RunbookVersion, Session, SessionId, Step, StepEvent, StepId, StepState,
};
use std::collections::HashMap;
use store::{Store, StoreError, Write};

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
    EventPayload::StepState { step, number, title, state, why: None }
}

/// What attempts at rows of the queue left that were lost in a crash, or failed for a passing reason: runs that are not
/// over, and what they ask.
pub(crate) struct Unfinished {
    runs: Vec<Run>,
    requests: Vec<Request>,
}

impl Unfinished {
    pub async fn read(store: &dyn Store, session: SessionId) -> Result<Self, StoreError> {
        let mut runs = store.runs(session).await?;
        runs.retain(|run| !run.state.is_over());
        let mut requests = store.requests(session).await?;
        requests.retain(|request| request.state == RequestState::Open);
        Ok(Self { runs, requests })
    }

    /// Whether the action was begun: something of it may still be going on in a sandbox.
    pub fn has(&self, action: &Action) -> bool {
        self.runs.iter().any(|run| run.action == action.id)
    }

    fn stopped(&self, action: &Action) -> (Vec<Write>, Vec<EventPayload>) {
        let (mut writes, mut events) = (Vec::new(), Vec::new());
        for run in self.runs.iter().filter(|run| run.action == action.id) {
            let message = Some("taken out of the queue".to_owned());
            writes.push(Write::Run { id: run.id, from: run.state, event: RunEvent::Stop, message: message.clone() });
            events.push(EventPayload::RunState {
                run: run.id,
                action: action.id,
                action_kind: action.kind.name().to_owned(),
                step: run.step,
                state: RunState::Stopped,
                message,
            });
            for request in self.requests.iter().filter(|request| request.run == Some(run.id)) {
                writes.push(Write::Request(request.id, RequestState::Cancelled));
                events.push(EventPayload::Answer { request: request.id, from: Actor::System, answer: None });
            }
        }
        (writes, events)
    }
}

/// Removes a queued row, and ends what an attempt at it left. Its step goes back to where it can be asked for again; one
/// that was begun is stopped.
pub(crate) fn take_out(
    action: &Action,
    version: Option<&RunbookVersion>,
    steps: &HashMap<StepId, Step>,
    unfinished: &Unfinished,
) -> (Vec<Write>, Vec<EventPayload>) {
    let (mut writes, mut events) = unfinished.stopped(action);
    writes.push(Write::Action {
        id: action.id,
        from: ActionState::Queued,
        to: ActionState::Removed,
        not_before: None,
        handed_back: true,
    });
    if let (ActionKind::ExecuteStep { step, .. }, Some(version)) = (&action.kind, version)
        && let Some(from) = steps.get(step).map(|step| step.state)
    {
        let left = match from {
            StepState::Queued => Some((StepEvent::Dequeue, StepState::NotStarted)),
            StepState::InProgress | StepState::Waiting if unfinished.has(action) => {
                Some((StepEvent::Fail(Failure::Stopped), StepState::Failed(Failure::Stopped)))
            }
            _ => None,
        };
        // It was queued after its state was read: the write holds if so, and else the one who asks looks again.
        let queued = (StepEvent::Dequeue, StepState::NotStarted);
        let (from, (event, to)) = left.map_or((StepState::Queued, queued), |left| (from, left));
        writes.push(Write::Step { id: *step, from, event });
        events.push(step_event(version, *step, to));
    }
    (writes, events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Timestamp, VersionStep};
    use uuid::Uuid;

    #[test]
    fn a_step_that_was_queued_after_it_was_read_leaves_the_queue_with_its_action() {
        let (session, step) = (SessionId(Uuid::from_u128(1)), StepId(Uuid::from_u128(2)));
        let action = Action {
            id: ActionId(Uuid::from_u128(3)),
            session,
            position: 1,
            kind: ActionKind::ExecuteStep { step, version: 1 },
            state: ActionState::Queued,
            attempts: 0,
            handed_back: 0,
            stop_requested: false,
            requested_by: None,
            created_at: Timestamp(0),
            not_before: Timestamp(0),
        };
        let leaf = VersionStep { id: step, number: "1".to_owned(), title: "One".to_owned(), leaf: true };
        let version = RunbookVersion {
            session,
            version: 1,
            text: String::new(),
            steps: vec![leaf],
            author: None,
            restores: None,
            created_at: Timestamp(0),
        };
        let unfinished = Unfinished { runs: Vec::new(), requests: Vec::new() };
        for state in [StepState::NotStarted, StepState::Failed(Failure::Stopped), StepState::Queued] {
            let (agent_session, usage) = (Uuid::nil(), domain::Usage::default());
            let row = Step { id: step, session, state, agent_session, usage };
            let steps = HashMap::from([(step, row)]);
            let (writes, _) = take_out(&action, Some(&version), &steps, &unfinished);
            let dequeued = Write::Step { id: step, from: StepState::Queued, event: StepEvent::Dequeue };
            assert!(writes.contains(&dequeued), "{state:?}: {writes:?}");
        }
    }
}
