//! `kill -9` of the server with its whole process group, at the worst moments; then another one carries on.

use crate::{
    happy::RUNBOOK,
    scripts::{bash, held, plan, plan_after, script, step, turn, write, writes},
};
use product_tests::{Finished, Log, World};

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

/// What holds after every crash, once a server has carried on to the end.
///
/// A one-shot session makes one change of everything, others one for each top-level step.
async fn assert_as_if_nothing_happened(world: &World, changes: usize) -> Log {
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(
        (log.step("1"), log.step("2")),
        ("completed(changed)".into(), "completed(changed)".into()),
        "{}",
        log.outline()
    );

    let branches = world.repository.pushed();
    assert_eq!(branches.len(), changes, "each change has one branch: {branches:?}");
    let commits = world.repository.subjects(&format!("main..{}", branches[changes - 1]));
    assert_eq!(commits.len(), 2, "each succeeded run has one commit: {commits:?}");
    let requests = world.json(["pr", "list", "--json"]).await;
    assert_eq!(requests.as_array().map(Vec::len), Some(changes), "each change has one pull request: {requests}");
    world.assert_foreseen();
    log
}

/// A new server finishes what is there.
async fn carried_on(world: &World, changes: usize) -> Log {
    let server = world.serve().await;
    world.wait_for("1", "step 2 is completed", |event| event.is_step("2", "completed")).await;
    let quiet = async {
        while world.json(["session", "queue", "1", "--json"]).await != serde_json::json!([]) {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(product_tests::LIMIT, quiet).await.expect("the queue never empties");
    let log = assert_as_if_nothing_happened(world, changes).await;
    server.killed().await;
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_planning() {
    let world = World::new(
        &script(&[
            plan_after(&[turn("I look.", &[bash("ls")]), held("plan")], RUNBOOK),
            writes("1", "Write one", "one.txt", "1\n"),
            writes("2", "Write two", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    let run = world.run("Write two files", &["--one-shot", "--json"]);
    world.model.wait_for(|request| request.conversation() == Some("plan") && has_results(&request.body, 1)).await;
    run.killed().await;
    world.model.release("plan");
    let log = carried_on(&world, 1).await;
    assert_eq!(log.of("plan_version").count(), 1, "one plan:\n{}", log.outline());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_step() {
    let mark = format!("87{:06}", std::process::id() % 1_000_000);
    let world = World::new(
        &script(&[
            plan(RUNBOOK),
            step(
                "1",
                "Write one",
                &[
                    turn(
                        "I write, and leave something behind.",
                        &[write("one.txt", "1\n"), bash(&format!("setsid sleep {mark} > /dev/null 2>&1 &"))],
                    ),
                    held("step"),
                    turn("It is written.", &[]),
                ],
            ),
            writes("2", "Write two", "two.txt", "2\n"),
        ]),
        &FILES,
    )
    .await;
    let run = world.run("Write two files", &["--yes", "--json"]);
    let inside = world.inhabitants();
    world.until("the step is at work", || !inside.running(&mark).is_empty()).await;
    world.model.wait_for(|request| request.conversation() == Some("step 1") && has_results(&request.body, 2)).await;
    let before = printed(&run.killed().await);
    world.model.release("step");

    let log = carried_on(&world, 2).await;
    assert!(log.len() > before.len(), "what was seen before is still there");
    for (seen, kept) in before.iter().zip(log.iter()) {
        assert_eq!((seen.number(), seen.kind(), seen.at()), (kept.number(), kept.kind(), kept.at()));
    }
    world.until("nothing of the dead run is left", || inside.running(&mark).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_push_and_pull_request() {
    // The moment is short, so it is aimed at again and again: whatever is hit must be mended.
    for (mode, changes, delay_ms) in [("--yes", 2, 0), ("--yes", 2, 4), ("--one-shot", 1, 0), ("--one-shot", 1, 10)] {
        let world = World::new(&crate::happy::two_files(), &FILES).await;
        let run = world.run("Write two files", &[mode, "--json"]);
        let repository = world.repository.path().join(".git");
        world.until("a branch is pushed", || is_pushed(&repository)).await;
        tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
        run.killed().await;
        carried_on(&world, changes).await;
    }
}

/// Looks at the reference files, since a `git` for each look would miss the moment.
fn is_pushed(git: &std::path::Path) -> bool {
    let loose = git.join("refs/heads/runyard").is_dir();
    loose || std::fs::read_to_string(git.join("packed-refs")).is_ok_and(|refs| refs.contains("refs/heads/runyard/"))
}

fn printed(run: &Finished) -> Log {
    // The last line may have been cut by the kill.
    let whole = run.stdout.rfind('\n').map_or("", |end| &run.stdout[..=end]);
    Log::parse(whole)
}

/// Whether a request brings back at least so many results of tools.
fn has_results(body: &serde_json::Value, wanted: usize) -> bool {
    body["messages"].to_string().matches("\"tool_result\"").count() >= wanted
}
