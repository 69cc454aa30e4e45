//! Who waits for what, within this process.

use domain::SessionId;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};
use tokio::sync::Notify;

/// Wakes those who wait for work or for a session's events.
#[derive(Debug, Default)]
pub struct Wake {
    work: Notify,
    sessions: Mutex<HashMap<SessionId, Arc<Notify>>>,
}

/// An interest in one session's events; forgotten when it is dropped.
pub(crate) struct Interest<'w> {
    wake: &'w Wake,
    session: SessionId,
    notify: Arc<Notify>,
}

impl Wake {
    /// Something may have been queued.
    ///
    /// Everybody who waits looks; and since somebody may be between looking and waiting, one wake-up is kept.
    pub(crate) fn announce_work(&self) {
        self.work.notify_waiters();
        self.work.notify_one();
    }

    /// There may be more work than what was just taken: one more should look.
    pub(crate) fn pass_on_work(&self) {
        self.work.notify_one();
    }

    /// A session may have new events.
    pub(crate) fn announce_events(&self, session: SessionId) {
        if let Some(notify) = self.sessions.lock().get(&session) {
            notify.notify_waiters();
        }
    }

    /// Completes when work was announced.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// Registers an interest: wake-ups from now on count.
    pub(crate) fn interest(&self, session: SessionId) -> Interest<'_> {
        let notify = self.sessions.lock().entry(session).or_default().clone();
        Interest { wake: self, session, notify }
    }
}

impl Interest<'_> {
    /// What completes when the session's events are announced.
    pub(crate) fn notify(&self) -> &Notify {
        &self.notify
    }
}

impl Drop for Interest<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(entry) = self.wake.sessions.lock().entry(self.session)
            && Arc::strong_count(entry.get()) <= 2
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn an_announcement_between_looking_and_waiting_is_kept() {
        let wake = Wake::default();
        wake.announce_work();
        wake.work().await;
    }

    #[test]
    fn nothing_is_kept_of_those_who_left() {
        let wake = Wake::default();
        let session = SessionId(Uuid::nil());
        let (first, second) = (wake.interest(session), wake.interest(session));
        drop(first);
        assert_eq!(wake.sessions.lock().len(), 1);
        drop(second);
        assert_eq!(wake.sessions.lock().len(), 0);
    }
}
