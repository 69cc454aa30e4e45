//! `runyard session export`.

use super::unexpected;
use crate::{
    app::App,
    connect::Connection,
    exit::{Exit, Failure},
    live,
};
use domain::SessionNumber;
use engine::{Command, Reply};
use server::{PeopleCommand, PeopleReply, Transcript, TranscriptFormat};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Events that are asked for at once.
const PAGE: i64 = 1000;

/// Writes a session to standard output, or into a file that is there only when it is whole.
pub async fn export(
    app: &mut App,
    connection: &Connection,
    session: SessionNumber,
    format: TranscriptFormat,
    (output, force): (Option<PathBuf>, bool),
) -> Result<Exit, Failure> {
    let Some(path) = output else {
        write(connection, session, format, &mut |piece| {
            app.screen.text(piece);
            Ok(!app.screen.is_broken())
        })
        .await?;
        return Ok(Exit::Done);
    };
    if !force && path.exists() {
        let told = Failure::usage(format!("{} is there already", path.display()));
        return Err(told.mend("name another file, or write over it with --force"));
    }
    let part = path.with_added_extension("part");
    let failed = |error: io::Error| Failure::environment(format!("failed to write {}: {error}", path.display()));
    let mut file = begin(&part).map_err(failed)?;
    let written =
        write(connection, session, format, &mut |piece| file.write_all(piece.as_bytes()).map(|()| true)).await;
    let placed = match written {
        Ok(()) => file.sync_all().and_then(|()| fs::rename(&part, &path)).map_err(failed),
        Err(failure) => Err(failure),
    };
    if placed.is_err() {
        // What is only a part helps nobody.
        let _ = fs::remove_file(&part);
    }
    placed?;
    app.screen.line(format!("wrote {}", path.display()));
    Ok(Exit::Done)
}

fn begin(part: &Path) -> io::Result<File> {
    // Left by an export that was cut off.
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)
}

/// Hands on piece by piece, until `take` wants no more.
async fn write(
    connection: &Connection,
    session: SessionNumber,
    format: TranscriptFormat,
    take: &mut (dyn FnMut(&str) -> io::Result<bool> + Send),
) -> Result<(), Failure> {
    let client = &connection.client;
    let view = live::session(client, session).await?;
    let people = match client.people(PeopleCommand::List).await? {
        PeopleReply::People(people) => people.into_iter().map(|member| (member.user.id, member.user.name)).collect(),
        _ => return Err(Failure::environment("the server answered something else than who its people are")),
    };
    let mut transcript = Transcript::new(format, people);
    let failed = |error: io::Error| Failure::environment(format!("failed to write: {error}"));
    let mut piece = transcript.begin(&view);
    let mut after = 0;
    loop {
        let events = match client.call(Command::Events { session, after, limit: PAGE }).await? {
            Reply::Events(events) => events,
            other => return Err(unexpected(&other)),
        };
        for event in &events {
            piece.push_str(&transcript.event(event));
        }
        let Some(last) = events.last() else { break };
        after = last.number;
        if !take(&piece).map_err(failed)? {
            return Ok(());
        }
        piece.clear();
    }
    piece.push_str(&transcript.end());
    take(&piece).map_err(failed).map(|_| ())
}
