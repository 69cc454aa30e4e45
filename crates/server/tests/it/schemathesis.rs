//! schemathesis reads the description of the REST API and looks for answers that do not fit it.

use crate::world::World;
use std::{path::PathBuf, process::Command};

/// Where `cargo xtask setup` puts it; nothing where that found no Python.
fn program() -> Option<PathBuf> {
    let found = std::env::var_os("RUNYARD_SCHEMATHESIS").map(PathBuf::from);
    assert!(
        found.is_some() || std::env::var_os("RUNYARD_REQUIRE_CORPUS").is_none(),
        "no schemathesis; install Python 3 with venv and run `cargo xtask setup`"
    );
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_fault_with_the_rest_api() {
    let Some(program) = program() else {
        eprintln!("SKIPPED: schemathesis is not there; `cargo xtask test` finds it");
        return;
    };
    let world = World::new().await;
    let ada = world.admin().await;
    let (_, token) = world.token(&ada, false).await.proof.expect("a token");
    let place = std::env::temp_dir();
    let mut command = Command::new(program);
    command.args(["run", &format!("{}/api/v1/openapi.json", world.origin()), "-H", &format!("Authorization: {token}")]);
    command.args(["--checks", "all", "--seed", "7", "--max-examples", "30", "--no-color"]);
    command.current_dir(&place).env_remove("HTTP_PROXY").env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("ran").expect("starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let asked = world.stand_in.asked.lock().expect("no test panicked").len();
    assert!(asked > 100, "only {asked} requests came as far as the engine: {said}");
}
