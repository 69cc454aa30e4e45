//! The control socket: how commands reach the server of a data directory, in the same process or in another.

mod client;
mod protocol;
mod server;

pub use client::{Client, ConnectError, Events, problem};
pub use protocol::VERSION;
pub use server::{Server, listen};

use async_trait::async_trait;
use domain::{Event, SessionNumber};
use engine::{Command, Person, Problem, Reply};
use futures::stream::BoxStream;
use std::{
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What answers commands: the engine, or a stand-in in tests.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Does what is asked.
    async fn call(&self, who: Option<&Person>, command: Command) -> Result<Reply, Problem>;

    /// Events above a number, and then those that come, without end.
    fn follow(self: Arc<Self>, session: SessionNumber, after: i64) -> BoxStream<'static, Result<Event, Problem>>;

    /// Ends all work in good order: what runs is handed back, so that the next server carries on.
    async fn shutdown(&self) {}

    /// Completes when it may do no work any more, with why.
    async fn superseded(&self) -> Problem {
        std::future::pending().await
    }
}

/// A path to `name` in `dir` that fits a socket address (107 bytes, unix(7)), and what must stay open for it to work.
fn short_path(dir: &Path, name: &str) -> std::io::Result<(PathBuf, Option<std::fs::File>)> {
    let path = dir.join(name);
    if path.as_os_str().len() < 100 {
        return Ok((path, None));
    }
    let dir = std::fs::File::open(dir)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())), Some(dir)))
}

#[cfg(test)]
mod tests;
