//! Work becomes branches and pull requests: what is in them, who may change them, and how they get into the target.

use crate::scripts::{bash, plan, script, step, turn, write, writes};
use product_tests::{Finished, World};
use serde_json::{Value, json};

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

const RUNBOOK: &str = "\
# Runbook: Words

## Execution Steps

### Step 1: Collect
Both parts.

#### 1.1: Write one
- `one.txt`

```runnable bash check name=one timeout=30s
cat one.txt
```

#### 1.2: Write more
- `Makefile`

### Step 2: Write two
- `two.txt`
";

fn one() -> Value {
    writes("1.1", "Write one", "one.txt", "a\nb\nc\n")
}

fn more() -> Value {
    writes("1.2", "Write more", "Makefile", "all:\n")
}

fn two() -> Value {
    writes("2", "Write two", "two.txt", "2\n")
}

/// A step that changes what an earlier one wrote.
fn changes(number: &str) -> Value {
    step(number, "Change one", &[turn("I do.", &[bash("echo 'one and two' > one.txt")]), turn("Done.", &[])])
}

/// What the agent does about a review of the pull request whose title ends like this.
fn review(name: &str, when: &str, turns: &[Value]) -> Value {
    json!({ "name": name, "when": { "prompt_matches": format!("(?s)want this changed.*{when}") }, "turns": turns })
}

async fn pull(world: &World, number: i64) -> Value {
    world.json(["pr", "show", &number.to_string(), "--json"]).await
}

async fn body(world: &World, number: i64) -> String {
    pull(world, number).await["line"]["pull_request"]["body"].as_str().expect("a body").to_owned()
}

async fn state(world: &World, number: i64) -> String {
    pull(world, number).await["line"]["pull_request"]["state"].as_str().expect("a state").to_owned()
}

fn tip(world: &World, branch: &str) -> String {
    world.repository.git(["rev-parse", &format!("refs/heads/{branch}")]).trim().to_owned()
}

fn contains(world: &World, branch: &str, commit: &str) -> bool {
    let base = world.repository.git(["merge-base", branch, commit]);
    base.trim() == commit
}

/// The `git …` between backticks of a message, as a person would type them.
fn typed(world: &World, message: &str, replace: (&str, &str)) {
    let commands: Vec<_> = message.split('`').filter(|part| part.starts_with("git ")).collect();
    assert!(!commands.is_empty(), "nothing to type in {message}");
    for command in commands {
        sh(world, &command.replace(replace.0, replace.1));
    }
}

fn sh(world: &World, command: &str) {
    let output = std::process::Command::new("sh")
        .current_dir(world.repository.path())
        .args(["-c", command])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "Bob"), ("GIT_AUTHOR_EMAIL", "bob@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Bob"), ("GIT_COMMITTER_EMAIL", "bob@example.com")])
        .output()
        .expect("sh");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Somebody else's commit on a branch, without touching the working tree.
fn pushed_by_bob(world: &World, branch: &str, file: &str) -> String {
    sh(
        world,
        &format!(
            "set -e; export GIT_INDEX_FILE=.git/bob; git read-tree {branch}; blob=$(echo bob | git hash-object -w --stdin); \
             git update-index --add --cacheinfo 100644,$blob,{file}; \
             git update-ref refs/heads/{branch} $(git commit-tree $(git write-tree) -p {branch} -m 'By Bob'); rm .git/bob"
        ),
    );
    tip(world, branch)
}

async fn last_error(world: &World) -> String {
    let log = world.log("1").await;
    let note = log.of("note").filter(|note| note.text("level") == "error").last();
    note.unwrap_or_else(|| panic!("no error\n{}", log.outline())).text("text").to_owned()
}

fn done(finished: Finished) -> Finished {
    finished.expect_code(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_is_reviewed_and_revised() {
    let asked = review(
        "first",
        r"b is wrong.*",
        &[turn("I mend it.", &[bash("sed -i s/b/B/ one.txt")]), turn("b is B now.", &[])],
    );
    let more_asked = review(
        "second",
        "three lines",
        &[turn("I mend it.", &[bash("printf '2\\n2\\n2\\n' > two.txt")]), turn("Three lines.", &[])],
    );
    let world = World::new(&script(&[plan(RUNBOOK), one(), more(), two(), asked, more_asked]), &FILES).await;
    let flags = ["--yes", "--draft", "--label", "docs", "--label", "words", "--label", "docs"];
    done(world.run("Collect words", &flags).ends().await);

    let branches = world.repository.pushed();
    let [first, second] = branches.as_slice() else { panic!("{branches:?}") };
    assert_eq!(world.repository.subjects(&format!("main..{first}")), ["1.2 Write more", "1.1 Write one"]);
    assert_eq!(world.repository.subjects(&format!("{first}..{second}")), ["2 Write two"]);
    for number in [1, 2] {
        let request = pull(&world, number).await["line"]["pull_request"].clone();
        assert_eq!((&request["draft"], &request["labels"]), (&json!(true), &json!(["docs", "words"])));
    }
    let said = body(&world, 1).await;
    for part in [
        "`r/1`",
        "Requested by Ada",
        "## 1.1 Write one",
        "- `one.txt`",
        "| 1.1 | ✓ one | `cat one.txt` | 0 |",
        "## Look twice\n\n- `Makefile`",
        "- ✓ 1.2 Write more — completed ← here",
        "- ✓ 2 Write two — completed\n",
        "← this one",
        "#2 ",
    ] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let message = world.repository.git(["log", "-1", "--format=%an <%ae>%n%B", &format!("{first}~1")]);
    let trailers: Vec<_> = message.lines().filter(|line| line.contains(": ")).collect();
    assert!(message.starts_with("Ada <ada@example.com>\n1.1 Write one\n\nIt is written.\n\n"), "{message}");
    assert_eq!(trailers[..2], ["Runyard-Session: r/1", "Runyard-Step: 1.1"]);
    assert!(
        trailers[2].starts_with("Runyard-Run: ") && trailers[3] == "Co-authored-by: Ada <ada@example.com>",
        "{message}"
    );

    let before = [tip(&world, first), tip(&world, second)];
    done(world.runyard(["pr", "comment", "1", "b is wrong", "--line", "one.txt:2"]).await);
    done(world.runyard(["pr", "revise", "1", "Take care"]).await);
    let asked = world.model.requests();
    let prompt = asked.iter().find(|request| request.conversation() == Some("first")).expect("asked").body.to_string();
    assert!(prompt.contains("one.txt, line 2") && prompt.contains("Ada: b is wrong") && prompt.contains("Take care"));
    assert_eq!(world.repository.show(first, "one.txt"), "a\nB\nc\n");
    assert_eq!(world.repository.subjects(&format!("{}..{first}", before[0])).len(), 1, "one commit for the batch");
    assert!(contains(&world, first, &before[0]) && contains(&world, second, &before[1]), "nothing was overwritten");
    assert!(contains(&world, second, &tip(&world, first)), "the upper branch follows");
    assert_eq!(world.repository.show(second, "one.txt"), "a\nB\nc\n");
    assert!(pull(&world, 1).await["comments"].to_string().contains("Revised in "));
    assert!(world.runyard(["pr", "diff", "2"]).await.stdout.matches("diff --git").count() == 1, "only its own step");

    let theirs = pushed_by_bob(&world, second, "bob.txt");
    world.runyard(["pr", "revise", "2", "Make it three lines"]).await.expect_code(1);
    let told = last_error(&world).await;
    assert!(told.contains("somebody else moved") && told.contains(&theirs[..7]), "{told}");
    assert_eq!(tip(&world, second), theirs, "what Bob pushed is still there");
    typed(&world, &told, ("NAME", "bobs-work"));
    assert_eq!(tip(&world, "bobs-work"), theirs);
    done(world.runyard(["session", "retry", "1", "--follow"]).await);
    assert_eq!(world.repository.show(second, "two.txt"), "2\n2\n2\n");
    world.log("1").await.assert_whole();
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pull_request_tells_how_far_it_is() {
    let world = World::new(&script(&[plan(RUNBOOK), one(), more(), two()]), &FILES).await;
    world.run("Collect words", &["--pr-mode", "single_pr"]).ends().await.expect_code(3);
    for (leaf, done_now, open) in [("1.1", "✓ 1.1", "○ 1.2"), ("1.2", "✓ 1.2", "○ 2 "), ("2", "✓ 2 ", "")] {
        done(world.runyard(["session", "execute", "1", leaf, "--follow"]).await);
        let said = body(&world, 1).await;
        assert!(said.contains(done_now) && said.contains(open), "after {leaf}:\n{said}");
    }
    let branches = world.repository.pushed();
    assert_eq!(branches.len(), 1, "{branches:?}");
    assert_eq!(world.repository.subjects(&format!("main..{}", branches[0])).len(), 3);
    assert_eq!(world.json(["pr", "list", "--json"]).await.as_array().map(Vec::len), Some(1));
}

async fn options(world: &World) -> Vec<String> {
    let view = world.json(["session", "show", "1", "--json"]).await;
    let open = view["open_requests"][0]["kind"]["options"].as_array().cloned().unwrap_or_default();
    open.iter().filter_map(|option| option["label"].as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_decides_what_becomes_of_each_step() {
    let world = World::new(&script(&[plan(RUNBOOK), one(), more(), two()]), &FILES).await;
    world.run("Collect words", &["--pr-mode", "manual"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "1", "--follow"]).await.expect_code(3);
    assert_eq!(options(&world).await, ["stacked_pr", "same_branch", "new_branch", "cancel"]);
    assert_eq!(world.log("1").await.step("1.2"), "queued", "the queue halts");
    world.runyard(["session", "answer", "1", "same_branch", "--follow"]).await.expect_code(3);
    assert_eq!(options(&world).await, ["create_pr", "dismiss"]);
    done(world.runyard(["session", "answer", "1", "dismiss", "--follow"]).await);
    assert_eq!(world.json(["pr", "list", "--json"]).await, json!([]), "nothing was opened");

    world.runyard(["session", "execute", "1", "2", "--follow"]).await.expect_code(3);
    assert_eq!(options(&world).await, ["current_branch", "fresh"]);
    world.runyard(["session", "answer", "1", "fresh", "--follow"]).await.expect_code(3);
    assert_eq!(options(&world).await, ["create_pr", "dismiss"]);
    done(world.runyard(["session", "answer", "1", "create_pr", "--follow"]).await);
    let view = world.json(["session", "show", "1", "--json"]).await;
    let changes = view["changes"].as_array().expect("changes").clone();
    assert_eq!(changes.len(), 2, "1.1 and 1.2 share one, 2 stands alone: {view}");
    let fresh = changes[1]["branch"].as_str().expect("a branch");
    assert_eq!(world.repository.subjects(&format!("main..{fresh}")), ["2 Write two"], "from the target branch");
    world.log("1").await.assert_whole();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_can_be_taken_out_or_go_on_top() {
    let world = World::new(&script(&[plan(RUNBOOK), one(), more(), two()]), &FILES).await;
    world.run("Collect words", &["--pr-mode", "manual"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "all", "--follow"]).await.expect_code(3);
    world.runyard(["session", "answer", "1", "cancel", "--follow"]).await;
    let log = world.log("1").await;
    assert_eq!((log.step("1.2"), log.step("2")), ("not_started".into(), "not_started".into()), "{}", log.outline());
    world.runyard(["session", "execute", "1", "all", "--follow"]).await.expect_code(3);
    world.runyard(["session", "answer", "1", "current_branch", "--follow"]).await.expect_code(3);
    world.runyard(["session", "answer", "1", "new_branch", "--follow"]).await.expect_code(3);
    done(world.runyard(["session", "answer", "1", "create_pr", "--follow"]).await);
    let branches = world.repository.pushed();
    assert_eq!(branches.len(), 2, "{branches:?}");
    assert_eq!(world.json(["pr", "list", "--json"]).await.as_array().map(Vec::len), Some(2), "a stack needs both");
    let log = world.log("1").await;
    assert_eq!(log.step("2"), "completed(changed)", "{}", log.outline());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_merged_once_it_was_made_ready() {
    let world = World::new(&script(&[plan(RUNBOOK), one(), more(), two()]), &FILES).await;
    done(world.run("Collect words", &["--yes", "--draft"]).ends().await);
    let refused = world.runyard(["pr", "merge", "1"]).await.expect_code(2);
    assert!(refused.stderr.contains("#1 is a draft"), "{}", refused.said());
    assert!(refused.stderr.contains("`runyard pr ready 1`"), "{}", refused.said());

    done(world.runyard(["pr", "ready", "1"]).await);
    let drafts = async |number| pull(&world, number).await["line"]["pull_request"]["draft"].clone();
    assert_eq!((drafts(1).await, drafts(2).await), (json!(false), json!(true)));
    let log = world.log("1").await;
    let told = |number: i64| {
        let of = log.of("change_state").filter(|event| event.field("pull_request") == &json!(number)).last();
        of.expect("told").text("state").to_owned()
    };
    assert_eq!((told(1).as_str(), told(2).as_str()), ("open", "draft"), "{}", log.outline());
    // Again changes nothing, and what is written later keeps it ready.
    done(world.runyard(["pr", "ready", "1"]).await);
    assert_eq!(world.log("1").await.len(), log.len());
    sh(&world, "git checkout -q --detach");
    done(world.runyard(["pr", "merge", "1"]).await);
    assert_eq!(state_of_draft(&world, 2).await, (json!(true), "open".to_owned()));
    done(world.runyard(["pr", "ready", "2"]).await);
    done(world.runyard(["pr", "merge", "2"]).await);
    assert_eq!((state(&world, 1).await, state(&world, 2).await), ("merged".to_owned(), "merged".to_owned()));
    let merged = world.runyard(["pr", "ready", "2"]).await.expect_code(2);
    assert!(merged.stderr.contains("merged already"), "{}", merged.said());
}

async fn state_of_draft(world: &World, number: i64) -> (Value, String) {
    (pull(world, number).await["line"]["pull_request"]["draft"].clone(), state(world, number).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_shot_that_fails_stays_a_draft_until_it_is_done() {
    let again = crate::scripts::step_again(
        "2",
        "Write two",
        &[turn("Now.", &[write("two.txt", "2\n")]), turn("It is written.", &[])],
    );
    let failing = step("2", "Write two", &[turn("No.", &[]), turn("No.", &[]), turn("No.", &[])]);
    let runbook = format!("{RUNBOOK}\n```runnable bash check name=two timeout=30s\ncat two.txt\n```\n");
    let world = World::new(&script(&[plan(&runbook), one(), more(), again, failing]), &FILES).await;
    world.run("Collect words", &["--one-shot"]).ends().await.expect_code(1);
    let request = pull(&world, 1).await["line"]["pull_request"].clone();
    assert_eq!(
        (&request["draft"], &request["state"], &request["title"]),
        (&json!(true), &json!("open"), &json!("[WIP] Collect words"))
    );
    let said = body(&world, 1).await;
    assert!(said.contains("✗ 2 Write two — failed") || said.contains("2 Write two — failed"), "{said}");

    done(world.runyard(["session", "retry", "1", "--follow"]).await);
    let request = pull(&world, 1).await["line"]["pull_request"].clone();
    assert_eq!((&request["draft"], &request["title"]), (&json!(false), &json!("Collect words")));
    let log = world.log("1").await;
    let ready = log.of("change_state").filter(|event| event.text("state") == "open").last().expect("ready").number();
    let told = log.of("message").filter(|event| event.text("text").starts_with("Everything is done")).last();
    assert!(told.expect("told").number() > ready, "ready comes before the message\n{}", log.outline());
}

/// A session with two pull requests, 1.1 and 1.2 below 2.
async fn stack(extra: &[Value]) -> World {
    let mut conversations = vec![plan(RUNBOOK), one(), more(), two()];
    conversations.extend_from_slice(extra);
    let world = World::new(&script(&conversations), &FILES).await;
    done(world.run("Collect words", &["--yes"]).ends().await);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_from_the_top_while_the_target_moves() {
    let world = stack(&[]).await;
    let branches = world.repository.pushed();
    done(world.runyard(["pr", "merge", "2"]).await);
    assert_eq!((state(&world, 2).await.as_str(), state(&world, 1).await.as_str()), ("merged", "open"));
    assert_eq!(world.repository.show(&branches[0], "two.txt"), "2\n", "it went into the branch below");
    let view = world.json(["session", "show", "1", "--json"]).await;
    assert_eq!(view["session"]["archived"], false, "one is open");

    sh(&world, "echo moved > moved.txt && git add . && git commit -qm 'By Bob' && git checkout -q --detach");
    done(world.runyard(["pr", "merge", "1", "--squash"]).await);
    for (file, text) in [("one.txt", "a\nb\nc\n"), ("two.txt", "2\n"), ("moved.txt", "moved\n"), ("Makefile", "all:\n")]
    {
        assert_eq!(world.repository.show("main", file), text);
    }
    assert_eq!(world.repository.subjects("main").len(), 3, "begin, Bob's, and the squashed one");
    let view = world.json(["session", "show", "1", "--json"]).await;
    assert_eq!(view["session"]["archived"], true, "the last one was merged");
    world.runyard(["pr", "merge", "1"]).await.expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_by_hand_is_noticed() {
    let world = stack(&[]).await;
    let refused = world.runyard(["pr", "merge", "1"]).await.expect_code(2);
    let command = refused
        .stderr
        .lines()
        .find_map(|line| line.split_once("type: "))
        .unwrap_or_else(|| panic!("nothing to type in {}", refused.said()))
        .1
        .to_owned();
    assert_eq!(state(&world, 1).await, "open", "a refused merge changes nothing");
    sh(&world, &command);
    let list = world.json(["pr", "list", "--json"]).await.to_string();
    assert!(list.contains("\"merged\""), "{list}");
    assert_eq!(pull(&world, 2).await["line"]["pull_request"]["base"], "main", "what was above goes into main now");

    let refused = world.runyard(["pr", "merge", "2", "--squash"]).await.expect_code(2);
    let command = refused
        .stderr
        .lines()
        .find_map(|line| line.split_once("type: "))
        .unwrap_or_else(|| panic!("nothing to type in {}", refused.said()))
        .1
        .to_owned();
    sh(&world, &command);
    let view = world.json(["session", "show", "1", "--json"]).await;
    assert_eq!(view["changes"][1]["state"], "merged", "{view}");
    assert_eq!(world.repository.show("main", "two.txt"), "2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_in_the_stack_is_resolved_by_the_agent() {
    let runbook =
        "# Runbook: Line\n\n## Execution Steps\n\n### Step 1: Write one\n- it\n\n### Step 2: Change one\n- it\n";
    let asked = review("lower", "say uno", &[turn("I do.", &[bash("echo uno > one.txt")]), turn("Uno.", &[])]);
    // The first time it leaves the markers.
    let look = bash("[ -e ~/tried ] && echo 'uno and two' > one.txt; touch ~/tried");
    let resolve = json!({ "name": "resolve", "when": { "prompt_contains": "Resolve every one" },
        "turns": [turn("I look.", &[look]), turn("It looks fine.", &[])] });
    let world = World::new(
        &script(&[plan(runbook), writes("1", "Write one", "one.txt", "one\n"), changes("2"), asked, resolve]),
        &FILES,
    )
    .await;
    done(world.run("Write a line", &["--yes"]).ends().await);
    let branches = world.repository.pushed();
    let before = tip(&world, &branches[1]);
    let server = world.serve().await;
    done(world.runyard(["pr", "revise", "1", "Please say uno", "--detach"]).await);
    world.wait_for("1", "markers are left", |event| event.is_run("resolve_conflict", "failed")).await;
    assert!(last_error(&world).await.contains("one.txt still holds conflict markers"));
    assert_eq!(tip(&world, &branches[1]), before, "the branch is as it was");
    assert_eq!(world.repository.show(&branches[0], "one.txt"), "uno\n", "the lower one is revised");

    done(world.runyard(["session", "retry", "1", "--detach"]).await);
    world.wait_for("1", "the conflict is resolved", |event| event.is_run("resolve_conflict", "succeeded")).await;
    assert_eq!(world.repository.show(&branches[1], "one.txt"), "uno and two\n");
    assert!(contains(&world, &branches[1], &before) && contains(&world, &branches[1], &tip(&world, &branches[0])));
    world.log("1").await.assert_whole();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_taken_back_and_done_again() {
    let world = stack(&[]).await;
    let branches = world.repository.pushed();
    let before = tip(&world, &branches[0]);
    done(world.runyard(["session", "revert", "1", "1.1", "--follow"]).await);
    let log = world.log("1").await;
    assert_eq!(
        (log.step("1.1"), log.step("1.2"), log.step("2")),
        ("not_started".into(), "completed(changed)".into(), "completed(changed)".into())
    );
    assert!(contains(&world, &branches[0], &before), "by a new commit");
    assert!(!world.repository.git(["ls-tree", "--name-only", &branches[0]]).contains("one.txt"));
    assert!(
        !world.repository.git(["ls-tree", "--name-only", &branches[1]]).contains("one.txt"),
        "the upper one follows"
    );
    assert_eq!(world.repository.show(&branches[1], "two.txt"), "2\n");
    let message = world.repository.git(["log", "-1", "--format=%B", &branches[0]]);
    assert!(message.starts_with("Revert 1.1 Write one\n") && message.contains("Runyard-Step: 1.1"), "{message}");
    let said = body(&world, 1).await;
    assert!(said.contains("○ 1.1 Write one"), "{said}");

    done(world.runyard(["session", "execute", "1", "1.1", "--follow"]).await);
    assert_eq!(world.repository.show(&branches[1], "one.txt"), "a\nb\nc\n");
    assert_eq!(world.repository.pushed(), branches, "the same branches");
    let said = body(&world, 2).await;
    assert!(said.contains("✓ 1.1 Write one"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_under_later_work_is_not_taken_back() {
    let runbook = "# Runbook: Line\n\n## Execution Steps\n\n### Step 1: Line\nIt.\n\n#### 1.1: Write one\n- it\n\n#### 1.2: Change one\n- it\n";
    let world =
        World::new(&script(&[plan(runbook), writes("1.1", "Write one", "one.txt", "one\n"), changes("1.2")]), &FILES)
            .await;
    done(world.run("Write a line", &["--yes"]).ends().await);
    let branches = world.repository.pushed();
    let before = tip(&world, &branches[0]);
    world.runyard(["session", "revert", "1", "1.1", "--follow"]).await.expect_code(1);
    let told = last_error(&world).await;
    assert!(told.contains("later work builds on this step: one.txt conflict"), "{told}");
    assert_eq!(tip(&world, &branches[0]), before);
    assert_eq!(world.log("1").await.step("1.1"), "completed(changed)");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_moves_vanishes_and_is_rewritten() {
    let world = World::new(&script(&[plan(RUNBOOK), one(), more(), two()]), &FILES).await;
    world.run("Collect words", &[]).ends().await.expect_code(3);
    let begun = tip(&world, "main");
    sh(
        &world,
        "echo moved > moved.txt && git add . && git commit -qm 'By Bob' && git checkout -q --detach && git branch -m main gone",
    );
    world.runyard(["session", "execute", "1", "1.1", "--follow"]).await.expect_code(1);
    let told = last_error(&world).await;
    assert!(told.contains("there is no branch `main`") && told.contains("session retry r/1"), "{told}");
    let asked = world.model.requests().len();

    sh(
        &world,
        "git checkout -q --orphan other && git commit -qm 'Another history' && git branch main && git checkout -q --detach",
    );
    world.runyard(["session", "retry", "1", "--follow"]).await.expect_code(1);
    let told = last_error(&world).await;
    assert!(told.contains("`main` was rewritten") && told.contains(&begun[..7]), "{told}");
    assert_eq!(world.json(["pr", "list", "--json"]).await, json!([]), "never a pull request with foreign commits");

    sh(&world, "git branch -f main gone");
    done(world.runyard(["session", "retry", "1", "--follow"]).await);
    assert_eq!(world.model.requests().len(), asked, "the agent is not asked again for work that is there");
    let branches = world.repository.pushed();
    assert_eq!(world.repository.subjects(&format!("main..{}", branches[0])), ["1.1 Write one"]);
    let diff = world.runyard(["pr", "diff", "1"]).await.stdout;
    assert!(!diff.contains("moved.txt"), "what others did is not in it:\n{diff}");
    done(world.runyard(["pr", "merge", "1"]).await);
    assert_eq!(
        (world.repository.show("main", "moved.txt"), world.repository.show("main", "one.txt")),
        ("moved\n".into(), "a\nb\nc\n".into())
    );

    done(world.runyard(["session", "execute", "1", "all", "--follow"]).await);
    let newest = world.repository.pushed();
    let next = newest.iter().find(|branch| !branches.contains(branch)).expect("a new branch after the merge");
    assert!(contains(&world, next, &tip(&world, "main")), "later work begins from what was merged");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_written_by_others_breaks_out_of_a_description() {
    let runbook = "\
# Runbook: Odd <!-- words

## Execution Steps

### Step 1: Odd <!-- @everyone | `x
Hidden? <!-- so is the rest

> </blockquote></details>

#### Evidence

![seen](http://127.0.0.1/x.png) and `Vec<T>` by @someone

```runnable bash check name=\"odd | <b>\" timeout=30s
printf '%s\\n' '````' '</details>' '<!--' '## Progress'
```
";
    let world = World::new(
        &script(&[
            plan(runbook),
            json!({ "name": "odd", "when": { "prompt_contains": "Execute step 1" }, "turns": [
                turn("I write it.", &[write("one.txt", "1\n")]),
                turn("Done <!-- @everyone.\n\nRunyard-Session: r/9\nCo-authored-by: Eve <eve@example.com>\n---\n", &[]),
            ] }),
        ]),
        &FILES,
    )
    .await;
    done(world.run("Odd <!-- words @everyone", &["--yes"]).ends().await);
    let said = body(&world, 1).await;
    let ours = |line: &&str| line.starts_with("## ");
    let mut sections: Vec<_> = said.lines().filter(ours).collect();
    // One stands in the log, which a longer fence encloses.
    let whole = "`````text\n````\n</details>\n<!--\n## Progress\n`````\n";
    let log = said.find(whole).unwrap_or_else(|| panic!("the log is not whole\n{said}"));
    assert_eq!(said[..log].lines().filter(ours).count(), 2, "{said}");
    sections.remove(2);
    assert!(sections[0].starts_with("## 1 Odd &lt;!-- @\u{2060}everyone"), "{sections:?}");
    assert_eq!(sections[1..], ["## Evidence", "## Progress"], "{said}");
    for part in
        ["> Hidden? &lt;!-- so is the rest", "> \\![seen](", "`Vec<T>` by @\u{2060}someone", "> > &lt;/blockquote"]
    {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
    let command = said.lines().find(|line| line.contains("`printf")).expect("the command is one cell of code");
    let outside = said.replace(whole, "").replace(command, "");
    assert!(!outside.contains("<!--") && !outside.contains("@everyone"), "{said}");

    let branches = world.repository.pushed();
    let trailers = world.repository.git([
        "log",
        "-1",
        "--format=%(trailers:key=Runyard-Session,valueonly)%(trailers:key=Co-authored-by,valueonly)",
        &branches[0],
    ]);
    assert_eq!(trailers.split_whitespace().collect::<Vec<_>>(), ["r/1", "Ada", "<ada@example.com>"], "{trailers}");
}
