//! Executing one leaf: agent, checks, commit, pull request.

use super::succeed;
use crate::{
    begin::{Start, begin},
    briefing,
    checks::{self, Check},
    context::Context,
    converse::{OwnTools, Talk, talk, talk_until_heard},
    halt::Halt,
    learnings,
    marks::{self, Skip},
    people, pre_execution,
    prompt::{self, StepPrompt},
    publish, queue, stack,
    workspace::{self, Place},
};
use agent::{OwnCall, Phase, ToolSpec};
use async_trait::async_trait;
use domain::{
    Action, ActionKind, ActionState, Change, CheckOutcome, Choice, CommitId, Completion, EventPayload, Failure, Moment,
    NoteLevel, PrMode, Question, Request, RequestId, RequestKind, RequestState, Run, RunEvent, RunId, RunState,
    RunbookVersion, StepEvent, StepId,
};
use runbook::{Document, Tag};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use store::Write;

/// Executes a leaf that was asked for at `asked_version`.
pub(super) async fn execute(context: &Arc<Context>, leaf: StepId, asked_version: i64) -> Result<(), Halt> {
    if let Err(problem) = people::notice(&context.shared, &context.session).await {
        tracing::info!(session = %context.session.number, %problem, "merges by hand could not be looked for");
    }
    let newest = context.runbook().await?;
    let changes = context.shared.store.changes(context.session.id).await?;
    let ground = stack::Ground::read(context).await?;
    let goal = stack::goal(&context.session, &changes, &newest, leaf, &ground);
    let base =
        stack::start_of(&goal, &changes).ok_or_else(|| Halt::failed("the step's branch is gone from the record"))?;
    let agent_session = context
        .shared
        .store
        .steps(context.session.id)
        .await?
        .into_iter()
        .find(|step| step.id == leaf)
        .map(|step| step.agent_session)
        .ok_or_else(|| Halt::failed("the step is gone from the record"))?;
    let run = begin(context, Start { step: Some(leaf), agent_session, base, version: Some(newest.version) }).await?;
    let pinned = run.version.unwrap_or(newest.version);
    let version = context
        .shared
        .store
        .runbook(context.session.id, Some(pinned))
        .await?
        .ok_or_else(|| Halt::failed("the runbook's version is gone from the record"))?;
    let work = Leaf::find(&version, leaf)?;
    if pinned != asked_version && changed_since(context, &work, leaf, asked_version).await? {
        let text =
            format!("Step {} was edited after it was queued; executing its text of version {pinned}.", work.number);
        context.note(NoteLevel::Info, text).await?;
    }
    if work.manual {
        return manual(context, &run, &work).await;
    }
    take_over_commit(context, &run, leaf, &work, &changes).await?;
    if context.run().is_none_or(|run| run.commit.is_none()) {
        let place = workspace::acquire(context).await?;
        if let Some(how) = do_work(context, &place, &run, leaf, &work).await? {
            return complete(context, leaf, how, Vec::new(), Vec::new()).await;
        }
    }
    let run = context.run().unwrap_or(run);
    let mirror = context.mirror().await?;
    let change = change_of(context, &run).await?;
    publish::publish(context, &mirror, change).await?;
    let (writes, events) = ask_what_becomes_of_it(context).await?;
    complete(context, leaf, Completion::Changed, writes, events).await
}

/// A commit that an earlier run of the leaf made, and that failed before all of it was published, is this run's: the
/// work is not done twice. Later steps may have put theirs on top of it meanwhile.
async fn take_over_commit(
    context: &Context,
    run: &Run,
    leaf: StepId,
    work: &Leaf,
    changes: &[Change],
) -> Result<(), Halt> {
    if run.commit.is_some() {
        return Ok(());
    }
    let runs = context.shared.store.runs(context.session.id).await?;
    let mut made = runs.iter().rev().filter(|other| other.step == Some(leaf) && other.state != RunState::Succeeded);
    let made = made.find_map(|other| Some((other.version?, other.base.clone()?, other.commit.clone()?)));
    let Some((version, base, commit)) = made else { return Ok(()) };
    let mirror = context.mirror().await?;
    let mut holds = false;
    for change in changes.iter().filter(|change| change.steps.contains(&leaf)) {
        holds = holds || mirror.is_ancestor(&commit, &change.head).await?;
    }
    if !holds || changed_since(context, work, leaf, version).await? {
        return Ok(());
    }
    let text = format!(
        "The step's commit {} was made before and not published to the end; publishing it now.",
        commit.short()
    );
    let event = EventPayload::Note { level: NoteLevel::Info, text };
    let writes = [Write::RunBase(run.id, base.clone()), Write::RunCommit(run.id, commit.clone())];
    context.commit(&writes, &[event]).await?;
    let run = context.run().unwrap_or_else(|| run.clone());
    context.set_run(Run { base: Some(base), commit: Some(commit), ..run });
    Ok(())
}

/// The parts of a leaf's text that matter for its execution.
struct Leaf {
    number: String,
    title: String,
    context: String,
    condition: Option<String>,
    no_code_change: bool,
    conditional: bool,
    manual: bool,
    checks: Vec<Check>,
    /// How many of them, the first ones, are the leaf's own.
    own_checks: usize,
}

impl Leaf {
    fn find(version: &RunbookVersion, leaf: StepId) -> Result<Self, Halt> {
        let row = version.step(leaf).ok_or_else(|| Halt::failed("the step is no longer in the runbook"))?;
        let document = Document::parse(version.text.as_str());
        let number: runbook::StepNumber =
            row.number.parse().map_err(|error| Halt::failed(format!("the step's number cannot be read: {error}")))?;
        let step = document.step(&number).ok_or_else(|| Halt::failed("the step is no longer in the runbook"))?;
        let values = document.variable_values(&BTreeMap::new());
        let text = match document.leaf_context(&number, &values) {
            Some(Ok(text)) => text.to_text(),
            Some(Err(missing)) => return Err(Halt::failed(missing.to_string())),
            None => return Err(Halt::failed("the step is no longer in the runbook")),
        };
        Ok(Self {
            number: row.number.clone(),
            title: row.title.clone(),
            context: text,
            condition: step.condition.clone(),
            no_code_change: step.has(Tag::NoCodeChange),
            conditional: step.has(Tag::Conditional),
            manual: step.has(Tag::Manual),
            checks: Check::of(&document, &document.checks_after(&number))?,
            own_checks: document.blocks_in(&step.body).iter().filter(|block| block.is_check()).count(),
        })
    }
}

async fn changed_since(context: &Context, work: &Leaf, leaf: StepId, asked: i64) -> Result<bool, Halt> {
    let before = context.shared.store.runbook(context.session.id, Some(asked)).await?;
    Ok(before.and_then(|version| Leaf::find(&version, leaf).ok()).is_none_or(|then| then.context != work.context))
}

/// Agent, checks and commit. What it returns completes the step without a commit; nothing means that there is one.
async fn do_work(
    context: &Arc<Context>,
    place: &Place,
    run: &Run,
    leaf: StepId,
    work: &Leaf,
) -> Result<Option<Completion>, Halt> {
    let base = run.base.clone().ok_or_else(|| Halt::failed("the run has no base"))?;
    let tools = Arc::new(StepTools { context: context.clone(), run: run.id });
    let note: Option<String> = context.journal(&queue::note_key(context.action.id)).await?;
    let runs = context.shared.store.runs(context.session.id).await?;
    let mut before = runs.iter().filter(|other| other.step == Some(leaf) && other.id != run.id);
    let again = before.clone().any(|other| other.base.is_some());
    let went_wrong = before.any(|other| matches!(other.state, RunState::Failed(Failure::Error | Failure::Check)));
    let names: Vec<String> = work.checks.iter().map(|check| check.name.clone()).collect();
    let words = prompt::step(&StepPrompt {
        number: &work.number,
        title: &work.title,
        context: &work.context,
        condition: work.condition.as_deref(),
        no_code_change: work.no_code_change,
        conditional: work.conditional,
        checks: &names,
        note: note.as_deref(),
        again,
    });
    let mut what = Talk {
        stage: "work".to_owned(),
        phase: Phase::Execute,
        agent_session: run.agent_session,
        on: Some(base.clone()),
        prompt: briefing::with_notes(context, &place.mirror, Phase::Execute, &work.context, words).await?,
        tools: if work.conditional { vec![skip_step_tool()] } else { Vec::new() },
        own: tools,
    };
    if !crate::converse::has_begun(context, run.id, "work").await? {
        place.prepare(context, &base).await?;
        pre_execution::run(context, place, &base).await?;
        what.on = None;
    }
    let first = if went_wrong {
        learnings::asked_for(context, run.id, Moment::ErrorResolved, what.clone())
    } else {
        what.clone()
    };
    let mut said = talk_until_heard(context, place, first).await?.text;
    if let Some(reason) = context.journal::<String>(&skip_key(run.id)).await? {
        context.note(NoteLevel::Info, format!("Step {} was skipped: {reason}", work.number)).await?;
        prove_without(context, place, &base, &work.checks[work.own_checks..]).await?;
        return Ok(Some(Completion::Skipped));
    }
    checks::announce(context, &work.checks).await?;
    let mut outcomes = checks::run(context, place, &work.checks, &base).await?;
    for round in 1..=context.shared.settings.check_retries {
        let Some(why) = checks::failure(&outcomes) else { break };
        context
            .note(
                NoteLevel::Warning,
                format!("{why}; the agent is asked to mend it ({round} of {}).", context.shared.settings.check_retries),
            )
            .await?;
        what.stage = format!("mend-{round}");
        what.prompt = checks::report(&outcomes);
        what.on = None;
        let mend = learnings::asked_for(context, run.id, Moment::ChecksFixed, what.clone());
        said = talk(context, place, mend).await?.text;
        outcomes = checks::run(context, place, &work.checks, &base).await?;
    }
    keep_evidence(context, run.id, &outcomes).await?;
    if let Some(why) = checks::failure(&outcomes) {
        return Err(Halt::Failed { why: Failure::Check, message: why });
    }
    let Some(proposed) = place.propose(context, &base).await? else { return Ok(Some(Completion::NoChange)) };
    if work.no_code_change {
        let text = format!(
            "Step {} is tagged [NO-CODE-CHANGE]; the {} file(s) that it changed were taken back.",
            work.number,
            proposed.files.len()
        );
        context.note(NoteLevel::Warning, text).await?;
        return Ok(Some(Completion::NoChange));
    }
    faultpoint::crash_point!("crash-proposal-imported");
    publish::commit_leaf(context, &place.mirror, run, leaf, &proposed.tree, &said).await?;
    Ok(None)
}

/// Runs the checks that come after a leaf that was skipped, on the tree that it started from: those of a parent whose
/// last leaf it is would prove nothing otherwise.
async fn prove_without(context: &Context, place: &Place, base: &CommitId, checks: &[Check]) -> Result<(), Halt> {
    if checks.is_empty() {
        return Ok(());
    }
    place.prepare(context, base).await?;
    checks::announce(context, checks).await?;
    let outcomes = checks::run(context, place, checks, base).await?;
    keep_evidence(context, context.run_id()?, &outcomes).await?;
    checks::failure(&outcomes).map_or(Ok(()), |message| Err(Halt::Failed { why: Failure::Check, message }))
}

async fn keep_evidence(context: &Context, run: RunId, outcomes: &[CheckOutcome]) -> Result<(), Halt> {
    let value = serde_json::to_value(outcomes).map_err(|error| Halt::failed(error.to_string()))?;
    context.commit(&[Write::Journal(publish::evidence_key(run), value)], &[]).await
}

async fn change_of(context: &Context, run: &Run) -> Result<domain::ChangeId, Halt> {
    let changes = context.shared.store.changes(context.session.id).await?;
    let step = run.step.ok_or_else(|| Halt::failed("the run has no step"))?;
    changes
        .iter()
        .rev()
        .find(|change| change.steps.contains(&step))
        .map(|change| change.id)
        .ok_or_else(|| Halt::failed("the run's change is gone from the record"))
}

/// Ends run, step and action as succeeded, in one transaction with what comes next.
async fn complete(
    context: &Context,
    leaf: StepId,
    how: Completion,
    mut writes: Vec<Write>,
    mut events: Vec<EventPayload>,
) -> Result<(), Halt> {
    let (w, mut e) = context.step_moves(leaf, StepEvent::Complete(how)).await?;
    writes.extend(w);
    if how == Completion::Skipped {
        let skip = skip_of(context).await?;
        for event in &mut e {
            if let EventPayload::StepState { why, .. } = event {
                *why = Some(skip.reason.clone()).filter(|reason| !reason.is_empty());
            }
        }
        writes.push(marks::skipped(leaf, Some(&skip)));
    }
    events.extend(e);
    succeed(context, writes, events).await
}

/// Who skipped the step of this run, and why: the agent with its reason, or the person who was asked.
async fn skip_of(context: &Context) -> Result<Skip, Halt> {
    let (run, at) = (context.run_id()?, context.shared.now());
    if let Some(reason) = context.journal::<String>(&skip_key(run)).await? {
        return Ok(Skip { by: None, reason, at });
    }
    let asked = context.shared.store.requests(context.session.id).await?;
    let by = asked.into_iter().find(|request| request.run == Some(run)).and_then(|request| match request.state {
        RequestState::Answered { by, .. } => by,
        _ => None,
    });
    Ok(Skip { by, reason: String::new(), at })
}

/// In manual mode the queue halts here until a person decides.
async fn ask_what_becomes_of_it(context: &Context) -> Result<(Vec<Write>, Vec<EventPayload>), Halt> {
    if context.session.pr_mode != PrMode::Manual {
        return Ok((Vec::new(), Vec::new()));
    }
    let shared = &context.shared;
    let queue = shared.store.queue(context.session.id).await?;
    let following: Vec<&Action> = queue
        .iter()
        .filter(|row| row.state == ActionState::Queued && matches!(row.kind, ActionKind::ExecuteStep { .. }))
        .collect();
    let request = Request {
        id: RequestId::new(shared.mint.as_ref()),
        session: context.session.id,
        run: None,
        kind: RequestKind::Publish { options: people::publish_options(!following.is_empty()) },
        state: RequestState::Open,
        asked_at: shared.now(),
    };
    let event = EventPayload::Question { request: request.id, ask: request.kind.clone() };
    let first = queue.iter().map(|row| row.position).filter(|position| *position > context.action.position).min();
    let mut action = queue::queued(shared, &context.session, &queue, 0, ActionKind::Finish, None);
    action.state = ActionState::Waiting;
    if let Some(first) = first {
        action.position = first - 1;
    }
    Ok((vec![Write::AddRequest(request), Write::Enqueue(action)], vec![event]))
}

/// A `[MANUAL]` step: a person does it and says so.
async fn manual(context: &Context, run: &Run, work: &Leaf) -> Result<(), Halt> {
    let question = format!("Step {} `{}` is done by a person. Is it done?", work.number, work.title);
    let asked = context
        .shared
        .store
        .requests(context.session.id)
        .await?
        .into_iter()
        .find(|request| request.run == Some(run.id));
    let leaf = run.step.ok_or_else(|| Halt::failed("the run has no step"))?;
    match asked.map(|request| request.state) {
        Some(RequestState::Answered { answer: domain::Answer::Answers { answers }, .. }) => {
            let skipped = answers.values().any(|answer| answer == "skip");
            let how = if skipped { Completion::Skipped } else { Completion::ByPerson };
            complete(context, leaf, how, Vec::new(), Vec::new()).await
        }
        Some(RequestState::Cancelled) => Err(Halt::Stopped),
        _ => {
            let option =
                |label: &str, description: &str| Choice { label: label.into(), description: description.into() };
            let request = Request {
                id: RequestId::new(context.shared.mint.as_ref()),
                session: context.session.id,
                run: Some(run.id),
                kind: RequestKind::Question {
                    questions: vec![Question {
                        question,
                        header: "Manual step".to_owned(),
                        options: vec![option("done", "the step is done"), option("skip", "it is not needed")],
                        multi_select: false,
                    }],
                    tool_use_id: format!("{}{}", people::MANUAL, run.id),
                },
                state: RequestState::Open,
                asked_at: context.shared.now(),
            };
            wait_for(context, leaf, request).await
        }
    }
}

/// Puts run, step and action to rest until the request is answered.
async fn wait_for(context: &Context, leaf: StepId, request: Request) -> Result<(), Halt> {
    let (mut writes, mut events) = context.run_moves(RunEvent::Wait, None)?;
    let (w, e) = context.step_moves(leaf, StepEvent::Wait).await?;
    writes.extend(w);
    events.extend(e);
    events.push(EventPayload::Question { request: request.id, ask: request.kind.clone() });
    writes.push(Write::AddRequest(request));
    writes.push(Write::Action {
        id: context.action.id,
        from: ActionState::Running,
        to: ActionState::Waiting,
        not_before: None,
        handed_back: true,
    });
    context.commit(&writes, &events).await?;
    Err(Halt::Waiting)
}

/// The note that the agent skipped a conditional step, and why.
fn skip_key(run: RunId) -> String {
    format!("skip:{run}")
}

fn skip_step_tool() -> ToolSpec {
    ToolSpec {
        name: "skip_step".to_owned(),
        description: "Says that this conditional step does not apply here, and why. Change nothing then.".to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": { "reason": { "type": "string", "description": "why the condition does not hold, with what shows it" } },
            "required": ["reason"],
            "additionalProperties": false
        }),
    }
}

struct StepTools {
    context: Arc<Context>,
    run: RunId,
}

#[async_trait]
impl OwnTools for StepTools {
    async fn call(&self, call: &OwnCall) -> Result<String, String> {
        if call.name != "skip_step" {
            return Err(format!("there is no tool {}", call.name));
        }
        let reason = call.input.get("reason").and_then(serde_json::Value::as_str).map(str::trim).unwrap_or_default();
        if reason.is_empty() {
            return Err("`reason` must say why the step does not apply".to_owned());
        }
        let write = Write::Journal(skip_key(self.run), reason.into());
        match self.context.commit(&[write], &[]).await {
            Ok(()) => Ok("Noted: the step is skipped. Say so in one sentence; change nothing.".to_owned()),
            Err(_) => Err("Runyard could not store it; call again".to_owned()),
        }
    }
}
