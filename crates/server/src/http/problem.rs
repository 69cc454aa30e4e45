//! How a request that was not done is answered outside of GraphQL.

use crate::{gate::Refusal, origin::ForeignOrigin};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use engine::{Problem, ProblemCode};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// An answer with a status, a code for programs and a sentence for people.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    code: &'static str,
    message: String,
    field: Option<&'static str>,
    mend: Option<String>,
    versions: Option<Box<Versions>>,
    retry_after: Option<Duration>,
}

/// The newest version of a runbook, and the one that the caller expected.
#[derive(Debug)]
struct Versions {
    current: i64,
    expected: Option<i64>,
}

impl Answer {
    /// What was not done, and why.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), field: None, mend: None, versions: None, retry_after: None }
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

    /// The version that the caller expected, when there is another one.
    pub fn expected(mut self, version: Option<i64>) -> Self {
        if let Some(versions) = &mut self.versions {
            versions.expected = version;
        }
        self
    }

    /// When to try again.
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// What was not done, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct Refused {
    /// A word for programs, such as `not-found`.
    error: &'static str,
    /// A sentence for people.
    message: String,
    /// The field that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
    /// With `stale-runbook-version`: the newest version.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_version: Option<i64>,
    /// With `stale-runbook-version`: the version that the caller expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_version: Option<i64>,
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let (status, code) = match problem.code {
            ProblemCode::BadRequest => (StatusCode::BAD_REQUEST, "bad-request"),
            ProblemCode::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            ProblemCode::Conflict if problem.current_version.is_some() => {
                (StatusCode::CONFLICT, "stale-runbook-version")
            }
            ProblemCode::Conflict => (StatusCode::CONFLICT, "conflict"),
            ProblemCode::Environment => (StatusCode::SERVICE_UNAVAILABLE, "environment"),
            ProblemCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let Problem { message, mend, current_version, .. } = problem;
        let versions = current_version.map(|current| Box::new(Versions { current, expected: None }));
        Self { mend, versions, ..Self::new(status, code, message) }
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
        let Self { status, code, message, field, mend, versions, .. } = self;
        let (current_version, expected_version) =
            versions.map_or((None, None), |versions| (Some(versions.current), versions.expected));
        let told = Refused { error: code, message, field, mend, current_version, expected_version };
        let mut response = (status, Json(told)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}
