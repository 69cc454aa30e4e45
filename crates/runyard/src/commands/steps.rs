//! What people make of single steps: `runyard session skip`, `unskip`, `move`.

use super::{done, resolve, unexpected};
use crate::{app::App, cli::SessionCommand, connect::Connection, exit::Failure, live};
use engine::{Command, Edit, Reply, StepPlace};

/// Does what is asked of a step. Its number is that of the newest version, which is read first: who is faster makes it
/// a conflict, not another step.
pub async fn steps(app: &mut App, connection: &Connection, command: SessionCommand) -> Result<(), Failure> {
    let client = &connection.client;
    match command {
        SessionCommand::Skip { session, step, reason } => {
            let session = resolve(connection, Some(session)).await?;
            let expected = Some(live::session(client, session).await?.session.version);
            done(client.call(Command::SkipStep { session, step: step.clone(), reason, expected }).await?)?;
            app.screen.line(format!("{session} step {step} is skipped"));
        }
        SessionCommand::Unskip { session, step } => {
            let session = resolve(connection, Some(session)).await?;
            let expected = Some(live::session(client, session).await?.session.version);
            done(client.call(Command::UnskipStep { session, step: step.clone(), expected }).await?)?;
            app.screen.line(format!("{session} step {step} is to be done after all"));
        }
        SessionCommand::Move { session, step, to, of } => {
            let session = resolve(connection, Some(session)).await?;
            let before = live::session(client, session).await?;
            let expected = before.session.version;
            let edit = Edit::Move { step: step.clone(), to: place(&to, of)? };
            let after = match client.call(Command::Edit { session, expected, edit }).await? {
                Reply::Version(after) => after,
                other => return Err(unexpected(&other)),
            };
            let moved = before.steps.iter().find(|found| found.number == step);
            let number = moved.and_then(|moved| after.step(moved.id)).map_or(step.as_str(), |step| &step.number);
            app.screen.line(format!(
                "{session} step {step} is step {number} now, in version {} of the runbook",
                after.version
            ));
        }
        _ => unreachable!("handled by the caller"),
    }
    Ok(())
}

fn place(to: &str, of: Option<String>) -> Result<StepPlace, Failure> {
    Ok(match (to, of) {
        ("up", None) => StepPlace::Up,
        ("down", None) => StepPlace::Down,
        ("end", None) => StepPlace::End,
        ("before", Some(of)) => StepPlace::Before(of),
        ("after", Some(of)) => StepPlace::After(of),
        ("into", Some(of)) => StepPlace::Into(of),
        (_, Some(of)) => return Err(Failure::usage(format!("`{to}` is about no other step, so `{of}` means nothing"))),
        (_, None) => return Err(Failure::usage(format!("`{to}` needs the number of another step"))),
    })
}
