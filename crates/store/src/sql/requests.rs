//! Changes, requests and sandboxes.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{json, values, word},
};
use crate::{StoreError, backend::RequestRows};
use async_trait::async_trait;
use domain::{
    Change, ChangeId, ChangeKey, ChangeState, HostId, Request, RequestId, RequestState, RunId, SandboxId,
    SandboxRecord, SandboxState, SessionId,
};

macro_rules! changes_where {
    ($rest:literal) => {
        concat!(
            "SELECT id, session, key, position, branch, base_branch, base, head, pushed, state, pull_request, title,
                steps, version
             FROM changes WHERE ",
            $rest
        )
    };
}

macro_rules! sandboxes_where {
    ($rest:literal) => {
        concat!("SELECT id, session, host, state, base, provider, created_at, used_at FROM sandboxes WHERE ", $rest)
    };
}

statements! {
    ADD_CHANGE("add a change") =
        "INSERT INTO changes (id, session, key, position, branch, base_branch, base, head, pushed, state, pull_request,
            title, steps, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    CHANGE("read a change") = changes_where!("id = $1");
    CHANGE_WITH_KEY("read a change") = changes_where!("session = $1 AND key = $2");
    CHANGES("read changes") = changes_where!("session = $1 ORDER BY position, id");
    PUT_CHANGE("write a change") =
        "UPDATE changes SET key = $3, position = $4, branch = $5, base_branch = $6, base = $7, head = $8, pushed = $9,
            state = $10, pull_request = $11, title = $12, steps = $13, version = $14
         WHERE id = $1 AND state = $2";
    ADD_REQUEST("add a request") =
        "INSERT INTO requests (id, session, run, kind, state, asked_at) VALUES ($1, $2, $3, $4, $5, $6)";
    REQUEST("read a request") = "SELECT id, session, run, kind, state, asked_at FROM requests WHERE id = $1";
    REQUESTS("read requests") =
        "SELECT id, session, run, kind, state, asked_at FROM requests WHERE session = $1 ORDER BY asked_at, id";
    PUT_REQUEST("write a request") = "UPDATE requests SET state = $3 WHERE id = $1 AND state = $2";
    ADD_SANDBOX("add a sandbox") =
        "INSERT INTO sandboxes (id, session, host, state, base, provider, created_at, used_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    SANDBOX("read a sandbox") = sandboxes_where!("id = $1");
    SANDBOXES("read sandboxes") =
        sandboxes_where!("state <> 'destroyed' AND (session = $1 OR $1 IS NULL) ORDER BY created_at, id");
    PUT_SANDBOX("write a sandbox") =
        "UPDATE sandboxes SET host = $3, state = $4, base = $5, provider = $6, used_at = $7
         WHERE id = $1 AND state = $2";
}

#[async_trait]
impl RequestRows for SqlRows {
    async fn add_change(&mut self, new: &Change) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.session,
            json(&new.key)?,
            new.position,
            &new.branch,
            &new.base_branch,
            &new.base,
            &new.head,
            new.pushed.as_ref(),
            word(&new.state)?,
            new.pull_request,
            &new.title,
            json(&new.steps)?,
            new.version,
        ];
        self.write(&ADD_CHANGE, values).await.map(drop)
    }

    async fn change(&mut self, id: ChangeId) -> Result<Option<Change>, StoreError> {
        self.one(&CHANGE, values![id]).await?.as_ref().map(change).transpose()
    }

    async fn change_with_key(&mut self, session: SessionId, key: ChangeKey) -> Result<Option<Change>, StoreError> {
        self.one(&CHANGE_WITH_KEY, values![session, json(&key)?]).await?.as_ref().map(change).transpose()
    }

    async fn changes(&mut self, session: SessionId) -> Result<Vec<Change>, StoreError> {
        self.all(&CHANGES, values![session]).await?.iter().map(change).collect()
    }

    async fn put_change(&mut self, change: &Change, from: ChangeState) -> Result<bool, StoreError> {
        let values = values![
            change.id,
            word(&from)?,
            json(&change.key)?,
            change.position,
            &change.branch,
            &change.base_branch,
            &change.base,
            &change.head,
            change.pushed.as_ref(),
            word(&change.state)?,
            change.pull_request,
            &change.title,
            json(&change.steps)?,
            change.version,
        ];
        Ok(self.write(&PUT_CHANGE, values).await? == 1)
    }

    async fn add_request(&mut self, new: &Request) -> Result<(), StoreError> {
        let values = values![new.id, new.session, new.run, json(&new.kind)?, json(&new.state)?, new.asked_at];
        self.write(&ADD_REQUEST, values).await.map(drop)
    }

    async fn request(&mut self, id: RequestId) -> Result<Option<Request>, StoreError> {
        self.one(&REQUEST, values![id]).await?.as_ref().map(request).transpose()
    }

    async fn requests(&mut self, session: SessionId) -> Result<Vec<Request>, StoreError> {
        self.all(&REQUESTS, values![session]).await?.iter().map(request).collect()
    }

    async fn put_request(&mut self, id: RequestId, from: &RequestState, to: &RequestState) -> Result<bool, StoreError> {
        Ok(self.write(&PUT_REQUEST, values![id, json(from)?, json(to)?]).await? == 1)
    }

    async fn add_sandbox(&mut self, new: &SandboxRecord) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.session,
            new.host,
            word(&new.state)?,
            &new.base,
            json(&new.provider)?,
            new.created_at,
            new.used_at,
        ];
        self.write(&ADD_SANDBOX, values).await.map(drop)
    }

    async fn sandbox(&mut self, id: SandboxId) -> Result<Option<SandboxRecord>, StoreError> {
        self.one(&SANDBOX, values![id]).await?.as_ref().map(sandbox).transpose()
    }

    async fn sandboxes(&mut self, session: Option<SessionId>) -> Result<Vec<SandboxRecord>, StoreError> {
        self.all(&SANDBOXES, values![session]).await?.iter().map(sandbox).collect()
    }

    async fn put_sandbox(&mut self, sandbox: &SandboxRecord, from: SandboxState) -> Result<bool, StoreError> {
        let values = values![
            sandbox.id,
            word(&from)?,
            sandbox.host,
            word(&sandbox.state)?,
            &sandbox.base,
            json(&sandbox.provider)?,
            sandbox.used_at,
        ];
        Ok(self.write(&PUT_SANDBOX, values).await? == 1)
    }
}

fn change(row: &Row) -> Result<Change, StoreError> {
    let mut columns = row.columns("change");
    Ok(Change {
        id: ChangeId(columns.uuid()?),
        session: SessionId(columns.uuid()?),
        key: columns.json()?,
        position: columns.int()?,
        branch: columns.branch()?,
        base_branch: columns.branch()?,
        base: columns.commit()?,
        head: columns.commit()?,
        pushed: columns.maybe_commit()?,
        state: columns.word()?,
        pull_request: columns.maybe_int()?,
        title: columns.text()?,
        steps: columns.json()?,
        version: columns.int()?,
    })
}

fn request(row: &Row) -> Result<Request, StoreError> {
    let mut columns = row.columns("request");
    Ok(Request {
        id: RequestId(columns.uuid()?),
        session: SessionId(columns.uuid()?),
        run: columns.maybe_uuid()?.map(RunId),
        kind: columns.json()?,
        state: columns.json()?,
        asked_at: columns.time()?,
    })
}

fn sandbox(row: &Row) -> Result<SandboxRecord, StoreError> {
    let mut columns = row.columns("sandbox");
    Ok(SandboxRecord {
        id: SandboxId(columns.uuid()?),
        session: SessionId(columns.uuid()?),
        host: HostId(columns.uuid()?),
        state: columns.word()?,
        base: columns.commit()?,
        provider: columns.json()?,
        created_at: columns.time()?,
        used_at: columns.time()?,
    })
}
