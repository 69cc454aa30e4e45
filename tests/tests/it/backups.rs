//! `runyard backup` and `restore`: while sessions execute, while the old server still runs, and with files and disks that
//! are not as they should be.

use crate::postgres;
use crate::scripts::{held, plan, script, step, step_again, turn, write, writes};
use product_tests::{Event, Finished, KEY, Log, Running, World};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

const TWO: &str = "# Runbook: Two files\n\n## Execution Steps\n\n### Step 1: Write one\n- `one.txt`\n\n\
                   ### Step 2: Write two\n- `two.txt`\n";
const OTHER: &str = "# Runbook: Other files\n\n## Execution Steps\n\n### Step 1: Write three\n- `three.txt`\n\n\
                     ### Step 2: Write four\n- `four.txt`\n";

/// A step that waits until the test lets it go on, and one that does the same at once when it is tried again.
fn held_step(number: &str, title: &str, file: &str, hold: &str) -> [Value; 2] {
    let turns = [turn("I write it.", &[write(file, "text\n")]), turn("It is written.", &[])];
    let first = [turn("I begin.", &[write(file, "text\n")]), held(hold), turn("It is written.", &[])];
    [step_again(number, title, &turns), step(number, title, &first)]
}

/// Two sessions with two steps each; the second step of the one and the first of the other wait.
fn two_sessions() -> String {
    let mut other = plan(OTHER);
    other["name"] = json!("plan other");
    other["when"] = json!({ "prompt_matches": "(?s)Make a runbook for this request.*Write other files" });
    let mut all = vec![other, plan(TWO), writes("1", "Write one", "one.txt", "1\n")];
    all.extend(held_step("2", "Write two", "two.txt", "two"));
    all.extend(held_step("1", "Write three", "three.txt", "three"));
    all.push(writes("2", "Write four", "four.txt", "4\n"));
    script(&all)
}

fn at<'a>(dir: &'a Path, arguments: &[&'a str]) -> Vec<String> {
    let dir = dir.to_str().expect("a path in UTF-8");
    arguments.iter().copied().chain(["--data-dir", dir]).map(str::to_owned).collect()
}

async fn backup(world: &World, to: &Path) -> Finished {
    world.runyard(["backup", to.to_str().expect("a path in UTF-8")]).await
}

/// What of a log tells what happened, whichever server tells it.
fn told(log: &Log) -> Vec<String> {
    log.iter().map(|event| format!("{} {} {}", event.number(), event.kind(), event.at())).collect()
}

/// A server of this world on another data directory.
async fn serve_at(world: &World, data: &Path) -> Running {
    let server = Running::start(&mut world.command(at(data, &["serve"])));
    let control = data.join("control.sock");
    world.until("the restored server listens", || std::os::unix::net::UnixStream::connect(&control).is_ok()).await;
    server
}

/// The whole of FLT-52 and FLT-53 that a local forge can show: nothing acknowledged is lost, the old server ends, no
/// branch is overwritten, no change gets a second pull request, and a person is told what to decide.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_restored_while_the_old_server_still_runs() {
    let mut world = World::new(&two_sessions(), &FILES).await;
    let old = world.serve().await;
    let first = world.run("Write two files", &["--yes", "--json"]);
    world.model.wait_for(|request| request.conversation() == Some("step 2") && wrote(&request.body)).await;
    let second = world.run("Write other files", &["--yes", "--json"]);
    let is_three =
        |request: &scripted_model::Recorded| request.body.to_string().contains("Execute step 1: Write three");
    world.model.wait_for(|request| is_three(request) && wrote(&request.body)).await;

    let file = world.path().join("a.backup");
    let made = backup(&world, &file).await.expect_code(0);
    assert!(made.stdout.contains("written and proven: sessions: 2"), "{}", made.said());
    let acknowledged = [world.log("1").await, world.log("2").await];
    let bytes = fs::read(&file).expect("the backup");
    assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o600, "it is closed to others");
    assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "the key is in the backup");
    world.runyard(["backup", "verify", file.to_str().expect("UTF-8")]).await.expect_code(0);

    // What the old server does after the backup: a commit, a branch, a pull request.
    world.model.release("two");
    world.wait_for("1", "step 2 is completed", |event| event.is_step("2", "completed")).await;
    world.until_idle("1").await;
    let pushed = world.repository.pushed();
    assert_eq!(pushed.len(), 2, "{pushed:?}");
    let ours = world.repository.git(["rev-parse", &pushed[1]]);

    let data = world.path().join("restored");
    let restored = world.runyard(at(&data, &["restore", file.to_str().expect("UTF-8")])).await.expect_code(0);
    assert!(restored.stdout.contains("as generation 2: sessions: 2"), "{}", restored.said());
    let inside = world.inhabitants();
    let ended = old.ends().await.expect_code(4);
    assert!(ended.stderr.contains("does no work any more"), "{}", ended.said());
    world.until("nothing of the old one works on", || inside.running("claude").is_empty()).await;
    for run in [first, second] {
        run.killed().await;
    }
    let refused = world.runyard(["serve"]).await.expect_code(4);
    assert!(refused.stderr.contains("works on") && refused.stderr.contains("generation 2"), "{}", refused.said());

    world.environment.push(("RUNYARD_DATA_DIR".into(), data.to_string_lossy().into_owned()));
    let server = serve_at(&world, &data).await;
    world.wait_for("2", "step 2 is completed", |event| event.is_step("2", "completed")).await;
    world.wait_for("1", "the push is refused", |event| event.is_step("2", "failed")).await;
    for (session, before) in ["1", "2"].iter().zip(&acknowledged) {
        let log = world.log(session).await;
        log.assert_whole();
        let now = told(&log);
        // The copy is of one moment before the log was read: the newest entries may be later.
        let kept = told(before).iter().zip(&now).take_while(|(then, now)| then == now).count();
        assert!(before.len() - kept < 10, "{session}: only {kept} of {} are kept\n{}", before.len(), log.outline());
        assert!(
            log.of("note").any(|note| note.text("text").contains("was restored from a backup")),
            "{}",
            log.outline()
        );
    }
    let log = world.log("1").await;
    let note = log.of("note").find(|note| note.text("text").contains(&pushed[1]));
    assert!(note.is_some_and(|note| note.text("text").contains("pushed after the backup")), "{}", log.outline());
    assert_eq!(world.repository.git(["rev-parse", &pushed[1]]), ours, "what was pushed is not overwritten");

    // The person keeps what is there under another name, and has the step published.
    world.repository.git(["branch", "kept", &pushed[1]]);
    world.repository.git(["branch", "-D", &pushed[1]]);
    world.runyard(["session", "retry", "1"]).await.expect_code(0);
    world.wait_for("1", "step 2 is completed", |event| event.is_step("2", "completed")).await;
    world.until_idle("1").await;
    world.until_idle("2").await;
    assert_eq!(world.repository.pushed().len(), 4, "{:?}", world.repository.pushed());
    let requests = world.json(["pr", "list", "--json"]).await;
    assert_eq!(requests.as_array().map(Vec::len), Some(4), "each change has one pull request: {requests}");
    assert_eq!(world.repository.git(["rev-parse", "kept"]), ours);
    server.killed().await;
}

/// Whether the request brings back the result of a call.
fn wrote(body: &Value) -> bool {
    body["messages"].to_string().contains("\"tool_result\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_backed_up_from_postgres_and_restored_into_either() {
    let mut world = World::new(&crate::happy::two_files(), &FILES).await;
    world.environment.push(("RUNYARD_DATABASE_URL".into(), postgres::database().await));
    world.run("Write two files", &["--yes", "--json"]).ends().await.expect_code(0);
    let log = told(&world.log("1").await);
    let file = world.path().join("a.backup");
    backup(&world, &file).await.expect_code(0);
    let file = file.to_str().expect("UTF-8").to_owned();

    let refused = world.runyard(at(&world.path().join("second"), &["restore", &file])).await.expect_code(2);
    assert!(refused.stderr.contains("the database holds sessions already"), "{}", refused.said());
    for (name, database) in [("postgres", Some(postgres::database().await)), ("sqlite", None)] {
        let data = world.path().join(name);
        world.environment.clear();
        world.environment.extend(database.map(|url| ("RUNYARD_DATABASE_URL".to_owned(), url)));
        world.environment.push(("RUNYARD_DATA_DIR".into(), data.to_string_lossy().into_owned()));
        world.runyard(["restore", &file]).await.expect_code(0);
        assert_eq!(told(&world.log("1").await), log, "{name}");
        let requests = world.json(["pr", "list", "--json"]).await;
        assert_eq!(requests.as_array().map(Vec::len), Some(2), "{name}: {requests}");
    }
}

/// A world with a record and nothing queued, and a backup of it.
async fn with_backup() -> (World, PathBuf) {
    let world = World::new(&crate::happy::two_files(), &FILES).await;
    let repository = world.repository.path().to_str().expect("UTF-8").to_owned();
    world.runyard(["repo", "add", &repository]).await.expect_code(0);
    let file = world.path().join("good.backup");
    backup(&world, &file).await.expect_code(0);
    (world, file)
}

/// Names and sizes of everything in a directory.
fn listing(dir: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<_> = entries
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.metadata().map_or(0, |found| found.len()))
        })
        .filter(|(name, _)| name != "lock")
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_refused_and_nothing_is_touched() {
    let (world, good) = with_backup().await;
    let whole = fs::read(&good).expect("the backup");
    let bad = world.path().join("bad.backup");
    let target = world.path().join("target");
    let record = whole.windows(15).position(|bytes| bytes == b"SQLite format 3").expect("the record is in there");
    let altered = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 16;
        bytes
    };
    for (bytes, words) in [
        (altered(record + 5000), "altered since it was written: `record.db` is not what it was"),
        (altered(520), "altered since it was written"),
        (altered(whole.len() - 30), "altered since it was written"),
        (whole[..whole.len() / 2].to_vec(), "was cut short"),
        (whole[..100].to_vec(), "is not a backup of Runyard"),
        (b"PK\x03\x04 something else".repeat(100), "is not a backup of Runyard"),
    ] {
        fs::write(&bad, bytes).expect("written");
        for arguments in [vec!["backup", "verify"], vec!["restore"]] {
            let arguments = [arguments, vec![bad.to_str().expect("UTF-8")]].concat();
            let refused = world.runyard(at(&target, &arguments)).await.expect_code(4);
            assert!(refused.stderr.contains(words), "{words}: {}", refused.said());
        }
        assert_eq!(listing(&target), [], "nothing was touched");
    }

    let before = listing(&world.data());
    let taken = world.runyard(["restore", good.to_str().expect("UTF-8")]).await.expect_code(2);
    assert!(taken.stderr.contains("is in use already: it holds"), "{}", taken.said());
    assert_eq!(listing(&world.data()), before);

    let server = world.serve().await;
    let busy = world.runyard(["restore", "--replace", good.to_str().expect("UTF-8")]).await.expect_code(4);
    assert!(busy.stderr.contains(&format!("process {} has the data directory", server.id())), "{}", busy.said());
    server.killed().await;

    let replaced = world.runyard(["restore", "--replace", good.to_str().expect("UTF-8")]).await.expect_code(0);
    assert!(replaced.stdout.contains("as generation 2"), "{}", replaced.said());
    let aside = listing(&world.data()).into_iter().find(|(name, _)| name.starts_with("before-restore-"));
    let aside = world.data().join(aside.expect("what was there is kept").0);
    assert!(aside.join("runyard.db").exists() && aside.join("host").exists());
    let repositories = world.json(["repo", "list", "--json"]).await;
    assert_eq!(repositories.as_array().map(Vec::len), Some(1), "{repositories}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_finished_leaves_nothing_and_replaces_nothing() {
    let (world, good) = with_backup().await;
    let whole = fs::read(&good).expect("the backup");
    let again = backup(&world, &good).await.expect_code(2);
    assert!(again.stderr.contains("is there already"), "{}", again.said());
    let nothing = world.runyard(at(&world.path().join("nobody"), &["backup", "x.backup"])).await.expect_code(2);
    assert!(nothing.stderr.contains("there is no record in"), "{}", nothing.said());

    // A disk that is too small from the start, and one that takes no more in the middle.
    let places = world.path().join("places");
    fs::create_dir(&places).expect("a directory");
    let small = "mount -t tmpfs -o size=64k none \"$1\" && \"$2\" backup \"$1\"; code=$?; ls -A \"$1\"; exit $code";
    let full = "trap '' XFSZ; ulimit -f 64; \"$2\" backup \"$1\"; code=$?; ls -A \"$1\"; exit $code";
    for (script, words) in [(small, "are needed"), (full, "failed to")] {
        let program = product_tests::runyard().to_str().expect("UTF-8");
        let mut command = world.command(["--version"]);
        let environment: Vec<_> = command
            .as_std()
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command = tokio::process::Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(&places).arg(program);
        command.env_clear().envs(environment).current_dir(world.path());
        let failed = Running::start(&mut command).ends().await.expect_code(4);
        assert!(failed.stderr.contains(words), "{words}: {}", failed.said());
        assert_eq!(failed.stdout, "", "nothing is left there");
    }
    assert_eq!(fs::read(&good).expect("the backup"), whole);
}

/// One backup after the other while a server writes; each is whole, and the last one is restored again and again.
#[tokio::test(flavor = "multi_thread")]
async fn backups_in_a_row_are_whole_and_restore_every_time() {
    let world = World::new(&crate::happy::two_files(), &FILES).await;
    let server = world.serve().await;
    let run = world.run("Write two files", &["--yes", "--json"]);
    let dir = world.path().join("backups");
    fs::create_dir(&dir).expect("a directory");
    let done = async {
        let mut number = 0;
        loop {
            backup(&world, &dir.join(format!("{number}.backup"))).await.expect_code(0);
            number += 1;
            let queue = world.runyard(["session", "queue", "1", "--json"]).await;
            let printed: Value = serde_json::from_str(&queue.stdout).unwrap_or_default();
            let log = world.runyard(["session", "log", "1", "--json"]).await;
            // The queue is empty between the plan and its execution, too.
            let mut log = log.stdout.lines().filter(|_| log.code == Some(0)).map(Event::parse);
            if printed == json!([]) && log.any(|event| event.is_step("2", "completed")) {
                break;
            }
        }
    };
    tokio::time::timeout(product_tests::LIMIT, done).await.expect("the session ends");
    run.ends().await.expect_code(0);
    // The last of them was begun before the session was seen at its end.
    let last = dir.join("last.backup");
    backup(&world, &last).await.expect_code(0);
    server.killed().await;
    let log = told(&world.log("1").await);
    let last = last.to_str().expect("UTF-8").to_owned();
    for number in 0..3 {
        let data = world.path().join(format!("restored-{number}"));
        let restored = world.runyard(at(&data, &["restore", &last])).await.expect_code(0);
        assert!(restored.stdout.contains(&format!("as generation {}", number + 2)), "{}", restored.said());
        let printed = world.runyard(at(&data, &["session", "log", "1", "--json"])).await.expect_code(0);
        assert_eq!(told(&Log::parse(&printed.stdout)), log);
    }
}
