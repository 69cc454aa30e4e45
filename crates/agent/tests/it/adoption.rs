//! A server dies at any instant and another goes on (D6, the host's side).

use crate::{
    host::Memory,
    tape::{Piece, Tape},
};
use agent::{
    AgentEvent, DriveError, End, Outcome, Settings, ToolSpec, Turn, UserMessage, Verdict, drive,
    process::{Exit, Stream},
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const PROMPT: Uuid = Uuid::from_u128(0x11);

/// A process that behaves as the real one does: it says something, asks about a call, asks about a second one that is
/// denied, calls a tool of ours twice under one id, finishes.
fn process() -> Tape {
    let mut pieces = Vec::new();
    let mut say = |after_lines: usize, lines: Vec<Value>| {
        let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n";
        // In small pieces, so that lines are cut anywhere.
        for piece in text.as_bytes().chunks(97) {
            let bytes = bytes::Bytes::copy_from_slice(piece);
            pieces.push(Piece { after_lines, stream: Stream::Stdout, bytes });
        }
        pieces.push(Piece { after_lines, stream: Stream::Stderr, bytes: "a remark\n".into() });
    };
    let text = |message: &str, text: &str| json!({"type": "assistant", "message": {"id": message, "content": [{"type": "text", "text": text}]}});
    let stream = |event: Value| json!({"type": "stream_event", "event": event, "parent_tool_use_id": null});
    let call = |message: &str, id: &str, command: &str| {
        json!({"type": "assistant", "message": {"id": message, "content":
            [{"type": "tool_use", "id": id, "name": "Bash", "input": {"command": command}}]}})
    };
    let hook = |request: &str, id: &str, command: &str| {
        json!({"type": "control_request", "request_id": request, "request": {"subtype": "hook_callback",
            "callback_id": "x", "input": {"hook_event_name": "PreToolUse", "tool_name": "Bash",
            "tool_input": {"command": command}, "tool_use_id": id}}})
    };
    let mcp = |request: &str, id: u64| {
        json!({"type": "control_request", "request_id": request, "request": {"subtype": "mcp_message",
            "server_name": "runyard", "message": {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params":
            {"name": "submit_plan", "arguments": {"markdown": "# x"}, "_meta": {"claudecode/toolUseId": "own_1"}}}}})
    };
    let list = json!({"type": "control_request", "request_id": "list", "request": {"subtype": "mcp_message",
        "server_name": "runyard", "message": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}}});
    let result = |turns: i64, denials: Value| {
        json!({"type": "result", "subtype": "success", "is_error": false, "stop_reason": "end_turn", "result": "fine",
            "total_cost_usd": 0.01, "modelUsage": {"m": {"inputTokens": 100 * turns, "outputTokens": 10}},
            "permission_denials": denials})
    };
    let denial = json!([{"tool_name": "Bash", "tool_use_id": "t2", "tool_input": {"command": "deny me"}}]);
    say(
        1,
        vec![json!({"type": "control_response", "response": {"subtype": "success", "request_id": "initialize"}}), list],
    );
    say(
        2,
        vec![
            json!({"type": "system", "subtype": "init", "session_id": "s", "claude_code_version": agent::PINNED, "model": "m",
                "tools": [], "mcp_servers": [{"name": "runyard", "status": "connected"}]}),
            json!({"type": "user", "uuid": PROMPT, "isReplay": true, "message": {"content": "go"}}),
            stream(json!({"type": "message_start", "message": {"id": "m1", "usage": {"input_tokens": 100}}})),
            stream(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I lo"}})),
            stream(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok."}})),
            text("m1", "I look."),
            call("m1", "t1", "ls"),
            hook("h1", "t1", "ls"),
            stream(json!({"type": "message_stop"})),
        ],
    );
    say(4, vec![call("m2", "t2", "deny me"), hook("h2", "t2", "deny me"), hook("h2", "t2", "deny me")]);
    say(5, vec![mcp("c1", 2), mcp("c2", 2)]);
    say(7, vec![text("m3", "Done."), result(1, denial)]);
    Tape::new(pieces, Exit { code: Some(0), ..Exit::default() })
}

fn turn(host: &Memory) -> Turn {
    Turn {
        prompt: Some(UserMessage { uuid: PROMPT, text: "go".into() }),
        tools: vec![ToolSpec {
            name: "submit_plan".into(),
            description: "x".into(),
            input_schema: json!({"type": "object"}),
        }],
        settings: Settings::default(),
        resume: (!host.journal.lock().is_empty() || !host.batches.lock().is_empty()).then(|| host.resume()),
    }
}

fn host() -> Memory {
    Memory::default().judging(|call| {
        if call.input["command"] == "deny me" {
            Verdict::Deny { reason: "no".into() }
        } else {
            Verdict::Allow { updated_input: None }
        }
    })
}

/// Drives as one server does. The clock is paused, so that waiting for ever takes no time.
async fn go(tape: &Tape, host: &Memory) -> Result<Outcome, DriveError> {
    let (_control, inbox) = agent::control();
    let driving = drive(Box::new(tape.clone()), turn(host), host, inbox);
    tokio::time::timeout(Duration::from_hours(1), driving).await.expect("it does not wait for itself")
}

fn answers(tape: &Tape) -> Vec<String> {
    let name = |line: Value| match line["type"].as_str() {
        Some("control_response") => format!("answer {}", line["response"]["request_id"].as_str().unwrap_or_default()),
        Some("control_request") => line["request"]["subtype"].as_str().unwrap_or_default().to_owned(),
        _ => "user".to_owned(),
    };
    tape.input().into_iter().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn whatever_the_moment_of_death_everything_happens_once() {
    let undisturbed = host();
    let tape = process();
    let outcome = go(&tape, &undisturbed).await.expect("driven");
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert!(outcome.denials[0].by_host);
    let mut sent = answers(&tape);
    sent.sort();
    assert_eq!(sent, ["answer c1", "answer c2", "answer h1", "answer h2", "answer list", "initialize", "user"]);
    assert!(tape.closed());

    for first in 0.. {
        let host = host();
        let tape = process();
        host.fail_at(first);
        let died = go(&tape, &host).await;
        if died.is_ok() {
            assert!(first > 10, "the store is used often");
            break;
        }
        assert!(matches!(died, Err(DriveError::Host(_))));
        // The second server dies too, a little later.
        host.fail_at(first / 3 + 1);
        let second = go(&tape, &host).await;
        host.fail_at(usize::MAX);
        let last = if let Ok(outcome) = second { outcome } else { go(&tape, &host).await.expect("driven") };
        assert_eq!(last, outcome, "death at store {first}");
        assert_eq!(host.events(), undisturbed.events(), "death at store {first}");
        assert_eq!(host.raw(), undisturbed.raw(), "death at store {first}");
        let mut again = answers(&tape);
        again.sort();
        assert_eq!(again, sent, "death at store {first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_was_journaled_but_never_written_is_written_by_the_next_server() {
    let host = host();
    let line = |seq: u64, key: &str, line: Value| agent::StdinLine { seq, key: key.into(), line: format!("{line}\n") };
    let hello = line(0, "initialize", json!({"type": "control_request", "request": {"subtype": "initialize"}}));
    host.journal.lock().push(hello);
    let tape = process();
    let outcome = go(&tape, &host).await.expect("driven");
    assert_eq!(outcome.end, End::Completed);
    assert_eq!(answers(&tape).iter().filter(|line| *line == "initialize").count(), 1);
    assert!(host.events().iter().any(|event| matches!(event, AgentEvent::Delivered { uuid } if *uuid == PROMPT)));
}
