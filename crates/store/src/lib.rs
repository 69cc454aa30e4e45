//! What lasts: sessions and their event logs, the action queue, leases, blobs, the local forge's pull requests, sealed
//! secrets, who did what, webhooks and what they are to be told.
//!
//! Everything that is written passes `door/clean.rs`, which takes out what is known to be secret. A store cannot be opened
//! without saying what that is.
//!
//! [`Store`] says what may be asked. [`SqlStore`] keeps it in SQLite or PostgreSQL; [`MemoryStore`] keeps it in memory,
//! for simulations. The rules are written once (`door`), over the rows that each of them keeps (`backend`).

mod access;
mod audit;
mod backend;
mod bounds;
mod contract;
mod door;
mod error;
mod library;
mod memory;
mod page;
mod pull_request;
mod search;
mod sql;
mod vault;
mod wake;
mod webhooks;

pub use access::Access;
pub use audit::{Audit, AuditPage, besides, doing, is_told, looking, unnoted};
pub use contract::{
    Claim, ClaimLimits, Committed, EVENTS_BYTES, ExecRow, Fence, LONGEST_WAIT, OutputChunk, SessionFilter, StdinLine,
    Store, Write,
};
pub use error::StoreError;
pub use library::Library;
pub use memory::MemoryStore;
pub use pull_request::{Check, Comment, PullRequest, PullRequestState, PullRequests, Thread};
pub use search::{FoundSessions, SessionSearch};
pub use sql::{Examined, Source, SqlStore, StoreOptions};
pub use vault::{Reseal, SealedSecret, Vault};
pub use webhooks::{MOST_WEBHOOKS, Webhooks};
