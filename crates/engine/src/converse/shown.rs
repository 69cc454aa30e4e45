//! What people see of an agent's doings: without what is secret, and no more than can be shown.
//!
//! A secret is looked for in the whole text, before anything is cut off: half of it would not be found.

use agent::{AgentEvent, tool};
use domain::{Actor, EventPayload, NoteLevel, RequestKind, RunId};
use secrets::Redactor;
use std::time::Duration;

/// The longest text of an agent that one event holds, in bytes. No model writes more at once; an agent that obeys an
/// attacker may, and what it wrote is kept with its output, while events are held in memory by everybody who watches.
const LONGEST_TEXT: usize = 256 << 10;

/// The most that a person is asked about at once, in bytes of JSON. It is not cut: nobody can allow what is not shown.
const LONGEST_QUESTION: usize = 1 << 20;

/// What becomes of an agent's event in the log, if anything.
pub(super) fn payload(run: RunId, event: AgentEvent, redactor: &Redactor) -> Option<EventPayload> {
    let short = |text: &str| tool::cut_text(&redactor.redact_text(text));
    let note = |level, text: &str| Some(EventPayload::Note { level, text: short(text) });
    match event {
        // Looked through where its pieces are put together.
        AgentEvent::TextDelta { text, .. } => {
            Some(EventPayload::Text { run, delta: tool::cut_to(&text, LONGEST_TEXT) })
        }
        AgentEvent::Text { text, parent: None, .. } if !text.trim().is_empty() => {
            let text = tool::cut_to(&redactor.redact_text(&text), LONGEST_TEXT);
            Some(EventPayload::Message { from: Actor::Agent, run: Some(run), text })
        }
        AgentEvent::ToolStarted { call, tool, kind, mut input, .. } => {
            redactor.redact_json(&mut input);
            let tool = short(&tool);
            let (title, input) = (tool::title(&tool, &input), tool::cut_value(&input));
            Some(EventPayload::ToolStarted { run, call: short(&call), tool, kind, title, input })
        }
        AgentEvent::ToolFinished { call, ok, output, .. } => {
            Some(EventPayload::ToolFinished { run, call: short(&call), ok, output: short(&output) })
        }
        AgentEvent::Retry { attempt, max, delay_ms, error, .. } => note(
            NoteLevel::Warning,
            &format!(
                "The model's API failed ({error}); asking again in {:.1} s, {attempt} of {max}.",
                Duration::from_millis(delay_ms).as_secs_f32()
            ),
        ),
        AgentEvent::Limit { status, kind, .. } => {
            note(NoteLevel::Warning, &format!("The account's limit `{kind}`: {status}."))
        }
        AgentEvent::Denied { tool, reason, .. } => note(NoteLevel::Info, &format!("{tool} was not allowed: {reason}")),
        AgentEvent::Compacted => note(NoteLevel::Info, "Older parts of the agent's conversation were summarised."),
        AgentEvent::ToolServerFailed { server } => {
            note(NoteLevel::Warning, &format!("The tool server `{server}` did not start."))
        }
        AgentEvent::Warning { text } => note(NoteLevel::Warning, &text),
        _ => None,
    }
}

/// Why a person cannot be asked this, for the agent; nothing when it can be shown.
pub(super) fn too_long_to_ask(kind: &RequestKind) -> Option<String> {
    let length = serde_json::to_vec(kind).map_or(usize::MAX, |json| json.len());
    (length > LONGEST_QUESTION).then(|| {
        format!("this is too long to be shown to a person: {length} bytes, and at most {LONGEST_QUESTION} are")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{SystemMint, ToolKind};
    use secrets::Secret;
    use serde_json::json;

    const SECRET: &str = "tok_9f86d081884c7d65";

    fn shown(event: AgentEvent) -> String {
        let redactor = Redactor::new([&Secret::new(SECRET)]);
        let payload = payload(RunId::new(&SystemMint), event, &redactor).expect("it is shown");
        serde_json::to_string(&payload).expect("JSON")
    }

    /// A text with the secret around the byte at which it is cut, wherever exactly that is.
    fn around(cut: usize) -> impl Iterator<Item = String> {
        (cut - 80..cut + 20).step_by(3).map(|before| format!("{}{SECRET}{}", "x".repeat(before), "y".repeat(5000)))
    }

    #[test]
    fn a_secret_where_a_text_is_cut_leaves_no_part_of_itself() {
        let texts = around(LONGEST_TEXT).chain(around(tool::MAX_SHOWN)).chain(around(4096)).chain(around(200));
        for text in texts {
            let parent = None;
            let input = json!({ "command": text, "more": "z".repeat(tool::MAX_SHOWN) });
            let (call, title) = ("c".to_owned(), String::new());
            for event in [
                AgentEvent::Text { message: "m".into(), block: None, text: text.clone(), parent: None },
                AgentEvent::ToolFinished { call: call.clone(), ok: true, output: text.clone(), parent: None },
                AgentEvent::ToolStarted { call, tool: "Bash".into(), kind: ToolKind::Execute, title, input, parent },
                AgentEvent::Warning { text: text.clone() },
            ] {
                let shown = shown(event);
                assert!(!shown.contains("tok_"), "after {} bytes", text.len() - 5000 - SECRET.len());
            }
        }
    }

    #[test]
    fn what_an_event_shows_is_bounded_whatever_the_agent_wrote() {
        let huge = || "é".repeat(3 << 20);
        let delta = AgentEvent::TextDelta { message: "m".into(), block: 0, text: huge() };
        let text = AgentEvent::Text { message: "m".into(), block: None, text: huge(), parent: None };
        let started = AgentEvent::ToolStarted {
            call: huge(),
            tool: huge(),
            kind: ToolKind::Other,
            title: huge(),
            input: json!({ "a": huge(), "b": [huge(), huge()] }),
            parent: None,
        };
        for event in [delta, text, started, AgentEvent::Warning { text: huge() }] {
            let length = shown(event).len();
            assert!(length < LONGEST_TEXT + 4096, "{length} bytes");
        }
        let asked = RequestKind::Permission {
            tool_use_id: "t".into(),
            tool: "Write".into(),
            input: json!({ "content": "x".repeat(LONGEST_QUESTION) }),
            reason: String::new(),
        };
        assert!(too_long_to_ask(&asked).is_some_and(|why| why.contains("too long to be shown")));
    }
}
