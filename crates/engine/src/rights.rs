//! Who may ask for what.

use crate::Command;
use domain::Role;

/// What is needed to ask for something, from little to much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To look at what is there.
    Look,
    /// To have work done and to steer it.
    Work,
    /// To change what everybody works with.
    Configure,
    /// To let people in, and whatever reaches beyond Runyard's own data.
    Administer,
}

/// What a role may ask for.
pub fn may(role: Role, right: Right) -> bool {
    let most = match role {
        Role::Member => Right::Work,
        Role::Maintainer => Right::Configure,
        Role::Admin => Right::Administer,
    };
    right <= most
}

impl Command {
    /// What is needed to ask for this. Every command is named, so that a new one is thought about.
    pub fn needs(&self) -> Right {
        match self {
            Self::Repositories
            | Self::Sessions { .. }
            | Self::Session { .. }
            | Self::Events { .. }
            | Self::Output { .. }
            | Self::Versions { .. }
            | Self::Diff { .. }
            | Self::PullRequests { .. }
            | Self::PullRequest { .. }
            | Self::PullRequestDiff { .. } => Right::Look,
            Self::CreateSession(_)
            | Self::Message { .. }
            | Self::Execute { .. }
            | Self::Stop { .. }
            | Self::Retry { .. }
            | Self::Answer { .. }
            | Self::Edit { .. }
            | Self::Restore { .. }
            | Self::Revert { .. }
            | Self::MarkDone { .. }
            | Self::Cancel { .. }
            | Self::Budget { .. }
            | Self::Archive { .. }
            | Self::PullRequestComment { .. }
            | Self::PullRequestRevise { .. }
            | Self::Merge { .. } => Right::Work,
            Self::Secrets | Self::PutSecret { .. } | Self::RemoveSecret { .. } | Self::ResealSecrets => {
                Right::Configure
            }
            // It makes the server read any folder of its machine.
            Self::AddRepository { .. } => Right::Administer,
        }
    }
}
