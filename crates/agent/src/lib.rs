//! Drives Claude Code: starts it, reads its stream-json, answers its control requests, and says truthfully how it ended.
//!
//! [`drive`] is a thin shell around [`Core`], a state machine without I/O, clock or randomness: lines go in, events and
//! things to do come out. The engine supplies a [`Host`] and a [`Process`]. What the contract with Claude Code is, and
//! which of it was seen on the real program, is in the project's page `claude-code.md`; [`PINNED`] is the version that it
//! holds for.

mod drive;
mod event;
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod launch;
mod locate;
mod machine;
pub mod mcp;
mod outcome;
pub mod policy;
pub mod process;
mod program;
pub mod tool;
mod transcript;
mod wire;

pub use drive::{Control, DriveError, Inbox, control, drive};
pub use event::AgentEvent;
pub use host::{
    Batch, Call, Decision, Host, HostError, OtherVersion, OwnCall, PersonRequest, Resume, Settings, StdinLine,
    ToolSpec, Turn, UserMessage, Verdict, Withdrawn,
};
pub use launch::{Conversation, Launch, MANAGED_SETTINGS_PATH, managed_settings, tools};
pub use locate::{NotFound, PINNED, Surroundings, locate, locate_with};
pub use machine::{Core, Output, Timer};
pub use outcome::{DeferredCall, Denial, End, Fault, Outcome};
pub use policy::Phase;
pub use process::Process;
pub use program::{Distrust, NoDigest, Program, ProgramDigest};
pub use transcript::{note_on_lost_call, transcript_path};
