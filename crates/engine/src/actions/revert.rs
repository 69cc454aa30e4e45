//! Taking back a completed leaf by a new commit on its branch.

use super::succeed;
use crate::{
    begin::{Start, begin},
    carried,
    context::Context,
    halt::{Halt, chain},
    heads, kept, publish, stack,
};
use domain::{Change, ChangeState, CommitId, NoteLevel, Run, StepEvent, StepId};
use forge::{Merge, Message, Mirror};
use store::Write;

/// Takes back the leaf's work; the step can be executed again afterwards. Other steps stay as they are.
pub(super) async fn revert(context: &Context, leaf: StepId) -> Result<(), Halt> {
    let runs = context.shared.store.runs(context.session.id).await?;
    let made =
        runs.iter().rev().find(|run| run.step == Some(leaf) && run.commit.is_some() && run.action != context.action.id);
    let changes = context.shared.store.changes(context.session.id).await?;
    let change = changes.iter().rev().find(|change| change.steps.contains(&leaf));
    let (Some(made), Some(change)) = (made, change) else {
        let (writes, events) = context.step_moves(leaf, StepEvent::Revert).await?;
        let mut writes = writes;
        writes.push(super::done(context));
        return context.commit(&writes, &events).await;
    };
    if matches!(change.state, ChangeState::Merged | ChangeState::Closed) {
        return Err(Halt::failed("the step's pull request is merged or closed; ask for a step that undoes it"));
    }
    let start = Start { step: None, agent_session: made.agent_session, base: change.head.clone(), version: None };
    let run = begin(context, start).await?;
    let mirror = context.mirror().await?;
    if run.commit.is_none() {
        let commit = made.commit.clone().ok_or_else(|| Halt::failed("the run has no commit"))?;
        undo(context, &mirror, &run, change, leaf, &commit).await?;
    }
    publish::publish(context, &mirror, change.id).await?;
    let (writes, events) = context.step_moves(leaf, StepEvent::Revert).await?;
    succeed(context, writes, events).await
}

/// A commit on the change's head that takes `commit` back, by a three-way merge with `commit` as the base.
async fn undo(
    context: &Context,
    mirror: &Mirror,
    run: &Run,
    change: &Change,
    leaf: StepId,
    commit: &CommitId,
) -> Result<(), Halt> {
    let parents = mirror.parents(commit).await?;
    let parent = parents.first().ok_or_else(|| Halt::failed("the step's commit has no parent"))?;
    let who = stack::signature(context, run.started_at);
    let _lock = context.shared.lock_mirror(context.session.repository).await;
    // A commit after `commit` with the tree from before it: merging it brings exactly the reverse of `commit`.
    let before = mirror.tree_of(parent).await?;
    let reverse =
        mirror.commit_tree(&before, std::slice::from_ref(commit), &Message::new("Reverse"), &who, &who).await?;
    let tree = match mirror.merge(&change.head, &reverse).await? {
        Merge::Merged { tree } => tree,
        Merge::Conflict(conflict) => {
            return Err(Halt::failed(format!(
                "later work builds on this step: {} conflict; revert the later steps first, or ask for a step that undoes it",
                conflict.files.join(", ")
            )));
        }
    };
    let version = context.runbook().await?;
    let name = version.step(leaf).map_or_else(String::new, |step| format!("{} {}", step.number, step.title));
    let message = Message::new(&format!("Revert {name}"))
        .paragraph(&format!("This takes back commit {}.", commit.short()))
        .provenance(context.session.number, version.step(leaf).map(|step| step.number.as_str()), Some(run.id))
        .co_author(&context.requester.name, &context.requester.email);
    let made = mirror
        .commit_tree(&tree, std::slice::from_ref(&change.head), &message, &who, &who)
        .await
        .map_err(|error| Halt::failed(chain(&error)))?;
    mirror.keep(&kept::run(run.id)?, &made).await?;
    mirror.keep(&kept::change(change.id)?, &made).await?;
    let pack = carried::note(context, mirror, &made, std::slice::from_ref(&change.head)).await?;
    let mut change = Change { head: made.clone(), ..change.clone() };
    change.steps.retain(|step| *step != leaf);
    let event = stack::event(&change);
    let mut writes = vec![pack, Write::RunCommit(run.id, made.clone())];
    writes.extend(heads::moved(context, &change).await?);
    context.commit(&writes, &[event]).await?;
    context.set_run(Run { commit: Some(made), ..run.clone() });
    context.note(NoteLevel::Info, format!("Reverted {name}.")).await
}
