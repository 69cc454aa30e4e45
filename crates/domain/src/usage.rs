//! What was used: tokens and money.

use serde::{Deserialize, Serialize};
use std::{fmt, ops::AddAssign};

/// Money in millionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub i64);

impl fmt::Display for MicroUsd {
    /// Dollars and cents; amounts below a cent with four digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        if micros != 0 && micros < 10_000 {
            write!(f, "{sign}$0.{:04}", micros.div_ceil(100))
        } else {
            let cents = (micros + 5_000) / 10_000;
            write!(f, "{sign}${}.{:02}", cents / 100, cents % 100)
        }
    }
}

/// Tokens by kind, and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, without cached ones.
    pub input: i64,
    /// Tokens written.
    pub output: i64,
    /// Tokens read from the cache.
    pub cache_read: i64,
    /// Tokens written to the cache.
    pub cache_write: i64,
    /// What all of it costs.
    pub cost: MicroUsd,
}

impl Usage {
    /// All tokens that were read or written.
    pub fn tokens(&self) -> i64 {
        self.input.saturating_add(self.output).saturating_add(self.cache_read).saturating_add(self.cache_write)
    }

    /// What came on top of `earlier`, never negative: agents report running totals that start again at zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = |now: i64, then: i64| now.saturating_sub(then).max(0);
        Self {
            input: more(self.input, earlier.input),
            output: more(self.output, earlier.output),
            cache_read: more(self.cache_read, earlier.cache_read),
            cache_write: more(self.cache_write, earlier.cache_write),
            cost: MicroUsd(more(self.cost.0, earlier.cost.0)),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
        self.cost = MicroUsd(self.cost.0.saturating_add(more.cost.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_as_people_write_it() {
        for (micros, text) in [
            (0, "$0.00"),
            (42, "$0.0001"),
            (9_180, "$0.0092"),
            (420_000, "$0.42"),
            (1_999_999, "$2.00"),
            (-420_000, "-$0.42"),
        ] {
            assert_eq!(MicroUsd(micros).to_string(), text);
        }
    }
}
