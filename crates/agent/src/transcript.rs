use crate::tool;
use serde_json::Value;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Where the agent keeps the transcript of a conversation that ran in `cwd` with this `HOME`.
///
/// Archive it after each turn; it can be resumed from any path, in any directory and home.
pub fn transcript_path(home: &Path, cwd: &Path, session: Uuid) -> PathBuf {
    let slug: String = cwd.to_string_lossy().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    home.join(".claude/projects").join(slug).join(format!("{session}.jsonl"))
}

/// What the next prompt should say when the agent was killed while tools ran, read from its archived transcript.
///
/// The agent drops calls without a result when it resumes, although they may have had effects. None when nothing was cut
/// off. Unreadable lines are passed over: the last one may be torn.
pub fn note_on_lost_call(transcript: &[u8]) -> Option<String> {
    let mut open: Vec<(String, String)> = Vec::new();
    let mut answered = HashSet::new();
    for line in transcript.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
        for block in line["message"]["content"].as_array().into_iter().flatten() {
            let id = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
            match block["type"].as_str() {
                Some("tool_use") => {
                    let name = block["name"].as_str().unwrap_or_default();
                    open.push((id("id"), format!("{name}: {}", tool::title(name, &block["input"]))));
                }
                Some("tool_result") => {
                    answered.insert(id("tool_use_id"));
                }
                _ => {}
            }
        }
    }
    let lost: Vec<_> = open.iter().filter(|(id, _)| !answered.contains(id)).map(|(_, what)| what.as_str()).collect();
    if lost.is_empty() {
        return None;
    }
    Some(format!(
        "You were cut off while this was running:\n- {}\nIts result was lost, its effects may exist. Look at the state \
         of the files before you do it again.",
        lost.join("\n- ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transcript_is_where_the_agent_puts_it() {
        let session = Uuid::nil();
        let path = transcript_path(Path::new("/home/agent"), Path::new("/srv/w/G03_partial"), session);
        assert_eq!(
            path,
            Path::new("/home/agent/.claude/projects/-srv-w-G03-partial/00000000-0000-0000-0000-000000000000.jsonl")
        );
    }

    #[test]
    fn a_call_without_a_result_is_named() {
        let call = |id: &str, command: &str| {
            format!(
                r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","id":"{id}","name":"Bash","input":{{"command":"{command}"}}}}]}}}}"#
            )
        };
        let result =
            r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}}"#;
        let whole = format!("{}\n{result}\n", call("a", "ls"));
        assert_eq!(note_on_lost_call(whole.as_bytes()), None);
        let cut = format!("{whole}{}\n{{\"type\":\"us", call("b", "make install"));
        let note = note_on_lost_call(cut.as_bytes()).expect("a note");
        assert!(note.contains("Bash: make install") && !note.contains("ls"), "{note}");
        assert_eq!(note_on_lost_call(b"\xff\n\n[]"), None);
    }
}
