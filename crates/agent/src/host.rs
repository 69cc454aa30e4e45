use crate::AgentEvent;
use async_trait::async_trait;
use bytes::Bytes;
use domain::{Answer, RequestKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// Why the host cannot go on: the driver leaves the process alone and hands this to its caller.
pub type HostError = Box<dyn std::error::Error + Send + Sync>;

/// What the engine does for a running agent.
#[async_trait]
pub trait Host: Send + Sync {
    /// Stores `batch` in one transaction. Nothing more is read while it pends.
    async fn take(&self, batch: Batch) -> Result<(), HostError>;

    /// Stores a line that is about to be written to the agent. The line is written only after this returns.
    async fn journal(&self, line: &StdinLine) -> Result<(), HostError>;

    /// Decides on a call by policy. Asked once per call in a process, and again after an adoption if the answer was not
    /// journaled.
    async fn judge(&self, call: &Call) -> Verdict;

    /// Asks a person. May pend for long: after [`Settings::hold`] it is dropped and the call deferred, if it can be.
    /// Is asked again with the same `tool_use_id` in the process that resumes the deferred call.
    async fn person(&self, request: &PersonRequest) -> Decision;

    /// Hears that a call which was put to a person is no more: the agent was told so or has given it up.
    async fn withdraw(&self, tool_use_id: &str, why: Withdrawn);

    /// Runs one of [`Turn::tools`]. An error goes back to the agent, to mend and try again. The same `tool_use_id` may
    /// come again after an adoption and must not act twice.
    async fn call_tool(&self, call: &OwnCall) -> Result<String, String>;
}

/// Why a call that was put to a person is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// Nobody had decided, and it could not be deferred: the agent was told to repeat it alone, under another id.
    ToBeRepeated,
    /// It does not come again.
    Over,
}

/// What the agent did since the last batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What happened; may be empty.
    pub events: Vec<AgentEvent>,
    /// The output up to this offset (of both streams together) is in this batch and those before: keep it for
    /// [`Resume::consumed`].
    pub consumed: u64,
    /// The lines of standard output as they were received, for the archive.
    pub raw: Bytes,
}

/// A line for the agent's standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StdinLine {
    /// The number of its first piece, counted over the process's life.
    pub seq: u64,
    /// What it is, unique within the process: `initialize`, `user:UUID`, `answer:REQUEST`, `interrupt:SEQ`.
    pub key: String,
    /// JSON, with its line end.
    pub line: String,
}

/// A tool call to be decided on.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The tool.
    pub tool: String,
    /// What it would be called with.
    pub input: Value,
    /// The agent's id of the call.
    pub tool_use_id: String,
    /// Whether a sub-agent made it: such a call cannot be deferred.
    pub subagent: bool,
    /// Whether it was deferred by an earlier process and is asked about again.
    pub resumed: bool,
}

/// What policy says to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may run.
    Allow {
        /// Runs instead of what the agent asked for.
        updated_input: Option<Value>,
    },
    /// It must not run.
    Deny {
        /// Told to the agent.
        reason: String,
    },
    /// A person decides.
    Person {
        /// Why, for the person.
        reason: String,
    },
}

/// What a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonRequest {
    /// The question or the permission, with the agent's `tool_use_id`.
    pub kind: RequestKind,
    /// The tool.
    pub tool: String,
    /// The agent's id of the call.
    pub tool_use_id: String,
    /// Whether it was asked before, by the process that deferred it.
    pub resumed: bool,
}

/// What a person said.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It may run.
    Allow {
        /// Runs instead of what the agent asked for.
        updated_input: Option<Value>,
    },
    /// It must not run.
    Deny {
        /// Told to the agent.
        reason: String,
        /// Whether the turn ends as well.
        interrupt: bool,
    },
    /// The answers to the agent's questions: question to label or free text.
    Answers(BTreeMap<String, String>),
    /// Nobody decides soon: let the process end and ask again when it is resumed.
    Defer,
}

impl From<Answer> for Decision {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Answers { answers } => Self::Answers(answers),
            Answer::Allow => Self::Allow { updated_input: None },
            Answer::Deny { reason } => Self::Deny { reason, interrupt: false },
            Answer::Chosen { option } => {
                Self::Deny { reason: format!("the answer `{option}` is not one to this call"), interrupt: false }
            }
        }
    }
}

/// A call of one of the host's own tools.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnCall {
    /// The tool's name, without any prefix.
    pub name: String,
    /// Its arguments; whether they fit the schema is for the host to check.
    pub input: Value,
    /// The agent's id of the call.
    pub tool_use_id: String,
}

/// A tool that the host offers. The agent sees it as `mcp__runyard__NAME`.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it is for, told to the model.
    pub description: String,
    /// A JSON schema of type `object`.
    pub input_schema: Value,
}

/// Something that a person or the engine says to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserMessage {
    /// Its id: the agent runs a message once, however often it is sent.
    pub uuid: Uuid,
    /// The text.
    pub text: String,
}

/// What one process of the agent is to do.
#[derive(Debug, Clone)]
pub struct Turn {
    /// What is said first; none when a deferred call is resumed.
    pub prompt: Option<UserMessage>,
    /// The host's own tools.
    pub tools: Vec<ToolSpec>,
    /// How to drive.
    pub settings: Settings,
    /// Set when the process was started by an earlier server.
    pub resume: Option<Resume>,
}

/// What an earlier server did with this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    /// The last stored [`Batch::consumed`].
    pub consumed: u64,
    /// All lines of this process that were journaled, in order.
    pub journal: Vec<StdinLine>,
}

/// What to do about an agent of another version than the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherVersion {
    /// Work on, with a warning.
    #[default]
    Warn,
    /// End it.
    Refuse,
}

/// How to drive.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a call waits for a person before it is deferred.
    pub hold: Duration,
    /// How long the process may take to end after its input was closed or it was told to stop.
    pub exit_grace: Duration,
    /// How long background work may go on after the last turn.
    pub background: Duration,
    /// How long to wait for the turn that a finished background task opens.
    pub follow_up: Duration,
    /// Streamed text is handed over at most this often.
    pub delta_every: Duration,
    /// How long the agent may say nothing while it is at work and nobody is asked anything. Its longest command is given ten
    /// minutes by Claude Code, and says nothing meanwhile.
    pub silence: Duration,
    /// The tool servers without which the agent must not work, besides the host's own.
    pub required_servers: Vec<String>,
    /// What to do about an agent of another version than [`PINNED`](crate::PINNED).
    pub other_version: OtherVersion,
    /// Whether the launch asked for structured output (`--json-schema`).
    pub expect_structured: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hold: Duration::from_mins(2),
            exit_grace: Duration::from_secs(10),
            background: Duration::from_mins(10),
            follow_up: Duration::from_secs(5),
            delta_every: Duration::from_millis(50),
            silence: Duration::from_mins(15),
            required_servers: Vec::new(),
            other_version: OtherVersion::default(),
            expect_structured: false,
        }
    }
}
