//! Sessions, in lists and whole.

use super::{
    call,
    enums::{self, PhaseKind, StepReason},
    error::{Code, Failure, odd, problem},
    knowledge::{KnowledgeRef, KnowledgeUse},
    people::{Person, person},
    scalars::{DateTime, Long, dollars},
    session_parts::{Action, Change, Event, EventFilter, EventPage, Output, Request, Run, Runbook, Step, Usage},
};
use crate::audience::Shown;
use async_graphql::{Context, ID, Object, Result, SimpleObject};
use domain::{ExecId, SessionNumber};
use engine::{Command, Reply, SessionLine as Line, SessionView};
use std::sync::Arc;

/// Events of a page at most.
const MOST_EVENTS: i32 = 500;

/// What a session is doing.
#[derive(Debug, SimpleObject)]
pub struct Phase {
    kind: PhaseKind,
    /// The step that is executed or failed.
    step: Option<String>,
    /// The kind of action that is worked on, such as `answer`.
    action: Option<String>,
    /// Why planning failed.
    message: Option<String>,
    /// Why the step failed.
    reason: Option<StepReason>,
}

impl From<&engine::Phase> for Phase {
    fn from(phase: &engine::Phase) -> Self {
        let mut told = Self { kind: phase.into(), step: None, action: None, message: None, reason: None };
        match phase {
            engine::Phase::Executing { step } => told.step = Some(step.clone()),
            engine::Phase::Working { action } => told.action = Some(action.clone()),
            engine::Phase::PlanFailed { message } => told.message = Some(message.clone()),
            engine::Phase::Failed { step, reason } => {
                told.step = Some(step.clone());
                told.reason = Some((*reason).into());
            }
            engine::Phase::Waiting
            | engine::Phase::Planning
            | engine::Phase::Queued
            | engine::Phase::Planned
            | engine::Phase::Completed => {}
        }
        told
    }
}

/// A session in a list.
#[derive(Debug, SimpleObject)]
pub struct SessionLine {
    number: i64,
    title: String,
    repository: String,
    phase: Phase,
    /// Completed leaves.
    completed: usize,
    /// All leaves.
    total: usize,
    /// In dollars.
    cost: f64,
    created_at: DateTime,
    archived: bool,
}

impl From<&Line> for SessionLine {
    fn from(line: &Line) -> Self {
        Self {
            number: line.number.0,
            title: line.title.clone(),
            repository: line.repository.clone(),
            phase: (&line.phase).into(),
            completed: line.completed,
            total: line.total,
            cost: dollars(line.cost),
            created_at: DateTime(line.created_at),
            archived: line.archived,
        }
    }
}

/// A budget.
#[derive(Debug, SimpleObject)]
pub struct Budget {
    /// In dollars.
    cost: Option<f64>,
    tokens: Option<Long>,
    seconds: Option<Long>,
}

impl From<&domain::Budget> for Budget {
    fn from(budget: &domain::Budget) -> Self {
        Self {
            cost: budget.cost.map(dollars),
            tokens: budget.tokens.map(Long),
            seconds: budget.seconds.map(Long::from),
        }
    }
}

/// A session as it is now, read once.
pub struct Session(Arc<SessionView>);

impl Session {
    /// Reads a session; none when there is none that the caller may see.
    pub async fn find(ctx: &Context<'_>, number: i64) -> Result<Option<Self>> {
        match Self::read(ctx, number).await {
            Ok(session) => Ok(Some(session)),
            Err(failure) if failure.is_missing() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Reads a session that must be there.
    pub async fn read(ctx: &Context<'_>, number: i64) -> Result<Self, Failure> {
        let call = call(ctx).map_err(|error| Failure::new(Code::Internal, error.message))?;
        match call.ask(Command::Session { session: SessionNumber(number) }).await? {
            Reply::Session(view) => Ok(Self(Arc::from(view))),
            _ => Err(odd()),
        }
    }
}

#[Object]
impl Session {
    async fn id(&self) -> ID {
        self.0.session.id.to_string().into()
    }

    /// Its number, shown as `r/42`.
    async fn number(&self) -> i64 {
        self.0.session.number.0
    }

    async fn title(&self) -> &str {
        &self.0.session.title
    }

    /// The request in plain words.
    async fn prompt(&self) -> &str {
        &self.0.session.prompt
    }

    async fn requester(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, Some(self.0.session.requester)).await
    }

    async fn mode(&self) -> enums::Mode {
        self.0.session.mode.into()
    }

    async fn pr_mode(&self) -> enums::PrMode {
        self.0.session.pr_mode.into()
    }

    async fn draft(&self) -> bool {
        self.0.session.draft
    }

    async fn labels(&self) -> &[String] {
        &self.0.session.labels
    }

    async fn target_branch(&self) -> &str {
        self.0.session.target_branch.as_str()
    }

    /// The commit that work started from.
    async fn base(&self) -> &str {
        self.0.session.base.as_str()
    }

    /// The repository's name.
    async fn repository(&self) -> &str {
        &self.0.repository
    }

    async fn budget(&self) -> Budget {
        (&self.0.session.budget).into()
    }

    /// What each run may use.
    async fn run_budget(&self) -> Budget {
        (&self.0.session.run_budget).into()
    }

    async fn usage(&self) -> Usage {
        self.0.session.usage.into()
    }

    /// Seconds that all runs were at work.
    async fn worked(&self) -> Long {
        (self.0.worked_ms / 1000).into()
    }

    async fn archived(&self) -> bool {
        self.0.session.archived
    }

    async fn created_at(&self) -> DateTime {
        DateTime(self.0.session.created_at)
    }

    async fn phase(&self) -> Phase {
        (&self.0.phase).into()
    }

    /// The number of the newest event.
    async fn last_event(&self) -> i64 {
        self.0.session.last_event
    }

    /// A version of the runbook, the newest without a number; null before there is one.
    async fn runbook(&self, ctx: &Context<'_>, version: Option<i64>) -> Result<Option<Runbook>> {
        let Some(version) = version else { return Ok(self.0.runbook.clone().map(Runbook)) };
        Ok(self.all_versions(ctx).await?.into_iter().find(|found| found.version == version).map(Runbook))
    }

    /// All versions, oldest first.
    #[graphql(complexity = "20 * child_complexity")]
    async fn versions(&self, ctx: &Context<'_>) -> Result<Vec<Runbook>> {
        Ok(self.all_versions(ctx).await?.into_iter().map(Runbook).collect())
    }

    /// Steps of the newest version in document order, parents and leaves.
    #[graphql(complexity = "20 * child_complexity")]
    async fn steps(&self) -> Vec<Step> {
        Step::all(&self.0)
    }

    /// What is queued, running or waiting, in order.
    async fn queue(&self) -> Vec<Action> {
        self.0.queue.iter().map(|action| Action::new(action, &self.0)).collect()
    }

    /// All runs, oldest first.
    #[graphql(complexity = "20 * child_complexity")]
    async fn runs(&self) -> Vec<Run> {
        self.0.runs.iter().map(|run| Run::new(run, &self.0)).collect()
    }

    /// The stack, bottom first.
    async fn changes(&self) -> Vec<Change> {
        self.0.changes.iter().map(|change| Change::new(change, &self.0)).collect()
    }

    /// What waits for a person, oldest first.
    async fn open_requests(&self) -> Vec<Request> {
        self.0.open_requests.iter().map(Request::from).collect()
    }

    async fn sandbox(&self) -> Option<enums::SandboxStateKind> {
        self.0.sandbox.map(Into::into)
    }

    /// The persona that somebody chose; null: the default ones.
    async fn persona(&self) -> Option<KnowledgeRef> {
        self.0.persona.as_ref().map(Into::into)
    }

    /// What its runs were told of what the team knows.
    async fn knowledge(&self) -> Vec<KnowledgeUse> {
        self.0.knowledge.iter().map(Into::into).collect()
    }

    /// Events above a number, in order, at most `first` (up to 500); of those that match, when a filter is given: then
    /// `reached` says how far the log was looked through, which may be less than to its end.
    #[graphql(
        complexity = "(first.clamp(1, 500) as usize) / 10 * child_complexity + if matching.is_some() { 200 } else { 0 }"
    )]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 0)] after: i64,
        #[graphql(default = 200)] first: i32,
        matching: Option<EventFilter>,
    ) -> Result<EventPage> {
        if first < 1 {
            return Err(Failure::new(Code::BadRequest, "ask for at least one event").field("first").into());
        }
        let first = i64::from(first.min(MOST_EVENTS));
        let session = self.0.session.number;
        if let Some(matching) = matching {
            let command = Command::FindEvents { session, after, limit: first, matching: matching.checked()? };
            let Reply::Found { events, reached, more } = call(ctx)?.ask(command).await? else {
                return Err(odd().into());
            };
            return Ok(EventPage { nodes: shown(events)?, has_more: more, reached });
        }
        let command = Command::Events { session, after, limit: first + 1 };
        let Reply::Events(mut found) = call(ctx)?.ask(command).await? else { return Err(odd().into()) };
        let has_more = found.len() > usize::try_from(first).unwrap_or(usize::MAX);
        found.truncate(usize::try_from(first).unwrap_or(usize::MAX));
        let reached = found.last().map_or(after.max(0), |event| event.number);
        Ok(EventPage { nodes: shown(found)?, has_more, reached })
    }

    /// A part of what a process of the session wrote, from a byte on and at most so many of them (up to 262144); it ends
    /// with a line when it can.
    #[graphql(complexity = 50)]
    async fn output(
        &self,
        ctx: &Context<'_>,
        exec: ID,
        #[graphql(default_with = "Long(0)")] from: Long,
        #[graphql(default = 65536)] most: i32,
    ) -> Result<Output> {
        let wrong = |field: &str, told: &str| Failure::new(Code::BadRequest, told).field(field);
        let exec = exec.parse().map(ExecId).map_err(|_| wrong("exec", "this is no id of a process"))?;
        let from = u64::try_from(from.0).map_err(|_| wrong("from", "bytes are counted from 0"))?;
        let most = u64::try_from(most).ok().filter(|most| *most > 0);
        let most = most.ok_or_else(|| wrong("most", "ask for at least one byte"))?;
        let command = Command::Output { session: self.0.session.number, exec, from, most };
        match call(ctx)?.ask(command).await? {
            Reply::Output(part) => Ok(part.into()),
            _ => Err(odd().into()),
        }
    }

    /// The diff of all work, or of one step's last run, as unified text; empty when nothing was changed.
    #[graphql(complexity = 100)]
    async fn diff(&self, ctx: &Context<'_>, step: Option<String>) -> Result<String> {
        let command = Command::Diff { session: self.0.session.number, step };
        match call(ctx)?.ask(command).await {
            Ok(Reply::Text(text)) => Ok(text),
            Ok(_) => Err(odd().into()),
            Err(failure) if failure.is_missing() => Ok(String::new()),
            Err(failure) => Err(failure.into()),
        }
    }
}

impl Session {
    async fn all_versions(&self, ctx: &Context<'_>) -> Result<Vec<domain::RunbookVersion>> {
        match call(ctx)?.ask(Command::Versions { session: self.0.session.number }).await? {
            Reply::Versions(versions) => Ok(versions),
            _ => Err(odd().into()),
        }
    }
}

/// Events as they are given out.
fn shown(events: Vec<domain::Event>) -> Result<Vec<Event>, Failure> {
    let shown = events.into_iter().map(|event| Shown::try_from(event).map(|shown| Event(Arc::new(shown))));
    shown.collect::<Result<_, _>>().map_err(problem)
}
