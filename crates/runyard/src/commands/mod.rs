//! What each command does.

mod audit;
pub mod backup;
mod budget;
mod config;
pub mod edit;
mod export;
mod knowledge;
mod lint;
mod output;
mod pages;
mod pull_request;
mod repo;
mod run;
mod secret;
mod serve;
mod session;
mod steps;
mod user;

pub use audit::audit;
pub use config::show as show_config;
pub use knowledge::{context, learning, persona};
pub use lint::lint;
pub use pages::{completions, man, version};
pub use pull_request::pull_request;
pub use repo::repo;
pub use run::run;
pub use secret::secret;
pub use serve::serve;
pub use session::session;
pub use user::user;

use crate::{
    app::App,
    cli::{SessionArg, Wait},
    connect::Connection,
    exit::{Exit, Failure},
    live::{self, View},
};
use domain::SessionNumber;
use engine::{Command, Reply};

/// An answer that does not fit what was asked: a server of another version, or a bug.
pub fn unexpected(reply: &Reply) -> Failure {
    let kind = serde_json::to_value(reply).ok().and_then(|value| Some(value.get("reply")?.as_str()?.to_owned()));
    Failure::environment(format!("the server gave an answer that does not fit: {}", kind.unwrap_or_default()))
}

/// What is said of a command that only has to be done.
fn done(reply: Reply) -> Result<(), Failure> {
    match reply {
        Reply::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// The session that is meant: the given one, else the newest.
async fn resolve(connection: &Connection, session: Option<SessionArg>) -> Result<SessionNumber, Failure> {
    if let Some(SessionArg::Number(number)) = session {
        return Ok(number);
    }
    match connection
        .client
        .call(Command::Sessions { archived: false, all: false, limit: 1, before: None, repository: None, search: None })
        .await?
    {
        Reply::Sessions(lines) => lines.first().map(|line| line.number).ok_or_else(|| {
            Failure::usage("there is no session yet").mend("begin one: runyard run \"TASK\" --repo PATH")
        }),
        other => Err(unexpected(&other)),
    }
}

/// Queues something, and shows it live when that is wanted or when the work would end with this process.
async fn queue(
    app: &mut App,
    mut connection: Connection,
    session: SessionNumber,
    command: Command,
    wait: Wait,
) -> Result<Exit, Failure> {
    let exit = queue_on(app, &mut connection, session, command, wait).await;
    connection.close().await;
    exit
}

/// The same on a connection that the caller closes.
async fn queue_on(
    app: &mut App,
    connection: &mut Connection,
    session: SessionNumber,
    command: Command,
    wait: Wait,
) -> Result<Exit, Failure> {
    let after = live::session(&connection.client, session).await?.session.last_event;
    let reply = connection.client.call(command).await?;
    if !wait.json {
        match reply {
            Reply::Queued(what) => app.screen.line(format!("{session} queued: {}", what.join(", ").replace('_', " "))),
            Reply::Done => app.screen.line(format!("{session} answered")),
            other => return Err(unexpected(&other)),
        }
    }
    if !wait.detach && (wait.follow || wait.json || connection.is_embedded()) {
        let view = View { json: wait.json, ..View::of_action(session, after) };
        return live::watch(app, connection, view).await;
    }
    if !wait.json {
        let how = if connection.is_embedded() { "starts with" } else { "live with" };
        app.screen.line(format!("{how}: runyard session attach {}", session.0));
    }
    Ok(Exit::Done)
}
