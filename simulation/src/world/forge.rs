//! What is outside: sandboxes that obey the newest epoch; branches that move by compare-and-set; pull requests with keys.

use super::{
    Flaw,
    history::{Fact, History},
    node::{Cut, Node},
};
use domain::{CommitId, SessionId};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// One branch for each session, and its pull requests.
pub struct Forge {
    history: Arc<History>,
    flaw: Option<Flaw>,
    places: Mutex<BTreeMap<SessionId, Place>>,
}

#[derive(Default)]
struct Place {
    /// The newest epoch that the sandbox has seen.
    epoch: i64,
    branch: Option<CommitId>,
    pull_requests: i64,
}

/// The branch is not where it was expected.
#[derive(Debug)]
pub struct Moved {
    /// Where it is.
    pub found: Option<CommitId>,
}

impl Forge {
    pub fn new(history: Arc<History>, flaw: Option<Flaw>) -> Self {
        Self { history, flaw, places: Mutex::default() }
    }

    /// Has the sandbox begin work; false when it has seen a newer epoch.
    pub async fn begin(&self, by: &Node, work: Fact) -> Result<bool, Cut> {
        let begin = async {
            let Fact::Begun { session, epoch, .. } = work else { return false };
            let mut places = self.places.lock();
            let place = places.entry(session).or_default();
            let obeys = epoch >= place.epoch || self.flaw == Some(Flaw::FenceIgnored);
            if obeys {
                place.epoch = epoch;
                self.history.add(work);
            }
            obeys
        };
        by.outside(begin).await
    }

    /// Moves a session's branch from where it is expected; one that is there already stays.
    pub async fn push(
        &self,
        by: &Node,
        session: SessionId,
        expected: Option<&CommitId>,
        to: &CommitId,
    ) -> Result<Result<(), Moved>, Cut> {
        let push = async {
            let mut places = self.places.lock();
            let branch = &mut places.entry(session).or_default().branch;
            if branch.as_ref() == Some(to) {
                return Ok(());
            }
            if branch.as_ref() != expected {
                return Err(Moved { found: branch.clone() });
            }
            let from = branch.replace(to.clone());
            self.history.add(Fact::Pushed { session, from, to: to.clone() });
            Ok(())
        };
        by.outside(push).await
    }

    /// The number of a session's pull request, opened when there is none.
    pub async fn open(&self, by: &Node, session: SessionId) -> Result<i64, Cut> {
        let open = async {
            let mut places = self.places.lock();
            let place = places.entry(session).or_default();
            if place.pull_requests == 0 || self.flaw == Some(Flaw::PullRequestNotLookedUp) {
                place.pull_requests += 1;
                self.history.add(Fact::Opened(session));
            }
            place.pull_requests
        };
        by.outside(open).await
    }

    pub fn branch(&self, session: SessionId) -> Option<CommitId> {
        self.places.lock().get(&session).and_then(|place| place.branch.clone())
    }
}
