//! Why something was not done, with a code for programs.

use async_graphql::{Error, ErrorExtensions as _};
use engine::{Problem, ProblemCode};
use store::StoreError;

/// The codes, as `extensions.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// What was asked makes no sense as it is.
    BadRequest,
    /// The caller may not.
    Forbidden,
    /// It does not exist, for this caller.
    NotFound,
    /// It changed in the meantime, or its state does not allow it.
    Conflict,
    /// Something is missing on the server's machine.
    Environment,
    /// A bug, or a database that cannot be reached.
    Internal,
    /// The sign-in or the token is not good any more.
    Unauthenticated,
    /// Too much at once.
    TooManyRequests,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 8] = [
        Self::BadRequest,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Environment,
        Self::Internal,
        Self::Unauthenticated,
        Self::TooManyRequests,
    ];

    /// As programs see it.
    pub fn text(self) -> &'static str {
        match self {
            Self::BadRequest => "BAD_REQUEST",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::Environment => "ENVIRONMENT",
            Self::Internal => "INTERNAL",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::TooManyRequests => "TOO_MANY_REQUESTS",
        }
    }
}

/// Something that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: Code,
    message: String,
    mend: Option<String>,
    field: Option<String>,
}

impl Failure {
    /// What was not done.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), mend: None, field: None }
    }

    /// True when it is because something does not exist.
    pub fn is_missing(&self) -> bool {
        self.code == Code::NotFound
    }

    /// What to do next.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// The argument that is meant, as a path such as `input.labels`.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error::new(failure.message).extend_with(|_, extensions| {
            extensions.set("code", failure.code.text());
            if let Some(mend) = failure.mend {
                extensions.set("mend", mend);
            }
            if let Some(field) = failure.field {
                extensions.set("field", field);
            }
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::LastAdmin => {
                Self::new(Code::Conflict, error.to_string()).mend("make somebody else an admin first")
            }
            StoreError::Missing { .. } => Self::new(Code::NotFound, error.to_string()),
            StoreError::Stale { .. } | StoreError::Refused(_) | StoreError::Conflict { .. } => {
                Self::new(Code::Conflict, error.to_string())
            }
            StoreError::Fenced { .. }
            | StoreError::Version(_)
            | StoreError::Damaged { .. }
            | StoreError::Database { .. } => {
                // What a database says may hold more than a person of the account should know.
                tracing::error!(%error, "the record could not be read or written");
                Self::new(Code::Internal, "the record cannot be reached; the server's log says why")
            }
        }
    }
}

/// The engine's problem in our codes.
pub fn problem(problem: Problem) -> Failure {
    let code = match problem.code {
        ProblemCode::BadRequest => Code::BadRequest,
        ProblemCode::NotFound => Code::NotFound,
        ProblemCode::Conflict => Code::Conflict,
        ProblemCode::Environment => Code::Environment,
        ProblemCode::Internal => Code::Internal,
    };
    Failure { code, message: problem.message, mend: problem.mend, field: None }
}

/// An answer of the engine that does not belong to what was asked.
pub fn odd() -> Failure {
    Failure::new(Code::Internal, "the engine answered something else than it was asked")
}
