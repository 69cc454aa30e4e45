//! Finding the turn that answers a request.
//!
//! The walk goes through a conversation's turns as often as the history has assistant messages since the prompt, deciding
//! every `if` on the history of *that* moment. The same history therefore always leads to the same turn.

use std::collections::HashMap;

use serde_saphyr::Spanned;

use crate::format::{Condition, Conversation, Item};
use crate::request::{Message, Prompt, Request, Role, ToolResult};
use crate::script::{Script, line};
use crate::template::Variables;

/// How often a fault was served, by session, conversation, place of the prompt and line and column of the turn.
pub(crate) type Attempts = HashMap<(String, String, usize, (u64, u64)), u32>;

/// The turn that answers.
#[derive(Debug)]
pub(crate) struct Picked<'a> {
    pub(crate) conversation: &'a Conversation,
    pub(crate) turn: &'a Item,
    pub(crate) line: u64,
    /// Number of assistant messages since the prompt.
    pub(crate) position: usize,
    /// Times this turn's fault was served before.
    pub(crate) attempt: u32,
    /// The fault of this turn is used up: serve its answer.
    pub(crate) fault_over: bool,
    pub(crate) variables: Variables,
}

/// Finds the answer to `request` and counts the attempt.
pub(crate) fn pick<'a>(script: &'a Script, request: &Request, attempts: &mut Attempts) -> Result<Picked<'a>, String> {
    let (conversation, prompt) = select(script, request).ok_or_else(|| describe_unmatched(request))?;
    let mut variables = Variables::from([
        ("prompt".to_owned(), prompt.text.to_owned()),
        ("session_id".to_owned(), request.session.clone()),
        ("last_tool_result".to_owned(), String::new()),
    ]);
    for (name, pattern) in &conversation.capture {
        variables.extend(pattern.first(prompt.text).map(|value| (name.clone(), value)));
    }

    let mut cursor = Cursor { stack: vec![conversation.turns.as_slice()] };
    let rounds: Vec<&[Message]> =
        request.messages[prompt.message..].split(|message| message.role == Role::Assistant).collect();
    let (present, past) = rounds.split_last().ok_or("the request has no messages")?;
    for round in past {
        let seen = Seen::new(round, &mut variables);
        while let Some(item) = cursor.next(&seen, &mut variables) {
            if item.value.has_answer() {
                break;
            }
        }
    }

    let seen = Seen::new(present, &mut variables);
    while let Some(item) = cursor.next(&seen, &mut variables) {
        let turn = &item.value;
        let place = (line(item), item.defined.column());
        let attempt =
            attempts.entry((request.session.clone(), conversation.name.clone(), prompt.message, place)).or_default();
        let served = *attempt;
        let fault_over = turn.fault_times().is_some_and(|times| served >= times);
        if fault_over && !turn.has_answer() {
            continue;
        }
        *attempt += 1;
        let line = line(item);
        return Ok(Picked { conversation, turn, line, position: past.len(), attempt: served, fault_over, variables });
    }
    Err(format!(
        "conversation `{}` has no turn left for answer number {} to its prompt; the latest prompt is {:?}",
        conversation.name,
        past.len() + 1,
        excerpt(request.prompts().next_back().map_or("", |p| p.text)),
    ))
}

impl Item {
    fn fault_times(&self) -> Option<u32> {
        let times = [
            self.error.as_ref().map(|f| f.times),
            self.limit.as_ref().map(|f| f.times),
            self.cut.as_ref().map(|f| f.times),
            self.malformed.as_ref().map(|f| f.times),
            self.stall.as_ref().map(|f| f.times),
        ];
        times.into_iter().flatten().flatten().max()
    }
}

/// The latest prompt that some conversation wants. A nudge that none wants continues the conversation before it.
fn select<'a, 'r>(script: &'a Script, request: &'r Request) -> Option<(&'a Conversation, Prompt<'r>)> {
    let open: Vec<&Conversation> =
        script.file.conversations.iter().map(|c| &c.value).filter(|c| c.accepts(request)).collect();
    request.prompts().rev().find_map(|prompt| {
        open.iter().find(|conversation| conversation.accepts_prompt(prompt.text)).map(|found| (*found, prompt))
    })
}

impl Conversation {
    fn accepts(&self, request: &Request) -> bool {
        let when = &self.when;
        let auxiliary_fits = match when.auxiliary {
            Some(wanted) => wanted == request.is_auxiliary(),
            None => !request.is_auxiliary() || when.model_contains.is_some(),
        };
        auxiliary_fits
            && when.subagent.is_none_or(|wanted| wanted == request.is_subagent)
            && when.system_contains.as_ref().is_none_or(|part| request.system.contains(part))
            && when.model_contains.as_ref().is_none_or(|part| request.model.contains(part))
            && when.tools_include.iter().all(|tool| request.tools.contains(tool))
            && !when.tools_exclude.iter().any(|tool| request.tools.contains(tool))
    }

    fn accepts_prompt(&self, prompt: &str) -> bool {
        self.when.prompt_contains.as_ref().is_none_or(|part| prompt.contains(part))
            && self.when.prompt_matches.as_ref().is_none_or(|pattern| pattern.0.is_match(prompt))
    }
}

/// What the client sent since the last answer.
struct Seen<'a> {
    messages: &'a [Message],
}

impl<'a> Seen<'a> {
    fn new(messages: &'a [Message], variables: &mut Variables) -> Self {
        let seen = Self { messages };
        if let Some(last) = seen.results().last() {
            variables.insert("last_tool_result".to_owned(), last.text.clone());
        }
        seen
    }

    fn results(&self) -> impl Iterator<Item = &'a ToolResult> {
        self.messages.iter().flat_map(|message| &message.results)
    }

    fn satisfies(&self, condition: &Condition) -> bool {
        let contains = |part: &String| {
            let texts = self.messages.iter().flat_map(|message| &message.texts);
            texts.chain(self.results().map(|result| &result.text)).any(|text| text.contains(part))
        };
        let holds = condition.result_contains.as_ref().is_none_or(|part| self.results().any(|r| r.text.contains(part)))
            && condition.result_matches.as_ref().is_none_or(|p| self.results().any(|r| p.0.is_match(&r.text)))
            && condition.result_is_error.is_none_or(|wanted| wanted == self.results().any(|r| r.is_error))
            && condition.contains.as_ref().is_none_or(contains);
        holds != condition.not
    }
}

struct Cursor<'a> {
    stack: Vec<&'a [Spanned<Item>]>,
}

impl<'a> Cursor<'a> {
    /// The next turn that speaks or fails, with its captures taken.
    fn next(&mut self, seen: &Seen<'_>, variables: &mut Variables) -> Option<&'a Spanned<Item>> {
        loop {
            let Some((item, rest)) = self.stack.last()?.split_first() else {
                self.stack.pop();
                continue;
            };
            let depth = self.stack.len() - 1;
            self.stack[depth] = rest;
            let turn = &item.value;
            let holds = turn.condition.as_ref().is_none_or(|condition| seen.satisfies(condition));
            if holds {
                for (name, pattern) in &turn.capture {
                    let found = seen.results().filter_map(|result| pattern.first(&result.text)).last();
                    variables.extend(found.map(|value| (name.clone(), value)));
                }
            }
            if turn.then.is_some() || turn.otherwise.is_some() {
                self.stack.extend(if holds { turn.then.as_deref() } else { turn.otherwise.as_deref() });
            } else if holds {
                return Some(item);
            }
        }
    }
}

fn describe_unmatched(request: &Request) -> String {
    let prompt = request.prompts().next_back().map_or("", |prompt| prompt.text);
    format!(
        "no conversation of the script fits: prompt {:?}, model {}, {} tools [{}], subagent {}, auxiliary {}, system {:?}",
        excerpt(prompt),
        request.model,
        request.tools.len(),
        request.tools.join(", "),
        request.is_subagent,
        request.is_auxiliary(),
        excerpt(&request.system),
    )
}

fn excerpt(text: &str) -> String {
    const SHOWN: usize = 200;
    if text.chars().count() <= SHOWN {
        text.to_owned()
    } else {
        text.chars().take(SHOWN).chain("…".chars()).collect()
    }
}
