//! What sessions are made of.

use super::{
    enums::{self, RequestKindName, RunStateKind, StepReason, StepStateKind, run_state, step_state},
    error::{Code, Failure},
    people::{Person, person},
    scalars::{DateTime, Long, dollars},
};
use crate::audience::Shown;
use async_graphql::{ComplexObject, Context, ID, InputObject, Json, Object, Result, SimpleObject};
use domain::{RequestKind, RunId, RunbookVersion, UserId};
use engine::SessionView;
use runbook::Document;
use serde_json::{Value, value::RawValue};
use std::{collections::HashMap, sync::Arc};

/// What something used.
#[derive(Debug, SimpleObject)]
pub struct Usage {
    /// Tokens that went in.
    input: Long,
    /// Tokens that came out.
    output: Long,
    /// Tokens that were read from the cache.
    cache_read: Long,
    /// Tokens that were written to it.
    cache_write: Long,
    /// In dollars.
    cost: f64,
}

impl From<domain::Usage> for Usage {
    fn from(usage: domain::Usage) -> Self {
        let domain::Usage { input, output, cache_read, cache_write, cost } = usage;
        Self {
            input: Long(input),
            output: Long(output),
            cache_read: Long(cache_read),
            cache_write: Long(cache_write),
            cost: dollars(cost),
        }
    }
}

/// Events in order.
#[derive(SimpleObject)]
pub struct EventPage {
    pub nodes: Vec<Event>,
    /// True when there are more.
    pub has_more: bool,
    /// The number up to which the log was looked through: ask on from there.
    pub reached: i64,
}

/// Which events are wanted; what is left out does not matter.
#[derive(Debug, InputObject)]
pub struct EventFilter {
    /// With this in what they say, in small or capital letters.
    text: Option<String>,
    /// Of one kind, such as `tool_started`.
    kind: Option<String>,
    /// Of one run.
    run: Option<ID>,
}

impl EventFilter {
    /// The engine's filter.
    pub fn checked(self) -> Result<engine::EventFilter, Failure> {
        let told = || Failure::new(Code::BadRequest, "this is no id of a run").field("matching.run");
        let run = self.run.map(|id| id.parse().map(RunId).map_err(|_| told())).transpose()?;
        Ok(engine::EventFilter { text: self.text, kind: self.kind, run })
    }
}

/// A part of what a process wrote.
#[derive(Debug, SimpleObject)]
pub struct Output {
    /// The bytes as text; what is no text is replaced.
    text: String,
    /// The offset of the first byte.
    from: Long,
    /// The offset after the last byte: the next part begins there.
    to: Long,
    /// How many bytes there are so far.
    size: Long,
}

impl From<engine::OutputPart> for Output {
    fn from(part: engine::OutputPart) -> Self {
        Self { text: part.text, from: part.from.into(), to: part.to.into(), size: part.size.into() }
    }
}

/// One entry of a session's log.
pub struct Event(pub Arc<Shown>);

#[Object]
impl Event {
    /// 1, 2, 3 … without gaps.
    async fn number(&self) -> i64 {
        self.0.number
    }

    async fn at(&self) -> DateTime {
        DateTime(self.0.at)
    }

    /// `message`, `question`, `answer`, `plan_version`, `step_state`, `run_state`, `tool_started`, `tool_finished`,
    /// `text`, `output`, `check_result`, `change_state`, `usage`, `sandbox_state`, `note`; more may come.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The event as it is on record, with its `type`.
    async fn payload(&self) -> Json<&RawValue> {
        Json(&self.0.payload)
    }
}

/// Where a step stands in a version.
#[derive(Debug, SimpleObject)]
pub struct RunbookStep {
    /// The same over all versions.
    id: ID,
    number: String,
    title: String,
    /// True when it has no substeps.
    leaf: bool,
}

impl From<&domain::VersionStep> for RunbookStep {
    fn from(step: &domain::VersionStep) -> Self {
        let domain::VersionStep { id, number, title, leaf } = step.clone();
        Self { id: id.to_string().into(), number, title, leaf }
    }
}

/// A version of a runbook.
pub struct Runbook(pub RunbookVersion);

#[Object]
impl Runbook {
    async fn version(&self) -> i64 {
        self.0.version
    }

    /// The document, as Markdown.
    async fn body(&self) -> &str {
        &self.0.text
    }

    /// The person who made it; null when the agent did.
    async fn author(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.0.author).await
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.created_at)
    }

    /// Its steps in document order, parents and leaves.
    async fn steps(&self) -> Vec<RunbookStep> {
        self.0.steps.iter().map(Into::into).collect()
    }

    /// The version that it restores.
    async fn restores(&self) -> Option<i64> {
        self.0.restores
    }
}

/// That a step was skipped.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Skip {
    /// Why, in words for people; empty when nobody said.
    reason: String,
    at: DateTime,
    #[graphql(skip)]
    by: Option<UserId>,
}

#[ComplexObject]
impl Skip {
    /// Who decided it; null when the agent did.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.by).await
    }
}

impl From<&engine::Skip> for Skip {
    fn from(skip: &engine::Skip) -> Self {
        Self { reason: skip.reason.clone(), at: DateTime(skip.at), by: skip.by }
    }
}

/// A step of the newest version.
#[derive(Debug, SimpleObject)]
pub struct Step {
    /// The same over all versions.
    id: ID,
    number: String,
    title: String,
    /// True when it has no substeps.
    leaf: bool,
    /// Its own text without its heading, as Markdown.
    body: String,
    state: StepStateKind,
    reason: Option<StepReason>,
    /// When it was skipped: why.
    skip: Option<Skip>,
    usage: Usage,
    /// The pull request that holds its work.
    pull_request: Option<i64>,
    /// Seconds at work on it.
    seconds: Long,
}

impl Step {
    /// All steps of a session, each with its text.
    pub fn all(view: &SessionView) -> Vec<Self> {
        let document = view.runbook.as_ref().map(|version| Document::parse(version.text.clone()));
        let bodies: HashMap<String, String> = document
            .iter()
            .flat_map(|document| {
                document
                    .steps()
                    .iter()
                    .map(|step| (step.number.to_string(), document.text()[step.body.clone()].trim().to_owned()))
            })
            .collect();
        let each = view.steps.iter().map(|step| {
            let (state, reason) = step_state(step.state);
            Self {
                id: step.id.to_string().into(),
                number: step.number.clone(),
                title: step.title.clone(),
                leaf: step.leaf,
                body: bodies.get(&step.number).cloned().unwrap_or_default(),
                state,
                reason,
                skip: step.skip.as_ref().map(Into::into),
                usage: step.usage.into(),
                pull_request: step.pull_request,
                seconds: step.seconds.into(),
            }
        });
        each.collect()
    }
}

fn number_of(view: &SessionView, step: Option<domain::StepId>) -> Option<String> {
    let found = view.runbook.as_ref()?.step(step?)?;
    Some(found.number.clone())
}

/// Something asked of a session.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Action {
    id: ID,
    /// `plan`, `answer`, `execute_step`, `revise`, `revert_step`, `resolve_conflict`, `finish`.
    kind: String,
    /// The number of its step.
    step: Option<String>,
    state: enums::ActionStateKind,
    created_at: DateTime,
    #[graphql(skip)]
    by: Option<UserId>,
}

#[ComplexObject]
impl Action {
    async fn requested_by(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.by).await
    }
}

impl Action {
    pub fn new(action: &domain::Action, view: &SessionView) -> Self {
        Self {
            id: action.id.to_string().into(),
            kind: action.kind.name().to_owned(),
            step: number_of(view, action.kind.step()),
            state: action.state.into(),
            created_at: DateTime(action.created_at),
            by: action.requested_by,
        }
    }
}

/// One attempt at an action.
#[derive(Debug, SimpleObject)]
pub struct Run {
    id: ID,
    /// The action's kind.
    kind: String,
    /// The number of its step.
    step: Option<String>,
    state: RunStateKind,
    reason: Option<StepReason>,
    /// Why, in words for people.
    message: Option<String>,
    usage: Usage,
    started_at: DateTime,
    finished_at: Option<DateTime>,
}

impl Run {
    pub fn new(run: &domain::Run, view: &SessionView) -> Self {
        let (state, reason) = run_state(run.state);
        Self {
            id: run.id.to_string().into(),
            kind: view.kinds.get(&run.id).cloned().unwrap_or_default(),
            step: number_of(view, run.step),
            state,
            reason,
            message: run.message.clone(),
            usage: run.usage.into(),
            started_at: DateTime(run.started_at),
            finished_at: run.finished_at.map(DateTime),
        }
    }
}

/// A branch with its pull request.
#[derive(Debug, SimpleObject)]
pub struct Change {
    id: ID,
    branch: String,
    base_branch: String,
    /// The branch's newest commit.
    head: String,
    state: enums::ChangeStateKind,
    /// The pull request's number.
    pull_request: Option<i64>,
    title: String,
    /// Numbers of the steps that are in it.
    steps: Vec<String>,
}

impl Change {
    pub fn new(change: &domain::Change, view: &SessionView) -> Self {
        Self {
            id: change.id.to_string().into(),
            branch: change.branch.as_str().to_owned(),
            base_branch: change.base_branch.as_str().to_owned(),
            head: change.head.as_str().to_owned(),
            state: change.state.into(),
            pull_request: change.pull_request,
            title: change.title.clone(),
            steps: change.steps.iter().filter_map(|step| number_of(view, Some(*step))).collect(),
        }
    }
}

/// Something that waits for a person.
#[derive(Debug, SimpleObject)]
pub struct Request {
    id: ID,
    kind: RequestKindName,
    asked_at: DateTime,
    /// For `QUESTION`.
    questions: Vec<Question>,
    /// For `PERMISSION`: the tool.
    tool: Option<String>,
    /// For `PERMISSION`: what the tool would be called with.
    input: Option<Json<Value>>,
    /// For `PERMISSION`: why it needs a person.
    why: Option<String>,
    /// For `PUBLISH`: what may be chosen.
    options: Vec<Choice>,
}

/// One question.
#[derive(Debug, SimpleObject)]
pub struct Question {
    #[graphql(name = "question")]
    text: String,
    /// A short name of its subject.
    header: String,
    /// What may be chosen; a free answer is always possible.
    options: Vec<Choice>,
    /// True when several may be chosen.
    multi_select: bool,
}

/// One possible answer.
#[derive(Debug, SimpleObject)]
pub struct Choice {
    label: String,
    /// What choosing it means.
    description: String,
}

impl From<&domain::Choice> for Choice {
    fn from(choice: &domain::Choice) -> Self {
        Self { label: choice.label.clone(), description: choice.description.clone() }
    }
}

impl From<&domain::Request> for Request {
    fn from(request: &domain::Request) -> Self {
        let mut told = Self {
            id: request.id.to_string().into(),
            kind: RequestKindName::Question,
            asked_at: DateTime(request.asked_at),
            questions: Vec::new(),
            tool: None,
            input: None,
            why: None,
            options: Vec::new(),
        };
        match &request.kind {
            RequestKind::Question { questions, .. } => {
                told.questions = questions
                    .iter()
                    .map(|question| Question {
                        text: question.question.clone(),
                        header: question.header.clone(),
                        options: question.options.iter().map(Choice::from).collect(),
                        multi_select: question.multi_select,
                    })
                    .collect();
            }
            RequestKind::Permission { tool, input, reason, .. } => {
                told.kind = RequestKindName::Permission;
                told.tool = Some(tool.clone());
                told.input = Some(Json(input.clone()));
                told.why = Some(reason.clone());
            }
            RequestKind::Publish { options } => {
                told.kind = RequestKindName::Publish;
                told.options = options.iter().map(Choice::from).collect();
            }
        }
        told
    }
}
