//! Who may ask for what.

use crate::{Command, NewKnowledge};
use domain::{LearningState, Piece, Role};
use std::path::Path;

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
    /// What is needed to ask for this.
    pub fn needs(&self) -> Right {
        // It makes the server read any folder of its machine.
        let reads_the_disk = self.repository().is_some_and(|given| Path::new(given).is_absolute());
        if reads_the_disk { Right::Administer } else { self.usually_needs() }
    }

    /// What it names as its repository: a name, or an absolute path.
    fn repository(&self) -> Option<&str> {
        match self {
            Self::CreateSession(new) => Some(&new.repository),
            Self::Sessions { repository, .. } | Self::PullRequests { repository, .. } => repository.as_deref(),
            Self::PullRequest { pull_request }
            | Self::PullRequestDiff { pull_request }
            | Self::PullRequestComment { pull_request, .. }
            | Self::PullRequestReady { pull_request }
            | Self::PullRequestRevise { pull_request, .. }
            | Self::Merge { pull_request, .. } => pull_request.repository.as_deref(),
            _ => None,
        }
    }

    /// The same for a repository that is named. Every command is here, so that a new one is thought about.
    fn usually_needs(&self) -> Right {
        match self {
            Self::Repositories
            | Self::Sessions { .. }
            | Self::Overview(_)
            | Self::Session { .. }
            | Self::Spec { .. }
            | Self::Events { .. }
            | Self::FindEvents { .. }
            | Self::Output { .. }
            | Self::Versions { .. }
            | Self::Diff { .. }
            | Self::PullRequests { .. }
            | Self::PullRequest { .. }
            | Self::PullRequestDiff { .. }
            | Self::Knowledge { .. }
            | Self::Learnings(_) => Right::Look,
            Self::CreateSession(_)
            | Self::Message { .. }
            | Self::FollowUp { .. }
            | Self::Execute { .. }
            | Self::Stop { .. }
            | Self::Retry { .. }
            | Self::Answer { .. }
            | Self::Edit { .. }
            | Self::Restore { .. }
            | Self::Revert { .. }
            | Self::MarkDone { .. }
            | Self::SkipStep { .. }
            | Self::UnskipStep { .. }
            | Self::Cancel { .. }
            | Self::Budget { .. }
            | Self::Archive { .. }
            | Self::Clone { .. }
            | Self::Rename { .. }
            | Self::PullRequestComment { .. }
            | Self::PullRequestReady { .. }
            | Self::PullRequestRevise { .. }
            | Self::Merge { .. }
            | Self::SwitchPersona { .. } => Right::Work,
            // Agents are told of it once somebody who may configure lets it stand.
            Self::AddKnowledge(NewKnowledge { piece: Piece::Learning(learning), .. })
                if learning.state == LearningState::Proposed =>
            {
                Right::Work
            }
            Self::AddKnowledge(NewKnowledge { own, .. })
            | Self::ChangeKnowledge { own, .. }
            | Self::RemoveKnowledge { own, .. } => {
                if *own {
                    Right::Work
                } else {
                    Right::Configure
                }
            }
            Self::Secrets | Self::PutSecret { .. } | Self::RemoveSecret { .. } | Self::ResealSecrets => {
                Right::Configure
            }
            // As above; and from where everybody comes, and when.
            Self::AddRepository { .. } | Self::Audit { .. } | Self::VerifyAudit { .. } => Right::Administer,
        }
    }
}
