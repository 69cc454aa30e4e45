//! What came of all cases.

use faults::{
    checks::Up,
    play::Played,
    points::{ERRORS, POINTS},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

/// The sum of all cases so far.
pub struct Report {
    begun: Instant,
    history: bool,
    cases: usize,
    kills: usize,
    real_kills: usize,
    modes: BTreeMap<String, usize>,
    hit: BTreeMap<&'static str, usize>,
    reached: BTreeMap<String, u64>,
    overruns: BTreeMap<Up, Vec<Duration>>,
    violations: Vec<Value>,
}

impl Report {
    /// Of nothing yet.
    pub fn new(history: bool) -> Self {
        Self {
            begun: Instant::now(),
            history,
            cases: 0,
            kills: 0,
            real_kills: 0,
            modes: BTreeMap::new(),
            hit: BTreeMap::new(),
            reached: BTreeMap::new(),
            overruns: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// Takes a case in, and says a line about it.
    pub fn add(&mut self, played: Played) {
        self.cases += 1;
        let kills = played.happened.iter().filter(|(_, mode)| mode.kills()).count();
        self.kills += kills;
        self.real_kills += if played.case.real { kills } else { 0 };
        for (point, mode) in &played.happened {
            *self.hit.entry(point).or_default() += 1;
            let name = format!("{mode:?}");
            *self.modes.entry(name.split('(').next().unwrap_or_default().to_lowercase()).or_default() += 1;
        }
        for (point, times) in played.reached {
            *self.reached.entry(point).or_default() += times;
        }
        for overrun in played.overruns {
            self.overruns.entry(overrun.up).or_default().push(overrun.by);
        }
        if self.history {
            for entry in &played.history {
                println!("{}", serde_json::to_string(entry).unwrap_or_default());
            }
        }
        let case = &played.case;
        let seconds = played.took.as_secs_f32();
        let agent = if case.real { ", Claude Code" } else { "" };
        let points: Vec<_> = played.happened.iter().map(|(point, mode)| format!("{point} {mode:?}")).collect();
        println!("{:>5} {:?}{agent}: {kills} kills in {seconds:.1} s: {}", case.seed, case.scenario, points.join(", "));
        for violation in &played.violations {
            println!("      VIOLATION {violation}");
        }
        if !played.violations.is_empty() {
            println!("      again: {}", case.replay());
            for fault in &case.faults {
                println!("      planned: {fault}");
            }
            if let Some(kept) = &played.kept {
                println!("      kept: {}", kept.display());
            }
            self.violations.push(json!({
                "seed": case.seed, "again": case.replay(), "violations": played.violations,
            }));
        }
    }

    /// How many processes were killed; all, or with the real Claude Code.
    pub fn kills(&self, real: bool) -> usize {
        if real { self.real_kills } else { self.kills }
    }

    /// Whether something happened at a point.
    pub fn was_hit(&self, point: &str) -> bool {
        self.hit.contains_key(point)
    }

    /// Whether every promise held.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    fn unhit(&self) -> Vec<&'static str> {
        POINTS.iter().map(|point| point.name).filter(|name| !self.was_hit(name)).collect()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = "\npoint                              struck  reached\n".to_owned();
        for name in POINTS.iter().map(|point| point.name).chain(ERRORS.iter().copied()) {
            let struck = self.hit.get(name).copied().unwrap_or(0);
            let reached = self.reached.get(name).copied().unwrap_or(0);
            let _ = writeln!(text, "{name:<34} {struck:>6} {reached:>8}");
        }
        let _ = writeln!(text, "\nmodes: {:?}", self.modes);
        for (up, spans) in &self.overruns {
            let most = spans.iter().max().copied().unwrap_or_default();
            let limit = up.limit().as_secs();
            let _ = writeln!(
                text,
                "overrun ({up:?}): {} sandboxes, at most {} ms (limit {limit} s)",
                spans.len(),
                most.as_millis()
            );
        }
        let missed = self.unhit();
        if !missed.is_empty() {
            let _ = writeln!(text, "never struck: {}", missed.join(", "));
        }
        let seconds = self.begun.elapsed().as_secs();
        let _ = writeln!(
            text,
            "{} kills ({} with Claude Code) in {} cases, {} of {} points, {} min {} s: {} cases with violations",
            self.kills,
            self.real_kills,
            self.cases,
            POINTS.len() - missed.len(),
            POINTS.len(),
            seconds / 60,
            seconds % 60,
            self.violations.len()
        );
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let overruns: Vec<_> = self
            .overruns
            .iter()
            .map(|(up, spans)| {
                let most = spans.iter().max().map_or(0, Duration::as_millis);
                json!({"up": format!("{up:?}"), "count": spans.len(), "most_ms": u64::try_from(most).unwrap_or(0)})
            })
            .collect();
        json!({
            "kills": self.kills, "with_claude_code": self.real_kills, "cases": self.cases,
            "seconds": self.begun.elapsed().as_secs(), "modes": self.modes, "struck": self.hit,
            "reached": self.reached, "never_struck": self.unhit(), "overruns": overruns,
            "violations": self.violations,
        })
    }
}
