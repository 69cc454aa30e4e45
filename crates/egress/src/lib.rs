//! The one way out of a sandbox: a reverse proxy from a unix socket to one Messages API.
//!
//! A sandbox has no network. Its shim forwards a loopback port to a socket of ours, one for each sandbox, so the proxy knows
//! who asks. It lets through two calls of the Messages API and nothing else, exchanges the sandbox's stand-in for the real key,
//! asks a [`Gate`] before every call, and counts what each call used, which is the authority for budgets.
//!
//! The real key exists on the way to the upstream only: answers, errors and logs are redacted or never see it.

mod answer;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod listener;
mod meter;
mod policy;
mod price;
mod proxy;
mod upstream;

pub use gate::{Admission, Again, Call, Gate, Note, Refusal, Spent};
pub use listener::{Listener, Route, ServeError};
pub use price::{Price, PriceTable};
pub use upstream::{InvalidUpstream, Limits, Upstream};
