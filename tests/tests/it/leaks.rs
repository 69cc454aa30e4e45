//! A session with canaries for secrets, and then a look everywhere where a secret could have gone.
//!
//! The model's key is a stored secret that the model echoes. Another stored secret comes out of a check's output. The log
//! is at TRACE, a step fails, and the server dies by a signal that would leave a core file.

use crate::{
    postgres,
    scripts::{bash, plan, script, step, turn, write, writes},
};
use leakscan::{Canaries, Leak, Sampler};
use product_tests::World;
use scripted_model::{Options, Script, ScriptedModel};
use sqlx::{Connection as _, Row as _};
use std::{
    fs,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

const MODEL_KEY: &str = "Zq7wR4tY9uP2aS8dF1gH6jK3lX5cV0bN4mQ7e";
const OTHER: &str = "Ty5uI8oP1aS4dF7gH0jK3lZ6xC9vB2nM5qW8r";

/// The other canary comes into being inside only, turned round: as it is, the runbook would be masked.
fn runbook() -> String {
    let turned: String = OTHER.chars().rev().collect();
    format!(
        "\
# Runbook: Two files

## Execution Steps

### Step 1: Write one
- `one.txt`

```runnable bash check name=one timeout=30s
k=$(echo {turned} | rev); for part in $(echo \"$k\" | fold -w 5); do printf %s \"$part\"; sleep 0.05; done; echo
printf %s \"$k\" | base64; echo \"{{\\\"k\\\":\\\"$k\\\"}}\"; echo \"$k\" | fold -w 7
```

### Step 2: Write two
- `two.txt`

```runnable bash check name=two timeout=30s
echo {turned} | rev >&2; exit 1
```
"
    )
}

async fn world() -> World {
    let mut echo = turn(
        &format!("The key is {MODEL_KEY}, is it not?"),
        &[bash(&format!("echo {MODEL_KEY} > key.txt; cat key.txt; rm key.txt"))],
    );
    // In one piece each: what the way out passes on is masked byte by byte, not put together over events.
    echo["chunk"] = 10_000.into();
    let begin = [
        echo,
        serde_json::json!({ "say": "I go on.", "hold": { "until": "looked" }, "tools": [write("one.txt", "1\n")] }),
        turn("It is written.", &[]),
    ];
    let script =
        script(&[plan(&runbook()), step("1", "Write one", &begin), writes("2", "Write two", "two.txt", "2\n")]);
    let mut world = World::new(&script, &[("README.md", "# Files\n")]).await;
    let options = Options { expect_key: Some(MODEL_KEY.to_owned()), ..Options::default() };
    world.model = ScriptedModel::start_with(Script::parse(&script).expect("a script"), options).await.expect("listens");
    for (name, value) in [
        ("ANTHROPIC_API_KEY", ""),
        ("RUNYARD_ANTHROPIC_KEY_SECRET", "MODEL_KEY"),
        ("RUNYARD_LOG", "trace"),
        ("RUNYARD_CHECKS_RETRIES", "0"),
        ("RUST_BACKTRACE", "full"),
    ] {
        world.environment.push((name.to_owned(), value.to_owned()));
    }
    world
}

async fn store_secret(world: &World, name: &str, value: &str) {
    let file = world.path().join("given");
    let mut options = fs::OpenOptions::new();
    std::io::Write::write_all(
        &mut options.write(true).create(true).truncate(true).mode(0o600).open(&file).expect("made"),
        value.as_bytes(),
    )
    .expect("written");
    world.runyard(["secret", "set", name, "--from-file", file.to_str().expect("text")]).await.expect_code(0);
    fs::remove_file(file).expect("removed");
}

/// Goes through it all; gives everything that was printed, and what was found on the way.
async fn session_with_canaries(world: &World, canaries: &Arc<Canaries>) -> (String, Vec<Leak>) {
    let sampler = Sampler::start(Arc::clone(canaries));
    store_secret(world, "MODEL_KEY", MODEL_KEY).await;
    store_secret(world, "OTHER", OTHER).await;
    let server = world.serve().await;
    let run = world.run("Write two files", &["--yes", "--json"]);
    world
        .model
        .wait_for(|request| {
            request.conversation() == Some("step 1") && request.body.to_string().matches("tool_result").count() > 0
        })
        .await;

    // Everybody inside is alive now, and has seen what it will see of the key.
    let mut leaks = Vec::new();
    let inside = leakscan::pids_below(&world.data().join("sandboxes"));
    assert!(inside.len() >= 2, "the shim and the agent: {inside:?}");
    let mut looked_at = 0;
    for pid in inside {
        let (found, bytes) = leakscan::memory(canaries, pid);
        leaks.extend(found);
        looked_at += bytes;
    }
    assert!(looked_at > 10 << 20 || !rustix::process::geteuid().is_root(), "only {looked_at} bytes could be looked at");

    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).expect("it runs");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).expect("locked memory");
    assert_ne!(locked.split_whitespace().next(), Some("0"), "no secret is locked in memory");

    let pid = rustix::process::Pid::from_raw(server.id()).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::ABORT).expect("it runs");
    let mut said = server.ends().await.said();
    said += &run.killed().await.said();
    world.model.release("looked");
    let server = world.serve().await;
    world.wait_for("1", "step 2 has failed", |event| event.is_step("2", "failed")).await;
    world.until_idle("1").await;
    for arguments in [
        &["session", "log", "1", "--json"][..],
        &["session", "log", "1"],
        &["session", "show", "1"],
        &["session", "diff", "1"],
        &["pr", "list", "--json"],
        &["pr", "show", "1"],
        &["secret", "list", "--json"],
        &["config", "show"],
    ] {
        said += &world.runyard(arguments).await.expect_code(0).said();
    }
    said += &server.killed().await.said();
    let (found, seen) = sampler.end();
    assert!(seen > 10, "only {seen} processes were seen");
    leaks.extend(found);
    (said, leaks)
}

/// What a sandbox made itself stays in its own folder.
fn outside_of_sandboxes(leaks: Vec<Leak>, world: &World) -> Vec<Leak> {
    let sandboxes = world.data().join("sandboxes").display().to_string();
    leaks.into_iter().filter(|leak| leak.canary != "other" || !leak.place.contains(&sandboxes)).collect()
}

fn canaries() -> Arc<Canaries> {
    Arc::new(Canaries::new([("model key", MODEL_KEY), ("other", OTHER)]))
}

fn only_the_model_key() -> Arc<Canaries> {
    Arc::new(Canaries::new([("model key", MODEL_KEY)]))
}

/// Every column of every table of a SQLite database; blobs that are stored in pieces are put together.
async fn dump(path: &Path) -> Vec<u8> {
    let mut connection = sqlx::SqliteConnection::connect(path.to_str().expect("text")).await.expect("opens");
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'").fetch_all(&mut connection).await;
    let mut all = Vec::new();
    for table in tables.expect("reads") {
        let table: String = table.get(0);
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns = sqlx::query(sqlx::AssertSqlSafe(columns)).fetch_all(&mut connection).await.expect("reads");
        for column in columns {
            let column: String = column.get(0);
            let values = format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE {column} IS NOT NULL");
            let rows = sqlx::query(sqlx::AssertSqlSafe(values)).fetch_all(&mut connection).await.expect("reads");
            for row in rows {
                all.extend(row.get::<Vec<u8>, _>(0));
                if column != "data" {
                    all.push(b'\n');
                }
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_anywhere_after_a_session_with_everything_that_goes_wrong() {
    let world = world().await;
    let (said, mut leaks) = session_with_canaries(&world, &only_the_model_key()).await;
    let canaries = canaries();
    assert!(said.contains("TRACE") && said.contains("[redacted]"), "the log is there, and there was something to mask");
    leaks.extend(canaries.look("what was printed", said.as_bytes()));
    leaks.extend(canaries.look("the database", &dump(&world.data().join("runyard.db")).await));
    leaks.extend(outside_of_sandboxes(leakscan::files(&canaries, world.path()), &world));
    assert_eq!(leaks, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_postgresql_its_statements_and_its_log() {
    let mut world = world().await;
    let location = postgres::database().await;
    let mut connection = sqlx::PgConnection::connect(&location).await.expect("connects");
    let name = location.split(['/', '?']).nth(3).expect("the database's name");
    let log_all = format!("ALTER DATABASE {name} SET log_statement = 'all'");
    sqlx::query(sqlx::AssertSqlSafe(log_all)).execute(&mut connection).await.expect("alters");
    world.environment.push(("RUNYARD_DATABASE_URL".to_owned(), location.clone()));
    let (said, mut leaks) = session_with_canaries(&world, &only_the_model_key()).await;
    sqlx::query("CHECKPOINT").execute(&mut connection).await.expect("writes everything");
    let server = PathBuf::from(location.split("host=").nth(1).expect("its folder"));
    let log = fs::read_to_string(server.join("log")).expect("its log");
    assert!(log.contains("INSERT INTO secrets"), "statements are logged");
    let canaries = canaries();
    leaks.extend(canaries.look("what was printed", said.as_bytes()));
    leaks.extend(leakscan::files(&canaries, &server));
    leaks.extend(outside_of_sandboxes(leakscan::files(&canaries, world.path()), &world));
    assert_eq!(leaks, []);
}

/// The search of the tests above, on a record in which a secret was written down.
#[tokio::test(flavor = "multi_thread")]
async fn a_leak_in_the_record_is_found() {
    let world = World::new(&script(&[]), &[("README.md", "# Files\n")]).await;
    world.runyard(["repo", "list"]).await.expect_code(0);
    let database = world.data().join("runyard.db");
    let mut connection = sqlx::SqliteConnection::connect(database.to_str().expect("text")).await.expect("opens");
    let canaries = canaries();
    assert_eq!(canaries.look("it", &dump(&database).await), []);
    assert_eq!(leakscan::files(&canaries, &world.data()), []);
    let plant = sqlx::query("INSERT INTO blob_chunks (hash, number, data) VALUES (x'00', $1, $2)");
    // Cut over two chunks, so that only the dump holds it whole; its halves are long enough for the files.
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut connection).await.expect("sets");
    plant.bind(1).bind(MODEL_KEY.as_bytes()[..18].to_vec()).execute(&mut connection).await.expect("plants");
    let found = leakscan::files(&canaries, &world.data());
    assert!(found.iter().any(|leak| leak.place.contains("runyard.db")), "{found:?}");
    assert!(!canaries.look("it", &dump(&database).await).is_empty());
    sqlx::query("DELETE FROM blob_chunks").execute(&mut connection).await.expect("removes");
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).expect("closed");
    let found = leakscan::files(&canaries, &world.data());
    assert!(found.iter().any(|leak| leak.place.contains("runyard.db")), "free pages and the log: {found:?}");
}
