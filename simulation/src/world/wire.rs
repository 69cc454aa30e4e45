//! The store as a server reaches it: over a line that is slow, is cut, and tells the history what went over it.

use super::{
    Flaw,
    history::{Fact, History},
    node::{Cut, Node},
};
use async_trait::async_trait;
use domain::{
    Account, AccountId, Action, ActionId, ActionState, AuditEntry, AuditFilter, AuditMark, AuditVerdict, BlobHash,
    Change, ChangeId, CommitId, Deed, Event, EventPayload, ExecId, Generation, Knowledge, KnowledgeId, KnowledgeKind,
    Lease, Lesson, Repository, RepositoryId, Request, Role, Run, RunEvent, RunId, RunbookVersion, SandboxRecord,
    ServerId, Session, SessionId, SessionNumber, Step, StepEvent, StepId, Timestamp, User, UserId,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use store::{
    Audit, AuditPage, Check, Claim, ClaimLimits, Comment, Committed, ExecRow, Fence, FoundSessions, Library,
    MemoryStore, OutputChunk, PullRequest, PullRequests, SessionFilter, SessionSearch, StdinLine, Store, StoreError,
    Thread, Write,
};
use tokio::{sync::Notify, time::sleep};
use uuid::Uuid;

type Result<T> = std::result::Result<T, StoreError>;

/// The record itself, with the bell that [`Flaw::SubscribeAfterSnapshot`] waits for.
#[derive(Default)]
pub struct Record {
    pub store: MemoryStore,
    bells: Mutex<BTreeMap<SessionId, Arc<Notify>>>,
}

impl Record {
    fn bell(&self, session: SessionId) -> Arc<Notify> {
        self.bells.lock().entry(session).or_default().clone()
    }
}

/// One end of the line.
pub struct Wire {
    pub record: Arc<Record>,
    pub node: Arc<Node>,
    pub history: Arc<History>,
    pub flaw: Option<Flaw>,
}

fn broken(attempt: &'static str) -> impl FnOnce(Cut) -> StoreError {
    move |cut| StoreError::Database { attempt, source: Box::new(cut) }
}

impl Wire {
    async fn over<T>(&self, attempt: &'static str, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.node.outside(work).await.map_err(broken(attempt))?
    }

    /// One transaction, and what of it the history should know.
    async fn transaction(
        &self,
        session: SessionId,
        fence: Fence,
        writes: &[Write],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Committed> {
        let mut result = self.record.store.commit(session, fence, writes, events, now).await;
        if let (Err(StoreError::Fenced { epoch }), true) = (&result, self.flaw != Some(Flaw::FenceIgnored)) {
            self.history.add(Fact::Fenced(session, *epoch));
        } else if let Err(StoreError::Fenced { .. }) = &result {
            result = self.record.store.commit(session, Fence::Open, writes, events, now).await;
        }
        let committed = result?;
        if let Fence::Lease { owner, epoch } = fence {
            let (ended, completed) = (ends(writes), completions(writes));
            self.history.add(Fact::Committed { session, owner, epoch, ended, completed });
        }
        for write in writes {
            match write {
                Write::RunCommit(_, commit) => self.history.add(Fact::Noted(session, commit.clone())),
                Write::RequestStop(action) => self.history.add(Fact::StopAsked { session, action: *action }),
                Write::Run { id, event: RunEvent::Stop, .. } => self.history.add(Fact::Stopped(session, *id)),
                _ => {}
            }
        }
        if !events.is_empty() {
            self.history.add(Fact::Events(session, committed.last_event));
            self.record.bell(session).notify_waiters();
        }
        Ok(committed)
    }
}

/// The actions whose attempt ends in good order.
fn ends(writes: &[Write]) -> Vec<ActionId> {
    let end = |write: &Write| match write {
        Write::Action { id, handed_back: true, .. } => Some(*id),
        _ => None,
    };
    writes.iter().filter_map(end).collect()
}

fn completions(writes: &[Write]) -> Vec<StepId> {
    let completion = |write: &Write| match write {
        Write::Step { id, event: StepEvent::Complete(_), .. } => Some(*id),
        _ => None,
    };
    writes.iter().filter_map(completion).collect()
}

#[async_trait]
impl Store for Wire {
    async fn generation(&self, first: &Generation) -> Result<Generation> {
        self.over("generation", Store::generation(&self.record.store, first)).await
    }

    async fn settle_generation(&self, instance: Uuid) -> Result<()> {
        self.over("settle_generation", Store::settle_generation(&self.record.store, instance)).await
    }

    async fn account(&self, new: &Account) -> Result<Account> {
        self.over("account", Store::account(&self.record.store, new)).await
    }

    async fn user(&self, new: &User) -> Result<User> {
        self.over("user", Store::user(&self.record.store, new)).await
    }

    async fn user_by_id(&self, id: UserId) -> Result<Option<User>> {
        self.over("user_by_id", Store::user_by_id(&self.record.store, id)).await
    }

    async fn count_users(&self, account: AccountId, role: Role) -> Result<i64> {
        self.over("count_users", Store::count_users(&self.record.store, account, role)).await
    }

    async fn add_repository(&self, new: &Repository) -> Result<Repository> {
        self.over("add_repository", Store::add_repository(&self.record.store, new)).await
    }

    async fn repository(&self, id: RepositoryId) -> Result<Option<Repository>> {
        self.over("repository", Store::repository(&self.record.store, id)).await
    }

    async fn repositories(&self, account: AccountId) -> Result<Vec<Repository>> {
        self.over("repositories", Store::repositories(&self.record.store, account)).await
    }

    async fn begin_session(
        &self,
        new: &Session,
        writes: &[Write],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Session> {
        self.over("begin_session", Store::begin_session(&self.record.store, new, writes, events, now)).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.over("session", Store::session(&self.record.store, id)).await
    }

    async fn session_numbered(&self, account: AccountId, number: SessionNumber) -> Result<Option<Session>> {
        self.over("session_numbered", Store::session_numbered(&self.record.store, account, number)).await
    }

    async fn sessions(&self, account: AccountId, filter: &SessionFilter) -> Result<Vec<Session>> {
        self.over("sessions", Store::sessions(&self.record.store, account, filter)).await
    }

    async fn find_sessions(&self, account: AccountId, search: &SessionSearch) -> Result<FoundSessions> {
        self.over("find_sessions", Store::find_sessions(&self.record.store, account, search)).await
    }

    async fn events(&self, session: SessionId, after: i64, limit: i64) -> Result<Vec<Event>> {
        self.over("events", Store::events(&self.record.store, session, after, limit)).await
    }

    async fn runbook(&self, session: SessionId, version: Option<i64>) -> Result<Option<RunbookVersion>> {
        self.over("runbook", Store::runbook(&self.record.store, session, version)).await
    }

    async fn runbooks(&self, session: SessionId) -> Result<Vec<RunbookVersion>> {
        self.over("runbooks", Store::runbooks(&self.record.store, session)).await
    }

    async fn steps(&self, session: SessionId) -> Result<Vec<Step>> {
        self.over("steps", Store::steps(&self.record.store, session)).await
    }

    async fn queue(&self, session: SessionId) -> Result<Vec<Action>> {
        self.over("queue", Store::queue(&self.record.store, session)).await
    }

    async fn actions(&self, session: SessionId) -> Result<Vec<Action>> {
        self.over("actions", Store::actions(&self.record.store, session)).await
    }

    async fn pulse(&self, account: AccountId) -> Result<i64> {
        self.over("pulse", Store::pulse(&self.record.store, account)).await
    }

    async fn action(&self, id: ActionId) -> Result<Option<Action>> {
        self.over("action", Store::action(&self.record.store, id)).await
    }

    async fn runs(&self, session: SessionId) -> Result<Vec<Run>> {
        self.over("runs", Store::runs(&self.record.store, session)).await
    }

    async fn changes(&self, session: SessionId) -> Result<Vec<Change>> {
        self.over("changes", Store::changes(&self.record.store, session)).await
    }

    async fn requests(&self, session: SessionId) -> Result<Vec<Request>> {
        self.over("requests", Store::requests(&self.record.store, session)).await
    }

    async fn sandboxes(&self, session: SessionId) -> Result<Vec<SandboxRecord>> {
        self.over("sandboxes", Store::sandboxes(&self.record.store, session)).await
    }

    async fn live_sandboxes(&self) -> Result<Vec<SandboxRecord>> {
        self.over("live_sandboxes", Store::live_sandboxes(&self.record.store)).await
    }

    async fn execs(&self, run: RunId) -> Result<Vec<ExecRow>> {
        self.over("execs", Store::execs(&self.record.store, run)).await
    }

    async fn stdin_journal(&self, exec: ExecId) -> Result<Vec<StdinLine>> {
        self.over("stdin_journal", Store::stdin_journal(&self.record.store, exec)).await
    }

    async fn exec(&self, session: SessionId, id: ExecId) -> Result<Option<ExecRow>> {
        self.over("exec", Store::exec(&self.record.store, session, id)).await
    }

    async fn output(&self, exec: ExecId, from: u64, to: u64) -> Result<Vec<OutputChunk>> {
        self.over("output", Store::output(&self.record.store, exec, from, to)).await
    }

    async fn journal(&self, session: SessionId, key: &str) -> Result<Option<serde_json::Value>> {
        self.over("journal", Store::journal(&self.record.store, session, key)).await
    }

    async fn notes(&self, session: SessionId, prefix: &str) -> Result<Vec<(String, serde_json::Value)>> {
        self.over("notes", Store::notes(&self.record.store, session, prefix)).await
    }

    async fn change(&self, id: ChangeId) -> Result<Option<Change>> {
        self.over("change", Store::change(&self.record.store, id)).await
    }

    async fn transcript(&self, agent_session: Uuid) -> Result<Option<BlobHash>> {
        self.over("transcript", Store::transcript(&self.record.store, agent_session)).await
    }

    async fn leases(&self) -> Result<Vec<(SessionId, Lease)>> {
        self.over("leases", Store::leases(&self.record.store)).await
    }

    async fn lease(&self, session: SessionId) -> Result<Option<Lease>> {
        self.over("lease", Store::lease(&self.record.store, session)).await
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.over("next_due", Store::next_due(&self.record.store, now)).await
    }

    async fn put_blob(&self, bytes: &[u8]) -> Result<BlobHash> {
        self.over("put_blob", Store::put_blob(&self.record.store, bytes)).await
    }

    async fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>> {
        self.over("blob", Store::blob(&self.record.store, hash)).await
    }

    async fn commit(
        &self,
        session: SessionId,
        fence: Fence,
        writes: &[Write],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Committed> {
        let (last, first): (Vec<Write>, Vec<Write>) =
            writes.iter().cloned().partition(|write| matches!(write, Write::Action { to: ActionState::Done, .. }));
        if self.flaw == Some(Flaw::TwoTransactions) && !last.is_empty() {
            let result = self.transaction(session, fence, &first, events, now);
            self.over("commit", result).await?;
            return self.over("commit", self.transaction(session, fence, &last, &[], now)).await;
        }
        self.over("commit", self.transaction(session, fence, writes, events, now)).await
    }

    async fn wait_for_events(&self, session: SessionId, after: i64) {
        if self.flaw == Some(Flaw::SubscribeAfterSnapshot) {
            let known = self.record.store.events(session, after, 1).await;
            sleep(Duration::from_millis(20)).await;
            if known.is_ok_and(|known| known.is_empty()) {
                self.record.bell(session).notified().await;
            }
            return;
        }
        self.record.store.wait_for_events(session, after).await;
    }

    async fn claim(&self, owner: ServerId, limits: ClaimLimits, now: Timestamp) -> Result<Option<Claim>> {
        let claim = async {
            let claim = self.record.store.claim(owner, limits, now).await?;
            if let Some(claim) = &claim {
                let (session, action, lease) = (claim.session.id, claim.action.id, claim.lease);
                self.history.add(Fact::Claimed { session, action, lease, due: claim.action.not_before, now });
            }
            Ok(claim.map(|mut claim| {
                if self.flaw == Some(Flaw::AttemptsForgotten) {
                    claim.action.attempts = claim.action.handed_back + 1;
                }
                if self.flaw == Some(Flaw::StopForgotten) {
                    claim.action.stop_requested = false;
                }
                claim
            }))
        };
        self.over("claim", claim).await
    }

    async fn beat(&self, session: SessionId, owner: ServerId, epoch: i64) -> Result<bool> {
        let beat = async {
            let beat = self.record.store.beat(session, owner, epoch).await?;
            if beat {
                self.history.add(Fact::Beat(session, epoch));
            }
            Ok(beat)
        };
        self.over("beat", beat).await
    }

    async fn release(&self, session: SessionId, owner: ServerId, epoch: i64) -> Result<()> {
        let release = async {
            let before = self.record.store.lease(session).await?;
            self.record.store.release(session, owner, epoch).await?;
            if self.record.store.lease(session).await? != before {
                self.history.add(Fact::Released(session, epoch));
            }
            Ok(())
        };
        self.over("release", release).await
    }

    async fn expire(&self, session: SessionId, seen: Lease, now: Timestamp) -> Result<bool> {
        let expire = async {
            let expired = self.record.store.expire(session, seen, now).await?;
            if expired {
                self.history.add(Fact::Expired(session, seen));
            }
            Ok(expired)
        };
        self.over("expire", expire).await
    }

    async fn wait_for_work(&self) {
        self.record.store.wait_for_work().await;
    }
}

#[async_trait]
impl Audit for Wire {
    async fn note_deed(&self, account: AccountId, deed: &Deed) -> Result<()> {
        self.over("note_deed", Audit::note_deed(&self.record.store, account, deed)).await
    }

    async fn audit(
        &self,
        account: AccountId,
        filter: &AuditFilter,
        page: AuditPage,
        limit: i64,
    ) -> Result<Vec<AuditEntry>> {
        self.over("audit", Audit::audit(&self.record.store, account, filter, page, limit)).await
    }

    async fn verify_audit(&self, account: AccountId, noted: Option<AuditMark>) -> Result<AuditVerdict> {
        self.over("verify_audit", Audit::verify_audit(&self.record.store, account, noted)).await
    }
}

#[async_trait]
impl PullRequests for Wire {
    async fn open_pull_request(&self, new: &PullRequest) -> Result<PullRequest> {
        self.over("open_pull_request", PullRequests::open_pull_request(&self.record.store, new)).await
    }

    async fn pull_request(&self, repository: RepositoryId, number: i64) -> Result<Option<PullRequest>> {
        self.over("pull_request", PullRequests::pull_request(&self.record.store, repository, number)).await
    }

    async fn pull_request_by_key(&self, repository: RepositoryId, key: &str) -> Result<Option<PullRequest>> {
        self.over("pull_request_by_key", PullRequests::pull_request_by_key(&self.record.store, repository, key)).await
    }

    async fn pull_requests(&self, repository: RepositoryId) -> Result<Vec<PullRequest>> {
        self.over("pull_requests", PullRequests::pull_requests(&self.record.store, repository)).await
    }

    async fn pull_requests_keyed(&self, repository: RepositoryId, prefix: &str) -> Result<Vec<PullRequest>> {
        let work = PullRequests::pull_requests_keyed(&self.record.store, repository, prefix);
        self.over("pull_requests_keyed", work).await
    }

    async fn update_pull_request(&self, new: &PullRequest, seen: Timestamp) -> Result<()> {
        self.over("update_pull_request", PullRequests::update_pull_request(&self.record.store, new, seen)).await
    }

    async fn add_comment(&self, repository: RepositoryId, number: i64, comment: &Comment) -> Result<()> {
        self.over("add_comment", PullRequests::add_comment(&self.record.store, repository, number, comment)).await
    }

    async fn comments(&self, repository: RepositoryId, number: i64) -> Result<Vec<Comment>> {
        self.over("comments", PullRequests::comments(&self.record.store, repository, number)).await
    }

    async fn put_thread(&self, repository: RepositoryId, number: i64, thread: &Thread) -> Result<()> {
        self.over("put_thread", PullRequests::put_thread(&self.record.store, repository, number, thread)).await
    }

    async fn threads(&self, repository: RepositoryId, number: i64) -> Result<Vec<Thread>> {
        self.over("threads", PullRequests::threads(&self.record.store, repository, number)).await
    }

    async fn put_check(&self, repository: RepositoryId, check: &Check) -> Result<()> {
        self.over("put_check", PullRequests::put_check(&self.record.store, repository, check)).await
    }

    async fn checks(&self, repository: RepositoryId, commit: &CommitId) -> Result<Vec<Check>> {
        self.over("checks", PullRequests::checks(&self.record.store, repository, commit)).await
    }
}

#[async_trait]
impl Library for Wire {
    async fn add_knowledge(&self, new: &Knowledge) -> Result<()> {
        self.over("add_knowledge", Library::add_knowledge(&self.record.store, new)).await
    }

    async fn change_knowledge(&self, new: &Knowledge, seen: i64) -> Result<()> {
        self.over("change_knowledge", Library::change_knowledge(&self.record.store, new, seen)).await
    }

    async fn remove_knowledge(&self, account: AccountId, id: KnowledgeId, seen: i64) -> Result<()> {
        self.over("remove_knowledge", Library::remove_knowledge(&self.record.store, account, id, seen)).await
    }

    async fn knowledge(&self, account: AccountId, kind: KnowledgeKind) -> Result<Vec<Knowledge>> {
        self.over("knowledge", Library::knowledge(&self.record.store, account, kind)).await
    }

    async fn piece_of_knowledge(&self, account: AccountId, id: KnowledgeId) -> Result<Option<Knowledge>> {
        self.over("piece_of_knowledge", Library::piece_of_knowledge(&self.record.store, account, id)).await
    }

    async fn lessons(&self, account: AccountId) -> Result<Vec<Lesson>> {
        self.over("lessons", Library::lessons(&self.record.store, account)).await
    }
}
