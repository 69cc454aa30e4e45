//! Scripts of bytes: what an agent may say and what a host may do, in any order.

use super::host::{Judge, PROMPT, is_fine_result, turn};
use crate::{AgentEvent, Core, Decision, End, Output, Timer, UserMessage, Verdict, process::Exit};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) fn run(script: &[u8]) {
    let mut rest = script.iter().copied();
    let mut next = || rest.next();
    let mut play = Play::new(next().unwrap_or(0));
    while let Some(act) = next() {
        play.act(act, next().unwrap_or(0), next().unwrap_or(0));
    }
    play.end(script.len());
}

struct Play {
    core: Core,
    judge: Judge,
    events: Vec<AgentEvent>,
    /// Whether each result so far was fine.
    results: Vec<bool>,
    open: Vec<String>,
    armed: BTreeSet<Timer>,
    at: u64,
}

impl Play {
    fn new(setting: u8) -> Self {
        let mut turn = turn();
        turn.settings.expect_structured = setting & 1 != 0;
        if setting & 2 != 0 {
            turn.prompt = None;
        }
        if setting & 4 != 0 {
            turn.settings.required_servers = vec!["s".into()];
        }
        let mut core = Core::new(turn);
        let out = core.start();
        let mut play = Self {
            core,
            judge: Judge::default(),
            events: Vec::new(),
            results: Vec::new(),
            open: Vec::new(),
            armed: BTreeSet::new(),
            at: 0,
        };
        play.take(out);
        play
    }

    fn act(&mut self, act: u8, a: u8, b: u8) {
        let request = self.open.get(usize::from(a) % self.open.len().max(1)).cloned().unwrap_or_else(|| "r0".into());
        let out = match act % 64 {
            0..40 => {
                let line = line(act % 40, a, b).to_string();
                self.results.extend(is_fine_result(line.as_bytes()));
                self.at += line.len() as u64 + 1;
                self.core.stdout(line.as_bytes(), self.at)
            }
            40..46 => self.core.judged(&request, verdict(b)),
            46..51 => self.core.decided(&request, decision(b)),
            51..54 => {
                self.core.called(&request, if b.is_multiple_of(2) { Ok("done".into()) } else { Err("no".into()) })
            }
            54 => {
                let message = UserMessage { uuid: Uuid::from_u128(u128::from(a % 4)), text: "more".into() };
                self.core.say(&message).1
            }
            55 => self.core.interrupt(),
            56 => self.core.stop(),
            57 => self.core.input_closed(),
            58 => {
                self.core.stderr(&[a, b]);
                Vec::new()
            }
            59 => self.core.dropped(self.at),
            60 => self.core.caught_up(self.at),
            61 => self.core.silent(),
            _ => {
                let timer = [Timer::Exit, Timer::FollowUp, Timer::Background][usize::from(a) % 3];
                self.armed.remove(&timer);
                self.core.fire(timer)
            }
        };
        self.take(out);
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            self.judge.see(&output);
            match output {
                Output::Judge { request, .. } | Output::Ask { request, .. } | Output::Call { request, .. } => {
                    self.open.push(request);
                }
                Output::Event(event) => self.events.push(event),
                Output::Arm(timer) => {
                    self.armed.insert(timer);
                }
                Output::Disarm(timer) => {
                    self.armed.remove(&timer);
                }
                _ => {}
            }
        }
        assert!(self.armed.len() <= 1, "{:?}: one thing at a time is waited for", self.armed);
    }

    fn end(mut self, length: usize) {
        let exit = match length % 5 {
            0..=2 => Exit { code: Some(0), ..Exit::default() },
            3 => Exit { code: Some(1), ..Exit::default() },
            _ => Exit { signal: Some(9), ..Exit::default() },
        };
        let died = exit.code != Some(0);
        let (last, outcome) = self.core.finish(exit.clone());
        self.events.extend(last);
        self.judge.end(&self.events, &outcome);
        if outcome.end == End::Completed {
            assert_eq!(self.results.last(), Some(&true), "completed without a fine result");
            assert!(!died || exit.signal.is_some(), "completed, though it ended with {exit:?}");
        }
        if let End::Failed { message, .. } = &outcome.end {
            assert!(!message.is_empty(), "a failure without a word");
        }
    }
}

fn verdict(choice: u8) -> Verdict {
    match choice % 4 {
        0 => Verdict::Allow { updated_input: None },
        1 => Verdict::Allow { updated_input: Some(json!({"x": "\n"})) },
        2 => Verdict::Deny { reason: "no\n".into() },
        _ => Verdict::Person { reason: String::new() },
    }
}

fn decision(choice: u8) -> Option<Decision> {
    Some(match choice % 6 {
        0 => Decision::Allow { updated_input: None },
        1 => Decision::Allow { updated_input: Some(Value::Null) },
        2 => Decision::Deny { reason: "no".into(), interrupt: choice & 8 != 0 },
        3 => Decision::Answers([("q".to_owned(), "a".to_owned())].into()),
        4 => Decision::Defer,
        _ => return None,
    })
}

/// One line of each kind.
pub(super) fn lines_of_each_kind() -> impl Iterator<Item = String> {
    (0..40).flat_map(|kind| (0..4_u8).map(move |n| line(kind, n, n.wrapping_mul(37)).to_string()))
}

fn line(kind: u8, a: u8, b: u8) -> Value {
    let (even_a, even_b) = (a.is_multiple_of(2), b.is_multiple_of(2));
    let call = format!("toolu_{}", a % 4);
    let request = format!("r{}", b % 4);
    let message = format!("m{}", b % 3);
    let count = [0, 1, 40, -7, i64::MAX, i64::MIN][usize::from(b) % 6];
    let tool = ["Bash", "Write", "AskUserQuestion", "mcp__runyard__submit_plan"][usize::from(a / 4) % 4];
    let input = match a % 3 {
        0 => json!({"command": "ls"}),
        1 => json!({"questions": [{"question": "q", "header": "h", "options": [{"label": "l"}]}]}),
        _ => json!([1]),
    };
    let agent_id = if b & 0x40 == 0 { Value::Null } else { json!("sub") };
    let stream = |event: Value| {
        let parent = if a & 0x80 == 0 { Value::Null } else { json!("toolu_0") };
        json!({"type": "stream_event", "event": event, "parent_tool_use_id": parent})
    };
    match kind {
        0 => json!({"type": "system", "subtype": "init", "session_id": "s", "model": "m", "tools": ["Bash", 1],
            "claude_code_version": if even_a { crate::PINNED } else { "0" },
            "mcp_servers": [{"name": "runyard", "status": if even_b { "connected" } else { "failed" }}, {"name": "s"}]}),
        1 | 2 => stream(
            json!({"type": "message_start", "message": {"id": message, "usage": {"input_tokens": count, "output_tokens": 1}}}),
        ),
        3 => stream(
            json!({"type": "content_block_start", "index": a, "content_block": {"type": "tool_use", "id": call}}),
        ),
        4 => stream(json!({"type": "content_block_delta", "index": a, "delta": {"type": "text_delta", "text": "t"}})),
        5 => stream(json!({"type": "content_block_stop"})),
        6 => stream(json!({"type": "message_delta", "usage": {"output_tokens": count}})),
        7 => stream(json!({"type": "message_stop"})),
        8 => {
            json!({"type": "assistant", "message": {"id": message, "content": [{"type": "tool_use", "id": call, "name": tool, "input": input}]}})
        }
        9 => {
            json!({"type": "assistant", "message": {"id": message, "model": if even_a { "<synthetic>" } else { "m" },
            "content": [{"type": "text", "text": "t"}]}, "error": if even_b { Value::Null } else { json!("rate_limit") }})
        }
        10 => {
            json!({"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": call, "is_error": even_a,
            "content": [{"type": "text", "text": "r"}]}]}})
        }
        11 => {
            json!({"type": "user", "isReplay": true, "uuid": if even_a { PROMPT } else { Uuid::from_u128(u128::from(a % 4)) }})
        }
        12..17 => json!({"type": "control_request", "request_id": request, "request": {"subtype": "hook_callback",
            "input": {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": input, "tool_use_id": call, "agent_id": agent_id}}}),
        17..20 => json!({"type": "control_request", "request_id": request, "request": {"subtype": "can_use_tool",
            "tool_name": tool, "input": input, "tool_use_id": call, "agent_id": agent_id}}),
        20..23 => {
            json!({"type": "control_request", "request_id": request, "request": {"subtype": "mcp_message", "server_name": "runyard",
            "message": {"id": a, "method": "tools/call", "params": {"name": "submit_plan", "arguments": input,
            "_meta": {"claudecode/toolUseId": call}}}}})
        }
        23 => json!({"type": "control_request", "request_id": request, "request": {"subtype": "mcp_message",
            "server_name": if even_a { "runyard" } else { "other" }, "message": {"id": a, "method": "tools/list"}}}),
        24 => json!({"type": "control_request", "request_id": request, "request": {"subtype": "new"}}),
        25 | 26 => json!({"type": "control_cancel_request", "request_id": request}),
        27 => json!({"type": "control_response", "response": {"subtype": if even_a { "success" } else { "error" },
            "request_id": if even_b { "initialize" } else { "interrupt:0" }, "error": "e"}}),
        28..34 => result(a, b, count, &call, &input),
        34 => json!({"type": "system", "subtype": "task_started", "task_id": call, "description": "d"}),
        35 => {
            json!({"type": "system", "subtype": "task_updated", "task_id": call, "patch": {"status": if even_b { "running" } else { "killed" }}})
        }
        36 => {
            json!({"type": "system", "subtype": "task_notification", "task_id": call, "status": "completed", "summary": "s"})
        }
        37 => {
            json!({"type": "system", "subtype": "permission_denied", "tool_use_id": call, "tool_name": tool, "message": "no"})
        }
        38 => json!({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": count}}),
        _ => match a % 4 {
            0 => {
                json!({"type": "system", "subtype": "api_retry", "attempt": count, "retry_delay_ms": -1e300, "error": if even_b { "billing_error" } else { "overloaded" }})
            }
            1 => json!({"type": "system", "subtype": "compact_boundary"}),
            2 => json!([]),
            _ => json!({"type": "new"}),
        },
    }
}

fn result(a: u8, b: u8, count: i64, call: &str, input: &Value) -> Value {
    let cost = [0.0, 0.5, -3.0, 1e300][usize::from(b) % 4];
    let mut result = json!({"type": "result", "subtype": "success", "is_error": false, "result": "done", "stop_reason": "end_turn",
        "total_cost_usd": cost,
        "modelUsage": {"m": {"inputTokens": count, "outputTokens": 3}, "n": {"inputTokens": count}}});
    match a % 10 {
        0..=3 => {}
        4 => result["stop_reason"] = Value::Null,
        5 => {
            result["is_error"] = json!(true);
            result["api_error_status"] = json!(400 + u16::from(b));
        }
        6 => {
            result["subtype"] = json!("error_during_execution");
            result["terminal_reason"] = json!("aborted_tools");
        }
        7 => result["deferred_tool_use"] = json!({"id": call, "name": "Bash", "input": input}),
        8 => result["permission_denials"] = json!([{"tool_use_id": call, "tool_name": "Bash", "tool_input": input}]),
        _ => result["subtype"] = json!("error_max_turns"),
    }
    if b & 8 != 0 {
        result["structured_output"] = json!({"x": 1});
    }
    result
}
