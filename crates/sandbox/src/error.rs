use std::path::PathBuf;

/// Why something about a sandbox did not work, in terms of what the caller can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of the machine that safety needs is missing: nothing was started. Show both texts.
    #[error("{part} is missing: {detail}; {mend}")]
    Missing {
        /// The part, as `doctor` names it.
        part: String,
        /// What was found.
        detail: String,
        /// What to do about it.
        mend: String,
    },
    /// A wall is open, and the configuration wants all of them: nothing was started. Show all texts.
    #[error("in strict mode no sandbox starts here: {wall}: {detail}; {mend}")]
    WallOpen {
        /// The wall, as `doctor` names it.
        wall: String,
        /// What was found.
        detail: String,
        /// What to do about it.
        mend: String,
    },
    /// There is too little disk space for another sandbox: nothing was started. Show both texts.
    #[error("there is no room for another sandbox: {detail}; {mend}")]
    NoRoom {
        /// What was found.
        detail: String,
        /// What to do about it.
        mend: String,
    },
    /// The sandbox's uid cannot get to a directory.
    #[error("{} cannot be entered by uid {uid}: run `chmod o+x {}`", dir.display(), dir.display())]
    NotTraversable {
        /// The first directory on the way that refuses.
        dir: PathBuf,
        /// The uid that the sandbox would have had.
        uid: u32,
    },
    /// A setting or an argument cannot be used. Asking again does not help.
    #[error("{0}")]
    Invalid(String),
    /// The sandbox could not be started; `log` is what its launcher said.
    #[error("the sandbox did not start: {log}")]
    Launch {
        /// The tail of the launcher's messages.
        log: String,
    },
    /// The sandbox is no more. Build a new one.
    #[error("the sandbox is gone ({reason})")]
    Gone {
        /// What ended it, as far as it is known.
        reason: String,
    },
    /// The connection broke, the sandbox may live: adopt it again.
    #[error("the connection to the sandbox broke")]
    Disconnected,
    /// Another server has taken over. Stop working on this sandbox.
    #[error("the lease's epoch {ours} is stale, the sandbox is at {current}")]
    StaleEpoch {
        /// The epoch that this side works under.
        ours: i64,
        /// The epoch that the sandbox is at.
        current: i64,
    },
    /// There is no such exec (or it was forgotten), or no such file.
    #[error("{0} was not found")]
    NotFound(String),
    /// The exec could not be started, as when its program does not exist.
    #[error("failed to start the program: {detail}")]
    Start {
        /// What the kernel said.
        detail: String,
    },
    /// An exec of that id was started before: attach to it.
    #[error("the exec was started before")]
    Exists,
    /// The exec's input is closed, or it has ended.
    #[error("the exec takes no input any more")]
    Closed,
    /// The exec has not read what was sent before.
    #[error("the exec does not read its input")]
    Busy,
    /// More was asked for than the limit allows.
    #[error("{what} is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit, in the unit of `what`.
        limit: u64,
    },
    /// The shim refused the request.
    #[error("the sandbox refused: {0}")]
    Refused(String),
    /// The other side does not speak as agreed. It is not to be trusted further.
    #[error("the sandbox broke the protocol: {0}")]
    Protocol(String),
    /// The machine failed.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was tried, fit for "failed to …".
        what: String,
        /// What the machine said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
