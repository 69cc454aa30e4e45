//! What a script can make go wrong, and when.

use serde::Deserialize;

use crate::format::Span;

/// An API error: before the first byte, or as an `error` event in mid-stream when `after_blocks` is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    #[serde(default = "server_error")]
    pub(crate) status: u16,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) after_blocks: Option<usize>,
    pub(crate) times: Option<u32>,
}

/// A 429 with the headers from which Claude Code learns when the limit ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    pub(crate) resets_in: Span,
    pub(crate) message: Option<String>,
    pub(crate) times: Option<u32>,
}

/// The stream ends early.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cut {
    #[serde(default)]
    pub(crate) after_blocks: usize,
    #[serde(default)]
    pub(crate) how: CutKind,
    pub(crate) times: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CutKind {
    /// The HTTP body ends as if it were complete.
    #[default]
    Eof,
    /// The connection breaks in mid-body.
    Reset,
}

/// The stream falls silent for a while, then goes on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stall {
    #[serde(default)]
    pub(crate) after_blocks: usize,
    #[serde(rename = "for")]
    pub(crate) length: Span,
    pub(crate) times: Option<u32>,
}

/// The stream falls silent until the test calls `ScriptedModel::release`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hold {
    #[serde(default)]
    pub(crate) after_blocks: usize,
    pub(crate) until: String,
}

/// Something that no Messages API sends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Malformed {
    #[serde(default)]
    pub(crate) after_blocks: usize,
    pub(crate) kind: MalformedKind,
    pub(crate) times: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MalformedKind {
    /// A `data:` line that is cut in the middle of its JSON; the stream ends there.
    BadJson,
    /// An event of a type that does not exist; the stream goes on.
    UnknownEvent,
    /// A success status with an HTML page instead of events.
    Html,
}

fn server_error() -> u16 {
    500
}

/// The `error.type` that the vendor documents for a status
/// (<https://docs.anthropic.com/en/api/errors>).
pub(crate) fn error_type(status: u16) -> &'static str {
    match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        _ => "api_error",
    }
}
