//! What people's commands are called in the audit log, and reading it.

use crate::{Command, Edit, Problem, PullRequestRef, Reply, Selection, StepPlace, shared::Shared};
use domain::{Answer, AuditFilter, AuditMark, Budget, Deed, DoerKind, Outcome, Piece, Session, Via};
use std::{collections::BTreeMap, fmt::Display};
use store::AuditPage;

/// The most entries that are given out at once.
const MOST: i64 = 1000;

/// What a command does, as the audit log tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is done: `session.create`.
    pub action: &'static str,
    /// To what: `r/42`.
    pub target: String,
    /// What else belongs to it.
    pub details: BTreeMap<String, String>,
}

impl Told {
    /// Something that is done to something.
    pub fn new(action: &'static str, target: impl Into<String>) -> Self {
        Self { action, target: target.into(), details: BTreeMap::new() }
    }

    /// The same with one thing more that belongs to it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.details.insert(name.to_owned(), value.to_string());
        self
    }
}

impl Command {
    /// How the audit log tells this command; none for those that change nothing. What people write to the agent is in
    /// the session's own log, and what may be secret is nowhere.
    pub fn told(&self) -> Option<Told> {
        let of = |action, session: &domain::SessionNumber| Some(Told::new(action, session.to_string()));
        match self {
            Self::Repositories
            | Self::Sessions { .. }
            | Self::Overview(_)
            | Self::Session { .. }
            | Self::Spec { .. }
            | Self::Events { .. }
            | Self::FindEvents { .. }
            | Self::Output { .. }
            | Self::Versions { .. }
            | Self::Diff { .. }
            | Self::PullRequests { .. }
            | Self::PullRequest { .. }
            | Self::PullRequestDiff { .. }
            | Self::Secrets
            | Self::Knowledge { .. }
            | Self::Learnings(_)
            | Self::Audit { .. }
            | Self::VerifyAudit { .. } => None,
            Self::AddRepository { name, path } => {
                Some(Told::new("repository.add", name.as_ref().unwrap_or(path)).with("path", path))
            }
            Self::CreateSession(new) => {
                let told =
                    Told::new("session.create", "").with("repository", &new.repository).with("mode", word(&new.mode));
                Some(match &new.requester {
                    Some(requester) => told.with("for", &requester.email),
                    None => told,
                })
            }
            Self::Message { session, .. } => of("session.message", session),
            Self::FollowUp { session, .. } => of("session.follow_up", session),
            Self::Execute { session, what } => of("session.execute", session).map(|told| {
                let what = match what {
                    Selection::All => "all",
                    Selection::Next => "next",
                    Selection::Step(step) => step,
                };
                told.with("what", what)
            }),
            Self::Stop { session } => of("session.stop", session),
            Self::Retry { session, .. } => of("session.retry", session),
            Self::Answer { session, request, answer } => of("session.answer", session).map(|told| {
                let told = match answer {
                    Answer::Answers { .. } => told.with("answer", "in words"),
                    Answer::Allow => told.with("answer", "allow"),
                    Answer::Deny { .. } => told.with("answer", "deny"),
                    Answer::Chosen { option } => told.with("answer", option),
                };
                request.iter().fold(told, |told, request| told.with("request", request))
            }),
            Self::Edit { session, expected, edit } => of("runbook.edit", session).map(|told| {
                let told = told.with("version", expected.saturating_add(1));
                match edit {
                    Edit::Text { .. } => told,
                    Edit::Step { step, .. } => told.with("step", step),
                    Edit::Delete { step } => told.with("deleted_step", step),
                    Edit::Move { step, to } => {
                        let told = told.with("moved_step", step);
                        match to {
                            StepPlace::Up => told.with("to", "up"),
                            StepPlace::Down => told.with("to", "down"),
                            StepPlace::Before(other) => told.with("to", format!("before {other}")),
                            StepPlace::After(other) => told.with("to", format!("after {other}")),
                            StepPlace::Into(other) => told.with("to", format!("into {other}")),
                            StepPlace::End => told.with("to", "the end"),
                        }
                    }
                }
            }),
            Self::Restore { session, version } => {
                of("runbook.restore", session).map(|told| told.with("version", version))
            }
            Self::Revert { session, step } => of("step.revert", session).map(|told| told.with("step", step)),
            Self::MarkDone { session, step } => of("step.mark_done", session).map(|told| told.with("step", step)),
            Self::SkipStep { session, step, .. } => of("step.skip", session).map(|told| told.with("step", step)),
            Self::UnskipStep { session, step, .. } => of("step.unskip", session).map(|told| told.with("step", step)),
            Self::Cancel { session, action } => of("session.cancel", session).map(|told| told.with("queued", action)),
            Self::Budget { session, budget, run_budget } => of("session.budget", session)
                .map(|told| told.with("session", limits(budget)).with("each_run", limits(run_budget))),
            Self::Clone { session, .. } => Some(Told::new("session.clone", "").with("copy_of", session)),
            Self::Rename { session, .. } => of("session.rename", session),
            Self::Archive { session, archived } => {
                of(if *archived { "session.archive" } else { "session.unarchive" }, session)
            }
            Self::PullRequestComment { pull_request, line, .. } => {
                let told = Told::new("pull_request.comment", named(pull_request));
                Some(line.iter().fold(told, |told, (path, line)| told.with("line", format!("{path}:{line}"))))
            }
            Self::PullRequestReady { pull_request } => Some(Told::new("pull_request.ready", named(pull_request))),
            Self::PullRequestRevise { pull_request, .. } => Some(Told::new("pull_request.revise", named(pull_request))),
            Self::Merge { pull_request, squash } => {
                Some(Told::new("pull_request.merge", named(pull_request)).with("squash", squash))
            }
            Self::PutSecret { name, replace, .. } => {
                Some(Told::new(if *replace { "secret.replace" } else { "secret.add" }, name))
            }
            Self::RemoveSecret { name } => Some(Told::new("secret.remove", name)),
            Self::ResealSecrets => Some(Told::new("secret.reseal", "")),
            Self::AddKnowledge(new) => {
                Some(kind_of(&new.piece, ["context_file.add", "persona.add", "learning.add"]).with("own", new.own))
            }
            Self::ChangeKnowledge { id, expected, own, piece } => {
                let told = kind_of(piece, ["context_file.change", "persona.change", "learning.change"])
                    .with("id", id)
                    .with("own", own);
                Some(told.with("version", expected.saturating_add(1)))
            }
            Self::RemoveKnowledge { id, own, .. } => {
                Some(Told::new("knowledge.remove", id.to_string()).with("own", own))
            }
            Self::SwitchPersona { session, persona } => of("session.persona", session)
                .map(|told| told.with("persona", persona.as_deref().unwrap_or("the default ones"))),
        }
    }
}

fn kind_of(piece: &Piece, [context_file, persona, learning]: [&'static str; 3]) -> Told {
    match piece {
        Piece::ContextFile(_) => Told::new(context_file, piece.title()),
        Piece::Persona(_) => Told::new(persona, piece.title()),
        Piece::Learning(it) => Told::new(learning, piece.title()).with("state", it.state.name()),
    }
}

fn named(of: &PullRequestRef) -> String {
    format!("{}#{}", of.repository.as_deref().unwrap_or_default(), of.number)
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn limits(budget: &Budget) -> String {
    let parts = [
        budget.cost.map(|cost| cost.to_string()),
        budget.tokens.map(|tokens| format!("{tokens} tokens")),
        budget.seconds.map(|seconds| format!("{seconds} s")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "no limit".to_owned() } else { parts.join(", ") }
}

/// What somebody at the command line does.
pub(crate) fn at_the_command_line(shared: &Shared, email: &str, told: Told) -> Deed {
    deed(shared, (DoerKind::CommandLine, Via::CommandLine), email, told)
}

/// What the server finds and writes down by itself: somebody moved a branch, or a server died before it had written.
pub(crate) async fn by_the_server<F: Future>(shared: &Shared, session: &Session, work: F) -> F::Output {
    let told = Told::new("pull_request.notice", session.number.to_string());
    store::doing(shared.account.id, deed(shared, (DoerKind::Server, Via::Server), "server", told), work).await
}

fn deed(shared: &Shared, (kind, via): (DoerKind, Via), actor: &str, told: Told) -> Deed {
    let Told { action, target, details } = told;
    let (actor, action) = (actor.to_owned(), action.to_owned());
    Deed { at: shared.now(), kind, actor, via, address: None, action, target, outcome: Outcome::Done, details }
}

/// Entries of the audit log.
pub(crate) async fn list(shared: &Shared, filter: &AuditFilter, page: AuditPage, limit: i64) -> Result<Reply, Problem> {
    Ok(Reply::Audit(shared.store.audit(shared.account.id, filter, page, limit.clamp(1, MOST)).await?))
}

/// Looks along the whole audit log.
pub(crate) async fn verify(shared: &Shared, noted: Option<AuditMark>) -> Result<Reply, Problem> {
    Ok(Reply::AuditVerdict(shared.store.verify_audit(shared.account.id, noted).await?))
}
