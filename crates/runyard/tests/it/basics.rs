use super::{err, home, out, run, runyard};
use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

const GOOD: &str = "# Runbook: T\n\n## Step 1: Do it\n\nNow.\n";
const BAD: &str = "# Runbook: T\n\n## Step 2: Do it\n\nNow.\n";

#[test]
fn lint_tells_by_its_exit_code() {
    let home = home();
    fs::write(home.path().join("good.md"), GOOD).expect("written");
    fs::write(home.path().join("bad.md"), BAD).expect("written");

    let good = run(home.path(), &["lint", "good.md"]);
    assert_eq!((good.status.code(), out(&good).as_str()), (Some(0), ""), "{}", err(&good));

    let bad = run(home.path(), &["lint", "good.md", "bad.md"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(out(&bad).starts_with("bad.md:3:"), "{}", out(&bad));
    assert!(err(&bad).contains("2 files, 1 error,"), "{}", err(&bad));

    let missing = run(home.path(), &["lint", "missing.md", "bad.md", "--format", "json"]);
    assert_eq!(missing.status.code(), Some(2));
    let report: serde_json::Value = serde_json::from_str(&out(&missing)).expect("one document");
    assert_eq!(report["errors"], 1);
    assert_eq!(report["files"].as_array().expect("a list").len(), 2);
    assert!(!home.path().join("data").exists(), "lint needs no data directory");
}

#[test]
fn lint_reads_standard_input() {
    let home = home();
    let mut lint =
        runyard(home.path()).args(["lint", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    lint.stdin.take().expect("piped").write_all(BAD.as_bytes()).expect("written");
    let output = lint.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn every_value_says_where_it_came_from() {
    let home = home();
    fs::create_dir(home.path().join("data")).expect("made");
    fs::write(home.path().join("data/runyard.toml"), "workers = 3\n[lease]\nbeat = \"2s\"\n").expect("written");
    fs::write(home.path().join("runyard.toml"), "workers = 99\n").expect("written");
    let shown = runyard(home.path())
        .args(["config", "show", "--set", "retry.times=9"])
        .env("RUNYARD_PER_ACCOUNT", "7")
        .env("ANTHROPIC_API_KEY", "sk-ant-s3cret")
        .output()
        .expect("runs");
    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    let text = out(&shown);
    let origin = |start: &str| {
        let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start} in {text}"));
        line.split_once("  # ").expect("an origin").1.to_owned()
    };
    assert_eq!(origin("workers = 3 "), format!("{}:1", home.path().join("data/runyard.toml").display()));
    assert_eq!(origin("lease.beat = \"2s\""), format!("{}:3", home.path().join("data/runyard.toml").display()));
    assert_eq!(origin("per_account = 7"), "environment RUNYARD_PER_ACCOUNT");
    assert_eq!(origin("retry.times = 9"), "flag --set");
    assert_eq!(origin("checks.retries = 2"), "default");
    assert!(!text.contains("s3cret"));

    let json = run(home.path(), &["config", "show", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&out(&json)).expect("one document");
    let mut settings = value["settings"].as_array().expect("a list").iter();
    let workers = settings.find(|setting| setting["key"] == "workers").expect("a setting");
    assert_eq!(workers["value"], "3");
}

#[test]
fn mistakes_end_with_2_and_say_what_was_meant() {
    let home = home();
    fs::write(home.path().join("c.toml"), "[sandbox]\nidel = \"5m\"\n").expect("written");
    let config = run(home.path(), &["session", "list", "--config", "c.toml"]);
    assert_eq!(config.status.code(), Some(2));
    assert_eq!(err(&config), "error: c.toml:2:1: unknown key `sandbox.idel`\n  help: did you mean `sandbox.idle`?\n");

    let word = run(home.path(), &["sesion", "list"]);
    assert_eq!(word.status.code(), Some(2));
    assert!(err(&word).contains("session"), "{}", err(&word));

    let mode = run(home.path(), &["run", "x", "--repo", ".", "--pr-mode", "many"]);
    assert_eq!(mode.status.code(), Some(2));
    assert!(err(&mode).contains("choose stacked_pr, single_pr or manual"), "{}", err(&mode));

    let task = run(home.path(), &["run", "  ", "--repo", "."]);
    assert_eq!(task.status.code(), Some(2));
    assert!(err(&task).starts_with("error: the task is empty"), "{}", err(&task));

    let path = run(home.path(), &["run", "x", "--repo", "./nowhere"]);
    assert_eq!(path.status.code(), Some(2));
    assert!(err(&path).starts_with("error: there is no repository at ./nowhere"), "{}", err(&path));
    assert!(!home.path().join("data").exists(), "a mistake leaves nothing behind");
}

#[test]
fn completions_and_manual_pages_cover_every_command() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(home.path(), &["completions", shell]);
        assert_eq!(script.status.code(), Some(0));
        assert!(out(&script).contains("pr-mode"), "{shell}");
    }
    let script = home.path().join("c.bash");
    fs::write(&script, out(&run(home.path(), &["completions", "bash"]))).expect("written");
    let syntax = Command::new("bash").arg("-n").arg(&script).status().expect("bash");
    assert!(syntax.success());

    assert!(out(&run(home.path(), &["man"])).contains(".TH runyard 1"));
    let pages = run(home.path(), &["man", "--out", "man"]);
    assert_eq!(pages.status.code(), Some(0), "{}", err(&pages));
    for page in ["runyard.1", "runyard-run.1", "runyard-session-execute.1", "runyard-pr-merge.1"] {
        assert!(home.path().join("man").join(page).exists(), "{page}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let home = home();
    let binary = env!("CARGO_BIN_EXE_runyard");
    let script = format!("set -o pipefail; '{binary}' config show | head -n 1 >/dev/null");
    let status = Command::new("bash").args(["-c", &script]).env("HOME", home.path()).status().expect("bash");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_doctor_names_what_is_missing() {
    let home = home();
    let output = runyard(home.path())
        .args(["doctor", "--json"])
        .env("RUNYARD_CLAUDE", "/nonexistent/claude")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    let report: serde_json::Value = serde_json::from_str(&out(&output)).expect("one document");
    let check = |name: &str| {
        let checks = report["checks"].as_array().expect("a list");
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}")).clone()
    };
    assert_eq!(check("claude code")["status"], "fail");
    assert!(check("claude code")["detail"].as_str().expect("text").contains("/nonexistent/claude"));
    assert_eq!(check("api key")["status"], "fail");
    assert_eq!(check("git")["status"], "ok");
}
