//! The server as its clients see it: over plain HTTP, and through the real Claude Code.
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod claude;
mod program;
mod real;
mod wire;
