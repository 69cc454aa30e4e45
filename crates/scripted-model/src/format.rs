//! The shapes of a script file. Every struct refuses unknown keys, so that a typing error names its line.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::fault::{Cut, Failure, Hold, Limit, Malformed, Stall};
use crate::template::Template;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) expect_key: Option<String>,
    pub(crate) auxiliary: Option<String>,
    pub(crate) usage: Option<TokenCounts>,
    #[serde(default)]
    pub(crate) conversations: Vec<Spanned<Conversation>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversation {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) when: When,
    /// Regular expressions over the matching prompt; group 1, or the whole match where there is no group.
    #[serde(default)]
    pub(crate) capture: BTreeMap<String, Pattern>,
    pub(crate) turns: Vec<Spanned<Item>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    pub(crate) prompt_contains: Option<String>,
    pub(crate) prompt_matches: Option<Pattern>,
    pub(crate) system_contains: Option<String>,
    #[serde(default)]
    pub(crate) tools_include: Vec<String>,
    #[serde(default)]
    pub(crate) tools_exclude: Vec<String>,
    pub(crate) model_contains: Option<String>,
    pub(crate) subagent: Option<bool>,
    pub(crate) auxiliary: Option<bool>,
}

/// One entry of a list of turns: an answer, a fault, or an `if` with its `then` and `else`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    #[serde(rename = "if")]
    pub(crate) condition: Option<Condition>,
    pub(crate) then: Option<Vec<Spanned<Item>>>,
    #[serde(rename = "else")]
    pub(crate) otherwise: Option<Vec<Spanned<Item>>>,

    pub(crate) think: Option<Template>,
    pub(crate) say: Option<Template>,
    pub(crate) tool: Option<Tool>,
    #[serde(default)]
    pub(crate) tools: Vec<Tool>,
    #[serde(default)]
    pub(crate) blocks: Vec<Spanned<Block>>,
    pub(crate) repeat: Option<usize>,

    pub(crate) delay: Option<Span>,
    pub(crate) pace: Option<Span>,
    pub(crate) chunk: Option<usize>,
    #[serde(default)]
    pub(crate) capture: BTreeMap<String, Pattern>,
    pub(crate) usage: Option<TokenCounts>,
    pub(crate) stop_reason: Option<String>,

    pub(crate) error: Option<Failure>,
    pub(crate) limit: Option<Limit>,
    pub(crate) cut: Option<Cut>,
    pub(crate) stall: Option<Stall>,
    pub(crate) hold: Option<Hold>,
    pub(crate) malformed: Option<Malformed>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) result_contains: Option<String>,
    pub(crate) result_matches: Option<Pattern>,
    pub(crate) result_is_error: Option<bool>,
    pub(crate) contains: Option<String>,
    #[serde(default)]
    pub(crate) not: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    pub(crate) name: String,
    #[serde(default = "empty_object")]
    pub(crate) input: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Block {
    pub(crate) think: Option<Template>,
    pub(crate) say: Option<Template>,
    pub(crate) tool: Option<Tool>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenCounts {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) cache_read: Option<u64>,
    pub(crate) cache_write: Option<u64>,
}

impl TokenCounts {
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cache_read: self.cache_read.or(other.cache_read),
            cache_write: self.cache_write.or(other.cache_write),
        }
    }
}

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(pub(crate) Regex);

impl Pattern {
    pub(crate) fn first(&self, text: &str) -> Option<String> {
        let found = self.0.captures(text)?;
        found.get(1).or_else(|| found.get(0)).map(|m| m.as_str().to_owned())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Regex::new(&text).map(Self).map_err(|e| D::Error::custom(format!("not a regular expression: {e}")))
    }
}

/// A length of time: a whole number and a unit, `200ms`, `30s`, `5m` or `1h`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let amount = text[..digits].parse::<u64>().ok();
        let milliseconds = match text[digits..].trim() {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        amount
            .zip(milliseconds)
            .and_then(|(amount, unit)| amount.checked_mul(unit))
            .map(|total| Self(Duration::from_millis(total)))
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no length of time; write 200ms, 30s, 5m or 1h")))
    }
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}
