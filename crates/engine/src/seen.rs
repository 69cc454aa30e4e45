//! What people see of sessions and pull requests.

use crate::Skip;
use domain::{
    Action, BranchName, Change, ChangeState, CommitId, Failure, Knowledge, KnowledgeRef, Lesson, MicroUsd,
    RepositoryId, Request as Ask, Run, RunId, RunbookVersion, SandboxState, Session, SessionNumber, StepId, StepState,
    Timestamp, Usage,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use store::{Check, Comment, PullRequest, Thread};

/// A learning with those who taught it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearningLine {
    /// The learning.
    pub known: Knowledge,
    /// The runs that taught it, oldest first; none when a person wrote it.
    pub lessons: Vec<Lesson>,
}

/// A part of the learnings that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnings {
    /// The part.
    pub lines: Vec<LearningLine>,
    /// How many fit in all.
    pub found: usize,
    /// How many of the account wait for a person.
    pub proposed: usize,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionLine {
    /// Its number.
    pub number: SessionNumber,
    /// Its title.
    pub title: String,
    /// The repository's name.
    pub repository: String,
    /// What it is doing.
    pub phase: Phase,
    /// Completed leaves.
    pub completed: usize,
    /// All leaves.
    pub total: usize,
    /// What it cost.
    pub cost: MicroUsd,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it was put away.
    pub archived: bool,
}

/// What a session is doing, from most to least pressing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Something waits for a person.
    Waiting,
    /// The agent makes the plan.
    Planning,
    /// A step is being executed.
    Executing {
        /// Its number.
        step: String,
    },
    /// Something else is being done, such as `answer` or `revise`.
    Working {
        /// The action's kind.
        action: String,
    },
    /// Something is queued and will start.
    Queued,
    /// Planning failed.
    PlanFailed {
        /// Why.
        message: String,
    },
    /// A step failed.
    Failed {
        /// Its number.
        step: String,
        /// Why.
        reason: Failure,
    },
    /// There is a plan; a person may execute it.
    Planned,
    /// Everything is completed.
    Completed,
}

/// A session as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionView {
    /// The session.
    pub session: Session,
    /// The repository's name.
    pub repository: String,
    /// What it is doing.
    pub phase: Phase,
    /// The newest version of the runbook.
    pub runbook: Option<RunbookVersion>,
    /// Steps of the newest version in document order.
    pub steps: Vec<StepView>,
    /// What is queued, running or waiting.
    pub queue: Vec<Action>,
    /// Runs, oldest first.
    pub runs: Vec<Run>,
    /// What kind of action each of them attempted.
    pub kinds: HashMap<RunId, String>,
    /// Milliseconds that all of them were at work; waits for people are not counted.
    pub worked_ms: u64,
    /// The stack, bottom first.
    pub changes: Vec<Change>,
    /// Requests that wait for a person.
    pub open_requests: Vec<Ask>,
    /// The sandbox's state.
    pub sandbox: Option<SandboxState>,
    /// The persona that somebody chose.
    pub persona: Option<KnowledgeRef>,
    /// What its runs were told of what the team knows.
    pub knowledge: Vec<KnowledgeUse>,
}

/// Something that the team knows, and how often a session's runs were told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeUse {
    /// What, in the version that was told last.
    pub known: KnowledgeRef,
    /// How many runs were told.
    pub runs: usize,
    /// Whether there was no room for it in the last one.
    pub left_out: bool,
}

/// A step of the newest version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Its id over all versions.
    pub id: StepId,
    /// Its number.
    pub number: String,
    /// Its title.
    pub title: String,
    /// True when it has no substeps.
    pub leaf: bool,
    /// Its state; a parent's from its leaves.
    pub state: StepState,
    /// Why it was skipped, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// What its runs used.
    pub usage: Usage,
    /// Pull request that holds its work.
    pub pull_request: Option<i64>,
    /// Time at work on it, in seconds; waits for people are not counted.
    pub seconds: u64,
}

/// A pull request in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PullRequestLine {
    /// The repository's name.
    pub repository: String,
    /// The repository's id.
    pub repository_id: RepositoryId,
    /// The pull request.
    pub pull_request: PullRequest,
    /// The session that made it.
    pub session: Option<SessionNumber>,
    /// The numbers of the steps that are in it.
    pub steps: Vec<String>,
    /// Where its change stands.
    pub state: Option<ChangeState>,
}

/// A pull request with everything about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PullRequestView {
    /// As in a list.
    pub line: PullRequestLine,
    /// The head's commit.
    pub head: Option<CommitId>,
    /// Commits between base and head, oldest first: id and subject.
    pub commits: Vec<(CommitId, String)>,
    /// Comments, oldest first.
    pub comments: Vec<Comment>,
    /// Review threads, oldest first.
    pub threads: Vec<Thread>,
    /// Checks of the head.
    pub checks: Vec<Check>,
    /// Where it goes.
    pub base: BranchName,
}
