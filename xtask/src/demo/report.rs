//! What was done and how long each part took, read from the session's event log and from git.

use super::{column, heading, stage::Stage};
use crate::shell;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Default, PartialEq)]
pub struct Report {
    planning: Duration,
    top_level: usize,
    version: i64,
    steps: Vec<Step>,
    changes: Vec<Change>,
    diffs: Vec<String>,
    stack: Vec<String>,
    tools: usize,
}

#[derive(Debug, Default, PartialEq)]
struct Step {
    number: String,
    title: String,
    took: Duration,
    completed: bool,
    checks: Vec<Check>,
}

#[derive(Debug, PartialEq)]
struct Check {
    name: String,
    exit_code: Option<i64>,
    took: Duration,
    tail: String,
}

#[derive(Debug, PartialEq)]
struct Change {
    branch: String,
    number: i64,
    title: String,
}

#[derive(Deserialize)]
struct Event {
    /// Microseconds since 1970.
    at: i64,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Payload {
    PlanVersion {
        version: i64,
        top_level: usize,
    },
    StepState {
        step: String,
        number: String,
        title: String,
        state: String,
    },
    ToolStarted {},
    CheckResult {
        step: Option<String>,
        name: String,
        exit_code: Option<i64>,
        duration_ms: u64,
        tail: String,
    },
    ChangeState {
        branch: String,
        pull_request: Option<i64>,
        title: String,
    },
    #[serde(other)]
    Other,
}

impl Report {
    /// Reads the log of session 1.
    pub fn read(stage: &Stage) -> Result<Self> {
        let log = shell::capture(&mut stage.runyard(["session", "log", "1", "--json"]))?;
        let mut report = Self::of_log(&log)?;
        let mut base = "main".to_owned();
        for change in &report.changes {
            report.diffs.push(stage.git(["diff", &format!("{base}...{}", change.branch)])?);
            report.stack.push(stage.git(["rev-list", "--count", &format!("{base}..{}", change.branch)])?);
            base.clone_from(&change.branch);
        }
        Ok(report)
    }

    fn of_log(log: &str) -> Result<Self> {
        let mut report = Self::default();
        let mut started: BTreeMap<String, i64> = BTreeMap::new();
        let mut ids: Vec<String> = Vec::new();
        let mut first = None;
        for line in log.lines() {
            let event: Event =
                serde_json::from_str(line).with_context(|| format!("failed to read the event {line}"))?;
            let first = *first.get_or_insert(event.at);
            match event.payload {
                Payload::PlanVersion { version, top_level } => {
                    (report.version, report.top_level) = (version, top_level);
                    report.planning = between(first, event.at);
                }
                Payload::StepState { step, number, title, state } => {
                    let at = ids.iter().position(|id| *id == step).unwrap_or_else(|| {
                        ids.push(step.clone());
                        report.steps.push(Step { number, title, ..Step::default() });
                        ids.len() - 1
                    });
                    match state.as_str() {
                        "in_progress" => {
                            started.insert(step, event.at);
                        }
                        "completed" => {
                            report.steps[at].completed = true;
                            report.steps[at].took =
                                started.get(&step).map_or(Duration::ZERO, |from| between(*from, event.at));
                        }
                        _ => {}
                    }
                }
                Payload::ToolStarted {} => report.tools += 1,
                Payload::CheckResult { step, name, exit_code, duration_ms, tail } => {
                    let at = step.and_then(|step| ids.iter().position(|id| *id == step));
                    if let Some(at) = at {
                        let took = Duration::from_millis(duration_ms);
                        report.steps[at].checks.push(Check { name, exit_code, took, tail });
                    }
                }
                Payload::ChangeState { branch, pull_request: Some(number), title } => {
                    report.changes.retain(|change| change.branch != branch);
                    report.changes.push(Change { branch, number, title });
                }
                Payload::ChangeState { .. } | Payload::Other => {}
            }
        }
        report.changes.sort_by_key(|change| change.number);
        Ok(report)
    }

    /// What is missing from what the demo promises to show.
    pub fn lack(&self) -> Option<String> {
        let checked = |step: &Step| step.checks.last().is_some_and(|check| check.exit_code == Some(0));
        if self.top_level != 2 {
            return Some(format!("a plan of two steps (it has {})", self.top_level));
        }
        if self.steps.len() != 2 || self.steps.iter().any(|step| !step.completed) {
            return Some("two completed steps".to_owned());
        }
        if let Some(step) = self.steps.iter().find(|step| !checked(step)) {
            return Some(format!("a passing check of step {}", step.number));
        }
        if self.changes.len() != 2 || self.diffs.iter().any(String::is_empty) {
            return Some("two pull requests, each with a diff".to_owned());
        }
        if self.stack.iter().any(|commits| commits.trim() != "1") {
            return Some("a stack in which each pull request adds one commit to the one below".to_owned());
        }
        None
    }

    /// Shows it.
    pub fn print(&self, spent: &[(&str, Duration)]) {
        println!("{}", heading("What was done"));
        let plan = format!("planned {} steps with the agent (runbook version {})", self.top_level, self.version);
        println!("{}  {plan}", column(self.planning));
        for step in &self.steps {
            let mark = if step.completed { shell::good("✓") } else { shell::bad("✗") };
            println!("{}  {mark} step {}: {}", column(step.took), step.number, step.title);
            for check in &step.checks {
                println!("{}    {}", column(check.took), check.line());
            }
        }
        println!("{}  {} tool calls by the real Claude Code, inside the sandbox", " ".repeat(12), self.tools);

        let mut base = "main";
        for (change, diff) in self.changes.iter().zip(&self.diffs) {
            println!("{}", heading(&format!("Pull request #{}: {}", change.number, change.title)));
            println!("{}", shell::faint(&format!("{base} ← {}", change.branch)));
            print!("{}", painted(diff));
            base = &change.branch;
        }

        println!("{}", heading("Evidence"));
        for (step, check) in self.steps.iter().flat_map(|step| step.checks.iter().map(move |check| (step, check))) {
            println!("step {}  {}", step.number, check.line());
            for line in check.tail.lines() {
                println!("{}", shell::faint(&format!("        {line}")));
            }
        }

        println!("{}", heading("Time"));
        for (what, time) in spent {
            println!("{}  {what}", column(*time));
        }
        println!("{}  in all", column(spent.iter().map(|(_, time)| *time).sum()));
    }
}

impl Check {
    fn line(&self) -> String {
        let code = self.exit_code.map_or("killed".to_owned(), |code| format!("exit code {code}"));
        let code = if self.exit_code == Some(0) { shell::good(&code) } else { shell::bad(&code) };
        format!("check `{}`: {code}", self.name)
    }
}

fn between(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

fn painted(diff: &str) -> String {
    let mut text = String::new();
    let noise = ["diff --git", "index ", "new file mode", "old mode", "new mode"];
    for line in diff.lines().filter(|line| !noise.iter().any(|it| line.starts_with(it))) {
        let line = match line.chars().next() {
            _ if line.starts_with("+++") || line.starts_with("---") || line.starts_with("@@") => shell::faint(line),
            Some('+') => shell::good(line),
            Some('-') => shell::bad(line),
            _ => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"session":"s","number":1,"at":1000000,"payload":{"type":"message","text":"Do it"}}
{"session":"s","number":2,"at":4000000,"payload":{"type":"plan_version","version":1,"top_level":1,"leaves":1}}
{"session":"s","number":3,"at":4000000,"payload":{"type":"step_state","step":"a","number":"1","title":"One","state":"queued"}}
{"session":"s","number":4,"at":5000000,"payload":{"type":"step_state","step":"a","number":"1","title":"One","state":"in_progress"}}
{"session":"s","number":5,"at":6000000,"payload":{"type":"tool_started","tool":"Bash"}}
{"session":"s","number":6,"at":7000000,"payload":{"type":"check_result","step":"a","name":"tests","exit_code":0,"duration_ms":120,"tail":"ok"}}
{"session":"s","number":7,"at":7500000,"payload":{"type":"step_state","step":"a","number":"1","title":"One","state":"completed","reason":"changed"}}
{"session":"s","number":8,"at":8000000,"payload":{"type":"change_state","branch":"runyard/1","pull_request":1,"title":"One"}}"#;

    #[test]
    fn a_log_becomes_a_report() {
        let report = Report::of_log(LOG).unwrap();
        assert_eq!((report.planning, report.top_level, report.tools), (Duration::from_secs(3), 1, 1));
        let step = &report.steps[0];
        assert_eq!((step.took, step.completed), (Duration::from_millis(2500), true));
        assert_eq!(step.checks[0].exit_code, Some(0));
        assert_eq!(report.changes, [Change { branch: "runyard/1".into(), number: 1, title: "One".into() }]);
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut report = Report { top_level: 2, ..Report::default() };
        assert_eq!(report.lack().as_deref(), Some("two completed steps"));
        let step = || Step {
            completed: true,
            checks: vec![Check { name: "t".into(), exit_code: Some(0), took: Duration::ZERO, tail: String::new() }],
            ..Step::default()
        };
        report.steps = vec![step(), step()];
        assert_eq!(report.lack().as_deref(), Some("two pull requests, each with a diff"));
        let change = |number| Change { branch: String::new(), number, title: String::new() };
        report.changes = vec![change(1), change(2)];
        report.diffs = vec!["+a".into(), "+b".into()];
        report.stack = vec!["1\n".into(), "1\n".into()];
        assert_eq!(report.lack(), None);
        report.steps[1].checks[0].exit_code = Some(1);
        assert!(report.lack().is_some_and(|lack| lack.contains("passing check")));
    }
}
