//! Coming in and going out: passwords, links that are handed over.

use super::{problem::Answer, read};
use crate::{
    bearer::{self, Kind},
    brake::TooMany,
    deeds,
    gate::{Refusal, SIGN_IN_LASTS},
    password,
    people::checked_email,
    state::State,
    time,
};
use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Path, State as Shared},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use domain::{Deed, DoerKind, Link, LinkPurpose, Member, Role, SignIn, SignInId, UserId, Welcome};
use engine::Told;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use store::StoreError;
use zeroize::Zeroizing;

type Result<T> = std::result::Result<T, Answer>;

/// What a page needs to know before anybody is signed in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Situation {
    signed_in: bool,
    /// Nobody can sign in yet: the first admin opens the link that the server printed.
    first_admin: bool,
    /// Whether a password lets somebody in.
    password: bool,
    /// What the provider is called that lets people in; null without one.
    provider: Option<String>,
}

pub async fn state(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Result<Json<Situation>> {
    let signed_in = match state.gate.caller(&headers).await {
        Ok(_) => true,
        Err(Refusal::Store(error)) => return Err(error.into()),
        Err(_) => false,
    };
    let first_admin = !signed_in && !crate::people::somebody_can_sign_in(state.access.as_ref(), state.account).await?;
    let provider = state.provider.as_ref().map(|provider| provider.settings().label.clone());
    Ok(Json(Situation { signed_in, first_admin, password: state.passwords_open, provider }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    email: String,
    password: Zeroizing<String>,
}

pub async fn sign_in(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    state.origins.own_page(&Method::POST, &headers)?;
    let given: Credentials = read(&headers, &body)?;
    if !state.passwords_open {
        return Err(closed("nobody signs in with a password here; use the other button"));
    }
    if let Err(TooMany(wait)) = state.brake.attempt(Some(&given.email), Some(from.ip())) {
        let told = Told::new("sign_in", "").with("why", "too many attempts");
        state.refused(deeds::strangers(&state, named(&given.email), told)).await;
        return Err(too_many(TooMany(wait)));
    }
    let (member, phc) = state.access.credentials(state.account, given.email.trim()).await?.unzip();
    let right = state.passwords.verify(given.password, phc).await;
    let Some(member) = member.filter(|_| right) else {
        tracing::info!(from = %from.ip(), "a sign-in was refused");
        state.refused(deeds::strangers(&state, named(&given.email), Told::new("sign_in", ""))).await;
        let message = "mail address or password is wrong";
        return Err(Answer::new(StatusCode::UNAUTHORIZED, "bad-credentials", message));
    };
    Ok(with_cookies(StatusCode::NO_CONTENT, [let_in(&state, &headers, &member, None).await?]))
}

pub async fn sign_out(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Result<Response> {
    state.origins.own_page(&Method::POST, &headers)?;
    match state.gate.caller(&headers).await {
        Ok(caller) => {
            if let crate::gate::Proof::SignIn(id, _) = caller.proof {
                let email = caller.member.as_ref().map(|member| member.user.email.clone()).unwrap_or_default();
                state.doing(&caller, Told::new("sign_in.end", email), state.access.end_sign_in(id)).await?;
            }
        }
        Err(Refusal::Store(error)) => return Err(error.into()),
        Err(_) => {}
    }
    Ok(with_cookies(StatusCode::NO_CONTENT, [state.gate.forget()]))
}

/// What a link is for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    purpose: LinkPurpose,
    email: Option<String>,
    role: Role,
    expires_at: String,
}

pub async fn link(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(value): Path<String>,
) -> Result<Json<Offer>> {
    state.brake.attempt(None, Some(from.ip())).map_err(too_many)?;
    let link = found(&state, &value).await?;
    let Link { purpose, email, role, expires_at, .. } = link;
    Ok(Json(Offer { purpose, email, role, expires_at: time::rfc3339(expires_at) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Introduction {
    name: Option<String>,
    email: Option<String>,
    password: Zeroizing<String>,
}

pub async fn use_link(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path(value): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    state.origins.own_page(&Method::POST, &headers)?;
    let given: Introduction = read(&headers, &body)?;
    state.brake.attempt(None, Some(from.ip())).map_err(too_many)?;
    let link = match found(&state, &value).await {
        Ok(link) => link,
        Err(answer) => {
            state.refused(deeds::strangers(&state, "", Told::new("link.use", ""))).await;
            return Err(answer);
        }
    };
    // Links of admins for the first of them, and for a lost password, stay a way in when the provider is away.
    if !state.passwords_open && link.purpose == LinkPurpose::Invitation {
        return Err(closed("nobody has a password here: sign in at the provider, where your invitation counts too"));
    }
    let name = match (link.purpose, given.name) {
        (LinkPurpose::PasswordReset, _) => None,
        (_, name) => {
            let name = name.unwrap_or_default();
            Some(crate::people::checked_name(&name).map_err(|why| Answer::bad(why).field("name"))?)
        }
    };
    let email = match (&link.email, given.email) {
        (Some(_), _) => None,
        (None, email) => {
            let email = email.unwrap_or_default();
            Some(checked_email(&email).map_err(|why| Answer::bad(why).field("email"))?)
        }
    };
    let known: Vec<&str> = [&name, &email, &link.email].into_iter().flatten().map(String::as_str).collect();
    password::check(&given.password, &known).map_err(|why| Answer::bad(why.to_string()).field("password"))?;
    let password = state.passwords.hash(given.password).await;
    let (_, hash) = bearer::read(&value).ok_or_else(expired)?;
    let invited = link.email.clone().or_else(|| email.clone()).unwrap_or_default();
    let welcome = Welcome { id: UserId::new(state.mint.as_ref()), name, email, password };
    let told = Told::new("link.use", "").with("purpose", purpose_of(link.purpose)).with("link", link.id);
    let deed = Deed { kind: DoerKind::Person, ..deeds::strangers(&state, invited, told) };
    let work = state.access.use_link(hash, &welcome, state.clock.now());
    let member = store::doing(state.account, deed, work).await?.ok_or_else(expired)?;
    Ok(with_cookies(StatusCode::NO_CONTENT, [let_in(&state, &headers, &member, None).await?]))
}

async fn found(state: &State, value: &str) -> Result<Link> {
    let Some((Kind::Link, hash)) = bearer::read(value) else { return Err(expired()) };
    state.access.link(hash, state.clock.now()).await?.ok_or_else(expired)
}

fn purpose_of(purpose: LinkPurpose) -> &'static str {
    match purpose {
        LinkPurpose::FirstAdmin => "first admin",
        LinkPurpose::Invitation => "invitation",
        LinkPurpose::PasswordReset => "new password",
    }
}

/// Who somebody says they are. What is no mail address may be a password that was typed into the wrong field.
fn named(email: &str) -> String {
    checked_email(email).unwrap_or_else(|_| "no mail address".to_owned())
}

fn expired() -> Answer {
    let message = "this link was used already, was taken back, or is too old: ask for another one";
    Answer::new(StatusCode::NOT_FOUND, "link-expired", message)
}

fn closed(message: &str) -> Answer {
    Answer::new(StatusCode::FORBIDDEN, "passwords-closed", message)
}

/// Makes a new sign-in, whatever the browser had before, so that nobody can have chosen its cookie; the header that makes
/// the browser keep it. With `lasts` it ends then, else when it was not used for long.
pub async fn let_in(
    state: &State,
    headers: &HeaderMap,
    member: &Member,
    lasts: Option<Duration>,
) -> std::result::Result<String, StoreError> {
    let (value, hash) = bearer::mint(Kind::SignIn);
    let agent = headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
    let agent = agent.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    let now = state.clock.now();
    let ends_at = lasts.map(|lasts| now.after(lasts));
    let id = SignInId::new(state.mint.as_ref());
    let new = SignIn { id, user: member.user.id, agent, created_at: now, used_at: now, ends_at };
    let told = Told::new("sign_in", &member.user.email).with("browser", &new.agent);
    let deed = Deed { kind: DoerKind::Person, ..deeds::strangers(state, &member.user.email, told) };
    store::doing(state.account, deed, state.access.add_sign_in(&new, hash)).await?;
    Ok(state.gate.keep(value.expose(), lasts.unwrap_or(SIGN_IN_LASTS)))
}

/// An answer that changes what a browser keeps.
pub fn with_cookies<const N: usize>(status: StatusCode, lines: [String; N]) -> Response {
    let mut response = status.into_response();
    for line in lines {
        if let Ok(mut value) = HeaderValue::from_str(&line) {
            value.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

pub fn too_many(TooMany(wait): TooMany) -> Answer {
    let message = format!("too many attempts; try again in {} s", wait.as_secs() + 1);
    Answer::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", message).after(wait)
}
