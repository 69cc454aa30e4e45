//! Routes.

mod assets;
mod graphql;
mod headers;
mod origin;
mod problem;
mod sign_in;
mod socket;

pub use origin::{BadAddress, Origins};

use crate::{brake::Brake, gate::Gate, graphql::Schema, password::Passwords};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, StatusCode, header},
    middleware,
    routing::{get, post},
};
use domain::{AccountId, Clock, Mint};
use engine::Backend;
use problem::Answer;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use store::{Access, Store};
use tokio_util::sync::CancellationToken;

/// The longest body of a request: a runbook of 256 KiB as JSON, with room to spare.
const LONGEST_BODY: usize = 1024 * 1024;

/// What the handlers share.
pub struct State {
    pub backend: Arc<dyn Backend>,
    pub store: Arc<dyn Store>,
    pub access: Arc<dyn Access>,
    pub account: AccountId,
    pub clock: Arc<dyn Clock>,
    pub mint: Arc<dyn Mint>,
    pub origins: Origins,
    pub gate: Gate,
    pub brake: Brake,
    pub passwords: Passwords,
    pub schema: Schema,
    /// Cancelled when the server goes down.
    pub down: CancellationToken,
}

impl State {
    /// Refuses a request for which a cookie would speak unless a page of ours sent it.
    fn own_page(&self, method: &Method, headers: &HeaderMap) -> Result<(), Answer> {
        if self.origins.may_use_cookie(method, headers, false) {
            return Ok(());
        }
        let message = "this was not sent by a page of this server; programs use a token instead of a cookie";
        Err(Answer::new(StatusCode::FORBIDDEN, "foreign-origin", message))
    }
}

/// All routes.
pub fn router(state: Arc<State>) -> Router {
    let auth = Router::new()
        .route("/auth/state", get(sign_in::state))
        .route("/auth/sign-in", post(sign_in::sign_in))
        .route("/auth/sign-out", post(sign_in::sign_out))
        .route("/auth/link/{value}", get(sign_in::link).post(sign_in::use_link));
    Router::new()
        .merge(auth)
        .route("/graphql", post(graphql::answer))
        .route("/graphql/ws", get(socket::open))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(assets::page)
        .method_not_allowed_fallback(|| async {
            Answer::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this address does not take that method")
        })
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(state.clone(), headers::guard))
        .with_state(state)
}

/// Answers 200 while the record can be read.
async fn ready(axum::extract::State(state): axum::extract::State<Arc<State>>) -> Result<&'static str, Answer> {
    state.store.pulse(state.account).await?;
    Ok("ok\n")
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
