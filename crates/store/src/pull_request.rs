//! Pull requests of the local forge: kept here because a repository on disk has no place for them.

use crate::StoreError;
use async_trait::async_trait;
use domain::{BranchName, CommitId, RepositoryId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a pull request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequestState {
    /// It can be reviewed and merged.
    Open,
    /// It was merged.
    Merged,
    /// It was closed without a merge.
    Closed,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its repository.
    pub repository: RepositoryId,
    /// Its number within the repository, from 1.
    pub number: i64,
    /// Who made it and for what: unique within the repository, so that it is not made twice.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Its description, Markdown.
    pub body: String,
    /// The branch that it goes into.
    pub base: BranchName,
    /// The branch that it brings.
    pub head: BranchName,
    /// Whether it is a draft.
    pub draft: bool,
    /// Its labels, in order.
    pub labels: Vec<String>,
    /// Where it stands.
    pub state: PullRequestState,
    /// The commit that its merge made.
    pub merge_commit: Option<CommitId>,
    /// The head's commit at the time of the merge.
    pub merged_head: Option<CommitId>,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A comment on a pull request, or one of a review thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id.
    pub id: uuid::Uuid,
    /// Who wrote it.
    pub author: String,
    /// What was written, Markdown.
    pub body: String,
    /// The review thread that it belongs to; none for a comment on the whole.
    pub thread: Option<uuid::Uuid>,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A conversation about one line of the diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its id.
    pub id: uuid::Uuid,
    /// The file.
    pub path: String,
    /// The line in the head's version, from 1.
    pub line: i64,
    /// The head's commit when it was begun.
    pub commit: CommitId,
    /// Whether what it asks for is settled.
    pub resolved: bool,
}

/// One check's result on a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The commit that was checked.
    pub commit: CommitId,
    /// The check's name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// Details, Markdown.
    pub summary: String,
}

/// What the local forge asks of the store.
#[async_trait]
pub trait PullRequests: Send + Sync {
    /// Makes a pull request; its number is the repository's next. When one with the same key exists that one is
    /// returned instead, unchanged.
    async fn open_pull_request(&self, new: &PullRequest) -> Result<PullRequest, StoreError>;

    /// A pull request by number.
    async fn pull_request(&self, repository: RepositoryId, number: i64) -> Result<Option<PullRequest>, StoreError>;

    /// A pull request by key.
    async fn pull_request_by_key(&self, repository: RepositoryId, key: &str)
    -> Result<Option<PullRequest>, StoreError>;

    /// The repository's pull requests by number.
    async fn pull_requests(&self, repository: RepositoryId) -> Result<Vec<PullRequest>, StoreError>;

    /// Those whose keys begin with `prefix`, by number.
    async fn pull_requests_keyed(&self, repository: RepositoryId, prefix: &str)
    -> Result<Vec<PullRequest>, StoreError>;

    /// Replaces everything but repository, number, key, author and creation time, if it still was updated last at
    /// `seen` ([`StoreError::Stale`] otherwise).
    async fn update_pull_request(&self, new: &PullRequest, seen: Timestamp) -> Result<(), StoreError>;

    /// Adds a comment; one with the same id changes nothing.
    async fn add_comment(&self, repository: RepositoryId, number: i64, comment: &Comment) -> Result<(), StoreError>;

    /// All comments, oldest first.
    async fn comments(&self, repository: RepositoryId, number: i64) -> Result<Vec<Comment>, StoreError>;

    /// Adds a review thread or replaces the one with its id.
    async fn put_thread(&self, repository: RepositoryId, number: i64, thread: &Thread) -> Result<(), StoreError>;

    /// All review threads, oldest first.
    async fn threads(&self, repository: RepositoryId, number: i64) -> Result<Vec<Thread>, StoreError>;

    /// Adds a check's result or replaces the one of the same commit and name.
    async fn put_check(&self, repository: RepositoryId, check: &Check) -> Result<(), StoreError>;

    /// All results on a commit, by name.
    async fn checks(&self, repository: RepositoryId, commit: &CommitId) -> Result<Vec<Check>, StoreError>;
}
