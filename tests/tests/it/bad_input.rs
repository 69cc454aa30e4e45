//! Bad input ends in a clear error with the mend, and what was there before is intact.

use crate::{
    happy::{RUNBOOK, two_files},
    scripts::{plan, script, submit, turn, writes},
};
use product_tests::{Finished, Place, Repository, World};
use serde_json::json;

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

const USAGE: i32 = 2;
const ENVIRONMENT: i32 = 4;

async fn world() -> World {
    World::new(&two_files(), &FILES).await
}

/// The error was said in words that hold all of these, without the machine's innards.
#[track_caller]
fn assert_says(finished: &Finished, words: &[&str]) {
    let said = finished.stderr.to_lowercase();
    for word in words {
        assert!(said.contains(&word.to_lowercase()), "no {word:?} in:\n{}", finished.said());
    }
    assert!(!said.contains("panicked") && !said.contains("backtrace"), "{}", finished.said());
}

/// No session was made.
async fn assert_no_session(world: &World) {
    assert_eq!(world.json(["session", "list", "--json"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_runbook_is_refused_and_the_plan_stays() {
    let world = world().await;
    let bad = world.path().join("bad.md");
    std::fs::write(
        &bad,
        "# Runbook: Bad\n\n## Execution Steps\n\n### Step 1: One\nText.\n\n### Step 3: Three\nText.\n",
    )
    .unwrap();
    let bad = bad.to_str().unwrap();

    let lint = world.runyard(["lint", bad]).await.expect_code(1);
    assert!(lint.said().contains("bad.md:8:10: error[numbering-gap]"), "the place and the code:\n{}", lint.said());

    let run = world.run("Write two files", &["--json"]).ends().await.expect_code(3);
    assert!(run.stdout.contains("plan_version"), "{}", run.stdout);
    let before = world.runyard(["session", "versions", "1", "--show", "1"]).await.expect_code(0).stdout;
    let edit = world.runyard(["session", "edit", "1", "--file", bad]).await.expect_code(USAGE);
    assert_says(&edit, &["error["]);
    assert_eq!(world.runyard(["session", "versions", "1", "--show", "1"]).await.expect_code(0).stdout, before);
    assert_eq!(world.json(["session", "versions", "1", "--json"]).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_mends_a_plan_that_is_refused() {
    let plan = json!({ "name": "plan", "when": { "prompt_contains": "Make a runbook for this request" }, "turns": [
        turn("A plan without steps.", &[submit("# Runbook: Nothing\n\nProse.\n")]),
        { "if": { "result_is_error": true }, "then": [turn("I mend it.", &[submit(RUNBOOK)])] },
        turn("The plan is ready.", &[]),
    ] });
    let script =
        script(&[plan, writes("1", "Write one", "one.txt", "1\n"), writes("2", "Write two", "two.txt", "2\n")]);
    let world = World::new(&script, &FILES).await;
    world.run("Write two files", &["--yes"]).ends().await.expect_code(0);
    assert_eq!(world.log("1").await.of("plan_version").count(), 1, "what was refused is no version");
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_repository() {
    let world = world().await;
    let gone = world.runyard(["run", "Write", "--repo", "/nowhere/at/all"]).await.expect_code(USAGE);
    assert_says(&gone, &["/nowhere/at/all"]);
    let folder = world.path().join("plain");
    std::fs::create_dir(&folder).unwrap();
    let plain = world.runyard(["run", "Write", "--repo", folder.to_str().unwrap()]).await.expect_code(USAGE);
    assert_says(&plain, &["git"]);
    assert_no_session(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_task() {
    let world = world().await;
    for task in ["", "  \n\t "] {
        assert_says(&world.run(task, &[]).ends().await.expect_code(USAGE), &["task"]);
    }
    assert_no_session(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_branch_that_is_unborn_or_missing() {
    let place = Place::new();
    let repository = Repository::unborn(place.join("repository"));
    let world = World::around(place, repository, &two_files()).await;
    let unborn = world.run("Write two files", &[]).ends().await.expect_code(USAGE);
    assert_says(&unborn, &["no commits", "first commit"]);

    world.repository.write("README.md", "# Files\n");
    world.repository.commit("Begin");
    let missing = world.run("Write two files", &["--target-branch", "mian"]).ends().await.expect_code(USAGE);
    assert_says(&missing, &["mian", "main"]);
    assert_no_session(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uncommitted_work_is_only_a_warning() {
    let world = world().await;
    world.repository.write("README.md", "# Files, not yet committed\n");
    world.repository.write("new.txt", "new\n");
    let run = world.run("Write two files", &["--yes"]).ends().await.expect_code(0);
    assert!(run.said().to_lowercase().contains("uncommitted"), "{}", run.said());
    let top = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&top, "README.md"), "# Files\n", "a session starts from what is committed");
    assert_eq!(
        world.repository.git(["status", "--porcelain"]),
        " M README.md\n?? new.txt\n",
        "the work is still there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_claude_code() {
    let mut world = world().await;
    world.environment.push(("RUNYARD_AGENT_CLAUDE".into(), "/nowhere/claude".into()));
    let run = world.run("Write two files", &[]).ends().await.expect_code(ENVIRONMENT);
    assert_says(&run, &["claude", "/nowhere/claude"]);
    let doctor = world.runyard(["doctor"]).await;
    assert!(doctor.said().to_lowercase().contains("claude"), "{}", doctor.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_fails_fast() {
    let mut world = world().await;
    world.environment.push(("ANTHROPIC_API_KEY".into(), "sk-ant-not-the-right-one".into()));
    let run = world.run("Write two files", &["--one-shot", "--json"]).ends().await;
    assert!(matches!(run.code, Some(1 | ENVIRONMENT)), "{run:?}");
    // Fast is what happens at the first refusal, however slow the machine is: the agent's own ten attempts take minutes.
    assert!(run.said().matches("asking again").count() <= 1, "it asked again and again:\n{}", run.said());
    assert!(run.said().to_lowercase().contains("key"), "it names the key:\n{}", run.said());
    assert!(!run.said().contains("not-the-right-one"), "it does not print it");
    assert_eq!(world.log("1").await.runs("plan"), ["failed"]);
    assert!(world.repository.pushed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_model_is_asked_again() {
    let mut overloaded = plan(RUNBOOK);
    overloaded["turns"].as_array_mut().unwrap().insert(0, json!({ "error": { "status": 529, "times": 3 } }));
    let script =
        script(&[overloaded, writes("1", "Write one", "one.txt", "1\n"), writes("2", "Write two", "two.txt", "2\n")]);
    let world = World::new(&script, &FILES).await;
    world.run("Write two files", &["--yes"]).ends().await.expect_code(0);
    assert_eq!(world.repository.pushed().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_stays_overloaded_fails_the_run_and_nothing_else() {
    let script = script(&[json!({ "name": "plan", "turns": [{ "error": { "status": 529 } }] })]);
    let mut world = World::new(&script, &FILES).await;
    world.environment.push(("RUNYARD_RETRY_TIMES".into(), "1".into()));
    let run = world.run("Write two files", &["--one-shot"]).ends().await.expect_code(1);
    assert!(run.said().to_lowercase().contains("overloaded"), "{}", run.said());
    world.log("1").await.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_data_directory() {
    let world = world().await;
    let first = world.serve().await;
    let second = world.runyard(["serve"]).await.expect_code(ENVIRONMENT);
    assert_says(&second, &[&format!("process {}", first.id()), "--data-dir"]);
    assert_eq!(world.json(["session", "list", "--json"]).await, json!([]), "the first one still answers");
    first.killed().await;
    let third = world.serve().await;
    third.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version() {
    let world = world().await;
    assert_no_session(&world).await;
    let database = world.data().join("runyard.db");
    let url = format!("sqlite:{}", database.display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time) \
                 VALUES (99990101000000, 'from the future', CURRENT_TIMESTAMP, TRUE, x'00', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    pool.close().await;

    let refused = world.runyard(["session", "list"]).await.expect_code(ENVIRONMENT);
    assert_says(&refused, &["version"]);

    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 99990101000000").execute(&pool).await.unwrap();
    pool.close().await;
    assert_no_session(&world).await;
}
