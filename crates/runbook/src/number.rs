//! Step numbers: `1`, `1.2`, `1.2.3`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The deepest numbering that a runbook may use (`1.2.3`).
pub const MAX_DEPTH: usize = 3;

/// The number of a step, from the outermost part inwards; never empty.
///
/// Written and serialised with dots: `1.2`. Ordered as a reader would: `1 < 1.1 < 1.2 < 2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepNumber(Vec<u32>);

impl StepNumber {
    /// A top-level number.
    pub fn top(n: u32) -> Self {
        Self(vec![n])
    }

    /// The number of this step's `k`-th substep.
    #[must_use]
    pub fn child(&self, k: u32) -> Self {
        let mut parts = self.0.clone();
        parts.push(k);
        Self(parts)
    }

    /// The number without its last part; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let (_, prefix) = self.0.split_last()?;
        (!prefix.is_empty()).then(|| Self(prefix.to_vec()))
    }

    /// How many parts it has: 1 for `2`, 2 for `2.1`.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    /// The innermost part: 3 for `1.3`.
    pub fn last(&self) -> u32 {
        self.0.last().copied().unwrap_or_default()
    }

    /// All parts, outermost first.
    pub fn parts(&self) -> &[u32] {
        &self.0
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for StepNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

/// The text is not a step number such as `1` or `1.2`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a step number such as 1 or 1.2")]
pub struct BadStepNumber(pub String);

impl FromStr for StepNumber {
    type Err = BadStepNumber;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |p: &str| {
            let digits = !p.is_empty() && p.len() <= 9 && p.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| p.parse().ok()).flatten()
        };
        let parts: Option<Vec<u32>> = text.split('.').map(part).collect();
        parts.filter(|p| !p.is_empty() && p.len() <= 16).map(Self).ok_or_else(|| BadStepNumber(text.to_owned()))
    }
}

impl Serialize for StepNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_dotted_numbers() {
        for text in ["1", "1.2", "10.20.30"] {
            assert_eq!(text.parse::<StepNumber>().unwrap().to_string(), text);
        }
        for text in ["", ".", "1.", ".1", "a", "1.a", "-1", "1 ", "9999999999"] {
            assert!(text.parse::<StepNumber>().is_err(), "{text}");
        }
    }

    #[test]
    fn order_is_reading_order() {
        let mut numbers: Vec<StepNumber> =
            ["2", "1.2", "10", "1", "1.10", "1.1.1", "1.1"].map(|n| n.parse().unwrap()).into();
        numbers.sort();
        let sorted: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        assert_eq!(sorted, ["1", "1.1", "1.1.1", "1.2", "1.10", "2", "10"]);
    }
}
