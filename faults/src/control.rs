//! Asking a server over its control socket, and following a session there.

use crate::history::{History, What};
use engine::Command;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);

async fn open(data: &Path) -> Option<BufReader<UnixStream>> {
    let mut stream = BufReader::new(UnixStream::connect(data.join("control.sock")).await.ok()?);
    let mut greeting = String::new();
    let read = timeout(Duration::from_secs(5), stream.read_line(&mut greeting)).await.ok()?.ok()?;
    (read > 0).then_some(stream)
}

/// Whether a server answers.
pub async fn answers(data: &Path) -> bool {
    open(data).await.is_some()
}

/// Asks; what the server said (`reply` or `problem`), none when it died before.
pub async fn ask(data: &Path, life: usize, history: &History, command: &Command) -> Option<Value> {
    let command = serde_json::to_value(command).unwrap_or_default();
    let answer = answer(data, &command).await;
    history.note(What::Asked { life, command, answer: answer.clone() });
    answer
}

async fn answer(data: &Path, command: &Value) -> Option<Value> {
    let mut stream = open(data).await?;
    let line = json!({"id": 1, "command": command}).to_string() + "\n";
    stream.get_mut().write_all(line.as_bytes()).await.ok()?;
    let mut said = String::new();
    let read = timeout(PATIENCE, stream.read_line(&mut said)).await.ok()?.ok()?;
    // A line that is cut is none.
    (read > 0 && said.ends_with('\n')).then(|| serde_json::from_str(&said).ok())?
}

/// Follows a session until the server goes away.
pub async fn follow(data: &Path, viewer: usize, session: i64, after: i64, history: &History) {
    let Some(mut stream) = open(data).await else { return };
    let line = json!({"id": 1, "follow": {"session": session, "after": after}}).to_string() + "\n";
    if stream.get_mut().write_all(line.as_bytes()).await.is_err() {
        return;
    }
    let mut said = String::new();
    while stream.read_line(&mut said).await.is_ok_and(|read| read > 0) && said.ends_with('\n') {
        let answer: Value = serde_json::from_str(&said).unwrap_or_default();
        if answer["event"].is_object() {
            history.note(What::Seen { viewer, event: answer["event"].clone() });
        }
        said.clear();
    }
}
