//! What a team knows and hands on to the agent: context files, personas and learnings.

use crate::{AccountId, KnowledgeId, Learning, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// One thing that a team knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// Its id.
    pub id: KnowledgeId,
    /// Whose it is.
    pub account: AccountId,
    /// The only person who sees it; none when everybody of the account does.
    pub owner: Option<UserId>,
    /// 1, 2, 3 … with every change; 0 for what Runyard comes with and nobody has changed.
    pub version: i64,
    /// What it says.
    pub piece: Piece,
    /// Who wrote this version; none: Runyard, or the agent of the session that taught it.
    pub author: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// How many runs were told of it.
    pub used: i64,
    /// When the last one was.
    pub used_at: Option<Timestamp>,
}

/// What a piece of knowledge says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Piece {
    /// A document that the agent is given.
    ContextFile(ContextFile),
    /// How the agent is to work.
    Persona(Persona),
    /// What a session taught.
    Learning(Learning),
}

impl Piece {
    /// Its kind.
    pub fn kind(&self) -> KnowledgeKind {
        match self {
            Self::ContextFile(_) => KnowledgeKind::ContextFile,
            Self::Persona(_) => KnowledgeKind::Persona,
            Self::Learning(_) => KnowledgeKind::Learning,
        }
    }

    /// What people call it.
    pub fn title(&self) -> &str {
        match self {
            Self::ContextFile(file) => &file.title,
            Self::Persona(persona) => &persona.name,
            Self::Learning(learning) => &learning.pattern,
        }
    }

    /// What only one of an account may have; none where there may be any number of the same.
    pub fn likeness(&self) -> Option<String> {
        match self {
            Self::Learning(learning) => Some(learning.likeness()),
            Self::ContextFile(_) | Self::Persona(_) => None,
        }
    }
}

/// The kinds of knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnowledgeKind {
    /// Documents.
    ContextFile,
    /// Ways to work.
    Persona,
    /// What sessions taught.
    Learning,
}

impl KnowledgeKind {
    /// In words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::ContextFile => "context file",
            Self::Persona => "persona",
            Self::Learning => "learning",
        }
    }
}

impl fmt::Display for KnowledgeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A document that the agent is given whenever it works on one of the repositories that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextFile {
    /// Its title.
    pub title: String,
    /// Markdown.
    pub text: String,
    /// Names of repositories, in which `*` stands for anything; none: all repositories.
    pub repositories: Vec<String>,
    /// Higher ones come first, and are kept when there is not room for all.
    pub priority: i64,
    /// Whether it is given out at all.
    pub enabled: bool,
}

impl ContextFile {
    /// Whether it is about the repository with this name.
    pub fn concerns(&self, repository: &str) -> bool {
        self.repositories.is_empty() || self.repositories.iter().any(|pattern| fits(pattern, repository))
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters, also none and also `/`.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(before) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place that fits leaves most to what comes after.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

/// How the agent is to work, in the words that it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persona {
    /// Its name.
    pub name: String,
    /// For which work.
    pub role: PersonaRole,
    /// What the agent is told, word for word.
    pub instructions: String,
    /// Whether it is the one that is used when nobody chose another.
    #[serde(default)]
    pub default: bool,
}

/// For which work a persona is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonaRole {
    /// Planning and answering.
    Planner,
    /// Executing and revising.
    Developer,
    /// Everything.
    Custom,
}

impl PersonaRole {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planner => "planner",
            Self::Developer => "developer",
            Self::Custom => "custom",
        }
    }
}

impl FromStr for PersonaRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "planner" => Ok(Self::Planner),
            "developer" => Ok(Self::Developer),
            "custom" => Ok(Self::Custom),
            _ => Err(format!("`{text}` is not the role of a persona: choose planner, developer or custom")),
        }
    }
}

/// Knowledge that a run was told of, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeRef {
    /// Its id.
    pub id: KnowledgeId,
    /// Its kind.
    pub kind: KnowledgeKind,
    /// Its title.
    pub title: String,
    /// Its version.
    pub version: i64,
}

impl From<&Knowledge> for KnowledgeRef {
    fn from(known: &Knowledge) -> Self {
        Self { id: known.id, kind: known.piece.kind(), title: known.piece.title().to_owned(), version: known.version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names() {
        let fits_all =
            [("shop", "shop"), ("*", "a/b"), ("team/*", "team/shop"), ("*shop*", "my/shop-2"), ("a*b*c", "abbc")];
        for (pattern, name) in fits_all {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        let none =
            [("shop", "shop2"), ("team/*", "steam/x"), ("*shop", "shop-2"), ("a*b*c", "acb"), ("a*a", "a"), ("", "x")];
        for (pattern, name) in none {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_context_file_without_repositories_is_about_all() {
        let mut file = ContextFile {
            title: "Auth".to_owned(),
            text: String::new(),
            repositories: Vec::new(),
            priority: 0,
            enabled: true,
        };
        assert!(file.concerns("shop"));
        file.repositories = vec!["api".to_owned(), "team/*".to_owned()];
        assert!(file.concerns("team/shop") && file.concerns("api") && !file.concerns("shop"));
    }
}
