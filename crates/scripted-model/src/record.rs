//! What the server saw and did.

use serde::Serialize;
use serde_json::Value;

/// One request with the fate it met.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// From 1, in order of arrival.
    pub number: usize,
    /// `POST`, `HEAD`, …
    pub method: String,
    /// Path with the query string.
    pub path: String,
    /// Header names in lower case with their values.
    pub headers: Vec<(String, String)>,
    /// The JSON body; `null` when there was none or it was not JSON.
    pub body: Value,
    /// The status that was sent.
    pub status: u16,
    /// What answered.
    pub outcome: Outcome,
}

/// What answered a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// A turn of the script.
    Turn {
        /// Name of the conversation.
        conversation: String,
        /// Line of the turn in the script, from 1.
        line: u64,
        /// Assistant messages since the prompt.
        position: usize,
        /// How often this same turn had answered this same place before.
        attempt: u32,
    },
    /// The fixed answer to a side request.
    Auxiliary,
    /// `count_tokens`, `HEAD /` and other requests that need no script.
    Plain,
    /// The key was not the expected one.
    WrongKey,
    /// Nothing in the script fits; the text says what was seen.
    Unmatched {
        /// What was seen.
        reason: String,
    },
}

impl Recorded {
    /// The value of a header (lower-case name).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The key that the client showed, from `x-api-key` or `Authorization: Bearer`.
    pub fn api_key(&self) -> Option<&str> {
        self.header("x-api-key").or_else(|| self.header("authorization").and_then(|v| v.strip_prefix("Bearer ")))
    }

    /// Name of the conversation that answered.
    pub fn conversation(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Turn { conversation, .. } => Some(conversation),
            _ => None,
        }
    }
}
