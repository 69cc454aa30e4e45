//! GraphQL over HTTP: one operation as JSON, by somebody who may come in.

use super::{caller, problem::Answer, read};
use crate::{
    graphql::{Call, Schema},
    state::State,
};
use async_graphql::Request;
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
    let request = request.data(Call::shared(&state, caller));
    Ok(Json(schema.execute(request).await).into_response())
}
