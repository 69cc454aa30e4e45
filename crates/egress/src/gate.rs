//! What the engine decides and learns about each call.

use async_trait::async_trait;
use domain::{Timestamp, Usage};
use std::time::Duration;

/// Asked before each call and told what it used. One for each sandbox; it knows the lease and the budget.
#[async_trait]
pub trait Gate: Send + Sync {
    /// May this call go out now? Checked anew for every request: a stale lease epoch or a spent budget says no.
    async fn admit(&self, request: &Admission) -> Result<(), Refusal>;

    /// What a call used. Awaited before the agent sees the end of the answer, so that its next call is judged with it. Also
    /// called when the answer was cut, with what is known or estimated by then.
    async fn spent(&self, spent: Spent);

    /// Something for the audit.
    async fn note(&self, note: Note);
}

/// A call that passed the fixed policy and waits for the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Which call.
    pub call: Call,
    /// The model that is asked for.
    pub model: String,
    /// Size of the request's body in bytes.
    pub bytes: usize,
}

/// The calls that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`; costs nothing.
    CountTokens,
}

/// Why the gate says no. The message reaches the agent and must hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The lease under which the sandbox worked belongs to somebody else now.
    #[error("{0}")]
    Stale(String),
    /// The budget is spent.
    #[error("{0}")]
    Budget(String),
    /// It cannot be said now; the agent may ask again.
    #[error("{0}")]
    Unavailable(String),
    /// Any other reason.
    #[error("{0}")]
    Denied(String),
}

/// What one call used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The model that answered (the one asked for when no answer said so).
    pub model: String,
    /// Tokens and their price.
    pub usage: Usage,
    /// Whether the numbers are the vendor's final ones. Otherwise the answer was cut and they are the vendor's so far, with
    /// estimates (four bytes each token) for what it had not counted yet.
    pub complete: bool,
}

/// What an answer's head says about asking again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Again {
    /// `retry-after`, in whole seconds; the form with a date is not read.
    pub after: Option<Duration>,
    /// `anthropic-ratelimit-unified-reset`, seconds since 1970: when the account's limit is lifted. Subscriptions have it
    /// on every answer, so it means something with the status 429 only.
    pub resets_at: Option<Timestamp>,
}

/// An entry for the audit. Holds no secret and no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A request was refused by us.
    Refused {
        /// Method and path as asked, at most 200 characters, control characters escaped.
        what: String,
        /// The status that was answered.
        status: u16,
        /// Why.
        why: String,
    },
    /// The upstream answered.
    Answered {
        /// Which call.
        call: Call,
        /// The upstream's status.
        status: u16,
        /// The upstream's `request-id`.
        request_id: Option<String>,
        /// When the upstream wants to be asked again.
        again: Again,
    },
    /// The upstream could not be reached, or its answer broke off or made no sense.
    UpstreamFailed {
        /// What happened.
        why: String,
    },
    /// A process of another user knocked.
    Stranger {
        /// Its uid.
        uid: u32,
    },
}
