//! Typed ids: a run's id cannot be handed in where a step's is wanted.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: expected {expected}")]
pub struct InvalidId {
    /// What was read.
    pub text: String,
    /// Which id it should have been.
    pub kind: &'static str,
    /// Its shape.
    pub expected: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id from `mint`.
            pub fn new(mint: &dyn crate::Mint) -> Self {
                Self(mint.uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::from_str(text.trim()).map(Self).map_err(|_| InvalidId {
                    text: text.to_owned(),
                    kind: stringify!($name),
                    expected: "a UUID",
                })
            }
        }
    )*};
}

ids! {
    /// A tenant.
    AccountId,
    /// A person of an account.
    UserId,
    /// A repository on a forge.
    RepositoryId,
    /// A session, the unit of work.
    SessionId,
    /// A step; survives edits of the runbook.
    StepId,
    /// One attempt at an action.
    RunId,
    /// Something asked of a session.
    ActionId,
    /// An isolated place with files and processes.
    SandboxId,
    /// One process tree inside a sandbox.
    ExecId,
    /// A branch with its pull request.
    ChangeId,
    /// A question or a permission that waits for a person.
    RequestId,
    /// One life of a server process; the owner of leases.
    ServerId,
    /// A machine that holds local sandboxes; the same over restarts.
    HostId,
    /// A stored secret; the same when its value is replaced.
    SecretId,
    /// A browser in which somebody is signed in.
    SignInId,
    /// A token for programs.
    TokenId,
    /// A link that is handed over.
    LinkId,
    /// Something that a team knows.
    KnowledgeId,
    /// An address outside that is told of events.
    WebhookId,
    /// One telling of one event to one webhook.
    DeliveryId,
}

/// A session's number within its account, shown as `r/42`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionNumber(pub i64);

impl fmt::Display for SessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r/{}", self.0)
    }
}

impl FromStr for SessionNumber {
    type Err = InvalidId;

    /// Reads `42`, `r/42` or the URL of a session's page, with or without a trailing slash.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid =
            || InvalidId { text: text.to_owned(), kind: "session number", expected: "`42`, `r/42` or a session's URL" };
        let trimmed = text.trim().trim_end_matches('/');
        let digits = match trimmed.rsplit_once('/') {
            None => trimmed,
            Some((before, digits)) if before == "r" || before.ends_with("/r") || before.ends_with("/runbooks") => {
                digits
            }
            Some(_) => return Err(invalid()),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid());
        }
        digits.parse().ok().filter(|number| *number > 0).map(Self).ok_or_else(invalid)
    }
}

/// The SHA-256 of a blob's bytes: its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// The name of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobHash({self})")
    }
}

impl FromStr for BlobHash {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidId {
            text: text.to_owned(),
            kind: "blob hash",
            expected: "64 hexadecimal digits",
        })?;
        Ok(Self(bytes))
    }
}

impl Serialize for BlobHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_numbers_are_read_in_every_spelling_people_use() {
        for text in
            ["42", "r/42", " r/42 ", "r/42/", "https://host/r/42", "https://host/org/r/42/", "https://h/runbooks/42"]
        {
            assert_eq!(text.parse(), Ok(SessionNumber(42)), "{text}");
        }
        for text in ["", "abc", "r/", "r/abc", "-4", "r/-4", "https://host/x/123", "0", "99999999999999999999"] {
            assert!(text.parse::<SessionNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_blob_hash_survives_text() {
        let hash = BlobHash::of(b"abc");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
