//! What is downloaded: a link that a browser follows, or a program with a token.
//!
//! A file is read as it is taken, so whoever takes it is asked again for every part.

use super::{caller, problem::Answer};
use crate::{gate::Caller, origin::Origins, state::State};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use engine::{Command, Reply, Right, may};
use futures::Stream;
use std::io;

/// So many entries are in memory at once.
pub const STRIDE: i64 = 500;

/// Who follows the link. A page of somebody else's cannot make a browser download anything with its cookie.
pub async fn reader(state: &State, headers: &HeaderMap) -> Result<Caller, Answer> {
    let own = Origins::own_link(headers).and_then(|()| state.origins.own_page(&Method::GET, headers));
    caller(state, headers, own).await
}

/// The answer where there is no file of that name.
pub fn missing() -> Answer {
    Answer::new(StatusCode::NOT_FOUND, "not-found", "there is no such file")
}

/// A file that a browser keeps under `name` instead of showing it.
pub fn attachment(
    kind: &'static str,
    name: &str,
    parts: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Response {
    let mut response = Body::from_stream(parts).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// The next part, for as long as the reader may have it. A file that ends early must not look whole: the error cuts the
/// connection.
pub async fn next(state: &State, reader: &Caller, right: Right, command: Command) -> io::Result<Reply> {
    let now = state.gate.again(reader.proof).await.map_err(io::Error::other)?;
    if !may(now.role, right) {
        return Err(io::Error::other("the reader may no longer read it"));
    }
    let now = Caller { from: reader.from, ..now };
    state.call(&now, command).await.map_err(io::Error::other)
}

/// What is said of an answer of another kind.
pub fn odd() -> io::Error {
    io::Error::other("the engine answered something else")
}
