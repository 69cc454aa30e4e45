//! Git and the places where pull requests live.
//!
//! The host owns git: sandboxes have neither remote nor credential. A [`Mirror`] per repository feeds them
//! ([`Mirror::base_checkout`]), takes in what they made after checking it ([`Mirror::import`]), and everything that is
//! published is a commit of ours, pushed with the expected old value ([`Mirror::push`]). [`Forge`] is where pull
//! requests live; [`LocalForge`] serves repositories on disk ([`Upstream`]).
//!
//! Nothing that a repository's configuration names is ever executed, and no file that a sandbox wrote is opened.

mod backup;
mod branch;
mod carry;
mod checkout;
mod commit;
mod contract;
mod diff;
mod error;
mod generation;
mod git;
mod local;
mod merge;
mod mirror;
mod push;
mod quarantine;
mod tree;
mod upstream;
mod warnings;

pub use branch::{BranchSeed, change_branch};
pub use commit::{Message, Signature};
pub use contract::{Edit, Forge, MergeHow, MergeMethod, Merged, NewComment, NewPullRequest, Push};
pub use diff::{Diff, DiffLimits, DiffStat, FileDiff, FileStatus, LogEntry};
pub use error::Error;
pub use git::Git;
pub use local::LocalForge;
pub use merge::{Conflict, Merge, Restack, Restacked};
pub use mirror::{Mirror, ObjectFormat};
pub use push::Pushed;
#[doc(hidden)]
pub use quarantine::fuzzing;
pub use quarantine::{Bundle, BundleRefused, ChangedFile, FlaggedLink, ImportLimits, LinkProblem, Proposed};
pub use store::{Check, Comment, PullRequest, PullRequestState, Thread};
pub use tree::{EntryKind, TreeEntry};
pub use upstream::Upstream;
pub use warnings::{Warning, WarningKind};
