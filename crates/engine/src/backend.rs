//! What stands between people and the engine: whoever answers commands.

use crate::{Command, Person, Problem, Reply};
use async_trait::async_trait;
use domain::{Event, SessionNumber};
use futures::stream::BoxStream;
use std::sync::Arc;

/// What answers commands: the engine behind a guard that hides secrets, or a stand-in in tests.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Does what is asked; as the server's own user when nobody is named.
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
