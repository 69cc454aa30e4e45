//! The server ends at a named point; another one finishes as if nothing had happened. Each point is a promise of its own:
//! whatever was done before it is done once.

use crate::{
    happy::{RUNBOOK, two_files},
    scripts::{bash, held, plan, script, step, turn, writes},
};
use product_tests::{LIMIT, Log, World, runyard_with_crash_points};
use serde_json::json;
use std::time::Duration;

/// How long the next server lets the session wait.
#[derive(Clone, Copy, PartialEq)]
enum Restart {
    /// The next one starts while the sandbox of the dead one still lives.
    AtOnce,
    /// It starts when nothing of the dead one is left.
    WhenAllIsGone,
}

/// A one-shot with one pull request for each step dies at the N-th time that it comes to a point, and is finished.
async fn dies_at(point: &str, restart: Restart) {
    let mut world = World::new(&two_files(), &[("README.md", "# Files\n")]).await;
    world.program = Some(runyard_with_crash_points());
    world.environment = vec![("RUNYARD_FAILPOINTS".to_owned(), point.to_owned())];
    let died = world.run("Write two files", &["--one-shot", "--pr-mode", "stacked_pr", "--json"]).ends().await;
    assert!(
        died.code.is_none() || died.code == Some(86),
        "{point} was never reached: {:?}\n{}",
        died.code,
        died.said()
    );

    if restart == Restart::WhenAllIsGone {
        let inside = world.inhabitants();
        world.until("the dead server's sandbox ends with its lease", || inside.all().is_empty()).await;
    }
    world.environment.clear();
    let server = world.serve().await;
    world
        .wait_for("1", &format!("after {point}: the message that everything is done"), |event| {
            event.kind() == "message" && event.text("text").starts_with("Everything is done")
        })
        .await;
    settled(&world).await;
    as_if_nothing_happened(&world, point).await;
    server.killed().await;
}

async fn settled(world: &World) {
    let quiet = async {
        while world.json(["session", "queue", "1", "--json"]).await != serde_json::json!([]) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, quiet).await.expect("the queue never empties");
}

async fn as_if_nothing_happened(world: &World, point: &str) -> Log {
    let log = world.log("1").await;
    let told = || format!("after {point}:\n{}", log.outline());
    log.assert_whole();
    assert_eq!(
        (log.step("1"), log.step("2")),
        ("completed(changed)".into(), "completed(changed)".into()),
        "{}",
        told()
    );
    assert_eq!(log.of("plan_version").count(), 1, "{}", told());
    let done = |event: &&product_tests::Event| event.text("text").starts_with("Everything is done");
    assert_eq!(log.of("message").filter(done).count(), 1, "{}", told());
    for kind in ["plan", "execute_step", "finish"] {
        let succeeded = log.runs(kind).iter().filter(|state| *state == "succeeded").count();
        assert_eq!(succeeded, if kind == "execute_step" { 2 } else { 1 }, "{kind}, {}", told());
        assert!(!log.runs(kind).iter().any(|state| state == "running" || state == "queued"), "{kind}, {}", told());
    }

    let branches = world.repository.pushed();
    let [first, second] = branches.as_slice() else { panic!("two changes: {branches:?}, {}", told()) };
    let [one, two] = [("main", first), (first.as_str(), second)]
        .map(|(below, branch)| world.repository.subjects(&format!("{below}..{branch}")).len());
    assert_eq!((one, two), (1, 1), "one commit for each succeeded run, {}", told());
    let files = world.repository.git(["ls-tree", "-r", "--name-only", second]);
    assert_eq!(files, "README.md\none.txt\ntwo.txt\n", "{}", told());
    assert_eq!(
        (world.repository.show(second, "one.txt"), world.repository.show(second, "two.txt")),
        ("1\n".into(), "2\n".into())
    );

    let requests = world.json(["pr", "list", "--json"]).await;
    let lines = requests.as_array().expect("a list");
    assert_eq!(lines.len(), 2, "one pull request for each change: {requests}");
    for line in lines {
        let request = &line["pull_request"];
        assert_eq!(request["draft"], false, "{request}, {}", told());
        assert!(!request["title"].as_str().expect("a title").contains("[WIP]"), "{request}");
        assert!(request["body"].as_str().expect("a body").contains("✓ 2 Write two"), "{request}");
    }
    world.assert_foreseen();

    let inside = world.inhabitants();
    world.until(&format!("after {point}: no agent is left"), || inside.running("claude").is_empty()).await;
    let sandboxes = std::fs::read_dir(world.data().join("sandboxes")).expect("sandboxes").flatten();
    let kept: Vec<_> = sandboxes.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect();
    assert!(kept.len() <= 1, "leftovers of dead sandboxes: {kept:?}, {}", told());
    log
}

/// Two at a time, since each needs a processor.
async fn each_of(points: &[(&str, Restart)]) {
    for pair in points.chunks(2) {
        match pair {
            [first, second] => {
                tokio::join!(dies_at(first.0, first.1), dies_at(second.0, second.1));
            }
            [only] => dies_at(only.0, only.1).await,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_is_planned() {
    each_of(&[
        ("crash-session-created=kill", Restart::AtOnce),
        ("crash-action-claimed=kill", Restart::AtOnce),
        ("crash-run-begun=exit", Restart::AtOnce),
        ("crash-sandbox-intended=kill", Restart::AtOnce),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_sandbox_is_new() {
    each_of(&[
        ("crash-sandbox-made=kill", Restart::AtOnce),
        ("crash-sandbox-made=kill", Restart::WhenAllIsGone),
        ("crash-exec-intended=kill", Restart::AtOnce),
        ("crash-exec-started=kill", Restart::AtOnce),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_step_begins() {
    each_of(&[
        ("crash-action-claimed=kill@2", Restart::AtOnce),
        ("crash-run-begun=kill@2", Restart::WhenAllIsGone),
        ("crash-exec-intended=kill@2", Restart::WhenAllIsGone),
        ("crash-exec-started=kill@2", Restart::WhenAllIsGone),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_agent_is_done() {
    each_of(&[
        ("crash-agent-ended=kill", Restart::AtOnce),
        ("crash-agent-ended=kill@2", Restart::WhenAllIsGone),
        ("crash-agent-archived=kill", Restart::WhenAllIsGone),
        ("crash-agent-archived=kill@2", Restart::AtOnce),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_checks_and_commit() {
    each_of(&[
        ("crash-check-done=kill", Restart::AtOnce),
        ("crash-proposal-imported=kill", Restart::WhenAllIsGone),
        ("crash-commit-made=kill", Restart::AtOnce),
        ("crash-commit-noted=kill", Restart::WhenAllIsGone),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn between_commit_and_pull_request() {
    each_of(&[
        ("crash-pushed=kill", Restart::AtOnce),
        ("crash-push-noted=kill@2", Restart::AtOnce),
        ("crash-pull-request-opened=kill", Restart::WhenAllIsGone),
        ("crash-pull-request-noted=kill@2", Restart::AtOnce),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end() {
    each_of(&[
        ("crash-before-the-end=kill", Restart::AtOnce),
        ("crash-before-the-end=kill@3", Restart::WhenAllIsGone),
        ("crash-after-the-end=kill@2", Restart::AtOnce),
        ("crash-pull-request-made-ready=kill", Restart::AtOnce),
    ])
    .await;
}

/// A world with two stacked pull requests, made without any crash, and an agent that knows how to revise the first.
async fn stacked() -> World {
    let review = json!({ "name": "review", "when": { "prompt_contains": "want this changed" }, "turns": [
        turn("I mend it.", &[bash("echo 11 > one.txt")]), turn("Mended.", &[]) ] });
    let steps = [writes("1", "Write one", "one.txt", "1\n"), writes("2", "Write two", "two.txt", "2\n")];
    let [first, second] = steps;
    let mut world = World::new(&script(&[plan(RUNBOOK), first, second, review]), &[("README.md", "# Files\n")]).await;
    world.program = Some(runyard_with_crash_points());
    world.run("Write two files", &["--yes"]).ends().await.expect_code(0);
    world
}

async fn revision_dies_at(point: &str) {
    let mut world = stacked().await;
    let branches = world.repository.pushed();
    let before = branches.iter().map(|branch| world.repository.git(["rev-parse", branch])).collect::<Vec<_>>();
    world.environment = vec![("RUNYARD_FAILPOINTS".to_owned(), point.to_owned())];
    let died = world.runyard(["pr", "revise", "1", "Write a word"]).await;
    assert_eq!(died.code, None, "{point} was never reached\n{}", died.said());
    world.environment.clear();

    let server = world.serve().await;
    world.wait_for("1", &format!("after {point}: it is revised"), |event| event.is_run("revise", "succeeded")).await;
    settled(&world).await;
    let log = world.log("1").await;
    log.assert_whole();
    let [first, second] = branches.as_slice() else { panic!("{branches:?}") };
    let range = format!("{}..{first}", before[0].trim());
    assert_eq!(world.repository.subjects(&range).len(), 1, "after {point}: one commit\n{}", log.outline());
    let range = format!("{}..{second}", before[1].trim());
    assert_eq!(world.repository.subjects(&range).len(), 2, "after {point}: that one and its merge\n{}", log.outline());
    assert_eq!(world.repository.show(second, "one.txt"), "11\n");
    let comments = world.json(["pr", "show", "1", "--json"]).await["comments"].to_string();
    assert_eq!(comments.matches("Revised in ").count(), 1, "after {point}: {comments}");
    world.assert_foreseen();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_revision() {
    tokio::join!(revision_dies_at("crash-merge-commit-made=kill"), revision_dies_at("crash-revision-told=kill"));
    revision_dies_at("crash-merge-commit-noted=kill").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_merge_that_nobody_noted() {
    let mut world = stacked().await;
    world.repository.git(["checkout", "--quiet", "--detach"]);
    world.environment = vec![("RUNYARD_FAILPOINTS".to_owned(), "crash-merged=kill".to_owned())];
    let died = world.runyard(["pr", "merge", "1"]).await;
    assert_eq!(died.code, None, "{}", died.said());
    world.environment.clear();
    assert_eq!(world.repository.show("main", "one.txt"), "1\n");
    let view = world.json(["session", "show", "1", "--json"]).await;
    assert_eq!(view["changes"][0]["state"], "merged", "{view}");
    assert_eq!(view["changes"][1]["base_branch"], "main", "{view}");
    world.runyard(["pr", "merge", "2"]).await.expect_code(0);
    assert_eq!(world.repository.show("main", "two.txt"), "2\n");
    let view = world.json(["session", "show", "1", "--json"]).await;
    assert_eq!(view["session"]["archived"], true, "{view}");
    world.log("1").await.assert_whole();
}

async fn stop_dies_at(point: &str, mark: &str) {
    let endless = step(
        "1",
        "Write one",
        &[turn("I begin.", &[bash(&format!("setsid sleep {mark} > /dev/null 2>&1 &"))]), held("never")],
    );
    let second = writes("2", "Write two", "two.txt", "2\n");
    let mut world = World::new(&script(&[plan(RUNBOOK), endless, second]), &[("README.md", "# Files\n")]).await;
    world.program = Some(runyard_with_crash_points());
    world.environment = vec![("RUNYARD_FAILPOINTS".to_owned(), point.to_owned())];
    let server = world.serve().await;
    world.environment.clear();
    let run = world.run("Write two files", &["--one-shot", "--json"]);
    let inside = world.inhabitants();
    world.until("the step is at work", || !inside.running(mark).is_empty()).await;
    world.runyard(["session", "stop", "1"]).await;
    assert_eq!(server.ends().await.code, None, "{point} was never reached");
    run.killed().await;

    let server = world.serve().await;
    world.wait_for("1", &format!("after {point}: the stop"), |event| event.is_step("1", "failed")).await;
    settled(&world).await;
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(
        (log.step("1"), log.step("2")),
        ("failed(stopped)".into(), "not_started".into()),
        "after {point}: {}",
        log.outline()
    );
    world
        .until(&format!("after {point}: nothing is left"), || {
            inside.running(mark).is_empty() && inside.running("claude").is_empty()
        })
        .await;
    assert_eq!(world.repository.pushed(), Vec::<String>::new());
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_stop() {
    let mark = |n: u32| format!("88{n}{:05}", std::process::id() % 100_000);
    let (first, second, third) = (mark(1), mark(2), mark(3));
    tokio::join!(stop_dies_at("crash-stop-requested=kill", &first), stop_dies_at("crash-stop-heard=kill", &second));
    stop_dies_at("crash-stop-killed=kill", &third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_whose_run_was_given_up_is_executed_when_it_is_retried() {
    let mut world = World::new(&two_files(), &[("README.md", "# Files\n")]).await;
    world.program = Some(runyard_with_crash_points());
    world.environment = vec![("RUNYARD_FAILPOINTS".to_owned(), "crash-agent-ended=kill".to_owned())];
    let died = world.run("Write two files", &["--one-shot", "--json"]).ends().await;
    assert_eq!(died.code, None, "{}", died.said());
    for _ in 0..2 {
        assert_eq!(world.start(["serve"]).ends().await.code, None, "the same run is lost once more");
    }
    world.environment.clear();
    let server = world.serve().await;
    world.wait_for("1", "planning is given up", |event| event.is_run("plan", "failed")).await;
    world.runyard(["session", "retry", "1"]).await.expect_code(0);
    world.wait_for("1", "the end", |event| event.text("text").starts_with("Everything is done")).await;
    assert_eq!(world.log("1").await.of("plan_version").count(), 1, "the plan that was stored is the one that counts");
    world.assert_foreseen();
    server.killed().await;
}
