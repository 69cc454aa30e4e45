//! Who asks: a browser with its cookie, or a program with a token.

use crate::{
    bearer::{self, Kind},
    from::from,
};
use axum::http::{HeaderMap, header};
use domain::{AccountId, BearerHash, Clock, Member, Role, SignInId, Timestamp, TokenId};
use engine::Person;
use std::{net::IpAddr, sync::Arc, time::Duration};
use store::{Access, StoreError};

/// A sign-in that was not used for so long has ended.
pub const SIGN_IN_LASTS: Duration = Duration::from_hours(30 * 24);
/// The use of a sign-in or a token is noted at most this often.
const NOTED_EVERY: Duration = Duration::from_mins(1);

/// Somebody who may come in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The person; none for a token of the account.
    pub member: Option<Member>,
    /// What they may do.
    pub role: Role,
    /// What they came in with.
    pub proof: Proof,
    /// The name of the token that they came in with.
    pub token: Option<String>,
    /// Where they are.
    pub from: Option<IpAddr>,
}

/// What somebody came in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A cookie. Only a page of our own may send it.
    SignIn(SignInId, BearerHash),
    /// A token in a header.
    Token(TokenId, BearerHash),
}

impl Caller {
    /// The person as the engine knows them; none for a token of the account.
    pub fn person(&self) -> Option<Person> {
        let user = &self.member.as_ref()?.user;
        Some(Person { name: user.name.clone(), email: user.email.clone() })
    }
}

/// Why nobody comes in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is neither a cookie nor a token, or it is not, or no longer, good.
    #[error("you are not signed in")]
    Unauthenticated,
    /// The token's time is over.
    #[error("the token has expired")]
    Expired,
    /// The record cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets people in.
pub struct Gate {
    access: Arc<dyn Access>,
    account: AccountId,
    clock: Arc<dyn Clock>,
    cookie: &'static str,
    errand: &'static str,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate to an account. `secure` says that browsers come over TLS: the cookie's name then makes them refuse one that
    /// another host or a page without TLS set (<https://www.rfc-editor.org/rfc/rfc6265> as revised, `__Host-`).
    pub fn new(access: Arc<dyn Access>, account: AccountId, clock: Arc<dyn Clock>, secure: bool) -> Self {
        let (cookie, errand) =
            if secure { ("__Host-runyard", "__Host-runyard-errand") } else { ("runyard", "runyard-errand") };
        Self { access, account, clock, cookie, errand }
    }

    /// Who sent a request with these headers.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        if headers.contains_key(header::AUTHORIZATION) {
            let (kind, hash) = token(headers).ok_or(Refusal::Unauthenticated)?;
            return match kind {
                Kind::UserToken | Kind::AccountToken => self.by_token(hash).await,
                Kind::SignIn | Kind::Link | Kind::Errand => Err(Refusal::Unauthenticated),
            };
        }
        let value = cookie(headers, self.cookie).ok_or(Refusal::Unauthenticated)?;
        match bearer::read(value) {
            Some((Kind::SignIn, hash)) => self.by_sign_in(hash).await,
            _ => Err(Refusal::Unauthenticated),
        }
    }

    /// Whether what somebody came in with is still good, and as whom they act now.
    pub async fn again(&self, proof: Proof) -> Result<Caller, Refusal> {
        match proof {
            Proof::SignIn(_, hash) => self.by_sign_in(hash).await,
            Proof::Token(_, hash) => self.by_token(hash).await,
        }
    }

    /// The header that makes a browser keep a sign-in for `lasts`.
    pub fn keep(&self, value: &str, lasts: Duration) -> String {
        cookie_line(self.cookie, value, lasts.min(SIGN_IN_LASTS))
    }

    /// The header that makes a browser forget it.
    pub fn forget(&self) -> String {
        cookie_line(self.cookie, "", Duration::ZERO)
    }

    /// The header that makes a browser keep what binds its way to a provider and back.
    pub fn keep_errand(&self, value: &str, lasts: Duration) -> String {
        cookie_line(self.errand, value, lasts)
    }

    /// The header that makes a browser forget it.
    pub fn forget_errand(&self) -> String {
        cookie_line(self.errand, "", Duration::ZERO)
    }

    /// What a browser that comes back from a provider kept.
    pub fn errand<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        cookie(headers, self.errand)
    }

    async fn by_sign_in(&self, hash: BearerHash) -> Result<Caller, Refusal> {
        let found = self.access.sign_in(hash).await?;
        let (sign_in, member) = found.ok_or(Refusal::Unauthenticated)?;
        let now = self.clock.now();
        if member.user.account != self.account || sign_in.is_over(now, SIGN_IN_LASTS) {
            return Err(Refusal::Unauthenticated);
        }
        if is_due(Some(sign_in.used_at), now) {
            self.access.used_sign_in(sign_in.id, now).await?;
        }
        let (role, proof) = (member.user.role, Proof::SignIn(sign_in.id, hash));
        Ok(Caller { role, member: Some(member), proof, token: None, from: from() })
    }

    async fn by_token(&self, hash: BearerHash) -> Result<Caller, Refusal> {
        let found = self.access.token(hash).await?.filter(|(token, _)| token.account == self.account);
        let (token, member) = found.ok_or(Refusal::Unauthenticated)?;
        let now = self.clock.now();
        if token.is_expired(now) {
            return Err(Refusal::Expired);
        }
        if is_due(token.used_at, now) {
            self.access.used_token(token.id, now).await?;
        }
        let role = member.as_ref().map_or(Role::Member, |member| member.user.role);
        let proof = Proof::Token(token.id, hash);
        Ok(Caller { member, role, proof, token: Some(token.name), from: from() })
    }
}

fn is_due(noted: Option<Timestamp>, now: Timestamp) -> bool {
    noted.is_none_or(|noted| now.since(noted) >= NOTED_EVERY)
}

/// The header for a cookie. `Lax`, since a browser that a provider sends back comes from another site.
fn cookie_line(name: &str, value: &str, lasts: Duration) -> String {
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", lasts.as_secs())
}

/// The cookie with this name.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// The token in `Authorization: Bearer …`.
fn token(headers: &HeaderMap) -> Option<(Kind, BearerHash)> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, value) = line.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { bearer::read(value.trim()) } else { None }
}
