//! Editing the runbook: every change is a new version.

use super::{arranging::edited, steering::plan_of};
use crate::{
    Edit, Problem, ProblemCode, Reply,
    queue::{Unfinished, take_out},
    shared::Shared,
};
use domain::{
    Action, ActionKind, ActionState, Actor, Completion, EventPayload, Mint, NoteLevel, RunbookVersion, Session,
    SessionNumber, Step, StepId, StepState, Timestamp, User, UserId, VersionStep,
};
use runbook::Document;
use std::collections::HashMap;
use store::{Fence, Write};
use uuid::Uuid;

/// The next version with `text`: its steps have ids that follow from `before`. The second value are the leaves that are
/// new, each with the agent conversation that it will have.
pub(crate) fn version_of(
    mint: &dyn Mint,
    session: &Session,
    before: Option<&RunbookVersion>,
    document: &Document,
    author: Option<UserId>,
    now: Timestamp,
) -> (RunbookVersion, Vec<(StepId, Uuid)>) {
    let old: Vec<_> = before.map_or_else(Vec::new, |before| {
        let keys = Document::parse(before.text.as_str()).step_keys();
        keys.into_iter().zip(before.steps.iter().map(|step| step.id.0)).collect()
    });
    let ids = runbook::assign_ids(&old, document, &mut || mint.uuid());
    version_with(mint, session, before, document, ids, (author, now))
}

/// The same when it is known which step each step is.
fn version_with(
    mint: &dyn Mint,
    session: &Session,
    before: Option<&RunbookVersion>,
    document: &Document,
    ids: Vec<Uuid>,
    (author, now): (Option<UserId>, Timestamp),
) -> (RunbookVersion, Vec<(StepId, Uuid)>) {
    let steps: Vec<VersionStep> = document
        .steps()
        .iter()
        .zip(ids)
        .map(|(step, id)| VersionStep {
            id: StepId(id),
            number: step.number.to_string(),
            title: step.title.clone(),
            leaf: step.is_leaf(),
        })
        .collect();
    let fresh = steps.iter().filter(|step| step.leaf).map(|step| (step.id, mint.uuid())).collect();
    let version = RunbookVersion {
        session: session.id,
        version: before.map_or(0, |before| before.version) + 1,
        text: document.text().to_owned(),
        steps,
        author,
        restores: None,
        created_at: now,
    };
    (version, fresh)
}

pub(crate) fn version_event(version: &RunbookVersion, from: Actor) -> EventPayload {
    EventPayload::PlanVersion {
        version: version.version,
        from,
        leaves: version.leaves().count(),
        top_level: version.steps.iter().filter(|step| !step.number.contains('.')).count(),
        restores: version.restores,
    }
}

/// Takes the steps out of the queue that a new version no longer has, or that are no leaves in it any more.
pub(crate) fn take_out_gone(
    queue: &[Action],
    before: &RunbookVersion,
    after: &RunbookVersion,
    states: &HashMap<StepId, Step>,
    unfinished: &Unfinished,
) -> (Vec<Write>, Vec<EventPayload>) {
    let (mut writes, mut events) = (Vec::new(), Vec::new());
    for action in queue.iter().filter(|action| action.state == ActionState::Queued) {
        let ActionKind::ExecuteStep { step, .. } = action.kind else { continue };
        if after.leaves().any(|leaf| leaf.id == step) {
            continue;
        }
        let (w, e) = take_out(action, Some(before), states, unfinished);
        writes.extend(w);
        events.extend(e);
        if let Some(gone) = before.step(step) {
            let text = format!(
                "Step {} `{}` was queued, but version {} has no such step to execute; it left the queue.",
                gone.number, gone.title, after.version
            );
            events.push(EventPayload::Note { level: NoteLevel::Info, text });
        }
    }
    (writes, events)
}

/// Refuses a new version that changes a completed step's text, or takes away or divides a step that is completed or at
/// work.
pub(crate) fn keeps_what_is_done(
    before: &RunbookVersion,
    after: &RunbookVersion,
    states: &HashMap<StepId, Step>,
) -> Result<(), Problem> {
    let (old, new) = (Document::parse(before.text.as_str()), Document::parse(after.text.as_str()));
    let text_of = |document: &Document, version: &RunbookVersion, id: StepId| {
        let place = version.steps.iter().position(|step| step.id == id)?;
        let step = document.steps().get(place)?;
        Some((step.title.clone(), document.text()[step.body.clone()].trim().to_owned()))
    };
    for leaf in before.leaves() {
        let Some(row) = states.get(&leaf.id).filter(|row| row.state.is_completed() || row.state.is_running()) else {
            continue;
        };
        let was = text_of(&old, before, leaf.id);
        let is = text_of(&new, after, leaf.id);
        let skipped = row.state == StepState::Completed(Completion::Skipped);
        if skipped && is.is_some() && was != is {
            return Err(Problem::new(
                ProblemCode::Conflict,
                format!("step {} `{}` is skipped, so its text cannot change", leaf.number, leaf.title),
            )
            .mend("say first that it is to be done after all"));
        }
        if row.state.is_completed() && !skipped && was != is {
            return Err(Problem::new(
                ProblemCode::Conflict,
                format!("step {} `{}` is completed, so its text cannot change", leaf.number, leaf.title),
            )
            .mend("revert the step first, or leave its text as it is"));
        }
        if after.step(leaf.id).is_some_and(|step| !step.leaf) {
            let how = if row.state.is_completed() { "is completed" } else { "is being executed" };
            return Err(Problem::new(
                ProblemCode::Conflict,
                format!("step {} `{}` {how}, so it cannot get substeps", leaf.number, leaf.title),
            )
            .mend("put what is to be added into a step of its own"));
        }
        if is.is_none() && !skipped {
            return Err(Problem::new(
                ProblemCode::Conflict,
                format!("step {} `{}` is being executed, so it cannot be taken out", leaf.number, leaf.title),
            )
            .mend("stop it first"));
        }
    }
    Ok(())
}

/// Stores an edit of a person.
pub(super) async fn edit(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    expected: i64,
    edit: &Edit,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let current = shared.store.runbook(session.id, None).await?;
    let at = current.as_ref().map_or(0, |version| version.version);
    if at != expected {
        let told = format!("the runbook is at version {at} now, your edit started from version {expected}");
        let mut problem = Problem::new(ProblemCode::Conflict, told).mend("look at the newest version and edit that");
        problem.current_version = Some(at);
        return Err(problem);
    }
    let states =
        shared.store.steps(session.id).await?.into_iter().map(|step| (step.id, step)).collect::<HashMap<_, _>>();
    let (document, ids) = match (edit, &current) {
        (Edit::Text { text }, _) => (Document::parse(text.as_str()), None),
        (edit, Some(current)) => {
            let changes = shared.store.changes(session.id).await?;
            edited(current, &states, &changes, edit)?
        }
        (_, None) => {
            return Err(Problem::new(ProblemCode::Conflict, format!("{} has no runbook yet", session.number))
                .mend("give the whole text"));
        }
    };
    let diagnostics = runbook::check(&document);
    if runbook::has_errors(&diagnostics) {
        return Err(Problem::new(ProblemCode::BadRequest, runbook::render_text("runbook", &diagnostics))
            .mend("mend what is named and save again; the stored version is unchanged"));
    }
    let (mint, now) = (shared.mint.as_ref(), shared.now());
    let (version, fresh) = match ids {
        Some(ids) => version_with(mint, &session, current.as_ref(), &document, ids, (Some(user.id), now)),
        None => version_of(mint, &session, current.as_ref(), &document, Some(user.id), now),
    };
    if let Some(before) = &current {
        keeps_what_is_done(before, &version, &states)?;
    }
    store_version(shared, &session, current.as_ref().map(|before| (before, &states)), version, fresh, user).await
}

/// Makes an older version the newest again.
pub(super) async fn restore(
    shared: &Shared,
    user: &User,
    session: SessionNumber,
    wanted: i64,
) -> Result<Reply, Problem> {
    let session = shared.session(session).await?;
    let (current, states) = plan_of(shared, &session).await?;
    let older = shared.store.runbook(session.id, Some(wanted)).await?.ok_or_else(|| {
        Problem::new(ProblemCode::NotFound, format!("the runbook has no version {wanted}"))
            .mend(format!("it has versions 1 to {}", current.version))
    })?;
    let version = RunbookVersion {
        version: current.version + 1,
        author: Some(user.id),
        restores: Some(wanted),
        created_at: shared.now(),
        ..older
    };
    keeps_what_is_done(&current, &version, &states)?;
    let fresh = version.leaves().map(|step| (step.id, shared.mint.uuid())).collect();
    store_version(shared, &session, Some((&current, &states)), version, fresh, user).await
}

async fn store_version(
    shared: &Shared,
    session: &Session,
    before: Option<(&RunbookVersion, &HashMap<StepId, Step>)>,
    version: RunbookVersion,
    fresh: Vec<(StepId, Uuid)>,
    user: &User,
) -> Result<Reply, Problem> {
    let mut writes = vec![Write::AddRunbook(version.clone(), fresh)];
    let mut events = vec![version_event(&version, Actor::Person(user.id))];
    if let Some((before, states)) = before {
        let queue = shared.store.queue(session.id).await?;
        let unfinished = Unfinished::read(shared.store.as_ref(), session.id).await?;
        let (w, e) = take_out_gone(&queue, before, &version, states, &unfinished);
        writes.extend(w);
        events.extend(e);
    }
    shared.store.commit(session.id, Fence::Open, &writes, &events, shared.now()).await?;
    Ok(Reply::Version(Box::new(version)))
}
