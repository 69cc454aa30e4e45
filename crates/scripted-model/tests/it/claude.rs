//! Runs the real Claude Code.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use scripted_model::ScriptedModel;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

const VERSION: &str = "2.1.197";
pub const KEY: &str = "sk-ant-made-up";

/// What a run of Claude Code left behind.
pub struct Ran {
    pub events: Vec<Value>,
    pub stderr: String,
    pub home: tempfile::TempDir,
}

impl Ran {
    pub fn result(&self) -> &Value {
        self.events
            .iter()
            .rfind(|e| e["type"] == "result")
            .unwrap_or_else(|| panic!("no result; stderr: {}", self.stderr))
    }

    /// Blocks of all assistant (or user) messages of one kind.
    pub fn blocks(&self, kind: &str) -> Vec<&Value> {
        let blocks = self.events.iter().filter_map(|event| event["message"]["content"].as_array()).flatten();
        blocks.filter(|block| block["type"] == kind).collect()
    }

    pub fn workspace(&self) -> PathBuf {
        self.home.path().join("work")
    }
}

/// Where `cargo xtask setup` puts Claude Code.
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

/// Asks `prompt` in a fresh home and answers every permission request with `allow`.
pub async fn run(model: &ScriptedModel, prompt: &str, flags: &[&str], allow: impl Fn(&Value) -> Value) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let workspace = home.path().join("work");
    std::fs::create_dir(&workspace).unwrap();
    let mut child = Command::new(program())
        .args(["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"])
        .args(["--permission-prompt-tool", "stdio", "--strict-mcp-config"])
        .args(flags)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home.path())
        .env("ANTHROPIC_BASE_URL", model.base_url())
        .env("ANTHROPIC_API_KEY", KEY)
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("CLAUDE_CODE_MAX_RETRIES", "3")
        .env("DISABLE_AUTOUPDATER", "1")
        .current_dir(&workspace)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = child.stderr.take().unwrap();
    let message =
        json!({ "type": "user", "message": { "role": "user", "content": prompt }, "parent_tool_use_id": null });
    stdin.as_mut().unwrap().write_all(format!("{message}\n").as_bytes()).await.unwrap();

    let talk = async {
        let mut events = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["type"] == "control_request" {
                let answer = json!({ "type": "control_response", "response": {
                    "subtype": "success", "request_id": event["request_id"], "response": allow(&event["request"]) } });
                stdin.as_mut().unwrap().write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            }
            if event["type"] == "result" {
                stdin = None;
            }
            events.push(event);
        }
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.unwrap();
        child.wait().await.unwrap();
        (events, text)
    };
    let (events, stderr) = tokio::time::timeout(Duration::from_mins(2), talk).await.expect("Claude Code did not end");
    Ran { events, stderr, home }
}
