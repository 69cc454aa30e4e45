//! Whole-product tests: the real `runyard` binary, used as a person uses it.
//!
//! This library is what the tests in `tests/it` stand on: a [`World`] with a data directory, a repository and a scripted
//! model of its own; [`Running`] programs that can be killed with everything they started; the event log read back.
//! Everything here panics when it cannot do what it was asked, since that is a failed test.
#![expect(clippy::missing_panics_doc, reason = "a harness panics where a program would return an error")]

mod events;
mod host;
mod place;
mod processes;
mod programs;
mod puppet;
mod repository;
mod running;
mod world;

pub use events::{Event, Log};
pub use host::{Host, control_groups, processes_with};
pub use place::Place;
pub use processes::Inhabitants;
pub use programs::{claude, runyard, runyard_with_crash_points};
pub use puppet::repository_of_attacks;
pub use repository::Repository;
pub use running::{Finished, Running};
pub use world::{KEY, World};

use std::time::Duration;

/// How long anything may take before a test gives up on it. Generous: a slow machine is no failure.
pub const LIMIT: Duration = Duration::from_secs(150);
