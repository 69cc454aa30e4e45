//! GraphQL over HTTP: one operation as JSON, by somebody who may come in.

use super::{caller, problem::Answer, read};
use crate::{
    graphql::{Call, Code, Schema},
    state::State,
};
use async_graphql::{Request, ServerError, Value};
use axum::{
    Json,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, Method},
    response::{IntoResponse as _, Response},
};
use std::sync::Arc;

pub async fn answer(
    Shared(state): Shared<Arc<State>>,
    Shared(schema): Shared<Schema>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Answer> {
    let caller = caller(&state, &headers, state.origins.own_page(&Method::POST, &headers)).await?;
    let request: Request = read(&headers, &body)?;
    if !request.uploads.is_empty() {
        return Err(Answer::bad("files are not taken here"));
    }
    let asked = Call::shared(&state, caller);
    let response = schema.execute(request.data(Arc::clone(&asked))).await;
    asked.note_refusals(&response).await;
    state.metrics.operated(response.errors.first().map_or("OK", outcome));
    Ok(Json(response).into_response())
}

/// The code of an error of ours; what async-graphql itself refuses has none.
fn outcome(error: &ServerError) -> &'static str {
    let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
    let Some(Value::String(code)) = code else { return "INVALID" };
    Code::ALL.into_iter().map(Code::text).find(|known| known == code).unwrap_or("INVALID")
}
