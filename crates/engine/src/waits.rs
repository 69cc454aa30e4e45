//! How long a run waited for people, which is no time at work.

use domain::{Run, RunEvent, RunId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};
use store::{Store, StoreError, Write};

/// How the keys of the notes begin.
const PREFIX: &str = "waits:";

/// The waits of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waits {
    /// Microseconds of those that are over.
    over: u64,
    /// When the one that is not over began.
    since: Option<Timestamp>,
}

impl Waits {
    /// What is noted of a run.
    pub async fn of(store: &dyn Store, session: SessionId, run: RunId) -> Result<Self, StoreError> {
        let noted = store.journal(session, &key(run)).await?;
        Ok(noted.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default())
    }

    /// What is noted of all runs of a session, read at once.
    pub async fn of_all(store: &dyn Store, session: SessionId) -> Result<HashMap<RunId, Self>, StoreError> {
        let noted = store.notes(session, PREFIX).await?;
        let read = |(key, value): (String, _)| {
            Some((key.strip_prefix(PREFIX)?.parse().ok()?, serde_json::from_value(value).unwrap_or_default()))
        };
        Ok(noted.into_iter().filter_map(read).collect())
    }

    /// Takes in what happens to the run; the note to write when that begins or ends a wait.
    pub fn hear(&mut self, run: RunId, event: RunEvent, now: Timestamp) -> Option<Write> {
        match event {
            RunEvent::Wait => self.since = Some(now),
            RunEvent::Resume => {
                let waited = self.since.take().map_or(Duration::ZERO, |since| now.since(since));
                self.over += u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
            }
            _ => return None,
        }
        Some(Write::Journal(key(run), serde_json::to_value(*self).ok()?))
    }

    /// How long the run was at work until it ended, or until now. A run that ended while it waited worked until it
    /// began to.
    pub fn worked(self, run: &Run, now: Timestamp) -> Duration {
        let end = self.since.or(run.finished_at).unwrap_or(now);
        end.since(run.started_at).saturating_sub(Duration::from_micros(self.over))
    }
}

fn key(run: RunId) -> String {
    format!("{PREFIX}{run}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ActionId, RunState, Usage};
    use uuid::Uuid;

    #[test]
    fn only_time_at_work_counts() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        let id = Uuid::from_u128(1);
        let mut run = Run {
            id: RunId(id),
            session: SessionId(id),
            action: ActionId(id),
            step: None,
            state: RunState::Running,
            version: None,
            agent_session: id,
            base: None,
            commit: None,
            message: None,
            usage: Usage::default(),
            started_at: at(100),
            finished_at: None,
        };
        let mut waits = Waits::default();
        assert_eq!(waits.worked(&run, at(110)).as_secs(), 10);
        assert!(waits.hear(run.id, RunEvent::Wait, at(110)).is_some());
        assert_eq!(waits.worked(&run, at(500)).as_secs(), 10, "it still waits");
        assert!(waits.hear(run.id, RunEvent::Resume, at(500)).is_some());
        assert_eq!(waits.worked(&run, at(505)).as_secs(), 15);
        waits.hear(run.id, RunEvent::Wait, at(505));
        waits.hear(run.id, RunEvent::Resume, at(605));
        assert!(waits.hear(run.id, RunEvent::Succeed, at(606)).is_none());
        run.finished_at = Some(at(606));
        assert_eq!(waits.worked(&run, at(9999)).as_secs(), 16);
        waits.hear(run.id, RunEvent::Wait, at(600));
        assert_eq!(waits.worked(&run, at(9999)).as_secs(), 10, "a person ended what waited");
    }
}
