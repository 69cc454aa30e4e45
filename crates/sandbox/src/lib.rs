//! Isolated places to run what nobody trusts: the [`Provider`] and [`Sandbox`] traits, the provider for this machine
//! ([`LocalProvider`]) and the client of the shim, the small program that is process 1 of every sandbox.
//!
//! A server reaches a sandbox only through its shim, over one byte stream. The shim owns processes, their output and
//! the lease's deadline, so a server that dies loses nothing: another [adopts](Provider::adopt) the sandbox and
//! [attaches](Sandbox::attach) to each exec at the offset where the last one stopped.

mod client;
mod error;
mod exec;
pub mod local;
mod provider;
mod report;

pub use error::Error;
pub use exec::{Chunk, Exec, ExecControl, ExecInfo, ExecSpec, Finished, Reached};
pub use local::{Limit, Limits, LocalConfig, LocalProvider, Requirement, listen_in};
pub use provider::{ByteReader, Lease, Mount, Provider, Record, Sandbox, SandboxSpec, Swept, Workspace};
pub use report::{Check, Report, Status};
pub use shim::proto::{ExitReason, ExitStatus, Stdin, Stream};
