//! A branch with its pull request.

use crate::{BranchName, ChangeId, CommitId, Refused, SessionId, StepId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a change is for; unique within its session, so that looking it up by key keeps it from being made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "of", content = "step", rename_all = "snake_case")]
pub enum ChangeKey {
    /// The work of one top-level step.
    Step(StepId),
    /// The work of the whole session.
    Session,
    /// The n-th branch that a person chose to begin, in manual mode.
    Manual(i64),
}

impl fmt::Display for ChangeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => write!(f, "step:{step}"),
            Self::Session => f.write_str("session"),
            Self::Manual(n) => write!(f, "manual:{n}"),
        }
    }
}

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// The branch is being built; there is no pull request.
    Branch,
    /// The pull request is a draft.
    Draft,
    /// The pull request is open for review.
    Open,
    /// The pull request was merged.
    Merged,
    /// The pull request was closed without a merge.
    Closed,
}

impl ChangeState {
    /// The state after moving to `to`; staying where it is is allowed.
    pub fn next(self, to: Self) -> Result<Self, Refused> {
        use ChangeState as S;
        match (self, to) {
            (from, to) if from == to => Ok(to),
            (S::Branch, _)
            | (S::Draft, S::Open | S::Merged | S::Closed)
            | (S::Open, S::Draft | S::Merged | S::Closed)
            | (S::Closed, S::Open | S::Draft) => Ok(to),
            _ => Err(Refused::new("change", &self, &to)),
        }
    }
}

/// A branch with its pull request; the changes of a session form a stack by `position`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// Whose change it is.
    pub session: SessionId,
    /// What it is for.
    pub key: ChangeKey,
    /// Its place in the stack, from 0 at the bottom.
    pub position: i64,
    /// The branch that we derived.
    pub branch: BranchName,
    /// The branch that the pull request goes into: the one below in the stack, or the target branch.
    pub base_branch: BranchName,
    /// The commit that the branch starts from.
    pub base: CommitId,
    /// The branch's newest commit that we made; equal to `base` when there is none yet.
    pub head: CommitId,
    /// The commit that the forge's branch is known to be at; none before the first push.
    pub pushed: Option<CommitId>,
    /// Where it stands.
    pub state: ChangeState,
    /// The pull request's number on the forge.
    pub pull_request: Option<i64>,
    /// The pull request's title.
    pub title: String,
    /// The leaves whose commits are in it, in order.
    pub steps: Vec<StepId>,
    /// The runbook's version when it was begun.
    pub version: i64,
}
