use super::{Core, Output, messages::Alone};
use crate::{
    Call, Decision, OwnCall, PersonRequest, Verdict, Withdrawn,
    mcp::{self, Reaction},
    outcome::DeferredCall,
    wire::{self, ControlRequest},
};
use domain::{Choice, Question, RequestKind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const QUESTION: &str = "AskUserQuestion";
const REPEAT_ALONE: &str = "Nobody has decided yet. Repeat this call alone, as the only one of your message; it needs \
                            approval.";
const NOBODY: &str = "Nobody decided about this call in time. Go on without it, or say what you need it for.";

/// What the agent waits for.
#[derive(Debug, Default)]
pub(super) struct Requests {
    calls: BTreeMap<String, Pending>,
    own: BTreeMap<String, Own>,
    /// Results of the host's own tools, for requests that come twice.
    own_results: HashMap<String, Result<String, String>>,
    /// Calls that a callback allowed: a further prompt about them is answered alike.
    allowed: BTreeSet<String>,
}

#[derive(Debug)]
struct Pending {
    call: Call,
    via: Via,
    /// Nobody decided in time; waits only to know whether the call is alone.
    parked: bool,
    asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Via {
    Hook,
    Prompt,
}

#[derive(Debug)]
struct Own {
    rpc: Value,
    call: OwnCall,
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.own.is_empty()
    }

    fn is_open(&self, id: &str) -> bool {
        self.calls.contains_key(id) || self.own.contains_key(id)
    }
}

impl Core {
    /// Policy has decided about a request.
    pub fn judged(&mut self, request: &str, verdict: Verdict) -> Vec<Output> {
        let mut out = Vec::new();
        if let Some(pending) = self.requests.calls.get_mut(request) {
            let question = pending.call.tool == QUESTION;
            match verdict {
                Verdict::Deny { reason } => self.deny(request, &reason, false, &mut out),
                Verdict::Allow { updated_input } if !question => self.allow(request, updated_input.as_ref(), &mut out),
                Verdict::Allow { .. } => self.ask(request, String::new(), &mut out),
                Verdict::Person { reason } => self.ask(request, reason, &mut out),
            }
        }
        self.settle(&mut out);
        out
    }

    /// A person has decided about a request; none: not in time.
    pub fn decided(&mut self, request: &str, decision: Option<Decision>) -> Vec<Output> {
        let mut out = Vec::new();
        if let Some(pending) = self.requests.calls.get_mut(request) {
            let question = pending.call.tool == QUESTION;
            match decision {
                Some(Decision::Deny { reason, interrupt }) => self.deny(request, &reason, interrupt, &mut out),
                Some(Decision::Answers(answers)) if question => {
                    let mut input = pending.call.input.clone();
                    if !input.is_object() {
                        input = json!({});
                    }
                    input["answers"] = json!(answers);
                    self.allow(request, Some(&input), &mut out);
                }
                Some(Decision::Allow { updated_input: Some(input) }) => self.allow(request, Some(&input), &mut out),
                Some(Decision::Allow { .. }) if !question => self.allow(request, None, &mut out),
                Some(Decision::Allow { .. } | Decision::Answers(_)) => {
                    self.deny(request, "No answer was given that fits this call.", false, &mut out);
                }
                Some(Decision::Defer) | None => {
                    pending.parked = true;
                    self.release(&mut out);
                }
            }
        }
        self.settle(&mut out);
        out
    }

    /// A tool of the host has come back.
    pub fn called(&mut self, request: &str, outcome: Result<String, String>) -> Vec<Output> {
        let mut out = Vec::new();
        let Some(id) = self.requests.own.get(request).map(|own| own.call.tool_use_id.clone()) else { return out };
        let same: Vec<_> = self
            .requests
            .own
            .iter()
            .filter(|(_, own)| own.call.tool_use_id == id)
            .map(|(request, own)| (request.clone(), own.rpc.clone()))
            .collect();
        for (request, rpc) in same {
            self.requests.own.remove(&request);
            let line = wire::mcp_answer(&request, &mcp::called(&rpc, &outcome));
            self.send(answer_key(&request), &line, &mut out);
        }
        self.requests.own_results.insert(id, outcome);
        self.settle(&mut out);
        out
    }

    pub(super) fn request(&mut self, id: String, request: ControlRequest, out: &mut Vec<Output>) {
        // One id has one answer, so whatever else comes under it means nothing.
        if self.requests.is_open(&id) {
            return;
        }
        match request {
            ControlRequest::PreToolUse { tool, input, call, subagent } => {
                self.pre_tool_use(id, Via::Hook, (tool, input, call, subagent), out);
            }
            ControlRequest::CanUseTool { tool, input, call, subagent } => {
                self.pre_tool_use(id, Via::Prompt, (tool, input, call, subagent), out);
            }
            ControlRequest::Mcp { server, message } => self.mcp(id, &server, &message, out),
            ControlRequest::Other { subtype } => {
                let line = wire::unsupported(&id, &subtype);
                self.send(answer_key(&id), &line, out);
            }
        }
    }

    fn pre_tool_use(
        &mut self,
        id: String,
        via: Via,
        (tool, input, tool_use_id, subagent): (String, Value, String, bool),
        out: &mut Vec<Output>,
    ) {
        if let Some(line) = self.sent.get(&answer_key(&id)) {
            // An earlier life answered: what it said matters for the outcome.
            if let Some(reason) = denial_in(line) {
                self.evidence.denied_by_host.insert(tool_use_id, reason);
            } else if line.contains("\"permissionDecision\":\"allow\"") {
                self.requests.allowed.insert(tool_use_id);
            }
            return;
        }
        let resumed = !subagent && self.messages.alone(&tool_use_id) == Alone::Foreign;
        let call = Call { tool, input, tool_use_id, subagent, resumed };
        let agreed = via == Via::Prompt && self.requests.allowed.contains(&call.tool_use_id);
        self.requests.calls.insert(id.clone(), Pending { call: call.clone(), via, parked: false, asked: false });
        if agreed {
            self.allow(&id, None, out);
        } else if self.live {
            out.push(Output::Judge { request: id, call });
        }
    }

    fn mcp(&mut self, id: String, server: &str, message: &Value, out: &mut Vec<Output>) {
        if server != mcp::SERVER {
            let line = wire::unsupported(&id, &format!("mcp_message to {server}"));
            return self.send(answer_key(&id), &line, out);
        }
        match mcp::react(message, &self.turn.tools) {
            Reaction::Answer(answer) => {
                let line = wire::mcp_answer(&id, &answer);
                self.send(answer_key(&id), &line, out);
            }
            Reaction::Call { .. } if self.sent.contains_key(&answer_key(&id)) => {}
            Reaction::Call { id: rpc, name, arguments, tool_use_id } => {
                let tool_use_id = tool_use_id.unwrap_or_else(|| id.clone());
                if let Some(outcome) = self.requests.own_results.get(&tool_use_id) {
                    let line = wire::mcp_answer(&id, &mcp::called(&rpc, outcome));
                    return self.send(answer_key(&id), &line, out);
                }
                let known = self.requests.own.values().any(|own| own.call.tool_use_id == tool_use_id);
                let call = OwnCall { name, input: arguments, tool_use_id };
                self.requests.own.insert(id.clone(), Own { rpc, call: call.clone() });
                if self.live && !known {
                    out.push(Output::Call { request: id, call });
                }
            }
        }
    }

    /// Brings up everything that is unanswered, after a replay.
    pub(super) fn reopen(&mut self, out: &mut Vec<Output>) {
        for (request, pending) in &self.requests.calls {
            out.push(Output::Judge { request: request.clone(), call: pending.call.clone() });
        }
        let mut asked = BTreeSet::new();
        for (request, own) in &self.requests.own {
            if asked.insert(own.call.tool_use_id.clone()) {
                out.push(Output::Call { request: request.clone(), call: own.call.clone() });
            }
        }
    }

    /// Decides about calls that nobody decided on, as far as it is known whether they are alone.
    pub(super) fn release(&mut self, out: &mut Vec<Output>) {
        let parked: Vec<_> =
            self.requests.calls.iter().filter(|(_, pending)| pending.parked).map(|(id, _)| id.clone()).collect();
        for id in parked {
            let Some(pending) = self.requests.calls.get(&id) else { continue };
            let call = pending.call.clone();
            let alone = if call.subagent { Alone::No } else { self.messages.alone(&call.tool_use_id) };
            match (pending.via, alone) {
                (Via::Hook, Alone::NotYet) => {}
                (Via::Hook, Alone::Yes | Alone::Foreign) => {
                    self.requests.calls.remove(&id);
                    self.send(answer_key(&id), &wire::hook_defer(&id), out);
                }
                (Via::Hook, Alone::No) => {
                    let (reason, why) =
                        if call.subagent { (NOBODY, Withdrawn::Over) } else { (REPEAT_ALONE, Withdrawn::ToBeRepeated) };
                    out.push(Output::Cancel { request: id.clone(), tool_use_id: call.tool_use_id, why });
                    self.deny(&id, reason, false, out);
                }
                // A prompt knows no `defer`. A resumed call stays in the conversation when the process is killed.
                (Via::Prompt, Alone::Foreign) => {
                    self.requests.calls.remove(&id);
                    self.evidence.put_off =
                        Some(DeferredCall { tool_use_id: call.tool_use_id, tool: call.tool, input: call.input });
                }
                (Via::Prompt, _) => {
                    let why = Withdrawn::Over;
                    out.push(Output::Cancel { request: id.clone(), tool_use_id: call.tool_use_id, why });
                    self.deny(&id, NOBODY, false, out);
                }
            }
        }
    }

    pub(super) fn cancel(&mut self, id: &str, out: &mut Vec<Output>) {
        if let Some(pending) = self.requests.calls.remove(id) {
            let (request, why) = (id.to_owned(), Withdrawn::Over);
            out.push(Output::Cancel { request, tool_use_id: pending.call.tool_use_id, why });
        }
        if let Some(own) = self.requests.own.remove(id) {
            let (request, why) = (id.to_owned(), Withdrawn::Over);
            out.push(Output::Cancel { request, tool_use_id: own.call.tool_use_id, why });
        }
    }

    pub(super) fn cancel_all(&mut self, out: &mut Vec<Output>) {
        let open: Vec<_> = self.requests.calls.keys().chain(self.requests.own.keys()).cloned().collect();
        for id in open {
            self.cancel(&id, out);
        }
    }

    fn ask(&mut self, request: &str, reason: String, out: &mut Vec<Output>) {
        let Some(pending) = self.requests.calls.get_mut(request) else { return };
        let Call { tool, input, tool_use_id, resumed, .. } = pending.call.clone();
        let kind = if tool == QUESTION {
            let questions = questions(&input);
            if questions.is_empty() {
                return self.deny(request, "The call has no questions: give at least one.", false, out);
            }
            RequestKind::Question { questions, tool_use_id: tool_use_id.clone() }
        } else {
            RequestKind::Permission { tool: tool.clone(), input, reason, tool_use_id: tool_use_id.clone() }
        };
        if !std::mem::replace(&mut pending.asked, true) {
            let ask = PersonRequest { kind, tool, tool_use_id, resumed };
            out.push(Output::Ask { request: request.to_owned(), ask });
        }
    }

    fn allow(&mut self, request: &str, updated_input: Option<&Value>, out: &mut Vec<Output>) {
        let Some(pending) = self.requests.calls.remove(request) else { return };
        let line = match pending.via {
            Via::Hook => {
                self.requests.allowed.insert(pending.call.tool_use_id);
                wire::hook_allow(request, updated_input)
            }
            Via::Prompt => wire::permission_allow(request, updated_input.unwrap_or(&pending.call.input)),
        };
        self.send(answer_key(request), &line, out);
    }

    fn deny(&mut self, request: &str, reason: &str, interrupt: bool, out: &mut Vec<Output>) {
        let Some(pending) = self.requests.calls.remove(request) else { return };
        self.evidence.denied_by_host.insert(pending.call.tool_use_id, reason.to_owned());
        let line = match pending.via {
            Via::Hook => wire::hook_deny(request, reason),
            Via::Prompt => wire::permission_deny(request, reason, interrupt),
        };
        self.send(answer_key(request), &line, out);
        // A callback cannot interrupt by its answer.
        if interrupt && pending.via == Via::Hook {
            out.extend(self.interrupt());
        }
    }
}

fn answer_key(request: &str) -> String {
    format!("answer:{request}")
}

/// The reason, if this line of ours denied a call.
fn denial_in(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let response = &line["response"]["response"];
    let hook = &response["hookSpecificOutput"];
    let reason = if hook["permissionDecision"] == "deny" {
        &hook["permissionDecisionReason"]
    } else if response["behavior"] == "deny" {
        &response["message"]
    } else {
        return None;
    };
    Some(reason.as_str().unwrap_or_default().to_owned())
}

fn questions(input: &Value) -> Vec<Question> {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    list(&input["questions"])
        .iter()
        .map(|question| Question {
            question: text(question, "question"),
            header: text(question, "header"),
            options: list(&question["options"])
                .iter()
                .map(|option| Choice { label: text(option, "label"), description: text(option, "description") })
                .collect(),
            multi_select: question["multiSelect"] == true,
        })
        .filter(|question| !question.question.trim().is_empty())
        .collect()
}
