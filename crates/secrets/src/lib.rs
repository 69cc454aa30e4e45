//! Secret values: a type that does not print, stand-ins for sandboxes, and redaction of streams.

mod encodings;
mod redactor;
mod scanner;
mod secret;
mod surrogate;

pub use redactor::{MASK, RedactedStream, Redactor};
pub use secret::{Secret, SecretError};
pub use surrogate::surrogate;
