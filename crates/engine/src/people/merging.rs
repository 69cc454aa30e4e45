//! Merging a pull request on the local forge, and what that does to the stack above it.

use super::reviews::find;
use crate::{Problem, ProblemCode, PullRequestRef, Reply, queue::queued, shared::Shared};
use domain::{ActionKind, ActionState, Change, ChangeState, EventPayload, NoteLevel, Session};
use forge::{Forge, MergeHow, MergeMethod};
use store::{Fence, Write};

/// Merges, then lets the pull requests above follow.
pub(super) async fn merge(shared: &Shared, wanted: &PullRequestRef, squash: bool) -> Result<Reply, Problem> {
    let found = find(shared, wanted).await?;
    if let Some((session, change)) = &found.made_by {
        not_at_work_on(shared, session, change).await?;
    }
    let repository = &found.repository;
    let how = MergeHow {
        method: if squash { MergeMethod::Squash } else { MergeMethod::Merge },
        name: shared.owner.name.clone(),
        email: shared.owner.email.clone(),
        expected_head: found.made_by.as_ref().map(|(_, change)| change.head.clone()),
    };
    let merged = {
        let _lock = shared.lock_mirror(repository.id).await;
        let mirror = shared.forge.mirror(repository, &shared.mirror_dir(repository.id)).await?;
        let merged = shared.forge.merge(repository, &mirror, found.pull_request.number, &how).await?;
        crash_point!("crash-merged");
        shared.forge.fetch(repository, &mirror).await?;
        merged
    };
    let mut notes = Vec::new();
    if let Some(open) = merged.into_open {
        notes.push(format!("#{} went into the branch of #{open}, which is still open", found.pull_request.number));
    }
    for child in shared.forge.retarget_children(repository, &merged.pull_request).await? {
        notes.push(format!("#{} now goes into {}", child.number, child.base));
    }
    if let Some((session, change)) = found.made_by {
        after_merge(shared, &session, change, &merged.pull_request.base, &mut notes).await?;
    }
    Ok(Reply::Merged { commit: merged.commit, notes })
}

/// A branch that grows at this moment is not merged under the worker's hands.
async fn not_at_work_on(shared: &Shared, session: &Session, change: &Change) -> Result<(), Problem> {
    let queue = shared.store.queue(session.id).await?;
    let Some(running) = queue.iter().find(|action| action.state == ActionState::Running) else { return Ok(()) };
    let touches = match &running.kind {
        ActionKind::Revise { change: id, .. }
        | ActionKind::Rework { change: id, .. }
        | ActionKind::ResolveConflict { change: id, .. } => *id == change.id,
        ActionKind::ExecuteStep { step, .. } | ActionKind::RevertStep { step } => {
            let version = shared.store.runbook(session.id, None).await?;
            let top = |step| version.as_ref().and_then(|version| version.top_level(step)).map(|top| top.id);
            change.steps.contains(step) || change.steps.iter().any(|own| top(*own) == top(*step))
        }
        _ => false,
    };
    if touches {
        return Err(Problem::new(
            ProblemCode::Conflict,
            format!("{} is working on this pull request's branch", session.number),
        )
        .mend(format!("wait for it (`runyard attach {0}`), or stop it (`runyard session stop {0}`)", session.number)));
    }
    Ok(())
}

async fn after_merge(
    shared: &Shared,
    session: &Session,
    change: Change,
    into: &domain::BranchName,
    notes: &mut Vec<String>,
) -> Result<(), Problem> {
    let changes = shared.store.changes(session.id).await?;
    let mut writes = vec![Write::PutChange(Change { state: ChangeState::Merged, ..change.clone() })];
    let mut events = vec![EventPayload::ChangeState {
        change: change.id,
        state: ChangeState::Merged,
        branch: change.branch.to_string(),
        head: change.head.clone(),
        pull_request: change.pull_request,
        title: change.title.clone(),
    }];
    let open =
        |other: &&Change| other.id != change.id && !matches!(other.state, ChangeState::Merged | ChangeState::Closed);
    let queue = shared.store.queue(session.id).await?;
    for (offset, above) in (0..).zip(changes.iter().filter(open).filter(|other| other.base_branch == change.branch)) {
        writes.push(Write::PutChange(Change { base_branch: into.clone(), ..above.clone() }));
        // Its base is another commit now: it is merged with it, so that its diff shows only its own step.
        let kind = ActionKind::ResolveConflict { change: above.id, files: Vec::new() };
        writes.push(Write::Enqueue(queued(shared, session, &queue, offset, kind, None)));
    }
    let unfinished = shared.store.steps(session.id).await?.iter().any(|step| !step.state.is_completed());
    if !changes.iter().any(|other| open(&other)) && queue.is_empty() && !unfinished {
        writes.push(Write::Archive(true));
        let text = "The last pull request was merged; the session is archived.".to_owned();
        events.push(EventPayload::Note { level: NoteLevel::Info, text: text.clone() });
        notes.push(text);
    }
    shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
    Ok(())
}
