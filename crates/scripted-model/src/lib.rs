//! A Messages API that follows a script.
//!
//! The demo and the tests run the real Claude Code against it, so it behaves as the vendor's API does on the wire (streaming
//! events, error bodies, rate-limit headers) while a readable YAML file decides what "the model" says.
//!
//! Which turn comes next is worked out from the history that each request carries, never from a counter in the server: a
//! retried, resumed or replayed request gets the same answer again. Only a fault with `times` counts attempts.
//!
//! `README.md` beside this crate describes the format; [`Script`] reads it, [`ScriptedModel`] runs it.

mod fault;
mod format;
mod record;
mod reply;
mod request;
mod script;
mod server;
mod template;
mod walk;

pub use record::{Outcome, Recorded};
pub use script::{Script, ScriptError};
pub use server::{Options, ScriptedModel, StartError};
