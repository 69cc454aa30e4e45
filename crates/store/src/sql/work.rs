//! The queue and the leases.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{json, values, word},
};
use crate::{
    StoreError,
    backend::{LeaseRow, WorkRows},
};
use async_trait::async_trait;
use domain::{AccountId, Action, ActionId, ActionState, Lease, ServerId, SessionId, Timestamp, UserId};

/// The first of a session's queue, due, nothing running, the lease free, the account below its limit.
macro_rules! candidate {
    ($lock:literal) => {
        concat!(
            "SELECT s.id FROM actions a
                JOIN sessions s ON s.id = a.session
                JOIN leases l ON l.session = a.session
             WHERE a.state = 'queued' AND a.not_before <= $1 AND l.owner IS NULL
                AND NOT EXISTS (
                    SELECT 1 FROM actions b
                    WHERE b.session = a.session AND b.state IN ('queued', 'running', 'waiting')
                        AND (b.position < a.position OR b.state = 'running'))
                AND (SELECT count(*) FROM leases h WHERE h.account = s.account AND h.owner IS NOT NULL) < $2
             ORDER BY s.served, s.created_at, s.id LIMIT 1",
            $lock
        )
    };
}

macro_rules! actions_where {
    ($rest:literal) => {
        concat!(
            "SELECT id, session, position, kind, state, attempts, handed_back, stop_requested, requested_by,
                created_at, not_before
             FROM actions WHERE ",
            $rest
        )
    };
}

statements! {
    ADD_ACTION("queue an action") =
        "INSERT INTO actions (id, session, position, kind, state, attempts, handed_back, stop_requested, requested_by,
            created_at, not_before)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    ACTION("read an action") = actions_where!("id = $1");
    QUEUE("read a queue") =
        actions_where!("session = $1 AND state IN ('queued', 'running', 'waiting') ORDER BY position");
    ACTIONS("read actions") = actions_where!("session = $1 ORDER BY created_at, position, id");
    PUT_ACTION("write an action") =
        "UPDATE actions SET kind = $3, state = $4, attempts = $5, handed_back = $6, stop_requested = $7,
            not_before = $8
         WHERE id = $1 AND state = $2";
    CANDIDATE("find work") = candidate!(""), candidate!(" FOR UPDATE OF s SKIP LOCKED");
    MARK_SERVED("serve a session") =
        "UPDATE sessions SET served = (SELECT max(served) + 1 FROM sessions) WHERE id = $1";
    COUNT_LEASED("count leases") = "SELECT count(*) FROM leases WHERE account = $1 AND owner IS NOT NULL";
    LEASE("read a lease") = "SELECT owner, epoch, beat FROM leases WHERE session = $1";
    LEASES("read leases") =
        "SELECT session, owner, epoch, beat FROM leases WHERE owner IS NOT NULL ORDER BY session";
    PUT_LEASE("write a lease") =
        "UPDATE leases SET owner = $5, epoch = $6, beat = $7
         WHERE session = $1 AND owner IS NOT DISTINCT FROM $2 AND epoch = $3 AND beat = $4";
    BEAT("keep a lease") =
        "UPDATE leases SET beat = beat + 1 WHERE session = $1 AND owner = $2 AND epoch = $3";
    NEXT_DUE("find work to come") =
        "SELECT min(not_before) FROM actions WHERE state = 'queued' AND not_before > $1";
}

#[async_trait]
impl WorkRows for SqlRows {
    async fn add_action(&mut self, new: &Action) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.session,
            new.position,
            json(&new.kind)?,
            word(&new.state)?,
            new.attempts,
            new.handed_back,
            new.stop_requested,
            new.requested_by,
            new.created_at,
            new.not_before,
        ];
        self.write(&ADD_ACTION, values).await.map(drop)
    }

    async fn action(&mut self, id: ActionId) -> Result<Option<Action>, StoreError> {
        self.one(&ACTION, values![id]).await?.as_ref().map(action).transpose()
    }

    async fn put_action(&mut self, action: &Action, from: ActionState) -> Result<bool, StoreError> {
        let values = values![
            action.id,
            word(&from)?,
            json(&action.kind)?,
            word(&action.state)?,
            action.attempts,
            action.handed_back,
            action.stop_requested,
            action.not_before,
        ];
        Ok(self.write(&PUT_ACTION, values).await? == 1)
    }

    async fn queue(&mut self, session: SessionId) -> Result<Vec<Action>, StoreError> {
        self.all(&QUEUE, values![session]).await?.iter().map(action).collect()
    }

    async fn actions(&mut self, session: SessionId) -> Result<Vec<Action>, StoreError> {
        self.all(&ACTIONS, values![session]).await?.iter().map(action).collect()
    }

    async fn candidate(&mut self, per_account: i64, now: Timestamp) -> Result<Option<SessionId>, StoreError> {
        let row = self.one(&CANDIDATE, values![now, per_account]).await?;
        row.map(|row| row.columns("session").uuid().map(SessionId)).transpose()
    }

    async fn mark_served(&mut self, session: SessionId) -> Result<(), StoreError> {
        self.write(&MARK_SERVED, values![session]).await.map(drop)
    }

    async fn count_leased(&mut self, account: AccountId) -> Result<i64, StoreError> {
        let row = self.one(&COUNT_LEASED, values![account]).await?;
        row.map_or(Ok(0), |row| row.columns("count").int())
    }

    async fn lease(&mut self, session: SessionId) -> Result<Option<LeaseRow>, StoreError> {
        let row = self.one(&LEASE, values![session]).await?;
        row.map(|row| {
            let mut columns = row.columns("lease");
            Ok(LeaseRow { owner: columns.maybe_uuid()?.map(ServerId), epoch: columns.int()?, beat: columns.int()? })
        })
        .transpose()
    }

    async fn leases(&mut self) -> Result<Vec<(SessionId, Lease)>, StoreError> {
        let rows = self.all(&LEASES, values![]).await?;
        rows.iter()
            .map(|row| {
                let mut columns = row.columns("lease");
                let session = SessionId(columns.uuid()?);
                let owner = ServerId(columns.uuid()?);
                Ok((session, Lease { owner, epoch: columns.int()?, beat: columns.int()? }))
            })
            .collect()
    }

    async fn put_lease(&mut self, session: SessionId, from: LeaseRow, to: LeaseRow) -> Result<bool, StoreError> {
        let values = values![session, from.owner, from.epoch, from.beat, to.owner, to.epoch, to.beat];
        Ok(self.write(&PUT_LEASE, values).await? == 1)
    }

    async fn beat(&mut self, session: SessionId, owner: ServerId, epoch: i64) -> Result<bool, StoreError> {
        Ok(self.write(&BEAT, values![session, owner, epoch]).await? == 1)
    }

    async fn next_due(&mut self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        match self.one(&NEXT_DUE, values![now]).await? {
            Some(row) => Ok(row.columns("action").maybe_int()?.map(Timestamp)),
            None => Ok(None),
        }
    }
}

fn action(row: &Row) -> Result<Action, StoreError> {
    let mut columns = row.columns("action");
    Ok(Action {
        id: ActionId(columns.uuid()?),
        session: SessionId(columns.uuid()?),
        position: columns.int()?,
        kind: columns.json()?,
        state: columns.word()?,
        attempts: columns.int()?,
        handed_back: columns.int()?,
        stop_requested: columns.bool()?,
        requested_by: columns.maybe_uuid()?.map(UserId),
        created_at: columns.time()?,
        not_before: columns.time()?,
    })
}
