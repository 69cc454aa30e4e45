//! The event log: what a person sees of a session.

use crate::{
    ActionId, Answer, BlobHash, ChangeId, ChangeState, CommitId, ExecId, KnowledgeRef, Moment, RequestId, RequestKind,
    RunId, RunState, SandboxState, SessionId, StepId, StepState, Timestamp, Usage, UserId,
};
use serde::{Deserialize, Serialize};

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", content = "user", rename_all = "snake_case")]
pub enum Actor {
    /// A person.
    Person(UserId),
    /// The coding agent.
    Agent,
    /// Runyard itself.
    System,
}

/// What kind of thing a tool does, in the words of the Agent Client Protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// Reads files.
    Read,
    /// Changes files.
    Edit,
    /// Removes files.
    Delete,
    /// Moves files.
    Move,
    /// Looks for something.
    Search,
    /// Runs a command.
    Execute,
    /// Thinks, plans, delegates.
    Think,
    /// Fetches from outside.
    Fetch,
    /// Anything else.
    Other,
}

/// How loud a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteLevel {
    /// Good to know.
    Info,
    /// Something was not as it should be; work goes on.
    Warning,
    /// Something failed.
    Error,
}

/// How a turn of the agent ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum TurnEnd {
    /// It finished what it was asked.
    Completed,
    /// It waits for a decision that is kept outside of it.
    Deferred,
    /// A person interrupted it.
    Interrupted,
    /// It failed.
    Failed {
        /// Why, in words for people.
        message: String,
    },
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOutcome {
    /// The block's name, or its first line.
    pub name: String,
    /// What was run.
    pub command: String,
    /// The exit code; none when it was killed.
    pub exit_code: Option<i32>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Why it has no exit code, such as `timed out after 30 s`.
    pub killed: Option<String>,
    /// The whole log.
    pub log: BlobHash,
    /// The log's end, at most 4 KiB.
    pub tail: String,
}

impl CheckOutcome {
    /// True when the check passed.
    pub fn passed(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// What happened. New kinds may be added; readers keep what they do not know ([`Payload::Unknown`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventPayload {
    /// Somebody wrote something; the agent's finished text is one as well.
    Message {
        /// Who wrote it.
        from: Actor,
        /// The run in which the agent wrote it.
        run: Option<RunId>,
        /// What was written.
        text: String,
    },
    /// Something waits for a person.
    Question {
        /// The request to answer.
        request: RequestId,
        /// What is asked.
        ask: RequestKind,
    },
    /// A person answered, or the request was cancelled.
    Answer {
        /// The request.
        request: RequestId,
        /// Who answered.
        from: Actor,
        /// What they said; none when the request was cancelled.
        answer: Option<Answer>,
    },
    /// The runbook has a new version.
    PlanVersion {
        /// Its number.
        version: i64,
        /// Who made it.
        from: Actor,
        /// How many leaves it has.
        leaves: usize,
        /// How many top-level steps it has.
        top_level: usize,
        /// The version that it restores.
        restores: Option<i64>,
    },
    /// A step changed its state.
    StepState {
        /// The step.
        step: StepId,
        /// Its number at that time.
        number: String,
        /// Its title at that time.
        title: String,
        /// The new state.
        #[serde(flatten)]
        state: StepState,
        /// Why it was skipped, in words for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A run changed its state.
    RunState {
        /// The run.
        run: RunId,
        /// The action that it attempts.
        action: ActionId,
        /// The action's kind.
        action_kind: String,
        /// The leaf that it executes.
        step: Option<StepId>,
        /// The new state.
        #[serde(flatten)]
        state: RunState,
        /// Why, in words for people.
        message: Option<String>,
    },
    /// The agent called a tool.
    ToolStarted {
        /// The run.
        run: RunId,
        /// The agent's id of the call.
        call: String,
        /// The tool's name.
        tool: String,
        /// What kind of thing it does.
        kind: ToolKind,
        /// One line for people, such as the command or the path.
        title: String,
        /// What it was called with, cut to 16 KiB.
        input: serde_json::Value,
    },
    /// The call came back.
    ToolFinished {
        /// The run.
        run: RunId,
        /// The agent's id of the call.
        call: String,
        /// False when it failed or was refused.
        ok: bool,
        /// The result, cut to 16 KiB.
        output: String,
    },
    /// A piece of the text that the agent is writing; the finished message is an event of its own.
    Text {
        /// The run.
        run: RunId,
        /// The piece.
        delta: String,
    },
    /// A process wrote something: the bytes `from..to` of its spool are stored.
    Output {
        /// The run.
        run: RunId,
        /// The process.
        exec: ExecId,
        /// The first byte.
        from: u64,
        /// The byte after the last.
        to: u64,
    },
    /// A check ran.
    CheckResult {
        /// The run.
        run: RunId,
        /// The leaf that it belongs to.
        step: Option<StepId>,
        /// What came of it.
        #[serde(flatten)]
        outcome: CheckOutcome,
    },
    /// A change moved.
    ChangeState {
        /// The change.
        change: ChangeId,
        /// The new state.
        state: ChangeState,
        /// Its branch.
        branch: String,
        /// The branch's newest commit.
        head: CommitId,
        /// The pull request's number, once there is one.
        pull_request: Option<i64>,
        /// The pull request's title.
        title: String,
    },
    /// Something was used.
    Usage {
        /// The run.
        run: RunId,
        /// What came on top.
        #[serde(flatten)]
        usage: Usage,
    },
    /// The sandbox changed its state.
    SandboxState {
        /// The new state.
        state: SandboxState,
        /// Details for people, such as which limits hold.
        detail: String,
    },
    /// The agent is told what the team knows, other things than the last time.
    Knowledge {
        /// The run.
        run: RunId,
        /// What it is told, persona first.
        used: Vec<KnowledgeRef>,
        /// What there was no room for.
        left_out: Vec<KnowledgeRef>,
    },
    /// The session taught something for later ones.
    Learned {
        /// The run.
        run: RunId,
        /// On what occasion.
        moment: Moment,
        /// What it taught.
        learned: Vec<KnowledgeRef>,
    },
    /// Anything else that a person should know.
    Note {
        /// How loud.
        level: NoteLevel,
        /// What.
        text: String,
    },
}

/// An event's payload as stored: of a kind that this version knows, or kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Payload {
    /// A kind that this version knows.
    Known(EventPayload),
    /// Written by a newer version.
    Unknown(serde_json::Value),
}

impl From<EventPayload> for Payload {
    fn from(payload: EventPayload) -> Self {
        Self::Known(payload)
    }
}

/// One entry of a session's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its session.
    pub session: SessionId,
    /// 1, 2, 3 … without gaps.
    pub number: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub payload: Payload,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn payloads_are_stored_as_written() {
        let run = RunId(Uuid::nil());
        let payloads = [
            EventPayload::StepState {
                step: StepId(Uuid::nil()),
                number: "1.2".into(),
                title: "Add index".into(),
                state: StepState::Failed(crate::Failure::Check),
                why: None,
            },
            EventPayload::StepState {
                step: StepId(Uuid::nil()),
                number: "2".into(),
                title: "Announce it".into(),
                state: StepState::Completed(crate::Completion::Skipped),
                why: Some("nobody uses it".into()),
            },
            EventPayload::RunState {
                run,
                action: ActionId(Uuid::nil()),
                action_kind: "plan".into(),
                step: None,
                state: RunState::Running,
                message: None,
            },
            EventPayload::Usage { run, usage: Usage { input: 1, ..Usage::default() } },
            EventPayload::Note { level: NoteLevel::Warning, text: "careful".into() },
            EventPayload::Message { from: Actor::Person(UserId(Uuid::nil())), run: None, text: "hi".into() },
        ];
        let lines: Vec<_> =
            payloads.iter().map(|payload| serde_json::to_string(payload).expect("serialises")).collect();
        insta::assert_snapshot!(lines.join("\n"));
        for (line, payload) in lines.iter().zip(payloads) {
            assert_eq!(serde_json::from_str::<Payload>(line).expect("reads back"), Payload::Known(payload));
        }
    }

    #[test]
    fn an_unknown_kind_is_kept() {
        let line = r#"{"type":"from_the_future","x":1}"#;
        let payload: Payload = serde_json::from_str(line).expect("readable");
        assert!(matches!(payload, Payload::Unknown(_)));
        assert_eq!(serde_json::to_string(&payload).expect("serialises"), line);
    }
}
