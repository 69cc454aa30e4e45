//! Making the runbook, and answering what people say about it.

use super::succeed;
use crate::{
    begin::{Start, begin},
    briefing,
    context::Context,
    converse::{OwnTools, Talk, talk, talk_until_heard},
    halt::Halt,
    learnings, people, prompt,
    queue::{self, Unfinished},
    shared::spec_of,
    workspace,
};
use agent::{OwnCall, Phase, ToolSpec};
use async_trait::async_trait;
use domain::{ActionKind, Actor, Mode, Moment, RunId, StepEvent};
use runbook::{Document, Tag};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use store::{StoreError, Write};

/// How often the agent is reminded to hand in its plan.
const REMINDERS: usize = 2;

/// How often a plan is stored again when somebody edited the runbook at the same moment.
const CLASHES: usize = 5;

/// Makes the first version of the runbook.
pub(super) async fn plan(context: &Arc<Context>) -> Result<(), Halt> {
    let start = Start {
        step: None,
        agent_session: context.session.agent_session,
        base: context.session.base.clone(),
        version: None,
    };
    let run = begin(context, start).await?;
    let place = workspace::acquire(context).await?;
    let tools = Arc::new(PlanTools { context: context.clone(), run: run.id });
    let note: Option<String> = context.journal(&queue::note_key(context.action.id)).await?;
    let spec = spec_of(&context.shared, &context.session).await?;
    let words = prompt::plan(&context.session, spec.as_ref(), note.as_deref());
    let asked = [context.session.prompt.as_str(), spec.as_ref().map_or("", |(_, text)| text)].join("\n");
    let mut words = briefing::with_notes(context, &place.mirror, Phase::Plan, &asked, words).await?;
    for round in 0..=REMINDERS {
        let stage = if round == 0 { "plan".to_owned() } else { format!("remind-{round}") };
        let what = Talk {
            stage,
            phase: Phase::Plan,
            agent_session: context.session.agent_session,
            on: Some(context.session.base.clone()),
            prompt: words,
            tools: vec![submit_plan_tool()],
            own: tools.clone(),
        };
        talk(context, &place, what).await?;
        if has_planned(context, run.id).await? {
            return planned(context).await;
        }
        words = prompt::remind_plan();
    }
    Err(Halt::failed("the agent ended without handing in a plan; retry, or say in a message what is missing"))
}

/// Ends planning; a one-shot goes on with every step.
async fn planned(context: &Context) -> Result<(), Halt> {
    let mut writes = Vec::new();
    let mut events = Vec::new();
    if context.session.mode == Mode::OneShot {
        let version = context.runbook().await?;
        let queue = context.shared.store.queue(context.session.id).await?;
        let mut place = 0;
        for leaf in version.leaves() {
            place += 1;
            let kind = ActionKind::ExecuteStep { step: leaf.id, version: version.version };
            writes.push(Write::Enqueue(queue::queued(&context.shared, &context.session, &queue, place, kind, None)));
            let (w, e) = context.step_moves(leaf.id, StepEvent::Queue).await?;
            writes.extend(w);
            events.extend(e);
        }
        let action = queue::queued(&context.shared, &context.session, &queue, place + 1, ActionKind::Finish, None);
        writes.push(Write::Enqueue(action));
    }
    succeed(context, writes, events).await
}

/// Answers a message; the answer may be a new version.
pub(super) async fn answer(context: &Arc<Context>, message: &str) -> Result<(), Halt> {
    let version = context.shared.store.runbook(context.session.id, None).await?;
    let tip = context.tip().await?;
    let start = Start {
        step: None,
        agent_session: context.session.agent_session,
        base: tip.clone(),
        version: version.as_ref().map(|version| version.version),
    };
    let run = begin(context, start).await?;
    let place = workspace::acquire(context).await?;
    let states = context.shared.store.steps(context.session.id).await?;
    let states = states.into_iter().map(|step| (step.id, step.state)).collect();
    let words = prompt::answer(version.as_ref(), &states, message);
    let asked = format!("{message}\n{}", context.session.prompt);
    let mut what = Talk {
        stage: "answer".to_owned(),
        phase: Phase::Plan,
        agent_session: context.session.agent_session,
        on: run.base.clone().or(Some(tip)),
        prompt: briefing::with_notes(context, &place.mirror, Phase::Plan, &asked, words).await?,
        tools: vec![submit_plan_tool()],
        own: Arc::new(PlanTools { context: context.clone(), run: run.id }),
    };
    if version.is_some() {
        what = learnings::asked_for(context, run.id, Moment::PlanCorrected, what);
    }
    talk_until_heard(context, &place, what).await?;
    succeed(context, Vec::new(), Vec::new()).await
}

/// Whether a run handed in a plan.
pub(crate) async fn has_planned(context: &Context, run: RunId) -> Result<bool, Halt> {
    Ok(context.journal::<i64>(&accepted_key(run)).await?.is_some())
}

/// The note that a run handed in a plan: its version.
fn accepted_key(run: RunId) -> String {
    format!("plan:{run}")
}

fn submit_plan_tool() -> ToolSpec {
    ToolSpec {
        name: "submit_plan".to_owned(),
        description: "Hands in the runbook: the whole Markdown document. It is checked; what is wrong comes back with line numbers, mend it and call again.".to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": { "runbook": { "type": "string", "description": "the whole runbook, Markdown" } },
            "required": ["runbook"],
            "additionalProperties": false
        }),
    }
}

/// Takes in what the agent hands in.
struct PlanTools {
    context: Arc<Context>,
    run: RunId,
}

#[async_trait]
impl OwnTools for PlanTools {
    async fn call(&self, call: &OwnCall) -> Result<String, String> {
        if call.name != "submit_plan" {
            return Err(format!("there is no tool {}", call.name));
        }
        let text = call.input.get("runbook").and_then(serde_json::Value::as_str);
        let text = text.ok_or_else(|| "`runbook` must be a string: the whole Markdown document".to_owned())?;
        // The same call may come again after a crash: what it came to is on record with the version itself.
        let key = format!("call:{}", call.tool_use_id);
        if let Ok(Some(said)) = self.context.journal::<String>(&key).await {
            return Ok(said);
        }
        self.accept(text, &key).await
    }
}

impl PlanTools {
    async fn accept(&self, text: &str, key: &str) -> Result<String, String> {
        let context = &self.context;
        let (text, _) = runbook::without_nul(text.to_owned());
        let document = Document::parse(text);
        let mut diagnostics = runbook::check_plan(&document);
        if runbook::has_errors(&diagnostics) {
            diagnostics.retain(|diagnostic| diagnostic.severity == runbook::Severity::Error);
            return Err(format!(
                "The runbook was not taken. Mend this and hand it in again:\n{}",
                runbook::render_text("runbook", &diagnostics)
            ));
        }
        if context.session.mode == Mode::OneShot {
            fits_one_shot(&document)?;
        }
        for _ in 0..CLASHES {
            let before = self.read(context.shared.store.runbook(context.session.id, None).await)?;
            let (version, fresh) = people::version_of(
                context.shared.mint.as_ref(),
                &context.session,
                before.as_ref(),
                &document,
                None,
                context.shared.now(),
            );
            let (mut gone, mut events) = (Vec::new(), vec![people::version_event(&version, Actor::Agent)]);
            if let Some(before) = &before {
                let steps = self.read(context.shared.store.steps(context.session.id).await)?;
                let steps = steps.into_iter().map(|step| (step.id, step)).collect();
                people::keeps_what_is_done(before, &version, &steps).map_err(|problem| {
                    format!("The runbook was not taken: {}; {}", problem.message, problem.mend.unwrap_or_default())
                })?;
                let queue = self.read(context.shared.store.queue(context.session.id).await)?;
                let store = context.shared.store.as_ref();
                let unfinished = self.read(Unfinished::read(store, context.session.id).await)?;
                let (w, e) = people::take_out_gone(&queue, before, &version, &steps, &unfinished);
                gone = w;
                events.extend(e);
            }
            let leaves = version.leaves().count();
            let said = format!(
                "Taken as version {} with {leaves} executable step(s). You are done; say so in one sentence.",
                version.version
            );
            let mut writes = vec![
                Write::AddRunbook(version.clone(), fresh),
                Write::Journal(accepted_key(self.run), version.version.into()),
                Write::Journal(key.to_owned(), said.clone().into()),
            ];
            writes.extend(gone);
            match context.try_commit(&writes, &events).await {
                Ok(()) => return Ok(said),
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return self.read(Err(error)),
            }
        }
        Err("The runbook was edited by somebody at the same time, again and again; hand it in once more.".to_owned())
    }

    fn read<T>(&self, result: Result<T, StoreError>) -> Result<T, String> {
        result.map_err(|error| {
            tracing::warn!(session = %self.context.session.number, %error, "failed to store a plan");
            "Runyard could not store it; hand it in again.".to_owned()
        })
    }
}

/// A one-shot asks nobody: no manual steps, no variable without a value.
fn fits_one_shot(document: &Document) -> Result<(), String> {
    if let Some(step) = document.steps().iter().find(|step| step.has(Tag::Manual)) {
        return Err(format!(
            "Step {} is [MANUAL], but this run asks nobody: leave such steps out, and name them under the manual testing plan.",
            step.number
        ));
    }
    let missing = document.missing_variables(&BTreeMap::new());
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.into_iter().collect();
    Err(format!("The variables {} have no default, and this run asks nobody: write the values out.", names.join(", ")))
}
