//! Measuring two things turn by turn, and saying how they compare.

use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Times of one thing.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that a part of them stays below: 0.5 for the median.
    fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
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

/// Ours beside its anchor.
#[derive(Debug, Serialize)]
pub struct Row {
    /// What was measured, such as `sandbox/exec`.
    pub name: &'static str,
    /// What it is compared with.
    pub anchor: &'static str,
    /// The goal: the ratio stays below it.
    pub goal: f64,
    /// Median of ours, in milliseconds.
    pub ours_ms: f64,
    /// 95th percentile of ours, in milliseconds.
    pub ours_p95_ms: f64,
    /// Median of the anchor, in milliseconds.
    pub anchor_ms: f64,
    /// Ours divided by the anchor, medians.
    pub ratio: f64,
    /// How often each was measured.
    pub repetitions: usize,
}

impl Row {
    /// Compares two series.
    pub fn new(name: &'static str, anchor: &'static str, goal: f64, ours: &Times, anchored: &Times) -> Self {
        let (median, other) = (ours.quantile(0.5), anchored.quantile(0.5));
        Self {
            name,
            anchor,
            goal,
            ours_ms: millis(median),
            ours_p95_ms: millis(ours.quantile(0.95)),
            anchor_ms: millis(other),
            ratio: median.as_secs_f64() / other.as_secs_f64().max(f64::MIN_POSITIVE),
            repetitions: ours.0.len(),
        }
    }

    /// The line above all rows.
    pub fn headings() -> String {
        format!(
            "{:<22} {:>10} {:>10} {:>10} {:>8} {:>8}  {}",
            "what", "median ms", "p95 ms", "anchor ms", "ratio", "goal", "anchor"
        )
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.ratio <= self.goal { ' ' } else { '!' };
        write!(
            f,
            "{:<22} {:>10.3} {:>10.3} {:>10.3} {:>8.2}{mark}{:>8}  {} (n = {})",
            self.name,
            self.ours_ms,
            self.ours_p95_ms,
            self.anchor_ms,
            self.ratio,
            format!("≤ {}", self.goal),
            self.anchor,
            self.repetitions
        )
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared() {
        let series = |millis: &[u64]| Times(millis.iter().map(|it| Duration::from_millis(*it)).collect());
        let row = Row::new("a", "b", 2.0, &series(&[9, 4, 100]), &series(&[3, 1, 50]));
        assert!((row.ratio - 3.0).abs() < 1e-9 && (row.ours_p95_ms - 100.0).abs() < 1e-9, "{row}");
        assert!(row.to_string().contains("3.00!"), "{row}");
    }
}
