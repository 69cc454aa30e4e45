//! REST v1: sessions under the names that other programs know. The document that describes it is made from these types.

mod asked;
mod handlers;
mod openapi;
mod status;
mod told;

pub use openapi::document;

use super::{App, caller, problem::Answer, query};
use crate::{gate::Caller, state::State};
use axum::{
    Router,
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{HeaderMap, Method, StatusCode},
    routing::get,
};
use domain::SessionNumber;
use engine::{Command, Reply, SessionView, Told, may};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// All routes, each with and without a slash at its end.
pub fn router() -> Router<App> {
    let mut router = Router::new().route("/api/v1/openapi.json", get(openapi::serve));
    for (path, methods) in [
        ("/api/v1/runbook", get(handlers::list).post(handlers::create)),
        ("/api/v1/runbook/{number}", get(handlers::status).patch(handlers::follow_up)),
        ("/api/v1/runbook/{number}/detail", get(handlers::detail)),
    ] {
        router = router.route(path, methods.clone()).route(&format!("{path}/"), methods);
    }
    router
}

/// Who asks, and what for.
struct Asker {
    state: Arc<State>,
    caller: Caller,
}

impl Asker {
    /// Lets in who has a token, or a page of ours that says that it means it.
    async fn of(state: &Arc<State>, method: &Method, headers: &HeaderMap) -> Result<Self, Answer> {
        let caller = caller(state, headers, state.origins.own_program(method, headers)).await?;
        Ok(Self { state: Arc::clone(state), caller })
    }

    /// Does what is asked, if the caller may.
    async fn ask(&self, command: Command) -> Result<Reply, Answer> {
        if !may(self.caller.role, command.needs()) {
            let asked = command.told().map_or("read", |told| told.action);
            self.state.refused(self.caller.deed(&self.state, Told::new("operation.refused", asked))).await;
            return Err(Answer::new(StatusCode::FORBIDDEN, "forbidden", "your role does not allow this"));
        }
        Ok(self.state.call(&self.caller, command).await?)
    }

    async fn session(&self, session: SessionNumber) -> Result<Box<SessionView>, Answer> {
        match self.ask(Command::Session { session }).await? {
            Reply::Session(view) => Ok(view),
            _ => Err(odd()),
        }
    }

    /// Fails when no repository is registered under a name: the engine takes paths as well, which only an admin may have
    /// read.
    async fn must_be_registered(&self, name: &str) -> Result<(), Answer> {
        let Reply::Repositories(known) = self.ask(Command::Repositories).await? else { return Err(odd()) };
        if known.iter().any(|repository| repository.name == name) {
            return Ok(());
        }
        let told = format!("no repository is registered as `{}`", name.escape_debug());
        Err(Answer::new(StatusCode::NOT_FOUND, "not-found", told).field("repository"))
    }
}

/// The number of a session in an address. What is none is the number of no session.
fn numbered(text: &str) -> Result<SessionNumber, Answer> {
    let number = text.parse().ok().filter(|number| *number > 0).map(SessionNumber);
    number.ok_or_else(|| Answer::new(StatusCode::NOT_FOUND, "not-found", "there is no such session"))
}

/// The JSON of a request's body.
fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<T, Answer> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let told = format!("a body has at most {} KiB", super::LONGEST_BODY / 1024);
            Answer::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", told)
        }
        _ => Answer::bad("the body ended too early"),
    })?;
    super::read(headers, &body)
}

fn odd() -> Answer {
    let told = "the engine answered something else than it was asked";
    Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", told)
}
