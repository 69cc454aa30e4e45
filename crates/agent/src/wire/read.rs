use serde_json::Value;

/// A line of the agent. Wrong types are absent fields: one odd field never costs the rest of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    Init(Init),
    Assistant {
        message: String,
        block: Block,
        parent: Option<String>,
        error: Option<String>,
        synthetic: bool,
    },
    ToolResults {
        results: Vec<ToolResult>,
        parent: Option<String>,
    },
    Replayed {
        uuid: String,
    },
    Stream {
        event: StreamEvent,
        parent: Option<String>,
    },
    Retry(Retry),
    Denied {
        call: String,
        tool: String,
        reason: String,
    },
    Task(Task),
    Compacted,
    RateLimit {
        status: String,
        kind: String,
        resets_at: Option<i64>,
    },
    Request {
        id: String,
        request: ControlRequest,
    },
    Response {
        id: String,
        error: Option<String>,
    },
    Cancelled {
        id: String,
    },
    Result(Box<TurnResult>),
    /// Known and of no interest, or from a newer version.
    Other,
    /// Not a JSON object.
    Malformed,
}

impl Line {
    /// Whether something of it is remembered until the agent ends.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Request { .. } | Self::Result(_) | Self::Task(_) | Self::Denied { .. } => true,
            Self::Assistant { block, .. } => matches!(block, Block::ToolUse { .. }),
            Self::Stream { event, .. } => {
                matches!(event, StreamEvent::MessageStart { .. } | StreamEvent::BlockStart { .. })
            }
            _ => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Init {
    pub(crate) session: String,
    pub(crate) version: String,
    pub(crate) model: String,
    pub(crate) tools: Vec<String>,
    /// Name and status of each tool server.
    pub(crate) servers: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    Text(String),
    Thinking(String),
    ToolUse { id: String, name: String, input: Value },
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToolResult {
    pub(crate) call: String,
    pub(crate) ok: bool,
    pub(crate) output: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StreamEvent {
    MessageStart { message: String, usage: Tokens },
    BlockStart { index: u64, tool_use: Option<String> },
    Text { index: u64, text: String },
    Thinking { index: u64, text: String },
    BlockStop,
    MessageDelta { output: Option<i64> },
    MessageStop,
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: i64,
    pub(crate) output: i64,
    pub(crate) cache_read: i64,
    pub(crate) cache_write: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Retry {
    pub(crate) attempt: u64,
    pub(crate) max: u64,
    pub(crate) delay_ms: u64,
    pub(crate) status: Option<u64>,
    pub(crate) error: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Task {
    Started { id: String, kind: String, description: String },
    Updated { id: String, status: Option<String> },
    Notified { id: String, status: String, summary: String },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ControlRequest {
    CanUseTool {
        tool: String,
        input: Value,
        call: String,
        subagent: bool,
    },
    PreToolUse {
        tool: String,
        input: Value,
        call: String,
        subagent: bool,
    },
    Mcp {
        server: String,
        message: Value,
    },
    /// A hook that was never registered, or something newer.
    Other {
        subtype: String,
    },
}

/// A `result` line.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TurnResult {
    pub(crate) subtype: String,
    pub(crate) is_error: bool,
    pub(crate) api_error_status: Option<u64>,
    pub(crate) text: String,
    pub(crate) errors: Vec<String>,
    pub(crate) stop_reason: Option<String>,
    pub(crate) terminal_reason: Option<String>,
    pub(crate) total_cost_usd: f64,
    /// Running totals of this process.
    pub(crate) totals: Tokens,
    pub(crate) denials: Vec<(String, String, Value)>,
    pub(crate) structured_output: Option<Value>,
    pub(crate) deferred: Option<(String, String, Value)>,
}

/// Reads one line, whatever it is.
pub(crate) fn parse(line: &[u8]) -> Line {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    if text.is_empty() {
        return Line::Other;
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => object(&value),
        _ => Line::Malformed,
    }
}

fn object(line: &Value) -> Line {
    let parent = opt(line, "parent_tool_use_id");
    match str(line, "type") {
        "system" => system(line),
        "assistant" => Line::Assistant {
            message: text(&line["message"], "id"),
            block: block(&line["message"]["content"][0]),
            parent,
            error: opt(line, "error"),
            synthetic: str(&line["message"], "model") == "<synthetic>",
        },
        "user" if line["isReplay"] == true => Line::Replayed { uuid: text(line, "uuid") },
        "user" => Line::ToolResults {
            results: items(&line["message"]["content"])
                .filter(|block| str(block, "type") == "tool_result")
                .map(|block| ToolResult {
                    call: text(block, "tool_use_id"),
                    ok: block["is_error"] != true,
                    output: content(&block["content"]),
                })
                .collect(),
            parent,
        },
        "stream_event" => Line::Stream { event: stream_event(&line["event"]), parent },
        "rate_limit_event" => {
            let info = &line["rate_limit_info"];
            Line::RateLimit {
                status: text(info, "status"),
                kind: text(info, "rateLimitType"),
                resets_at: info["resetsAt"].as_i64(),
            }
        }
        "control_request" => Line::Request { id: text(line, "request_id"), request: control(&line["request"]) },
        "control_response" => {
            let response = &line["response"];
            let error = (str(response, "subtype") == "error").then(|| text(response, "error"));
            Line::Response { id: text(response, "request_id"), error }
        }
        "control_cancel_request" => Line::Cancelled { id: text(line, "request_id") },
        "result" => Line::Result(Box::new(result(line))),
        _ => Line::Other,
    }
}

fn system(line: &Value) -> Line {
    let id = || text(line, "task_id");
    match str(line, "subtype") {
        "init" => Line::Init(Init {
            session: text(line, "session_id"),
            version: text(line, "claude_code_version"),
            model: text(line, "model"),
            tools: items(&line["tools"]).filter_map(Value::as_str).map(str::to_owned).collect(),
            servers: items(&line["mcp_servers"]).map(|server| (text(server, "name"), text(server, "status"))).collect(),
        }),
        "api_retry" => Line::Retry(Retry {
            attempt: number(line, "attempt"),
            max: number(line, "max_retries"),
            delay_ms: milliseconds(&line["retry_delay_ms"]),
            status: line["error_status"].as_u64(),
            error: text(line, "error"),
        }),
        "permission_denied" => Line::Denied {
            call: text(line, "tool_use_id"),
            tool: text(line, "tool_name"),
            reason: text(line, "message"),
        },
        "task_started" => Line::Task(Task::Started {
            id: id(),
            kind: text(line, "task_type"),
            description: text(line, "description"),
        }),
        "task_updated" => Line::Task(Task::Updated { id: id(), status: opt(&line["patch"], "status") }),
        "task_notification" => {
            Line::Task(Task::Notified { id: id(), status: text(line, "status"), summary: text(line, "summary") })
        }
        "compact_boundary" => Line::Compacted,
        _ => Line::Other,
    }
}

fn block(block: &Value) -> Block {
    match str(block, "type") {
        "text" => Block::Text(text(block, "text")),
        "thinking" => Block::Thinking(text(block, "thinking")),
        "tool_use" => {
            Block::ToolUse { id: text(block, "id"), name: text(block, "name"), input: block["input"].clone() }
        }
        _ => Block::Other,
    }
}

fn stream_event(event: &Value) -> StreamEvent {
    let index = number(event, "index");
    match str(event, "type") {
        "message_start" => StreamEvent::MessageStart {
            message: text(&event["message"], "id"),
            usage: tokens(&event["message"]["usage"]),
        },
        "content_block_start" => {
            let block = &event["content_block"];
            StreamEvent::BlockStart { index, tool_use: opt(block, "id").filter(|_| str(block, "type") == "tool_use") }
        }
        "content_block_delta" => match str(&event["delta"], "type") {
            "text_delta" => StreamEvent::Text { index, text: text(&event["delta"], "text") },
            "thinking_delta" => StreamEvent::Thinking { index, text: text(&event["delta"], "thinking") },
            _ => StreamEvent::Other,
        },
        "content_block_stop" => StreamEvent::BlockStop,
        "message_delta" => {
            StreamEvent::MessageDelta { output: event["usage"]["output_tokens"].as_i64().map(|count| count.max(0)) }
        }
        "message_stop" => StreamEvent::MessageStop,
        _ => StreamEvent::Other,
    }
}

fn control(request: &Value) -> ControlRequest {
    match str(request, "subtype") {
        "can_use_tool" => ControlRequest::CanUseTool {
            tool: text(request, "tool_name"),
            input: request["input"].clone(),
            call: text(request, "tool_use_id"),
            subagent: request["agent_id"].is_string(),
        },
        "hook_callback" if str(&request["input"], "hook_event_name") == "PreToolUse" => {
            let input = &request["input"];
            ControlRequest::PreToolUse {
                tool: text(input, "tool_name"),
                input: input["tool_input"].clone(),
                call: opt(input, "tool_use_id").unwrap_or_else(|| text(request, "tool_use_id")),
                subagent: input["agent_id"].is_string(),
            }
        }
        "mcp_message" => {
            ControlRequest::Mcp { server: text(request, "server_name"), message: request["message"].clone() }
        }
        subtype => ControlRequest::Other { subtype: subtype.to_owned() },
    }
}

fn result(line: &Value) -> TurnResult {
    let models = line["modelUsage"].as_object().into_iter().flatten().map(|(_, usage)| usage);
    let mut totals = Tokens::default();
    for usage in models {
        let count = |name: &str| usage[name].as_i64().unwrap_or(0).max(0);
        totals.input = totals.input.saturating_add(count("inputTokens"));
        totals.output = totals.output.saturating_add(count("outputTokens"));
        totals.cache_read = totals.cache_read.saturating_add(count("cacheReadInputTokens"));
        totals.cache_write = totals.cache_write.saturating_add(count("cacheCreationInputTokens"));
    }
    let deferred = &line["deferred_tool_use"];
    TurnResult {
        subtype: text(line, "subtype"),
        is_error: line["is_error"] == true,
        api_error_status: line["api_error_status"].as_u64(),
        text: text(line, "result"),
        errors: items(&line["errors"]).filter_map(Value::as_str).map(str::to_owned).collect(),
        stop_reason: opt(line, "stop_reason"),
        terminal_reason: opt(line, "terminal_reason"),
        total_cost_usd: line["total_cost_usd"].as_f64().unwrap_or(0.0),
        totals,
        denials: items(&line["permission_denials"])
            .map(|denial| (text(denial, "tool_use_id"), text(denial, "tool_name"), denial["tool_input"].clone()))
            .collect(),
        structured_output: line.get("structured_output").filter(|value| !value.is_null()).cloned(),
        deferred: deferred
            .is_object()
            .then(|| (text(deferred, "id"), text(deferred, "name"), deferred["input"].clone())),
    }
}

fn tokens(usage: &Value) -> Tokens {
    let count = |name: &str| usage[name].as_i64().unwrap_or(0).max(0);
    Tokens {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
    }
}

/// A tool result's content: a text, or blocks of which the texts count.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<_> = blocks
                .iter()
                .map(|block| match str(block, "type") {
                    "text" => text(block, "text"),
                    other => format!("({other})"),
                })
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn str<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    str(value, name).to_owned()
}

fn opt(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn milliseconds(value: &Value) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a delay; `as` saturates")]
    value.as_f64().map_or(0, |delay| delay.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lines_cost_nothing_but_themselves() {
        assert_eq!(parse(b""), Line::Other);
        assert_eq!(parse(b"  \r\n"), Line::Other);
        assert_eq!(parse(b"not json"), Line::Malformed);
        assert_eq!(parse(b"[1]"), Line::Malformed);
        assert_eq!(parse(b"{\"type\":\"from_the_future\"}"), Line::Other);
        assert_eq!(parse(b"{\"type\":\"system\",\"subtype\":\"new\"}"), Line::Other);
        assert_eq!(parse(b"{\"type\":7}"), Line::Other);
        let Line::Result(result) = parse(br#"{"type":"result","is_error":"yes","num_turns":"x","modelUsage":[1]}"#)
        else {
            panic!("not a result")
        };
        assert_eq!(*result, TurnResult::default());
        let Line::Assistant { block, .. } =
            parse(b"{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"\xff!\"}]}}\r\n")
        else {
            panic!("not a message")
        };
        assert_eq!(block, Block::Text("\u{fffd}!".to_owned()));
    }
}
