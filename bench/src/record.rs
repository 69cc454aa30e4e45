//! Appending events, against the same bytes put into a bare SQLite table under the same promise of durability.

use crate::measure::{Row, Times};
use anyhow::{Result, ensure};
use domain::{
    Account, AccountId, Budget, EventPayload, Mode, NoteLevel, PrMode, Repository, RepositoryId, Role, Session,
    SessionId, SessionNumber, Timestamp, Usage, User, UserId,
};
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::path::Path;
use std::time::Instant;
use store::{Fence, SqlStore, Store as _, StoreOptions};
use uuid::Uuid;

const BATCH: usize = 100;
const REPETITIONS: usize = 60;

pub async fn append() -> Result<Vec<Row>> {
    Ok(vec![
        compare("store/append-100", "bare SQLite, one transaction", 2.0, BATCH).await?,
        compare("store/append-1", "bare SQLite, one transaction", 2.0, 1).await?,
    ])
}

async fn compare(name: &'static str, anchor: &'static str, goal: f64, batch: usize) -> Result<Row> {
    let folder = tempfile::tempdir()?;
    let session = SessionId(Uuid::from_u128(4));
    let store = prepared(&folder.path().join("ours.db"), session).await?;
    let mut bare = bare(&folder.path().join("bare.db")).await?;
    let events: Vec<EventPayload> = (0..batch).map(event).collect();
    let (mut ours, mut anchored) = (Times::default(), Times::default());
    let mut number = 0;
    for _ in 0..REPETITIONS {
        let start = Instant::now();
        store.commit(session, Fence::Open, &[], &events, Timestamp(1)).await?;
        ours.add(start.elapsed());

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
        anchored.add(start.elapsed());
    }
    let stored = store.session(session).await?.map(|session| session.last_event);
    ensure!(stored == Some(number), "ours holds {stored:?} events, the anchor {number}");
    Ok(Row::new(name, anchor, goal, &ours, &anchored))
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

async fn prepared(file: &Path, id: SessionId) -> Result<SqlStore> {
    let store = SqlStore::open(&file.display().to_string(), StoreOptions::hiding(secrets::Known::nothing())).await?;
    let account = AccountId(Uuid::from_u128(1));
    let requester = UserId(Uuid::from_u128(2));
    let repository = RepositoryId(Uuid::from_u128(3));
    store.account(&Account { id: account, name: "bench".into() }).await?;
    let user = User { id: requester, account, name: "Ada".into(), email: "ada@example.com".into(), role: Role::Admin };
    store.user(&user).await?;
    let new = Repository { id: repository, account, name: "r".into(), forge: "local".into(), location: "/r".into() };
    store.add_repository(&new).await?;
    let session = Session {
        id,
        number: SessionNumber(0),
        account,
        repository,
        requester,
        title: "bench".into(),
        prompt: "bench".into(),
        mode: Mode::Standard,
        pr_mode: PrMode::StackedPr,
        draft: false,
        labels: Vec::new(),
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
    };
    store.create_session(&session, &[], &[], Timestamp(1)).await?;
    Ok(store)
}
