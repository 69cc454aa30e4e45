//! Why something that was asked is not done, for everybody who may have asked.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why something was not done, for a person: what happened, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem.
    pub code: ProblemCode,
    /// What happened.
    pub message: String,
    /// What to do next, in words that hold wherever it is read.
    pub mend: Option<String>,
    /// The same for whoever is at the command line, where it names commands and flags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The newest version of the runbook, when the caller expected another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<i64>,
    /// True when something else changed between reading and writing, so that asking again may work.
    #[serde(skip)]
    pub(crate) clash: bool,
}

/// Kinds of problems, by what the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// What was asked makes no sense as it is.
    BadRequest,
    /// It does not exist.
    NotFound,
    /// It changed in the meantime, or its state does not allow it.
    Conflict,
    /// Something that Runyard needs is missing or broken on this machine.
    Environment,
    /// A bug, or a database that cannot be reached.
    Internal,
}

impl Problem {
    /// A problem with words for what happened.
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), mend: None, command: None, current_version: None, clash: false }
    }

    /// The same with words for what to do next.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// The same with what to do next at the command line, which is told there in place of [`Self::mend`].
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
