//! Measuring two things turn by turn, and saying how they compare.

use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Measurements of one thing, of one unit.
#[derive(Debug, Clone, Default)]
pub struct Series(Vec<f64>);

impl Series {
    /// One more time, in milliseconds.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1000.0);
    }

    /// One more number.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value that a part of them stays below: 0.5 for the median.
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in a short list"
        )]
        let place = ((sorted.len().saturating_sub(1)) as f64 * part).round() as usize;
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// What a ratio should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "is", content = "ratio", rename_all = "snake_case")]
pub enum Goal {
    /// For what is to be small: times, memory.
    AtMost(f64),
    /// For what is to be large: rates.
    AtLeast(f64),
}

impl Goal {
    /// Whether a ratio meets it.
    pub fn is_met(self, ratio: f64) -> bool {
        self.strain(ratio) <= 1.0
    }

    /// How far a ratio goes: 1 is just the goal, less is better.
    pub fn strain(self, ratio: f64) -> f64 {
        match self {
            Self::AtMost(most) => ratio / most,
            Self::AtLeast(least) => least / ratio.max(f64::MIN_POSITIVE),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(ratio) => write!(f, "≤ {ratio}"),
            Self::AtLeast(ratio) => write!(f, "≥ {ratio}"),
        }
    }
}

/// What two things are compared as.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// What was measured, such as `sandbox/exec`.
    pub name: &'static str,
    /// What it is compared with.
    pub anchor: &'static str,
    /// The unit of both.
    pub unit: &'static str,
    /// What the ratio should be.
    pub goal: Goal,
}

/// Ours beside its anchor.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured, such as `sandbox/exec`.
    pub name: &'static str,
    /// What it is compared with.
    pub anchor: &'static str,
    /// The unit of both.
    pub unit: &'static str,
    /// What the ratio should be.
    pub goal: Goal,
    /// Median of ours.
    pub ours: f64,
    /// 95th percentile of ours: of times the slow end, of rates the fast one.
    pub ours_p95: f64,
    /// Median of the anchor.
    pub theirs: f64,
    /// Ours divided by the anchor, medians.
    pub ratio: f64,
    /// Whether the goal is met.
    pub met: bool,
    /// How often ours was measured.
    pub repetitions: usize,
}

impl Comparison {
    /// Compares two series.
    pub fn of(self, ours: &Series, theirs: &Series) -> Row {
        let Self { name, anchor, unit, goal } = self;
        let (median, other) = (ours.quantile(0.5), theirs.quantile(0.5));
        let ratio = median / other.max(f64::MIN_POSITIVE);
        Row {
            name,
            anchor,
            unit,
            goal,
            ours: median,
            ours_p95: ours.quantile(0.95),
            theirs: other,
            ratio,
            met: goal.is_met(ratio),
            repetitions: ours.0.len(),
        }
    }

    /// Compares a series with a fixed limit.
    pub fn with(self, ours: &Series, limit: f64) -> Row {
        self.of(ours, &Series(vec![limit]))
    }
}

impl Row {
    /// The line above all rows.
    pub fn headings() -> String {
        format!(
            "{:<26} {:>10} {:>10} {:>10}  {:<6} {:>8} {:>8}  {}",
            "what", "median", "p95", "anchor", "unit", "ratio", "goal", "anchor"
        )
    }
}

/// A number with about three digits that say something.
pub fn short(value: f64) -> String {
    match value.abs() {
        value if value >= 1000.0 => format!("{value:.0}"),
        value if value >= 100.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.met { ' ' } else { '!' };
        write!(
            f,
            "{:<26} {:>10} {:>10} {:>10}  {:<6} {:>8}{mark}{:>8}  {} (n = {})",
            self.name,
            short(self.ours),
            short(self.ours_p95),
            short(self.theirs),
            self.unit,
            short(self.ratio),
            self.goal.to_string(),
            self.anchor,
            self.repetitions
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(goal: Goal, ours: &[f64], theirs: &[f64]) -> Row {
        Comparison { name: "a", anchor: "b", unit: "ms", goal }.of(&Series(ours.to_vec()), &Series(theirs.to_vec()))
    }

    #[test]
    fn medians_are_compared() {
        let row = compared(Goal::AtMost(2.0), &[9.0, 4.0, 100.0], &[3.0, 1.0, 50.0]);
        assert!((row.ratio - 3.0).abs() < 1e-9 && (row.ours_p95 - 100.0).abs() < 1e-9, "{row}");
        assert!(row.to_string().contains("3.00!"), "{row}");
    }

    #[test]
    fn a_rate_should_be_large_and_a_time_small() {
        assert!(compared(Goal::AtMost(2.0), &[2.0], &[1.0]).met);
        assert!(!compared(Goal::AtLeast(3.0), &[2.0], &[1.0]).met);
        assert!((Goal::AtLeast(0.5).strain(0.25) - 2.0).abs() < 1e-9);
    }
}
