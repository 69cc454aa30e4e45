//! What can go wrong, by what the caller can do about it.

use crate::BundleRefused;
use domain::{BranchName, CommitId, InvalidBranch};
use std::path::PathBuf;
use store::StoreError;

/// Why the forge or git did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path of a repository does not exist: the person mistyped it or moved the repository.
    #[error("there is nothing at {}", path.display())]
    PathMissing {
        /// The path.
        path: PathBuf,
    },
    /// The path is no repository: run `git init` there, or give another path.
    #[error("{} is not a git repository", path.display())]
    NotARepository {
        /// The path.
        path: PathBuf,
    },
    /// Something in the repository leads git to what is not the repository's own.
    #[error("{} borrows from elsewhere: {} is not followed: {mend}", path.display(), what.display())]
    Borrows {
        /// The repository.
        path: PathBuf,
        /// What leads elsewhere.
        what: PathBuf,
        /// Why it counts, and what a person can do.
        mend: String,
    },
    /// The repository has no commit yet: make one first.
    #[error("the repository has no commits yet; make a first commit, then try again")]
    Unborn,
    /// There is no such branch.
    #[error("there is no branch `{name}`{}", Instead { near, known })]
    MissingBranch {
        /// What was looked for.
        name: BranchName,
        /// Branches with like names, best first.
        near: Vec<String>,
        /// Every branch there is, by name.
        known: Vec<String>,
    },
    /// There is no such commit in the mirror.
    #[error("there is no commit {commit}")]
    MissingCommit {
        /// What was looked for.
        commit: CommitId,
    },
    /// A path inside a repository that can name no file of it.
    #[error("`{}` is not a path inside a repository: {reason}", path.escape_debug())]
    InvalidPath {
        /// The path.
        path: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The path names a symbolic link, or leads through one; links of a repository are never followed.
    #[error("`{}` is a symbolic link; it must be a file", path.escape_debug())]
    Symlink {
        /// The link.
        path: String,
    },
    /// The path names something other than a file.
    #[error("`{}` is not a file", path.escape_debug())]
    NotAFile {
        /// The path.
        path: String,
    },
    /// Something is larger than the caller allowed.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The tree of a commit unfolds to more than any honest one.
    #[error("the tree of {commit} is too large to be checked out: more than {limit}")]
    TreeTooLarge {
        /// The commit.
        commit: CommitId,
        /// How much is allowed, in words.
        limit: String,
    },
    /// Work from a sandbox was not taken in; nothing of it is in the mirror.
    #[error("the sandbox's work is refused: {0}")]
    Bundle(#[from] BundleRefused),
    /// The forge's branch is not where it was expected: fetch, look and decide anew.
    #[error("branch `{branch}` moved: expected {}, found {}", Tip(expected.as_ref()), Tip(found.as_ref()))]
    Moved {
        /// The branch.
        branch: BranchName,
        /// Where it was expected; none: it was not to exist.
        expected: Option<CommitId>,
        /// Where it is; none: it does not exist.
        found: Option<CommitId>,
    },
    /// The record was restored from a backup elsewhere, and a later life of it works on this repository: stop.
    #[error(
        "the record was restored from a backup elsewhere and works on {} as generation {found}; this is generation {ours}",
        path.display()
    )]
    Superseded {
        /// The repository.
        path: PathBuf,
        /// The generation that asked.
        ours: i64,
        /// The one that works on it.
        found: i64,
    },
    /// The forge refused a push.
    #[error("the push of `{branch}` was rejected: {reason}")]
    Rejected {
        /// The branch.
        branch: BranchName,
        /// Why, in the forge's words.
        reason: String,
    },
    /// The repository cannot be written: mend its owner or mode.
    #[error("{} cannot be written: {reason}", path.display())]
    NotWritable {
        /// The repository.
        path: PathBuf,
        /// Why, in git's words.
        reason: String,
    },
    /// The branch is checked out, so moving it would make the working tree look changed; `command` does what was asked.
    #[error("branch `{branch}` is checked out in {}; type: {command}", worktree.display())]
    CheckedOut {
        /// The branch.
        branch: BranchName,
        /// The working tree where it is checked out.
        worktree: PathBuf,
        /// What a person can type instead, for `sh`.
        command: String,
    },
    /// Both sides changed the same places.
    #[error("merging conflicts in {}", files.join(", "))]
    Conflict {
        /// The files.
        files: Vec<String>,
    },
    /// The two histories have no commit in common.
    #[error("{ours} and {theirs} have no common history")]
    Unrelated {
        /// One commit.
        ours: CommitId,
        /// The other commit.
        theirs: CommitId,
    },
    /// There is no such pull request.
    #[error("there is no pull request #{number}")]
    MissingPullRequest {
        /// Its number.
        number: i64,
    },
    /// There is no such review thread.
    #[error("there is no review thread {thread} on pull request #{number}")]
    MissingThread {
        /// The pull request's number.
        number: i64,
        /// The thread.
        thread: uuid::Uuid,
    },
    /// The pull request is in no state for this.
    #[error("pull request #{number} is {state}")]
    NotOpen {
        /// Its number.
        number: i64,
        /// Its state, in words.
        state: &'static str,
    },
    /// The pull request is a draft.
    #[error("pull request #{number} is a draft")]
    Draft {
        /// Its number.
        number: i64,
    },
    /// Somebody else changed the pull request in the meantime: look again.
    #[error("pull request #{number} was changed by somebody else in the meantime")]
    Changed {
        /// Its number.
        number: i64,
    },
    /// The pull request makes no difference to its base.
    #[error("pull request #{number} changes nothing in `{base}`")]
    NothingToMerge {
        /// Its number.
        number: i64,
        /// Its base.
        base: BranchName,
    },
    /// A name that is no branch name.
    #[error(transparent)]
    Branch(#[from] InvalidBranch),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Git ran longer than it may and was killed.
    #[error("`git {command}` ran longer than {seconds} s and was killed")]
    TimedOut {
        /// The subcommand.
        command: String,
        /// The limit.
        seconds: u64,
    },
    /// Git printed more than it may and was killed.
    #[error("`git {command}` printed more than {limit} bytes and was killed")]
    TooMuchOutput {
        /// The subcommand.
        command: String,
        /// The limit.
        limit: usize,
    },
    /// Git failed in a way that has no better name.
    #[error("`git {command}` failed ({status}): {stderr}")]
    Git {
        /// The subcommand.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it printed to stderr.
        stderr: String,
    },
    /// Git printed something that cannot be read: a version of git that is too old or too new.
    #[error("`git {command}` printed something unexpected: {detail}")]
    Unexpected {
        /// The subcommand.
        command: String,
        /// What was wrong with it.
        detail: String,
    },
    /// A file or process of ours failed.
    #[error("failed to {attempt}")]
    Io {
        /// What was attempted.
        attempt: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// True when trying the same again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Io { .. } | Self::Changed { .. } => true,
            Self::Store(error) => error.is_transient(),
            _ => false,
        }
    }

    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Io { attempt, source }
    }
}

/// What to take instead of a branch that is not there.
struct Instead<'a> {
    near: &'a [String],
    known: &'a [String],
}

impl std::fmt::Display for Instead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 5;
        match (self.near, self.known) {
            ([], []) => Ok(()),
            ([], known) => {
                let shown = &known[..known.len().min(SHOWN)];
                write!(f, "; there {} {}", if known.len() == 1 { "is" } else { "are" }, shown.join(", "))?;
                if known.len() > SHOWN { write!(f, " and {} more", known.len() - SHOWN) } else { Ok(()) }
            }
            (near, _) => write!(f, "; did you mean {}?", near.join(" or ")),
        }
    }
}

struct Tip<'a>(Option<&'a CommitId>);

impl std::fmt::Display for Tip<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(commit) => f.write_str(commit.short()),
            None => f.write_str("no branch"),
        }
    }
}
