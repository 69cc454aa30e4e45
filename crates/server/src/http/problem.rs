//! How a request that was not done is answered outside of GraphQL.

use crate::{gate::Refusal, origin::ForeignOrigin};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::time::Duration;

/// An answer with a status, a code for programs and a sentence for people.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl Answer {
    /// What was not done, and why.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, retry_after: None }
    }

    /// The request makes no sense as it is.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// The field that is meant.
    pub fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// When to try again.
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated | Refusal::Expired => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", refusal.to_string())
            }
            Refusal::Store(error) => error.into(),
        }
    }
}

impl From<ForeignOrigin> for Answer {
    fn from(foreign: ForeignOrigin) -> Self {
        Self::new(StatusCode::FORBIDDEN, "foreign-origin", foreign.to_string())
    }
}

impl From<store::StoreError> for Answer {
    fn from(error: store::StoreError) -> Self {
        // What a database says may hold more than a stranger should know.
        tracing::error!(%error, "the record could not be read or written");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the record cannot be reached; the log says why")
            .after(Duration::from_secs(5))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.code, "message": self.message });
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
