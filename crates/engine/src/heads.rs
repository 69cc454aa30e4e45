//! Heads that may be on a branch although the record does not say so.
//!
//! A push and the note that it was done are two acts, and the note can be lost. As long as the change's head stays what it
//! was, that does no harm: whoever pushes it again finds the branch there. But work may go on without: a person stops the
//! step or marks it as done, and the next commit moves the head on. Therefore the transaction that replaces a head that
//! nobody noted as pushed keeps it, and who pushes next can tell the session's own commit from somebody else's.

use crate::{context::Context, halt::Halt, shared::Shared};
use domain::{Change, ChangeId, CommitId};
use serde::{Deserialize, Serialize};
use store::{StoreError, Write};

/// What was replaced since the last push that is on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Replaced {
    /// Where the branch was on record. Once it is elsewhere, a push was noted after all, and the rest is settled.
    since: Option<CommitId>,
    /// The heads, oldest first.
    heads: Vec<CommitId>,
}

fn key(change: ChangeId) -> String {
    format!("replaced:{change}")
}

/// The writes that put a change with a new head on record.
pub(crate) async fn moved(context: &Context, change: &Change) -> Result<Vec<Write>, Halt> {
    let mut writes = vec![Write::PutChange(change.clone())];
    let Some(old) = context.shared.store.change(change.id).await? else { return Ok(writes) };
    if old.head != change.head && old.pushed.as_ref() != Some(&old.head) {
        let mut heads = unheard(&context.shared, &old).await?;
        heads.retain(|head| *head != old.head);
        heads.push(old.head);
        let replaced = Replaced { since: old.pushed, heads };
        let value = serde_json::to_value(replaced).map_err(|error| Halt::failed(error.to_string()))?;
        writes.push(Write::Journal(key(change.id), value));
    }
    Ok(writes)
}

/// The earlier heads of a change that its branch may be at, beside where it is on record and the head that it has now.
pub(crate) async fn unheard(shared: &Shared, change: &Change) -> Result<Vec<CommitId>, StoreError> {
    let Some(value) = shared.store.journal(change.session, &key(change.id)).await? else { return Ok(Vec::new()) };
    let replaced: Replaced = serde_json::from_value(value)
        .map_err(|error| StoreError::Damaged { what: "note of replaced heads", detail: error.to_string() })?;
    Ok(if replaced.since == change.pushed { replaced.heads } else { Vec::new() })
}
