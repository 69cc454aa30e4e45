//! How a command ends.

use engine::{Problem, ProblemCode};
use std::{error::Error, fmt};

/// The exit codes, the same for every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A step, planning or another action failed.
    Failed,
    /// What was asked makes no sense.
    Usage,
    /// Something waits for a person.
    Waiting,
    /// Something is missing or broken on this machine.
    Environment,
    /// A person stopped it.
    Stopped,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Waiting => 3,
            Self::Environment => 4,
            Self::Stopped => 130,
        }
    }
}

/// Why a command did not do what it should, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub mend: Option<String>,
}

impl Failure {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), mend: None }
    }

    /// Something is missing or broken on this machine.
    pub fn environment(message: impl Into<String>) -> Self {
        Self { exit: Exit::Environment, message: message.into(), mend: None }
    }

    /// The same with words for what to do next.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// What another error says, with its causes.
    pub fn from_error(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        Self { exit, message: chain(error), mend: None }
    }
}

/// An error with its causes in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", crate::render::clean(&self.message))?;
        match &self.mend {
            Some(mend) => write!(f, "\n  help: {}", crate::render::clean(mend).replace('\n', "\n        ")),
            None => Ok(()),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.code {
            ProblemCode::BadRequest | ProblemCode::NotFound | ProblemCode::Conflict => Exit::Usage,
            ProblemCode::Environment | ProblemCode::Internal => Exit::Environment,
        };
        Self { exit, message: problem.message, mend: problem.command.or(problem.mend) }
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        let message = format!("{}: {}", error.place, error.message);
        Self { exit: Exit::Usage, message, mend: error.help }
    }
}

impl From<crate::data_dir::DataDirError> for Failure {
    fn from(error: crate::data_dir::DataDirError) -> Self {
        use crate::data_dir::DataDirError as E;
        let mend = match &error {
            E::Closed(path) => Some(format!("chmod o+x {}; or choose another place with --data-dir", path.display())),
            E::Io { .. } | E::Foreign { .. } => Some("choose another place with --data-dir".to_owned()),
        };
        Self { mend, ..Self::from_error(Exit::Environment, &error) }
    }
}
