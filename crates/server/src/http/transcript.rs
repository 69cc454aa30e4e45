//! A session as a file: a link that a browser follows, or a program with a token.

use super::{
    file::{self, STRIDE},
    problem::Answer,
};
use crate::{
    gate::Caller,
    state::State,
    transcript::{Transcript, TranscriptFormat},
};
use axum::{
    body::Bytes,
    extract::{Path, State as Shared},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use domain::SessionNumber;
use engine::{Command, Reply, Right, may};
use futures::{Stream, stream};
use std::{io, sync::Arc};

pub async fn session(
    Shared(state): Shared<Arc<State>>,
    Path((number, name)): Path<(i64, String)>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let (format, kind) = match name.as_str() {
        "session.md" => (TranscriptFormat::Markdown, "text/markdown; charset=utf-8"),
        "session.json" => (TranscriptFormat::Json, "application/json"),
        _ => return Err(file::missing()),
    };
    let caller = file::reader(&state, &headers).await?;
    if !may(caller.role, Right::Look) {
        return Err(Answer::new(StatusCode::FORBIDDEN, "forbidden", "only a member of the account may read it"));
    }
    let session = SessionNumber(number);
    let Reply::Session(view) = state.call(&caller, Command::Session { session }).await? else {
        return Err(Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the engine answered something else"));
    };
    let members = state.access.members(state.account).await?;
    let people = members.into_iter().map(|member| (member.user.id, member.user.name)).collect();
    let transcript = Transcript::new(format, people);
    let begin = transcript.begin(&view);
    let name = format!("runyard-r{number}.{}", format.ending());
    Ok(file::attachment(kind, &name, pieces(state, caller, session, (transcript, begin))))
}

/// Reads on as the caller takes the bytes.
fn pieces(
    state: Arc<State>,
    caller: Caller,
    session: SessionNumber,
    (transcript, begin): (Transcript, String),
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((Some(0), transcript, begin), move |(after, mut transcript, mut text)| {
        let (state, caller) = (Arc::clone(&state), caller.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let command = Command::Events { session, after, limit: STRIDE };
            let Reply::Events(events) = file::next(&state, &caller, Right::Look, command).await? else {
                return Err(file::odd());
            };
            for event in &events {
                text.push_str(&transcript.event(event));
            }
            let full = i64::try_from(events.len()).is_ok_and(|found| found >= STRIDE);
            let next = events.last().filter(|_| full).map(|event| event.number);
            if next.is_none() {
                text.push_str(&transcript.end());
            }
            Ok::<_, io::Error>(Some((Bytes::from(text), (next, transcript, String::new()))))
        }
    })
}
