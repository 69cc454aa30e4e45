//! `runyard session export`.

use super::{output::Output, unexpected};
use crate::{
    app::App,
    cli::OutputArgs,
    connect::Connection,
    exit::{Exit, Failure},
    live,
};
use domain::SessionNumber;
use engine::{Command, Reply};
use server::{PeopleCommand, PeopleReply, Transcript, TranscriptFormat};

/// Events that are asked for at once.
const PAGE: i64 = 1000;

/// Writes a session out.
pub async fn export(
    app: &mut App,
    connection: &Connection,
    session: SessionNumber,
    format: TranscriptFormat,
    output: OutputArgs,
) -> Result<Exit, Failure> {
    let mut output = Output::open(output)?;
    let client = &connection.client;
    let view = live::session(client, session).await?;
    let people = match client.people(PeopleCommand::List).await? {
        PeopleReply::People(people) => people.into_iter().map(|member| (member.user.id, member.user.name)).collect(),
        _ => return Err(Failure::environment("the server answered something else than who its people are")),
    };
    let mut transcript = Transcript::new(format, people);
    let mut piece = transcript.begin(&view);
    let mut after = 0;
    loop {
        let events = match client.call(Command::Events { session, after, limit: PAGE }).await? {
            Reply::Events(events) => events,
            other => return Err(unexpected(&other)),
        };
        let Some(last) = events.last() else { break };
        after = last.number;
        for event in &events {
            piece.push_str(&transcript.event(event));
        }
        if !output.write(app, &piece)? {
            return Ok(Exit::Done);
        }
        piece.clear();
    }
    piece.push_str(&transcript.end());
    output.write(app, &piece)?;
    output.close(app)?;
    Ok(Exit::Done)
}
