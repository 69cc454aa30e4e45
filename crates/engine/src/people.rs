//! What people ask: each command becomes reads, checks and one guarded commit.

mod again;
mod arranging;
mod budget;
mod cloning;
mod done;
mod following;
mod knowledge;
mod learnings;
mod looking;
mod merging;
mod noticing;
mod publishing;
mod reviews;
mod runbooks;
mod sessions;
mod steering;
mod views;

/// How the made-up call begins that the question about a `[MANUAL]` step waits for.
pub(crate) const MANUAL: &str = "manual:";

pub(crate) use noticing::notice;
pub(crate) use publishing::publish_options;
pub(crate) use runbooks::{keeps_what_is_done, take_out_gone, version_event, version_of};

use crate::{Command, Person, Problem, Reply, shared::Shared, told, vault};
use domain::Actor;
use store::SessionFilter;

/// How often a command is tried again when a worker or another person changed something at the same moment.
const CLASHES: usize = 5;

/// Does what `who` asks, and has it written down as theirs. Whoever knows better who it is has said so before.
pub(crate) async fn handle(shared: &Shared, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
    let told = command.told();
    let (account, email) = (shared.account.id, who.map_or(&shared.owner.email, |who| &who.email).clone());
    let work = Box::pin(tried(shared, who, command));
    if store::is_told() {
        work.await
    } else if let Some(told) = told {
        store::doing(account, told::at_the_command_line(shared, &email, told), work).await
    } else {
        let deed = told::at_the_command_line(shared, &email, told::Told::new("look", ""));
        store::looking(account, deed, work).await
    }
}

async fn tried(shared: &Shared, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
    if let Command::Execute { session, .. } | Command::Retry { session, .. } = &command {
        steering::until_stopped(shared, *session).await?;
    }
    for _ in 0..CLASHES {
        match handle_once(shared, who, command.clone()).await {
            Err(problem) if problem.clash && is_one_commit(&command) => {}
            result => return result,
        }
    }
    handle_once(shared, who, command).await
}

/// True for commands that do nothing but reading before their one commit, so that a refused one did nothing.
fn is_one_commit(command: &Command) -> bool {
    !matches!(
        command,
        Command::AddRepository { .. }
            | Command::CreateSession(_)
            | Command::PullRequestComment { .. }
            | Command::PullRequestReady { .. }
            | Command::PullRequestRevise { .. }
            | Command::Merge { .. }
            | Command::PutSecret { .. }
            | Command::RemoveSecret { .. }
            | Command::ResealSecrets
            | Command::AddKnowledge(_)
            | Command::ChangeKnowledge { .. }
            | Command::RemoveKnowledge { .. }
    )
}

async fn handle_once(shared: &Shared, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
    let user = shared.user(who).await?;
    let by = Actor::Person(user.id);
    match command {
        Command::AddRepository { name, path } => {
            sessions::add_repository(shared, name, &path).await.map(Reply::Repository)
        }
        Command::Repositories => Ok(Reply::Repositories(shared.store.repositories(shared.account.id).await?)),
        Command::CreateSession(new) => sessions::create(shared, &user, new).await,
        Command::Sessions { archived, all, limit, before, repository, search } => {
            let filter =
                SessionFilter { archived: (!all).then_some(archived), before, limit, ..SessionFilter::default() };
            views::sessions(shared, filter, repository.as_deref(), search.as_deref()).await
        }
        Command::Overview(wanted) => views::overview(shared, wanted).await,
        Command::Spec { session } => views::spec(shared, session).await,
        Command::FollowUp { session, text, labels, description, expected } => {
            let said = following::Said { text, labels, description, expected };
            following::follow_up(shared, &user, session, said).await
        }
        Command::Session { session } => {
            let session = shared.session(session).await?;
            if shared.store.queue(session.id).await?.is_empty() {
                notice(shared, &session).await?;
            }
            let session = shared.session(session.number).await?;
            Ok(Reply::Session(Box::new(views::session(shared, session).await?)))
        }
        Command::Events { session, after, limit } => {
            let session = shared.session(session).await?;
            Ok(Reply::Events(shared.store.events(session.id, after, limit.clamp(1, 1000)).await?))
        }
        Command::FindEvents { session, after, limit, matching } => {
            looking::find(shared, session, after, limit, &matching).await
        }
        Command::Output { session, exec, from, most } => looking::output(shared, session, exec, from, most).await,
        Command::Message { session, text } => steering::message(shared, &user, session, &text).await,
        Command::Execute { session, what } => steering::execute(shared, &user, session, &what, None).await,
        Command::Stop { session } => steering::stop(shared, session).await,
        Command::Retry { session, message } => steering::retry(shared, &user, session, message.as_deref()).await,
        Command::Answer { session, request, answer } => steering::answer(shared, &user, session, request, answer).await,
        Command::Edit { session, expected, edit } => runbooks::edit(shared, &user, session, expected, &edit).await,
        Command::Restore { session, version } => runbooks::restore(shared, &user, session, version).await,
        Command::Versions { session } => {
            let session = shared.session(session).await?;
            Ok(Reply::Versions(shared.store.runbooks(session.id).await?))
        }
        Command::Revert { session, step } => steering::revert(shared, &user, session, &step).await,
        Command::MarkDone { session, step } => done::mark_done(shared, &user, session, &step).await,
        Command::SkipStep { session, step, reason, expected } => {
            done::skip(shared, &user, session, &step, &reason, expected).await
        }
        Command::UnskipStep { session, step, expected } => done::unskip(shared, &user, session, &step, expected).await,
        Command::Cancel { session, action } => steering::cancel(shared, session, action).await,
        Command::Budget { session, budget, run_budget } => budget::set(shared, by, session, budget, run_budget).await,
        Command::Clone { session, title } => cloning::clone_session(shared, &user, session, title.as_deref()).await,
        Command::Rename { session, title } => cloning::rename(shared, by, session, &title).await,
        Command::Archive { session, archived } => steering::archive(shared, by, session, archived).await,
        Command::Diff { session, step } => views::diff(shared, session, step.as_deref()).await,
        Command::PullRequests { session, repository } => reviews::list(shared, session, repository.as_deref()).await,
        Command::PullRequest { pull_request } => reviews::show(shared, &pull_request).await,
        Command::PullRequestDiff { pull_request } => reviews::diff(shared, &pull_request).await,
        Command::PullRequestComment { pull_request, body, line } => {
            reviews::comment(shared, &user, &pull_request, &body, line).await
        }
        Command::PullRequestReady { pull_request } => reviews::make_ready(shared, &pull_request).await,
        Command::PullRequestRevise { pull_request, instructions } => {
            reviews::revise(shared, &user, &pull_request, instructions.as_deref()).await
        }
        Command::Secrets => Ok(Reply::Secrets(shared.keys.list(shared.account.id).await?)),
        Command::PutSecret { id, name, sealed, replace } => {
            let new = vault::sealed(id, shared.account.id, name, &sealed, shared.now())?;
            shared.keys.put(new, replace).await.map(|()| Reply::Done)
        }
        Command::RemoveSecret { name } => shared.keys.remove(shared.account.id, &name).await.map(|()| Reply::Done),
        Command::ResealSecrets => {
            let (sealed, left) = shared.keys.reseal(shared.account.id).await?;
            Ok(Reply::Resealed { sealed, left })
        }
        Command::Knowledge { kind } => knowledge::list(shared, &user, kind).await.map(Reply::Knowledge),
        Command::Learnings(filter) => learnings::find(shared, &filter).await.map(Reply::Learnings),
        Command::AddKnowledge(new) => knowledge::add(shared, &user, new).await,
        Command::ChangeKnowledge { id, expected, own, piece } => {
            knowledge::change(shared, &user, id, expected, own, piece).await
        }
        Command::RemoveKnowledge { id, expected, own } => knowledge::remove(shared, &user, id, expected, own).await,
        Command::SwitchPersona { session, persona } => {
            knowledge::switch(shared, &user, session, persona.as_deref()).await
        }
        Command::Audit { filter, page, limit } => told::list(shared, &filter, page, limit).await,
        Command::VerifyAudit { noted } => told::verify(shared, noted).await,
        Command::Merge { pull_request, squash } => merging::merge(shared, &pull_request, squash).await,
    }
}
