//! Asking again for what failed and is no step: a revision, a revert, a conflict.

use crate::{Problem, Reply, queue::queued, shared::Shared};
use domain::{ActionKind, RunState, Session, User};
use store::{Fence, Write};

/// Queues the newest action once more if it failed or was stopped; nothing when it did not, or is no such action.
pub(super) async fn again(shared: &Shared, user: &User, session: &Session) -> Result<Option<Reply>, Problem> {
    let queue = shared.store.queue(session.id).await?;
    let runs = shared.store.runs(session.id).await?;
    let Some(last) = runs.last().filter(|run| matches!(run.state, RunState::Failed(_) | RunState::Stopped)) else {
        return Ok(None);
    };
    let Some(action) = shared.store.action(last.action).await?.filter(|_| queue.is_empty()) else { return Ok(None) };
    let what = match &action.kind {
        ActionKind::Revise { change, .. }
        | ActionKind::Rework { change, .. }
        | ActionKind::ResolveConflict { change, .. } => match shared.store.change(*change).await? {
            Some(change) => format!("{} {}", action.kind.name(), change.branch),
            None => return Ok(None),
        },
        ActionKind::RevertStep { .. } => action.kind.name().to_owned(),
        _ => return Ok(None),
    };
    let row = queued(shared, session, &queue, 0, action.kind, Some(user.id));
    shared.store.commit(session.id, Fence::Open, &[Write::Enqueue(row)], &[], shared.now()).await?;
    Ok(Some(Reply::Queued(vec![what])))
}
