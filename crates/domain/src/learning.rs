//! Learnings: what sessions taught, as notes for later ones.

use crate::{KnowledgeId, RunId, SessionId, SessionNumber, Timestamp, knowledge::fits};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// Something that a session taught, or that a person wrote down as such.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learning {
    /// What one runs into.
    pub pattern: String,
    /// What to do then.
    pub solution: String,
    /// Files, frameworks and commands that it is about; none: whatever its words fit.
    pub applies_to: Vec<String>,
    /// Names of repositories, in which `*` stands for anything; none: all repositories.
    pub repositories: Vec<String>,
    /// Whether agents are told of it.
    pub state: LearningState,
}

impl Learning {
    /// The longest pattern, in characters.
    pub const LONGEST_PATTERN: usize = 300;
    /// The longest solution, in characters.
    pub const LONGEST_SOLUTION: usize = 1500;
    /// The most files, frameworks and commands that one is about.
    pub const MOST_SUBJECTS: usize = 8;
    /// The longest name of one of them, in characters.
    pub const LONGEST_SUBJECT: usize = 80;

    /// Whether it is about the repository with this name.
    pub fn concerns(&self, repository: &str) -> bool {
        self.repositories.is_empty() || self.repositories.iter().any(|pattern| fits(pattern, repository))
    }

    /// The same for two that say the same, whatever their letters' case, their blanks and their marks: an account has
    /// one of each.
    pub fn likeness(&self) -> String {
        let mut sum = Sha256::new();
        for text in [&self.pattern, &self.solution] {
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                sum.update(word.to_lowercase());
                sum.update(" ");
            }
            sum.update("\n");
        }
        hex::encode(sum.finalize())
    }
}

/// Whether agents are told of a learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningState {
    /// It waits for a person to look at it; agents are not told.
    Proposed,
    /// Agents are told.
    Active,
    /// It is kept, and agents are not told.
    Off,
}

impl LearningState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Active => "active",
            Self::Off => "off",
        }
    }
}

impl FromStr for LearningState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Proposed, Self::Active, Self::Off]
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| format!("`{text}` is not the state of a learning: choose proposed, active or off"))
    }
}

/// When something was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// A step that had failed succeeded.
    ErrorResolved,
    /// Checks that had failed passed.
    ChecksFixed,
    /// A pull request was changed as its reviewers asked.
    ReviewAddressed,
    /// A plan was changed as a person asked.
    PlanCorrected,
}

impl Moment {
    /// In words for people: "when …".
    pub fn words(self) -> &'static str {
        match self {
            Self::ErrorResolved => "when a step that had failed succeeded",
            Self::ChecksFixed => "when checks that had failed passed",
            Self::ReviewAddressed => "when review feedback was addressed",
            Self::PlanCorrected => "when a person corrected the plan",
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A run that taught a learning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    /// The learning.
    pub learning: KnowledgeId,
    /// The session.
    pub session: SessionId,
    /// The session's number.
    pub number: SessionNumber,
    /// Its run.
    pub run: RunId,
    /// On what occasion.
    pub moment: Moment,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learning(pattern: &str, solution: &str) -> Learning {
        Learning {
            pattern: pattern.to_owned(),
            solution: solution.to_owned(),
            applies_to: Vec::new(),
            repositories: Vec::new(),
            state: LearningState::Active,
        }
    }

    #[test]
    fn alike_is_what_has_the_same_words_in_the_same_places() {
        let one = learning("Tests fail: no database.", "Start it with `make db`.");
        let same = learning("tests FAIL — no\n database", "start it with make db");
        assert_eq!(one.likeness(), same.likeness());
        let elsewhere = Learning { repositories: vec!["shop".to_owned()], ..one.clone() };
        assert_eq!(one.likeness(), elsewhere.likeness(), "where it counts is not what it says");
        for other in [
            learning("Tests fail: no database. Start it", "with `make db`."),
            learning("Tests fail: no data base.", "Start it with `make db`."),
            learning("", ""),
        ] {
            assert_ne!(one.likeness(), other.likeness(), "{other:?}");
        }
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in [LearningState::Proposed, LearningState::Active, LearningState::Off] {
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert!("on".parse::<LearningState>().is_err());
    }
}
