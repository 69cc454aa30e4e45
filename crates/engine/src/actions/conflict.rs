//! Bringing a branch whose base moved in line again.

use super::{done, succeed};
use crate::{
    begin::{Start, begin},
    carried,
    context::Context,
    converse::{NoTools, Talk, has_begun, talk},
    halt::Halt,
    heads, kept, prompt, publish, stack, workspace,
};
use agent::Phase;
use domain::{Change, ChangeId, ChangeState, CommitId, NoteLevel, Run};
use forge::{Forge, Merge, Message, Mirror};
use std::sync::Arc;
use store::Write;

/// Merges the branch with what is below it now; where that conflicts the agent resolves it.
pub(super) async fn resolve(context: &Arc<Context>, id: ChangeId, files: &[String]) -> Result<(), Halt> {
    let change = publish::change_by_id(context, id).await?;
    let mirror = context.mirror().await?;
    if matches!(change.state, ChangeState::Merged | ChangeState::Closed) {
        return context.commit(&[done(context)], &[]).await;
    }
    let below = below(context, &mirror, &change).await?;
    if files.is_empty() {
        // The base moved by a merge: mostly it fits without anybody's help.
        if let Some(change) = stack::bring_in_line(context, &mirror, change, &below).await? {
            if change.pull_request.is_some() {
                publish::open_pull_request(context, &mirror, change.clone(), false).await?;
            }
            stack::follow(context, &mirror, change.id).await?;
        }
        return context.commit(&[done(context)], &[]).await;
    }
    let start = Start {
        step: None,
        agent_session: context.session.agent_session,
        base: change.head.clone(),
        version: Some(context.session.version),
    };
    let run = begin(context, start).await?;
    if run.commit.is_none() && !merge(context, &mirror, &run, &change, &below).await? {
        return succeed(context, Vec::new(), Vec::new()).await;
    }
    publish::publish(context, &mirror, id).await?;
    succeed(context, Vec::new(), Vec::new()).await
}

/// The commit that the change's branch must contain.
async fn below(context: &Context, mirror: &Mirror, change: &Change) -> Result<CommitId, Halt> {
    let changes = context.shared.store.changes(context.session.id).await?;
    if let Some(lower) = changes.iter().find(|other| other.branch == change.base_branch) {
        return Ok(lower.head.clone());
    }
    let _lock = context.shared.lock_mirror(context.session.repository).await;
    context.shared.forge.fetch(&context.repository().await?, mirror).await?;
    Ok(mirror.resolve_branch(&change.base_branch).await?)
}

/// Lets the agent resolve the conflict and makes the merge commit; false when there is nothing to merge any more.
async fn merge(
    context: &Arc<Context>,
    mirror: &Mirror,
    run: &Run,
    change: &Change,
    below: &CommitId,
) -> Result<bool, Halt> {
    let who = stack::signature(context, run.started_at);
    let message =
        Message::new(&stack::merge_subject(context, change)).provenance(context.session.number, None, Some(run.id));
    let tree = match mirror.merge(&change.head, below).await? {
        Merge::Merged { tree } => tree,
        Merge::Conflict(conflict) => {
            let markers = Message::new("Conflict, with markers");
            let marked =
                mirror.commit_tree(&conflict.tree, std::slice::from_ref(&change.head), &markers, &who, &who).await?;
            mirror.keep(&kept::run(run.id)?, &marked).await?;
            let place = workspace::acquire(context).await?;
            if !has_begun(context, run.id, "resolve").await? {
                place.prepare(context, &marked).await?;
            }
            let what = Talk {
                stage: "resolve".to_owned(),
                phase: Phase::Execute,
                agent_session: run.agent_session,
                on: None,
                prompt: prompt::conflict(change, &conflict.files),
                tools: Vec::new(),
                own: Arc::new(NoTools),
            };
            talk(context, &place, what).await?;
            let proposed = place.propose(context, &marked).await?;
            let tree = proposed.map_or(conflict.tree.clone(), |proposed| proposed.tree);
            if let Some(path) = left_markers(mirror, &tree, &conflict.files, &who).await? {
                return Err(Halt::failed(format!(
                    "{path} still holds conflict markers; retry, or resolve it by hand on {}",
                    change.branch
                )));
            }
            tree
        }
    };
    if mirror.is_ancestor(below, &change.head).await? {
        return Ok(false);
    }
    let parents = [change.head.clone(), below.clone()];
    let made = mirror.commit_tree(&tree, &parents, &message, &who, &who).await?;
    mirror.keep(&kept::change(change.id)?, &made).await?;
    let pack = carried::note(context, mirror, &made, &parents).await?;
    let change = Change { head: made.clone(), base: below.clone(), ..change.clone() };
    let event = stack::event(&change);
    let mut writes = vec![pack, Write::RunCommit(run.id, made.clone())];
    writes.extend(heads::moved(context, &change).await?);
    context.commit(&writes, &[event]).await?;
    context.set_run(Run { commit: Some(made), ..run.clone() });
    context.note(NoteLevel::Info, format!("{} is in line with {} again.", change.branch, change.base_branch)).await?;
    Ok(true)
}

/// A file that still holds markers, if any does.
async fn left_markers(
    mirror: &Mirror,
    tree: &CommitId,
    files: &[String],
    who: &forge::Signature,
) -> Result<Option<String>, Halt> {
    let probe = mirror.commit_tree(tree, &[], &Message::new("Probe"), who, who).await?;
    for path in files {
        let Ok(Some(bytes)) = mirror.file_at(&probe, path, 16 << 20).await else { continue };
        let text = String::from_utf8_lossy(&bytes);
        if text.lines().any(|line| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")) {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}
