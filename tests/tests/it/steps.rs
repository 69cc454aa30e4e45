//! Steps: tags, the queue, the script before them, the checks after them.

use crate::scripts::{bash, held_then, plan, script, step, step_again, turn, write, writes};
use product_tests::{Log, World};
use serde_json::{Value, json};
use std::fmt::Write as _;

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

fn notes(log: &Log) -> Vec<String> {
    log.of("note").map(|note| note.text("text").to_owned()).collect()
}

#[track_caller]
fn assert_note(log: &Log, words: &str) {
    assert!(notes(log).iter().any(|note| note.contains(words)), "no note with {words:?}: {:#?}", notes(log));
}

const TAGS: &str = "\
# Runbook: Tags

## Execution Steps

### Step 1: [NO-CODE-CHANGE] Look
Only look.

### Step 2: [CONDITIONAL] Perhaps
**If there is a database**

### Step 3: Write one
- `one.txt`

### Step 4: Nothing
It is done already.

### Step 5: [CONDITIONAL] Perhaps this
**If there is a README**
";

#[tokio::test(flavor = "multi_thread")]
async fn tags_say_what_becomes_of_a_step() {
    let skip = json!({ "name": "mcp__runyard__skip_step", "input": { "reason": "there is no database" } });
    let silent = json!({ "name": "mcp__runyard__skip_step", "input": { "reason": " " } });
    let script = script(&[
        plan(TAGS),
        writes("1", "Look", "left.txt", "left\n"),
        step("2", "Perhaps", &[turn("Not so.", &[silent]), turn("No.", &[skip]), turn("Skipped.", &[])]),
        writes("3", "Write one", "one.txt", "1\n"),
        step("4", "Nothing", &[turn("There is nothing to do.", &[])]),
        writes("5", "Perhaps this", "five.txt", "5\n"),
    ]);
    let world = World::new(&script, &FILES).await;
    world.run("Tags", &["--yes", "--json"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    let states: Vec<_> = ["1", "2", "3", "4", "5"].iter().map(|number| log.step(number)).collect();
    let expected = [
        "completed(no_change)",
        "completed(skipped)",
        "completed(changed)",
        "completed(no_change)",
        "completed(changed)",
    ];
    assert_eq!(states, expected, "{}", log.outline());
    assert_note(&log, "Step 1 is tagged [NO-CODE-CHANGE]; the 1 file(s) that it changed were taken back");
    assert_note(&log, "Step 2 was skipped: there is no database");

    let [third, fifth] = world.repository.pushed().try_into().expect("two branches: no empty one");
    assert_eq!(world.repository.git(["rev-parse", &format!("{third}~1")]), world.repository.git(["rev-parse", "main"]));
    assert_eq!(world.repository.git(["rev-parse", &format!("{fifth}~1")]), world.repository.git(["rev-parse", &third]));
    assert_eq!(world.repository.git(["ls-tree", "--name-only", &fifth]), "README.md\nfive.txt\none.txt\n");
    assert_eq!(world.json(["pr", "list", "--json"]).await.as_array().map(Vec::len), Some(2));
    world.assert_foreseen();
}

const RB: &str = "\
# Runbook: Demo

## Execution Steps

### Step 1: Schema
#### 1.1: Add table
Text.
- a
#### 1.2: Add index
Text.
- b
### Step 2: API
#### 2.1: Endpoint
Text.
- c
";

/// Number and state of each leaf.
async fn states(world: &World) -> Vec<(String, String)> {
    let view = world.json(["session", "show", "1", "--json"]).await;
    let state =
        |step: &Value| step["state"].as_str().or(step["state"]["state"].as_str()).unwrap_or_default().to_owned();
    let steps = view["steps"].as_array().expect("steps").iter();
    steps.map(|step| (step["number"].as_str().unwrap_or_default().to_owned(), state(step))).collect()
}

async fn assert_states(world: &World, expected: [&str; 5]) {
    let found = states(world).await;
    let found: Vec<_> = found.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(found, expected, "of 1, 1.1, 1.2, 2, 2.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_keeps_the_order_and_empties_when_a_step_fails() {
    let script = script(&[
        plan(RB),
        step("1.1", "Add table", &[held_then("first", &[write("table", "1\n")]), turn("Done.", &[])]),
        step_again("1.2", "Add index", &[turn("I write.", &[write("index", "1\n")]), turn("Done.", &[])]),
        step("1.2", "Add index", &[json!({ "error": { "status": 400, "message": "no such model" } })]),
        writes("2.1", "Endpoint", "endpoint", "1\n"),
    ]);
    let world = World::new(&script, &FILES).await;
    let server = world.serve().await;
    world.run("Demo", &["--json"]).ends().await.expect_code(3);
    // A later substep takes the earlier one along, and leaves the next step alone.
    let queued = world.runyard(["session", "execute", "1", "1.2"]).await.expect_code(0);
    assert!(queued.stdout.contains("queued: 1.1, 1.2"), "{}", queued.said());
    world.model.wait_for(|request| request.conversation() == Some("step 1.1")).await;
    assert_states(&world, ["in_progress", "in_progress", "queued", "not_started", "not_started"]).await;

    // More while one runs; one of them is taken out again, and queued again with everything.
    let more = world.runyard(["session", "execute", "1", "2"]).await.expect_code(0);
    assert!(more.stdout.contains("queued: 2.1"), "{}", more.said());
    let queue = world.json(["session", "queue", "1", "--json"]).await;
    let last = queue.as_array().and_then(|queue| queue.last()).and_then(|row| row["id"].as_str()).expect("an id");
    world.runyard(["session", "cancel", "1", last]).await.expect_code(0);
    assert_states(&world, ["in_progress", "in_progress", "queued", "not_started", "not_started"]).await;
    let all = world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    assert!(all.stdout.contains("queued: 2.1"), "{}", all.said());
    let nothing = world.runyard(["session", "execute", "1", "all"]).await.expect_code(2);
    assert!(nothing.stderr.contains("queued or running already"), "{}", nothing.said());

    // A failure takes the rest out of the queue; the work before it stays.
    world.model.release("first");
    world.wait_for("1", "1.2 fails", |event| event.is_step("1.2", "failed")).await;
    world.until_idle("1").await;
    assert_states(&world, ["failed", "completed", "failed", "not_started", "not_started"]).await;
    let shown = world.runyard(["session", "show", "1"]).await.expect_code(0);
    assert!(shown.stdout.contains("Next: runyard session retry 1"), "{}", shown.stdout);
    assert!(notes(&world.log("1").await).iter().any(|note| note.contains("no such model")));

    // Retry does that step only; next is the one after it.
    world.runyard(["session", "retry", "1", "--json"]).await.expect_code(0);
    assert_states(&world, ["completed", "completed", "completed", "not_started", "not_started"]).await;
    world.runyard(["session", "execute", "1", "--json"]).await.expect_code(0);
    assert_states(&world, ["completed", "completed", "completed", "completed", "completed"]).await;
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.runs("execute_step"), ["succeeded", "failed", "succeeded", "succeeded"]);
    let [first, second] = world.repository.pushed().try_into().expect("two branches");
    assert_eq!(
        world.repository.subjects(&format!("main..{second}")),
        ["2.1 Endpoint", "1.2 Add index", "1.1 Add table"]
    );
    assert_eq!(world.repository.subjects(&format!("{first}..{second}")).len(), 1);
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_shot_that_failed_is_retried_and_becomes_ready() {
    let runbook = RB.replace("#### 1.2: Add index\nText.\n- b\n", "");
    let script = script(&[
        plan(&runbook),
        writes("1.1", "Add table", "table", "1\n"),
        step_again("2.1", "Endpoint", &[turn("I write.", &[write("endpoint", "1\n")]), turn("Done.", &[])]),
        step("2.1", "Endpoint", &[json!({ "error": { "status": 400, "message": "no such model" } })]),
    ]);
    let world = World::new(&script, &FILES).await;
    world.run("Demo", &["--one-shot", "--json"]).ends().await.expect_code(1);
    let before = world.json(["pr", "list", "--json"]).await.to_string();
    assert!(before.contains("[WIP]") && before.contains("\"draft\":true"), "{before}");
    world.runyard(["session", "retry", "1", "--json"]).await.expect_code(0);
    let after = world.json(["pr", "list", "--json"]).await.to_string();
    assert!(!after.contains("[WIP]") && !after.contains("\"draft\":true"), "{after}");
    assert_eq!(world.repository.pushed().len(), 1);
}

const SCRIPT: &str = ".runyard/scripts/pre-execution.sh";
const FOREIGN: &str = ".aviator/scripts/pre-execution.sh";

fn three_steps() -> (String, String) {
    let mut runbook = "# Runbook: Three\n\n## Execution Steps\n".to_owned();
    let mut conversations = Vec::new();
    for number in ["1", "2", "3"] {
        write!(runbook, "\n### Step {number}: Write {number}\nText.\n").expect("text");
        let copy = bash(&format!("cp runs.log {number}.txt"));
        conversations.push(step(number, &format!("Write {number}"), &[turn("I write.", &[copy]), turn("Done.", &[])]));
    }
    conversations.insert(0, plan(&runbook));
    (runbook, script(&conversations))
}

/// Notes about the script, in order.
fn told(log: &Log, path: &str) -> Vec<String> {
    notes(log).into_iter().filter(|note| note.contains(path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_before_steps_runs_once_for_each_sandbox_and_may_fail() {
    // Each run leaves a line in a file that the base ignores.
    let failing = "echo run >> runs.log\nprintf 'o%.0s' {1..1500}\nprintf 'e%.0s' {1..1500} >&2\nexit 3\n";
    let files = [("README.md", "# Files\n"), (".gitignore", "*.log\n"), (SCRIPT, failing), (FOREIGN, "touch wrong\n")];
    let world = World::new(&three_steps().1, &files).await;
    world.run("Three", &["--yes", "--json"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    let about = told(&log, SCRIPT);
    let [only] = about.as_slice() else { panic!("told once: {about:#?}") };
    assert!(only.starts_with(&format!("⚠️ {SCRIPT} failed with exit code 3; the step goes on.")), "{only}");
    for letter in ["o", "e"] {
        assert!(only.contains(&letter.repeat(1000)) && !only.contains(&letter.repeat(1001)), "{only}");
    }
    let top = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&top, "3.txt"), "run\n", "it ran once");
    let files = world.repository.git(["ls-tree", "--name-only", &top]);
    assert!(!files.contains("wrong"), "only one of the two: {files}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_before_steps_may_run_before_each() {
    let fine = "echo run >> runs.log\nprintf 'o%.0s' {1..2500}\n";
    let files = [("README.md", "# Files\n"), (".gitignore", "*.log\n"), (FOREIGN, fine)];
    let mut world = World::new(&three_steps().1, &files).await;
    world.environment.push(("RUNYARD_PRE_EXECUTION_EVERY_STEP".into(), "true".into()));
    world.run("Three", &["--yes", "--json"]).ends().await.expect_code(0);
    let about = told(&world.log("1").await, FOREIGN);
    assert_eq!(about.len(), 3, "{about:#?}");
    let (head, output) = about[0].split_once('\n').expect("two lines");
    assert_eq!((head, output), (format!("✅ {FOREIGN} succeeded.").as_str(), "o".repeat(2000).as_str()));
    let top = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&top, "3.txt"), "run\nrun\nrun\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_before_steps_is_killed_with_its_children_and_a_link_is_not_run() {
    let mark = format!("88{:06}", std::process::id() % 1_000_000);
    let endless = format!("touch runs.log\nsetsid sleep {mark} &\nsleep {mark}\n");
    let files = [("README.md", "# Files\n"), (".gitignore", "*.log\n"), (SCRIPT, endless.as_str())];
    let mut world = World::new(&three_steps().1, &files).await;
    world.environment.push(("RUNYARD_PRE_EXECUTION_TIMEOUT".into(), "1s".into()));
    let server = world.serve().await;
    world.run("Three", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "1", "--json"]).await.expect_code(0);
    let log = world.log("1").await;
    assert_note(&log, &format!("⚠️ {SCRIPT} was killed after 1 s; the step goes on."));
    assert_eq!(log.step("1"), "completed(changed)");
    assert_eq!(world.inhabitants().running(&mark), Vec::<String>::new(), "its children are gone");

    // A link in its place is not followed, not even to a script of the repository.
    world.repository.write("other.sh", "touch /code/followed\n");
    std::fs::remove_file(world.repository.path().join(SCRIPT)).expect("it was there");
    std::os::unix::fs::symlink("../../other.sh", world.repository.path().join(SCRIPT)).expect("a link");
    world.repository.write("runs.log", "");
    world.repository.git(["add", "--force", "runs.log"]);
    world.repository.commit("A link");
    world.run("Three", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "2", "1", "--json"]).await.expect_code(0);
    let about = told(&world.log("2").await, SCRIPT);
    assert!(about.len() == 1 && about[0].contains("was not run"), "{about:#?}");
    let top = world.repository.pushed().pop().expect("a branch");
    assert!(!world.repository.git(["ls-tree", "--name-only", &top]).contains("followed"));
    server.killed().await;
}

const CHECKS: &str = "\
---
variables:
  NAME: { default: Ada }
---
# Runbook: Checks

```runnable bash check name=always timeout=30s expect=\"Ada was here\"
echo \"$NAME was here\" | tee cache.tmp
echo $RANDOM-$$ >> cache.log
truncate --size=60M built.bin
```

## Execution Steps

### Step 1: Both
```runnable bash check name=parent timeout=30s expect=3
cat one.txt two.txt; exit 3
```

#### 1.1: Write one
```runnable bash check name=one timeout=30s
echo one >> cache.log; cat one.txt; grep --quiet right one.txt
```

#### 1.2: Write two
- `two.txt`

#### 1.3: [CONDITIONAL] Perhaps
**If there is a database**
";

/// Name and exit code of each check, in order.
fn results(log: &Log) -> Vec<(&str, Option<i64>)> {
    log.of("check_result").map(|check| (check.text("name"), check.field("exit_code").as_i64())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_run_in_their_places_and_the_agent_mends_what_fails() {
    let mends = |name: &str, log: &str, text: &str| {
        json!({ "name": name, "when": { "prompt_matches": format!("(?s)These checks failed after your work.*{log}") },
            "turns": [turn("I mend it.", &[write_again("one.txt", text)]), turn("Mended.", &[])] })
    };
    let skip = json!({ "name": "mcp__runyard__skip_step", "input": { "reason": "there is no database" } });
    let script = script(&[
        plan(CHECKS),
        mends("second", "still so", "right\n"),
        mends("first", "wrong", "still so\n"),
        writes("1.1", "Write one", "one.txt", "wrong\n"),
        writes("1.2", "Write two", "two.txt", "2\n"),
        step("1.3", "Perhaps", &[turn("No.", &[write("left.txt", "left\n"), skip]), turn("Skipped.", &[])]),
    ]);
    let world = World::new(&script, &FILES).await;
    world.run("Checks", &["--yes", "--json"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    let expected = [
        [("one", Some(1)), ("always", Some(0))],
        [("one", Some(1)), ("always", Some(0))],
        [("one", Some(0)), ("always", Some(0))],
        // A parent's checks come after its last leaf, though that one is skipped.
        [("always", Some(0)), ("parent", Some(0))],
        [("always", Some(0)), ("", None)],
    ];
    assert_eq!(results(&log), expected.concat()[..9], "{}", log.outline());
    assert_eq!(log.step("1.3"), "completed(skipped)");
    assert_note(&log, "the agent is asked to mend it (2 of 2)");
    assert_note(
        &log,
        "Files that checks left behind are not part of the work and were removed: `built.bin`, `cache.log`, `cache.tmp`",
    );
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.git(["ls-tree", "--name-only", &branch]), "README.md\none.txt\ntwo.txt\n");
    assert_eq!(world.repository.show(&branch, "one.txt"), "right\n");
    let shown = world.runyard(["pr", "show", "1"]).await.expect_code(0).stdout;
    assert!(shown.contains("✓ one") && shown.contains("✓ always") && !shown.contains('✗'), "{shown}");
    world.assert_foreseen();
}

/// Writes a file, whether it is there or not, without having read it.
fn write_again(file: &str, text: &str) -> Value {
    bash(&format!("printf '{}' > {file}", text.replace('\n', "\\n")))
}

const FAILING: &str = "\
# Runbook: Checks

## Execution Steps

### Step 1: Write one
```runnable bash check name=alters timeout=30s
echo more >> README.md
```
```runnable bash check name=slow timeout=1s
echo begun; sleep 60
```
```runnable bash check name=builds timeout=30s
mkdir -p out; echo built > out/one; echo notes > notes.txt
```
```runnable bash check name=uses timeout=30s
cat out/one notes.txt
```

### Step 2: Write two
Text.
";

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_checks_keep_failing_fails_with_its_evidence() {
    let script = script(&[plan(FAILING), writes("1", "Write one", "one.txt", "1\n")]);
    let mut world = World::new(&script, &FILES).await;
    world.environment.push(("RUNYARD_CHECKS_RETRIES".into(), "0".into()));
    let run = world.run("Checks", &["--yes", "--json"]).ends().await.expect_code(1);
    let log = world.log("1").await;
    assert_eq!((log.step("1"), log.step("2")), ("failed(check)".into(), "not_started".into()), "{}", log.outline());
    assert_eq!(results(&log), [("alters", None), ("slow", None), ("builds", Some(0)), ("uses", Some(0))]);
    let why: Vec<_> = log.of("check_result").map(|check| check.text("killed").to_owned()).collect();
    assert!(why[0].contains("it changed files of the repository"), "{why:?}");
    assert_eq!(why[1], "timed out after 1 s");
    assert!(run.stdout.contains("the check `alters` failed") && run.stdout.contains("and 1 more"), "{}", run.stdout);
    let tails: Vec<_> = log.of("check_result").map(|check| check.text("tail").to_owned()).collect();
    assert_eq!(tails[1..], ["begun\n", "", "built\nnotes\n"].map(str::to_owned));

    // What it did is kept, and shown; it is no commit.
    let diff = world.runyard(["session", "diff", "1", "--step", "1"]).await.expect_code(0).stdout;
    assert!(diff.contains("one.txt") && !diff.contains("out/one"), "{diff}");
    let shown = world.runyard(["session", "log", "1"]).await.expect_code(0).stdout;
    assert!(shown.contains("alters") && shown.contains("timed out after 1 s"), "{shown}");
    assert!(world.repository.pushed().is_empty());
    world.assert_foreseen();
}
