//! How things look in a terminal. Pure: text in, lines out; nothing here prints or reads the surroundings.

mod ask;
mod clean;
mod knowledge;
mod lists;
mod log;
mod markdown;
mod pull_request;
mod session;
mod style;
mod summary;
#[cfg(test)]
mod tests;
mod text_flow;
mod time;

pub use ask::request_lines;
pub use clean::{clean, one_line};
pub use knowledge::{context_files, learnings, personas};
pub use lists::{
    action_words, audit, counted, no_sessions, people, queue, queued_as, repositories, secrets, sessions, versions,
};
pub use log::LogRenderer;
pub use markdown::markdown;
pub use pull_request::{diff, diff_stat, pull_request, pull_requests};
pub use session::session;
pub use style::{Colour, Style};
pub use summary::{Evidence, Summary, next_command};
pub use time::{moment, span};
