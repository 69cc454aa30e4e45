//! The driver against recordings, against made-up processes, and against the real Claude Code with a scripted model.

mod adoption;
mod host;
mod real;
mod recordings;
mod tape;
mod torn;
