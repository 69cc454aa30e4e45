//! Appending events, against the same bytes put into a bare SQLite table under the same promise of durability.

use crate::Effort;
use crate::measure::{Comparison, Goal, Row, Series};
use anyhow::{Result, ensure};
use domain::{
    Account, AccountId, Action, ActionId, ActionKind, ActionState, Budget, EventPayload, ExecId, HostId, Mode,
    NoteLevel, PrMode, Repository, RepositoryId, Role, Run, RunId, RunState, SandboxId, SandboxRecord, SandboxState,
    Session, SessionId, SessionNumber, Timestamp, Usage, User, UserId,
};
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::path::Path;
use std::time::{Duration, Instant};
use store::{ExecRow, Fence, SqlStore, Store as _, StoreOptions, Write};
use uuid::Uuid;

const BATCH: usize = 100;

pub async fn append(effort: Effort) -> Result<Vec<Row>> {
    Ok(vec![
        compare("store/events by 100", BATCH, effort.repetitions(60)).await?,
        compare("store/events one by one", 1, effort.repetitions(300)).await?,
    ])
}

async fn compare(name: &'static str, batch: usize, repetitions: usize) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let session = SessionId(Uuid::from_u128(4));
    let store = prepared(&folder.path().join("ours.db"), session).await?;
    let mut bare = bare(&folder.path().join("bare.db")).await?;
    let events: Vec<EventPayload> = (0..batch).map(event).collect();
    let (mut ours, mut anchored) = (Series::default(), Series::default());
    let mut number = 0;
    for _ in 0..repetitions {
        let start = Instant::now();
        store.commit(session, Fence::Open, &[], &events, Timestamp(1)).await?;
        ours.push(rate(batch, start.elapsed()));

        let start = Instant::now();
        let mut transaction = bare.begin_with("BEGIN IMMEDIATE").await?;
        for event in &events {
            number += 1;
            sqlx::query("INSERT INTO events (session, number, at, payload) VALUES ($1, $2, $3, $4)")
                .bind(session.0)
                .bind(number)
                .bind(1_i64)
                .bind(serde_json::to_string(event)?)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        anchored.push(rate(batch, start.elapsed()));
    }
    let stored = store.session(session).await?.map(|session| session.last_event);
    ensure!(stored == Some(number), "ours holds {stored:?} events, the anchor {number}");
    let anchor = "a bare SQLite writer, same batch";
    Ok(Comparison { name, anchor, unit: "per s", goal: Goal::AtLeast(0.5) }.of(&ours, &anchored))
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

fn event(n: usize) -> EventPayload {
    EventPayload::Note { level: NoteLevel::Info, text: format!("event {n}: {}", "words ".repeat(30)) }
}

async fn bare(file: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let table = "CREATE TABLE events (session BLOB NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, \
                 payload TEXT NOT NULL, PRIMARY KEY (session, number)) STRICT";
    sqlx::query(table).execute(&mut connection).await?;
    Ok(connection)
}

/// A record in a SQLite file with one session.
pub async fn prepared(file: &Path, id: SessionId) -> Result<SqlStore> {
    let store = SqlStore::open(&file.display().to_string(), StoreOptions::hiding(secrets::Known::nothing())).await?;
    settle(&store).await?;
    store.create_session(&session_of(id)?, &[], &[], Timestamp(1)).await?;
    Ok(store)
}

/// A process of that session, which output can belong to.
pub async fn with_exec(store: &SqlStore, session: SessionId) -> Result<ExecId> {
    let (action, run, sandbox, exec) = (Uuid::from_u128(6), Uuid::from_u128(7), Uuid::from_u128(8), Uuid::from_u128(9));
    let none = serde_json::Value::Null;
    let writes = [
        Write::Enqueue(action_of(session, action)),
        Write::AddRun(Run {
            id: RunId(run),
            session,
            action: ActionId(action),
            step: None,
            state: RunState::Running,
            version: None,
            agent_session: Uuid::from_u128(5),
            base: None,
            commit: None,
            message: None,
            usage: Usage::default(),
            started_at: Timestamp(1),
            finished_at: None,
        }),
        Write::PutSandbox(SandboxRecord {
            id: SandboxId(sandbox),
            session,
            host: HostId(Uuid::from_u128(10)),
            state: SandboxState::Creating,
            base: "0".repeat(40).parse()?,
            provider: none,
            created_at: Timestamp(1),
            used_at: Timestamp(1),
        }),
        Write::AddExec(ExecRow {
            id: ExecId(exec),
            run: RunId(run),
            sandbox: SandboxId(sandbox),
            purpose: "bench".into(),
            consumed: 0,
            ended: None,
            created_at: Timestamp(1),
        }),
    ];
    store.commit(session, Fence::Open, &writes, &[], Timestamp(1)).await?;
    Ok(ExecId(exec))
}

/// The first action of a session.
pub fn action_of(session: SessionId, id: Uuid) -> Action {
    Action {
        id: ActionId(id),
        session,
        position: 1,
        kind: ActionKind::Plan,
        state: ActionState::Queued,
        attempts: 0,
        handed_back: 0,
        stop_requested: false,
        requested_by: None,
        created_at: Timestamp(1),
        not_before: Timestamp(0),
    }
}

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1));
const REQUESTER: UserId = UserId(Uuid::from_u128(2));
const REPOSITORY: RepositoryId = RepositoryId(Uuid::from_u128(3));

/// An account with a person and a repository.
pub async fn settle(store: &SqlStore) -> Result<()> {
    store.account(&Account { id: ACCOUNT, name: "bench".into() }).await?;
    let email = "ada@example.com".into();
    store.user(&User { id: REQUESTER, account: ACCOUNT, name: "Ada".into(), email, role: Role::Admin }).await?;
    let (name, forge, location) = ("r".into(), "local".into(), "/r".into());
    store.add_repository(&Repository { id: REPOSITORY, account: ACCOUNT, name, forge, location }).await?;
    Ok(())
}

/// A session of that account, as it is made.
pub fn session_of(id: SessionId) -> Result<Session> {
    Ok(Session {
        id,
        number: SessionNumber(0),
        account: ACCOUNT,
        repository: REPOSITORY,
        requester: REQUESTER,
        title: "bench".into(),
        prompt: "bench".into(),
        mode: Mode::Standard,
        pr_mode: PrMode::StackedPr,
        draft: false,
        labels: Vec::new(),
        extras: domain::Extras::default(),
        target_branch: "main".parse()?,
        base: "0".repeat(40).parse()?,
        budget: Budget::default(),
        run_budget: Budget::default(),
        agent_session: Uuid::from_u128(5),
        version: 0,
        last_event: 0,
        usage: Usage::default(),
        archived: false,
        created_at: Timestamp(1),
    })
}
