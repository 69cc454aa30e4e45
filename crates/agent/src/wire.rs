//! Claude Code's JSON lines: read leniently, written strictly.

mod lines;
mod read;
mod write;

pub(crate) use lines::{Lines, Split};
pub(crate) use read::{Block, ControlRequest, Init, Line, Retry, StreamEvent, Task, Tokens, TurnResult, parse};
pub(crate) use write::{
    hook_allow, hook_defer, hook_deny, initialize, interrupt, mcp_answer, permission_allow, permission_deny,
    unsupported, user_message,
};
