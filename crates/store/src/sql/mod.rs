//! SQLite and PostgreSQL, with one text for both wherever they understand the same.

mod access;
mod accounts;
mod audit;
mod blobs;
mod copy;
mod generations;
mod library;
mod open;
mod pull_requests;
mod requests;
mod row;
mod rows;
mod runs;
mod secrets;
mod sessions;
mod statement;
mod value;
mod webhooks;
mod work;

pub use copy::{Examined, Source};
pub use open::StoreOptions;

use crate::{
    StoreError,
    backend::{Backend, Rows},
    wake::Wake,
};
use ::secrets::Known;
use async_trait::async_trait;
use rows::{Held, SqlRows, failed};
use sqlx::{Executor as _, PgPool, SqlSafeStr as _, SqlitePool};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::task::AbortHandle;

/// What lasts, in SQLite (one server) or PostgreSQL (any number of them).
pub struct SqlStore {
    database: Database,
    known: Known,
    wake: Arc<Wake>,
    listener: Option<AbortHandle>,
    /// Statements, counted.
    asked: Arc<AtomicU64>,
}

enum Database {
    /// SQLite has one writer at a time: `writer` holds a single connection, so that writers wait for each other in
    /// order instead of polling for a lock.
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    Postgres(PgPool),
}

impl SqlStore {
    /// Opens the database at `location`, makes it when it is a file that does not exist, and brings its tables up to
    /// date.
    ///
    /// `location` is a `postgres://` URL, or a `sqlite:` URL, or the path of a SQLite file. A database that was written
    /// by a newer version is refused with [`StoreError::Version`] before anything of it is touched.
    pub async fn open(location: &str, options: StoreOptions) -> Result<Self, StoreError> {
        open::open(location, options).await
    }

    /// Has the database prepare every statement, which proves that its tables are those that this version knows.
    pub async fn prepare_all(&self) -> Result<(), StoreError> {
        let statements = STATEMENTS.into_iter().flatten();
        match &self.database {
            Database::Sqlite { readers, .. } => {
                for statement in statements.filter(|statement| !statement.sqlite.is_empty()) {
                    let prepared = readers.prepare(statement.sqlite.into_sql_str()).await;
                    prepared.map_err(|error| failed(statement.attempt, error))?;
                }
            }
            Database::Postgres(pool) => {
                for statement in statements {
                    let prepared = pool.prepare(statement.postgres.into_sql_str()).await;
                    prepared.map_err(|error| failed(statement.attempt, error))?;
                }
            }
        }
        Ok(())
    }

    /// How many statements the database was asked to execute since it was opened, without those that begin and end
    /// transactions.
    pub fn statements(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// The statements whose text is not the same for both databases: what each does, and what PostgreSQL gets.
    pub fn dialect() -> Vec<(&'static str, &'static str)> {
        let statements = STATEMENTS.into_iter().flatten();
        statements
            .filter(|statement| statement.sqlite != statement.postgres)
            .map(|statement| (statement.attempt, statement.postgres))
            .collect()
    }

    /// What SQLite says of the writer's settings that promises rest on, as `name=value`; none on PostgreSQL.
    ///
    /// `synchronous=2` is `FULL`: a commit returns once it is on the disk (<https://sqlite.org/pragma.html>).
    pub async fn sqlite_settings(&self) -> Result<Option<Vec<String>>, StoreError> {
        let Database::Sqlite { writer, .. } = &self.database else { return Ok(None) };
        let pragmas = [
            ("journal_mode", "SELECT lower(journal_mode) FROM pragma_journal_mode"),
            ("synchronous", "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous"),
            ("foreign_keys", "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys"),
            ("busy_timeout", "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout"),
            ("secure_delete", "SELECT CAST(secure_delete AS TEXT) FROM pragma_secure_delete"),
        ];
        let mut settings = Vec::new();
        for (name, query) in pragmas {
            let value: String = sqlx::query_scalar(query)
                .fetch_one(writer)
                .await
                .map_err(|error| failed("tell its settings", error))?;
            settings.push(format!("{name}={value}"));
        }
        Ok(Some(settings))
    }

    /// Closes all connections; what was committed is safe with or without it.
    pub async fn close(&self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
        match &self.database {
            Database::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

impl std::fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let database = match self.database {
            Database::Sqlite { .. } => "SQLite",
            Database::Postgres(_) => "PostgreSQL",
        };
        f.debug_tuple("SqlStore").field(&database).finish()
    }
}

impl Drop for SqlStore {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

#[async_trait]
impl Backend for SqlStore {
    async fn read(&self) -> Result<Box<dyn Rows>, StoreError> {
        let rows = match &self.database {
            Database::Sqlite { readers, .. } => readers.acquire().await.map(Held::SqliteRead),
            Database::Postgres(pool) => pool.acquire().await.map(Held::PostgresRead),
        };
        let rows = rows.map_err(|error| failed("connect", error))?;
        Ok(Box::new(SqlRows::new(rows, &self.asked)))
    }

    async fn begin(&self) -> Result<Box<dyn Rows>, StoreError> {
        let rows = match &self.database {
            Database::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Held::SqliteWrite),
            Database::Postgres(pool) => pool.begin().await.map(Held::PostgresWrite),
        };
        let rows = rows.map_err(|error| failed("begin a transaction", error))?;
        Ok(Box::new(SqlRows::new(rows, &self.asked)))
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }

    fn known(&self) -> &Known {
        &self.known
    }

    async fn wipe_removed(&self) -> Result<(), StoreError> {
        let Database::Sqlite { writer, .. } = &self.database else { return Ok(()) };
        // The tables overwrite what they no longer hold (`secure_delete`); older pages may still be in the log.
        let done = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(writer).await;
        done.map(drop).map_err(|error| failed("empty its log", error))
    }

    fn lost_a_race(&self, error: &StoreError) -> bool {
        let StoreError::Database { source, .. } = error else { return false };
        let cause = source.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
        // PostgreSQL's serialization_failure and deadlock_detected.
        cause.and_then(sqlx::error::DatabaseError::code).is_some_and(|code| matches!(&*code, "40001" | "40P01"))
    }
}

/// All statements, by module.
const STATEMENTS: [&[&statement::Statement]; 14] = [
    access::STATEMENTS,
    accounts::STATEMENTS,
    audit::STATEMENTS,
    blobs::STATEMENTS,
    generations::STATEMENTS,
    library::STATEMENTS,
    pull_requests::STATEMENTS,
    requests::STATEMENTS,
    rows::STATEMENTS,
    runs::STATEMENTS,
    secrets::STATEMENTS,
    sessions::STATEMENTS,
    webhooks::STATEMENTS,
    work::STATEMENTS,
];
