//! Requests to a provider: in time, bounded, and never followed elsewhere.

use super::failure::{Failure, Turned};
use reqwest::{Client, RequestBuilder, StatusCode, header, redirect};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The most that a provider may answer.
const LARGEST: usize = 512 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A client that follows no redirect (a secret would go along), uses no proxy that the environment names, and keeps no
/// cookies.
pub fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// An answer with its status and, when it is JSON, what it says.
pub struct Said<T> {
    /// The status.
    pub status: StatusCode,
    /// What it says, or why that cannot be read.
    pub body: Result<T, Failure>,
}

/// Asks `what` for JSON.
pub async fn ask<T: DeserializeOwned>(what: &str, request: RequestBuilder) -> Result<Said<T>, Failure> {
    let request = request.header(header::ACCEPT, "application/json");
    let unreachable = |error: reqwest::Error| {
        let error = error.without_url();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        Failure::new(Turned::Unreachable, format!("{what} could not be reached: {error}{source}"))
    };
    let mut answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    if status.is_server_error() {
        return Err(Failure::new(Turned::Unreachable, format!("{what} answered {status}")));
    }
    if status.is_redirection() {
        return Err(Failure::provider(format!("{what} answered {status}, and redirects are not followed")));
    }
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > LARGEST {
            return Err(Failure::provider(format!("{what} answered more than {LARGEST} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    let body = if is_json {
        // What does not fit may hold a token, so it is not repeated.
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::provider(format!("{what} answered JSON that does not fit, at line {}", error.line()))
        })
    } else {
        Err(Failure::provider(format!("{what} answered {status} with what is no JSON")))
    };
    Ok(Said { status, body })
}
