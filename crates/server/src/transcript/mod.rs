//! A session for other programs and for the shelf: as Markdown to read, as JSON to compute with.
//!
//! Both are written piece by piece, so that a long log is never held as a whole.

mod json;
mod markdown;

use domain::{Actor, Event, UserId};
use engine::SessionView;
use std::collections::HashMap;

/// How a session is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscriptFormat {
    /// A document for people.
    Markdown,
    /// One JSON object.
    Json,
}

impl TranscriptFormat {
    /// The ending of a file's name.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Json => "json",
        }
    }
}

/// Writes one session out: [`Self::begin`], each event in order, [`Self::end`].
#[derive(Debug)]
pub struct Transcript {
    format: TranscriptFormat,
    people: HashMap<UserId, String>,
    talk: markdown::Talk,
    first: bool,
}

impl Transcript {
    /// Nothing is written yet. `people` are the names by which those who said something are called.
    pub fn new(format: TranscriptFormat, people: HashMap<UserId, String>) -> Self {
        Self { format, people, talk: markdown::Talk::default(), first: true }
    }

    /// What stands before the log: what the session is, its plan and what came of it.
    pub fn begin(&self, view: &SessionView) -> String {
        match self.format {
            TranscriptFormat::Markdown => markdown::begin(view, &self.people),
            TranscriptFormat::Json => json::begin(view, &self.people),
        }
    }

    /// An event.
    pub fn event(&mut self, event: &Event) -> String {
        let first = std::mem::replace(&mut self.first, false);
        match self.format {
            TranscriptFormat::Markdown => self.talk.event(event, &self.people),
            TranscriptFormat::Json => json::event(event, first),
        }
    }

    /// What stands after the log.
    pub fn end(&self) -> String {
        match self.format {
            TranscriptFormat::Markdown => String::new(),
            TranscriptFormat::Json => json::end(),
        }
    }
}

fn name(people: &HashMap<UserId, String>, person: UserId) -> &str {
    people.get(&person).map_or("Somebody", String::as_str)
}

fn who(people: &HashMap<UserId, String>, actor: Actor) -> &str {
    match actor {
        Actor::Person(person) => name(people, person),
        Actor::Agent => "Agent",
        Actor::System => "Runyard",
    }
}
