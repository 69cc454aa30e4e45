//! Secret values: a type that does not print, stand-ins for sandboxes, envelopes for the database, redaction of streams.

mod encodings;
mod envelope;
mod keyring;
mod known;
mod memory;
mod redactor;
mod scanner;
mod secret;
mod strength;
mod surrogate;
mod userinfo;

pub use envelope::{EnvelopeError, Seat, key_of};
pub use keyring::{KeyId, Keyring, KeyringError};
pub use known::Known;
pub use redactor::{MASK, RedactedStream, Redactor};
pub use secret::{Secret, SecretError};
pub use surrogate::surrogate;
pub use userinfo::without_userinfo;
