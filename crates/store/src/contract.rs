//! What the rooms above may ask of the store.

use crate::{Audit, FoundSessions, SessionSearch, StoreError, library::Library, pull_request::PullRequests};
use async_trait::async_trait;
use domain::{
    Account, AccountId, Action, ActionId, ActionState, BlobHash, Change, ChangeId, Event, EventPayload, ExecId,
    Generation, Knowledge, KnowledgeId, Lease, Moment, Repository, RepositoryId, Request, RequestId, RequestState,
    Role, Run, RunEvent, RunId, RunbookVersion, SandboxId, SandboxRecord, ServerId, Session, SessionId, SessionNumber,
    Step, StepEvent, StepId, Timestamp, Usage, User, UserId,
};
use std::time::Duration;

/// The most that [`Store::events`] gives out at once, in bytes of payload: whoever reads slowly holds no more in memory.
pub const EVENTS_BYTES: usize = 1 << 20;

/// What lasts. Three implementations behave alike: SQLite, PostgreSQL and memory (for simulation).
///
/// Everything about a session goes through one door, [`Store::commit`]: state changes, events and what is queued next
/// are one transaction, guarded by the lease's epoch and by the states that were read.
#[async_trait]
pub trait Store: PullRequests + Library + Audit + Send + Sync {
    // ---- the record itself --------------------------------------------------------------------------------------

    /// Which life of the record this is; `first` begins the record when it is new.
    async fn generation(&self, first: &Generation) -> Result<Generation, StoreError>;

    /// Notes that what was done outside after the backup was looked up. Another life's note changes nothing.
    async fn settle_generation(&self, instance: uuid::Uuid) -> Result<(), StoreError>;

    // ---- accounts, people, repositories -------------------------------------------------------------------------

    /// The account with this name, made when there is none.
    async fn account(&self, new: &Account) -> Result<Account, StoreError>;

    /// The person with this mail address in the account, made when there is none; their name is brought up to date.
    async fn user(&self, new: &User) -> Result<User, StoreError>;

    /// A person by id.
    async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// How many people of an account have a role.
    async fn count_users(&self, account: AccountId, role: Role) -> Result<i64, StoreError>;

    /// Registers a repository. Fails with [`StoreError::Conflict`] when the name is taken by another location.
    async fn add_repository(&self, new: &Repository) -> Result<Repository, StoreError>;

    /// A repository by id.
    async fn repository(&self, id: RepositoryId) -> Result<Option<Repository>, StoreError>;

    /// The account's repositories by name.
    async fn repositories(&self, account: AccountId) -> Result<Vec<Repository>, StoreError>;

    // ---- sessions -----------------------------------------------------------------------------------------------

    /// Makes a session with its first writes and events in one transaction. Its number is the account's next one;
    /// what `new.number`, `new.version`, `new.last_event` and `new.usage` hold is ignored.
    async fn begin_session(
        &self,
        new: &Session,
        writes: &[Write],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Session, StoreError>;

    /// Makes a session with its first actions, as [`Self::begin_session`] does.
    async fn create_session(
        &self,
        new: &Session,
        actions: &[Action],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Session, StoreError> {
        let writes: Vec<_> = actions.iter().cloned().map(Write::Enqueue).collect();
        self.begin_session(new, &writes, events, now).await
    }

    /// A session by id.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// A session by its number.
    async fn session_numbered(&self, account: AccountId, number: SessionNumber) -> Result<Option<Session>, StoreError>;

    /// The account's sessions, newest first.
    async fn sessions(&self, account: AccountId, filter: &SessionFilter) -> Result<Vec<Session>, StoreError>;

    /// The account's sessions that match, newest first; of a bounded number of them.
    async fn find_sessions(&self, account: AccountId, search: &SessionSearch) -> Result<FoundSessions, StoreError>;

    /// The one door: checks the fence, applies every write in order, appends the events, or changes nothing.
    ///
    /// Errors: [`StoreError::Fenced`] when the lease's epoch is no longer `fence`'s; [`StoreError::Stale`] when a state
    /// or version is not the one that the write expects, or an action would end before its runs do;
    /// [`StoreError::Refused`] when a state machine refuses.
    async fn commit(
        &self,
        session: SessionId,
        fence: Fence,
        writes: &[Write],
        events: &[EventPayload],
        now: Timestamp,
    ) -> Result<Committed, StoreError>;

    /// Events with numbers above `after`, in order: at most `limit`, and after the first only as many as fit into
    /// [`EVENTS_BYTES`]. None means that there are none.
    async fn events(&self, session: SessionId, after: i64, limit: i64) -> Result<Vec<Event>, StoreError>;

    /// Completes when the session may have events above `after`, or another server's write may have woken it; spurious
    /// wake-ups happen, missed ones do not last longer than a second.
    async fn wait_for_events(&self, session: SessionId, after: i64);

    // ---- reads of one session -----------------------------------------------------------------------------------

    /// A version of the runbook; the newest when `version` is none.
    async fn runbook(&self, session: SessionId, version: Option<i64>) -> Result<Option<RunbookVersion>, StoreError>;

    /// All versions, oldest first.
    async fn runbooks(&self, session: SessionId) -> Result<Vec<RunbookVersion>, StoreError>;

    /// The state of every leaf that ever was a leaf, in no order.
    async fn steps(&self, session: SessionId) -> Result<Vec<Step>, StoreError>;

    /// Actions that are queued, running or waiting, by position.
    async fn queue(&self, session: SessionId) -> Result<Vec<Action>, StoreError>;

    /// Every action of a session, done or not, by position and time.
    async fn actions(&self, session: SessionId) -> Result<Vec<Action>, StoreError>;

    /// A number that rises with every event of every session of the account: whoever saw it knows that nothing happened
    /// since as long as it is the same.
    async fn pulse(&self, account: AccountId) -> Result<i64, StoreError>;

    /// An action by id.
    async fn action(&self, id: ActionId) -> Result<Option<Action>, StoreError>;

    /// Runs of a session, oldest first.
    async fn runs(&self, session: SessionId) -> Result<Vec<Run>, StoreError>;

    /// Changes of a session by position in the stack.
    async fn changes(&self, session: SessionId) -> Result<Vec<Change>, StoreError>;

    /// Requests of a session, oldest first.
    async fn requests(&self, session: SessionId) -> Result<Vec<Request>, StoreError>;

    /// The sandboxes of a session that are not destroyed, oldest first.
    async fn sandboxes(&self, session: SessionId) -> Result<Vec<SandboxRecord>, StoreError>;

    /// All sandboxes that are not destroyed, of all sessions.
    async fn live_sandboxes(&self) -> Result<Vec<SandboxRecord>, StoreError>;

    /// The execs of a run, oldest first.
    async fn execs(&self, run: RunId) -> Result<Vec<ExecRow>, StoreError>;

    /// Every line that was journaled for an exec's stdin, in order.
    async fn stdin_journal(&self, exec: ExecId) -> Result<Vec<StdinLine>, StoreError>;

    /// An exec of a session; none when it is another session's.
    async fn exec(&self, session: SessionId, id: ExecId) -> Result<Option<ExecRow>, StoreError>;

    /// The stored chunks of an exec's output that touch `from..to`, in order.
    async fn output(&self, exec: ExecId, from: u64, to: u64) -> Result<Vec<OutputChunk>, StoreError>;

    /// What was noted under `key` by [`Write::Journal`].
    async fn journal(&self, session: SessionId, key: &str) -> Result<Option<serde_json::Value>, StoreError>;

    /// Everything that was noted under keys that begin with `prefix`, by key.
    async fn notes(&self, session: SessionId, prefix: &str) -> Result<Vec<(String, serde_json::Value)>, StoreError>;

    /// A change by id.
    async fn change(&self, id: ChangeId) -> Result<Option<Change>, StoreError>;

    /// The newest archived transcript of an agent's conversation.
    async fn transcript(&self, agent_session: uuid::Uuid) -> Result<Option<BlobHash>, StoreError>;

    // ---- queue and leases ---------------------------------------------------------------------------------------

    /// Takes the next action that may run and the lease of its session, in one transaction.
    ///
    /// An action may run when it is queued, its `not_before` has passed, it is the first of its session's queue by
    /// position, no other action of the session is running, the session's lease is free, and fewer than
    /// `limits.per_account` sessions of its account are leased. Among sessions the one that was served longest ago goes
    /// first. The claimed action is `Running` with one more attempt. Never gives one action to two claimants.
    async fn claim(&self, owner: ServerId, limits: ClaimLimits, now: Timestamp) -> Result<Option<Claim>, StoreError>;

    /// Raises the beat of a lease. False when it is no longer the caller's: stop at once.
    async fn beat(&self, session: SessionId, owner: ServerId, epoch: i64) -> Result<bool, StoreError>;

    /// Gives a lease back, keeping its epoch. A lease that is no longer the caller's is left alone.
    ///
    /// An action that is still running goes back to `Queued`, its attempt counted as lost: without a lease nobody would
    /// ever work on it again.
    async fn release(&self, session: SessionId, owner: ServerId, epoch: i64) -> Result<(), StoreError>;

    /// All leases that somebody holds.
    async fn leases(&self) -> Result<Vec<(SessionId, Lease)>, StoreError>;

    /// The lease of a session, none when it was never held. The epoch lasts when nobody holds it: then the owner is the
    /// nil UUID.
    async fn lease(&self, session: SessionId) -> Result<Option<Lease>, StoreError>;

    /// Takes over the lease of a silent owner if it still is exactly `seen`, by compare-and-set on epoch and beat: the
    /// epoch rises, the session's running action goes back to `Queued` (its attempt counts as lost) and the lease is
    /// left free for [`Store::claim`]. False when it was not `seen` any more.
    async fn expire(&self, session: SessionId, seen: Lease, now: Timestamp) -> Result<bool, StoreError>;

    /// When the earliest queued action that waits for its `not_before` may run.
    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Completes when something may have been queued; at the latest after a second.
    async fn wait_for_work(&self);

    // ---- blobs --------------------------------------------------------------------------------------------------

    /// Stores bytes under their hash, in chunks of at most 256 KiB; storing again changes nothing.
    async fn put_blob(&self, bytes: &[u8]) -> Result<BlobHash, StoreError>;

    /// The bytes of a blob, checked against its hash.
    async fn blob(&self, hash: BlobHash) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Which sessions a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only archived ones, only others, or all.
    pub archived: Option<bool>,
    /// Only those of one repository.
    pub repository: Option<RepositoryId>,
    /// Only those with numbers below this one: for paging.
    pub before: Option<SessionNumber>,
    /// Only those that this person asked for.
    pub requester: Option<UserId>,
    /// Only those with a change on this branch.
    pub branch: Option<String>,
    /// So many of the newest are left out.
    pub skip: i64,
    /// At most this many; 0 means 50.
    pub limit: i64,
}

/// Under which right a write happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// A worker's, under its lease: refused when the session's lease is not held by this owner with this epoch.
    Lease {
        /// The worker's server.
        owner: ServerId,
        /// The epoch that it was given.
        epoch: i64,
    },
    /// A person's: guarded by the states that the writes expect alone.
    Open,
}

/// One guarded change of a session's state.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Adds a version of the runbook: its number must be the newest plus one ([`StoreError::Stale`] otherwise). Rows
    /// for leaves that are new are made (not started, with the given agent conversation each).
    AddRunbook(RunbookVersion, Vec<(StepId, uuid::Uuid)>),
    /// Moves a step through its state machine from a state that must be `from`.
    Step {
        /// The step.
        id: StepId,
        /// The state that was read.
        from: domain::StepState,
        /// What happens to it.
        event: StepEvent,
    },
    /// Puts an action into the queue. Its position must be free among those that are queued, running or waiting
    /// ([`StoreError::Stale`] otherwise: read the queue again).
    Enqueue(Action),
    /// Moves an action through its state machine from a state that must be `from`.
    Action {
        /// The action.
        id: ActionId,
        /// The state that was read.
        from: ActionState,
        /// The new state.
        to: ActionState,
        /// The new earliest start, when it goes back into the queue.
        not_before: Option<Timestamp>,
        /// True when the attempt ended in good order and is not to be counted as lost.
        handed_back: bool,
    },
    /// Replaces what is asked, such as the runbook version of a queued step.
    ActionKind(ActionId, domain::ActionKind),
    /// Asks the worker of an action to stop it; one that is done or removed refuses.
    RequestStop(ActionId),
    /// Adds a run, running.
    AddRun(Run),
    /// Moves a run through its state machine from a state that must be `from`.
    Run {
        /// The run.
        id: RunId,
        /// The state that was read.
        from: domain::RunState,
        /// What happens to it.
        event: RunEvent,
        /// Why, in words for people; none keeps what was said before.
        message: Option<String>,
    },
    /// Notes the commit that a run started from.
    RunBase(RunId, domain::CommitId),
    /// Notes the commit that a run's work became.
    RunCommit(RunId, domain::CommitId),
    /// Books usage on the run, its step (if it has one) and its session.
    Spend(RunId, Usage),
    /// Adds a change or replaces the one with its id; the state machine guards its state. Fails with
    /// [`StoreError::Conflict`] when another change of the session has the same key.
    PutChange(Change),
    /// Adds a request.
    AddRequest(Request),
    /// Moves a request through its state machine: an answer wins only when it is still open ([`StoreError::Refused`]).
    Request(RequestId, RequestState),
    /// Adds a sandbox or replaces the row with its id; the state machine guards its state.
    PutSandbox(SandboxRecord),
    /// Adds an exec, before it is started.
    AddExec(ExecRow),
    /// Notes how far an exec's output was taken in, and its end once it ended.
    ExecProgress {
        /// The exec.
        id: ExecId,
        /// The offset up to which events were made; it never falls ([`StoreError::Stale`]).
        consumed: u64,
        /// How it ended, in the words of its provider; none keeps what was noted before.
        ended: Option<String>,
    },
    /// Journals a line before it is written to an exec's stdin. The same `seq` again must be the same line.
    Stdin(StdinLine),
    /// Notes that bytes of an exec's output are stored in a blob. The same chunk again changes nothing.
    Output(OutputChunk),
    /// Notes the newest transcript of an agent's conversation.
    Transcript(uuid::Uuid, BlobHash),
    /// Puts the session away or takes it out again.
    Archive(bool),

    /// Sets what the session and each of its runs may use.
    Budget {
        /// The session.
        session: domain::Budget,
        /// Each run.
        run: domain::Budget,
    },
    /// Sets the session's title.
    Title(String),
    /// Sets what its pull requests are labelled with, and what the first one's body begins with.
    Describe {
        /// All labels.
        labels: Vec<String>,
        /// The text.
        description: Option<String>,
    },
    /// Sets the session's persona; none: the defaults.
    Persona(Option<KnowledgeId>),
    /// Counts a use of each of these; what is gone meanwhile is passed over.
    UsedKnowledge(Vec<KnowledgeId>),
    /// Adds a learning that a run of the session taught. When the account has one that is alike it stays as it is, and is
    /// noted as taught by this run too.
    Learn(Box<Knowledge>, RunId, Moment),
    /// Notes an intended or a finished act outside under a key that is unique within the session; the same key again
    /// replaces what was noted.
    Journal(String, serde_json::Value),
}

/// What a commit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The number of the session's newest event after it.
    pub last_event: i64,
}

/// One process that a run started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRow {
    /// Its id.
    pub id: ExecId,
    /// The run that started it.
    pub run: RunId,
    /// The sandbox that it is in.
    pub sandbox: SandboxId,
    /// What it is for, such as `agent`, `check`, `script`, `export`.
    pub purpose: String,
    /// The offset of its output up to which events were made.
    pub consumed: u64,
    /// How it ended; none while it runs.
    pub ended: Option<String>,
    /// When it was intended.
    pub created_at: Timestamp,
}

/// One line for an exec's stdin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StdinLine {
    /// The exec.
    pub exec: ExecId,
    /// 1, 2, 3 … within the exec.
    pub seq: i64,
    /// What it answers or carries: a message's uuid or a control request's id.
    pub key: String,
    /// The line without its end.
    pub line: String,
}

/// Bytes of an exec's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// The exec.
    pub exec: ExecId,
    /// The offset of the first byte.
    pub from: u64,
    /// The offset after the last byte.
    pub to: u64,
    /// Where the bytes are.
    pub blob: BlobHash,
}

/// How much may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimLimits {
    /// Sessions of one account that may be worked on at once.
    pub per_account: i64,
}

/// An action that the caller may now work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its session.
    pub session: Session,
    /// The action, `Running`, its attempt counted.
    pub action: Action,
    /// The lease on the session.
    pub lease: Lease,
}

/// How long `wait_for_events` and `wait_for_work` wait at most.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);
