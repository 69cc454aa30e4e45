//! Where the agent runs: a byte stream out, lines in, and a way to end it.

mod child;
mod exec;

pub use child::Child;
pub use exec::SandboxExec;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// The most that one [`Process::write_stdin`] takes, in bytes: the limit of the sandbox's frames.
pub const MAX_WRITE: usize = 256 << 10;

/// Which stream a piece of output was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The byte offset after its last byte, over both streams together.
    pub end: u64,
    /// Where it was written to.
    pub stream: Stream,
    /// What was written.
    pub bytes: Bytes,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exit {
    /// What it returned, if it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Why its surroundings ended it, such as a time limit, in words for people.
    pub enforced: Option<String>,
}

/// Why a process cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection broke and the process may live: attach again and resume.
    #[error("the connection to the agent's process broke: {0}")]
    Disconnected(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The process does not take this any more, as when it closed its standard input or has ended.
    #[error("the agent's process takes no more input")]
    Closed,
    /// It is gone, and with it all that it wrote.
    #[error("the agent's process is gone: {0}")]
    Gone(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A running agent.
#[async_trait]
pub trait Process: Send + Sync {
    /// What it writes, from the first byte of its life on, also when it was adopted: the driver replays what was
    /// already taken in. Ends when the process has ended and all was read. Called once.
    fn output(&mut self) -> BoxStream<'static, Result<Chunk, Broken>>;

    /// Writes a piece of at most [`MAX_WRITE`] bytes. Pieces are numbered from 0 without gaps; one that was taken
    /// before is dropped, so that a journal can be replayed.
    async fn write_stdin(&self, seq: u64, bytes: Bytes) -> Result<(), Broken>;

    /// Closes its input after what was written. May be repeated.
    async fn close_stdin(&self) -> Result<(), Broken>;

    /// Kills it with everything that it started. May be repeated.
    async fn kill(&self) -> Result<(), Broken>;

    /// Resolves when it has ended.
    async fn wait(&self) -> Result<Exit, Broken>;
}
