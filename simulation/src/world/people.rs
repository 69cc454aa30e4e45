//! What people do meanwhile: they ask a server, as the command line does, and do not always hear of what became of it.

use super::{
    history::{Fact, History},
    node::{Luck, Node},
    wire::Record,
};
use domain::{SessionId, SessionNumber};
use engine::{Command, Selection, simulation::Server};
use std::{sync::Arc, time::Duration};
use store::Store;
use tokio::time::timeout;

/// How long a person waits for an answer: longer than a request to execute waits for what is being stopped.
const PATIENCE: Duration = Duration::from_secs(20);

/// A person with a session.
pub struct Person {
    pub luck: Arc<Luck>,
    pub history: Arc<History>,
    pub session: SessionId,
    pub number: SessionNumber,
    pub steps: usize,
}

impl Person {
    /// Asks for something that comes to mind, at a server that may die over it.
    pub async fn interfere(self, node: Arc<Node>, server: Server, record: Arc<Record>) {
        let session = self.number;
        let command = match self.luck.between(0, 9) {
            0..=2 => Command::Stop { session },
            3 | 4 => Command::Execute { session, what: Selection::All },
            5 => Command::Retry { session, message: None },
            6 => {
                let queue = record.store.queue(self.session).await.expect("memory reads");
                let Some(last) = queue.last() else { return };
                Command::Cancel { session, action: last.id }
            }
            7 => {
                let step = self.luck.between(1, u64::try_from(self.steps).unwrap_or(1));
                Command::MarkDone { session, step: step.to_string() }
            }
            _ => Command::Message { session, text: format!("message {}", self.luck.between(0, u64::MAX / 2)) },
        };
        let text = match &command {
            Command::Message { text, .. } => Some(text.clone()),
            _ => None,
        };
        if self.ask(&node, &server, command).await
            && let Some(text) = text
        {
            self.history.add(Fact::Told(self.session, text));
        }
    }

    /// Asks for everything that is not done yet.
    pub async fn ask_for_the_rest(self, node: Arc<Node>, server: Server) {
        let command = Command::Execute { session: self.number, what: Selection::All };
        self.ask(&node, &server, command).await;
    }

    /// True when the answer was that it is done.
    async fn ask(&self, node: &Node, server: &Server, command: Command) -> bool {
        if node.is_dead() {
            return false;
        }
        self.history.add(Fact::Asked(format!("{command:?}")));
        let done = timeout(PATIENCE, server.ask(command)).await.is_ok_and(|reply| reply.is_ok());
        if done {
            self.history.add(Fact::Acknowledged(self.session.to_string()));
        }
        done
    }
}
