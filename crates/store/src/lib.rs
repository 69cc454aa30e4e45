//! What lasts: sessions and their event logs, the action queue, leases, blobs, the local forge's pull requests.

mod contract;
mod error;
mod pull_request;

pub use contract::{
    Claim, ClaimLimits, Committed, ExecRow, Fence, LONGEST_WAIT, OutputChunk, SessionFilter, StdinLine, Store, Write,
};
pub use error::StoreError;
pub use pull_request::{Check, Comment, PullRequest, PullRequestState, PullRequests, Thread};
