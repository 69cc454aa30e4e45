//! Who may come in: people with passwords, their sign-ins, tokens, and links that are handed over.

use crate::{AccountId, LinkId, Role, SignInId, Timestamp, TokenId, User, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

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
