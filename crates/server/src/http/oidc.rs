//! To a provider and back.

use super::{
    measure::RequestId,
    problem::Answer,
    read,
    sign_in::{let_in, too_many, with_cookies},
};
use crate::{
    deeds,
    oidc::{Failure, LASTS, Provider, Returned, Thread, Turned, own_path},
    state::State,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{ConnectInfo, RawQuery, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use domain::{Admission, Deed, DoerKind, Errand, UserId};
use engine::Told;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc};
use url::form_urlencoded;

/// Where a provider sends browsers back to, below the server's address.
const BACK: &str = "/auth/oidc/return";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// What to see afterwards.
    next: Option<String>,
}

/// Where the page goes next.
#[derive(Debug, Serialize)]
pub struct Way {
    url: String,
}

/// Sends a browser to the provider.
pub async fn start(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Answer> {
    state.origins.own_page(&Method::POST, &headers)?;
    let wish: Wish = read(&headers, &body)?;
    state.brake.attempt(None, Some(from.ip())).map_err(too_many)?;
    let next = own_path(wish.next.as_deref());
    if !state.origins.is_public(&headers) {
        // The provider sends browsers back to our public name, for which what this one keeps would not be meant.
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", &next).finish();
        return Ok(Json(Way { url: state.origins.url(&format!("/sign-in?{query}")) }).into_response());
    }
    let provider = state.provider.as_ref().ok_or_else(|| {
        Answer::new(StatusCode::NOT_FOUND, "not-found", "there is no provider that lets people in here")
    })?;
    let thread = Thread::spin();
    let begun = begin(&state, provider, &thread, next).await;
    let url = begun.map_err(|failure| {
        log(&failure);
        let message = "signing in there does not work at the moment; the log says why";
        Answer::new(StatusCode::BAD_GATEWAY, failure.turned.word(), message)
    })?;
    let mut response = with_cookies(StatusCode::OK, [state.gate.keep_errand(thread.value(), LASTS)]);
    *response.body_mut() = Json(Way { url }).into_response().into_body();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn begin(state: &State, provider: &Provider, thread: &Thread, next: String) -> Result<String, Failure> {
    let url = provider.sign_in_url(thread, &state.origins.url(BACK)).await?;
    let now = state.clock.now();
    let issuer = provider.settings().issuer.clone();
    let errand = Errand { account: state.account, issuer, next, expires_at: now.after(LASTS) };
    state.access.add_errand(&errand, thread.hash, now).await?;
    Ok(url.into())
}

/// Takes a browser back from the provider: to what it wanted to see, or to the page that says why not.
pub async fn back(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Extension(RequestId(request)): Extension<RequestId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut next = None;
    let come = async {
        state.brake.attempt(None, Some(from.ip())).map_err(|_| Failure::new(Turned::TooMany, "too many attempts"))?;
        come_in(&state, &headers, &query.unwrap_or_default(), &mut next).await
    };
    let (mut response, to) = match come.await {
        Ok(cookie) => {
            let lines = [cookie, state.gate.forget_errand()];
            (with_cookies(StatusCode::SEE_OTHER, lines), next.unwrap_or_else(|| "/".to_owned()))
        }
        Err(failure) => {
            log(&failure);
            let told = Told::new("sign_in", "").with("at", "provider").with("why", failure.turned.word());
            state.refused(deeds::strangers(&state, "", told)).await;
            let mut told = form_urlencoded::Serializer::new(String::new());
            told.append_pair("refused", failure.turned.word()).append_pair("request", &request);
            if let Some(next) = next {
                told.append_pair("next", &next);
            }
            let to = format!("/sign-in?{}", told.finish());
            (with_cookies(StatusCode::SEE_OTHER, [state.gate.forget_errand()]), to)
        }
    };
    if let Ok(to) = HeaderValue::from_str(&to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

/// The header that makes the browser keep its sign-in.
async fn come_in(
    state: &State,
    headers: &HeaderMap,
    query: &str,
    next: &mut Option<String>,
) -> Result<String, Failure> {
    let expired = |why: &str| Failure::new(Turned::Expired, why);
    let provider = state.provider.as_ref().ok_or_else(|| expired("there is no provider"))?;
    let returned = Returned::read(query).ok_or_else(|| expired("a browser came back without state, or with two"))?;
    let thread = state.gate.errand(headers).and_then(Thread::read);
    let thread = thread.ok_or_else(|| expired("a browser came back that was not sent"))?;
    if !thread.is_ours(&returned.state) {
        return Err(expired("a browser came back with the state of another one"));
    }
    let now = state.clock.now();
    let errand = state.access.take_errand(thread.hash, now).await?;
    let issuer = &provider.settings().issuer;
    let errand = errand.filter(|errand| errand.account == state.account && errand.issuer == *issuer);
    let errand = errand.ok_or_else(|| expired("a browser came back too late, or twice"))?;
    *next = Some(errand.next);
    let id = UserId::new(state.mint.as_ref());
    let arrival = provider.arrival(&thread, returned, &state.origins.url(BACK), id).await?;
    let refused = |turned, why: &str| Err(Failure::new(turned, format!("{why}: {}", arrival.subject)));
    let told = Told::new("person.join", "").with("provider", issuer);
    let email = arrival.email.clone().unwrap_or_default();
    let deed = Deed { kind: DoerKind::Person, ..deeds::strangers(state, email, told) };
    let admit = state.access.admit(state.account, &arrival, now);
    match store::doing(state.account, deed, admit).await? {
        Admission::In(member, how) => {
            tracing::info!(person = %member.user.id, ?how, "somebody came in from the provider");
            Ok(let_in(state, headers, &member, Some(provider.settings().sign_in_lasts)).await?)
        }
        Admission::SentAway => refused(Turned::SentAway, "somebody came who was sent away"),
        Admission::Taken => refused(Turned::Taken, "somebody came with the mail address of a person who is there"),
        Admission::Unnamed => refused(Turned::Unverified, "somebody came without a mail address that counts"),
        Admission::Uninvited => refused(Turned::Uninvited, "somebody came who is not invited"),
    }
}

fn log(failure: &Failure) {
    let turned = failure.turned.word();
    if failure.turned.is_ours_to_mend() {
        tracing::warn!(turned, why = %failure, "a sign-in at the provider was refused");
    } else {
        tracing::info!(turned, why = %failure, "a sign-in at the provider was refused");
    }
}
