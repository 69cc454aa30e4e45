//! Two servers on one PostgreSQL, each with a data directory of its own: one dies, the other one finishes.

use crate::postgres;
use crate::scripts::{bash, held, plan, script, step, step_again, turn, write, writes};
use product_tests::{Running, World};
use std::time::Instant;

const RUNBOOK: &str = "\
# Runbook: Three files

## Execution Steps

### Step 1: Write one
- `one.txt`

### Step 2: Write two
- `two.txt`

### Step 3: Write three
- `three.txt`
";

/// A server of this world with another data directory.
async fn other_server(world: &World) -> Running {
    let data = world.path().join("other");
    let mut command = world.command(["serve"]);
    command.env("RUNYARD_DATA_DIR", &data);
    let server = Running::start(&mut command);
    let control = data.join("control.sock");
    world.until("the other server listens", || std::os::unix::net::UnixStream::connect(&control).is_ok()).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_carries_on_after_the_lease() {
    let second = |turns: &[serde_json::Value]| step("2", "Write two", turns);
    let again = [turn("I write it.", &[bash("ls"), write("two.txt", "2\n")]), turn("It is written.", &[])];
    let mut world = World::new(
        &script(&[
            plan(RUNBOOK),
            writes("1", "Write one", "one.txt", "1\n"),
            step_again("2", "Write two", &again),
            second(&[turn("I begin.", &[write("half.txt", "half\n")]), held("dies"), turn("Never said.", &[])]),
            writes("3", "Write three", "three.txt", "3\n"),
        ]),
        &[("README.md", "# Files\n")],
    )
    .await;
    world.environment.push(("RUNYARD_DATABASE_URL".into(), postgres::database().await));
    let first = world.serve().await;
    let run = world.run("Write three files", &["--yes", "--json"]);
    world
        .model
        .wait_for(|request| request.conversation() == Some("step 2") && request.body.to_string().contains("half.txt"))
        .await;
    let other = other_server(&world).await;
    first.killed().await;
    let died = Instant::now();
    run.killed().await;

    // Its own data directory has no server any more, so it is asked at the other one.
    let data = world.path().join("other").to_string_lossy().into_owned();
    world.environment.push(("RUNYARD_DATA_DIR".into(), data));
    world.wait_for("1", "step 3 is completed", |event| event.is_step("3", "completed")).await;
    world.until_idle("1").await;
    assert!(died.elapsed().as_secs() < 60, "it took {:?}", died.elapsed());
    let log = world.log("1").await;
    log.assert_whole();
    let states = ["1", "2", "3"].map(|number| log.step(number));
    assert_eq!(states, ["completed(changed)"; 3], "{}", log.outline());
    assert_eq!(log.runs("execute_step"), ["succeeded", "failed", "succeeded", "succeeded"], "{}", log.outline());
    let branches = world.repository.pushed();
    assert_eq!(branches.len(), 3, "{branches:?}");
    assert_eq!(world.repository.subjects(&format!("main..{}", branches[2])).len(), 3, "one commit for each step");
    let files = world.repository.git(["diff", "--name-only", "main", &branches[2]]);
    assert_eq!(files, "one.txt\nthree.txt\ntwo.txt\n", "nothing of the lost attempt");
    let requests = world.json(["pr", "list", "--json"]).await;
    assert_eq!(requests.as_array().map(Vec::len), Some(3), "{requests}");
    let inside = world.inhabitants();
    world.until("the sandbox of the dead server ends by itself", || inside.running("claude").is_empty()).await;
    world.assert_foreseen();
    other.killed().await;
}
