//! `runyard pr`.

use super::{queue, run::repository, unexpected};
use crate::{
    app::{App, Workers},
    cli::{PrCommand, PrNumber, Wait},
    connect::Connection,
    exit::{Exit, Failure},
    live::{self, View},
    render,
};
use engine::{Command, Phase, PullRequestRef, PullRequestView, Reply};

/// Works with pull requests.
pub async fn pull_request(app: &mut App, command: PrCommand) -> Result<Exit, Failure> {
    match command {
        PrCommand::Merge { pr, squash, json } => {
            let workers = if json.json { Workers::Rest } else { Workers::Run };
            let mut connection = Connection::open(app, workers).await?;
            let merged = merge(app, &mut connection, reference(&pr)?, squash, json.json).await;
            connection.close().await;
            merged
        }
        PrCommand::Revise { pr, instructions, wait } => revise(app, pr, instructions, wait).await,
        PrCommand::Review { pr, body, lines, request_changes, wait } => {
            if body.is_none() && lines.is_empty() && !request_changes {
                return Err(
                    Failure::usage("the review says nothing").mend("give a comment, --line, or --request-changes")
                );
            }
            let reference = reference(&pr)?;
            let connection = Connection::open(app, Workers::Rest).await?;
            for comment in lines {
                let line = Some((comment.path, comment.line));
                say(&connection, &reference, comment.text, line).await?;
            }
            if let Some(body) = body {
                say(&connection, &reference, body, None).await?;
            }
            connection.close().await;
            if request_changes {
                return revise(app, pr, None, wait).await;
            }
            app.screen.line(format!("reviewed #{}", reference.number));
            Ok(Exit::Done)
        }
        other => {
            let connection = Connection::open(app, Workers::Rest).await?;
            let exit = at_rest(app, &connection, other).await;
            connection.close().await;
            exit
        }
    }
}

fn reference(pr: &PrNumber) -> Result<PullRequestRef, Failure> {
    let repository = pr.repo.as_deref().map(repository).transpose()?;
    Ok(PullRequestRef { repository, number: pr.number })
}

async fn at_rest(app: &mut App, connection: &Connection, command: PrCommand) -> Result<Exit, Failure> {
    let client = &connection.client;
    match command {
        PrCommand::List { session, repo, json } => {
            let repository = repo.as_deref().map(repository).transpose()?;
            match client.call(Command::PullRequests { session, repository }).await? {
                Reply::PullRequests(lines) if json.json => app.screen.json(&lines),
                Reply::PullRequests(lines) => app.screen.lines(render::pull_requests(&lines, app.style)),
                other => return Err(unexpected(&other)),
            }
        }
        PrCommand::Show { pr, json } => {
            let view = show(connection, reference(&pr)?).await?;
            if json.json {
                app.screen.json(&view);
            } else {
                app.screen.lines(render::pull_request(&view, app.style, &app.zone));
            }
        }
        PrCommand::Diff { pr } => {
            match client.call(Command::PullRequestDiff { pull_request: reference(&pr)? }).await? {
                Reply::Text(diff) => app.screen.lines(render::diff(&diff, app.style)),
                other => return Err(unexpected(&other)),
            }
        }
        PrCommand::Merge { .. } | PrCommand::Review { .. } | PrCommand::Revise { .. } => {
            unreachable!("handled by the caller")
        }
        PrCommand::Ready { pr } => {
            let pull_request = reference(&pr)?;
            match client.call(Command::PullRequestReady { pull_request }).await? {
                Reply::Done => app.screen.line(format!("#{} is ready for review", pr.number)),
                other => return Err(unexpected(&other)),
            }
        }
        PrCommand::Comment { pr, body, line } => {
            let reference = reference(&pr)?;
            let place = line.as_ref().map_or_else(String::new, |(path, line)| format!(", {path}:{line}"));
            say(connection, &reference, body, line).await?;
            app.screen.line(format!("commented on #{}{place}", reference.number));
        }
    }
    Ok(Exit::Done)
}

/// Merges, and stays until the pull requests above are brought up to date when this process is what does it.
async fn merge(
    app: &mut App,
    connection: &mut Connection,
    pull_request: PullRequestRef,
    squash: bool,
    json: bool,
) -> Result<Exit, Failure> {
    let number = pull_request.number;
    let session = show(connection, pull_request.clone()).await?.line.session;
    let after = match session {
        Some(session) => live::session(&connection.client, session).await?.session.last_event,
        None => 0,
    };
    match connection.client.call(Command::Merge { pull_request, squash }).await? {
        Reply::Merged { commit, notes } if json => {
            app.screen.json(&serde_json::json!({ "number": number, "commit": commit, "notes": notes }));
        }
        Reply::Merged { commit, notes } => {
            let mark = app.style.paint(render::Colour::Done, "✓");
            app.screen.line(format!("{mark} merged #{number} as {}", commit.short()));
            app.screen.lines(notes.iter().map(|note| format!("  {}", render::clean(note))));
        }
        other => return Err(unexpected(&other)),
    }
    if let Some(session) = session.filter(|_| connection.is_embedded() && !json) {
        let view = live::session(&connection.client, session).await?;
        if matches!(view.phase, Phase::Queued | Phase::Working { .. }) {
            live::watch(app, connection, View { summary: false, ..View::of_action(session, after) }).await?;
        }
    }
    Ok(Exit::Done)
}

async fn show(connection: &Connection, pull_request: PullRequestRef) -> Result<PullRequestView, Failure> {
    match connection.client.call(Command::PullRequest { pull_request }).await? {
        Reply::PullRequest(view) => Ok(*view),
        other => Err(unexpected(&other)),
    }
}

async fn say(
    connection: &Connection,
    pull_request: &PullRequestRef,
    body: String,
    line: Option<(String, i64)>,
) -> Result<(), Failure> {
    if body.trim().is_empty() {
        return Err(Failure::usage("the comment is empty"));
    }
    let pull_request = pull_request.clone();
    match connection.client.call(Command::PullRequestComment { pull_request, body, line }).await? {
        Reply::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

async fn revise(app: &mut App, pr: PrNumber, instructions: Option<String>, wait: Wait) -> Result<Exit, Failure> {
    let pull_request = reference(&pr)?;
    let workers = if wait.detach { Workers::Rest } else { Workers::Run };
    let connection = Connection::open(app, workers).await?;
    let view = show(&connection, pull_request.clone()).await?;
    let session = view.line.session.ok_or_else(|| {
        Failure::usage(format!("no session made pull request #{}, so no agent can revise it", pull_request.number))
    })?;
    queue(app, connection, session, Command::PullRequestRevise { pull_request, instructions }, wait).await
}
