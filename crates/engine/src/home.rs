//! The agent's home in the sandbox, when an agent starts: the conversation that it continues is there, and nothing that
//! an earlier agent left for it to read.
//!
//! Conversations of one session share a sandbox and with it a home. Claude Code takes settings, hooks, memory and its
//! own transcripts from there, so whatever a step leaves would steer the steps after it, unseen by the people who read
//! only the repository's diff.

use crate::{context::Context, halt::Halt, workspace::Place};
use std::path::Path;
use store::Write;
use uuid::Uuid;

/// The agent's home.
pub(crate) const HOME: &str = "/home/agent";

/// Where it works.
pub(crate) const CODE: &str = "/code";

/// Largest transcript that is read, in bytes.
const LARGEST_TRANSCRIPT: u64 = 64 << 20;

const RENEW: &str = include_str!("scripts/renew.sh");

/// A conversation that is to be continued.
pub(crate) struct Lived {
    /// Where its transcript is inside.
    pub path: String,
    pub transcript: Vec<u8>,
}

/// Readies the home for a process of the conversation `agent_session`, which is returned if it began before.
///
/// Its transcript is the one that was archived when its last process ended: what lies in the home may be forged by
/// later agents. Only when that process was lost (`cut_off`), and with it the chance to archive, is the transcript
/// that it left the better one; no other agent has run since.
pub(crate) async fn ready(
    context: &Context,
    place: &Place,
    agent_session: Uuid,
    cut_off: bool,
) -> Result<Option<Lived>, Halt> {
    let path = transcript_path(agent_session);
    if cut_off && let Some(bytes) = left(place, &path).await {
        let hash = context.put_blob(bytes).await?;
        context.commit(&[Write::Transcript(agent_session, hash)], &[]).await?;
    }
    let transcript = archived(context, agent_session).await?;
    place.script(context, ("renew the home in", RENEW), &[], 64 * 1024).await?;
    let Some(transcript) = transcript else { return Ok(None) };
    place.write(&path, transcript.clone()).await?;
    Ok(Some(Lived { path, transcript }))
}

/// The transcript that a process of the conversation left in the sandbox, if it did.
pub(crate) async fn transcript(place: &Place, agent_session: Uuid) -> Option<Vec<u8>> {
    left(place, &transcript_path(agent_session)).await
}

fn transcript_path(agent_session: Uuid) -> String {
    agent::transcript_path(Path::new(HOME), Path::new(CODE), agent_session).to_string_lossy().into_owned()
}

async fn left(place: &Place, path: &str) -> Option<Vec<u8>> {
    let read = place.sandbox.read_file(path, LARGEST_TRANSCRIPT).await;
    read.inspect_err(|error| tracing::debug!(%error, "there is no transcript")).ok().filter(|bytes| !bytes.is_empty())
}

async fn archived(context: &Context, agent_session: Uuid) -> Result<Option<Vec<u8>>, Halt> {
    let store = &context.shared.store;
    let Some(hash) = store.transcript(agent_session).await? else { return Ok(None) };
    Ok(store.blob(hash).await?)
}
