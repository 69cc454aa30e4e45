//! People in the loop: questions, permissions, manual steps. What is asked is durable, the first valid answer wins, and
//! the call that waits goes on with exactly that answer, whatever happened to the process that asked.

use crate::scripts::{ask, bash, message, plan, plan_after, script, step, submit, turn, write};
use product_tests::{Finished, World};
use serde_json::{Value, json};

const FILES: [(&str, &str); 2] = [("README.md", "# Files\n"), ("old.txt", "old\n")];
const USAGE: i32 = 2;

const RUNBOOK: &str = "\
# Runbook: One file

## Execution Steps

### Step 1: Write it
- `one.txt`

```runnable bash check name=there timeout=30s
cat one.txt before.txt
```
";

/// A resumed agent may ask the model before our tool is offered to it: a model that is reminded hands in again.
fn reminded(runbook: &str) -> Value {
    json!({ "name": "reminded", "when": { "prompt_contains": "You have not handed in a runbook" }, "turns": [
        turn("Now it works.", &[submit(runbook)]),
        turn("The plan is ready.", &[]),
    ] })
}

/// Step 1 of [`RUNBOOK`]: works, asks, works on with what it was told.
fn asking_step() -> Value {
    step(
        "1",
        "Write it",
        &[
            turn("I begin.", &[write("before.txt", "written before the question\n")]),
            turn("One thing is open.", &[ask("Which colour?", ["red", "blue"])]),
            json!({ "say": "I write ${colour}.", "capture": { "colour": "=.(red|blue|green)" },
                "tools": [write("one.txt", "${colour}\n")] }),
            turn("It is written.", &[]),
        ],
    )
}

async fn open_requests(world: &World) -> Vec<Value> {
    let view = world.json(["session", "show", "1", "--json"]).await;
    view["open_requests"].as_array().expect("a list").clone()
}

async fn answered(world: &World, answer: &str) -> Finished {
    world.runyard(["session", "answer", "1", answer, "--json"]).await
}

/// What the model was given back for the question: the texts of all results that hold `words`.
fn told(world: &World, words: &str) -> usize {
    let last = |body: &Value| body["messages"].as_array().and_then(|all| all.last().cloned()).unwrap_or_default();
    let requests = world.model.requests();
    requests.iter().filter(|request| last(&request.body).to_string().contains(words)).count()
}

/// The step is done with the colour that the person chose, on top of what was written before the question.
async fn assert_done_with(world: &World, colour: &str) {
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    assert_eq!(log.runs("execute_step"), ["succeeded"], "one attempt:\n{}", log.outline());
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&branch, "one.txt"), format!("{colour}\n"));
    assert_eq!(world.repository.show(&branch, "before.txt"), "written before the question\n");
    assert_eq!(log.of("answer").filter(|answer| !answer.field("answer").is_null()).count(), 1);
    assert_eq!(open_requests(world).await, Vec::<Value>::new());
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_live_and_the_first_valid_answer_wins() {
    let world = World::new(&script(&[plan(RUNBOOK), asking_step()]), &FILES).await;
    let server = world.serve().await;
    world.run("One file", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    world.wait_for("1", "the question", |event| event.kind() == "question").await;
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "waiting", "{}", log.outline());

    let open = open_requests(&world).await;
    let request = open[0]["id"].as_str().expect("an id").to_owned();
    let invalid = world.runyard(["session", "answer", "1", "7"]).await.expect_code(USAGE);
    assert!(invalid.stderr.contains("no choice 7"), "{}", invalid.said());
    assert_eq!(open_requests(&world).await.len(), 1, "an invalid answer changes nothing");
    world.runyard(["session", "answer", "1", "2"]).await.expect_code(0);
    let second = world.runyard(["session", "answer", "1", "red", "--request", &request]).await.expect_code(USAGE);
    assert!(second.stderr.contains("already answered by Ada"), "{}", second.said());

    world.wait_for("1", "the step is done", |event| event.is_step("1", "completed")).await;
    assert_done_with(&world, "blue").await;
    let processes = world.model.requests().iter().filter(|it| it.conversation() == Some("step 1")).count();
    assert_eq!(processes, 4, "one process, no turn twice");
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_after_the_process_that_asked_is_gone() {
    let world = World::new(&script(&[plan(RUNBOOK), asking_step()]), &FILES).await;
    let asked = world.run("One file", &["--yes", "--json"]).ends().await.expect_code(3);
    assert!(asked.stdout.contains("Which colour?"), "{}", asked.stdout);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "waiting", "{}", log.outline());
    answered(&world, "red").await.expect_code(0);
    assert_done_with(&world, "red").await;
    assert_eq!(told(&world, "Which colour?"), 1, "the answer was given to the agent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_outlives_its_sandbox() {
    let mut world = World::new(&script(&[plan(RUNBOOK), asking_step()]), &FILES).await;
    world.run("One file", &["--yes", "--json"]).ends().await.expect_code(3);
    world.environment.push(("RUNYARD_SANDBOX_IDLE".into(), "1ms".into()));
    let server = world.serve().await;
    world.until("the sandbox is taken down", || sandboxes(&world).is_empty()).await;
    server.killed().await;
    world.environment.pop();
    answered(&world, "blue").await.expect_code(0);
    assert_done_with(&world, "blue").await;
    assert_eq!(told(&world, "Which colour?"), 1, "the answer was given to the agent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_outlives_a_kill_of_the_server() {
    let world = World::new(&script(&[plan(RUNBOOK), asking_step()]), &FILES).await;
    let server = world.serve().await;
    world.run("One file", &["--yes", "--json"]).ends().await.expect_code(3);
    server.killed().await;
    answered(&world, "blue").await.expect_code(0);
    assert_done_with(&world, "blue").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_outlives_a_kill_of_the_server_and_the_loss_of_the_sandbox() {
    let world = World::new(&script(&[plan(RUNBOOK), asking_step()]), &FILES).await;
    let server = world.serve().await;
    world.run("One file", &["--yes", "--json"]).ends().await.expect_code(3);
    server.killed().await;
    world.until("the sandbox's lease has run out", || world.inhabitants().all().is_empty()).await;
    for sandbox in sandboxes(&world) {
        std::fs::remove_dir_all(sandbox).expect("the sandbox is removed");
    }
    answered(&world, "green").await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&branch, "one.txt"), "green\n");
    assert_eq!(open_requests(&world).await, Vec::<Value>::new(), "nothing waits for ever");
}

fn sandboxes(world: &World) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir(world.data().join("sandboxes")).map(|all| all.flatten().collect()).unwrap_or(vec![]);
    all.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_planning_ends_in_a_plan() {
    let question = turn("One thing is open.", &[ask("Which colour?", ["red", "blue"])]);
    let world = World::new(&script(&[plan_after(&[question], RUNBOOK), reminded(RUNBOOK)]), &FILES).await;
    world.run("One file", &["--json"]).ends().await.expect_code(3);
    answered(&world, "blue").await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.runs("plan"), ["succeeded"], "{}", log.outline());
    assert_eq!(log.of("plan_version").count(), 1);
    assert_eq!(told(&world, "Which colour?"), 1);
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_a_message_does_not_lose_the_new_plan() {
    let revised = RUNBOOK.replace("- `one.txt`", "- `one.txt`, in colour");
    let script = script(&[
        plan(RUNBOOK),
        message(
            "make it colourful",
            &[
                turn("One thing is open.", &[ask("Which colour?", ["red", "blue"])]),
                turn("I change the plan.", &[submit(&revised)]),
                turn("It is in colour now.", &[]),
            ],
        ),
        json!({ "name": "once more", "when": { "prompt_contains": "submit_plan is there now" }, "turns": [
            turn("Now it works.", &[submit(&revised)]),
            turn("It is in colour now.", &[]),
        ] }),
    ]);
    let world = World::new(&script, &FILES).await;
    world.run("One file", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "message", "1", "Please make it colourful", "--json"]).await.expect_code(3);
    answered(&world, "red").await.expect_code(0);
    let text = world.runyard(["session", "versions", "1", "--show", "2"]).await.expect_code(0).stdout;
    assert!(text.contains("in colour"), "{text}");
    world.assert_foreseen();
}

/// Removes files in the step, alone or two at once, and goes on whatever comes of it.
fn removing(calls: &[Value]) -> String {
    script(&[
        plan(RUNBOOK),
        step(
            "1",
            "Write it",
            &[
                turn("I write.", &[write("one.txt", "1\n"), write("before.txt", "2\n")]),
                turn("I tidy up.", calls),
                json!({ "if": { "contains": "Repeat this call alone" }, "then": [
                    turn("One.", &calls[..1]), turn("And the other.", &calls[1..]) ] }),
                turn("Done.", &[]),
            ],
        ),
    ])
}

async fn with_rule(script: &str) -> World {
    let mut world = World::new(script, &FILES).await;
    world.environment.push(("RUNYARD_AGENT_EXECUTION_ASK".into(), "Bash(rm:*)".into()));
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_allows_what_the_rules_ask_about() {
    let world = with_rule(&removing(&[bash("rm old.txt")])).await;
    let asked = world.run("One file", &["--yes", "--json"]).ends().await.expect_code(3);
    assert!(asked.stdout.contains("rm old.txt"), "{}", asked.stdout);
    let wrong = answered(&world, "perhaps").await.expect_code(USAGE);
    assert!(wrong.stderr.contains("`allow`"), "{}", wrong.said());
    answered(&world, "allow").await.expect_code(0);
    let branch = world.repository.pushed().pop().expect("a branch");
    let files = world.repository.git(["ls-tree", "--name-only", &branch]);
    assert_eq!(files, "README.md\nbefore.txt\none.txt\n");
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_denies_what_the_rules_ask_about() {
    let world = with_rule(&removing(&[bash("rm old.txt")])).await;
    world.run("One file", &["--yes", "--json"]).ends().await.expect_code(3);
    world.runyard(["session", "answer", "1", "deny", "we still need it", "--json"]).await.expect_code(0);
    assert!(told(&world, "we still need it") >= 1, "the agent hears why");
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&branch, "old.txt"), "old\n");
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_of_one_message_are_each_decided() {
    let world = with_rule(&removing(&[bash("rm old.txt"), bash("rm README.md")])).await;
    let server = world.serve().await;
    world.run("One file", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    // The agent may have them decided one after the other.
    world.wait_for("1", "a request", |event| event.kind() == "question").await;
    for request in 1..=2 {
        let nth = |log: &product_tests::Log| log.of("question").count() >= request;
        while !nth(&world.log("1").await) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let open = open_requests(&world).await;
        let (id, command) = (open[0]["id"].as_str().expect("an id"), open[0]["kind"]["input"]["command"].as_str());
        let verdict = if command == Some("rm old.txt") { "allow" } else { "deny" };
        world.runyard(["session", "answer", "1", verdict, "--request", id]).await.expect_code(0);
    }
    world.wait_for("1", "the step is done", |event| event.is_step("1", "completed")).await;
    let branch = world.repository.pushed().pop().expect("a branch");
    let files = world.repository.git(["ls-tree", "--name-only", &branch]);
    assert_eq!(files, "README.md\nbefore.txt\none.txt\n");
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_calls_of_one_message_are_repeated_alone_when_nobody_is_there() {
    let mut world = with_rule(&removing(&[bash("rm old.txt"), bash("rm README.md")])).await;
    world.environment.push(("RUNYARD_AGENT_HOLD".into(), "1s".into()));
    world.run("One file", &["--yes", "--json"]).ends().await.expect_code(3);
    let mut left = 8;
    while !open_requests(&world).await.is_empty() && left > 0 {
        let finished = answered(&world, "allow").await;
        assert!(matches!(finished.code, Some(0 | 3)), "{}", finished.said());
        left -= 1;
    }
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.git(["ls-tree", "--name-only", &branch]), "before.txt\none.txt\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_shot_refuses_instead_of_asking() {
    let world = with_rule(&removing(&[bash("rm old.txt")])).await;
    world.run("One file", &["--one-shot", "--json"]).ends().await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.of("question").count(), 0, "{}", log.outline());
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&branch, "old.txt"), "old\n");
    world.assert_foreseen();
}

const MANUAL: &str = "\
# Runbook: By hand

## Execution Steps

### Step 1: [MANUAL] Turn the key
Only a person can.

### Step 2: [MANUAL] Lock the door
Not always.

### Step 3: [MANUAL] Go home
At last.
";

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_step_waits_for_a_person() {
    let world = World::new(&script(&[plan(MANUAL)]), &FILES).await;
    world.run("By hand", &["--yes", "--json"]).ends().await.expect_code(3);
    assert_eq!(world.log("1").await.step("1"), "waiting");
    let wrong = answered(&world, "not yet").await.expect_code(USAGE);
    assert!(wrong.stderr.contains("done") && wrong.stderr.contains("skip"), "{}", wrong.said());
    answered(&world, "done").await.expect_code(3);
    answered(&world, "skip").await.expect_code(3);
    let log = world.log("1").await;
    assert_eq!((log.step("1"), log.step("2")), ("completed(by_person)".into(), "completed(skipped)".into()));

    // The third one is not answered but marked, which must not leave anything waiting.
    world.runyard(["session", "done", "1", "3"]).await.expect_code(0);
    assert_eq!(open_requests(&world).await, Vec::<Value>::new());
    let server = world.serve().await;
    world.wait_for("1", "the step is done", |event| event.is_step("3", "completed")).await;
    world.until_idle("1").await;
    let log = world.log("1").await;
    assert_eq!(log.step("3"), "completed(by_person)", "{}", log.outline());
    assert!(log.runs("execute_step").iter().all(|state| state == "succeeded"), "{}", log.outline());
    assert!(world.repository.pushed().is_empty());
    server.killed().await;
}
