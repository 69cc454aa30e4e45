//! The action queue on PostgreSQL, against the barest queue that promises the same: one row claimed by `SKIP LOCKED` in
//! one transaction, finished in another.

use crate::Effort;
use crate::measure::{Comparison, Goal, Row, Series};
use crate::postgres::Postgres;
use crate::record::{action_of, rate, session_of, settle};
use anyhow::{Context as _, Result, ensure};
use domain::{ActionState, ServerId, SessionId, Timestamp};
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Executor as _, PgPool};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use store::{ClaimLimits, Fence, SqlStore, Store as _, StoreOptions, Write};
use uuid::Uuid;

const WORKERS: usize = 10;
const LIMITS: ClaimLimits = ClaimLimits { per_account: i64::MAX };

pub async fn all(effort: Effort) -> Result<Vec<Row>> {
    let server = Postgres::start().await?;
    let store = Arc::new(
        SqlStore::open(
            &server.url(),
            StoreOptions { connections: 16, ..StoreOptions::hiding(secrets::Known::nothing()) },
        )
        .await?,
    );
    settle(&store).await?;
    let pool = PgPoolOptions::new().max_connections(16).connect(&server.url()).await?;
    pool.execute("CREATE TABLE raw_jobs (id BIGSERIAL PRIMARY KEY, state TEXT NOT NULL DEFAULT 'queued')").await?;
    pool.execute("CREATE INDEX raw_queued ON raw_jobs (id) WHERE state = 'queued'").await?;

    let count = effort.repetitions(1000);
    let (mut ours, mut raw) = (Series::default(), Series::default());
    for round in 0..3 {
        ours.push(drain(&store, round, count).await?);
        raw.push(drain_raw(&pool, count).await?);
    }
    let (mut picked, mut picked_raw) = (Series::default(), Series::default());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("raw_jobs").await?;
    for n in 0..effort.repetitions(100) {
        picked.add(pick_up(&store, n).await?);
        picked_raw.add(pick_up_raw(&pool, &mut listener).await?);
    }
    store.close().await;
    pool.close().await;
    let actions = Comparison {
        name: "queue/actions per second",
        anchor: "SKIP LOCKED, two transactions",
        unit: "per s",
        goal: Goal::AtLeast(0.7),
    };
    let pickup =
        Comparison { name: "queue/pickup", anchor: "INSERT, NOTIFY, claim", unit: "ms", goal: Goal::AtMost(1.5) };
    Ok(vec![actions.of(&ours, &raw), pickup.of(&picked, &picked_raw)])
}

/// Queues so many actions, each of a session of its own, and has all workers do nothing for them: how many per second.
async fn drain(store: &Arc<SqlStore>, round: usize, count: usize) -> Result<f64> {
    for n in 0..count {
        let id = SessionId(Uuid::from_u128(((round as u128 + 1) << 64) | n as u128));
        let session = session_of(id)?;
        let action = action_of(id, Uuid::from_u128(((round as u128 + 1) << 96) | n as u128));
        store.create_session(&session, &[action], &[], Timestamp(1)).await?;
    }
    let done = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        let (store, done) = (Arc::clone(store), Arc::clone(&done));
        workers.spawn(async move {
            let owner = ServerId(Uuid::from_u128(77));
            while done.load(Ordering::Relaxed) < count {
                let Some(claim) = store.claim(owner, LIMITS, Timestamp(2)).await? else { continue };
                finish(&store, owner, &claim).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(rate(count, start.elapsed()))
}

async fn finish(store: &SqlStore, owner: ServerId, claim: &store::Claim) -> Result<()> {
    let write = Write::Action {
        id: claim.action.id,
        from: ActionState::Running,
        to: ActionState::Done,
        not_before: None,
        handed_back: true,
    };
    let fence = Fence::Lease { owner, epoch: claim.lease.epoch };
    store.commit(claim.session.id, fence, &[write], &[], Timestamp(2)).await?;
    Ok(store.release(claim.session.id, owner, claim.lease.epoch).await?)
}

const CLAIM_RAW: &str = "UPDATE raw_jobs SET state = 'running' WHERE id = (SELECT id FROM raw_jobs
    WHERE state = 'queued' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id";

async fn drain_raw(pool: &PgPool, count: usize) -> Result<f64> {
    let insert = "INSERT INTO raw_jobs (state) SELECT 'queued' FROM generate_series(1, $1)";
    sqlx::query(insert).bind(i64::try_from(count)?).execute(pool).await?;
    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        let pool = pool.clone();
        workers.spawn(async move {
            while let Some(id) = sqlx::query_scalar::<_, i64>(CLAIM_RAW).fetch_optional(&pool).await? {
                sqlx::query("UPDATE raw_jobs SET state = 'done' WHERE id = $1").bind(id).execute(&pool).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(rate(count, start.elapsed()))
}

/// From asking for an action to its claim by a worker that waited for it.
async fn pick_up(store: &Arc<SqlStore>, n: usize) -> Result<Duration> {
    let id = SessionId(Uuid::from_u128((9 << 64) | n as u128));
    let session = session_of(id)?;
    store.create_session(&session, &[], &[], Timestamp(1)).await?;
    let owner = ServerId(Uuid::from_u128(78));
    let worker = tokio::spawn({
        let store = Arc::clone(store);
        async move {
            loop {
                if let Some(claim) = store.claim(owner, LIMITS, Timestamp(2)).await? {
                    return anyhow::Ok((Instant::now(), claim));
                }
                store.wait_for_work().await;
            }
        }
    });
    // Until the worker waits; it would otherwise find the action by looking.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    let action = action_of(id, Uuid::from_u128((9 << 96) | n as u128));
    store.commit(id, Fence::Open, &[Write::Enqueue(action)], &[], Timestamp(1)).await?;
    let (claimed, claim) = worker.await??;
    ensure!(claim.session.id == id, "another session was claimed");
    finish(store, owner, &claim).await?;
    Ok(claimed.duration_since(start))
}

async fn pick_up_raw(pool: &PgPool, listener: &mut PgListener) -> Result<Duration> {
    let start = Instant::now();
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO raw_jobs DEFAULT VALUES").execute(&mut *transaction).await?;
    sqlx::query("SELECT pg_notify('raw_jobs', '')").execute(&mut *transaction).await?;
    transaction.commit().await?;
    listener.recv().await?;
    let id = sqlx::query_scalar::<_, i64>(CLAIM_RAW).fetch_optional(pool).await?.context("nothing was queued")?;
    let took = start.elapsed();
    sqlx::query("UPDATE raw_jobs SET state = 'done' WHERE id = $1").bind(id).execute(pool).await?;
    Ok(took)
}
