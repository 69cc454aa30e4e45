//! The queue and the leases.

use super::tables::{MemoryRows, pick};
use crate::{
    StoreError,
    backend::{LeaseRow, WorkRows},
};
use async_trait::async_trait;
use domain::{AccountId, Action, ActionId, ActionState, Lease, ServerId, SessionId, Timestamp};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl WorkRows for MemoryRows {
    async fn add_action(&mut self, new: &Action) -> Result<()> {
        let in_place =
            |other: &Action| is_live(other) && other.session == new.session && other.position == new.position;
        if is_live(new) && self.tables.actions.values().any(in_place) {
            return Err(StoreError::Conflict { what: "row", detail: format!("place {} of the queue", new.position) });
        }
        self.add(|tables| &mut tables.actions, new.id, new.clone())
    }

    async fn action(&mut self, id: ActionId) -> Result<Option<Action>> {
        Ok(self.tables.actions.get(&id).cloned())
    }

    async fn put_action(&mut self, action: &Action, from: ActionState) -> Result<bool> {
        if self.tables.actions.get(&action.id).is_none_or(|old| old.state != from) {
            return Ok(false);
        }
        self.put(|tables| &mut tables.actions, action.id, action.clone());
        Ok(true)
    }

    async fn queue(&mut self, session: SessionId) -> Result<Vec<Action>> {
        let mut queue = pick(&self.tables.actions, |action| action.session == session && is_live(action));
        queue.sort_by_key(|action| action.position);
        Ok(queue)
    }

    async fn actions(&mut self, session: SessionId) -> Result<Vec<Action>> {
        let mut actions = pick(&self.tables.actions, |action| action.session == session);
        actions.sort_by_key(|action| (action.created_at, action.position, action.id));
        Ok(actions)
    }

    async fn candidate(&mut self, per_account: i64, now: Timestamp) -> Result<Option<SessionId>> {
        let mut line: Vec<_> = self
            .tables
            .sessions
            .values()
            .map(|(session, served)| (*served, session.created_at, session.id, session.account))
            .collect();
        line.sort_unstable();
        for (_, _, session, account) in line {
            if self.lease(session).await?.is_none_or(|lease| lease.owner.is_some())
                || self.count_leased(account).await? >= per_account
            {
                continue;
            }
            let queue = self.queue(session).await?;
            let idle = queue.iter().all(|action| action.state != ActionState::Running);
            let due = |first: &Action| first.state == ActionState::Queued && first.not_before <= now;
            if idle && queue.first().is_some_and(due) {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    async fn mark_served(&mut self, id: SessionId) -> Result<()> {
        let last = self.tables.sessions.values().map(|(_, served)| *served).max().unwrap_or(0);
        if let Some((session, _)) = self.tables.sessions.get(&id).cloned() {
            self.put(|tables| &mut tables.sessions, id, (session, last + 1));
        }
        Ok(())
    }

    async fn count_leased(&mut self, account: AccountId) -> Result<i64> {
        let held = self.tables.leases.iter().filter(|(_, lease)| lease.owner.is_some());
        let sessions = &self.tables.sessions;
        let of_account = held.filter(|(id, _)| sessions.get(id).is_some_and(|(session, _)| session.account == account));
        Ok(i64::try_from(of_account.count()).unwrap_or(i64::MAX))
    }

    async fn lease(&mut self, session: SessionId) -> Result<Option<LeaseRow>> {
        Ok(self.tables.leases.get(&session).copied())
    }

    async fn leases(&mut self) -> Result<Vec<(SessionId, Lease)>> {
        let held = self.tables.leases.iter().filter_map(|(session, lease)| {
            Some((*session, Lease { owner: lease.owner?, epoch: lease.epoch, beat: lease.beat }))
        });
        Ok(held.collect())
    }

    async fn put_lease(&mut self, session: SessionId, from: LeaseRow, to: LeaseRow) -> Result<bool> {
        if self.tables.leases.get(&session) != Some(&from) {
            return Ok(false);
        }
        self.put(|tables| &mut tables.leases, session, to);
        Ok(true)
    }

    async fn beat(&mut self, session: SessionId, owner: ServerId, epoch: i64) -> Result<bool> {
        let held = self.lease(session).await?.filter(|lease| lease.owner == Some(owner) && lease.epoch == epoch);
        let Some(lease) = held else { return Ok(false) };
        self.put_lease(session, lease, LeaseRow { beat: lease.beat + 1, ..lease }).await
    }

    async fn next_due(&mut self, now: Timestamp) -> Result<Option<Timestamp>> {
        let queued = self.tables.actions.values().filter(|action| action.state == ActionState::Queued);
        Ok(queued.map(|action| action.not_before).filter(|due| *due > now).min())
    }
}

fn is_live(action: &Action) -> bool {
    matches!(action.state, ActionState::Queued | ActionState::Running | ActionState::Waiting)
}
