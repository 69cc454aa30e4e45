//! The program, and what its description promises.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use scripted_model::Script;

const README: &str = include_str!("../../README.md");

fn example() -> &'static str {
    README.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap()
}

#[test]
fn the_example_of_the_description_is_a_script() {
    assert_eq!(Script::parse(example()).unwrap().conversation_names(), ["plan", "anything else"]);
}

#[tokio::test]
async fn the_program_says_where_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("demo.yaml");
    std::fs::write(&script, example()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_scripted-model"))
        .arg("--script")
        .arg(&script)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening ").unwrap().to_owned();
    let client = reqwest::Client::builder().build().unwrap();
    let status = client.head(address).send().await.map(|response| response.status());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(status.unwrap().is_success());
}

#[test]
fn a_bad_script_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("bad.yaml");
    std::fs::write(&script, "conversations:\n  - name: a\n    turns: []\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_scripted-model")).arg("--script").arg(&script).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("line 2: conversation `a` has no turns"), "{error}");
}
