//! Every request has an id, and is counted.

use super::{caller, problem::Answer};
use crate::{gate::Proof, listen::Visitor, state::State};
use axum::{
    extract::{MatchedPath, Request, State as Shared},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use domain::Role;
use std::{sync::Arc, time::Instant};
use tracing::Instrument as _;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// OpenMetrics, which Prometheus reads as well as its own text.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The id of a request, for those who show it.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Gives a request its id, which the log and the answer carry, and counts it when it is answered.
pub async fn measure(Shared(state): Shared<Arc<State>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("page", MatchedPath::as_str).to_owned();
    let by_proxy = request.extensions().get::<Visitor>().is_some_and(|visitor| visitor.by_proxy);
    let told = if by_proxy { told(request.headers()) } else { None };
    let id = told.unwrap_or_else(|| state.mint.uuid().simple().to_string());
    let method = request.method().clone();
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id, %method, route);
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status(), begun.elapsed());
    state.metrics.answered(&method, &route, status, took);
    let ms = took.as_millis();
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), ms, "answered");
        } else {
            tracing::debug!(status = status.as_u16(), ms, "answered");
        }
    });
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The id that a trusted proxy gave a request, if it looks like one.
fn told(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    ((8..=64).contains(&id.len()) && id.chars().all(fits)).then(|| id.to_owned())
}

/// The numbers, for a token of the account or an admin.
pub async fn metrics(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Result<Response, Answer> {
    let caller = caller(&state, &headers, state.origins.own_page(&Method::GET, &headers)).await?;
    let of_account = caller.member.is_none() && matches!(caller.proof, Proof::Token(..));
    if !of_account && caller.role != Role::Admin {
        let message = "only a token of the account, or an admin, reads the metrics";
        return Err(Answer::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    let failed = |_| Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the metrics cannot be written");
    let text = state.metrics.text().map_err(failed)?;
    Ok(([(header::CONTENT_TYPE, KIND)], text).into_response())
}
