//! Judging an ID token (OpenID Connect Core 1.0, 3.1.3.7). Pure.

use super::{
    failure::Failure,
    signature::{Algorithm, Keys},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 60;
/// The longest name that a provider gives a person, as the specification has it.
const LONGEST_SUBJECT: usize = 255;
/// What the token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who made it.
    pub issuer: &'a str,
    /// For whom.
    pub client_id: &'a str,
    /// For which sign-in.
    pub nonce: &'a str,
    /// When it is read.
    pub now: Timestamp,
}

/// What is wrong with a token.
#[derive(Debug)]
pub enum Bad {
    /// It is signed with a key that we do not know: a new one, perhaps.
    UnknownKey,
    /// Anything else.
    Untrusted(Failure),
}

impl From<Bad> for Failure {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::UnknownKey => Self::untrusted("the token is signed with a key that the provider does not name"),
            Bad::Untrusted(failure) => failure,
        }
    }
}

/// A person as a provider describes them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Vouched {
    /// The provider's name for them.
    #[serde(rename = "sub")]
    pub subject: String,
    /// What they are called.
    #[serde(default)]
    pub name: Option<String>,
    /// What they sign in as.
    #[serde(default)]
    pub preferred_username: Option<String>,
    /// Their mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether the provider knows that it is theirs; none when it does not say.
    #[serde(default, deserialize_with = "flag")]
    pub email_verified: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    azp: Option<String>,
    #[serde(deserialize_with = "seconds")]
    exp: i64,
    #[serde(deserialize_with = "seconds")]
    iat: i64,
    #[serde(default, deserialize_with = "maybe_seconds")]
    nbf: Option<i64>,
    nonce: Option<String>,
    #[serde(flatten)]
    person: Vouched,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The person for whom a token vouches, when it is good.
pub fn read(token: &str, keys: &Keys, expected: Expected<'_>) -> Result<Vouched, Bad> {
    let refuse = |why: &str| Bad::Untrusted(Failure::untrusted(format!("the token {why}")));
    let parts: Vec<&str> = token.split('.').collect();
    let &[head, claims, signature] = parts.as_slice() else { return Err(refuse("has not three parts")) };
    let written = &token[..head.len() + 1 + claims.len()];
    let head: Head = json(head).ok_or_else(|| refuse("has no head that can be read"))?;
    if head.crit.is_some() {
        return Err(refuse("has conditions that are not understood"));
    }
    if head.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return Err(refuse("is of another kind"));
    }
    let algorithm = Algorithm::named(&head.alg).ok_or_else(|| refuse("is signed in a way that is not accepted"))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refuse("has no signature that can be read"))?;
    let mut fitting = keys.0.iter().filter(|key| key.fits(algorithm, head.kid.as_deref())).peekable();
    if fitting.peek().is_none() {
        return Err(Bad::UnknownKey);
    }
    if !fitting.any(|key| key.signed(algorithm, written.as_bytes(), &signature)) {
        return Err(refuse("is not signed by the provider"));
    }
    let claims: Claims = json(claims).ok_or_else(|| refuse("lacks what it must say"))?;
    let seconds = expected.now.0 / 1_000_000;
    if claims.iss != expected.issuer {
        return Err(refuse("is another issuer's"));
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        Audience::One(one) => (one == expected.client_id, false),
        Audience::Many(many) => (many.iter().any(|it| it == expected.client_id), many.len() > 1),
    };
    if !is_for_us {
        return Err(refuse("is for somebody else"));
    }
    match claims.azp.as_deref() {
        Some(party) if party != expected.client_id => return Err(refuse("was made for somebody else")),
        None if is_for_others => return Err(refuse("is for others too and does not say for whom it was made")),
        _ => {}
    }
    if claims.exp.saturating_add(LEEWAY) <= seconds {
        return Err(refuse("has expired"));
    }
    if claims.iat.max(claims.nbf.unwrap_or(i64::MIN)) > seconds.saturating_add(LEEWAY) {
        return Err(refuse("is from the future; look at the clocks of both machines"));
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(refuse("is from another sign-in"));
    }
    let subject = &claims.person.subject;
    if subject.is_empty()
        || subject.len() > LONGEST_SUBJECT
        || !subject.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    {
        return Err(refuse("names nobody"));
    }
    Ok(claims.person)
}

fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// A moment in seconds, which may have a fraction.
fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest number that fits")]
    let whole = number.as_i64().or_else(|| number.as_f64().map(|float| float as i64));
    whole.ok_or_else(|| serde::de::Error::custom("no moment"))
}

fn maybe_seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    seconds(from).map(Some)
}

/// Yes or no; some providers write it as text.
fn flag<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(flag) => Some(flag),
        Value::String(text) if text == "true" => Some(true),
        Value::Null => None,
        // Whatever else it is, it is no yes.
        _ => Some(false),
    })
}
