//! What lasts of a sandbox.

use crate::{CommitId, HostId, Refused, SandboxId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a sandbox stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxState {
    /// Intended; something of it may exist.
    Creating,
    /// Processes can be started in it.
    Ready,
    /// Nothing runs in it.
    Paused,
    /// Nothing of it exists.
    Destroyed,
}

/// What happens to a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxEvent {
    /// It was made.
    Made,
    /// It was put to rest.
    Pause,
    /// It was woken.
    Resume,
    /// It was taken down.
    Destroy,
}

impl SandboxState {
    /// The state after `event`.
    pub fn next(self, event: SandboxEvent) -> Result<Self, Refused> {
        use SandboxEvent as E;
        use SandboxState as S;
        Ok(match (self, event) {
            (S::Creating, E::Made) | (S::Paused, E::Resume) => S::Ready,
            (S::Ready, E::Pause) => S::Paused,
            (S::Creating | S::Ready | S::Paused, E::Destroy) => S::Destroyed,
            _ => return Err(Refused::new("sandbox", &self, &event)),
        })
    }
}

/// The row of a sandbox: written before anything of it exists, so that a crash leaves a trace to sweep by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxRecord {
    /// Its id.
    pub id: SandboxId,
    /// Whose sandbox it is.
    pub session: SessionId,
    /// The machine that it is on.
    pub host: HostId,
    /// Where it stands.
    pub state: SandboxState,
    /// The commit that its workspace was made from.
    pub base: CommitId,
    /// What its provider needs to find it again.
    pub provider: serde_json::Value,
    /// When it was intended.
    pub created_at: Timestamp,
    /// When it was last used.
    pub used_at: Timestamp,
}
