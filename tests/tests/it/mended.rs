//! What once went wrong and must not again.

use crate::{
    happy::{RUNBOOK, two_files},
    scripts::{held, plan, script, step, turn, write},
};
use product_tests::World;
use serde_json::Value;
use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

/// `runyard` where no control groups are: limits of a whole sandbox then hold only in part.
fn without_groups(world: &World) -> &'static Path {
    let unmount = "grep -E ' - cgroup2? ' /proc/self/mountinfo | cut -d' ' -f5 | xargs -r umount -l";
    let program = product_tests::runyard().display();
    let text = if rustix::process::geteuid().is_root() {
        format!("#!/bin/sh\nexec unshare --mount sh -c \"{unmount}; exec {program} \\\"\\$@\\\"\" runyard \"$@\"\n")
    } else {
        format!("#!/bin/sh\nexec {program} \"$@\"\n")
    };
    let path = world.path().join("runyard-without-groups");
    std::fs::write(&path, text).expect("writable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode can be set");
    Box::leak(path.into_boxed_path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_does_not_hold_is_said_by_the_doctor_and_by_the_session() {
    let mut world = World::new(&two_files(), &FILES).await;
    world.program = Some(without_groups(&world));
    let doctor = world.json(["doctor", "--json"]).await;
    let open: Vec<_> = doctor["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["name"].as_str().unwrap().ends_with("limit") && check["status"] != "ok")
        .map(|check| check["name"].as_str().unwrap().trim_start_matches("sandbox: ").to_owned())
        .collect();
    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
    let log = world.log("1").await;
    let warnings: String = log.of("note").map(|note| note.text("text")).collect();
    assert!(!open.is_empty() || !rustix::process::geteuid().is_root(), "{doctor}");
    for limit in &open {
        assert!(warnings.contains(limit.as_str()), "{limit} is not in {warnings:?}");
    }
    assert_eq!(warnings.contains("do not hold"), !open.is_empty(), "{warnings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_sandbox_was_not_in_the_backup_gets_a_new_one() {
    let world = World::new(&two_files(), &FILES).await;
    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "1", "--json"]).await.expect_code(0);
    world.until("the sandbox's lease has run out", || world.inhabitants().all().is_empty()).await;
    std::fs::remove_dir_all(world.data().join("sandboxes")).unwrap();
    world.runyard(["session", "execute", "1", "2", "--json"]).await.expect_code(0);
    let log = world.log("1").await;
    assert_eq!(log.step("2"), "completed(changed)", "{}", log.outline());
    let told: Vec<_> = log.of("sandbox_state").map(|event| event.text("detail").to_owned()).collect();
    assert!(told.iter().all(|detail| !detail.contains("that it left")), "{told:#?}");
    let sandbox = |detail: &str| detail.split(';').next().unwrap().to_owned();
    assert_ne!(sandbox(&told[0]), sandbox(told.last().unwrap()), "{told:#?}");
}

const MANUAL: &str = "\
# Runbook: By hand

## Execution Steps

### Step 1: [MANUAL] Turn the key
Only a person can.
";

/// Seconds between the events of a run in which it was in this state.
fn seconds_in(log: &product_tests::Log, state: &str) -> f64 {
    let moves: Vec<_> = log.of("run_state").filter(|event| event.text("action_kind") == "execute_step").collect();
    let spans = moves.windows(2).filter(|pair| pair[0].text("state") == state);
    Duration::from_micros(spans.map(|pair| (pair[1].at() - pair[0].at()).unsigned_abs()).sum()).as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_person_is_no_time_at_work() {
    let script = script(&[plan(MANUAL)]);
    let world = World::new(&script, &FILES).await;
    world.run("By hand", &["--yes", "--json"]).ends().await.expect_code(3);
    let planned = world.json(["session", "show", "1", "--json"]).await["worked_ms"].as_u64().unwrap();
    // What is proven is not proven by this: the longer it takes, the sharper the comparison below.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let waiting = world.json(["session", "show", "1", "--json"]).await;
    assert_eq!(waiting["worked_ms"].as_u64(), Some(planned), "it stands still");
    world.runyard(["session", "answer", "1", "done", "--json"]).await.expect_code(0);

    let (view, log) = (world.json(["session", "show", "1", "--json"]).await, world.log("1").await);
    let (worked, waited) = (seconds_in(&log, "running"), seconds_in(&log, "waiting"));
    assert!(waited >= 3.0, "{}", log.outline());
    let told = Duration::from_millis(view["worked_ms"].as_u64().unwrap() - planned).as_secs_f64();
    assert!((told - worked).abs() < 1.0, "told {told} s of {worked} s at work and {waited} s of waiting");
    let step = view["steps"][0]["seconds"].as_f64().unwrap();
    assert!(step < worked + 1.0, "{step} s for the step");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_prints_can_be_cancelled() {
    let first = step("1", "Write one", &[held("go on"), turn("Written.", &[write("one.txt", "1\n")])]);
    let world = World::new(&script(&[plan(RUNBOOK), first]), &FILES).await;
    let server = world.serve().await;
    world.run("Two files", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    world.wait_for("1", "the first step begins", |event| event.is_step("1", "in_progress")).await;
    world.runyard(["session", "message", "1", "And why?"]).await.expect_code(0);

    let printed = world.runyard(["session", "queue", "1"]).await.expect_code(0).stdout;
    let handle = |what: &str| {
        let line = printed.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{printed}"));
        line.split(' ').next().unwrap().to_owned()
    };
    let nothing = world.runyard(["session", "cancel", "1", "3"]).await.expect_code(2);
    assert!(nothing.stderr.contains("runyard session queue 1"), "{}", nothing.said());
    let by_id = world.runyard(["session", "cancel", "1", &handle("answer")]).await.expect_code(0);
    assert!(by_id.stdout.contains("And why?"), "{}", by_id.said());
    world.runyard(["session", "cancel", "1", "2"]).await.expect_code(0);
    let left = world.json(["session", "queue", "1", "--json"]).await;
    assert_eq!(left.as_array().map(Vec::len), Some(1), "{left}");
    assert_eq!(world.log("1").await.step("2"), "not_started");
    world.runyard(["session", "stop", "1"]).await.expect_code(0);
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_of_the_api_is_refused_before_anything_begins() {
    let mut world = World::new(&two_files(), &FILES).await;
    world.environment.push(("ANTHROPIC_BASE_URL".into(), "api.anthropic.com".into()));
    let refused = world.run("Write two files", &[]).ends().await.expect_code(2);
    assert!(refused.stderr.contains("environment ANTHROPIC_BASE_URL: `anthropic.base_url`"), "{}", refused.said());
    world.environment.pop();
    assert_eq!(world.json(["session", "list", "--json"]).await, Value::Array(vec![]));

    world.environment.push(("ANTHROPIC_BASE_URL".into(), String::new()));
    let shown = world.runyard(["config", "show"]).await.expect_code(0).stdout;
    assert!(shown.contains("anthropic.base_url = \"https://api.anthropic.com\""), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_the_archived_sessions_says_so() {
    let world = World::new(&two_files(), &FILES).await;
    let none = world.runyard(["session", "list"]).await.expect_code(0).stdout;
    assert!(none.contains("No sessions yet"), "{none}");
    world.run("Write two files", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "1", "--json"]).await.expect_code(0);
    let half = world.runyard(["session", "list"]).await.expect_code(0).stdout;
    assert!(half.contains("1 of 2 steps done"), "{half}");
    world.runyard(["session", "archive", "1"]).await.expect_code(0);
    let archived = world.runyard(["session", "list"]).await.expect_code(0).stdout;
    assert!(archived.contains("--all") && !archived.contains("yet"), "{archived}");
}
