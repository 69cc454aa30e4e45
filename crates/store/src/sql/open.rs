//! Opening a database: what it may be, which version it has, and bringing it up to date.

use super::{
    Database, SqlStore,
    rows::{EVENTS_CHANNEL, WORK_CHANNEL, failed},
};
use crate::{StoreError, wake::Wake};
use ::secrets::Known;
use futures::{FutureExt as _, future::ready};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool, Row as _,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::task::AbortHandle;

pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long a database may take to let somebody in.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before listening again after an error.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// How many connections may be open at once: for reading on SQLite, for everything on PostgreSQL.
    pub connections: u32,
    /// What may not be written down. There is no default: who opens a store says what is secret.
    pub known: Known,
}

impl StoreOptions {
    /// The usual ones, for a store that hides what is `known`.
    pub fn hiding(known: Known) -> Self {
        Self { connections: 8, known }
    }
}

pub(super) async fn open(location: &str, options: StoreOptions) -> Result<SqlStore, StoreError> {
    if location.starts_with("postgres:") || location.starts_with("postgresql:") {
        open_postgres(location, options).await
    } else {
        open_sqlite(location, options).await
    }
}

async fn open_sqlite(location: &str, options: StoreOptions) -> Result<SqlStore, StoreError> {
    let file = if location.starts_with("sqlite:") {
        location.parse().map_err(|error| failed("accept its URL", error))?
    } else {
        SqliteConnectOptions::new().filename(location)
    };
    check_sqlite(&file).await?;

    let file = file
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // WAL with the default of NORMAL may lose the last commits when the power fails: nothing that was acknowledged
        // may be lost.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Envelopes of removed secrets are overwritten, not only let go of.
        .pragma("secure_delete", "ON")
        .busy_timeout(PATIENCE);
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            // SQLite takes a transaction back by itself when its disk is full, which the connection does not hear of: it
            // would refuse every later one. A new connection takes its place.
            .before_acquire(|connection, _| ready(Ok(!connection.is_in_transaction())).boxed())
    };
    let unreachable = |error| failed("open", error);
    let writer = pool(1).connect_with(file.clone()).await.map_err(unreachable)?;
    faultpoint::crash_point!("crash-migration-begun");
    SQLITE.run(&writer).await.map_err(migration_failed)?;
    faultpoint::crash_point!("crash-migration-done");
    let readers = pool(options.connections.max(1));
    let readers = readers.connect_with(file.read_only(true).create_if_missing(false)).await.map_err(unreachable)?;
    let database = Database::Sqlite { readers, writer };
    Ok(SqlStore { database, known: options.known, wake: Arc::default(), listener: None, asked: Arc::default() })
}

/// Refuses a file that is not ours or that is newer, through a connection that cannot write.
pub(super) async fn check_sqlite(file: &SqliteConnectOptions) -> Result<(), StoreError> {
    let path: &Path = file.get_filename();
    if std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0) {
        return Ok(());
    }
    let unreadable = |error| failed("tell its version", error);
    let options = file.clone().read_only(true).create_if_missing(false).busy_timeout(PATIENCE);
    let mut connection = options.connect().await.map_err(unreadable)?;
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(&mut connection).await;
    let tables: Vec<String> = tables.map_err(unreadable)?.iter().map(|row| row.get(0)).collect();
    let result = if tables.iter().any(|table| table == "_sqlx_migrations") {
        let applied = sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut connection)
            .await
            .map_err(unreadable)?;
        check_versions(&SQLITE, applied.iter().map(|row| (row.get(0), row.get(1), row.get(2))))
    } else if tables.is_empty() {
        Ok(())
    } else {
        Err(StoreError::Version(format!("`{}` holds tables of another program", path.display())))
    };
    connection.close().await.map_err(unreadable)?;
    result
}

async fn open_postgres(location: &str, options: StoreOptions) -> Result<SqlStore, StoreError> {
    let server: PgConnectOptions = location.parse().map_err(|error| failed("accept its URL", error))?;
    let pool = PgPoolOptions::new().max_connections(options.connections.max(2)).acquire_timeout(PATIENCE);
    let pool = pool.connect_with(server).await.map_err(|error| failed("accept a connection", error))?;
    let mut connection = pool.acquire().await.map_err(|error| failed("accept a connection", error))?;
    check_postgres(&mut connection).await?;
    drop(connection);
    POSTGRES.run(&pool).await.map_err(migration_failed)?;
    let wake = Arc::<Wake>::default();
    let listener = listen(&pool, Arc::clone(&wake)).await?;
    Ok(SqlStore {
        database: Database::Postgres(pool),
        known: options.known,
        wake,
        listener: Some(listener),
        asked: Arc::default(),
    })
}

pub(super) async fn check_postgres(connection: &mut PgConnection) -> Result<(), StoreError> {
    let unreadable = |error| failed("tell its version", error);
    let exists = sqlx::query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await;
    if !exists.map_err(unreadable)?.get::<bool, _>(0) {
        return Ok(());
    }
    let applied = sqlx::query("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
        .fetch_all(&mut *connection)
        .await
        .map_err(unreadable)?;
    check_versions(&POSTGRES, applied.iter().map(|row| (row.get(0), row.get(1), row.get(2))))
}

fn check_versions(ours: &Migrator, applied: impl Iterator<Item = (i64, Vec<u8>, bool)>) -> Result<(), StoreError> {
    for (version, checksum, success) in applied {
        let Some(known) = ours.iter().find(|migration| migration.version == version) else {
            return Err(StoreError::Version(format!("it has migration {version}, which is not known here")));
        };
        if *known.checksum != *checksum {
            return Err(StoreError::Version(format!("its migration {version} is not the one of this version")));
        }
        if !success {
            return Err(StoreError::Version(format!("its migration {version} was left half-done")));
        }
    }
    Ok(())
}

pub(super) fn migration_failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) | MigrateError::Dirty(_) => {
            StoreError::Version(error.to_string())
        }
        error => StoreError::Database { attempt: "bring its tables up to date", source: error.into() },
    }
}

/// Hears what other servers commit. Losing the connection costs no wake-up for longer than [`crate::LONGEST_WAIT`].
async fn listen(pool: &PgPool, wake: Arc<Wake>) -> Result<AbortHandle, StoreError> {
    let unheard = |error| failed("be listened to", error);
    let mut listener = PgListener::connect_with(pool).await.map_err(unheard)?;
    listener.listen_all([EVENTS_CHANNEL, WORK_CHANNEL]).await.map_err(unheard)?;
    let task = tokio::spawn(async move {
        loop {
            match listener.recv().await {
                Ok(news) if news.channel() == WORK_CHANNEL => wake.announce_work(),
                Ok(news) => {
                    if let Ok(session) = news.payload().parse() {
                        wake.announce_events(session);
                    }
                }
                Err(sqlx::Error::PoolClosed) => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot hear what other servers commit; looking once a second instead");
                    tokio::time::sleep(LISTEN_AGAIN).await;
                }
            }
        }
    });
    Ok(task.abort_handle())
}
