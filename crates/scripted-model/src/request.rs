//! What a script sees of a request.

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

/// A `POST /v1/messages` body, reduced to what decides the answer.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) system: String,
    pub(crate) tools: Vec<String>,
    pub(crate) messages: Vec<Message>,
    pub(crate) max_tokens: u64,
    pub(crate) is_subagent: bool,
    pub(crate) session: String,
    pub(crate) size: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) role: Role,
    /// Text blocks, reminders that the client added included.
    pub(crate) texts: Vec<String>,
    pub(crate) results: Vec<ToolResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
    /// Instructions that Claude Code puts between messages (beta `mid-conversation-system`).
    System,
}

#[derive(Debug, Clone)]
pub(crate) struct ToolResult {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

/// Where in the history a text stands that a person or the host wrote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prompt<'a> {
    pub(crate) message: usize,
    pub(crate) text: &'a str,
}

impl Request {
    pub(crate) fn parse(body: &[u8], headers: &HeaderMap) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(body).map_err(|e| format!("not a Messages API request: {e}"))?;
        let messages = wire.messages.iter().map(Message::from_wire).collect::<Result<Vec<_>, _>>()?;
        let system = texts(&wire.system).join("\n");
        let is_subagent = headers.contains_key("x-claude-code-agent-id") || system.contains("cc_is_subagent=true");
        let session = headers.get("x-claude-code-session-id").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        Ok(Self {
            model: wire.model,
            stream: wire.stream,
            system,
            tools: wire.tools.into_iter().map(|tool| tool.name).collect(),
            messages,
            max_tokens: wire.max_tokens.unwrap_or(u64::MAX),
            is_subagent,
            session,
            size: body.len(),
        })
    }

    /// Side requests of Claude Code (quota check, titles): no tools and a small model or a single token.
    pub(crate) fn is_auxiliary(&self) -> bool {
        self.tools.is_empty() && (self.max_tokens <= 1 || self.model.contains("haiku"))
    }

    /// What was asked, oldest first. Reminders that the client adds are no prompts.
    pub(crate) fn prompts(&self) -> impl DoubleEndedIterator<Item = Prompt<'_>> {
        self.messages.iter().enumerate().filter(|(_, message)| message.role == Role::User).flat_map(
            |(index, message)| {
                message
                    .texts
                    .iter()
                    .map(String::as_str)
                    .filter(|text| !text.trim_start().starts_with("<system-reminder>"))
                    .map(move |text| Prompt { message: index, text })
            },
        )
    }
}

impl Message {
    fn from_wire(wire: &WireMessage) -> Result<Self, String> {
        let role = match wire.role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            other => return Err(format!("messages: unknown role `{other}`")),
        };
        let results = wire.content.as_array().into_iter().flatten().filter(|block| block["type"] == "tool_result");
        let results = results
            .map(|block| ToolResult { text: texts(&block["content"]).join("\n"), is_error: block["is_error"] == true });
        Ok(Self { role, texts: texts(&wire.content), results: results.collect() })
    }
}

fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::String(text) => vec![text.clone()],
        Value::Array(blocks) => blocks
            .iter()
            .filter(|b| b["type"] == "text")
            .filter_map(|b| b["text"].as_str())
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

#[derive(Deserialize)]
struct Wire {
    model: String,
    messages: Vec<WireMessage>,
    #[serde(default)]
    system: Value,
    #[serde(default)]
    tools: Vec<WireTool>,
    #[serde(default)]
    stream: bool,
    max_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct WireMessage {
    role: String,
    content: Value,
}

#[derive(Deserialize)]
struct WireTool {
    name: String,
}
