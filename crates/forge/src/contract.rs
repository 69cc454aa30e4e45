//! What Runyard asks of a place where repositories and pull requests live.

use crate::{Error, Mirror, Pushed};
use async_trait::async_trait;
use domain::{BranchName, CommitId, Repository, Timestamp};
use std::path::Path;
use store::{Check, Comment, PullRequest, Thread};
use uuid::Uuid;

/// A branch to move.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    /// The branch.
    pub branch: &'a BranchName,
    /// Where it goes; the mirror has it.
    pub new: &'a CommitId,
    /// Where it must be; none: it must not exist.
    pub expected_old: Option<&'a CommitId>,
}

/// A pull request to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPullRequest {
    /// Who makes it and for what, such as `SESSION/step:ID`: the same key never makes a second one.
    pub key: String,
    /// Its title.
    pub title: String,
    /// Its description, Markdown.
    pub body: String,
    /// The branch that it goes into.
    pub base: BranchName,
    /// The branch that it brings; it was pushed before.
    pub head: BranchName,
    /// Whether it is a draft.
    pub draft: bool,
    /// Its labels; repeated ones count once.
    pub labels: Vec<String>,
    /// Who makes it, for people.
    pub author: String,
}

/// What to change of a pull request; none leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Its title.
    pub title: Option<String>,
    /// Its description.
    pub body: Option<String>,
    /// The branch that it goes into.
    pub base: Option<BranchName>,
    /// Whether it is a draft.
    pub draft: Option<bool>,
    /// All its labels.
    pub labels: Option<Vec<String>>,
    /// When it last changed as far as the writer knows: one that changed since is left alone ([`Error::Changed`]). Such an
    /// edit always counts as a change, so that of two writers who know the same the second is refused.
    pub seen: Option<Timestamp>,
}

/// A comment to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewComment {
    /// Its id, made before: the same id is never added twice.
    pub id: Uuid,
    /// Who writes.
    pub author: String,
    /// What, Markdown.
    pub body: String,
    /// The review thread that it replies to; none for a comment on the whole.
    pub thread: Option<Uuid>,
}

/// How a merge is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeMethod {
    /// A commit with two parents, always.
    Merge,
    /// One commit with everything, on the base.
    Squash,
}

/// How and by whom a pull request is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeHow {
    /// The method.
    pub method: MergeMethod,
    /// Who merges: the commit's author and committer.
    pub name: String,
    /// Their mail address.
    pub email: String,
    /// The head's commit that was looked at; a head that moved since is refused ([`Error::Moved`]).
    pub expected_head: Option<CommitId>,
}

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The pull request, merged.
    pub pull_request: PullRequest,
    /// The commit in the base that has its work.
    pub commit: CommitId,
    /// The open pull request that brings the base on: the work is now in that one, and not yet further down.
    pub into_open: Option<i64>,
}

/// A place where repositories and pull requests live. Every act can be repeated after a crash: it finds what it did.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Its name, as in [`Repository::forge`].
    fn kind(&self) -> &'static str;

    /// Opens the repository's mirror under `dir`, making it when there is none; does not fetch.
    async fn mirror(&self, repository: &Repository, dir: &Path) -> Result<Mirror, Error>;

    /// Brings the mirror up to date.
    async fn fetch(&self, repository: &Repository, mirror: &Mirror) -> Result<(), Error>;

    /// The branch that pull requests go into unless somebody says otherwise; none when the repository names none.
    async fn default_branch(&self, repository: &Repository) -> Result<Option<BranchName>, Error>;

    /// The commit of a branch now; none when there is no such branch.
    async fn branch(&self, repository: &Repository, name: &BranchName) -> Result<Option<CommitId>, Error>;

    /// The commits of those of these branches that are there.
    async fn heads(&self, repository: &Repository, names: &[&BranchName])
    -> Result<Vec<(BranchName, CommitId)>, Error>;

    /// Moves a branch, see [`Mirror::push`].
    async fn push(&self, repository: &Repository, mirror: &Mirror, push: Push<'_>) -> Result<Pushed, Error>;

    /// Removes a branch that is still at `at`; false when it is not.
    async fn remove_branch(
        &self,
        repository: &Repository,
        mirror: &Mirror,
        branch: &BranchName,
        at: &CommitId,
    ) -> Result<bool, Error>;

    /// Opens a pull request, or returns the one with the same key, unchanged and whatever its state.
    ///
    /// Errors: [`Error::MissingBranch`] when base or head do not exist.
    async fn open(&self, repository: &Repository, new: &NewPullRequest) -> Result<PullRequest, Error>;

    /// A pull request by key.
    async fn find_by_key(&self, repository: &Repository, key: &str) -> Result<Option<PullRequest>, Error>;

    /// A pull request by number; [`Error::MissingPullRequest`] when there is none.
    async fn get(&self, repository: &Repository, number: i64) -> Result<PullRequest, Error>;

    /// All pull requests by number.
    async fn list(&self, repository: &Repository) -> Result<Vec<PullRequest>, Error>;

    /// Changes a pull request and returns it; writes nothing when nothing changes and nothing was [`Edit::seen`].
    async fn update(&self, repository: &Repository, number: i64, edit: &Edit) -> Result<PullRequest, Error>;

    /// Closes an open pull request; one that is closed stays so. [`Error::NotOpen`] when it was merged.
    async fn close(&self, repository: &Repository, number: i64) -> Result<PullRequest, Error>;

    /// Opens a closed pull request again; one that is open stays so. [`Error::NotOpen`] when it was merged.
    async fn reopen(&self, repository: &Repository, number: i64) -> Result<PullRequest, Error>;

    /// Adds a comment or a reply; one with the same id changes nothing.
    async fn comment(&self, repository: &Repository, number: i64, new: &NewComment) -> Result<Comment, Error>;

    /// All comments and replies, oldest first.
    async fn comments(&self, repository: &Repository, number: i64) -> Result<Vec<Comment>, Error>;

    /// Begins a review thread, or replaces the one with its id. What is said in it are comments.
    async fn put_thread(&self, repository: &Repository, number: i64, thread: &Thread) -> Result<(), Error>;

    /// All review threads, oldest first.
    async fn threads(&self, repository: &Repository, number: i64) -> Result<Vec<Thread>, Error>;

    /// Says whether what a thread asks for is settled.
    async fn resolve(&self, repository: &Repository, number: i64, thread: Uuid, resolved: bool) -> Result<(), Error>;

    /// Reports a check's result on a commit, replacing an earlier one of the same name.
    async fn set_check(&self, repository: &Repository, check: &Check) -> Result<(), Error>;

    /// All results on a commit, by name.
    async fn checks(&self, repository: &Repository, commit: &CommitId) -> Result<Vec<Check>, Error>;

    /// Merges a pull request into its base branch, whichever that is. Fetches first. One that is merged already, here
    /// or by hand, is recorded and returned.
    ///
    /// Errors: [`Error::NotOpen`] for closed ones, [`Error::Draft`], [`Error::Conflict`], [`Error::CheckedOut`] with the command
    /// to type, [`Error::Moved`], [`Error::NothingToMerge`].
    async fn merge(
        &self,
        repository: &Repository,
        mirror: &Mirror,
        number: i64,
        how: &MergeHow,
    ) -> Result<Merged, Error>;

    /// Records a pull request that was merged by hand; returns it as it now is. Fetches first.
    async fn refresh(&self, repository: &Repository, mirror: &Mirror, number: i64) -> Result<PullRequest, Error>;

    /// Points the open pull requests that go into a merged one's head at the merged one's base instead; returns them.
    /// Their branches stay as they are: see [`Mirror::restack`].
    async fn retarget_children(&self, repository: &Repository, merged: &PullRequest)
    -> Result<Vec<PullRequest>, Error>;
}
