//! GraphQL over HTTP: one operation as JSON, by somebody who may come in.

use super::{State, problem::Answer, read};
use crate::{
    gate::{Caller, Proof},
    graphql::Call,
};
use async_graphql::Request;
use axum::{
    Json,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use std::{sync::Arc, time::Duration};

/// An operation may take so long; a merge fetches and pushes.
const LONGEST: Duration = Duration::from_mins(1);

pub async fn answer(Shared(state): Shared<Arc<State>>, headers: HeaderMap, body: Bytes) -> Result<Response, Answer> {
    let caller = caller(&state, &Method::POST, &headers, false).await?;
    let request: Request = read(&headers, &body)?;
    if !request.uploads.is_empty() {
        return Err(Answer::bad("files are not taken here"));
    }
    let request = request.data(Call::shared(&state, caller));
    match tokio::time::timeout(LONGEST, state.schema.execute(request)).await {
        Ok(response) => Ok(Json(response).into_response()),
        Err(_) => Err(Answer::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "this takes too long; it may go on")),
    }
}

/// Who sent a request; for a cookie, only from a page of ours.
pub async fn caller(state: &State, method: &Method, headers: &HeaderMap, is_socket: bool) -> Result<Caller, Answer> {
    let caller = state.gate.caller(headers).await?;
    let may = match caller.proof {
        Proof::Token(..) => true,
        Proof::SignIn(..) => state.origins.may_use_cookie(method, headers, is_socket),
    };
    if may {
        return Ok(caller);
    }
    let message = "this was not sent by a page of this server; programs use a token instead of a cookie";
    Err(Answer::new(StatusCode::FORBIDDEN, "foreign-origin", message))
}
