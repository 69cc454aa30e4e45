//! Names under which the mirror keeps commits of ours, so that nothing tidies them away.

use crate::halt::Halt;
use domain::{BranchName, ChangeId, RunId, SessionId};

fn name(text: &str) -> Result<BranchName, Halt> {
    text.parse().map_err(|error: domain::InvalidBranch| Halt::failed(error.to_string()))
}

/// The commit that a run made, or the tree that it left.
pub(crate) fn run(id: RunId) -> Result<BranchName, Halt> {
    name(&format!("runs/{id}"))
}

/// The newest commit of a change.
pub(crate) fn change(id: ChangeId) -> Result<BranchName, Halt> {
    name(&format!("changes/{id}"))
}

/// The commit that a session started from.
pub(crate) fn base(id: SessionId) -> Result<BranchName, Halt> {
    name(&format!("sessions/{id}/base"))
}
