//! Manual pull-request mode: a person decides what becomes of the work so far.

use crate::{Problem, shared::Shared};
use domain::{
    Action, ActionKind, ActionState, ChangeState, Choice, EventPayload, Request, RequestId, RequestKind, RequestState,
    Session,
};
use store::Write;

fn choice(label: &str, description: &str) -> Choice {
    Choice { label: label.to_owned(), description: description.to_owned() }
}

/// What may be chosen after a step, with or without more steps in the queue.
pub(crate) fn publish_options(more_queued: bool) -> Vec<Choice> {
    if more_queued {
        vec![
            choice("stacked_pr", "open a pull request for the work so far; the next step begins one on top of it"),
            choice("same_branch", "go on; the next step's commit joins this branch"),
            choice(
                "new_branch",
                "leave this branch without a pull request; the next step begins a branch on top of it",
            ),
            choice("cancel", "take the remaining steps out of the queue"),
        ]
    } else {
        vec![
            choice("create_pr", "open a pull request for the work so far"),
            choice("dismiss", "leave the branch as it is"),
        ]
    }
}

/// Before another step is executed while the newest branch has no pull request: asks what to build on. Nothing when
/// there is nothing to ask, or when it is asked already.
pub(super) async fn ask_before_executing(
    shared: &Shared,
    session: &Session,
    queue: &[Action],
) -> Result<Option<(Vec<Write>, EventPayload)>, Problem> {
    let busy = queue.iter().any(|row| matches!(row.kind, ActionKind::ExecuteStep { .. } | ActionKind::Finish));
    let changes = shared.store.changes(session.id).await?;
    let unpublished =
        changes.last().is_some_and(|change| change.state == ChangeState::Branch && change.head != change.base);
    if busy || !unpublished {
        return Ok(None);
    }
    let options = vec![
        choice("current_branch", "the next step's commit joins the branch that has no pull request yet"),
        choice("fresh", "the next step begins a branch from the target branch"),
    ];
    let request = Request {
        id: RequestId::new(shared.mint.as_ref()),
        session: session.id,
        run: None,
        kind: RequestKind::Publish { options },
        state: RequestState::Open,
        asked_at: shared.now(),
    };
    let event = EventPayload::Question { request: request.id, ask: request.kind.clone() };
    let action = Action {
        state: ActionState::Waiting,
        ..crate::queue::queued(shared, session, queue, 0, ActionKind::Finish, None)
    };
    Ok(Some((vec![Write::AddRequest(request), Write::Enqueue(action)], event)))
}
