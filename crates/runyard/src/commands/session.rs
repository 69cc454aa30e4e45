//! `runyard session`.

use super::{budget, done, edit, export::export, queue, queue_on, resolve, steps, unexpected};
use crate::{
    app::{App, Workers},
    cli::{AttachArgs, SessionArg, SessionCommand, Wait},
    connect::Connection,
    control::Client,
    exit::{Exit, Failure},
    live::{self, Goal, View},
    prompt, render,
};
use domain::SessionNumber;
use engine::{Command, Phase, Reply, Selection};

/// Events that are asked for at once.
const PAGE: i64 = 1000;

/// Works with sessions.
pub async fn session(app: &mut App, command: SessionCommand) -> Result<Exit, Failure> {
    match command {
        SessionCommand::Message { words, wait } => {
            let (session, text) = match words.as_slice() {
                [session, text] => (Some(session_arg(session)?), text.clone()),
                [text] => (None, text.clone()),
                _ => return Err(Failure::usage("say what to tell the session")),
            };
            if text.trim().is_empty() {
                return Err(Failure::usage("the message is empty"));
            }
            let (connection, session) = open(app, workers(wait.detach), session).await?;
            queue(app, connection, session, Command::Message { session, text }, wait).await
        }
        SessionCommand::Execute { words, wait } => {
            let (session, what) = execution(&words)?;
            let (connection, session) = open(app, workers(wait.detach), session).await?;
            queue(app, connection, session, Command::Execute { session, what }, wait).await
        }
        SessionCommand::Retry { session, message, wait } => {
            let (connection, session) = open(app, workers(wait.detach), session).await?;
            queue(app, connection, session, Command::Retry { session, message }, wait).await
        }
        SessionCommand::Revert { session, step, wait } => {
            let (connection, session) = open(app, workers(wait.detach), Some(session)).await?;
            queue(app, connection, session, Command::Revert { session, step }, wait).await
        }
        SessionCommand::Answer { words, request, wait } => {
            let (session, words) = answering(&words, app.interactive)?;
            let (mut connection, session) = open(app, workers(wait.detach), session).await?;
            let exit = answer(app, &mut connection, session, words, request, wait).await;
            connection.close().await;
            exit
        }
        SessionCommand::Attach(AttachArgs { session, after, json }) => {
            let (mut connection, session) = open(app, Workers::Run, session).await?;
            let exit = attach(app, &mut connection, session, after, json).await;
            connection.close().await;
            exit
        }
        SessionCommand::Edit { session, step, file, delete } => {
            let (mut connection, session) = open(app, Workers::Rest, session).await?;
            let exit = edit::edit(app, &mut connection, session, step, file, delete).await;
            connection.close().await;
            exit
        }
        SessionCommand::Log { session, follow: true, after, json, .. } => {
            let (connection, session) = open(app, Workers::Run, session).await?;
            let exit = follow(app, &connection, session, after, json).await;
            connection.close().await;
            exit
        }
        other => {
            let connection = Connection::open(app, Workers::Rest).await?;
            let exit = at_rest(app, &connection, other).await;
            connection.close().await;
            exit
        }
    }
}

fn workers(detach: bool) -> Workers {
    if detach { Workers::Rest } else { Workers::Run }
}

async fn open(
    app: &App,
    workers: Workers,
    session: Option<SessionArg>,
) -> Result<(Connection, SessionNumber), Failure> {
    let connection = Connection::open(app, workers).await?;
    match resolve(&connection, session).await {
        Ok(session) => Ok((connection, session)),
        Err(failure) => {
            connection.close().await;
            Err(failure)
        }
    }
}

fn session_arg(text: &str) -> Result<SessionArg, Failure> {
    text.parse().map_err(Failure::usage)
}

/// `[SESSION] [next|all|STEP]`: one word alone is a session when it can be one.
fn execution(words: &[String]) -> Result<(Option<SessionArg>, Selection), Failure> {
    let selection = |word: &str| match word {
        "next" => Ok(Selection::Next),
        "all" => Ok(Selection::All),
        step if is_step(step) => Ok(Selection::Step(step.to_owned())),
        _ => Err(Failure::usage(format!("`{word}` is not `next`, `all` or a step's number such as 1.2"))),
    };
    match words {
        [] => Ok((None, Selection::Next)),
        [word] => match word.parse::<SessionArg>() {
            Ok(session) => Ok((Some(session), Selection::Next)),
            Err(_) => Ok((None, selection(word)?)),
        },
        [session, what, ..] => Ok((Some(session_arg(session)?), selection(what)?)),
    }
}

fn is_step(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Commands that need no workers.
async fn at_rest(app: &mut App, connection: &Connection, command: SessionCommand) -> Result<Exit, Failure> {
    let client = &connection.client;
    match command {
        SessionCommand::List { archived, all, search, limit, json } => {
            let looks = search.is_some();
            let wanted = Command::Sessions { archived, all, limit, before: None, repository: None, search };
            match client.call(wanted).await? {
                Reply::Sessions(lines) if json.json => app.screen.json(&lines),
                Reply::Sessions(lines) if lines.is_empty() && looks => {
                    app.screen.line("No session matches. With --all archived ones are looked at as well.");
                }
                Reply::Sessions(lines) if lines.is_empty() => {
                    let any = client
                        .call(Command::Sessions {
                            archived: false,
                            all: true,
                            limit: 1,
                            before: None,
                            repository: None,
                            search: None,
                        })
                        .await?;
                    let any = matches!(any, Reply::Sessions(lines) if !lines.is_empty());
                    app.screen.line(render::no_sessions(any, archived));
                }
                Reply::Sessions(lines) => app.screen.lines(render::sessions(&lines, app.style, &app.zone)),
                other => return Err(unexpected(&other)),
            }
        }
        SessionCommand::Show { session, json } => {
            let view = live::session(client, resolve(connection, session).await?).await?;
            if json.json {
                app.screen.json(&view);
            } else {
                app.screen.lines(render::session(&view, app.style, &app.zone));
                app.screen.line(format!("Next: {}", render::next_command(&view)));
            }
        }
        SessionCommand::Queue { session, json } => {
            let view = live::session(client, resolve(connection, session).await?).await?;
            if json.json {
                app.screen.json(&view.queue);
            } else {
                app.screen.lines(render::queue(&view, app.style));
            }
        }
        SessionCommand::Log { session, exec, after, json, .. } => {
            let session = resolve(connection, session).await?;
            match exec {
                Some(exec) => {
                    let mut from = 0;
                    loop {
                        let command = Command::Output { session, exec, from, most: u64::MAX };
                        let part = match client.call(command).await? {
                            Reply::Output(part) => part,
                            other => return Err(unexpected(&other)),
                        };
                        app.screen.text(&render::clean(&part.text));
                        if part.to >= part.size || part.to == from {
                            break;
                        }
                        from = part.to;
                    }
                }
                None => log(app, connection, session, after, json).await?,
            }
        }
        SessionCommand::Export { session, format, output } => {
            let session = resolve(connection, session).await?;
            return export(app, connection, session, format.into(), output).await;
        }
        SessionCommand::Stop { session } => {
            let session = resolve(connection, session).await?;
            match client.call(Command::Stop { session }).await? {
                Reply::Stopped { running, removed } => app.screen.line(stopped(running.as_deref(), &removed)),
                other => return Err(unexpected(&other)),
            }
        }
        SessionCommand::Persona { session, name } => {
            let session = resolve(connection, Some(session)).await?;
            done(client.call(Command::SwitchPersona { session, persona: name.clone() }).await?)?;
            let name = name.unwrap_or_else(|| "the default personas".to_owned());
            app.screen.line(format!("{session} has {} from its next run on", render::one_line(&name, 100)));
        }
        SessionCommand::Clone { session, title, json } => {
            let session = resolve(connection, Some(session)).await?;
            match client.call(Command::Clone { session, title }).await? {
                Reply::Created { session: made, .. } if json.json => app.screen.json(&made),
                Reply::Created { session: made, warnings } => {
                    let title = render::clean(&made.title);
                    app.screen.line(format!("{} begins with the plan of {session}: {title}", made.number));
                    for warning in warnings {
                        app.screen.note(&format!("warning: {}", render::clean(&warning)));
                    }
                    app.screen.line(format!("Next: runyard session execute {}", made.number));
                }
                other => return Err(unexpected(&other)),
            }
        }
        SessionCommand::Rename { session, title } => {
            let session = resolve(connection, Some(session)).await?;
            done(client.call(Command::Rename { session, title }).await?)?;
            let title = live::session(client, session).await?.session.title;
            app.screen.line(format!("{session} is called {}", render::clean(&title)));
        }
        SessionCommand::Archive { session, undo } => {
            let session = resolve(connection, Some(session)).await?;
            done(client.call(Command::Archive { session, archived: !undo }).await?)?;
            app.screen.line(format!("{session} {}", if undo { "taken out again" } else { "put away" }));
        }
        SessionCommand::Diff { session, step } => {
            let session = resolve(connection, session).await?;
            let diff = text(client.call(Command::Diff { session, step }).await?)?;
            app.screen.lines(render::diff(&diff, app.style));
        }
        SessionCommand::Versions { session, show, json } => {
            let session = resolve(connection, session).await?;
            versions(app, client.call(Command::Versions { session }).await?, show, json.json)?;
        }
        SessionCommand::Restore { session, version } => {
            let session = resolve(connection, Some(session)).await?;
            match client.call(Command::Restore { session, version }).await? {
                Reply::Version(new) => {
                    app.screen.line(format!("{session} version {} restores version {version}", new.version));
                }
                other => return Err(unexpected(&other)),
            }
        }
        SessionCommand::Done { session, step } => {
            let session = resolve(connection, Some(session)).await?;
            done(client.call(Command::MarkDone { session, step: step.clone() }).await?)?;
            app.screen.line(format!("{session} step {step} is done"));
        }
        command @ (SessionCommand::Skip { .. } | SessionCommand::Unskip { .. } | SessionCommand::Move { .. }) => {
            steps::steps(app, connection, command).await?;
        }
        SessionCommand::Cancel { session, action } => {
            let session = resolve(connection, Some(session)).await?;
            cancel(app, client, session, &action).await?;
        }
        SessionCommand::Budget { session, limits } => {
            budget::budget(app, connection, session, limits).await?;
        }
        SessionCommand::Message { .. }
        | SessionCommand::Execute { .. }
        | SessionCommand::Retry { .. }
        | SessionCommand::Revert { .. }
        | SessionCommand::Answer { .. }
        | SessionCommand::Attach(_)
        | SessionCommand::Edit { .. } => unreachable!("handled by the caller"),
    }
    Ok(Exit::Done)
}

/// Takes out of the queue what `named` means there: a step's number, an id, or the end of one.
async fn cancel(app: &mut App, client: &Client, session: SessionNumber, named: &str) -> Result<(), Failure> {
    let view = live::session(client, session).await?;
    let mend = format!("runyard session queue {}", session.0);
    let action = match render::queued_as(&view, named).as_slice() {
        [one] => *one,
        [] => return Err(Failure::usage(format!("nothing in the queue of {session} is `{named}`")).mend(mend)),
        many => {
            let text = format!("`{named}` means {} things in the queue of {session}", many.len());
            return Err(Failure::usage(text).mend(format!("give the id that `{mend}` prints")));
        }
    };
    let what = render::action_words(&view, action);
    done(client.call(Command::Cancel { session, action: action.id }).await?)?;
    app.screen.line(format!("{session} taken out of the queue: {what}"));
    Ok(())
}

fn stopped(running: Option<&str>, removed: &[String]) -> String {
    let removed = match removed {
        [] => String::new(),
        steps => format!("; taken out of the queue: {}", steps.join(", ")),
    };
    match running {
        Some(what) => format!("stopped {}{removed}", what.replace('_', " ")),
        None => format!("nothing ran{removed}"),
    }
}

fn versions(app: &mut App, reply: Reply, show: Option<i64>, json: bool) -> Result<(), Failure> {
    let Reply::Versions(versions) = reply else { return Err(unexpected(&reply)) };
    match show {
        None if json => app.screen.json(&versions),
        None => app.screen.lines(render::versions(&versions, &app.zone)),
        Some(number) => {
            let version = versions
                .iter()
                .find(|version| version.version == number)
                .ok_or_else(|| Failure::usage(format!("there is no version {number}")))?;
            if json {
                app.screen.json(version);
            } else {
                app.screen.lines(render::markdown(&version.text, app.style));
            }
        }
    }
    Ok(())
}

async fn log(
    app: &mut App,
    connection: &Connection,
    session: SessionNumber,
    mut after: i64,
    json: bool,
) -> Result<(), Failure> {
    let title = live::session(&connection.client, session).await?.session.title;
    let mut renderer = render::LogRenderer::new(app.style, app.width).titled(&title);
    loop {
        let events = match connection.client.call(Command::Events { session, after, limit: PAGE }).await? {
            Reply::Events(events) => events,
            other => return Err(unexpected(&other)),
        };
        let Some(last) = events.last() else { break };
        after = last.number;
        for event in &events {
            if json {
                app.screen.line(serde_json::to_string(event).unwrap_or_default());
            } else {
                app.screen.lines(renderer.event(event));
            }
        }
        if app.screen.is_broken() {
            return Ok(());
        }
    }
    if !json {
        app.screen.lines(renderer.flush());
    }
    Ok(())
}

/// Prints what happens until Ctrl-C.
async fn follow(
    app: &mut App,
    connection: &Connection,
    session: SessionNumber,
    after: i64,
    json: bool,
) -> Result<Exit, Failure> {
    let title = live::session(&connection.client, session).await?.session.title;
    let mut renderer = render::LogRenderer::new(app.style, app.width).titled(&title);
    let mut events = connection.client.follow(session, after).await?;
    loop {
        tokio::select! {
            _ = app.interrupts.recv() => return Ok(Exit::Done),
            event = events.next() => {
                let Some(event) = event? else { return Err(Failure::environment("the server went away")) };
                if json {
                    app.screen.line(serde_json::to_string(&event).unwrap_or_default());
                } else {
                    app.screen.lines(renderer.event(&event));
                }
            }
        }
        if app.screen.is_broken() {
            return Ok(Exit::Done);
        }
    }
}

async fn attach(
    app: &mut App,
    connection: &mut Connection,
    session: SessionNumber,
    after: Option<i64>,
    json: bool,
) -> Result<Exit, Failure> {
    let view = live::session(&connection.client, session).await?;
    let after = after.unwrap_or(view.session.last_event);
    let busy = matches!(
        view.phase,
        Phase::Planning | Phase::Executing { .. } | Phase::Working { .. } | Phase::Queued | Phase::Waiting
    );
    // What is at rest is told by the summary.
    if busy && !json {
        app.screen.lines(render::session(&view, app.style, &app.zone));
        app.screen.line("");
    }
    let shown_plan = if view.phase == Phase::Planned { 0 } else { view.session.version };
    let goal = Goal::Everything { yes: false };
    let view = View { goal, json, shown_plan, ..View::of_action(session, after) };
    live::watch(app, connection, view).await
}

/// `[SESSION] [ANSWER…]`: one word alone is an answer to the newest session, unless it names a session (`r/42`) and there
/// is a person to ask.
fn answering(words: &[String], interactive: bool) -> Result<(Option<SessionArg>, &[String]), Failure> {
    match words {
        [word] if interactive && word.parse::<SessionArg>().is_ok() && !is_step(word) => {
            Ok((Some(session_arg(word)?), &words[1..]))
        }
        [] | [_] => Ok((None, words)),
        [session, ..] => Ok((Some(session_arg(session)?), &words[1..])),
    }
}

async fn answer(
    app: &mut App,
    connection: &mut Connection,
    session: SessionNumber,
    words: &[String],
    request: Option<domain::RequestId>,
    wait: Wait,
) -> Result<Exit, Failure> {
    let view = live::session(&connection.client, session).await?;
    let open = view.open_requests.into_iter().find(|open| request.is_none_or(|wanted| open.id == wanted));
    let Some(open) = open else {
        if request.is_some() {
            // The server says what became of it, and who was first.
            let answer = domain::Answer::Chosen { option: words.join(" ") };
            return queue_on(app, connection, session, Command::Answer { session, request, answer }, wait).await;
        }
        return Err(Failure::usage(format!("nothing in {session} waits for an answer")));
    };
    let request = Some(open.id);
    let answer = if words.is_empty() {
        app.screen.lines(render::request_lines(&open.kind, app.style));
        if !app.interactive {
            return Ok(Exit::Waiting);
        }
        ask(app, open).await?
    } else {
        prompt::answer(&open.kind, words).map_err(Failure::usage)?
    };
    queue_on(app, connection, session, Command::Answer { session, request, answer }, wait).await
}

async fn ask(app: &mut App, request: domain::Request) -> Result<domain::Answer, Failure> {
    let mut prompt = prompt::Prompt::new(request);
    loop {
        app.screen.text(&prompt.words());
        let line = tokio::select! {
            line = app.input.line() => line,
            _ = app.interrupts.recv() => None,
        };
        let Some(line) = line else {
            return Err(Failure { exit: Exit::Waiting, message: "no answer was given".into(), mend: None });
        };
        match prompt.feed(&line) {
            prompt::Fed::More => {}
            prompt::Fed::Again(why) => app.screen.line(why),
            prompt::Fed::Done(answer) => return Ok(answer),
        }
    }
}

fn text(reply: Reply) -> Result<String, Failure> {
    match reply {
        Reply::Text(text) => Ok(text),
        other => Err(unexpected(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<(Option<SessionArg>, Selection), Failure> {
        execution(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_to_execute_is_read_as_people_write_it() {
        let number = |number| Some(SessionArg::Number(SessionNumber(number)));
        assert_eq!(read(&[]), Ok((None, Selection::Next)));
        assert_eq!(read(&["all"]), Ok((None, Selection::All)));
        assert_eq!(read(&["1.2"]), Ok((None, Selection::Step("1.2".into()))));
        assert_eq!(read(&["42"]), Ok((number(42), Selection::Next)));
        assert_eq!(read(&["r/42", "2"]), Ok((number(42), Selection::Step("2".into()))));
        assert_eq!(read(&["last", "2"]), Ok((Some(SessionArg::Newest), Selection::Step("2".into()))));
        assert!(read(&["42", "everything"]).is_err());
        assert!(read(&["evrything"]).is_err());
    }
}
