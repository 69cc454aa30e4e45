//! What the shared logic asks of a database, row by row.
//!
//! The rules (who may write, what a state machine allows, what is stale) are written once in `door`; a backend only
//! keeps rows. So SQLite, PostgreSQL and memory cannot disagree about a rule.

use crate::{
    Check, Comment, ExecRow, OutputChunk, PullRequest, Reseal, SealedSecret, SessionFilter, StdinLine, StoreError,
    Thread, audit::AuditPage, wake::Wake,
};
use async_trait::async_trait;
use domain::{
    Account, AccountId, Action, ActionId, ActionState, AuditEntry, AuditFilter, AuditIndex, AuditMark, BearerHash,
    BlobHash, Change, ChangeId, ChangeKey, ChangeState, CommitId, Delivery, DeliveryId, DeliveryState, Errand, Event,
    ExecId, Generation, Identity, Knowledge, KnowledgeId, KnowledgeKind, Lease, Lesson, Link, LinkId, Member,
    Repository, RepositoryId, Request, RequestId, RequestState, Role, Run, RunId, RunState, RunbookVersion, SandboxId,
    SandboxRecord, SandboxState, ServerId, Session, SessionId, SessionNumber, SignIn, SignInId, Step, StepId,
    StepState, Timestamp, Token, TokenId, User, UserId, Webhook, WebhookId,
};
use secrets::Known;
use serde_json::Value as Json;
use uuid::Uuid;

type Result<T> = std::result::Result<T, StoreError>;

/// A place that keeps rows.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Rows to read from.
    async fn read(&self) -> Result<Box<dyn Rows>>;

    /// A transaction; dropped without [`Rows::commit`] it changes nothing.
    async fn begin(&self) -> Result<Box<dyn Rows>>;

    /// Who waits for what.
    fn wake(&self) -> &Wake;

    /// What may not be written down.
    fn known(&self) -> &Known;

    /// Overwrites what is left of removed rows outside of the tables, as far as it can.
    async fn wipe_removed(&self) -> Result<()>;

    /// True when the transaction lost against another one and may win when it is tried again.
    fn lost_a_race(&self, error: &StoreError) -> bool;
}

/// What other servers should hear of when a transaction commits.
#[derive(Debug, Clone, Copy)]
pub enum News {
    /// A session has new events.
    Events(SessionId),
    /// Something may have been queued.
    Work,
}

/// The row of a session's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRow {
    /// Who holds it.
    pub owner: Option<ServerId>,
    /// Rises with every holder and every take-over.
    pub epoch: i64,
    /// Rises while the holder lives.
    pub beat: i64,
}

/// All rows, in a transaction or outside.
#[async_trait]
pub trait Rows:
    AccountRows
    + GenerationRows
    + SessionRows
    + WorkRows
    + RunRows
    + RequestRows
    + BlobRows
    + PullRequestRows
    + SecretRows
    + AccessRows
    + LibraryRows
    + AuditRows
    + WebhookRows
    + Send
{
    /// Tells other servers once the transaction commits.
    async fn announce(&mut self, news: News) -> Result<()>;

    /// Makes what was written last.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Takes back what was written and lets go of what was locked before it returns; a drop does so some time later.
    async fn roll_back(self: Box<Self>);
}

/// Which life of the record this is.
#[async_trait]
pub trait GenerationRows {
    async fn generation(&mut self) -> Result<Option<Generation>>;
    /// Adds it unless there is one.
    async fn add_generation(&mut self, new: &Generation) -> Result<()>;
    /// Notes that what was done outside after the backup was looked up, if it still is this life.
    async fn settle_generation(&mut self, instance: Uuid) -> Result<()>;
}

/// Accounts, people, repositories.
#[async_trait]
pub trait AccountRows {
    /// Adds an account unless its name is taken.
    async fn add_account(&mut self, new: &Account) -> Result<()>;
    async fn account(&mut self, id: AccountId) -> Result<Option<Account>>;
    async fn account_named(&mut self, name: &str) -> Result<Option<Account>>;
    /// Holds back other transactions that lock the account; none when it does not exist.
    async fn lock_account(&mut self, id: AccountId) -> Result<bool>;
    async fn next_session_number(&mut self, account: AccountId) -> Result<i64>;
    /// Adds a person, or brings the name of the one with this mail address up to date.
    async fn put_user(&mut self, new: &User) -> Result<()>;
    async fn user(&mut self, id: UserId) -> Result<Option<User>>;
    async fn user_with_mail(&mut self, account: AccountId, email: &str) -> Result<Option<User>>;
    async fn count_users(&mut self, account: AccountId, role: Role) -> Result<i64>;
    /// Adds a repository unless its name is taken.
    async fn add_repository(&mut self, new: &Repository) -> Result<()>;
    async fn repository(&mut self, id: RepositoryId) -> Result<Option<Repository>>;
    async fn repository_named(&mut self, account: AccountId, name: &str) -> Result<Option<Repository>>;
    async fn repositories(&mut self, account: AccountId) -> Result<Vec<Repository>>;
}

/// Sessions, their events and the versions of their runbooks.
#[async_trait]
pub trait SessionRows {
    /// Adds a session and the row of its lease; it counts as served just now.
    async fn add_session(&mut self, new: &Session) -> Result<()>;
    async fn session(&mut self, id: SessionId) -> Result<Option<Session>>;
    async fn session_numbered(&mut self, account: AccountId, number: SessionNumber) -> Result<Option<Session>>;
    /// Events and sessions of the account, counted.
    async fn pulse(&mut self, account: AccountId) -> Result<i64>;
    /// Newest first; the filter's limit is taken as it is.
    async fn sessions(&mut self, account: AccountId, filter: &SessionFilter) -> Result<Vec<Session>>;
    /// The branches of changes of the sessions with these numbers, each of the two included.
    async fn branches(
        &mut self,
        account: AccountId,
        oldest: SessionNumber,
        newest: SessionNumber,
    ) -> Result<Vec<(SessionId, String)>>;
    /// Takes `count` event numbers and holds back other transactions of the session: the newest number after it.
    async fn take_event_numbers(&mut self, id: SessionId, count: i64) -> Result<Option<i64>>;
    /// Writes title, version, usage and whether it is archived.
    async fn put_session(&mut self, session: &Session) -> Result<()>;
    /// Adds one event, its payload as JSON text.
    async fn add_event(&mut self, session: SessionId, number: i64, at: Timestamp, payload: &str) -> Result<()>;
    async fn events(&mut self, session: SessionId, after: i64, limit: i64) -> Result<Vec<Event>>;
    async fn last_event(&mut self, session: SessionId) -> Result<Option<i64>>;
    async fn add_runbook(&mut self, new: &RunbookVersion) -> Result<()>;
    /// The newest when `version` is none.
    async fn runbook(&mut self, session: SessionId, version: Option<i64>) -> Result<Option<RunbookVersion>>;
    async fn runbooks(&mut self, session: SessionId) -> Result<Vec<RunbookVersion>>;
    async fn add_step(&mut self, new: &Step) -> Result<()>;
    async fn step(&mut self, id: StepId) -> Result<Option<Step>>;
    async fn steps(&mut self, session: SessionId) -> Result<Vec<Step>>;
    /// Writes state and usage; false when its state is not `from`.
    async fn put_step(&mut self, step: &Step, from: StepState) -> Result<bool>;
    async fn put_note(&mut self, session: SessionId, key: &str, note: &Json) -> Result<()>;
    async fn note(&mut self, session: SessionId, key: &str) -> Result<Option<Json>>;
    /// Those whose keys begin so, in no order.
    async fn notes(&mut self, session: SessionId, prefix: &str) -> Result<Vec<(String, Json)>>;
}

/// The queue and the leases.
#[async_trait]
pub trait WorkRows {
    async fn add_action(&mut self, new: &Action) -> Result<()>;
    async fn action(&mut self, id: ActionId) -> Result<Option<Action>>;
    /// Writes everything that can change; false when its state is not `from`.
    async fn put_action(&mut self, action: &Action, from: ActionState) -> Result<bool>;
    /// What is queued, running or waiting, by position.
    async fn queue(&mut self, session: SessionId) -> Result<Vec<Action>>;
    /// All of a session, by time and position.
    async fn actions(&mut self, session: SessionId) -> Result<Vec<Action>>;
    /// A free session whose first action may run, the one served longest ago, locked against other transactions.
    async fn candidate(&mut self, per_account: i64, now: Timestamp) -> Result<Option<SessionId>>;
    /// Puts a session at the end of the line.
    async fn mark_served(&mut self, session: SessionId) -> Result<()>;
    async fn count_leased(&mut self, account: AccountId) -> Result<i64>;
    async fn lease(&mut self, session: SessionId) -> Result<Option<LeaseRow>>;
    async fn leases(&mut self) -> Result<Vec<(SessionId, Lease)>>;
    /// Replaces the lease when it still is exactly `from`.
    async fn put_lease(&mut self, session: SessionId, from: LeaseRow, to: LeaseRow) -> Result<bool>;
    /// Raises the beat of a lease that is held so.
    async fn beat(&mut self, session: SessionId, owner: ServerId, epoch: i64) -> Result<bool>;
    async fn next_due(&mut self, now: Timestamp) -> Result<Option<Timestamp>>;
}

/// Runs, their processes and what these read and wrote.
#[async_trait]
pub trait RunRows {
    async fn add_run(&mut self, new: &Run) -> Result<()>;
    async fn run(&mut self, id: RunId) -> Result<Option<Run>>;
    async fn runs(&mut self, session: SessionId) -> Result<Vec<Run>>;
    /// Writes everything that can change; false when its state is not `from`.
    async fn put_run(&mut self, run: &Run, from: RunState) -> Result<bool>;
    async fn add_exec(&mut self, new: &ExecRow) -> Result<()>;
    async fn exec(&mut self, id: ExecId) -> Result<Option<ExecRow>>;
    async fn execs(&mut self, run: RunId) -> Result<Vec<ExecRow>>;
    /// Writes how far it was taken in and how it ended.
    async fn put_exec(&mut self, exec: &ExecRow) -> Result<()>;
    async fn add_stdin(&mut self, new: &StdinLine) -> Result<()>;
    async fn stdin_line(&mut self, exec: ExecId, seq: i64) -> Result<Option<StdinLine>>;
    async fn stdin_lines(&mut self, exec: ExecId) -> Result<Vec<StdinLine>>;
    async fn add_output(&mut self, new: &OutputChunk) -> Result<()>;
    /// The chunk that starts at exactly `from`.
    async fn output_at(&mut self, exec: ExecId, from: u64) -> Result<Option<OutputChunk>>;
    /// The chunks that end after `from` and begin before `to`, in order.
    async fn output(&mut self, exec: ExecId, from: u64, to: u64) -> Result<Vec<OutputChunk>>;
    async fn put_transcript(&mut self, agent_session: Uuid, blob: BlobHash) -> Result<()>;
    async fn transcript(&mut self, agent_session: Uuid) -> Result<Option<BlobHash>>;
}

/// Changes, requests and sandboxes.
#[async_trait]
pub trait RequestRows {
    async fn add_change(&mut self, new: &Change) -> Result<()>;
    async fn change(&mut self, id: ChangeId) -> Result<Option<Change>>;
    async fn change_with_key(&mut self, session: SessionId, key: ChangeKey) -> Result<Option<Change>>;
    async fn changes(&mut self, session: SessionId) -> Result<Vec<Change>>;
    /// Writes everything but id and session; false when its state is not `from`.
    async fn put_change(&mut self, change: &Change, from: ChangeState) -> Result<bool>;
    async fn add_request(&mut self, new: &Request) -> Result<()>;
    async fn request(&mut self, id: RequestId) -> Result<Option<Request>>;
    async fn requests(&mut self, session: SessionId) -> Result<Vec<Request>>;
    /// Writes the state; false when it is not `from`.
    async fn put_request(&mut self, id: RequestId, from: &RequestState, to: &RequestState) -> Result<bool>;
    async fn add_sandbox(&mut self, new: &SandboxRecord) -> Result<()>;
    async fn sandbox(&mut self, id: SandboxId) -> Result<Option<SandboxRecord>>;
    /// Those that are not destroyed, of one session or of all.
    async fn sandboxes(&mut self, session: Option<SessionId>) -> Result<Vec<SandboxRecord>>;
    /// Writes everything but id, session and creation time; false when its state is not `from`.
    async fn put_sandbox(&mut self, sandbox: &SandboxRecord, from: SandboxState) -> Result<bool>;
}

/// Blobs.
#[async_trait]
pub trait BlobRows {
    /// Adds a blob unless it is there: false when it was.
    async fn add_blob(&mut self, hash: BlobHash, size: i64) -> Result<bool>;
    async fn add_blob_chunk(&mut self, hash: BlobHash, number: i64, data: &[u8]) -> Result<()>;
    /// Its size in bytes.
    async fn blob_size(&mut self, hash: BlobHash) -> Result<Option<i64>>;
    async fn blob_chunks(&mut self, hash: BlobHash) -> Result<Vec<Vec<u8>>>;
}

/// Sealed secrets.
#[async_trait]
pub trait SecretRows {
    /// Adds a secret unless its name is taken: false when it was.
    async fn add_secret(&mut self, new: &SealedSecret) -> Result<bool>;
    /// Replaces value and time; false when there is none with this id, account and name.
    async fn put_secret(&mut self, new: &SealedSecret) -> Result<bool>;
    /// Replaces the value when it still is the one that was seen.
    async fn reseal_secret(&mut self, reseal: &Reseal) -> Result<bool>;
    async fn remove_secret(&mut self, account: AccountId, name: &str) -> Result<bool>;
    /// By name.
    async fn secrets(&mut self, account: AccountId) -> Result<Vec<SealedSecret>>;
}

/// Pull requests of the local forge.
#[async_trait]
pub trait PullRequestRows {
    /// Holds back other transactions that lock the repository: how many pull requests it has.
    async fn lock_repository(&mut self, id: RepositoryId) -> Result<Option<i64>>;
    /// Adds a pull request, which must have the repository's next number.
    async fn add_pull_request(&mut self, new: &PullRequest) -> Result<()>;
    async fn pull_request(&mut self, repository: RepositoryId, number: i64) -> Result<Option<PullRequest>>;
    async fn pull_request_with_key(&mut self, repository: RepositoryId, key: &str) -> Result<Option<PullRequest>>;
    async fn pull_requests(&mut self, repository: RepositoryId) -> Result<Vec<PullRequest>>;
    /// Those whose keys begin so, by number.
    async fn pull_requests_keyed(&mut self, repository: RepositoryId, prefix: &str) -> Result<Vec<PullRequest>>;
    /// Replaces what can change; false when it was not updated last at `seen`.
    async fn put_pull_request(&mut self, new: &PullRequest, seen: Timestamp) -> Result<bool>;
    /// Adds a comment unless its id is taken.
    async fn add_comment(&mut self, repository: RepositoryId, number: i64, comment: &Comment) -> Result<()>;
    async fn comments(&mut self, repository: RepositoryId, number: i64) -> Result<Vec<Comment>>;
    /// Takes the place of the pull request's next thread.
    async fn next_thread(&mut self, repository: RepositoryId, number: i64) -> Result<i64>;
    /// Adds a thread at a place, or replaces what the one with its id says.
    async fn put_thread(&mut self, at: (RepositoryId, i64), position: i64, thread: &Thread) -> Result<()>;
    async fn threads(&mut self, repository: RepositoryId, number: i64) -> Result<Vec<Thread>>;
    async fn put_check(&mut self, repository: RepositoryId, check: &Check) -> Result<()>;
    async fn checks(&mut self, repository: RepositoryId, commit: &CommitId) -> Result<Vec<Check>>;
}

/// What teams know.
#[async_trait]
pub trait LibraryRows {
    /// Adds a row unless its id is taken or the account has one that is alike: false when so.
    async fn add_knowledge(&mut self, new: &Knowledge) -> Result<bool>;
    /// Writes version, piece, author and time of change; false when there is none with this id, account and version.
    async fn put_knowledge(&mut self, new: &Knowledge, seen: i64) -> Result<bool>;
    /// False when there is none with this id, account and version.
    async fn remove_knowledge(&mut self, account: AccountId, id: KnowledgeId, seen: i64) -> Result<bool>;
    /// Counts one use; of what is gone, none.
    async fn used_knowledge(&mut self, id: KnowledgeId, now: Timestamp) -> Result<()>;
    /// Oldest first.
    async fn knowledge(&mut self, account: AccountId, kind: KnowledgeKind) -> Result<Vec<Knowledge>>;
    async fn piece_of_knowledge(&mut self, account: AccountId, id: KnowledgeId) -> Result<Option<Knowledge>>;
    /// The one with this likeness.
    async fn alike(&mut self, account: AccountId, likeness: &str) -> Result<Option<Knowledge>>;
    /// Notes which run taught a learning, unless that is noted.
    async fn add_lesson(&mut self, lesson: &Lesson) -> Result<()>;
    async fn forget_lessons(&mut self, learning: KnowledgeId) -> Result<()>;
    /// Of learnings that are there, oldest first.
    async fn lessons(&mut self, account: AccountId) -> Result<Vec<Lesson>>;
}

/// People with what they come in with.
#[async_trait]
pub trait AccessRows {
    /// By name.
    async fn members(&mut self, account: AccountId) -> Result<Vec<Member>>;
    async fn member(&mut self, id: UserId) -> Result<Option<Member>>;
    /// The active person with this mail address and a password, and the password.
    async fn credentials(&mut self, account: AccountId, email: &str) -> Result<Option<(Member, String)>>;
    /// Writes name, role and whether they are active.
    async fn put_member(&mut self, member: &Member) -> Result<()>;
    async fn put_password(&mut self, id: UserId, password: &str) -> Result<()>;
    /// How many admins of the account are active.
    async fn count_admins(&mut self, account: AccountId) -> Result<i64>;
    async fn add_sign_in(&mut self, new: &SignIn, hash: BearerHash) -> Result<()>;
    /// Of an active person.
    async fn sign_in(&mut self, hash: BearerHash) -> Result<Option<SignIn>>;
    async fn used_sign_in(&mut self, id: SignInId, now: Timestamp) -> Result<()>;
    /// Newest first.
    async fn sign_ins(&mut self, user: UserId) -> Result<Vec<SignIn>>;
    async fn end_sign_in(&mut self, id: SignInId) -> Result<()>;
    /// How many were ended.
    async fn end_sign_ins(&mut self, user: UserId, except: Option<SignInId>) -> Result<u64>;
    async fn end_stale_sign_ins(&mut self, before: Timestamp) -> Result<u64>;
    async fn add_token(&mut self, new: &Token, hash: BearerHash) -> Result<()>;
    /// Of the account, or of an active person.
    async fn token(&mut self, hash: BearerHash) -> Result<Option<Token>>;
    async fn used_token(&mut self, id: TokenId, now: Timestamp) -> Result<()>;
    /// Newest first.
    async fn tokens(&mut self, account: AccountId) -> Result<Vec<Token>>;
    async fn remove_token(&mut self, account: AccountId, id: TokenId) -> Result<bool>;
    /// All of a person.
    async fn remove_tokens(&mut self, user: UserId) -> Result<()>;
    async fn add_link(&mut self, new: &Link, hash: BearerHash) -> Result<()>;
    /// Removes those with account, purpose and mail address of `new`.
    async fn remove_older_links(&mut self, new: &Link) -> Result<()>;
    async fn link(&mut self, hash: BearerHash) -> Result<Option<Link>>;
    /// Not too old at `now`, newest first.
    async fn links(&mut self, account: AccountId, now: Timestamp) -> Result<Vec<Link>>;
    async fn remove_link(&mut self, account: AccountId, id: LinkId) -> Result<bool>;
    async fn add_errand(&mut self, new: &Errand, hash: BearerHash) -> Result<()>;
    async fn errand(&mut self, hash: BearerHash) -> Result<Option<Errand>>;
    /// False when there is none.
    async fn remove_errand(&mut self, hash: BearerHash) -> Result<bool>;
    /// Removes those that are too old at `now`.
    async fn remove_late_errands(&mut self, now: Timestamp) -> Result<()>;
    /// Adds an identity, or notes that it was used.
    async fn put_identity(&mut self, identity: &Identity) -> Result<()>;
    async fn identity(&mut self, account: AccountId, issuer: &str, subject: &str) -> Result<Option<Identity>>;
    /// Oldest first.
    async fn identities(&mut self, account: AccountId) -> Result<Vec<Identity>>;
}

/// The audit log.
#[async_trait]
pub trait AuditRows {
    /// Adds an entry, which must have the account's next number.
    async fn add_audit(&mut self, account: AccountId, new: &AuditEntry, by: &AuditIndex) -> Result<()>;
    /// The newest entry.
    async fn last_audit(&mut self, account: AccountId) -> Result<Option<AuditMark>>;
    /// Those that a folded filter lets through.
    async fn audit(
        &mut self,
        account: AccountId,
        filter: &AuditFilter,
        page: AuditPage,
        limit: i64,
    ) -> Result<Vec<AuditEntry>>;
    /// Those with numbers above `after`, oldest first, with what they are found by.
    async fn chained(&mut self, account: AccountId, after: i64, limit: i64) -> Result<Vec<(AuditEntry, AuditIndex)>>;
}

/// Webhooks and their deliveries.
#[async_trait]
pub trait WebhookRows {
    async fn add_webhook(&mut self, new: &Webhook) -> Result<()>;
    /// Writes everything but id, account and creation time.
    async fn put_webhook(&mut self, webhook: &Webhook) -> Result<()>;
    /// Removes it with its deliveries.
    async fn remove_webhook(&mut self, id: WebhookId) -> Result<()>;
    /// By name.
    async fn webhooks(&mut self, account: AccountId) -> Result<Vec<Webhook>>;
    /// Adds one unless its id is there.
    async fn add_delivery(&mut self, new: &Delivery) -> Result<()>;
    /// Writes state, attempts, next attempt and the last one's end; false when state or attempts are not these.
    async fn put_delivery(&mut self, delivery: &Delivery, from: DeliveryState, attempts: i64) -> Result<bool>;
    async fn delivery(&mut self, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>>;
    /// Newest first.
    async fn deliveries(
        &mut self,
        webhook: WebhookId,
        before: Option<(Timestamp, DeliveryId)>,
        limit: i64,
    ) -> Result<Vec<Delivery>>;
    /// What may be tried and is not held back by an earlier one of its session, longest due first.
    async fn due_deliveries(&mut self, webhook: WebhookId, now: Timestamp, limit: i64) -> Result<Vec<Delivery>>;
    /// The earliest time at which one of an active webhook is due.
    async fn next_delivery(&mut self, account: AccountId) -> Result<Option<Timestamp>>;
    /// Gives up what waits.
    async fn give_up_deliveries(&mut self, webhook: WebhookId) -> Result<()>;
    /// Removes those that do not wait and are older, or are not among the newest; how many.
    async fn remove_old_deliveries(&mut self, webhook: WebhookId, before: Timestamp, keep: i64) -> Result<u64>;
    /// Removes those of webhooks that are gone; how many.
    async fn remove_stray_deliveries(&mut self) -> Result<u64>;
}
