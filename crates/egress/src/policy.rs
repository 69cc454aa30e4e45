//! What may go out, decided from the head of a request alone.

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use secrets::{Redactor, Secret};

use crate::answer::Denied;
use crate::gate::Call;

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A call that goes to the upstream.
    Call(Call),
    /// `HEAD /`, with which Claude Code looks whether anybody is there.
    Presence,
}

/// Request headers that reach the upstream, besides those with a prefix of [`REQUEST_PREFIXES`].
const REQUEST_HEADERS: [&str; 4] = ["content-type", "accept", "user-agent", "x-app"];
const REQUEST_PREFIXES: [&str; 3] = ["anthropic-", "x-stainless-", "x-claude-code-"];

/// Answer headers that reach the sandbox, besides those with a prefix of [`ANSWER_PREFIXES`].
const ANSWER_HEADERS: [&str; 6] =
    ["content-type", "cache-control", "request-id", "retry-after", "retry-after-ms", "x-should-retry"];
const ANSWER_PREFIXES: [&str; 2] = ["anthropic-ratelimit-", "x-ratelimit-"];

const LONGEST_QUERY: usize = 256;

impl Call {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Messages => "/v1/messages",
            Self::CountTokens => "/v1/messages/count_tokens",
        }
    }
}

/// Checks method and address. `Host` plays no part: there is one upstream.
pub(crate) fn check_target(head: &Parts) -> Result<Asked, Denied> {
    if head.uri.scheme().is_some() || head.uri.authority().is_some() {
        return Err(Denied::forbidden(format!("{} is not allowed: this is no proxy for other hosts", describe(head))));
    }
    let query_is_plain = head.uri.query().is_none_or(|query| {
        query.len() <= LONGEST_QUERY
            && query.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=&-_.,".contains(&byte))
    });
    let asked = match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/messages") => Asked::Call(Call::Messages),
        (&Method::POST, "/v1/messages/count_tokens") => Asked::Call(Call::CountTokens),
        (&Method::HEAD, "/") => Asked::Presence,
        _ => {
            let allowed = "only POST /v1/messages and POST /v1/messages/count_tokens leave this sandbox";
            return Err(Denied::forbidden(format!("{} is not allowed: {allowed}", describe(head))));
        }
    };
    if query_is_plain { Ok(asked) } else { Err(Denied::forbidden(format!("{} has an unusual query", describe(head)))) }
}

/// Method and path for messages and the audit; the query is left out because it may hold anything.
pub(crate) fn describe(head: &Parts) -> String {
    let target = format!("{} {}", head.method, head.uri.path());
    target.escape_debug().take(200).collect()
}

/// The headers for the upstream: those on the list, and the real key in place of the stand-in.
pub(crate) fn request_headers(from: &HeaderMap, surrogate: &Secret, key: &Secret) -> Result<HeaderMap, Denied> {
    let mut headers = HeaderMap::new();
    for (name, value) in from {
        if listed(name, &REQUEST_HEADERS, &REQUEST_PREFIXES) {
            headers.append(name.clone(), value.clone());
        }
    }
    // Compressed, the answer could be neither counted nor redacted.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));

    let refused = || {
        let message = "the credential of this request is not the one given to this sandbox";
        Denied::new(StatusCode::UNAUTHORIZED, "authentication_error", message)
    };
    let mut shown = 0;
    for (name, prefix) in [(HeaderName::from_static("x-api-key"), ""), (header::AUTHORIZATION, "Bearer ")] {
        for value in from.get_all(&name) {
            let candidate = value.as_bytes().strip_prefix(prefix.as_bytes()).ok_or_else(refused)?;
            if !surrogate.is(candidate) {
                return Err(refused());
            }
            let real = format!("{prefix}{}", key.expose());
            let mut real =
                HeaderValue::try_from(real).map_err(|_| Denied::bad_gateway("the API key is no header value"))?;
            real.set_sensitive(true);
            headers.insert(name.clone(), real);
            shown += 1;
        }
    }
    if shown == 1 { Ok(headers) } else { Err(refused()) }
}

/// The headers for the sandbox: those on the list, redacted.
pub(crate) fn answer_headers(from: &HeaderMap, redactor: &Redactor) -> HeaderMap {
    let listed = from.iter().filter(|(name, _)| listed(name, &ANSWER_HEADERS, &ANSWER_PREFIXES));
    let redacted = listed.filter_map(|(name, value)| {
        let value = HeaderValue::from_bytes(&redactor.redact(value.as_bytes())).ok()?;
        Some((name.clone(), value))
    });
    redacted.collect()
}

fn listed(name: &HeaderName, names: &[&str], prefixes: &[&str]) -> bool {
    names.contains(&name.as_str()) || prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
}
