use crate::{
    AgentEvent, tool,
    wire::{Block, StreamEvent},
};
use std::collections::{BTreeSet, HashMap};

/// The agent's own messages: one message of the API comes as many lines.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The message that is being streamed, and its open block.
    current: Option<String>,
    block: Option<u64>,
    /// The calls of each message, and whether more may come.
    calls: HashMap<String, Calls>,
    message_of: HashMap<String, String>,
}

#[derive(Debug, Default)]
struct Calls {
    ids: BTreeSet<String>,
    complete: bool,
}

/// Who wrote a message that comes as the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The model.
    Model,
    /// Claude Code itself.
    Program,
    /// Claude Code, about an error of the API.
    ApiError,
}

/// Whether a call is the only one of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    Yes,
    No,
    /// The message is not complete.
    NotYet,
    /// The call is not of this process.
    Foreign,
}

impl Messages {
    pub(super) fn stream(&mut self, event: StreamEvent) -> Option<AgentEvent> {
        match event {
            StreamEvent::MessageStart { message, .. } => {
                self.complete_all();
                self.calls.entry(message.clone()).or_default();
                self.current = Some(message);
                self.block = None;
                None
            }
            StreamEvent::BlockStart { index, tool_use } => {
                self.block = Some(index);
                if let (Some(message), Some(call)) = (self.current.clone(), tool_use) {
                    self.add(message, call);
                }
                None
            }
            StreamEvent::Text { index, text } => {
                let message = self.current.clone()?;
                Some(AgentEvent::TextDelta { message, block: index, text })
            }
            StreamEvent::Thinking { index, text } => {
                let message = self.current.clone()?;
                Some(AgentEvent::ThinkingDelta { message, block: index, text })
            }
            StreamEvent::BlockStop => {
                self.block = None;
                None
            }
            StreamEvent::MessageStop => {
                self.complete_all();
                None
            }
            StreamEvent::MessageDelta { .. } | StreamEvent::Other => None,
        }
    }

    pub(super) fn assistant(
        &mut self,
        message: String,
        block: Block,
        parent: Option<String>,
        origin: Origin,
    ) -> Option<AgentEvent> {
        match block {
            // The outcome tells of it, in fewer words.
            Block::Text(_) if origin == Origin::ApiError => None,
            Block::Text(text) if origin == Origin::Program => Some(AgentEvent::Warning { text }),
            Block::Text(text) => {
                let block = self.block.filter(|_| parent.is_none() && self.current.as_ref() == Some(&message));
                Some(AgentEvent::Text { message, block, text, parent })
            }
            Block::Thinking(text) => Some(AgentEvent::Thinking { message, text, parent }),
            Block::ToolUse { id, name, input } => {
                if parent.is_none() {
                    self.add(message, id.clone());
                }
                Some(AgentEvent::ToolStarted {
                    call: id,
                    kind: tool::kind(&name),
                    title: tool::title(&name, &input),
                    input,
                    tool: name,
                    parent,
                })
            }
            Block::Other => None,
        }
    }

    pub(super) fn alone(&self, call: &str) -> Alone {
        match self.message_of.get(call).and_then(|message| self.calls.get(message)) {
            None if self.calls.is_empty() => Alone::Foreign,
            None => Alone::No,
            Some(calls) if calls.ids.len() > 1 => Alone::No,
            Some(calls) if calls.complete => Alone::Yes,
            Some(_) => Alone::NotYet,
        }
    }

    /// Nothing more comes of any message: also when the stream broke off.
    pub(super) fn turn_over(&mut self) {
        self.complete_all();
        self.current = None;
        self.block = None;
    }

    fn complete_all(&mut self) {
        for calls in self.calls.values_mut() {
            calls.complete = true;
        }
    }

    fn add(&mut self, message: String, call: String) {
        self.calls.entry(message.clone()).or_default().ids.insert(call.clone());
        self.message_of.insert(call, message);
    }
}
