//! Who may come in: people with passwords or known to a provider, their sign-ins, tokens, and links that are handed over.

use crate::{AccountId, LinkId, Role, SignInId, Timestamp, TokenId, User, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, time::Duration};

/// What is kept of a value that only its bearer has: its SHA-256. The values are 256 random bits, so that nobody finds
/// one by trying.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BearerHash(pub [u8; 32]);

impl BearerHash {
    /// What is kept of `value`.
    pub fn of(value: &str) -> Self {
        Self(Sha256::digest(value.as_bytes()).into())
    }
}

impl fmt::Debug for BearerHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerHash(…)")
    }
}

/// A person with what an admin sees of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The person.
    pub user: User,
    /// False once they were sent away: they cannot come in, what they did stays.
    pub active: bool,
    /// Whether they can sign in with a password.
    pub has_password: bool,
}

/// A change of a person by an admin or by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    /// Another role.
    Role(Role),
    /// Sent away, with all sign-ins and tokens ended, or let in again.
    Active(bool),
    /// Another name.
    Name(String),
    /// Another password, as a PHC string; all sign-ins end except the one that is named.
    Password(String, Option<SignInId>),
}

/// A browser in which somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Its id.
    pub id: SignInId,
    /// Who.
    pub user: UserId,
    /// What the browser says that it is, cut to 200 characters.
    pub agent: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was used last, give or take a minute.
    pub used_at: Timestamp,
    /// From when on it is refused however much it is used; none when only rest ends it.
    pub ends_at: Option<Timestamp>,
}

impl SignIn {
    /// True when it is refused at `now`: it was not used for `rest`, or its time is over.
    pub fn is_over(&self, now: Timestamp, rest: Duration) -> bool {
        self.used_at.after(rest) <= now || self.ends_at.is_some_and(|end| end <= now)
    }
}

/// A token for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Whose it is.
    pub account: AccountId,
    /// As whom it acts; none for a token of the account, which has no role.
    pub user: Option<UserId>,
    /// Its name, for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, give or take a minute.
    pub used_at: Option<Timestamp>,
}

impl Token {
    /// True when it is refused at `now` for its age.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// What a link that is handed over is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    /// Makes the first admin.
    FirstAdmin,
    /// Lets a new person in.
    Invitation,
    /// Gives a person another password.
    PasswordReset,
}

/// A link that works once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// The account that it leads into.
    pub account: AccountId,
    /// What it is for.
    pub purpose: LinkPurpose,
    /// For whom; none for the first admin, who says it.
    pub email: Option<String>,
    /// The role that it gives.
    pub role: Role,
    /// Who made it; none when the command line did.
    pub invited_by: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// What somebody who opened a link says of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Their id when they are new.
    pub id: UserId,
    /// Their name; none keeps the one that is known.
    pub name: Option<String>,
    /// Their mail address, for a link that names none.
    pub email: Option<String>,
    /// Their password, as a PHC string.
    pub password: String,
}

/// Somebody who was sent to a provider to sign in there, and is expected back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// The account that they want to come into.
    pub account: AccountId,
    /// The provider's name for itself.
    pub issuer: String,
    /// The path of our own that they want to see afterwards.
    pub next: String,
    /// From when on they come back too late.
    pub expires_at: Timestamp,
}

/// A person as a provider knows them. Issuer and subject together are a person for ever; mail addresses move on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// The provider's name for itself.
    pub issuer: String,
    /// The provider's name for the person.
    pub subject: String,
    /// Who it is.
    pub user: UserId,
    /// When they came with it first.
    pub created_at: Timestamp,
    /// When they came with it last.
    pub used_at: Timestamp,
}

/// Somebody for whom a provider vouches, with what the settings allow them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The provider's name for itself.
    pub issuer: String,
    /// The provider's name for the person.
    pub subject: String,
    /// Their id when they are new.
    pub id: UserId,
    /// Their name when they are new.
    pub name: String,
    /// Their mail address, when it may be relied on.
    pub email: Option<String>,
    /// Whether they become the person with this mail address who is there already and whom the provider has not sent yet.
    pub link_existing: bool,
    /// The role that they get without an invitation; none when they need one.
    pub newcomer: Option<Role>,
}

/// What becomes of somebody for whom a provider vouches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// They come in.
    In(Member, Welcomed),
    /// They were sent away.
    SentAway,
    /// Somebody else, as far as is known, has their mail address.
    Taken,
    /// They are not known, and there is no mail address to know them by.
    Unnamed,
    /// They are not known and nobody invited them.
    Uninvited,
}

/// How somebody comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcomed {
    /// They came before.
    Again,
    /// They were there already, with a password.
    Linked,
    /// They were invited.
    Invited,
    /// As everybody with such a mail address.
    New,
}
