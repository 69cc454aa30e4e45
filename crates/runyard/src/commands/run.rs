//! `runyard run`.

use super::unexpected;
use crate::{
    app::{App, Workers},
    cli::RunArgs,
    connect::Connection,
    exit::{Exit, Failure},
    live::{self, Goal, View},
};
use domain::{Budget, Mode};
use engine::{Command, NewSession, Reply};
use std::{io::Read as _, path::Path};

/// Makes a session and shows it until it comes to rest.
pub async fn run(app: &mut App, args: RunArgs) -> Result<Exit, Failure> {
    let prompt = if args.task == "-" { read_task()? } else { args.task.clone() };
    if prompt.trim().is_empty() {
        return Err(
            Failure::usage("the task is empty").mend("say what is to be done: runyard run \"TASK\" --repo PATH")
        );
    }
    let new = NewSession {
        repository: repository(&args.repo)?,
        prompt,
        title: args.title,
        mode: if args.one_shot { Mode::OneShot } else { Mode::Standard },
        pr_mode: args.pr_mode,
        draft: args.draft.then_some(true),
        labels: args.labels,
        description: None,
        spec: None,
        target_branch: args.target_branch.map(String::from),
        budget: Budget {
            cost: args.budget_usd,
            tokens: args.budget_tokens,
            seconds: args.budget_minutes.map(|minutes| minutes * 60),
        },
        persona: args.persona,
        requester: Some(app.who.clone()),
    };
    let mut connection = Connection::open(app, Workers::Run).await?;
    let (session, warnings) = match connection.client.call(Command::CreateSession(new)).await {
        Ok(Reply::Created { session, warnings }) => (session, warnings),
        Ok(other) => return Err(unexpected(&other)),
        Err(problem) => {
            connection.close().await;
            return Err(problem.into());
        }
    };
    for warning in warnings {
        app.screen.note(&format!("warning: {}", crate::render::clean(&warning)));
    }
    if args.json {
        app.screen.note(&session.number.to_string());
    } else {
        let title = crate::render::one_line(&session.title, 100);
        app.screen.line(app.style.paint(crate::render::Colour::Bold, &format!("{} {title}", session.number)));
    }
    let goal = Goal::Everything { yes: args.yes || args.one_shot };
    let view = View { goal, json: args.json, ..View::of_action(session.number, 0) };
    let exit = live::watch(app, &mut connection, view).await;
    connection.close().await;
    exit
}

fn read_task() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("failed to read the task from standard input: {error}")))?;
    Ok(text)
}

/// A path is made absolute, since the server is elsewhere; anything else is a name.
pub(super) fn repository(text: &str) -> Result<String, Failure> {
    let path = Path::new(text);
    let looks_like_path = text.contains('/') || text == "." || text == ".." || text.starts_with('~');
    if !looks_like_path && !path.is_dir() {
        return Ok(text.to_owned());
    }
    let expanded = match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    };
    let real = expanded
        .canonicalize()
        .map_err(|error| Failure::usage(format!("there is no repository at {text}: {error}")))?;
    real.to_str().map(str::to_owned).ok_or_else(|| Failure::usage(format!("the path {text} is not UTF-8")))
}
