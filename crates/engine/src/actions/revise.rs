//! Changing an open pull request as its reviewers ask.

use super::succeed;
use crate::{
    begin::{Start, begin},
    body, briefing,
    checks::{self, Check},
    context::Context,
    converse::{NoTools, Talk, has_begun, talk},
    halt::Halt,
    learnings, pre_execution, prompt, publish,
    workspace::{self, Place},
};
use agent::Phase;
use domain::{Change, ChangeId, ChangeState, Failure, Moment, NoteLevel, Run};
use runbook::Document;
use std::sync::Arc;
use uuid::Uuid;

/// One commit on the change's branch, however many comments it answers.
pub(super) async fn revise(context: &Arc<Context>, id: ChangeId, instructions: &str) -> Result<(), Halt> {
    let change = publish::change_by_id(context, id).await?;
    if matches!(change.state, ChangeState::Merged | ChangeState::Closed) {
        return Err(Halt::failed(format!("`{}` is merged or closed; ask for a new step instead", change.title)));
    }
    let start = Start {
        step: None,
        agent_session: conversation_of(context, &change).await?,
        base: change.head.clone(),
        version: Some(context.session.version),
    };
    let run = begin(context, start).await?;
    let place = workspace::acquire(context).await?;
    if run.commit.is_none() && !work(context, &place, &run, &change, instructions).await? {
        context.note(NoteLevel::Info, "The agent changed nothing.").await?;
        // It is published all the same: a revision before this one may have been given up on its way there.
    }
    publish::publish(context, &place.mirror, id).await?;
    succeed(context, Vec::new(), Vec::new()).await
}

/// The conversation that made the change, so that the agent knows what it did.
async fn conversation_of(context: &Context, change: &Change) -> Result<Uuid, Halt> {
    let steps = context.shared.store.steps(context.session.id).await?;
    let last = change.steps.last();
    let found = steps.iter().find(|step| Some(&step.id) == last);
    Ok(found.map_or(context.session.agent_session, |step| step.agent_session))
}

/// Agent, checks and commit; false when nothing changed.
async fn work(
    context: &Arc<Context>,
    place: &Place,
    run: &Run,
    change: &Change,
    instructions: &str,
) -> Result<bool, Halt> {
    let base = run.base.clone().ok_or_else(|| Halt::failed("the run has no base"))?;
    if !has_begun(context, run.id, "work").await? {
        place.prepare(context, &base).await?;
        pre_execution::run(context, place, &base).await?;
    }
    let words = prompt::revise(change, instructions);
    let asked = format!("{instructions}\n{}", change.title);
    let mut what = Talk {
        stage: "work".to_owned(),
        phase: Phase::Execute,
        agent_session: run.agent_session,
        on: None,
        prompt: briefing::with_notes(context, &place.mirror, Phase::Execute, &asked, words).await?,
        tools: Vec::new(),
        own: Arc::new(NoTools),
    };
    let first = learnings::asked_for(context, run.id, Moment::ReviewAddressed, what.clone());
    let mut said = talk(context, place, first).await?.text;
    let checks = checks_of(context, change).await?;
    checks::announce(context, &checks).await?;
    let mut outcomes = checks::run(context, place, &checks, &base).await?;
    for round in 1..=context.shared.settings.check_retries {
        if checks::failure(&outcomes).is_none() {
            break;
        }
        what.stage = format!("mend-{round}");
        what.prompt = checks::report(&outcomes);
        let mend = learnings::asked_for(context, run.id, Moment::ChecksFixed, what.clone());
        said = talk(context, place, mend).await?.text;
        outcomes = checks::run(context, place, &checks, &base).await?;
    }
    if let Some(message) = checks::failure(&outcomes) {
        return Err(Halt::Failed { why: Failure::Check, message });
    }
    let Some(proposed) = place.propose(context, &base).await? else { return Ok(false) };
    let subject = format!("Address review of {}", body::own_title(&context.session.title, &change.title));
    publish::commit_onto(context, &place.mirror, run, change.id, &proposed.tree, (&subject, &said)).await?;
    Ok(true)
}

/// The checks of all leaves in the change, each once.
pub(super) async fn checks_of(context: &Context, change: &Change) -> Result<Vec<Check>, Halt> {
    let Some(version) = context.shared.store.runbook(context.session.id, None).await? else { return Ok(Vec::new()) };
    let document = Document::parse(version.text.as_str());
    let mut checks: Vec<Check> = Vec::new();
    for step in &change.steps {
        let number = version.step(*step).and_then(|row| row.number.parse::<runbook::StepNumber>().ok());
        let Some(number) = number else { continue };
        for check in Check::of(&document, &document.checks_after(&number))? {
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
    }
    Ok(checks)
}
