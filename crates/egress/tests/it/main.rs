//! The way out as a sandbox meets it: over a real unix socket, with the scripted model or a hostile upstream behind it.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod calls;
mod hostile;
mod real;
mod socket;
mod support;
