use domain::{MicroUsd, Timestamp, ToolKind, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// What the agent did, in this house's words. `parent` is the call that started the sub-agent which did it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AgentEvent {
    /// A turn began.
    Started {
        /// The conversation's id.
        session: String,
        /// The agent's version.
        version: String,
        /// The model.
        model: String,
        /// The tools that it has.
        tools: Vec<String>,
    },
    /// A message that was sent to the agent has become part of the conversation.
    Delivered {
        /// The message's id.
        uuid: Uuid,
    },
    /// A piece of the text that it is writing; [`AgentEvent::Text`] with the same `message` and `block` is the whole.
    TextDelta {
        /// The message.
        message: String,
        /// Which block of the message.
        block: u64,
        /// The piece.
        text: String,
    },
    /// A finished text.
    Text {
        /// The message.
        message: String,
        /// Which block of the message; none when it was not streamed.
        block: Option<u64>,
        /// The text.
        text: String,
        /// Set for a sub-agent's text.
        parent: Option<String>,
    },
    /// A piece of its thinking.
    ThinkingDelta {
        /// The message.
        message: String,
        /// Which block of the message.
        block: u64,
        /// The piece.
        text: String,
    },
    /// A finished thought.
    Thinking {
        /// The message.
        message: String,
        /// The thought.
        text: String,
        /// Set for a sub-agent's thought.
        parent: Option<String>,
    },
    /// It called a tool.
    ToolStarted {
        /// The call's id.
        call: String,
        /// The tool's name.
        tool: String,
        /// What kind of thing the tool does.
        kind: ToolKind,
        /// One line for people.
        title: String,
        /// What it was called with, whole.
        input: Value,
        /// Set for a sub-agent's call.
        parent: Option<String>,
    },
    /// A call came back. In a resumed conversation its start may be in an earlier process.
    ToolFinished {
        /// The call's id.
        call: String,
        /// False when it failed or was refused.
        ok: bool,
        /// The result, whole.
        output: String,
        /// Set for a sub-agent's call.
        parent: Option<String>,
    },
    /// Something was used on top of all earlier events of this kind with `booked: true`.
    Usage {
        /// What came on top. Provisional ones know no costs.
        usage: Usage,
        /// True: to be added to the books. False: an early sign of what the next booked one will say.
        booked: bool,
    },
    /// The model's API failed and is asked again.
    Retry {
        /// Which attempt, from 1.
        attempt: u64,
        /// How many there will be.
        max: u64,
        /// How long it waits, in milliseconds.
        delay_ms: u64,
        /// The HTTP status, if there was an answer.
        status: Option<u64>,
        /// The kind, such as `overloaded`.
        error: String,
    },
    /// A limit of the account is near or reached.
    Limit {
        /// `allowed_warning` or `rejected`.
        status: String,
        /// Which limit, such as `five_hour`.
        kind: String,
        /// When it is lifted.
        resets_at: Option<Timestamp>,
    },
    /// A call was refused.
    Denied {
        /// The call's id.
        call: String,
        /// The tool.
        tool: String,
        /// Why.
        reason: String,
    },
    /// A sub-agent or a background command began.
    TaskStarted {
        /// Its id.
        task: String,
        /// `local_agent` or `local_bash`.
        kind: String,
        /// What it is for.
        description: String,
    },
    /// It ended.
    TaskFinished {
        /// Its id.
        task: String,
        /// `completed`, `failed`, `stopped` …
        status: String,
        /// What came of it.
        summary: String,
    },
    /// Older parts of the conversation were replaced by a summary.
    Compacted,
    /// A tool server did not start.
    ToolServerFailed {
        /// Its name.
        server: String,
    },
    /// A turn ended. More may follow in the same process; [`Outcome`](crate::Outcome) says how all of it ended.
    TurnEnded {
        /// True when the agent reports success.
        ok: bool,
        /// Its last words, or its errors.
        text: String,
    },
    /// Something was not as it should be; work goes on.
    Warning {
        /// What.
        text: String,
    },
}

/// Dollars as the agent reports them, rounded to millionths.
pub(crate) fn micro_usd(dollars: f64) -> MicroUsd {
    if !dollars.is_finite() || dollars <= 0.0 {
        return MicroUsd(0);
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounded, and `as` saturates")]
    MicroUsd((dollars * 1e6).round() as i64)
}
