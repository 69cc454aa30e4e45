//! What every test begins with: an account, a person, a repository, sessions, and ids that count up.

use domain::{
    Account, AccountId, Action, ActionId, ActionKind, ActionState, BranchName, Budget, Change, ChangeId, ChangeKey,
    ChangeState, CommitId, EventPayload, ExecId, HostId, Mode, NoteLevel, PrMode, Repository, RepositoryId, Role, Run,
    RunId, RunState, RunbookVersion, SandboxId, SandboxRecord, SandboxState, Session, SessionId, SessionNumber, StepId,
    Timestamp, Usage, User, UserId, VersionStep,
};
use store::{ExecRow, Store};
use uuid::Uuid;

/// The n-th id of a kind, so that no two things share one.
pub fn id(kind: u8, n: u32) -> Uuid {
    Uuid::from_u128((u128::from(kind) << 96) | u128::from(n) | 1 << 120)
}

pub fn account_id(n: u32) -> AccountId {
    AccountId(id(1, n))
}

pub fn repository_id(account: u32) -> RepositoryId {
    RepositoryId(id(3, account))
}

pub fn session_id(n: u32) -> SessionId {
    SessionId(id(4, n))
}

pub fn commit_id(n: u32) -> CommitId {
    format!("{n:040x}").parse().expect("a commit")
}

pub fn branch(name: &str) -> BranchName {
    name.parse().expect("a branch")
}

/// Account `n` with a person and a repository.
pub async fn settle(store: &dyn Store, n: u32) {
    let account = account_id(n);
    store.account(&Account { id: account, name: format!("account {n}") }).await.expect("an account");
    store.user(&user(n)).await.expect("a person");
    store.add_repository(&repository(n)).await.expect("a repository");
}

pub fn user(account: u32) -> User {
    User {
        id: UserId(id(2, account)),
        account: account_id(account),
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        role: Role::Admin,
    }
}

pub fn repository(account: u32) -> Repository {
    Repository {
        id: repository_id(account),
        account: account_id(account),
        name: "engine".to_owned(),
        forge: "local".to_owned(),
        location: format!("/srv/git/{account}"),
    }
}

pub fn session(account: u32, n: u32) -> Session {
    Session {
        id: session_id(n),
        number: SessionNumber(0),
        account: account_id(account),
        repository: repository_id(account),
        requester: UserId(id(2, account)),
        title: format!("session {n}"),
        prompt: "Add an index".to_owned(),
        mode: Mode::Standard,
        pr_mode: PrMode::StackedPr,
        draft: false,
        labels: vec!["one".to_owned(), "zwei".to_owned()],
        extras: domain::Extras::default(),
        target_branch: branch("main"),
        base: commit_id(1),
        budget: Budget { tokens: Some(1_000_000), ..Budget::default() },
        run_budget: Budget::default(),
        agent_session: id(5, n),
        version: 0,
        last_event: 0,
        usage: Usage::default(),
        archived: false,
        created_at: Timestamp(1_000 + i64::from(n)),
    }
}

/// The n-th action of all, at a place of a session's queue.
pub fn action(session: u32, n: u32, position: i64) -> Action {
    Action {
        id: ActionId(id(6, n)),
        session: session_id(session),
        position,
        kind: ActionKind::Answer { message: format!("message {n}") },
        state: ActionState::Queued,
        attempts: 0,
        handed_back: 0,
        stop_requested: false,
        requested_by: None,
        created_at: Timestamp(5),
        not_before: Timestamp(0),
    }
}

pub fn run(session: u32, n: u32, action: u32, step: Option<StepId>) -> Run {
    Run {
        id: RunId(id(7, n)),
        session: session_id(session),
        action: ActionId(id(6, action)),
        step,
        state: RunState::Running,
        version: Some(1),
        agent_session: id(5, 1000 + n),
        base: None,
        commit: None,
        message: None,
        usage: Usage::default(),
        started_at: Timestamp(100 + i64::from(n)),
        finished_at: None,
    }
}

pub fn step_id(n: u32) -> StepId {
    StepId(id(8, n))
}

/// Version `version` with the leaves `leaves`.
pub fn runbook(session: u32, version: i64, leaves: &[u32]) -> RunbookVersion {
    let steps = leaves.iter().zip(1..).map(|(n, number)| VersionStep {
        id: step_id(*n),
        number: format!("{number}"),
        title: format!("step {n}"),
        leaf: true,
    });
    RunbookVersion {
        session: session_id(session),
        version,
        text: format!("# Version {version}\n"),
        steps: steps.collect(),
        author: None,
        restores: None,
        created_at: Timestamp(version),
    }
}

pub fn change(session: u32, n: u32, key: ChangeKey) -> Change {
    Change {
        id: ChangeId(id(9, n)),
        session: session_id(session),
        key,
        position: i64::from(n),
        branch: branch(&format!("runyard/r-1/{n}")),
        base_branch: branch("main"),
        base: commit_id(1),
        head: commit_id(1),
        pushed: None,
        state: ChangeState::Branch,
        pull_request: None,
        title: format!("change {n}"),
        steps: vec![],
        version: 1,
    }
}

pub fn sandbox(session: u32, n: u32) -> SandboxRecord {
    SandboxRecord {
        id: SandboxId(id(10, n)),
        session: session_id(session),
        host: HostId(id(11, 1)),
        state: SandboxState::Creating,
        base: commit_id(1),
        provider: serde_json::json!({"dir": format!("/data/{n}"), "limits": [1, 2]}),
        created_at: Timestamp(i64::from(n)),
        used_at: Timestamp(i64::from(n)),
    }
}

pub fn exec(n: u32, run: u32, sandbox: u32) -> ExecRow {
    ExecRow {
        id: ExecId(id(12, n)),
        run: RunId(id(7, run)),
        sandbox: SandboxId(id(10, sandbox)),
        purpose: "agent".to_owned(),
        consumed: 0,
        ended: None,
        created_at: Timestamp(i64::from(n)),
    }
}

pub fn note(text: impl Into<String>) -> EventPayload {
    EventPayload::Note { level: NoteLevel::Info, text: text.into() }
}

/// Everything that can be read of a session, one part a line.
pub async fn everything(store: &dyn Store, n: u32) -> String {
    let session = session_id(n);
    let mut all = vec![
        format!("{:?}", store.session(session).await.expect("reads")),
        format!("{:?}", store.events(session, 0, 1000).await.expect("reads")),
        format!("{:?}", store.runbooks(session).await.expect("reads")),
        format!("{:?}", sorted(store.steps(session).await.expect("reads"), |step| step.id)),
        format!("{:?}", store.queue(session).await.expect("reads")),
        format!("{:?}", store.runs(session).await.expect("reads")),
        format!("{:?}", store.changes(session).await.expect("reads")),
        format!("{:?}", store.requests(session).await.expect("reads")),
        format!("{:?}", store.sandboxes(session).await.expect("reads")),
        format!("{:?}", store.journal(session, "k").await.expect("reads")),
        format!("{:?}", store.transcript(id(5, 101)).await.expect("reads")),
        format!("{:?}", store.lease(session).await.expect("reads")),
    ];
    for run in store.runs(session).await.expect("reads") {
        let execs = store.execs(run.id).await.expect("reads");
        all.push(format!("{execs:?}"));
        for exec in execs {
            all.push(format!("{:?}", store.stdin_journal(exec.id).await.expect("reads")));
            all.push(format!("{:?}", store.output(exec.id, 0, u64::MAX).await.expect("reads")));
        }
    }
    all.join("\n")
}

fn sorted<T, K: Ord>(mut rows: Vec<T>, key: impl FnMut(&T) -> K) -> Vec<T> {
    rows.sort_by_key(key);
    rows
}
