//! What can be asked of sessions and pull requests.

use super::{
    call,
    enums::{Mode, PrMode},
    error::{Code, Failure, odd},
    knowledge,
    people::Repository,
    pull_request::PullRequest,
    scalars::{Long, micro_usd},
    session::Session,
    session_parts::Runbook,
};
use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use domain::{Answer, SessionNumber};
use engine::{Command, Edit, NewSession as New, PullRequestRef, Reply, Right, Selection};
use runbook::{Document, Severity};
use std::collections::BTreeMap;

/// A new session.
#[derive(Debug, InputObject)]
pub struct NewSession {
    /// A repository's name.
    repository: String,
    /// The request in plain words.
    prompt: String,
    /// Made from the request when none is given.
    title: Option<String>,
    #[graphql(default_with = "Mode::Standard")]
    mode: Mode,
    /// The configured default when none is given.
    pr_mode: Option<PrMode>,
    /// The configured default when none is given.
    draft: Option<bool>,
    labels: Option<Vec<String>>,
    /// The repository's current branch when none is given.
    target_branch: Option<String>,
    budget: Option<BudgetInput>,
    /// The id or the name of its persona; the default ones when none is given.
    persona: Option<String>,
}

/// What may be used; what is not given is not limited.
#[derive(Debug, InputObject)]
pub struct BudgetInput {
    /// In dollars.
    cost: Option<f64>,
    tokens: Option<Long>,
    seconds: Option<Long>,
}

impl BudgetInput {
    fn read(self, field: &str) -> Result<domain::Budget, Failure> {
        let bad = |what: &str| {
            let told = format!("give a {what} that is not negative");
            Failure::new(Code::BadRequest, told).field(format!("{field}.{what}"))
        };
        Ok(domain::Budget {
            cost: self.cost.map(|cost| micro_usd(cost).ok_or_else(|| bad("cost"))).transpose()?,
            tokens: self.tokens.map(|Long(it)| (it >= 0).then_some(it).ok_or_else(|| bad("tokens"))).transpose()?,
            seconds: self.seconds.map(|Long(it)| u64::try_from(it).map_err(|_| bad("seconds"))).transpose()?,
        })
    }
}

/// An answer: exactly one of its fields.
#[derive(Debug, InputObject)]
pub struct AnswerInput {
    /// To questions.
    answers: Option<Vec<QuestionAnswer>>,
    /// To a permission: the call may run.
    allow: Option<bool>,
    /// To a permission: the call must not run; this is told to the agent.
    deny_reason: Option<String>,
    /// To a choice: the option's label.
    option: Option<String>,
}

/// An answer to one question: labels that are separated by commas, or free text.
#[derive(Debug, InputObject)]
pub struct QuestionAnswer {
    question: String,
    answer: String,
}

impl AnswerInput {
    fn read(self) -> Result<Answer, Failure> {
        let Self { answers, allow, deny_reason, option } = self;
        match (answers, allow, deny_reason, option) {
            (Some(answers), None, None, None) => {
                let each = answers.into_iter().map(|it| (it.question, it.answer));
                Ok(Answer::Answers { answers: each.collect::<BTreeMap<_, _>>() })
            }
            (None, Some(true), None, None) => Ok(Answer::Allow),
            (None, None | Some(false), Some(reason), None) => Ok(Answer::Deny { reason }),
            (None, Some(false), None, None) => Ok(Answer::Deny { reason: String::new() }),
            (None, None, None, Some(option)) => Ok(Answer::Chosen { option }),
            _ => {
                let told = "give exactly one of `answers`, `allow`, `denyReason` and `option`";
                Err(Failure::new(Code::BadRequest, told).field("answer"))
            }
        }
    }
}

/// A session that was made, and what its maker should know.
#[derive(SimpleObject)]
pub struct CreatedSession {
    session: Session,
    warnings: Vec<String>,
}

/// What was put into the queue.
#[derive(SimpleObject)]
pub struct Queued {
    /// Numbers of steps, else kinds of actions.
    queued: Vec<String>,
    session: Session,
}

/// What was stopped.
#[derive(SimpleObject)]
pub struct Stopped {
    /// The step or the action that ran.
    running: Option<String>,
    /// Steps that were taken out of the queue.
    removed: Vec<String>,
    session: Session,
}

/// What a merge came to.
#[derive(Debug, SimpleObject)]
pub struct Merged {
    /// The commit on the base branch.
    commit: String,
    /// What was done to the pull requests above.
    notes: Vec<String>,
}

/// One problem of a document.
#[derive(Debug, SimpleObject)]
pub struct Diagnostic {
    /// `error` or `warning`.
    severity: &'static str,
    /// Its stable name.
    code: &'static str,
    message: String,
    /// How to mend it.
    help: Option<String>,
    /// From 1.
    line: u32,
    /// In characters, from 1.
    column: u32,
}

/// What can be asked of sessions and pull requests.
#[derive(Debug, Default)]
pub struct SessionMutations;

#[Object]
impl SessionMutations {
    /// Registers a repository that is on the server's disk. Admins only.
    async fn add_repository(&self, ctx: &Context<'_>, name: Option<String>, path: String) -> Result<Repository> {
        if !path.starts_with('/') {
            return Err(Failure::new(Code::BadRequest, "give an absolute path").field("path").into());
        }
        match call(ctx)?.ask(Command::AddRepository { name, path }).await? {
            Reply::Repository(found) => Ok(found.into()),
            _ => Err(odd().into()),
        }
    }

    /// Makes a session and has it planned; in one-shot mode executed too.
    async fn create_session(&self, ctx: &Context<'_>, input: NewSession) -> Result<CreatedSession> {
        let call = call(ctx)?;
        // The engine takes paths as well, which only an admin may have read.
        let Reply::Repositories(known) = call.ask(Command::Repositories).await? else { return Err(odd().into()) };
        if !known.iter().any(|repository| repository.name == input.repository) {
            let told = format!("no repository is registered as `{}`", input.repository);
            return Err(Failure::new(Code::NotFound, told).field("input.repository").into());
        }
        let budget = match input.budget {
            Some(budget) => budget.read("input.budget")?,
            None => domain::Budget::default(),
        };
        let new = New {
            repository: input.repository,
            prompt: input.prompt,
            title: input.title,
            mode: input.mode.into(),
            pr_mode: input.pr_mode.map(Into::into),
            draft: input.draft,
            labels: input.labels.unwrap_or_default(),
            description: None,
            spec: None,
            target_branch: input.target_branch,
            budget,
            persona: knowledge::chosen(&call, input.persona, "input.persona").await?,
            requester: call.caller.person(),
        };
        created(ctx, call.ask(Command::CreateSession(new)).await?).await
    }

    /// Says something to a session: a question, a wish for the plan.
    async fn send_message(&self, ctx: &Context<'_>, session: i64, text: String) -> Result<Queued> {
        queued(ctx, session, Command::Message { session: SessionNumber(session), text }).await
    }

    /// Executes a step with all before it; the next one without a number, everything with `all`.
    async fn execute(
        &self,
        ctx: &Context<'_>,
        session: i64,
        step: Option<String>,
        #[graphql(default = false)] all: bool,
    ) -> Result<Queued> {
        let what = match (step, all) {
            (Some(step), false) => Selection::Step(step),
            (None, false) => Selection::Next,
            (None, true) => Selection::All,
            (Some(_), true) => {
                return Err(Failure::new(Code::BadRequest, "give a step or `all`, not both").field("step").into());
            }
        };
        queued(ctx, session, Command::Execute { session: SessionNumber(session), what }).await
    }

    /// Stops what runs and empties the queue of steps.
    async fn stop(&self, ctx: &Context<'_>, session: i64) -> Result<Stopped> {
        match call(ctx)?.ask(Command::Stop { session: SessionNumber(session) }).await? {
            Reply::Stopped { running, removed } => {
                Ok(Stopped { running, removed, session: Session::read(ctx, session).await? })
            }
            _ => Err(odd().into()),
        }
    }

    /// Says to whoever has the session's page open that the caller writes a message, or does not any more. It is
    /// forgotten after six seconds, when it was not said again, and by whoever has no page open.
    #[expect(clippy::unused_async, reason = "a resolver is async by its trait")]
    async fn set_typing(&self, ctx: &Context<'_>, session: i64, typing: bool) -> Result<bool> {
        let call = call(ctx)?;
        call.must(Right::Work)?;
        let person = call.must_be_person()?.user.id;
        call.state.presence.typing(SessionNumber(session), person, typing);
        Ok(typing)
    }

    /// Executes the step that failed, or plans again when planning failed.
    async fn retry(&self, ctx: &Context<'_>, session: i64, message: Option<String>) -> Result<Queued> {
        queued(ctx, session, Command::Retry { session: SessionNumber(session), message }).await
    }

    /// Answers what waits for a person.
    async fn answer(&self, ctx: &Context<'_>, session: i64, request: ID, answer: AnswerInput) -> Result<Session> {
        let told = || Failure::new(Code::NotFound, "there is no such request").field("request");
        let request = request.parse().map_err(|_| told())?;
        let answer = answer.read()?;
        done(ctx, session, Command::Answer { session: SessionNumber(session), request: Some(request), answer }).await
    }

    /// Replaces the whole runbook. Fails with `CONFLICT` when there is a newer version than the one that was edited.
    async fn edit_runbook(
        &self,
        ctx: &Context<'_>,
        session: i64,
        expected_version: i64,
        text: String,
    ) -> Result<Runbook> {
        edit(ctx, session, expected_version, Edit::Text { text }).await
    }

    /// Replaces one step: the text's first line is its title.
    async fn edit_step(
        &self,
        ctx: &Context<'_>,
        session: i64,
        expected_version: i64,
        step: String,
        text: String,
    ) -> Result<Runbook> {
        edit(ctx, session, expected_version, Edit::Step { step, text }).await
    }

    /// Takes a step out; later ones move up.
    async fn delete_step(
        &self,
        ctx: &Context<'_>,
        session: i64,
        expected_version: i64,
        step: String,
    ) -> Result<Runbook> {
        edit(ctx, session, expected_version, Edit::Delete { step }).await
    }

    /// Makes an older version the newest again, under a new number.
    async fn restore_version(&self, ctx: &Context<'_>, session: i64, version: i64) -> Result<Runbook> {
        version_of(ctx, Command::Restore { session: SessionNumber(session), version }).await
    }

    /// Checks a document without storing it.
    async fn lint_runbook(&self, text: String) -> Vec<Diagnostic> {
        let document = Document::parse(text);
        let found = runbook::check(&document).into_iter().map(|it| Diagnostic {
            severity: match it.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: it.code.as_str(),
            message: it.message,
            help: Some(it.help).filter(|help| !help.is_empty()),
            line: it.position.line,
            column: it.position.column,
        });
        found.collect()
    }

    /// Takes back a completed step by a new commit.
    async fn revert_step(&self, ctx: &Context<'_>, session: i64, step: String) -> Result<Queued> {
        queued(ctx, session, Command::Revert { session: SessionNumber(session), step }).await
    }

    /// Marks a step as done by a person.
    async fn mark_step_done(&self, ctx: &Context<'_>, session: i64, step: String) -> Result<Session> {
        done(ctx, session, Command::MarkDone { session: SessionNumber(session), step }).await
    }

    /// Takes an action that did not start out of the queue.
    async fn cancel_action(&self, ctx: &Context<'_>, session: i64, action: ID) -> Result<Session> {
        let told = || Failure::new(Code::NotFound, "there is no such action").field("action");
        let action = action.parse().map_err(|_| told())?;
        done(ctx, session, Command::Cancel { session: SessionNumber(session), action }).await
    }

    /// Sets what a session and each of its runs may use; it counts at once, also for what is running.
    async fn set_budget(
        &self,
        ctx: &Context<'_>,
        session: i64,
        budget: BudgetInput,
        run_budget: BudgetInput,
    ) -> Result<Session> {
        let (budget, run_budget) = (budget.read("budget")?, run_budget.read("runBudget")?);
        done(ctx, session, Command::Budget { session: SessionNumber(session), budget, run_budget }).await
    }

    /// Calls a session something else.
    async fn rename_session(&self, ctx: &Context<'_>, session: i64, title: String) -> Result<Session> {
        done(ctx, session, Command::Rename { session: SessionNumber(session), title }).await
    }

    /// Makes a session that begins with this one's newest plan, with its request and its options. It has nothing of what
    /// was said and done, and waits to be executed. Its title is this one's with ` (copy)` when none is given.
    async fn clone_session(&self, ctx: &Context<'_>, session: i64, title: Option<String>) -> Result<CreatedSession> {
        let command = Command::Clone { session: SessionNumber(session), title };
        created(ctx, call(ctx)?.ask(command).await?).await
    }

    /// Puts a session away, or takes it out again.
    async fn archive_session(
        &self,
        ctx: &Context<'_>,
        session: i64,
        #[graphql(default = true)] archived: bool,
    ) -> Result<Session> {
        done(ctx, session, Command::Archive { session: SessionNumber(session), archived }).await
    }

    /// Comments on a pull request, or with `path` and `line` on a line of the new version of a file.
    async fn comment_on_pull_request(
        &self,
        ctx: &Context<'_>,
        repository: String,
        number: i64,
        body: String,
        path: Option<String>,
        line: Option<i64>,
    ) -> Result<PullRequest> {
        let line = match (path, line) {
            (Some(path), Some(line)) => Some((path, line)),
            (None, None) => None,
            _ => {
                return Err(Failure::new(Code::BadRequest, "give both `path` and `line`, or none")
                    .field("line")
                    .into());
            }
        };
        let pull_request = PullRequestRef { repository: Some(repository.clone()), number };
        call(ctx)?.ask(Command::PullRequestComment { pull_request, body, line }).await?;
        Ok(PullRequest::read(ctx, repository, number).await?)
    }

    /// Takes the mark of a draft off a pull request, so that it can be merged.
    async fn make_pull_request_ready(&self, ctx: &Context<'_>, repository: String, number: i64) -> Result<PullRequest> {
        let pull_request = PullRequestRef { repository: Some(repository.clone()), number };
        call(ctx)?.ask(Command::PullRequestReady { pull_request }).await?;
        Ok(PullRequest::read(ctx, repository, number).await?)
    }

    /// Hands all open review threads and the given words to the agent.
    async fn revise_pull_request(
        &self,
        ctx: &Context<'_>,
        repository: String,
        number: i64,
        instructions: Option<String>,
    ) -> Result<Queued> {
        let pull_request = PullRequestRef { repository: Some(repository), number };
        let call = call(ctx)?;
        let revise = Command::PullRequestRevise { pull_request: pull_request.clone(), instructions };
        let Reply::Queued(queued) = call.ask(revise).await? else { return Err(odd().into()) };
        let Reply::PullRequest(view) = call.ask(Command::PullRequest { pull_request }).await? else {
            return Err(odd().into());
        };
        let session = view.line.session.ok_or_else(odd)?;
        Ok(Queued { queued, session: Session::read(ctx, session.0).await? })
    }

    /// Merges a pull request; with `squash` as one commit.
    async fn merge_pull_request(
        &self,
        ctx: &Context<'_>,
        repository: String,
        number: i64,
        #[graphql(default = false)] squash: bool,
    ) -> Result<Merged> {
        let pull_request = PullRequestRef { repository: Some(repository), number };
        match call(ctx)?.ask(Command::Merge { pull_request, squash }).await? {
            Reply::Merged { commit, notes } => Ok(Merged { commit: commit.as_str().to_owned(), notes }),
            _ => Err(odd().into()),
        }
    }
}

async fn queued(ctx: &Context<'_>, session: i64, command: Command) -> Result<Queued> {
    match call(ctx)?.ask(command).await? {
        Reply::Queued(queued) => Ok(Queued { queued, session: Session::read(ctx, session).await? }),
        _ => Err(odd().into()),
    }
}

async fn created(ctx: &Context<'_>, reply: Reply) -> Result<CreatedSession> {
    let Reply::Created { session, warnings } = reply else { return Err(odd().into()) };
    Ok(CreatedSession { session: Session::read(ctx, session.number.0).await?, warnings })
}

pub(super) async fn done(ctx: &Context<'_>, session: i64, command: Command) -> Result<Session> {
    call(ctx)?.ask(command).await?;
    Ok(Session::read(ctx, session).await?)
}

pub(super) async fn edit(ctx: &Context<'_>, session: i64, expected: i64, edit: Edit) -> Result<Runbook> {
    version_of(ctx, Command::Edit { session: SessionNumber(session), expected, edit }).await
}

async fn version_of(ctx: &Context<'_>, command: Command) -> Result<Runbook> {
    match call(ctx)?.ask(command).await? {
        Reply::Version(version) => Ok(Runbook(*version)),
        _ => Err(odd().into()),
    }
}
