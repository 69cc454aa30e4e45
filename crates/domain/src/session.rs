//! Accounts, people, repositories, sessions and the versions of their runbooks.

use crate::{
    AccountId, BlobHash, BranchName, Budget, CommitId, KnowledgeId, RepositoryId, SessionId, SessionNumber, StepId,
    Timestamp, Usage, UserId,
};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use uuid::Uuid;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works with sessions.
    Member,
    /// Changes settings as well.
    Maintainer,
    /// Everything.
    Admin,
}

/// A person of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their account.
    pub account: AccountId,
    /// Their name, also as git author.
    pub name: String,
    /// Their mail address, also as git author; unique within the account.
    pub email: String,
    /// What they may do.
    pub role: Role,
}

/// A git repository on a forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its id.
    pub id: RepositoryId,
    /// Its account.
    pub account: AccountId,
    /// Its name; unique within the account.
    pub name: String,
    /// Which forge it is on, such as `local`.
    pub forge: String,
    /// Where the forge finds it: for the local forge an absolute path.
    pub location: String,
}

/// How much a session asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Plans, asks, waits for people between.
    #[default]
    Standard,
    /// Plans and executes everything without asking.
    OneShot,
}

/// How work becomes pull requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrMode {
    /// One pull request for each top-level step, each on the one before.
    #[default]
    StackedPr,
    /// One pull request for the session.
    SinglePr,
    /// A person decides after each step.
    Manual,
}

impl FromStr for PrMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.replace('-', "_").as_str() {
            "stacked_pr" | "stacked" => Ok(Self::StackedPr),
            "single_pr" | "single" => Ok(Self::SinglePr),
            "manual" => Ok(Self::Manual),
            _ => Err(format!("`{text}` is not a pull-request mode: choose stacked_pr, single_pr or manual")),
        }
    }
}

/// What came with a request beside its words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// What the body of the first pull request begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A specification that the plan is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<SpecFile>,
    /// The persona that somebody chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persona: Option<KnowledgeId>,
}

/// A specification: a text that somebody wrote elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpecFile {
    /// The name of the file.
    pub name: String,
    /// Its text.
    pub text: BlobHash,
}

/// The unit of work: conversation, runbook, execution, branches and sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Its number within the account.
    pub number: SessionNumber,
    /// Its account.
    pub account: AccountId,
    /// What it works on.
    pub repository: RepositoryId,
    /// Who asked for it.
    pub requester: UserId,
    /// Its title.
    pub title: String,
    /// The request, as it was written.
    pub prompt: String,
    /// How much it asks.
    pub mode: Mode,
    /// How work becomes pull requests.
    pub pr_mode: PrMode,
    /// Whether pull requests are opened as drafts.
    pub draft: bool,
    /// Labels of every pull request.
    pub labels: Vec<String>,
    /// What came with the request.
    #[serde(default)]
    pub extras: Extras,
    /// Where the pull requests go.
    pub target_branch: BranchName,
    /// The target branch's commit when the session was made.
    pub base: CommitId,
    /// What the whole session may use.
    pub budget: Budget,
    /// What each run may use.
    pub run_budget: Budget,
    /// The agent's conversation for planning and messages.
    pub agent_session: Uuid,
    /// The runbook's newest version, 0 before the first.
    pub version: i64,
    /// The number of the newest event, 0 before the first.
    pub last_event: i64,
    /// What all runs used.
    pub usage: Usage,
    /// True when it was put away.
    pub archived: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One step of one version, in document order; parents included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionStep {
    /// Its id over all versions.
    pub id: StepId,
    /// Its number in this version, such as `1.2`.
    pub number: String,
    /// Its title in this version.
    pub title: String,
    /// True when it has no substeps.
    pub leaf: bool,
}

/// One version of a session's runbook; never rewritten in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunbookVersion {
    /// Its session.
    pub session: SessionId,
    /// 1, 2, 3 …
    pub version: i64,
    /// The document.
    pub text: String,
    /// Its steps.
    pub steps: Vec<VersionStep>,
    /// Who made it; none when the agent did.
    pub author: Option<UserId>,
    /// The version that it restores, if it restores one.
    pub restores: Option<i64>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl RunbookVersion {
    /// The step with this id.
    pub fn step(&self, id: StepId) -> Option<&VersionStep> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// The step with this number.
    pub fn numbered(&self, number: &str) -> Option<&VersionStep> {
        self.steps.iter().find(|step| step.number == number)
    }

    /// The leaves in document order.
    pub fn leaves(&self) -> impl Iterator<Item = &VersionStep> {
        self.steps.iter().filter(|step| step.leaf)
    }

    /// The top-level step that a step belongs to (itself when it is one).
    pub fn top_level(&self, id: StepId) -> Option<&VersionStep> {
        let number = &self.step(id)?.number;
        let top = number.split('.').next().unwrap_or(number);
        self.numbered(top)
    }
}
