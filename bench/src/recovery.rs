//! A server that starts on a record with 100,000 queued actions: how long until it works on the first.

use crate::Effort;
use crate::measure::{Comparison, Goal, Row, Series};
use crate::record::{action_of, prepared};
use anyhow::{Context as _, Result};
use domain::{ServerId, SessionId, Timestamp};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use std::time::Instant;
use store::{ClaimLimits, Fence, SqlStore, Store as _, StoreOptions, Write};
use uuid::Uuid;

const QUEUED: usize = 100_000;
/// The limit of the reliability plan.
const LIMIT_MS: f64 = 3000.0;

pub async fn first_claim(effort: Effort) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("record.db");
    let first = SessionId(Uuid::from_u128(1));
    let store = prepared(&file, first).await?;
    let action = action_of(first, Uuid::from_u128(2));
    store.commit(first, Fence::Open, &[Write::Enqueue(action)], &[], Timestamp(1)).await?;
    store.close().await;
    multiply(&file.display().to_string()).await?;

    let mut ours = Series::default();
    for n in 0..effort.repetitions(20) {
        let start = Instant::now();
        let store =
            SqlStore::open(&file.display().to_string(), StoreOptions::hiding(secrets::Known::nothing())).await?;
        // What a server does before its first claim: it takes over what a dead one held.
        let held = store.leases().await?;
        for (session, lease) in held {
            store.expire(session, lease, Timestamp(2)).await?;
        }
        let owner = ServerId(Uuid::from_u128(100 + n as u128));
        let claimed = store.claim(owner, ClaimLimits { per_account: i64::MAX }, Timestamp(2)).await?;
        ours.add(start.elapsed());
        claimed.context("nothing was queued")?;
        store.close().await;
    }
    let row = Comparison {
        name: "recovery/100k queued",
        anchor: "the limit: 3 s to the first claim",
        unit: "ms",
        goal: Goal::AtMost(1.0),
    };
    Ok(vec![row.with(&ours, LIMIT_MS)])
}

/// Makes the one session, its lease and its action many. Only the bench writes past the store: it is not measured.
async fn multiply(location: &str) -> Result<()> {
    let mut connection = SqliteConnection::connect(location).await?;
    let columns = |names: &'static str| names.split_whitespace().collect::<Vec<_>>();
    let many = format!("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {QUEUED}) ");
    let mut transaction = connection.begin().await?;
    for (table, rest) in [
        (
            "sessions",
            "account repository requester title prompt mode pr_mode draft labels target_branch base budget run_budget \
             agent_session version last_event usage archived created_at",
        ),
        ("leases", "account owner epoch beat"),
        ("actions", "position kind state attempts handed_back stop_requested requested_by created_at not_before"),
    ] {
        let rest = columns(rest).join(", ");
        // The n-th session and what belongs to it are named by n.
        let name = "CAST(printf('%016d', n) AS BLOB)";
        let (own, values) = match table {
            "sessions" => ("id, number, served", format!("{name}, n + 1, n + 1")),
            "leases" => ("session", name.to_owned()),
            _ => ("id, session", format!("{name}, {name}")),
        };
        let insert =
            format!("{many} INSERT INTO {table} ({own}, {rest}) SELECT {values}, {rest} FROM n, {table} WHERE true");
        sqlx::query(AssertSqlSafe(insert)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(connection.close().await?)
}
