//! Whole records: a consistent copy while servers work on it, looking at a copy closely, and putting one in place.
//!
//! A copy is a SQLite file whichever database the record is in, so that there is one kind of backup, and a record can
//! move from one database to the other. Tables and columns are read from the schema: what a later migration adds is
//! copied as well.

use super::{
    open::{POSTGRES, SQLITE, check_postgres, check_sqlite},
    rows::{Held, SqlRows, failed},
};
use crate::backend::GenerationRows as _;
use crate::{SqlStore, StoreError, StoreOptions};
use domain::{BlobHash, Generation};
use futures::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::{
    AssertSqlSafe, ColumnIndex, ConnectOptions as _, Connection as _, Database, Decode, PgConnection, Row,
    SqliteConnection, Type,
    postgres::PgConnectOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a database may take to let a copy begin.
const PATIENCE: Duration = Duration::from_secs(30);

macro_rules! bind {
    ($query:expr, $cell:expr) => {
        match $cell {
            Cell::Int(value) => $query.bind(value),
            Cell::Bool(value) => $query.bind(value),
            Cell::Text(value) => $query.bind(value),
            Cell::Bytes(value) => $query.bind(value),
            Cell::Uuid(value) => $query.bind(value),
        }
    };
}
/// What a copy was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL database.
    Postgres,
}

/// What a copy holds, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The newest migration that it went through.
    pub migration: i64,
    /// The life of the record; none when no server of this version worked on it.
    pub generation: Option<Generation>,
    /// Rows by table.
    pub rows: BTreeMap<String, i64>,
    /// What is wrong, for people; empty when it is whole.
    pub wrong: Vec<String>,
}

impl SqlStore {
    /// Writes a consistent copy of the record at `location` (as for [`SqlStore::open`]), as of one moment, to a new
    /// SQLite file. Servers go on working meanwhile. The record itself is not touched, and not brought up to date.
    pub async fn copy(location: &str, to: &Path) -> Result<Source, StoreError> {
        if is_postgres(location) {
            copy_postgres(location, to).await?;
            return Ok(Source::Postgres);
        }
        let file: SqliteConnectOptions = sqlite(location)?.read_only(true).create_if_missing(false);
        check_sqlite(&file).await?;
        let mut connection = file.connect().await.map_err(|error| failed("open", error))?;
        // Beside being a snapshot it leaves free pages behind, and with them what was deleted.
        let copied = sqlx::query("VACUUM INTO $1").bind(text(to)?).execute(&mut connection).await;
        copied.map_err(|error| failed("write a copy", error))?;
        connection.close().await.map_err(|error| failed("close", error))?;
        Ok(Source::Sqlite)
    }

    /// Roughly how many bytes a copy of the record at `location` takes.
    pub async fn size(location: &str) -> Result<u64, StoreError> {
        let (size,): (i64,) = if is_postgres(location) {
            let mut connection = postgres(location).await?;
            sqlx::query_as("SELECT pg_database_size(current_database())").fetch_one(&mut connection).await
        } else {
            let file = sqlite(location)?.read_only(true).create_if_missing(false);
            let mut connection = file.connect().await.map_err(|error| failed("open", error))?;
            let pages = "SELECT p.page_count * s.page_size FROM pragma_page_count p, pragma_page_size s";
            sqlx::query_as(pages).fetch_one(&mut connection).await
        }
        .map_err(|error| failed("tell its size", error))?;
        Ok(u64::try_from(size).unwrap_or(0))
    }

    /// Looks at every page, every reference, every blob and every session's numbering of a copy.
    pub async fn examine(file: &Path) -> Result<Examined, StoreError> {
        let options = sqlite(&text(file)?)?.read_only(true).create_if_missing(false);
        check_sqlite(&options).await?;
        let mut connection = options.clone().connect().await.map_err(|error| failed("open", error))?;
        let wrong = wrong(&mut connection).await.map_err(|error| failed("examine a copy", error))?;
        let (mut rows, mut migration) = (BTreeMap::new(), 0);
        if wrong.is_empty() {
            for table in tables(&mut connection).await? {
                let count = format!("SELECT count(*) FROM {}", quoted(&table));
                let counted = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut connection).await;
                rows.insert(table, counted.map_err(|error| failed("count rows", error))?);
            }
            migration = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
                .fetch_one(&mut connection)
                .await
                .map_err(|error| failed("tell its version", error))?;
        }
        connection.close().await.map_err(|error| failed("close", error))?;
        let generation = if rows.contains_key("generation") {
            let readers = sqlx::SqlitePool::connect_with(options).await.map_err(|error| failed("open", error))?;
            let link = readers.acquire().await.map_err(|error| failed("open", error))?;
            SqlRows::new(Held::SqliteRead(link), &Arc::default()).generation().await?
        } else {
            None
        };
        Ok(Examined { migration, generation, rows, wrong })
    }

    /// Whether the PostgreSQL database at `location` holds sessions already.
    pub async fn is_in_use(location: &str) -> Result<bool, StoreError> {
        let mut connection = postgres(location).await?;
        let there = sqlx::query_scalar("SELECT to_regclass('sessions') IS NOT NULL").fetch_one(&mut connection).await;
        if !there.map_err(|error| failed("tell what it holds", error))? {
            return Ok(false);
        }
        let some = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sessions)").fetch_one(&mut connection).await;
        some.map_err(|error| failed("tell what it holds", error))
    }

    /// Puts a copy, which must be up to date, into a PostgreSQL database in one transaction, instead of whatever record
    /// is there.
    pub async fn fill_postgres(location: &str, from: &Path) -> Result<(), StoreError> {
        // Makes the tables when there are none.
        Self::open(location, StoreOptions::hiding(::secrets::Known::nothing())).await?.close().await;
        let options = sqlite(&text(from)?)?.read_only(true).create_if_missing(false);
        let mut source = options.connect().await.map_err(|error| failed("open", error))?;
        let mut target = postgres(location).await?;
        let filled = async {
            let mut transaction = target.begin().await?;
            let order = parents_first(&mut source).await?;
            let all = order.iter().map(|table| quoted(table)).collect::<Vec<_>>().join(", ");
            // What is replaced as a whole is another record, with an audit log of its own.
            let emptied = format!(
                "ALTER TABLE audit DISABLE TRIGGER audit_is_not_emptied; TRUNCATE {all};
                 ALTER TABLE audit ENABLE TRIGGER audit_is_not_emptied"
            );
            sqlx::raw_sql(AssertSqlSafe(emptied)).execute(&mut *transaction).await?;
            for table in order {
                let columns = columns(&mut transaction, &table).await?;
                let (select, insert) = texts(&table, &columns);
                let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut source);
                while let Some(row) = rows.try_next().await? {
                    let mut query = sqlx::query(AssertSqlSafe(insert.clone()));
                    for (at, (_, kind)) in columns.iter().enumerate() {
                        query = bind!(query, cell(&row, at, *kind)?);
                    }
                    query.execute(&mut *transaction).await?;
                }
            }
            transaction.commit().await
        };
        filled.await.map_err(|error| failed("take a copy in", error))
    }
}

/// One value of a row, with its type also when it is absent.
enum Cell {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
}

/// The types of columns that we use, by PostgreSQL's names for them.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Int,
    Bool,
    Text,
    Bytes,
    Uuid,
}

fn cell<'r, R>(row: &'r R, at: usize, kind: Kind) -> sqlx::Result<Cell>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    R::Database: Database,
{
    Ok(match kind {
        Kind::Int => Cell::Int(row.try_get(at)?),
        Kind::Bool => Cell::Bool(row.try_get(at)?),
        Kind::Text => Cell::Text(row.try_get(at)?),
        Kind::Bytes => Cell::Bytes(row.try_get(at)?),
        Kind::Uuid => Cell::Uuid(row.try_get(at)?),
    })
}

async fn copy_postgres(location: &str, to: &Path) -> Result<(), StoreError> {
    let mut source = postgres(location).await?;
    check_postgres(&mut source).await?;
    let newest: Option<i64> =
        match sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut source).await {
            Ok(newest) => newest,
            Err(error) => return Err(failed("tell its version", error)),
        };
    let ours = POSTGRES.iter().map(|migration| migration.version).max();
    if newest != ours {
        let detail = format!("it is at migration {newest:?} and this version at {ours:?}; start `runyard serve` once");
        return Err(StoreError::Version(detail));
    }
    let options =
        sqlite(&text(to)?)?.create_if_missing(true).journal_mode(SqliteJournalMode::Memory).foreign_keys(false);
    let mut target = options.connect().await.map_err(|error| failed("write a copy", error))?;
    SQLITE.run_direct(None, &mut target, false).await.map_err(super::open::migration_failed)?;
    let copied = async {
        sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut source).await?;
        let mut transaction = target.begin().await?;
        for table in parents_first(&mut transaction).await? {
            let columns = columns(&mut source, &table).await?;
            let (select, insert) = texts(&table, &columns);
            let mut rows = sqlx::query(AssertSqlSafe(select)).fetch(&mut source);
            while let Some(row) = rows.try_next().await? {
                let mut query = sqlx::query(AssertSqlSafe(insert.clone()));
                for (at, (_, kind)) in columns.iter().enumerate() {
                    query = bind!(query, cell(&row, at, *kind)?);
                }
                query.execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        sqlx::query("COMMIT").execute(&mut source).await?;
        target.close().await
    };
    copied.await.map_err(|error| failed("write a copy", error))
}

/// Statements that read and write all columns of a table.
fn texts(table: &str, columns: &[(String, Kind)]) -> (String, String) {
    let names = columns.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", ");
    let places = (1..=columns.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let table = quoted(table);
    (format!("SELECT {names} FROM {table}"), format!("INSERT INTO {table} ({names}) VALUES ({places})"))
}

/// The columns of a table as PostgreSQL knows them: its types are the finer ones.
async fn columns(postgres: &mut PgConnection, table: &str) -> sqlx::Result<Vec<(String, Kind)>> {
    let query = "SELECT column_name::text, data_type::text FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
    let columns: Vec<(String, String)> = sqlx::query_as(query).bind(table).fetch_all(postgres).await?;
    let kind = |name: &str| match name {
        "bigint" => Ok(Kind::Int),
        "boolean" => Ok(Kind::Bool),
        "text" => Ok(Kind::Text),
        "bytea" => Ok(Kind::Bytes),
        "uuid" => Ok(Kind::Uuid),
        other => Err(sqlx::Error::Protocol(format!("a column of `{table}` has the type {other}"))),
    };
    columns.into_iter().map(|(name, data_type)| Ok((name, kind(&data_type)?))).collect()
}

/// The tables of a record, each after those that it refers to.
async fn parents_first(sqlite: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let references: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT t.name, f.\"table\" FROM sqlite_master t LEFT JOIN pragma_foreign_key_list(t.name) f
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite|_%' ESCAPE '|' AND t.name <> '_sqlx_migrations'
         ORDER BY t.name",
    )
    .fetch_all(sqlite)
    .await?;
    let mut waiting: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (table, parent) in references {
        let parents = waiting.entry(table.clone()).or_default();
        parents.extend(parent.filter(|parent| *parent != table));
    }
    let mut order: Vec<String> = Vec::new();
    while !waiting.is_empty() {
        let ready: Vec<String> = waiting
            .iter()
            .filter(|(_, parents)| parents.iter().all(|parent| order.contains(parent)))
            .map(|(table, _)| table.clone())
            .collect();
        if ready.is_empty() {
            return Err(sqlx::Error::Protocol(format!("the tables {:?} refer to each other", waiting.keys())));
        }
        waiting.retain(|table, _| !ready.contains(table));
        order.extend(ready);
    }
    Ok(order)
}

async fn tables(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    let mut tables = parents_first(connection).await.map_err(|error| failed("list its tables", error))?;
    tables.sort();
    Ok(tables)
}

/// How many complaints of one kind are told.
const FEW: usize = 5;

async fn wrong(connection: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let pages: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(5)").fetch_all(&mut *connection).await?;
    let mut wrong: Vec<String> = pages.into_iter().filter(|line| line != "ok").collect();
    if !wrong.is_empty() {
        return Ok(wrong);
    }
    let loose: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT \"table\" || ' refers to a row of ' || parent || ' that is missing' FROM pragma_foreign_key_check",
    )
    .fetch_all(&mut *connection)
    .await?;
    wrong.extend(loose);
    let gaps: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT s.number, s.last_event, count(e.number), coalesce(max(e.number), 0)
         FROM sessions s LEFT JOIN events e ON e.session = s.id GROUP BY s.id
         HAVING s.last_event <> count(e.number) OR s.last_event <> coalesce(max(e.number), 0)",
    )
    .fetch_all(&mut *connection)
    .await?;
    wrong.extend(gaps.into_iter().take(FEW).map(|(session, last, count, max)| {
        format!("session r/{session} has {count} events up to {max} and should have {last}")
    }));
    wrong.extend(damaged_blobs(connection).await?);
    Ok(wrong)
}

async fn damaged_blobs(connection: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut at: Option<(BlobHash, Sha256)> = None;
    let mut check = |done: Option<(BlobHash, Sha256)>| {
        if let Some((hash, digest)) = done
            && digest.finalize()[..] != hash.0
            && wrong.len() < FEW
        {
            wrong.push(format!("the bytes of blob {hash} are not those that were stored"));
        }
    };
    {
        let chunks = "SELECT b.hash, c.data FROM blobs b LEFT JOIN blob_chunks c ON c.hash = b.hash
            ORDER BY b.hash, c.number";
        let mut chunks = sqlx::query_as::<_, (Vec<u8>, Option<Vec<u8>>)>(chunks).fetch(connection);
        while let Some((hash, data)) = chunks.try_next().await? {
            let hash =
                BlobHash(hash.try_into().map_err(|_| sqlx::Error::Protocol("a hash of the wrong length".into()))?);
            if at.as_ref().is_none_or(|(known, _)| *known != hash) {
                check(at.replace((hash, Sha256::new())));
            }
            if let Some((_, digest)) = &mut at {
                digest.update(data.unwrap_or_default());
            }
        }
    }
    check(at);
    Ok(wrong)
}

fn is_postgres(location: &str) -> bool {
    location.starts_with("postgres:") || location.starts_with("postgresql:")
}

fn sqlite(location: &str) -> Result<SqliteConnectOptions, StoreError> {
    let file = if location.starts_with("sqlite:") {
        location.parse().map_err(|error| failed("accept its URL", error))?
    } else {
        SqliteConnectOptions::new().filename(location)
    };
    Ok(file.busy_timeout(PATIENCE))
}

async fn postgres(location: &str) -> Result<PgConnection, StoreError> {
    let options: PgConnectOptions = location.parse().map_err(|error| failed("accept its URL", error))?;
    options.connect().await.map_err(|error| failed("accept a connection", error))
}

fn text(path: &Path) -> Result<String, StoreError> {
    path.to_str().map(str::to_owned).ok_or_else(|| StoreError::Database {
        attempt: "accept the name of a file",
        source: format!("{} is not UTF-8", path.display()).into(),
    })
}

/// A name as both databases take it for one.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
