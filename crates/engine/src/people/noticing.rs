//! Noticing merges that nobody told us of: a person made them by hand, or a server made them and died before it had
//! noted them.

use super::merging::{after_merge, not_at_work_on};
use crate::{Problem, shared::Shared};
use domain::{Change, ChangeState, Repository, Session};
use forge::Forge;
use store::{PullRequest, PullRequestState};

/// Looks at the session's open pull requests and does what a merge asks for where one was merged.
pub(crate) async fn notice(shared: &Shared, session: &Session) -> Result<(), Problem> {
    let changes = shared.store.changes(session.id).await?;
    let open = |change: &Change| !matches!(change.state, ChangeState::Merged | ChangeState::Closed);
    let Some(repository) = shared.store.repository(session.repository).await? else { return Ok(()) };
    for change in changes.into_iter().filter(open) {
        let Some(number) = change.pull_request else { continue };
        let _lock = shared.lock_mirror(repository.id).await;
        let mut found = shared.forge.get(&repository, number).await?;
        if found.state == PullRequestState::Open && has_moved(shared, &repository, &found).await? {
            let mirror = shared.forge.mirror(&repository, &shared.mirror_dir(repository.id)).await?;
            found = shared.forge.refresh(&repository, &mirror, number).await?;
        }
        if found.state == PullRequestState::Merged && not_at_work_on(shared, session, &change).await.is_ok() {
            shared.forge.retarget_children(&repository, &found).await?;
            after_merge(shared, session, change.id, &found, &mut Vec::new()).await?;
        }
    }
    Ok(())
}

/// Whether one of its branches moved since it was looked at last, so that looking closer is worth it.
async fn has_moved(shared: &Shared, repository: &Repository, found: &PullRequest) -> Result<bool, Problem> {
    let base = shared.forge.branch(repository, &found.base).await?;
    let head = shared.forge.branch(repository, &found.head).await?;
    let now = (base, head);
    Ok(shared.looked_at.lock().insert((repository.id, found.number), now.clone()) != Some(now))
}
