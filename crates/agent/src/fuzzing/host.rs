//! A host that decides by what it is asked alone, and the checks of what the machine wants of it.

use crate::{
    AgentEvent, Call, Decision, End, Outcome, Output, OwnCall, PersonRequest, Settings, ToolSpec, Turn, UserMessage,
    Verdict, machine::pieces, wire,
};
use domain::{MicroUsd, RequestKind, Usage};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

/// The message that a turn begins with.
pub(super) const PROMPT: Uuid = Uuid::from_u128(1);

/// A turn with a tool of the host's own.
pub(super) fn turn() -> Turn {
    Turn {
        prompt: Some(UserMessage { uuid: PROMPT, text: "work".into() }),
        tools: vec![ToolSpec {
            name: "submit_plan".into(),
            description: "Hands the plan in".into(),
            input_schema: serde_json::json!({"type": "object"}),
        }],
        settings: Settings::default(),
        resume: None,
    }
}

pub(super) fn verdict(call: &Call) -> Verdict {
    match call.tool.len() % 4 {
        0 => Verdict::Allow { updated_input: None },
        1 => Verdict::Allow { updated_input: Some(Value::from(7)) },
        2 => Verdict::Deny { reason: "no".into() },
        _ => Verdict::Person { reason: "who knows".into() },
    }
}

pub(super) fn decision(ask: &PersonRequest) -> Option<Decision> {
    match (&ask.kind, ask.tool_use_id.len() % 5) {
        (RequestKind::Question { questions, .. }, 0) => {
            Some(Decision::Answers(questions.iter().map(|q| (q.question.clone(), "yes".to_owned())).collect()))
        }
        (_, 0) => Some(Decision::Allow { updated_input: None }),
        (_, 1) => Some(Decision::Deny { reason: "no".into(), interrupt: false }),
        (_, 2) => Some(Decision::Deny { reason: "no".into(), interrupt: true }),
        (_, 3) => Some(Decision::Defer),
        _ => None,
    }
}

pub(super) fn result(call: &OwnCall) -> Result<String, String> {
    if call.tool_use_id.len().is_multiple_of(2) { Ok("done".into()) } else { Err("line 1: no steps".into()) }
}

/// What was seen of a machine, to hold against what comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    next_seq: u64,
    keys: BTreeSet<String>,
    /// Requests whose tool of the host's own runs, by the agent's id of the call.
    calls: BTreeSet<String>,
    answered: BTreeSet<String>,
    /// The input was closed.
    pub(super) closed: bool,
    killed: bool,
}

impl Judge {
    pub(super) fn see(&mut self, output: &Output) {
        match output {
            Output::Send(line) => {
                assert_eq!(line.seq, self.next_seq, "a gap in what is written");
                self.next_seq += pieces(&line.line);
                assert!(self.keys.insert(line.key.clone()), "`{}` was sent twice", line.key);
                assert!(line.line.ends_with('\n') && line.line.matches('\n').count() == 1, "not one line");
                let value: Value = serde_json::from_str(&line.line).expect("JSON is written");
                if value["type"] == "control_response" {
                    let id = value["response"]["request_id"].as_str().expect("an id");
                    assert!(self.answered.insert(id.to_owned()), "`{id}` was answered twice");
                }
            }
            // After a kill by ourselves nothing of this life remains; an earlier one's line is no new one.
            Output::Resend(line) => self.next_seq = self.next_seq.max(line.seq + pieces(&line.line)),
            Output::Judge { request, .. } | Output::Ask { request, .. } => {
                assert!(!self.answered.contains(request), "`{request}` is asked about though it was answered");
            }
            Output::Call { request, call } => {
                assert!(!self.answered.contains(request), "`{request}` is called though it was answered");
                self.calls.insert(call.tool_use_id.clone());
            }
            Output::Event(AgentEvent::Usage { usage, .. }) => assert_fine(usage),
            Output::CloseStdin => assert!(!std::mem::replace(&mut self.closed, true), "the input is closed twice"),
            Output::Kill => assert!(!std::mem::replace(&mut self.killed, true), "it is killed twice"),
            _ => {}
        }
    }

    /// The outcome agrees with what was told.
    pub(super) fn end(&self, events: &[AgentEvent], outcome: &Outcome) {
        let mut booked = Usage::default();
        for event in events {
            if let AgentEvent::Usage { usage, booked: now } = event {
                assert_fine(usage);
                if *now {
                    booked += *usage;
                }
            }
        }
        assert_fine(&outcome.usage);
        let last = events.iter().rev().find_map(|event| match event {
            AgentEvent::TurnEnded { ok, .. } => Some(*ok),
            _ => None,
        });
        // One that took over saw a part of the events only.
        if self.keys.contains("initialize") {
            if outcome.end == End::Completed {
                assert_eq!(last, Some(true), "completed, though the last turn did not end well");
            }
            assert_eq!(outcome.usage, booked, "the books and the outcome differ");
        }
        let ids: BTreeSet<_> = outcome.denials.iter().map(|denial| &denial.tool_use_id).collect();
        assert_eq!(ids.len(), outcome.denials.len(), "a denial is listed twice");
    }
}

fn assert_fine(usage: &Usage) {
    let counts = [usage.input, usage.output, usage.cache_read, usage.cache_write];
    assert!(counts.iter().all(|count| *count >= 0) && usage.cost >= MicroUsd(0), "{usage:?} is negative");
}

/// Whether a line is a result that allows for nothing but success.
pub(super) fn is_fine_result(line: &[u8]) -> Option<bool> {
    match wire::parse(line) {
        wire::Line::Result(result) => {
            Some(result.subtype == "success" && !result.is_error && result.stop_reason.is_some())
        }
        _ => None,
    }
}
