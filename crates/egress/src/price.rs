//! What tokens cost.

use domain::MicroUsd;
use serde::Deserialize;

/// Prices of the models whose names begin with `prefix`, in US dollars for a million tokens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Beginning of the model's name.
    pub prefix: String,
    /// Input that no cache held.
    pub input: f64,
    /// Output.
    pub output: f64,
}

/// Prices by model. The longest fitting prefix counts; a model that none fits costs as much as the dearest.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceTable {
    prices: Vec<Price>,
}

/// Tokens of one call, in the vendor's kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: i64,
    pub(crate) output: i64,
    pub(crate) cache_read: i64,
    /// All writes to the cache, those for an hour included.
    pub(crate) cache_write: i64,
    pub(crate) cache_write_hour: i64,
    pub(crate) web_searches: i64,
}

/// The vendor's public price list, <https://docs.claude.com/en/docs/about-claude/pricing>.
const VENDOR_LIST: [(&str, f64, f64); 11] = [
    ("claude-opus", 5.0, 25.0),
    ("claude-opus-4-0", 15.0, 75.0),
    ("claude-opus-4-1", 15.0, 75.0),
    ("claude-opus-4-2025", 15.0, 75.0),
    ("claude-sonnet", 3.0, 15.0),
    ("claude-haiku", 1.0, 5.0),
    ("claude-3-7-sonnet", 3.0, 15.0),
    ("claude-3-5-sonnet", 3.0, 15.0),
    ("claude-3-5-haiku", 0.8, 4.0),
    ("claude-3-haiku", 0.25, 1.25),
    ("claude-3-opus", 15.0, 75.0),
];

/// Same source: parts of the input price, and dollars for a thousand searches.
const CACHE_READ: f64 = 0.1;
const CACHE_WRITE: f64 = 1.25;
const CACHE_WRITE_HOUR: f64 = 2.0;
const MICROS_PER_WEB_SEARCH: f64 = 10_000.0;

impl Default for PriceTable {
    fn default() -> Self {
        let price = |(prefix, input, output): (&str, f64, f64)| Price { prefix: prefix.to_owned(), input, output };
        Self { prices: VENDOR_LIST.map(price).to_vec() }
    }
}

impl PriceTable {
    /// The vendor's list with these entries added; an entry with a known prefix replaces it.
    #[must_use]
    pub fn with(mut self, overrides: impl IntoIterator<Item = Price>) -> Self {
        for price in overrides {
            self.prices.retain(|known| known.prefix != price.prefix);
            self.prices.push(price);
        }
        self
    }

    pub(crate) fn cost(&self, model: &str, tokens: Tokens) -> MicroUsd {
        let fitting = self.prices.iter().filter(|price| model.starts_with(&price.prefix));
        let dearest = || self.prices.iter().max_by(|a, b| a.output.total_cmp(&b.output));
        let Some(price) = fitting.max_by_key(|price| price.prefix.len()).or_else(dearest) else {
            return MicroUsd(0);
        };
        // A dollar for a million tokens is a micro-dollar for one.
        let of = |tokens: i64, factor: f64| count(tokens) * factor;
        let input = of(tokens.input, 1.0)
            + of(tokens.cache_read, CACHE_READ)
            + of(tokens.cache_write - tokens.cache_write_hour, CACHE_WRITE)
            + of(tokens.cache_write_hour, CACHE_WRITE_HOUR);
        let micros =
            input * price.input + of(tokens.output, price.output) + of(tokens.web_searches, MICROS_PER_WEB_SEARCH);
        MicroUsd(whole(micros))
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts stay far below 2^52")]
fn count(tokens: i64) -> f64 {
    tokens.max(0) as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates, and a cost that large ends every budget")]
fn whole(micros: f64) -> i64 {
    // Sums such as 0.1 + 0.2 must not round a whole number up.
    (micros - 1e-6).ceil().max(0.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(model: &str, tokens: Tokens) -> i64 {
        PriceTable::default().cost(model, tokens).0
    }

    #[test]
    fn the_longest_prefix_counts() {
        let million = Tokens { input: 1_000_000, output: 1_000_000, ..Tokens::default() };
        assert_eq!(cost("claude-opus-4-8", million), 30_000_000);
        assert_eq!(cost("claude-opus-4-1-20250805", million), 90_000_000);
        assert_eq!(cost("claude-sonnet-4-5", million), 18_000_000);
        assert_eq!(cost("claude-haiku-4-5-20251001", million), 6_000_000);
        assert_eq!(cost("claude-3-haiku-20240307", million), 1_500_000);
    }

    #[test]
    fn an_unknown_model_costs_as_much_as_the_dearest() {
        assert_eq!(cost("mystery", Tokens { output: 1_000_000, ..Tokens::default() }), 75_000_000);
    }

    #[test]
    fn caches_and_searches_have_their_own_prices_and_fractions_round_up() {
        let tokens = Tokens { cache_read: 1000, cache_write: 1000, cache_write_hour: 400, ..Tokens::default() };
        assert_eq!(cost("claude-sonnet-5", tokens), 300 + 2250 + 2400);
        assert_eq!(cost("claude-sonnet-5", Tokens { cache_read: 1, ..Tokens::default() }), 1);
        assert_eq!(cost("claude-sonnet-5", Tokens { cache_read: 10, ..Tokens::default() }), 3);
        assert_eq!(cost("claude-sonnet-5", Tokens { web_searches: 2, ..Tokens::default() }), 20_000);
    }

    #[test]
    fn configuration_goes_before_the_list() {
        let table = PriceTable::default().with([Price { prefix: "claude-opus".into(), input: 1.0, output: 2.0 }]);
        let tokens = Tokens { input: 10, output: 10, ..Tokens::default() };
        assert_eq!(table.cost("claude-opus-9", tokens), MicroUsd(30));
    }
}
