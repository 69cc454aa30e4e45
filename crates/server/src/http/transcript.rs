//! A session as a file: a link that a browser follows, or a program with a token.

use super::{caller, problem::Answer};
use crate::{
    gate::Caller,
    state::State,
    transcript::{Transcript, TranscriptFormat},
};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use domain::SessionNumber;
use engine::{Command, Reply, Right, may};
use futures::{Stream, stream};
use std::{io, sync::Arc};

/// So many events are in memory at once.
const STRIDE: i64 = 500;

pub async fn session(
    Shared(state): Shared<Arc<State>>,
    Path((number, name)): Path<(i64, String)>,
    headers: HeaderMap,
) -> Result<Response, Answer> {
    let (format, kind) = match name.as_str() {
        "session.md" => (TranscriptFormat::Markdown, "text/markdown; charset=utf-8"),
        "session.json" => (TranscriptFormat::Json, "application/json"),
        _ => return Err(Answer::new(StatusCode::NOT_FOUND, "not-found", "there is no such file")),
    };
    let caller = caller(&state, &headers, state.origins.own_page(&Method::GET, &headers)).await?;
    if !may(caller.role, Right::Look) {
        return Err(Answer::new(StatusCode::FORBIDDEN, "forbidden", "only a member of the account may read it"));
    }
    let session = SessionNumber(number);
    let Reply::Session(view) = state.backend.call(caller.person().as_ref(), Command::Session { session }).await? else {
        return Err(Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the engine answered something else"));
    };
    let members = state.access.members(state.account).await?;
    let people = members.into_iter().map(|member| (member.user.id, member.user.name)).collect();
    let transcript = Transcript::new(format, people);
    let begin = transcript.begin(&view);
    let body = Body::from_stream(pieces(state, caller, session, (transcript, begin)));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = format!("attachment; filename=\"runyard-r{number}.{}\"", format.ending());
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
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
            // A file that ends early must not look whole: an error cuts the connection.
            let events = match state.backend.call(caller.person().as_ref(), command).await {
                Ok(Reply::Events(events)) => events,
                Ok(_) => return Err(io::Error::other("the engine answered something else")),
                Err(problem) => return Err(io::Error::other(problem)),
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
