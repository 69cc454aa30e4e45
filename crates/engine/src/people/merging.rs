//! Merging a pull request on the local forge, and what that does to the stack above it.

use super::reviews::find;
use crate::{Problem, ProblemCode, PullRequestRef, Reply, queue::queued, shared::Shared, stack};
use domain::{
    Action, ActionKind, ActionState, Change, ChangeId, ChangeState, EventPayload, NoteLevel, Repository, Session,
};
use forge::{Forge, MergeHow, MergeMethod, Mirror};
use std::{sync::atomic::Ordering, time::Duration};
use store::{Fence, PullRequest, Write};

/// How long a merge waits for what an earlier merge left to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Merges, then lets the pull requests above follow.
pub(super) async fn merge(shared: &Shared, wanted: &PullRequestRef, squash: bool) -> Result<Reply, Problem> {
    let found = find(shared, wanted).await?;
    if let Some((session, change)) = &found.made_by {
        if change.state == ChangeState::Merged {
            let number = found.pull_request.number;
            return Err(Problem::new(ProblemCode::Conflict, format!("#{number} is merged already")));
        }
        until_in_line(shared, session, change).await?;
        not_at_work_on(shared, session, change).await?;
    }
    // What was brought in line just now has a new head.
    let found = find(shared, wanted).await?;
    let repository = &found.repository;
    let how = MergeHow {
        method: if squash { MergeMethod::Squash } else { MergeMethod::Merge },
        name: shared.owner.name.clone(),
        email: shared.owner.email.clone(),
        expected_head: found.made_by.as_ref().map(|(_, change)| change.head.clone()),
    };
    let _lock = shared.lock_mirror(repository.id).await;
    let mirror = shared.forge.mirror(repository, &shared.mirror_dir(repository.id)).await?;
    if let Some((_, change)) = &found.made_by {
        stands_on_its_base(shared, repository, &mirror, change).await?;
    }
    let merged = shared.forge.merge(repository, &mirror, found.pull_request.number, &how).await?;
    faultpoint::crash_point!("crash-merged");
    shared.forge.fetch(repository, &mirror).await?;
    let mut notes = Vec::new();
    if let Some(open) = merged.into_open {
        notes.push(format!("#{} went into the branch of #{open}, which is still open", found.pull_request.number));
    }
    for child in shared.forge.retarget_children(repository, &merged.pull_request).await? {
        notes.push(format!("#{} now goes into {}", child.number, child.base));
    }
    if let Some((session, change)) = found.made_by {
        after_merge(shared, &session, change.id, &merged.pull_request, &mut notes).await?;
    }
    Ok(Reply::Merged { commit: merged.commit, notes })
}

/// Waits while the branch is brought in line with a base that was merged a moment ago: that takes no agent.
async fn until_in_line(shared: &Shared, session: &Session, change: &Change) -> Result<(), Problem> {
    let follows = |action: &Action| matches!(&action.kind, ActionKind::ResolveConflict { change: id, files } if *id == change.id && files.is_empty());
    let in_line = async {
        loop {
            let seen = shared.store.session(session.id).await?.map_or(0, |session| session.last_event);
            if !shared.store.queue(session.id).await?.iter().any(follows) {
                return Ok(());
            }
            shared.store.wait_for_events(session.id, seen).await;
        }
    };
    if !shared.works.load(Ordering::Relaxed) {
        return Ok(());
    }
    tokio::time::timeout(PATIENCE, in_line).await.unwrap_or(Ok(()))
}

/// A base that was rewritten, or squashed below us a moment ago, does not hold what the branch began from: merging would
/// bring commits that are not the pull request's own.
async fn stands_on_its_base(
    shared: &Shared,
    repository: &Repository,
    mirror: &Mirror,
    change: &Change,
) -> Result<(), Problem> {
    shared.forge.fetch(repository, mirror).await?;
    let tip = mirror.resolve_branch(&change.base_branch).await?;
    if mirror.is_ancestor(&change.base, &tip).await? {
        return Ok(());
    }
    let queue = shared.store.queue(change.session).await?;
    let follows =
        |kind: &ActionKind| matches!(kind, ActionKind::ResolveConflict { change: id, .. } if *id == change.id);
    let (why, mend) = if queue.iter().any(|action| follows(&action.kind)) {
        ("what is below it was merged, and it is not in line with that yet", "try again when the session is at rest")
    } else {
        (
            "its base was rewritten since it began, so merging it would bring back what was taken out there",
            "put the base back where it was, or start a new session from it",
        )
    };
    let message = format!("`{}` does not hold {} any more: {why}", change.base_branch, change.base.short());
    Err(Problem::new(ProblemCode::Conflict, message).mend(mend))
}

/// A branch that grows at this moment is not merged under the worker's hands.
pub(super) async fn not_at_work_on(shared: &Shared, session: &Session, change: &Change) -> Result<(), Problem> {
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
        .mend("wait for it, or stop it")
        .command(format!(
            "wait for it (`runyard attach {0}`), or stop it (`runyard session stop {0}`)",
            session.number
        )));
    }
    Ok(())
}

/// Notes the merge and what follows from it; nothing when it is noted. The caller holds the mirror's lock and has fetched.
pub(super) async fn after_merge(
    shared: &Shared,
    session: &Session,
    merged: ChangeId,
    pull_request: &PullRequest,
    notes: &mut Vec<String>,
) -> Result<(), Problem> {
    let into = &pull_request.base;
    let changes = shared.store.changes(session.id).await?;
    let noted = |change: &&Change| change.id == merged && change.state != ChangeState::Merged;
    let Some(change) = changes.iter().find(noted).cloned() else { return Ok(()) };
    let mut writes = vec![Write::PutChange(Change { state: ChangeState::Merged, ..change.clone() })];
    let mut events = vec![stack::event(&Change { state: ChangeState::Merged, ..change.clone() })];
    let open =
        |other: &&Change| other.id != change.id && !matches!(other.state, ChangeState::Merged | ChangeState::Closed);
    if into == &session.target_branch
        && let Some(commit) = &pull_request.merge_commit
    {
        // What comes later begins here: after a squash nothing else holds the merged work as the target branch has it.
        writes.push(Write::Journal(stack::LANDED.to_owned(), commit.as_str().into()));
    }
    if let Some(below) = changes.iter().filter(open).find(|other| other.branch == *into) {
        let tip = shared.forge.branch(&shared.repository_of(session).await?, into).await?;
        if let Some(head) = tip {
            let mut steps = below.steps.clone();
            steps.extend(change.steps.iter().filter(|step| !below.steps.contains(step)));
            let grown = Change { pushed: Some(head.clone()), head, steps, ..below.clone() };
            events.push(stack::event(&grown));
            writes.push(Write::PutChange(grown));
        }
    }
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
