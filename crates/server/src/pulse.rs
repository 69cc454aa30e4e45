//! Whether lists of sessions may look different: looked at once for everybody who shows one.

use domain::AccountId;
use futures::Stream;
use std::time::Duration;
use store::Store;
use tokio::sync::{Notify, watch};

/// How often it is looked while somebody wants to know.
const LOOK: Duration = Duration::from_secs(1);

/// The newest pulse of an account; nothing while nobody follows it.
#[derive(Debug)]
pub struct Pulse {
    newest: watch::Sender<Option<i64>>,
    wanted: Notify,
}

impl Pulse {
    /// A pulse that nobody follows yet.
    pub fn new() -> Self {
        Self { newest: watch::Sender::new(None), wanted: Notify::new() }
    }

    /// The pulse as it is, at once, and whenever it has risen. Who is slow hears of the newest only.
    pub fn follow(&self) -> impl Stream<Item = i64> + use<> {
        let mut newest = self.newest.subscribe();
        newest.mark_changed();
        self.wanted.notify_one();
        futures::stream::unfold(newest, |mut newest| async move {
            loop {
                newest.changed().await.ok()?;
                let pulse = *newest.borrow_and_update();
                if let Some(pulse) = pulse {
                    return Some((pulse, newest));
                }
            }
        })
    }

    /// Looks, for as long as it is polled, whenever somebody follows.
    pub async fn keep(&self, store: &dyn Store, account: AccountId) {
        loop {
            if self.newest.receiver_count() == 0 {
                // What is known grows old while nobody looks, and whoever comes next wants it new.
                self.newest.send_replace(None);
                self.wanted.notified().await;
            }
            match store.pulse(account).await {
                Ok(pulse) => {
                    self.newest.send_if_modified(|known| known.replace(pulse) != Some(pulse));
                }
                Err(error) => tracing::warn!(%error, "it cannot be seen whether there are new sessions"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
