//! Looks for canaries where no secret may be: files, git objects, command lines, environments, the memory of processes.
//!
//! It shares no code with the redaction that it judges. Any twelve bytes of a canary count, as they are or encoded, also
//! within what is compressed.
#![expect(clippy::missing_panics_doc, reason = "a harness panics where a program would return an error")]

mod files;
mod patterns;
mod processes;

pub use files::{files, git_objects};
pub use patterns::Canaries;
pub use processes::{Sampler, memory, pids_below, process};

/// A canary that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Where: a path, a git object, a process.
    pub place: String,
    /// In which encoding.
    pub encoding: &'static str,
    /// Which canary, by its name.
    pub canary: String,
}
