//! Stopping: at once, completely, and with a way on.

use crate::scripts::{bash, bash_in_background, held, plan, script, step, step_again, turn, write};
use product_tests::World;
use std::time::{Duration, Instant};

const RUNBOOK: &str = "\
# Runbook: Something long

## Execution Steps

### Step 1: Take long
Text.

### Step 2: Come after
Text.
";

/// A number of seconds that nothing else on the machine sleeps.
fn mark() -> String {
    format!("86{:06}", std::process::id() % 1_000_000)
}

fn endless(mark: &str) -> String {
    // Deaf to every signal that can be heard, in a session of its own, with a child of its own.
    let deaf =
        format!("setsid bash -c 'trap \"\" TERM INT HUP QUIT; while :; do sleep {mark}; done' > /dev/null 2>&1 &");
    script(&[
        plan(RUNBOOK),
        step_again("1", "Take long", &[turn("Quick this time.", &[write("one.txt", "1\n")]), turn("Done.", &[])]),
        step(
            "1",
            "Take long",
            &[turn("I start things.", &[bash(&deaf), bash_in_background(&format!("sleep {mark}"))]), held("never")],
        ),
        step("2", "Come after", &[turn("Second.", &[write("two.txt", "2\n")]), turn("Done.", &[])]),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_step_leaves_no_process_and_can_be_retried() {
    let mark = mark();
    let world = World::new(&endless(&mark), &[("README.md", "# Files\n")]).await;
    let server = world.serve().await;
    let run = world.run("Take long", &["--yes", "--json"]);
    let inside = world.inhabitants();
    world.until("the agent's children run", || inside.running(&format!("sleep {mark}")).len() >= 2).await;
    assert!(!inside.running("claude").is_empty(), "{:#?}", inside.all());

    let stopping = Instant::now();
    world.runyard(["session", "stop", "1"]).await.expect_code(0);
    world
        .until("all of them are gone", || inside.running(&mark).is_empty() && inside.running("claude").is_empty())
        .await;
    assert!(stopping.elapsed() < Duration::from_secs(5), "it took {:?}", stopping.elapsed());

    run.ends().await.expect_code(130);
    let log = world.log("1").await;
    assert_eq!(log.step("1"), "failed(stopped)", "{}", log.outline());
    assert_eq!(log.step("2"), "not_started", "the queue is emptied");
    assert_eq!(world.json(["session", "queue", "1", "--json"]).await, serde_json::json!([]));

    world.runyard(["session", "retry", "1", "--follow"]).await.expect_code(0);
    assert_eq!(world.log("1").await.step("1"), "completed(changed)");
    world.runyard(["session", "execute", "1", "all", "--follow"]).await.expect_code(0);
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.step("2"), "completed(changed)");
    assert_eq!(world.repository.pushed().len(), 2);
    world.assert_foreseen();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_the_step_of_an_embedded_server() {
    let mark = mark();
    let world = World::new(&endless(&mark), &[("README.md", "# Files\n")]).await;
    let run = world.run("Take long", &["--yes"]);
    let inside = world.inhabitants();
    world.until("the agent's children run", || inside.running(&format!("sleep {mark}")).len() >= 2).await;
    run.interrupt();
    run.ends().await.expect_code(130);
    world.until("all of them are gone", || inside.running(&mark).is_empty()).await;
    assert_eq!(world.log("1").await.step("1"), "failed(stopped)");
}
