//! Colours: one per state, the same as on the page.

use domain::StepState;
use owo_colors::OwoColorize as _;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Not started; and everything that matters less.
    Dim,
    /// Queued.
    Queued,
    /// Running.
    Running,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Stopped.
    Stopped,
    /// Waits for a person.
    Waiting,
    /// Headings and names.
    Bold,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// True when they are.
    pub colours: bool,
}

impl Style {
    /// The text in a colour.
    pub fn paint(self, colour: Colour, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        match colour {
            Colour::Dim => text.bright_black().to_string(),
            Colour::Queued => text.blue().to_string(),
            Colour::Running => text.cyan().to_string(),
            Colour::Done => text.green().to_string(),
            Colour::Failed => text.red().to_string(),
            Colour::Stopped => text.magenta().to_string(),
            Colour::Waiting => text.yellow().to_string(),
            Colour::Bold => text.bold().to_string(),
        }
    }

    /// The glyph of a step's state, in its colour.
    pub fn glyph(self, state: StepState) -> String {
        self.paint(state.into(), state.glyph().encode_utf8(&mut [0; 4]))
    }
}

impl From<StepState> for Colour {
    fn from(state: StepState) -> Self {
        match state {
            StepState::NotStarted => Self::Dim,
            StepState::Queued => Self::Queued,
            StepState::InProgress => Self::Running,
            StepState::Waiting => Self::Waiting,
            StepState::Completed(_) => Self::Done,
            StepState::Failed(domain::Failure::Stopped) => Self::Stopped,
            StepState::Failed(_) => Self::Failed,
        }
    }
}
