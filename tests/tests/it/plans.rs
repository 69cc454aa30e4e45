//! Plans: made, refused, mended, talked about, edited, restored; what is completed stays as it was.

use crate::scripts::{bash, held_then, message, plan, plan_after, script, step, submit, turn, write, writes};
use product_tests::{Event, Log, World};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];
const USAGE: i32 = 2;

/// A runbook of these steps: title and text.
fn runbook(steps: &[(&str, &str)]) -> String {
    let mut text = "# Runbook: Files\n\nAll are wanted.\n\n## Execution Steps\n".to_owned();
    for (at, (title, own)) in steps.iter().enumerate() {
        write!(text, "\n### Step {}: {title}\n{own}\n", at + 1).expect("text");
    }
    text
}

fn three() -> String {
    runbook(&[("Write one", "- `one.txt`"), ("Write two", "- `two.txt`"), ("Write three", "- `three.txt`")])
}

fn all_three() -> [Value; 3] {
    [
        writes("1", "Write one", "one.txt", "1\n"),
        writes("2", "Write two", "two.txt", "2\n"),
        writes("3", "Write three", "three.txt", "3\n"),
    ]
}

/// Id, number and state of each step.
async fn steps(world: &World) -> Vec<(String, String, String)> {
    let view = world.json(["session", "show", "1", "--json"]).await;
    let ids = view["runbook"]["steps"].as_array().expect("steps").clone();
    let states = view["steps"].as_array().expect("steps").clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let state =
        |value: &Value| text(value.get("state").filter(|it| it.is_string()).unwrap_or(&value["state"]["state"]));
    ids.iter().zip(&states).map(|(id, view)| (text(&id["id"]), text(&view["number"]), state(view))).collect()
}

async fn text_of(world: &World, version: &str) -> String {
    world.runyard(["session", "versions", "1", "--show", version]).await.expect_code(0).stdout
}

async fn versions(world: &World) -> usize {
    world.json(["session", "versions", "1", "--json"]).await.as_array().expect("a list").len()
}

/// What a model was asked in this conversation, all of it.
fn asked(world: &World, conversation: &str) -> String {
    let requests = world.model.requests();
    let own = requests.iter().filter(|it| it.conversation() == Some(conversation));
    own.map(|it| it.body["messages"].to_string()).collect::<Vec<_>>().join("\n")
}

/// One command on the control socket of a running server, as an old client would send it.
fn control(world: &World, command: &Value) -> Value {
    let mut socket = UnixStream::connect(world.data().join("control.sock")).expect("a server");
    let mut lines = BufReader::new(socket.try_clone().expect("a socket")).lines();
    lines.next().expect("a greeting").expect("a greeting");
    writeln!(socket, "{}", json!({ "id": 1, "command": command })).expect("it listens");
    serde_json::from_str(&lines.next().expect("an answer").expect("an answer")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_plan_is_reminded_twice_and_planning_can_be_tried_again() {
    let reminder = json!({ "name": "reminded", "when": { "prompt_contains": "You have not handed in a runbook" },
        "turns": [turn("I would rather not.", &[])] });
    let again = json!({ "name": "again", "when": { "prompt_contains": "With a plan this time" }, "turns": [
        turn("Here it is.", &[submit(&three())]), turn("The plan is ready.", &[]) ] });
    let first = json!({ "name": "plan", "when": { "prompt_contains": "Make a runbook for this request" },
        "turns": [turn("Step 1: write it. Step 2: be done.", &[])] });
    let world = World::new(&script(&[reminder, again, first]), &FILES).await;
    let run = world.run("Three files", &["--json"]).ends().await.expect_code(1);
    assert!(run.stdout.contains("without handing in a plan"), "{}", run.stdout);
    assert_eq!(world.log("1").await.runs("plan"), ["failed"]);
    let reminders = world.model.requests().iter().filter(|it| it.conversation() == Some("reminded")).count();
    assert_eq!(reminders, 2);

    world.runyard(["session", "retry", "1", "-m", "With a plan this time", "--json"]).await.expect_code(0);
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.runs("plan"), ["failed", "succeeded"], "{}", log.outline());
    assert_eq!(log.of("plan_version").count(), 1);
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_cannot_change_the_tree() {
    let tries = [
        turn("I write a file.", &[write("evil.txt", "1\n")]),
        turn("With a redirect, then.", &[bash("echo 1 > evil.txt")]),
        turn("Or so.", &[bash("touch evil.txt")]),
    ];
    let look = step("1", "Write one", &[turn("I look.", &[bash("ls > seen.txt")]), turn("Done.", &[])]);
    let one = runbook(&[("Write one", "- `seen.txt`")]);
    let conversations = [plan_after(&tries, &one), look];
    let mut world = World::new(&script(&conversations), &FILES).await;
    world.run("Three files", &["--json"]).ends().await.expect_code(3);
    let log = world.log("1").await;
    let refused = |it: &&Event| it.text("output").starts_with("Only reading commands run while planning");
    assert_eq!(log.of("tool_finished").filter(refused).count(), 2, "{}", log.outline());
    assert!(asked(&world, "plan").contains("No such tool available: Write"), "the tool is not offered");
    assert_eq!(world.log("1").await.of("plan_version").count(), 1, "planning goes on after that");

    // A team's own rules may let it through: then it is discarded.
    world.environment.push(("RUNYARD_AGENT_PLANNING_ALLOW".into(), "Bash(touch:*)".into()));
    world.run("Three files", &["--json", "--yes"]).ends().await.expect_code(0);
    let log = world.log("2").await;
    let slipped = log.of("tool_finished").filter(|it| it.field("ok") == &json!(true)).count();
    assert!(slipped >= 3, "touch, submit_plan and the step's own call: {}", log.outline());
    let branch = world.repository.pushed().pop().expect("a branch");
    assert_eq!(world.repository.show(&branch, "seen.txt"), "README.md\nseen.txt\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_shot_plan_needs_nobody() {
    let variables = "---\nvariables:\n  NAME:\n---\n".to_owned() + &runbook(&[("Write one", "- {{NAME}}")]);
    let by_hand = runbook(&[("Write one", "- `one.txt`"), ("[MANUAL] Look at it", "With eyes.")]);
    let good = "# Runbook: Files\n\n## Assumptions\n- The name is one.\n".to_owned()
        + runbook(&[("Write one", "- `one.txt`")]).trim_start_matches("# Runbook: Files\n");
    let plan = json!({ "name": "plan", "when": { "prompt_contains": "Make a runbook for this request" }, "turns": [
        turn("With a person.", &[submit(&by_hand)]),
        turn("With a variable.", &[submit(&variables)]),
        turn("Alone.", &[submit(&good)]),
        turn("The plan is ready.", &[]),
    ] });
    let world = World::new(&script(&[plan, writes("1", "Write one", "one.txt", "1\n")]), &FILES).await;
    world.run("Three files", &["--one-shot", "--json"]).ends().await.expect_code(0);
    assert_eq!(versions(&world).await, 1, "what was refused is no version");
    assert!(text_of(&world, "1").await.contains("The name is one."));
    let told = asked(&world, "plan");
    for words in ["## Assumptions", "[MANUAL], but this run asks nobody", "The variables NAME have no default"] {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
    world.assert_foreseen();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_answered_and_may_change_what_is_not_done() {
    let revised =
        runbook(&[("Write one", "- `one.txt`"), ("Write two", "- `two.txt`, twice"), ("Write more", "- `m`")]);
    let spoilt = revised.replace("- `one.txt`", "- `uno.txt`");
    let divided = revised.replace("- `one.txt`\n", "- `one.txt`\n\n#### 1.1: Half\nText.\n");
    let script = script(&[
        plan(&three()),
        message("Why three files", &[turn("Because you asked for three.", &[])]),
        message(
            "Two twice",
            &[
                turn("I change step 1.", &[submit(&spoilt)]),
                turn("I divide step 1.", &[submit(&divided)]),
                turn("I change what is left.", &[submit(&revised)]),
                turn("There are three steps.", &[]),
            ],
        ),
        writes("1", "Write one", "one.txt", "1\n"),
        step("2", "Write two", &[held_then("two", &[write("two.txt", "2\n")]), turn("Done.", &[])]),
        message("Are you there", &[turn("I am.", &[])]),
    ]);
    let world = World::new(&script, &FILES).await;
    let server = world.serve().await;
    world.run("Three files", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "message", "1", "Why three files?", "--json"]).await.expect_code(0);
    assert_eq!(versions(&world).await, 1, "an answer alone makes no version");
    world.runyard(["session", "execute", "1", "1", "--json"]).await.expect_code(0);
    let before = steps(&world).await;
    assert_eq!(
        before.iter().map(|step| step.2.as_str()).collect::<Vec<_>>(),
        ["completed", "not_started", "not_started"]
    );

    world.runyard(["session", "message", "1", "Two twice, please", "--json"]).await.expect_code(0);
    assert_eq!(versions(&world).await, 2);
    let told = asked(&world, "message Two twice");
    assert!(told.contains("is completed, so its text cannot change"), "{told}");
    assert!(told.contains("is completed, so it cannot get substeps"), "{told}");
    let after = steps(&world).await;
    assert_eq!(after[..2], before[..2], "ids and states of what is still there");
    assert_ne!(after[2].0, before[2].0, "another step has another id");

    // A message while a step runs waits for its turn.
    world.runyard(["session", "execute", "1", "2"]).await.expect_code(0);
    world.model.wait_for(|request| request.conversation() == Some("step 2")).await;
    world.runyard(["session", "message", "1", "Are you there?"]).await.expect_code(0);
    let queue = world.json(["session", "queue", "1", "--json"]).await;
    assert_eq!(queue.as_array().map(Vec::len), Some(2), "{queue}");
    world.model.release("two");
    world.until_idle("1").await;
    let log = world.log("1").await;
    log.assert_whole();
    assert_eq!(log.step("2"), "completed(changed)");
    assert_eq!(log.runs("answer"), ["succeeded", "succeeded", "succeeded"], "{}", log.outline());
    let said = |text: &str| log.of("message").position(|it| it.text("text") == text).expect("said");
    assert!(said("I am.") > said("Are you there?"));
    world.assert_foreseen();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_edit_restore_and_never_lose_a_version() {
    let world = World::new(&script(&[plan(&three())].into_iter().chain(all_three()).collect::<Vec<_>>()), &FILES).await;
    let server = world.serve().await;
    world.run("Three files", &["--json"]).ends().await.expect_code(3);
    let ids: Vec<_> = steps(&world).await.into_iter().map(|step| step.0).collect();
    let file = world.path().join("edit.md");
    let name = file.to_str().expect("a path");
    let edit = async |text: &str, flags: &[&str]| {
        std::fs::write(&file, text).expect("a file");
        world.runyard(["session", "edit", "1", "--file", name].iter().chain(flags)).await
    };

    // Whole text, one step, one step less.
    edit(&three().replace("All are wanted.", "All are wanted soon."), &[]).await.expect_code(0);
    edit("Write two\n- `zwei.txt`\n", &["--step", "2"]).await.expect_code(0);
    assert!(text_of(&world, "3").await.contains("zwei.txt"));
    world.runyard(["session", "edit", "1", "--delete", "1"]).await.expect_code(0);
    let now = steps(&world).await;
    assert_eq!(now.iter().map(|step| step.0.clone()).collect::<Vec<_>>(), ids[1..], "ids follow the steps");
    assert_eq!(now[0].1, "1", "later ones moved up");

    // Malformed, and from an old version: refused, and what is stored stays.
    let malformed = edit("# Runbook: Bad\n\n### Step 1: A\n\n### Step 3: B\n", &[]).await.expect_code(USAGE);
    assert!(malformed.stderr.contains("error[numbering-gap]"), "{}", malformed.said());
    let text = three();
    let stale = control(
        &world,
        &json!({ "command": "edit", "session": 1, "expected": 2, "edit": { "edit": "text", "text": text } }),
    );
    let said = stale["problem"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains("at version 4 now, your edit started from version 2"), "{stale}");
    assert_eq!(versions(&world).await, 4);

    // An older version comes back as a new one, with its ids.
    world.runyard(["session", "restore", "1", "2"]).await.expect_code(0);
    assert_eq!(text_of(&world, "5").await, text_of(&world, "2").await);
    assert_eq!(steps(&world).await.into_iter().map(|step| step.0).collect::<Vec<_>>(), ids);

    // What is completed stays: no edit, no deletion, no older version without it.
    world.runyard(["session", "execute", "1", "1", "--json"]).await.expect_code(0);
    for flags in [["--step", "1"], ["--delete", "1"]] {
        let refused = match flags[0] {
            "--step" => edit("Write one\n- `uno.txt`\n", &flags).await,
            _ => world.runyard(["session", "edit", "1", flags[0], flags[1]]).await,
        };
        assert!(refused.expect_code(USAGE).stderr.contains("completed"));
    }
    let refused = world.runyard(["session", "restore", "1", "4"]).await.expect_code(USAGE);
    assert!(refused.stderr.contains("step 1 `Write one` is completed"), "{}", refused.said());
    assert_eq!(versions(&world).await, 5);
    assert_eq!(steps(&world).await[0].2, "completed");
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_move_and_skip_steps_and_the_work_follows() {
    let script = script(&[plan(&three()), writes("1", "Write three", "three.txt", "3\n")]);
    let world = World::new(&script, &FILES).await;
    let server = world.serve().await;
    world.run("Three files", &["--json"]).ends().await.expect_code(3);
    let ids: Vec<_> = steps(&world).await.into_iter().map(|step| step.0).collect();
    let refused = world.runyard(["session", "move", "1", "1", "up"]).await.expect_code(USAGE);
    assert!(refused.stderr.contains("step 1 is the first one on its level"), "{}", refused.said());
    for words in [&["before"][..], &["down", "2"], &["sideways"]] {
        world.runyard(["session", "move", "1", "1"].iter().chain(words)).await.expect_code(USAGE);
    }
    let moved = world.runyard(["session", "move", "1", "3", "before", "1"]).await.expect_code(0);
    assert!(moved.stdout.contains("step 3 is step 1 now, in version 2"), "{}", moved.said());
    let now: Vec<_> = steps(&world).await.into_iter().map(|step| step.0).collect();
    assert_eq!(now, [ids[2].clone(), ids[0].clone(), ids[1].clone()]);

    // Who skips says why, and everybody is told.
    world.runyard(["session", "skip", "1", "2", " "]).await.expect_code(USAGE);
    let why = "one.txt is \u{1b}[31mthere\nalready";
    world.runyard(["session", "skip", "1", "2", why]).await.expect_code(0);
    for told in [
        world.runyard(["session", "show", "1"]).await.expect_code(0).stdout,
        world.runyard(["session", "log", "1"]).await.expect_code(0).stdout,
        world.runyard(["session", "export", "1"]).await.expect_code(0).stdout,
    ] {
        assert!(told.contains("one.txt is") && told.contains("skipped"), "{told}");
        assert!(!told.contains('\u{1b}'), "nothing steers the terminal: {told:?}");
    }
    let log = world.log("1").await;
    assert_eq!(log.step("2"), "completed(skipped)", "{}", log.outline());

    // The rest goes on as if it were done, and what was skipped can be done after all.
    world.runyard(["session", "execute", "1", "1", "--json"]).await.expect_code(0);
    world.runyard(["session", "move", "1", "1", "down"]).await.expect_code(USAGE);
    world.runyard(["session", "unskip", "1", "2"]).await.expect_code(0);
    world.runyard(["session", "unskip", "1", "2"]).await.expect_code(USAGE);
    let states: Vec<_> = steps(&world).await.into_iter().map(|step| step.2).collect();
    assert_eq!(states, ["completed", "not_started", "not_started"]);
    world.log("1").await.assert_whole();
    world.assert_foreseen();
    server.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_queued_runs_its_newest_text_or_leaves_the_queue() {
    let one = step("1", "Write one", &[held_then("one", &[write("one.txt", "1\n")]), turn("Done.", &[])]);
    let [_, two, three_] = all_three();
    let world = World::new(&script(&[plan(&three()), one, two, three_]), &FILES).await;
    let server = world.serve().await;
    world.run("Three files", &["--json"]).ends().await.expect_code(3);
    world.runyard(["session", "execute", "1", "all"]).await.expect_code(0);
    world.model.wait_for(|request| request.conversation() == Some("step 1")).await;
    let running = world.runyard(["session", "edit", "1", "--delete", "1"]).await.expect_code(USAGE);
    assert!(running.stderr.contains("is being executed"), "{}", running.said());
    let file = world.path().join("edit.md");
    std::fs::write(&file, "Write two\n- `two.txt`, with care\n").expect("a file");
    world
        .runyard(["session", "edit", "1", "--step", "2", "--file", file.to_str().expect("a path")])
        .await
        .expect_code(0);
    world.runyard(["session", "edit", "1", "--delete", "3"]).await.expect_code(0);
    assert_eq!(world.json(["session", "queue", "1", "--json"]).await.as_array().map(Vec::len), Some(2));
    world.model.release("one");
    world.until_idle("1").await;

    let log = world.log("1").await;
    assert_eq!((log.step("1"), log.step("2")), ("completed(changed)".into(), "completed(changed)".into()));
    assert_eq!(log.step("3"), "not_started", "{}", log.outline());
    assert!(asked(&world, "step 2").contains("with care"));
    assert!(
        notes(&log).contains("Step 2 was edited after it was queued; executing its text of version 3"),
        "{}",
        notes(&log)
    );
    assert!(notes(&log).contains("Step 3 `Write three` was queued, but version 3 has no such step"), "{}", notes(&log));
    assert_eq!(world.repository.pushed().len(), 2);
    server.killed().await;
}

fn notes(log: &Log) -> String {
    log.of("note").map(|note| note.text("text").to_owned()).collect::<Vec<_>>().join("\n")
}
