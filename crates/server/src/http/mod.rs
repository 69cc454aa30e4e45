//! Routes.

mod assets;
mod download;
mod file;
mod flush;
mod graphql;
mod headers;
mod measure;
mod oidc;
mod problem;
mod rest;
mod sign_in;
mod socket;
mod transcript;

pub use rest::document;

use crate::{
    gate::{Caller, Proof},
    graphql::Schema,
    origin::ForeignOrigin,
    state::State,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRef, State as Shared},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware,
    routing::{get, post},
};
use problem::Answer;
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};

/// The longest body of a request: a runbook of 256 KiB as JSON, with room to spare.
const LONGEST_BODY: usize = 1024 * 1024;
/// A request is read and answered in this time; a merge fetches and pushes.
const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// What the handlers share.
#[derive(Clone)]
pub struct App {
    pub state: Arc<State>,
    pub schema: Schema,
}

impl FromRef<App> for Arc<State> {
    fn from_ref(app: &App) -> Self {
        Self::clone(&app.state)
    }
}

impl FromRef<App> for Schema {
    fn from_ref(app: &App) -> Self {
        app.schema.clone()
    }
}

/// All routes.
pub fn router(app: App) -> Router {
    let auth = Router::new()
        .route("/auth/state", get(sign_in::state))
        .route("/auth/sign-in", post(sign_in::sign_in))
        .route("/auth/sign-out", post(sign_in::sign_out))
        .route("/auth/oidc", post(oidc::start))
        .route("/auth/oidc/return", get(oidc::back))
        .route("/auth/link/{value}", get(sign_in::link).post(sign_in::use_link));
    Router::new()
        .merge(auth)
        .merge(rest::router())
        .route("/download/{name}", get(download::audit))
        .route("/graphql", post(graphql::answer))
        .route("/graphql/ws", get(socket::open))
        .route("/sessions/{number}/{file}", get(transcript::session))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(measure::metrics))
        .fallback(assets::page)
        .method_not_allowed_fallback(|| async {
            Answer::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this address does not take that method")
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), headers::guard))
        .layer(middleware::from_fn_with_state(app.clone(), measure::measure))
        .with_state(app)
}

/// Answers 200 while the record can be read.
async fn ready(Shared(state): Shared<Arc<State>>) -> Result<&'static str, Answer> {
    state.store.pulse(state.account).await?;
    Ok("ok\n")
}

/// Who sent a request; a cookie speaks only for what is our own page's.
async fn caller(state: &State, headers: &HeaderMap, own: Result<(), ForeignOrigin>) -> Result<Caller, Answer> {
    let caller = state.gate.caller(headers).await?;
    if let Proof::SignIn(..) = caller.proof {
        own?;
    }
    Ok(caller)
}

/// What an address asks behind its `?`.
fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Answer> {
    let query = axum::extract::Query::<T>::try_from_uri(uri);
    query.map(|query| query.0).map_err(|error| Answer::bad(format!("the address cannot be read: {}", deepest(&error))))
}

/// The cause of an error that only says that there was one.
fn deepest(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

/// The JSON of a request's body. Nothing else is taken: what a form can send is never JSON by name.
fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Answer> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "send JSON, with `Content-Type: application/json`";
        return Err(Answer::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message));
    }
    serde_json::from_slice(body).map_err(|error| Answer::bad(format!("the body cannot be read: {error}")))
}
