//! The real Claude Code behind the way out, as in a sandbox: a loopback port forwarded to the socket.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use egress::{Limits, Refusal};
use serde_json::Value;
use tokio::net::{TcpListener, UnixStream};
use tokio::process::Command;

use crate::support::{KEY, SURROGATE, Way, model, way_to};

const VERSION: &str = "2.1.197";

fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("RUNYARD_CLAUDE") {
        return path.into();
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let user_cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let inside = format!("runyard/claude-code/{VERSION}/node_modules/@anthropic-ai/claude-code-linux-x64/claude");
    let places = [Path::new("/var/cache").join(&inside), user_cache.join(&inside)];
    let found = places.iter().find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no Claude Code at {}; run `cargo xtask setup`", places[1].display())).clone()
}

/// What the shim does inside a sandbox.
async fn forward_to(socket: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut inside, _)) = listener.accept().await {
            let Ok(mut outside) = UnixStream::connect(&socket).await else { continue };
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut inside, &mut outside).await });
        }
    });
    base_url
}

async fn ask(way: &Way) -> Vec<Value> {
    let home = tempfile::tempdir().unwrap();
    let child = Command::new(program())
        .args(["-p", "please do it", "--output-format", "stream-json", "--verbose", "--model", "claude-opus-4-8"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("ANTHROPIC_BASE_URL", forward_to(way.socket.clone()).await)
        .env("ANTHROPIC_API_KEY", SURROGATE)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(Duration::from_mins(2), child.wait_with_output()).await;
    let text = String::from_utf8(output.expect("Claude Code did not end").unwrap().stdout).unwrap();
    assert!(!text.contains(KEY));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn it_works_through_the_socket_and_we_count_what_it_counts() {
    let model = model(concat!(
        "- { tool: {name: Bash, input: {command: ls}}, usage: {input: 1234, output: 567, cache_read: 89012, cache_write: 3456} }\n",
        "- { say: done, usage: {input: 10, output: 20} }",
    ))
    .await;
    let way = way_to(&model.base_url(), Limits::default());
    let events = ask(&way).await;
    let result = events.last().unwrap();
    assert_eq!(result["result"], "done", "{result}");
    let spent = way.gate.spent.lock().clone();
    assert!(spent.iter().all(|spent| spent.complete), "{spent:?}");
    let ours: i64 = spent.iter().map(|spent| spent.usage.cost.0).sum();
    let theirs = result["total_cost_usd"].as_f64().unwrap() * 1e6;
    #[expect(clippy::cast_precision_loss, reason = "a few cents")]
    let difference = (ours as f64 - theirs).abs();
    assert!(difference < 3.0, "our {ours} micro-dollars, its {theirs}");
    assert!(way.gate.notes.lock().iter().all(|note| matches!(note, egress::Note::Answered { status: 200, .. })));
}

#[tokio::test]
async fn a_refusal_stops_it_without_a_retry() {
    let model = model("- say: hi").await;
    for refusal in [Refusal::Budget("the budget is spent".into()), Refusal::Stale("the lease ended".into())] {
        let way = way_to(&model.base_url(), Limits::default());
        *way.gate.refuse.lock() = Some(refusal.clone());
        let events = ask(&way).await;
        let result = events.last().unwrap();
        assert_eq!(result["is_error"], true);
        assert!(result["result"].as_str().unwrap().contains(&refusal.to_string()), "{result}");
        let retries = events.iter().filter(|event| event["subtype"] == "api_retry").count();
        let asked = way.gate.admitted.lock().len();
        assert_eq!((retries, asked), (0, 1), "{refusal:?}");
    }
    assert!(model.requests().is_empty());
}
