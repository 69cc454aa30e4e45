//! How much a session or a step may use.

use crate::{MicroUsd, Usage};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Limits; an absent one does not bind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Money.
    pub cost: Option<MicroUsd>,
    /// Tokens of all kinds.
    pub tokens: Option<i64>,
    /// Time spent working, in seconds.
    pub seconds: Option<u64>,
}

/// The limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exceeded {
    /// The money is spent.
    Cost(MicroUsd),
    /// The tokens are used up.
    Tokens(i64),
    /// The time is over, in seconds.
    Seconds(u64),
}

impl Budget {
    /// The first limit that `usage` and the time `worked` have reached, if any.
    pub fn exceeded(&self, usage: &Usage, worked: Duration) -> Option<Exceeded> {
        if let Some(limit) = self.cost.filter(|limit| usage.cost >= *limit) {
            return Some(Exceeded::Cost(limit));
        }
        if let Some(limit) = self.tokens.filter(|limit| usage.tokens() >= *limit) {
            return Some(Exceeded::Tokens(limit));
        }
        self.seconds.filter(|limit| worked >= Duration::from_secs(*limit)).map(Exceeded::Seconds)
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost(limit) => write!(f, "the budget of {limit} is spent"),
            Self::Tokens(limit) => write!(f, "the budget of {limit} tokens is used up"),
            Self::Seconds(limit) => write!(f, "the time budget of {limit} s is over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_binds_at_its_limit_and_an_empty_one_never() {
        let usage = Usage { input: 600, output: 400, cost: MicroUsd(5), ..Usage::default() };
        assert_eq!(Budget::default().exceeded(&usage, Duration::MAX), None);
        let tokens = Budget { tokens: Some(1000), ..Budget::default() };
        assert_eq!(tokens.exceeded(&usage, Duration::ZERO), Some(Exceeded::Tokens(1000)));
        let cost = Budget { cost: Some(MicroUsd(6)), ..Budget::default() };
        assert_eq!(cost.exceeded(&usage, Duration::ZERO), None);
    }
}
