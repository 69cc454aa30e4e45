//! The store's rules, written once over the rows of any backend.

mod access;
mod arrivals;
mod audit;
mod clean;
mod commit;
mod library;
mod pull_requests;
mod search;
mod vault;
mod webhooks;
mod work;

use crate::{
    Claim, ClaimLimits, Committed, ExecRow, Fence, FoundSessions, LONGEST_WAIT, OutputChunk, SessionFilter,
    SessionSearch, StdinLine, Store, StoreError, Write,
    backend::{Backend, Rows},
};
use async_trait::async_trait;
use audit::change;
use clean::{Clean as _, Cleaned};
use commit::missing;
use domain::{
    Account, AccountId, Action, ActionId, BlobHash, Change, ChangeId, Event, EventPayload, ExecId, Generation, Lease,
    Repository, RepositoryId, Request, Role, Run, RunId, RunbookVersion, SandboxRecord, ServerId, Session, SessionId,
    SessionNumber, Step, Timestamp, User, UserId,
};
use std::{borrow::Cow, pin::pin};
use tokio::time::timeout;
use work::Attempt;

/// A blob is kept in chunks of at most this many bytes.
const CHUNK: usize = 256 * 1024;
/// A list of sessions shows this many unless told otherwise.
const PAGE: i64 = 50;
/// How often a transaction is tried that loses against others.
const TRIES: u32 = 10;

type Result<T> = std::result::Result<T, StoreError>;

/// Runs `$body` in a transaction and makes it last when it succeeds; tries again when it lost a race.
macro_rules! transact {
    ($store:expr, |$rows:ident| $body:expr) => {{
        let mut tries = 0;
        loop {
            tries += 1;
            let mut transaction = $store.begin().await?;
            let $rows: &mut dyn $crate::backend::Rows = &mut *transaction;
            let result = match $body.await {
                Ok(value) => {
                    faultpoint::crash_point!("crash-transaction-written");
                    let done = transaction.commit().await.map(|()| value);
                    faultpoint::crash_point!("crash-transaction-done");
                    done
                }
                Err(error) => {
                    transaction.roll_back().await;
                    Err(error)
                }
            };
            match result {
                Err(error) if tries < $crate::door::TRIES && $store.lost_a_race(&error) => {}
                result => break result,
            }
        }
    }};
}

use transact;

#[async_trait]
impl<B: Backend> Store for B {
    async fn generation(&self, first: &Generation) -> Result<Generation> {
        if let Some(known) = self.read().await?.generation().await? {
            return Ok(known);
        }
        transact!(self, |rows| generation(rows, first))
    }

    async fn settle_generation(&self, instance: uuid::Uuid) -> Result<()> {
        transact!(self, |rows| rows.settle_generation(instance))
    }

    async fn account(&self, new: &Account) -> Result<Account> {
        let new = new.clean(&self.known().redactor())?;
        transact!(self, |rows| account(rows, &new))
    }

    async fn user(&self, new: &User) -> Result<User> {
        let new = new.clean(&self.known().redactor())?;
        transact!(self, |rows| user(rows, &new))
    }

    async fn user_by_id(&self, id: UserId) -> Result<Option<User>> {
        self.read().await?.user(id).await
    }

    async fn count_users(&self, account: AccountId, role: Role) -> Result<i64> {
        self.read().await?.count_users(account, role).await
    }

    async fn add_repository(&self, new: &Repository) -> Result<Repository> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| add_repository(rows, &new))
    }

    async fn repository(&self, id: RepositoryId) -> Result<Option<Repository>> {
        self.read().await?.repository(id).await
    }

    async fn repositories(&self, account: AccountId) -> Result<Vec<Repository>> {
        self.read().await?.repositories(account).await
    }

    async fn begin_session(
        &self,
        new: &Session,
        writes: &[Write],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Session> {
        let redactor = self.known().redactor();
        let new = new.clean(&redactor)?;
        let writes = clean::all(writes, &redactor)?;
        let events = clean::all(events, &redactor)?;
        let made = change!(self, |rows| work::begin_session(rows, &new, &writes, &events, now))?;
        self.wake().announce_work();
        Ok(made)
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.read().await?.session(id).await
    }

    async fn session_numbered(&self, account: AccountId, number: SessionNumber) -> Result<Option<Session>> {
        self.read().await?.session_numbered(account, number).await
    }

    async fn sessions(&self, account: AccountId, filter: &SessionFilter) -> Result<Vec<Session>> {
        let limit = if filter.limit <= 0 { PAGE } else { filter.limit };
        self.read().await?.sessions(account, &SessionFilter { limit, ..filter.clone() }).await
    }

    async fn find_sessions(&self, account: AccountId, search: &SessionSearch) -> Result<FoundSessions> {
        let mut rows = self.read().await?;
        search::find(&mut *rows, account, search).await
    }

    async fn commit(
        &self,
        session: SessionId,
        fence: Fence,
        writes: &[Write],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Committed> {
        faultpoint::error_point!("fail-commit", StoreError::injected);
        let redactor = self.known().redactor();
        let writes = clean::all(writes, &redactor)?;
        let payloads = clean::all(events, &redactor)?;
        let committed = change!(self, |rows| commit::commit(rows, session, fence, &writes, &payloads, now))?;
        faultpoint::error_point!("fail-commit-answer", StoreError::injected);
        if !events.is_empty() {
            self.wake().announce_events(session);
        }
        if commit::may_bring_work(&writes) {
            self.wake().announce_work();
        }
        Ok(committed)
    }

    async fn events(&self, session: SessionId, after: i64, limit: i64) -> Result<Vec<Event>> {
        self.read().await?.events(session, after, limit.max(0)).await
    }

    async fn wait_for_events(&self, session: SessionId, after: i64) {
        let interest = self.wake().interest(session);
        let mut woken = pin!(interest.notify().notified());
        woken.as_mut().enable();
        let newest = match self.read().await {
            Ok(mut rows) => rows.last_event(session).await.ok().flatten(),
            Err(_) => None,
        };
        if newest.is_none_or(|newest| newest <= after) {
            // A wake-up may come from another server that cannot tell us: the longest wait bounds what that costs.
            timeout(LONGEST_WAIT, woken).await.ok();
        }
    }

    async fn runbook(&self, session: SessionId, version: Option<i64>) -> Result<Option<RunbookVersion>> {
        self.read().await?.runbook(session, version).await
    }

    async fn runbooks(&self, session: SessionId) -> Result<Vec<RunbookVersion>> {
        self.read().await?.runbooks(session).await
    }

    async fn steps(&self, session: SessionId) -> Result<Vec<Step>> {
        self.read().await?.steps(session).await
    }

    async fn queue(&self, session: SessionId) -> Result<Vec<Action>> {
        self.read().await?.queue(session).await
    }

    async fn actions(&self, session: SessionId) -> Result<Vec<Action>> {
        self.read().await?.actions(session).await
    }

    async fn pulse(&self, account: AccountId) -> Result<i64> {
        self.read().await?.pulse(account).await
    }

    async fn action(&self, id: ActionId) -> Result<Option<Action>> {
        self.read().await?.action(id).await
    }

    async fn runs(&self, session: SessionId) -> Result<Vec<Run>> {
        self.read().await?.runs(session).await
    }

    async fn changes(&self, session: SessionId) -> Result<Vec<Change>> {
        self.read().await?.changes(session).await
    }

    async fn requests(&self, session: SessionId) -> Result<Vec<Request>> {
        self.read().await?.requests(session).await
    }

    async fn sandboxes(&self, session: SessionId) -> Result<Vec<SandboxRecord>> {
        self.read().await?.sandboxes(Some(session)).await
    }

    async fn live_sandboxes(&self) -> Result<Vec<SandboxRecord>> {
        self.read().await?.sandboxes(None).await
    }

    async fn execs(&self, run: RunId) -> Result<Vec<ExecRow>> {
        self.read().await?.execs(run).await
    }

    async fn stdin_journal(&self, exec: ExecId) -> Result<Vec<StdinLine>> {
        self.read().await?.stdin_lines(exec).await
    }

    async fn exec(&self, session: SessionId, id: ExecId) -> Result<Option<ExecRow>> {
        let mut rows = self.read().await?;
        let Some(exec) = rows.exec(id).await? else { return Ok(None) };
        let own = rows.run(exec.run).await?.is_some_and(|run| run.session == session);
        Ok(own.then_some(exec))
    }

    async fn output(&self, exec: ExecId, from: u64, to: u64) -> Result<Vec<OutputChunk>> {
        // No offset in a database is higher.
        let highest = i64::MAX.unsigned_abs();
        self.read().await?.output(exec, from.min(highest), to.min(highest)).await
    }

    async fn journal(&self, session: SessionId, key: &str) -> Result<Option<serde_json::Value>> {
        self.read().await?.note(session, &clean::text(key, &self.known().redactor())).await
    }

    async fn notes(&self, session: SessionId, prefix: &str) -> Result<Vec<(String, serde_json::Value)>> {
        let prefix = clean::text(prefix, &self.known().redactor());
        let mut notes = self.read().await?.notes(session, &prefix).await?;
        // Databases disagree about the order of texts.
        notes.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(notes)
    }

    async fn change(&self, id: ChangeId) -> Result<Option<Change>> {
        self.read().await?.change(id).await
    }

    async fn transcript(&self, agent_session: uuid::Uuid) -> Result<Option<BlobHash>> {
        self.read().await?.transcript(agent_session).await
    }

    async fn claim(&self, owner: ServerId, limits: ClaimLimits, now: Timestamp) -> Result<Option<Claim>> {
        for _ in 0..TRIES {
            let mut transaction = self.begin().await?;
            let attempt = work::claim(&mut *transaction, owner, limits, now).await;
            if let Ok(Attempt::Claimed(claim)) = attempt {
                faultpoint::crash_point!("crash-claim-written");
                transaction.commit().await?;
                faultpoint::error_point!("fail-claim-answer", StoreError::injected);
                self.wake().pass_on_work();
                return Ok(Some(*claim));
            }
            transaction.roll_back().await;
            match attempt {
                Ok(Attempt::Nothing) => return Ok(None),
                Err(error) if !self.lost_a_race(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(None)
    }

    async fn beat(&self, session: SessionId, owner: ServerId, epoch: i64) -> Result<bool> {
        transact!(self, |rows| rows.beat(session, owner, epoch))
    }

    async fn release(&self, session: SessionId, owner: ServerId, epoch: i64) -> Result<()> {
        if transact!(self, |rows| work::release(rows, session, owner, epoch))? {
            self.wake().announce_work();
        }
        Ok(())
    }

    async fn leases(&self) -> Result<Vec<(SessionId, Lease)>> {
        self.read().await?.leases().await
    }

    async fn lease(&self, session: SessionId) -> Result<Option<Lease>> {
        let row = self.read().await?.lease(session).await?.filter(|row| row.epoch > 0);
        let nobody = ServerId(uuid::Uuid::nil());
        Ok(row.map(|row| Lease { owner: row.owner.unwrap_or(nobody), epoch: row.epoch, beat: row.beat }))
    }

    async fn expire(&self, session: SessionId, seen: Lease, _now: Timestamp) -> Result<bool> {
        let expired = transact!(self, |rows| work::free(rows, session, seen, false))?;
        if expired {
            self.wake().announce_work();
        }
        Ok(expired)
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.read().await?.next_due(now).await
    }

    async fn wait_for_work(&self) {
        timeout(LONGEST_WAIT, self.wake().work()).await.ok();
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<BlobHash> {
        faultpoint::error_point!("fail-blob", StoreError::injected);
        let bytes = clean::bytes(bytes, &self.known().redactor());
        let hash = BlobHash::of(&bytes);
        // Outside of the transaction first: most of what is stored again is found without waiting for a writer.
        if self.read().await?.blob_size(hash).await?.is_none() {
            transact!(self, |rows| put_blob(rows, hash, &bytes))?;
        }
        Ok(hash)
    }

    async fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>> {
        let mut rows = self.read().await?;
        let Some(size) = rows.blob_size(hash).await? else { return Ok(None) };
        let bytes = rows.blob_chunks(hash).await?.concat();
        if BlobHash::of(&bytes) != hash {
            let detail = format!("{hash}: {} of {size} bytes are left or they were altered", bytes.len());
            return Err(StoreError::Damaged { what: "blob", detail });
        }
        Ok(Some(bytes))
    }
}

async fn generation(rows: &mut dyn Rows, first: &Generation) -> Result<Generation> {
    rows.add_generation(first).await?;
    rows.generation().await?.ok_or_else(|| missing("generation", first.record))
}

async fn account(rows: &mut dyn Rows, new: &Cleaned<Account>) -> Result<Account> {
    rows.add_account(new).await?;
    rows.account_named(&new.name).await?.ok_or_else(|| missing("account", new.id))
}

async fn user(rows: &mut dyn Rows, new: &Cleaned<User>) -> Result<User> {
    rows.account(new.account).await?.ok_or_else(|| missing("account", new.account))?;
    rows.put_user(new).await?;
    rows.user_with_mail(new.account, &new.email).await?.ok_or_else(|| missing("person", new.id))
}

async fn add_repository(rows: &mut dyn Rows, new: &Cleaned<Repository>) -> Result<Repository> {
    rows.account(new.account).await?.ok_or_else(|| missing("account", new.account))?;
    rows.add_repository(new).await?;
    let found = rows.repository_named(new.account, &new.name).await?;
    let found = found.ok_or_else(|| missing("repository", new.id))?;
    if (&found.forge, &found.location) != (&new.forge, &new.location) {
        let detail = format!("`{}` is at {} on {}", found.name, found.location, found.forge);
        return Err(StoreError::Conflict { what: "repository", detail });
    }
    Ok(found)
}

async fn put_blob(rows: &mut dyn Rows, hash: BlobHash, bytes: &Cleaned<Cow<'_, [u8]>>) -> Result<()> {
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    if rows.add_blob(hash, size).await? {
        for (number, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
            rows.add_blob_chunk(hash, number, chunk).await?;
        }
    }
    Ok(())
}
