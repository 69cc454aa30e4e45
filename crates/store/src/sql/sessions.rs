//! Sessions, their events and the versions of their runbooks.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{json, values, word},
};
use crate::{SessionFilter, StoreError, backend::SessionRows, page::Page};
use async_trait::async_trait;
use domain::{
    AccountId, Event, RepositoryId, RunbookVersion, Session, SessionId, SessionNumber, Step, StepId, StepState,
    Timestamp, UserId,
};
use serde_json::Value as Json;

macro_rules! sessions_where {
    ($rest:literal) => {
        concat!(
            "SELECT id, number, account, repository, requester, title, prompt, mode, pr_mode, draft, labels,
                extras, target_branch, base, budget, run_budget, agent_session, version, last_event, usage, archived,
                created_at
             FROM sessions WHERE ",
            $rest
        )
    };
}

statements! {
    PULSE("count what happened") =
        "SELECT CAST(coalesce(sum(last_event), 0) + count(*) AS BIGINT) FROM sessions WHERE account = $1";
    ADD_SESSION("add a session") =
        "INSERT INTO sessions (id, number, account, repository, requester, title, prompt, mode, pr_mode, draft, labels,
            extras, target_branch, base, budget, run_budget, agent_session, version, last_event, usage, archived, created_at,
            served)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
            (SELECT coalesce(max(served), 0) FROM sessions))";
    ADD_LEASE("add a lease") = "INSERT INTO leases (session, account, owner, epoch, beat) VALUES ($1, $2, NULL, 0, 0)";
    SESSION("read a session") = sessions_where!("id = $1");
    SESSION_NUMBERED("read a session") = sessions_where!("account = $1 AND number = $2");
    SESSIONS("list sessions") = sessions_where!(
        "account = $1 AND (archived = $2 OR $2 IS NULL) AND (repository = $3 OR $3 IS NULL)
            AND (number < $4 OR $4 IS NULL) AND (requester = $6 OR $6 IS NULL)
            AND (EXISTS (SELECT 1 FROM changes WHERE changes.session = sessions.id AND branch = $7) OR $7 IS NULL)
         ORDER BY number DESC LIMIT $5 OFFSET $8"
    );
    BRANCHES("list branches") =
        "SELECT changes.session, changes.branch FROM changes JOIN sessions ON sessions.id = changes.session
         WHERE sessions.account = $1 AND sessions.number >= $2 AND sessions.number <= $3";
    TAKE_EVENT_NUMBERS("number events") =
        "UPDATE sessions SET last_event = last_event + $2 WHERE id = $1 RETURNING last_event";
    LAST_EVENT("read a session") = "SELECT last_event FROM sessions WHERE id = $1";
    PUT_SESSION("write a session") =
        "UPDATE sessions SET title = $2, version = $3, usage = $4, archived = $5, budget = $6, run_budget = $7,
            labels = $8, extras = $9
         WHERE id = $1";
    ADD_EVENT("add an event") = "INSERT INTO events (session, number, at, payload) VALUES ($1, $2, $3, $4)";
    EVENTS("read events") =
        "SELECT number, at, payload FROM events WHERE session = $1 AND number > $2 ORDER BY number LIMIT $3";
    ADD_RUNBOOK("add a runbook") =
        "INSERT INTO runbooks (session, version, body, steps, author, restores, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    RUNBOOK("read a runbook") =
        "SELECT session, version, body, steps, author, restores, created_at FROM runbooks
         WHERE session = $1 AND (version = $2 OR $2 IS NULL) ORDER BY version DESC LIMIT 1";
    RUNBOOKS("read runbooks") =
        "SELECT session, version, body, steps, author, restores, created_at FROM runbooks
         WHERE session = $1 ORDER BY version";
    ADD_STEP("add a step") =
        "INSERT INTO steps (id, session, state, agent_session, usage) VALUES ($1, $2, $3, $4, $5)";
    STEP("read a step") = "SELECT id, session, state, agent_session, usage FROM steps WHERE id = $1";
    STEPS("read steps") = "SELECT id, session, state, agent_session, usage FROM steps WHERE session = $1 ORDER BY id";
    PUT_STEP("write a step") = "UPDATE steps SET state = $3, usage = $4 WHERE id = $1 AND state = $2";
    PUT_NOTE("write to the journal") =
        "INSERT INTO journal (session, key, note) VALUES ($1, $2, $3)
         ON CONFLICT (session, key) DO UPDATE SET note = excluded.note";
    NOTE("read the journal") = "SELECT note FROM journal WHERE session = $1 AND key = $2";
    NOTES("read the journal") =
        "SELECT key, note FROM journal WHERE session = $1 AND substr(key, 1, length($2)) = $2";
}

#[async_trait]
impl SessionRows for SqlRows {
    async fn add_session(&mut self, new: &Session) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.number,
            new.account,
            new.repository,
            new.requester,
            &new.title,
            &new.prompt,
            word(&new.mode)?,
            word(&new.pr_mode)?,
            new.draft,
            json(&new.labels)?,
            json(&new.extras)?,
            &new.target_branch,
            &new.base,
            json(&new.budget)?,
            json(&new.run_budget)?,
            new.agent_session,
            new.version,
            new.last_event,
            json(&new.usage)?,
            new.archived,
            new.created_at,
        ];
        self.write(&ADD_SESSION, values).await?;
        self.write(&ADD_LEASE, values![new.id, new.account]).await.map(drop)
    }

    async fn session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.one(&SESSION, values![id]).await?.as_ref().map(session).transpose()
    }

    async fn session_numbered(
        &mut self,
        account: AccountId,
        number: SessionNumber,
    ) -> Result<Option<Session>, StoreError> {
        self.one(&SESSION_NUMBERED, values![account, number]).await?.as_ref().map(session).transpose()
    }

    async fn pulse(&mut self, account: AccountId) -> Result<i64, StoreError> {
        let row = self.one(&PULSE, values![account]).await?;
        row.map_or(Ok(0), |row| row.columns("pulse").int())
    }

    async fn sessions(&mut self, account: AccountId, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        let values = values![
            account,
            filter.archived,
            filter.repository,
            filter.before,
            filter.limit,
            filter.requester,
            filter.branch.as_deref(),
            filter.skip,
        ];
        self.all(&SESSIONS, values).await?.iter().map(session).collect()
    }

    async fn branches(
        &mut self,
        account: AccountId,
        oldest: SessionNumber,
        newest: SessionNumber,
    ) -> Result<Vec<(SessionId, String)>, StoreError> {
        let rows = self.all(&BRANCHES, values![account, oldest, newest]).await?;
        let branch = |row: &Row| {
            let mut columns = row.columns("change");
            Ok((SessionId(columns.uuid()?), columns.text()?))
        };
        rows.iter().map(branch).collect()
    }

    async fn take_event_numbers(&mut self, id: SessionId, count: i64) -> Result<Option<i64>, StoreError> {
        let row = self.one(&TAKE_EVENT_NUMBERS, values![id, count]).await?;
        row.map(|row| row.columns("session").int()).transpose()
    }

    async fn put_session(&mut self, session: &Session) -> Result<(), StoreError> {
        let values = values![
            session.id,
            &session.title,
            session.version,
            json(&session.usage)?,
            session.archived,
            json(&session.budget)?,
            json(&session.run_budget)?,
            json(&session.labels)?,
            json(&session.extras)?,
        ];
        self.write(&PUT_SESSION, values).await.map(drop)
    }

    async fn add_event(
        &mut self,
        session: SessionId,
        number: i64,
        at: Timestamp,
        payload: &str,
    ) -> Result<(), StoreError> {
        self.write(&ADD_EVENT, values![session, number, at, payload]).await.map(drop)
    }

    async fn events(&mut self, session: SessionId, after: i64, limit: i64) -> Result<Vec<Event>, StoreError> {
        let mut page = Page::default();
        self.each(&EVENTS, values![session, after, limit], |row| {
            let mut columns = row.columns("event");
            let (number, at, payload) = (columns.int()?, columns.time()?, columns.text()?);
            page.take(session, number, at, &payload)
        })
        .await?;
        Ok(page.events)
    }

    async fn last_event(&mut self, session: SessionId) -> Result<Option<i64>, StoreError> {
        let row = self.one(&LAST_EVENT, values![session]).await?;
        row.map(|row| row.columns("session").int()).transpose()
    }

    async fn add_runbook(&mut self, new: &RunbookVersion) -> Result<(), StoreError> {
        let values =
            values![new.session, new.version, &new.text, json(&new.steps)?, new.author, new.restores, new.created_at];
        self.write(&ADD_RUNBOOK, values).await.map(drop)
    }

    async fn runbook(
        &mut self,
        session: SessionId,
        version: Option<i64>,
    ) -> Result<Option<RunbookVersion>, StoreError> {
        self.one(&RUNBOOK, values![session, version]).await?.as_ref().map(runbook).transpose()
    }

    async fn runbooks(&mut self, session: SessionId) -> Result<Vec<RunbookVersion>, StoreError> {
        self.all(&RUNBOOKS, values![session]).await?.iter().map(runbook).collect()
    }

    async fn add_step(&mut self, new: &Step) -> Result<(), StoreError> {
        let values = values![new.id, new.session, json(&new.state)?, new.agent_session, json(&new.usage)?];
        self.write(&ADD_STEP, values).await.map(drop)
    }

    async fn step(&mut self, id: StepId) -> Result<Option<Step>, StoreError> {
        self.one(&STEP, values![id]).await?.as_ref().map(step).transpose()
    }

    async fn steps(&mut self, session: SessionId) -> Result<Vec<Step>, StoreError> {
        self.all(&STEPS, values![session]).await?.iter().map(step).collect()
    }

    async fn put_step(&mut self, step: &Step, from: StepState) -> Result<bool, StoreError> {
        let values = values![step.id, json(&from)?, json(&step.state)?, json(&step.usage)?];
        Ok(self.write(&PUT_STEP, values).await? == 1)
    }

    async fn put_note(&mut self, session: SessionId, key: &str, note: &Json) -> Result<(), StoreError> {
        self.write(&PUT_NOTE, values![session, key, json(note)?]).await.map(drop)
    }

    async fn note(&mut self, session: SessionId, key: &str) -> Result<Option<Json>, StoreError> {
        let row = self.one(&NOTE, values![session, key]).await?;
        row.map(|row| row.columns("note").json()).transpose()
    }

    async fn notes(&mut self, session: SessionId, prefix: &str) -> Result<Vec<(String, Json)>, StoreError> {
        let rows = self.all(&NOTES, values![session, prefix]).await?;
        let note = |row: &Row| {
            let mut columns = row.columns("note");
            Ok((columns.text()?, columns.json()?))
        };
        rows.iter().map(note).collect()
    }
}

fn session(row: &Row) -> Result<Session, StoreError> {
    let mut columns = row.columns("session");
    Ok(Session {
        id: SessionId(columns.uuid()?),
        number: SessionNumber(columns.int()?),
        account: AccountId(columns.uuid()?),
        repository: RepositoryId(columns.uuid()?),
        requester: UserId(columns.uuid()?),
        title: columns.text()?,
        prompt: columns.text()?,
        mode: columns.word()?,
        pr_mode: columns.word()?,
        draft: columns.bool()?,
        labels: columns.json()?,
        extras: columns.json()?,
        target_branch: columns.branch()?,
        base: columns.commit()?,
        budget: columns.json()?,
        run_budget: columns.json()?,
        agent_session: columns.uuid()?,
        version: columns.int()?,
        last_event: columns.int()?,
        usage: columns.json()?,
        archived: columns.bool()?,
        created_at: columns.time()?,
    })
}

fn runbook(row: &Row) -> Result<RunbookVersion, StoreError> {
    let mut columns = row.columns("runbook");
    Ok(RunbookVersion {
        session: SessionId(columns.uuid()?),
        version: columns.int()?,
        text: columns.text()?,
        steps: columns.json()?,
        author: columns.maybe_uuid()?.map(UserId),
        restores: columns.maybe_int()?,
        created_at: columns.time()?,
    })
}

fn step(row: &Row) -> Result<Step, StoreError> {
    let mut columns = row.columns("step");
    Ok(Step {
        id: StepId(columns.uuid()?),
        session: SessionId(columns.uuid()?),
        state: columns.json()?,
        agent_session: columns.uuid()?,
        usage: columns.json()?,
    })
}
