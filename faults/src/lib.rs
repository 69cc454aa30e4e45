//! The fault harness: the real `runyard`, real sandboxes and real git, killed, hung and failed at named points by a seed,
//! and judged from a history that is kept outside of it.
//!
//! [`cases`] draws what happens from a seed, [`play`] lets it happen, [`checks`] reads the [`history`] and nothing else.

pub mod cases;
pub mod checks;
mod control;
pub mod history;
pub mod play;
pub mod points;
#[path = "../../crates/store/tests/it/postgres.rs"]
mod postgres;
mod processes;
mod server;
mod sink;

/// The text of a numbered message of an agent: letters of one to four bytes, so that a cut in a wrong place shows.
pub fn numbered(agent: &str, number: u64) -> String {
    format!("line {agent} {number} größe ✓ 𝄞 {}", "ü".repeat(usize::try_from(number % 7).unwrap_or(0)))
}
