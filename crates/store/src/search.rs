//! Looking for sessions by what people remember of them.

use domain::{RepositoryId, Session, SessionNumber};

/// Which sessions are looked for. Letters are compared without regard to case; what is empty does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSearch {
    /// Only archived ones, only others, or all.
    pub archived: Option<bool>,
    /// Only those of one repository.
    pub repository: Option<RepositoryId>,
    /// Only those with numbers below this one: for paging.
    pub before: Option<SessionNumber>,
    /// Each of these stands in the title, in the request, in the target branch or in a branch of a change, or is the
    /// session's number (`42` or `r/42`).
    pub words: Vec<String>,
    /// One of these stands in the repository's name.
    pub repositories: Vec<String>,
    /// One of these stands in the name or the mail address of whoever asked for the session.
    pub authors: Vec<String>,
    /// One of these stands in the target branch or in a branch of a change.
    pub branches: Vec<String>,
    /// At most this many.
    pub limit: i64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundSessions {
    /// Sessions that match, newest first.
    pub sessions: Vec<Session>,
    /// The last session that was looked at, when older ones were not: ask on below it.
    pub reached: Option<SessionNumber>,
}
