//! What holds for every request and answer: for whom it is, how long it takes, and what it says to browsers.

use super::{ANSWER_WITHIN, problem::Answer};
use crate::{from, listen::Visitor, state::State};
use axum::{
    extract::{ConnectInfo, Request, State as Shared},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, uri::PathAndQuery},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{future::Future, net::SocketAddr, sync::Arc};

/// Scripts, styles, fonts and connections of our own and nothing else: text that slips into a page can do nothing.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The same for the playground, whose editor writes its own style sheets and brings its letters along. What runs there is
/// still ours alone.
pub const PLAYGROUND_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses what is not meant for this server, and sets the headers of every answer, errors too.
pub async fn guard(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let came_plain = request.extensions().get::<Visitor>().is_some_and(|visitor| visitor.came_plain);
    let mut response = if !state.origins.is_ours(request.headers()) {
        let told = "this server does not go by that name; public_url says which name it goes by\n";
        (StatusCode::MISDIRECTED_REQUEST, told).into_response()
    } else if came_plain && state.origins.is_secure() {
        to_tls(&state, &request)
    } else {
        let from = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|from| from.0.ip());
        from::answering(from, in_time(next.run(request))).await
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if state.origins.is_secure() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// What somebody is told who came to a proxy without TLS: a page is found again with it; what else was sent is not done,
/// since it was open to everybody on the way.
fn to_tls(state: &State, request: &Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let target = HeaderValue::from_str(&state.origins.url(path));
    match (matches!(*request.method(), Method::GET | Method::HEAD), target) {
        (true, Ok(target)) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response(),
        _ => (StatusCode::FORBIDDEN, "come with https\n").into_response(),
    }
}

/// An answer, or word that there is none in time, be it that the request never ends.
async fn in_time(answer: impl Future<Output = Response>) -> Response {
    let late = || Answer::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "this takes too long; it may go on");
    tokio::time::timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| late().into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_is_answered_in_time() {
        let after = |wait| {
            in_time(async move {
                tokio::time::sleep(wait).await;
                StatusCode::OK.into_response()
            })
        };
        assert_eq!(after(ANSWER_WITHIN.saturating_sub(Duration::from_millis(1))).await.status(), StatusCode::OK);
        let began = tokio::time::Instant::now();
        assert_eq!(after(Duration::MAX).await.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(began.elapsed(), ANSWER_WITHIN);
    }
}
