//! Which databases are opened, and what they are then.

use crate::{
    engines::{Engine, open},
    postgres,
    world::{action, note, session, session_id, settle},
};
use domain::Timestamp;
use sqlx::{Connection as _, PgConnection, Row as _, SqliteConnection};
use std::{collections::BTreeMap, fs, path::Path};
use store::{SqlStore, Store as _, StoreError, StoreOptions};

/// Writes a database of today's version with a session in it, and closes it.
async fn fill(location: &str) {
    let store = open(location).await;
    settle(&store, 1).await;
    store.create_session(&session(1, 1), &[action(1, 1, 1)], &[note("kept")], Timestamp(1)).await.expect("a session");
    store.close().await;
}

/// The bytes of every file of a SQLite database, by name.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).expect("reads").map(|entry| entry.expect("reads").path());
    files
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(&path).expect("reads")))
        .collect()
}

async fn refused(location: &str) -> String {
    match SqlStore::open(location, StoreOptions::hiding(secrets::Known::nothing())).await {
        Err(StoreError::Version(why)) => why,
        other => panic!("not refused for its version: {other:?}"),
    }
}

async fn alter_sqlite(location: &str, statement: &'static str) {
    let mut connection = SqliteConnection::connect(location).await.expect("connects");
    sqlx::query(statement).execute(&mut connection).await.expect("alters");
    connection.close().await.expect("closes");
}

const FROM_THE_FUTURE: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (99999, 'from the future', TRUE, '\\x00', 1)";
const FROM_THE_FUTURE_SQLITE: &str =
    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (99999, 'from the future', TRUE, x'00', 1)";

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    for engine in [Engine::sqlite().await, Engine::postgres().await] {
        let location = engine.location.as_deref().expect("it has one");
        fill(location).await;
        let again = open(location).await;
        assert_eq!(again.session(session_id(1)).await.expect("reads").expect("exists").last_event, 1);
        assert_eq!(again.queue(session_id(1)).await.expect("reads"), [action(1, 1, 1)]);
    }
}

#[tokio::test]
async fn every_statement_is_understood_by_both() {
    for engine in [Engine::sqlite().await, Engine::postgres().await] {
        open(engine.location.as_deref().expect("it has one")).await.prepare_all().await.expect("prepares");
    }
}

#[test]
fn few_statements_differ() {
    let dialect = SqlStore::dialect();
    let list: Vec<_> = dialect.iter().map(|(attempt, text)| format!("{attempt}: …{}", tail(text))).collect();
    insta::assert_snapshot!(list.join("\n"), @r"
    tell other servers: …SELECT pg_notify($1, $2)
    find work: …LIMIT 1 FOR UPDATE OF s SKIP LOCKED
    ");
}

/// The last words of a text.
fn tail(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words[words.len().saturating_sub(8)..].join(" ")
}

#[tokio::test]
async fn both_have_the_same_tables() {
    let sqlite = Engine::sqlite().await;
    let mut connection = SqliteConnection::connect(&sqlite.location.expect("it has one")).await.expect("connects");
    let columns = "SELECT t.name || '.' || c.name || CASE c.\"notnull\" WHEN 0 THEN '?' ELSE '' END
        FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'";
    let rows = sqlx::query(columns).fetch_all(&mut connection).await.expect("reads");
    let of_sqlite = ours(rows.iter().map(|row| row.get(0)).collect());

    let postgres = Engine::postgres().await;
    let mut connection = PgConnection::connect(&postgres.location.expect("it has one")).await.expect("connects");
    let columns = "SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'YES' THEN '?' ELSE '' END
        FROM information_schema.columns WHERE table_schema = 'public'";
    let rows = sqlx::query(columns).fetch_all(&mut connection).await.expect("reads");
    let of_postgres = ours(rows.iter().map(|row| row.get(0)).collect());

    assert_eq!(of_sqlite, of_postgres);
    assert!(of_sqlite.len() > 100, "{}", of_sqlite.len());
    let names = |of| fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(of)).expect("reads");
    let names =
        |of| names(of).map(|entry| entry.expect("reads").file_name()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names("sqlite"), names("postgres"));
}

/// Leaves out the columns of the migrations' own table.
fn ours(columns: Vec<String>) -> Vec<String> {
    let mut ours: Vec<_> = columns.into_iter().filter(|column| !column.starts_with("_sqlx")).collect();
    ours.sort();
    ours
}

#[tokio::test]
async fn a_newer_sqlite_file_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let location = dir.path().join("store.db").to_str().expect("text").to_owned();
    fill(&location).await;
    alter_sqlite(&location, FROM_THE_FUTURE_SQLITE).await;
    let before = bytes(dir.path());
    let why = refused(&location).await;
    assert!(why.contains("99999"), "{why}");
    assert!(bytes(dir.path())["store.db"] == before["store.db"], "the file was written to");
}

#[tokio::test]
async fn altered_migrations_and_foreign_files_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    fill(&at("altered.db")).await;
    alter_sqlite(&at("altered.db"), "UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    assert!(refused(&at("altered.db")).await.contains("not the one of this version"));

    fs::write(at("foreign.db"), b"").expect("writes");
    alter_sqlite(&at("foreign.db"), "CREATE TABLE bookmarks (url TEXT)").await;
    let before = bytes(dir.path());
    assert!(refused(&at("foreign.db")).await.contains("another program"));
    assert!(bytes(dir.path())["foreign.db"] == before["foreign.db"], "the file was written to");

    fs::write(at("text.db"), "this is not a database, but it is long enough to be read as one".repeat(40))
        .expect("writes");
    let before = bytes(dir.path());
    let unreadable = SqlStore::open(&at("text.db"), StoreOptions::hiding(secrets::Known::nothing())).await;
    assert!(matches!(unreadable, Err(StoreError::Database { .. })), "{unreadable:?}");
    assert!(bytes(dir.path())["text.db"] == before["text.db"], "the file was written to");
}

#[tokio::test]
async fn a_newer_postgres_database_is_refused() {
    let location = postgres::database().await;
    fill(&location).await;
    let mut connection = PgConnection::connect(&location).await.expect("connects");
    sqlx::query(FROM_THE_FUTURE).execute(&mut connection).await.expect("alters");
    let why = refused(&location).await;
    assert!(why.contains("99999"), "{why}");
}

#[tokio::test]
async fn servers_may_start_at_once_on_an_empty_postgres() {
    let location = postgres::database().await;
    let stores = tokio::join!(open(&location), open(&location), open(&location));
    settle(&stores.0, 1).await;
    assert_eq!(
        stores.2.sessions(crate::world::account_id(1), &store::SessionFilter::default()).await.expect("reads"),
        []
    );
}

#[tokio::test]
async fn an_unreachable_database_is_transient() {
    let missing = "/nonexistent/dir/store.db";
    let error =
        SqlStore::open(missing, StoreOptions::hiding(secrets::Known::nothing())).await.expect_err("cannot be opened");
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn sqlite_keeps_what_it_acknowledged_through_a_power_cut() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let url = format!("sqlite:{}", path.display());
    let store = open(&url).await;
    let settings = store.sqlite_settings().await.expect("reads").expect("it is SQLite");
    insta::assert_snapshot!(settings.join(", "), @"journal_mode=wal, synchronous=2, foreign_keys=1, busy_timeout=30000, secure_delete=1");
}
