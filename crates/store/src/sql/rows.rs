//! Statements on one connection or in one transaction, of either database.

use super::{row::Row, statement::Statement, value::Value};
use crate::{
    StoreError,
    backend::{News, Rows},
};
use async_trait::async_trait;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection, Transaction, pool::PoolConnection};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The channel of `NOTIFY` on which a session's id says that it has new events.
pub(super) const EVENTS_CHANNEL: &str = "runyard_events";
/// The channel of `NOTIFY` that says that something may have been queued.
pub(super) const WORK_CHANNEL: &str = "runyard_work";

super::statement::statements! {
    NOTIFY("tell other servers") = "", "SELECT pg_notify($1, $2)";
}

/// One connection for reading, or a transaction.
pub(crate) struct SqlRows {
    link: Held,
    /// How many statements the store was asked.
    asked: Arc<AtomicU64>,
}

pub(crate) enum Held {
    SqliteRead(PoolConnection<Sqlite>),
    SqliteWrite(Transaction<'static, Sqlite>),
    PostgresRead(PoolConnection<Postgres>),
    PostgresWrite(Transaction<'static, Postgres>),
}

enum Link<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

macro_rules! bind {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Uuid(value) => query.bind(value),
            };
        }
        query
    }};
}

impl SqlRows {
    pub(super) fn new(link: Held, asked: &Arc<AtomicU64>) -> Self {
        Self { link, asked: Arc::clone(asked) }
    }

    /// The rows that a statement gives.
    pub(super) async fn all(&mut self, statement: &Statement, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        match self.link() {
            Link::Sqlite(link) => bind!(sqlx::query(statement.sqlite), values)
                .fetch_all(link)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
            Link::Postgres(link) => bind!(sqlx::query(statement.postgres), values)
                .fetch_all(link)
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        }
        .map_err(|error| failed(statement.attempt, error))
    }

    /// The rows that a statement gives, for as long as `take` wants more; the rest is not read.
    pub(super) async fn each(
        &mut self,
        statement: &Statement,
        values: Vec<Value>,
        mut take: impl FnMut(&Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut rows = match self.link() {
            Link::Sqlite(link) => bind!(sqlx::query(statement.sqlite), values).fetch(link).map_ok(Row::Sqlite).boxed(),
            Link::Postgres(link) => {
                bind!(sqlx::query(statement.postgres), values).fetch(link).map_ok(Row::Postgres).boxed()
            }
        };
        while let Some(row) = rows.try_next().await.map_err(|error| failed(statement.attempt, error))? {
            if !take(&row)? {
                break;
            }
        }
        Ok(())
    }

    /// The only row that a statement gives, if it gives one.
    pub(super) async fn one(&mut self, statement: &Statement, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.all(statement, values).await?.into_iter().next())
    }

    /// How many rows a statement wrote.
    pub(super) async fn write(&mut self, statement: &Statement, values: Vec<Value>) -> Result<u64, StoreError> {
        match self.link() {
            Link::Sqlite(link) => {
                bind!(sqlx::query(statement.sqlite), values).execute(link).await.map(|done| done.rows_affected())
            }
            Link::Postgres(link) => {
                bind!(sqlx::query(statement.postgres), values).execute(link).await.map(|done| done.rows_affected())
            }
        }
        .map_err(|error| failed(statement.attempt, error))
    }

    /// Where the next statement goes, which is counted.
    fn link(&mut self) -> Link<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match &mut self.link {
            Held::SqliteRead(link) => Link::Sqlite(link),
            Held::SqliteWrite(link) => Link::Sqlite(link),
            Held::PostgresRead(link) => Link::Postgres(link),
            Held::PostgresWrite(link) => Link::Postgres(link),
        }
    }
}

#[async_trait]
impl Rows for SqlRows {
    async fn announce(&mut self, news: News) -> Result<(), StoreError> {
        if matches!(self.link, Held::SqliteRead(_) | Held::SqliteWrite(_)) {
            return Ok(());
        }
        let (channel, payload) = match news {
            News::Events(session) => (EVENTS_CHANNEL, session.to_string()),
            News::Work => (WORK_CHANNEL, String::new()),
        };
        self.all(&NOTIFY, super::value::values![channel, payload]).await.map(drop)
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        match self.link {
            Held::SqliteWrite(transaction) => transaction.commit().await,
            Held::PostgresWrite(transaction) => transaction.commit().await,
            Held::SqliteRead(_) | Held::PostgresRead(_) => Ok(()),
        }
        .map_err(|error| failed("commit", error))
    }

    async fn roll_back(self: Box<Self>) {
        let result = match self.link {
            Held::SqliteWrite(transaction) => transaction.rollback().await,
            Held::PostgresWrite(transaction) => transaction.rollback().await,
            Held::SqliteRead(_) | Held::PostgresRead(_) => Ok(()),
        };
        if let Err(error) = result {
            // The connection is broken: the database takes the transaction back by itself.
            tracing::debug!(%error, "a transaction could not be rolled back");
        }
    }
}

/// The error of a statement that was to `attempt`.
pub(super) fn failed(attempt: &'static str, error: sqlx::Error) -> StoreError {
    match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => {
            StoreError::Conflict { what: "row", detail: format!("failed to {attempt}: {cause}") }
        }
        _ => StoreError::Database { attempt, source: error.into() },
    }
}
