//! Noticing what nobody told us of: merges that a person made by hand, and what a server did and died before it had noted
//! it, be it a merge or that a draft became ready.

use super::merging::{after_merge, not_at_work_on};
use crate::{Problem, shared::Shared, stack, told::by_the_server};
use domain::{BranchName, Change, ChangeState, CommitId, Repository, Session};
use forge::Forge;
use std::collections::HashMap;
use store::{Fence, PullRequest, PullRequestState, Write};

/// Looks at the session's open pull requests and does what a merge asks for where one was merged.
///
/// A stack may be hundreds high and nearly always nothing happened: its pull requests are read at once, and so are the
/// tips of its branches.
pub(crate) async fn notice(shared: &Shared, session: &Session) -> Result<(), Problem> {
    by_the_server(shared, session, look(shared, session)).await
}

async fn look(shared: &Shared, session: &Session) -> Result<(), Problem> {
    let is_open = |change: &Change| !matches!(change.state, ChangeState::Merged | ChangeState::Closed);
    let mut changes = shared.store.changes(session.id).await?;
    changes.retain(|change| is_open(change) && change.pull_request.is_some());
    if changes.is_empty() {
        return Ok(());
    }
    let Some(repository) = shared.store.repository(session.repository).await? else { return Ok(()) };
    let _lock = shared.lock_mirror(repository.id).await;
    let found = shared.store.pull_requests_keyed(repository.id, &format!("{}/", session.id)).await?;
    let mut found: HashMap<_, _> = found.into_iter().map(|pull_request| (pull_request.number, pull_request)).collect();
    let branches: Vec<_> = found.values().flat_map(|it| [&it.base, &it.head]).collect();
    let tips = shared.forge.heads(&repository, &branches).await?.into_iter().collect();
    for change in changes {
        let Some(mut found) = change.pull_request.and_then(|number| found.remove(&number)) else { continue };
        if found.state == PullRequestState::Open && has_moved(shared, &repository, &found, &tips) {
            let mirror = shared.forge.mirror(&repository, &shared.mirror_dir(repository.id)).await?;
            found = shared.forge.refresh(&repository, &mirror, found.number).await?;
        }
        let became_ready = found.state == PullRequestState::Open && !found.draft && change.state == ChangeState::Draft;
        if found.state != PullRequestState::Merged && !became_ready {
            continue;
        }
        if not_at_work_on(shared, session, &change).await.is_err() {
            continue;
        }
        if became_ready {
            note_ready(shared, &change, &found).await?;
        } else {
            shared.forge.retarget_children(&repository, &found).await?;
            after_merge(shared, session, change.id, &found, &mut Vec::new()).await?;
        }
    }
    Ok(())
}

/// Notes that the draft of a change is one no longer; nothing when that is noted.
pub(super) async fn note_ready(shared: &Shared, change: &Change, found: &PullRequest) -> Result<(), Problem> {
    if change.state != ChangeState::Draft || found.draft {
        return Ok(());
    }
    let ready = Change { state: ChangeState::Open, title: found.title.clone(), ..change.clone() };
    let event = stack::event(&ready);
    shared.store.commit(change.session, Fence::Open, &[Write::PutChange(ready)], &[event], shared.now()).await?;
    Ok(())
}

/// Whether one of its branches moved since it was looked at last, so that looking closer is worth it.
fn has_moved(
    shared: &Shared,
    repository: &Repository,
    found: &PullRequest,
    tips: &HashMap<BranchName, CommitId>,
) -> bool {
    let now = (tips.get(&found.base).cloned(), tips.get(&found.head).cloned());
    // Where a branch is gone it cannot be told from the branches what became of the work.
    if now.0.is_none() || now.1.is_none() {
        return false;
    }
    shared.looked_at.lock().insert((repository.id, found.number), now.clone()) != Some(now)
}
