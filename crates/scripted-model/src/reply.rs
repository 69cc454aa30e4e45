//! Turning a picked turn into bytes, as the Messages API would send them
//! (<https://docs.anthropic.com/en/docs/build-with-claude/streaming>).

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fault::{CutKind, MalformedKind, error_type};
use crate::format::{Item, TokenCounts, Tool};
use crate::request::Request;
use crate::template::{Template, Unset, render_value};
use crate::walk::Picked;

/// A response, as a list of things to do.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    Send(Bytes),
    Sleep(Duration),
    /// Wait until the test releases this name.
    Hold(String),
    /// Break the connection. Without it the body ends cleanly after the last step.
    Reset,
}

#[derive(Debug)]
enum Block {
    Think(String),
    Say(String),
    Tool { id: String, name: String, input: Value },
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            steps: vec![Step::Send(body.to_string().into())],
        }
    }

    pub(crate) fn error(status: u16, kind: Option<&str>, message: &str, request_id: &str) -> Self {
        Self::json(status, &error_body(status, kind, message, Some(request_id)))
    }

    /// `now` is seconds since 1970, from which a limit's end is told.
    pub(crate) fn from_turn(
        picked: &Picked<'_>,
        request: &Request,
        defaults: TokenCounts,
        request_id: &str,
        now: u64,
    ) -> Result<Self, Unset> {
        let turn = picked.turn;
        let faulty = !picked.fault_over;
        let delay = turn.delay.map(|span| Step::Sleep(span.0));

        let early_error = turn.error.as_ref().filter(|failure| faulty && failure.after_blocks.is_none());
        let mut reply = if let Some(failure) = early_error {
            let message = failure.message.as_deref().unwrap_or("a scripted failure");
            Self::error(failure.status, failure.kind.as_deref(), message, request_id)
        } else if let Some(limit) = turn.limit.as_ref().filter(|_| faulty) {
            let message = limit.message.as_deref().unwrap_or("This request would exceed your account's rate limit.");
            let mut reply = Self::error(429, None, message, request_id);
            let seconds = limit.resets_in.0.as_secs();
            reply.headers.extend([
                ("retry-after", seconds.to_string()),
                ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
                ("anthropic-ratelimit-unified-reset", (now + seconds).to_string()),
                ("anthropic-ratelimit-unified-representative-claim", "five_hour".to_owned()),
            ]);
            reply
        } else if faulty && turn.malformed.as_ref().is_some_and(|m| matches!(m.kind, MalformedKind::Html)) {
            let page = format!("<html><body>gateway page, line {} of the script</body></html>", picked.line);
            Self {
                status: 200,
                headers: vec![("content-type", "text/html".to_owned())],
                steps: vec![Step::Send(page.into())],
            }
        } else {
            let message = Message::new(picked, request, defaults)?;
            if request.stream { message.streamed(turn, faulty) } else { message.whole(turn, faulty) }
        };
        reply.steps.splice(0..0, delay);
        Ok(reply)
    }

    /// A short text without any script.
    pub(crate) fn plain_text(text: &str, request: &Request, seed: &str) -> Self {
        let message = Message {
            id: made_id("msg_01", seed),
            model: request.model.clone(),
            blocks: vec![Block::Say(text.to_owned())],
            stop_reason: "end_turn".to_owned(),
            usage: Usage { input: estimate(request.size), output: estimate(text.len()), cache_read: 0, cache_write: 0 },
        };
        let turn = Pacing { chunk: None, pace: None };
        if request.stream {
            Self { status: 200, headers: event_stream(), steps: message.events(&turn).into_iter().flatten().collect() }
        } else {
            Self::json(200, &message.body())
        }
    }
}

/// The body of an API error.
pub(crate) fn error_body(status: u16, kind: Option<&str>, message: &str, request_id: Option<&str>) -> Value {
    json!({
        "type": "error",
        "error": { "type": kind.unwrap_or_else(|| error_type(status)), "message": message },
        "request_id": request_id,
    })
}

/// Tokens of a text, at the usual four bytes each. Only its order of magnitude matters here.
pub(crate) fn estimate(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4).max(1)
}

/// An id in the vendor's form that is the same whenever `seed` is.
pub(crate) fn made_id(prefix: &str, seed: &str) -> String {
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, seed.as_bytes()).simple().to_string();
    format!("{prefix}{}", &hash[..22])
}

struct Message {
    id: String,
    model: String,
    blocks: Vec<Block>,
    stop_reason: String,
    usage: Usage,
}

struct Usage {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
}

struct Pacing {
    chunk: Option<usize>,
    pace: Option<Duration>,
}

impl Message {
    fn new(picked: &Picked<'_>, request: &Request, defaults: TokenCounts) -> Result<Self, Unset> {
        let turn = picked.turn;
        let seed = format!(
            "{}/{}/{}/{}",
            request.session,
            picked.conversation.name,
            request.messages.len(),
            picked.variables["prompt"]
        );
        let mut blocks = Vec::new();
        let think = |template: &Template| template.render(&picked.variables).map(Block::Think);
        let say = |template: &Template| -> Result<Block, Unset> {
            let text = template.render(&picked.variables)?;
            Ok(Block::Say(text.repeat(turn.repeat.unwrap_or(1))))
        };
        let tool = |tool: &Tool, index: usize| -> Result<Block, Unset> {
            let id = made_id("toolu_01", &format!("{seed}/{index}"));
            Ok(Block::Tool { id, name: tool.name.clone(), input: render_value(&tool.input, &picked.variables)? })
        };
        blocks.extend(turn.think.as_ref().map(think).transpose()?);
        blocks.extend(turn.say.as_ref().map(say).transpose()?);
        for wanted in turn.tool.iter().chain(&turn.tools) {
            blocks.push(tool(wanted, blocks.len())?);
        }
        for block in turn.blocks.iter().map(|block| &block.value) {
            blocks.extend(block.think.as_ref().map(think).transpose()?);
            blocks.extend(block.say.as_ref().map(say).transpose()?);
            let call = block.tool.as_ref().map(|wanted| tool(wanted, blocks.len()));
            blocks.extend(call.transpose()?);
        }

        let calls_tools = blocks.iter().any(|block| matches!(block, Block::Tool { .. }));
        let default_reason = if calls_tools { "tool_use" } else { "end_turn" };
        let counts = turn.usage.unwrap_or_default().or(defaults);
        let usage = Usage {
            input: counts.input.unwrap_or_else(|| estimate(request.size)),
            output: counts.output.unwrap_or_else(|| estimate(blocks.iter().map(Block::size).sum())),
            cache_read: counts.cache_read.unwrap_or(0),
            cache_write: counts.cache_write.unwrap_or(0),
        };
        Ok(Self {
            id: made_id("msg_01", &seed),
            model: request.model.clone(),
            blocks,
            stop_reason: turn.stop_reason.clone().unwrap_or_else(|| default_reason.to_owned()),
            usage,
        })
    }

    fn whole(&self, turn: &Item, faulty: bool) -> Reply {
        let mut reply = Reply::json(200, &self.body());
        if faulty && (turn.cut.is_some() || turn.malformed.is_some()) {
            let body = self.body().to_string();
            let mut half = body.len() / 2;
            while !body.is_char_boundary(half) {
                half -= 1;
            }
            reply.steps = vec![Step::Send(body[..half].to_owned().into())];
            if turn.cut.as_ref().is_some_and(|cut| matches!(cut.how, CutKind::Reset)) {
                reply.steps.push(Step::Reset);
            }
        } else if let Some(failure) = turn.error.as_ref().filter(|_| faulty) {
            let message = failure.message.as_deref().unwrap_or("a scripted failure");
            return Reply::json(failure.status, &error_body(failure.status, failure.kind.as_deref(), message, None));
        }
        reply.steps.splice(0..0, pauses(turn, faulty).map(|(_, step)| step));
        reply
    }

    fn streamed(&self, turn: &Item, faulty: bool) -> Reply {
        let pacing = Pacing { chunk: turn.chunk, pace: turn.pace.map(|span| span.0) };
        let mut groups = self.events(&pacing);
        // Group 0 is the start, group n block n, the last one the end: "after n blocks" is the end of group n.
        let end_of = |after_blocks: usize| after_blocks.min(self.blocks.len());
        for (after, step) in pauses(turn, faulty) {
            groups[end_of(after)].push(step);
        }
        if faulty {
            if let Some(failure) = &turn.error {
                let last = end_of(failure.after_blocks.unwrap_or(0));
                groups.truncate(last + 1);
                let message = failure.message.as_deref().unwrap_or("a scripted failure");
                groups.push(vec![event(&error_body(failure.status, failure.kind.as_deref(), message, None))]);
            }
            if let Some(cut) = &turn.cut {
                groups.truncate(end_of(cut.after_blocks) + 1);
                if matches!(cut.how, CutKind::Reset) {
                    groups.push(vec![Step::Reset]);
                }
            }
            if let Some(malformed) = &turn.malformed {
                let last = end_of(malformed.after_blocks);
                if matches!(malformed.kind, MalformedKind::UnknownEvent) {
                    groups[last].push(event(&json!({ "type": "event_from_the_future", "of": [1, 2] })));
                } else {
                    groups.truncate(last + 1);
                    let broken =
                        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"del\n\n";
                    groups.push(vec![Step::Send(Bytes::from_static(broken.as_bytes()))]);
                }
            }
        }
        Reply { status: 200, headers: event_stream(), steps: groups.into_iter().flatten().collect() }
    }

    fn events(&self, pacing: &Pacing) -> Vec<Vec<Step>> {
        let mut start = self.body();
        start["content"] = json!([]);
        start["stop_reason"] = Value::Null;
        start["usage"]["output_tokens"] = json!(1);
        let mut groups =
            vec![vec![event(&json!({ "type": "message_start", "message": start })), event(&json!({ "type": "ping" }))]];
        groups.extend(self.blocks.iter().enumerate().map(|(index, block)| block.events(index, pacing)));
        groups.push(vec![
            event(&json!({
                "type": "message_delta",
                "delta": { "stop_reason": self.stop_reason, "stop_sequence": null },
                "usage": self.usage.body(),
            })),
            event(&json!({ "type": "message_stop" })),
        ]);
        groups
    }

    fn body(&self) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": self.blocks.iter().map(Block::body).collect::<Vec<_>>(),
            "stop_reason": self.stop_reason,
            "stop_sequence": null,
            "usage": self.usage.body(),
        })
    }
}

impl Usage {
    fn body(&self) -> Value {
        json!({
            "input_tokens": self.input,
            "cache_creation_input_tokens": self.cache_write,
            "cache_read_input_tokens": self.cache_read,
            "output_tokens": self.output,
            "service_tier": "standard",
        })
    }
}

impl Block {
    fn size(&self) -> usize {
        match self {
            Self::Think(text) | Self::Say(text) => text.len(),
            Self::Tool { input, .. } => input.to_string().len(),
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::Think(text) => json!({ "type": "thinking", "thinking": text, "signature": signature(text) }),
            Self::Say(text) => json!({ "type": "text", "text": text }),
            Self::Tool { id, name, input } => json!({ "type": "tool_use", "id": id, "name": name, "input": input }),
        }
    }

    fn events(&self, index: usize, pacing: &Pacing) -> Vec<Step> {
        let (empty, field, kind, text) = match self {
            Self::Think(text) => (
                json!({ "type": "thinking", "thinking": "", "signature": "" }),
                "thinking",
                "thinking_delta",
                text.clone(),
            ),
            Self::Say(text) => (json!({ "type": "text", "text": "" }), "text", "text_delta", text.clone()),
            Self::Tool { id, name, input } => {
                let empty = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                (empty, "partial_json", "input_json_delta", input.to_string())
            }
        };
        let delta = |delta: Value| event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }));
        let mut steps = vec![event(&json!({ "type": "content_block_start", "index": index, "content_block": empty }))];
        if matches!(self, Self::Tool { .. }) {
            steps.push(delta(json!({ "type": kind, field: "" })));
        }
        for piece in pieces(&text, pacing.chunk) {
            steps.extend(pacing.pace.map(Step::Sleep));
            steps.push(delta(json!({ "type": kind, field: piece })));
        }
        if let Self::Think(text) = self {
            steps.push(delta(json!({ "type": "signature_delta", "signature": signature(text) })));
        }
        steps.push(event(&json!({ "type": "content_block_stop", "index": index })));
        steps
    }
}

fn pauses(turn: &Item, faulty: bool) -> impl Iterator<Item = (usize, Step)> {
    let stall =
        turn.stall.iter().filter(move |_| faulty).map(|stall| (stall.after_blocks, Step::Sleep(stall.length.0)));
    stall.chain(turn.hold.iter().map(|hold| (hold.after_blocks, Step::Hold(hold.until.clone()))))
}

/// Cuts text into deltas of `chunk` characters; long text gets longer deltas so that there are never thousands.
fn pieces(text: &str, chunk: Option<usize>) -> Vec<String> {
    const USUAL: usize = 24;
    const MOST_DELTAS: usize = 400;
    let characters: Vec<char> = text.chars().collect();
    let size = chunk.unwrap_or_else(|| USUAL.max(characters.len().div_ceil(MOST_DELTAS)));
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}

fn signature(text: &str) -> String {
    made_id("scripted", text)
}

fn event(data: &Value) -> Step {
    let name = data["type"].as_str().unwrap_or_default();
    Step::Send(format!("event: {name}\ndata: {data}\n\n").into())
}

fn event_stream() -> Vec<(&'static str, String)> {
    vec![("content-type", "text/event-stream; charset=utf-8".to_owned()), ("cache-control", "no-cache".to_owned())]
}
