//! Stopping at every moment: while something is queued, planned, checked, asked; and starting again at once.

use crate::scripts::{ask, bash, held, plan, plan_after, script, step, step_again, turn, write, writes};
use product_tests::World;
use serde_json::json;

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

const RUNBOOK: &str = "\
# Runbook: Two files

## Execution Steps

### Step 1: Write one
- `one.txt`

### Step 2: Write two
- `two.txt`
";

/// A number of seconds that nothing else on the machine sleeps.
fn mark(kind: u32) -> String {
    format!("8{kind}{:06}", std::process::id() % 1_000_000)
}

async fn planned(world: &World) {
    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
}

/// Nothing is queued, running or waiting, and no question is open.
async fn assert_at_rest(world: &World) {
    assert_eq!(world.json(["session", "queue", "1", "--json"]).await, json!([]));
    let view = world.json(["session", "show", "1", "--json"]).await;
    assert_eq!(view["open_requests"], json!([]), "{view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_queued_is_taken_out_and_a_second_stop_is_harmless() {
    let world = World::new(
        &script(&[
            plan(RUNBOOK),
            writes("1", "Write one", "one.txt", "1\n"),
            writes("2", "Write two", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    planned(&world).await;
    world.runyard(["session", "execute", "1", "all", "--detach"]).await.expect_code(0);
    let stop = world.runyard(["session", "stop", "1"]).await.expect_code(0);
    assert!(stop.stdout.contains("nothing ran; taken out of the queue: 1, 2"), "{}", stop.said());
    let log = world.log("1").await;
    assert_eq!((log.step("1"), log.step("2")), ("not_started".into(), "not_started".into()));
    assert!(log.runs("execute_step").is_empty());
    for _ in 0..2 {
        let again = world.runyard(["session", "stop", "1"]).await.expect_code(0);
        assert!(again.stdout.contains("nothing ran"), "{}", again.said());
    }
    assert_at_rest(&world).await;
    world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    assert_eq!(world.log("1").await.runs("execute_step"), ["succeeded", "succeeded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_then_run_at_once_leaves_exactly_one_run() {
    let mark = mark(4);
    let deaf = format!("setsid bash -c 'trap \"\" TERM INT HUP; while :; do sleep {mark}; done' > /dev/null 2>&1 &");
    let world = World::new(
        &script(&[
            plan(RUNBOOK),
            step_again(
                "1",
                "Write one",
                &[turn("Again.", &[write("one.txt", "1\n")]), held("second"), turn("Done.", &[])],
            ),
            step("1", "Write one", &[turn("I start things.", &[bash(&deaf)]), held("never")]),
            writes("2", "Write two", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    let server = world.serve().await;
    planned(&world).await;
    world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    let inside = world.inhabitants();
    world.until("the agent's child runs", || !inside.running(&mark).is_empty()).await;

    // Two people stop, two people run, nobody waits for anybody.
    let stops = [world.start(["session", "stop", "1"]), world.start(["session", "stop", "1"])];
    world.wait_for("1", "the stop is on its way", |_| true).await;
    for stop in stops {
        stop.ends().await.expect_code(0);
    }
    let runs = [world.start(["session", "execute", "1", "1"]), world.start(["session", "execute", "1", "1"])];
    let mut accepted = 0;
    for run in runs {
        let run = run.ends().await;
        assert!(matches!(run.code, Some(0 | 2)), "{}", run.said());
        accepted += usize::from(run.code == Some(0));
    }
    assert_eq!(accepted, 1, "one of them was first");
    world.model.wait_for(|request| request.conversation() == Some("step 1 again")).await;
    let queue = world.json(["session", "queue", "1", "--json"]).await;
    assert_eq!(queue.as_array().map(Vec::len), Some(1), "{queue}");
    world.until("nothing of the stopped one lives", || inside.running(&mark).is_empty()).await;
    assert_eq!(inside.running("claude").len(), 1, "{:#?}", inside.all());
    world.model.release("second");
    world.until_idle("1").await;
    let log = world.log("1").await;
    assert_eq!(log.runs("execute_step"), ["stopped", "succeeded"], "{}", log.outline());
    assert_eq!((log.step("1"), log.step("2")), ("completed(changed)".into(), "not_started".into()));
    log.assert_whole();
    world.assert_foreseen();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_waits_is_withdrawn() {
    let mut world = World::new(
        &script(&[
            plan(RUNBOOK),
            step_again("1", "Write one", &[turn("I choose.", &[write("one.txt", "1\n")]), turn("Done.", &[])]),
            step("1", "Write one", &[turn("Which?", &[ask("One or two?", ["one", "two"])]), turn("Never said.", &[])]),
            writes("2", "Write two", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    // Once while the agent is kept waiting for the answer.
    let server = world.serve().await;
    planned(&world).await;
    world.runyard(["session", "execute", "1", "1"]).await.expect_code(0);
    world.wait_for("1", "it asks", |event| event.kind() == "question").await;
    world.runyard(["session", "stop", "1"]).await.expect_code(0);
    world.until_idle("1").await;
    assert_at_rest(&world).await;
    let log = world.log("1").await;
    assert_eq!((log.step("1"), log.runs("execute_step")), ("failed(stopped)".into(), vec!["stopped".to_owned()]));
    let inside = world.inhabitants();
    world.until("the agent is gone", || inside.running("claude").is_empty()).await;
    let late = world.runyard(["session", "answer", "1", "one"]).await.expect_code(2);
    assert!(late.stderr.contains("nothing"), "{}", late.said());
    world.runyard(["session", "retry", "1", "--follow"]).await.expect_code(0);
    assert_eq!(world.log("1").await.step("1"), "completed(changed)");
    server.killed().await;

    // And once when it was put to rest.
    world.environment.push(("RUNYARD_AGENT_HOLD".into(), "500ms".into()));
    let server = world.serve().await;
    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "2", "1"]).await.expect_code(0);
    world.wait_for("2", "it asks", |event| event.kind() == "question").await;
    let start = std::time::Instant::now();
    while world.json(["session", "queue", "2", "--json"]).await[0]["state"] != "waiting" {
        assert!(start.elapsed() < product_tests::LIMIT, "the agent is never put to rest");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let stop = world.runyard(["session", "stop", "2"]).await.expect_code(0);
    assert!(stop.stdout.contains("stopped 1"), "{}", stop.said());
    assert_eq!(world.json(["session", "queue", "2", "--json"]).await, json!([]));
    let log = world.log("2").await;
    assert_eq!((log.step("1"), log.runs("execute_step")), ("failed(stopped)".into(), vec!["stopped".to_owned()]));
    // The agent's conversation goes on where it was: it still wants to know.
    world.runyard(["session", "retry", "2", "--follow"]).await.expect_code(3);
    world.runyard(["session", "answer", "2", "two", "--follow"]).await.expect_code(0);
    let log = world.log("2").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    log.assert_whole();
    world.assert_foreseen();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_and_the_planning_can_be_stopped() {
    let mark = mark(5);
    let runbook = format!(
        "# Runbook: Slow\n\n## Execution Steps\n\n### Step 1: Check long\nText.\n\n\
         ```runnable bash check name=slow timeout=20m\nif [ -e quick.txt ]; then exit 0; fi; sleep {mark}\n```\n"
    );
    let world = World::new(
        &script(&[
            plan_after(&[held("planning")], &runbook),
            step_again("1", "Check long", &[turn("Quick.", &[write("quick.txt", "1\n")]), turn("Done.", &[])]),
            writes("1", "Check long", "one.txt", "1\n"),
        ]),
        &FILES,
    )
    .await;
    let server = world.serve().await;
    let run = world.run("Write two files", &["--json"]);
    world.model.wait_for(|request| request.conversation() == Some("plan")).await;
    world.runyard(["session", "stop", "1"]).await.expect_code(0);
    run.ends().await.expect_code(130);
    let log = world.log("1").await;
    assert_eq!(log.runs("plan"), ["stopped"]);
    assert_at_rest(&world).await;
    let inside = world.inhabitants();
    world.until("the agent is gone", || inside.running("claude").is_empty()).await;
    world.model.release("planning");
    world.runyard(["session", "retry", "1", "--follow"]).await;
    assert_eq!(world.log("1").await.runs("plan"), ["stopped", "succeeded"]);

    world.runyard(["session", "execute", "1", "1"]).await.expect_code(0);
    world.until("the check runs", || !inside.running(&mark).is_empty()).await;
    world.runyard(["session", "stop", "1"]).await.expect_code(0);
    world.until("the check is gone", || inside.running(&mark).is_empty()).await;
    world.until_idle("1").await;
    assert_eq!(world.log("1").await.step("1"), "failed(stopped)");
    // The agent's work was done, but the next attempt starts from the last commit.
    world.runyard(["session", "retry", "1", "--follow"]).await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "completed(changed)", "{}", log.outline());
    let branch = world.repository.pushed().pop().expect("a branch");
    let files = world.repository.git(["diff", "--name-only", "main", &branch]);
    assert_eq!(files, "quick.txt\n");
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_failed_run_is_kept_but_not_gone_on_with() {
    let runbook = "# Runbook: Checked\n\n## Execution Steps\n\n### Step 1: Write one\nText.\n\n\
                   ```runnable bash check name=good\ngrep --quiet good one.txt\n```\n";
    let mut world = World::new(
        &script(&[
            plan(runbook),
            step_again(
                "1",
                "Write one",
                &[
                    turn("I look first.", &[bash("ls; git status --porcelain")]),
                    json!({ "if": { "result_contains": "left.txt" }, "then": [turn("Something is left over.", &[])] }),
                    turn("Now right.", &[write("one.txt", "good\n")]),
                    turn("Done.", &[]),
                ],
            ),
            step(
                "1",
                "Write one",
                &[
                    turn("A lavender attempt.", &[write("one.txt", "bad\n"), write("left.txt", "left\n")]),
                    turn("Done.", &[]),
                ],
            ),
        ]),
        &FILES,
    )
    .await;
    world.environment.push(("RUNYARD_CHECKS_RETRIES".into(), "0".into()));
    world.run("Write one", &["--yes"]).ends().await.expect_code(1);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "failed(check)", "{}", log.outline());
    assert!(world.repository.pushed().is_empty());
    let diff = world.runyard(["session", "diff", "1", "--step", "1"]).await.expect_code(0).stdout;
    assert!(diff.contains("+bad") && diff.contains("left.txt"), "what it did is shown:\n{diff}");

    world.runyard(["session", "retry", "1"]).await.expect_code(0);
    assert_eq!(world.log("1").await.step("1"), "completed(changed)");
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.git(["diff", "--name-only", "main", &branch]), "one.txt\n", "leftovers are gone");
    let again = world.model.requests().into_iter().find(|request| request.conversation() == Some("step 1 again"));
    let body = again.expect("the second attempt asks").body.to_string();
    assert!(body.contains("A lavender attempt."), "the conversation goes on:\n{body}");
    let diff = world.runyard(["session", "diff", "1", "--step", "1"]).await.expect_code(0).stdout;
    assert!(diff.contains("+good") && !diff.contains("left.txt"), "{diff}");
    world.assert_foreseen();
}
