//! Writing a runbook from a structured plan.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::check::check_plan;
use crate::diagnostic::{Code, Diagnostic, has_errors};
use crate::duration::{format_duration, parse_duration};
use crate::heading::Tag;
use crate::model::Document;

/// A plan as an agent submits it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What it is called.
    pub title: String,
    /// What it achieves: context for every step. Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub intro: String,
    /// Summary of changes, one bullet each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub summary: Vec<String>,
    /// In the order of execution.
    pub steps: Vec<PlanStep>,
    /// Manual testing plan, one bullet each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual_testing: Vec<String>,
}

/// A top-level step of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStep {
    /// What it does, in one line.
    pub title: String,
    /// Tags; useful where there are no substeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// When to execute a conditional step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Context for this step and its substeps. Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Details, one bullet each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bullets: Vec<String>,
    /// Run after the last substep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<PlanCheck>,
    /// In the order of execution.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substeps: Vec<PlanSubstep>,
}

/// A substep of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSubstep {
    /// What it does, in one line.
    pub title: String,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// When to execute a conditional substep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What is to be done. Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Details, one bullet each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bullets: Vec<String>,
    /// Run when the agent says it is done; they decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<PlanCheck>,
}

/// A check of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanCheck {
    /// Unique within the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A bash script; exit code 0 means success.
    pub script: String,
    /// Time limit, as in `90s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// The JSON Schema (draft 2020-12) of [`Plan`], for a tool that an agent calls with one.
pub fn plan_schema() -> serde_json::Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    let list = |items: serde_json::Value, about: &str| json!({"type": "array", "items": items, "description": about});
    let bullets = |about: &str| list(json!({"type": "string"}), about);
    let object = |required: &[&str], properties: serde_json::Value| json!({"type": "object", "additionalProperties": false, "required": required, "properties": properties});
    let tags = json!({
        "type": "array",
        "items": {"enum": Tag::ALL},
        "description": "no-code-change: finishes without a change; conditional: the agent decides by `condition`; \
                        manual: a person marks it done",
    });
    let check = object(
        &["script"],
        json!({
            "name": text("Unique within the plan"),
            "script": text("A bash script; exit code 0 means success"),
            "timeout": text("Time limit, as in 90s or 5m"),
        }),
    );
    let substep = object(
        &["title"],
        json!({
            "title": text("What it does, in one line; unique within its step"),
            "tags": tags,
            "condition": text("When to execute a conditional substep, one line"),
            "description": text("What is to be done: Markdown prose without headings"),
            "bullets": bullets("Details"),
            "checks": list(check.clone(), "Run when the substep is done; they decide whether it succeeded"),
        }),
    );
    let step = object(
        &["title"],
        json!({
            "title": text("What it does, in one line; unique within the plan"),
            "tags": tags,
            "condition": text("When to execute a conditional step, one line"),
            "context": text("Context for its substeps: Markdown prose without headings"),
            "bullets": bullets("Details"),
            "checks": list(check, "Run after the last substep"),
            "substeps": list(substep, "What is executed, in order; none where the step itself is executed"),
        }),
    );
    object(
        &["title", "steps"],
        json!({
            "title": text("What the change is, in one line"),
            "intro": text("What it achieves: Markdown prose without headings"),
            "summary": bullets("Summary of changes"),
            "steps": list(step, "One reviewable change each, in order"),
            "manual_testing": bullets("What a person should try by hand"),
        }),
    )
}

/// Writes a plan as a canonical runbook that checks without error and has exactly the plan's steps and checks.
///
/// Fails with everything that is wrong; places are those of the text that would have been written.
pub fn write_plan(plan: &Plan) -> Result<Document, Vec<Diagnostic>> {
    let document = Document::parse(to_markdown(plan));
    let mut found = check_plan(&document);
    structure(plan, &document, &mut found);
    if has_errors(&found) { Err(found) } else { Ok(document) }
}

fn to_markdown(plan: &Plan) -> String {
    let mut out = Writer::default();
    out.heading("# Runbook: ", &plan.title);
    out.prose(&plan.intro);
    if !plan.summary.is_empty() {
        out.heading("## Summary of changes", "");
        out.bullets(&plan.summary);
    }
    out.heading("## Execution Steps", "");
    for (i, step) in plan.steps.iter().enumerate() {
        out.heading(&format!("### Step {}: ", i + 1), &label(&step.tags, &step.title));
        out.condition(step.condition.as_deref());
        out.prose(&step.context);
        out.bullets(&step.bullets);
        out.checks(&step.checks);
        for (k, substep) in step.substeps.iter().enumerate() {
            out.heading(&format!("#### {}.{}: ", i + 1, k + 1), &label(&substep.tags, &substep.title));
            out.condition(substep.condition.as_deref());
            out.prose(&substep.description);
            out.bullets(&substep.bullets);
            out.checks(&substep.checks);
        }
    }
    if !plan.manual_testing.is_empty() {
        out.heading("## Manual testing plan", "");
        out.bullets(&plan.manual_testing);
    }
    out.0
}

fn label(tags: &[Tag], title: &str) -> String {
    let tags = tags.iter().map(|t| format!("[{}]", t.word()));
    tags.chain([title.to_owned()]).collect::<Vec<_>>().join(" ")
}

/// Paragraphs of the text, each followed by nothing; a blank line goes before all but the first.
#[derive(Default)]
struct Writer(String);

impl Writer {
    fn gap(&mut self) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
    }

    fn heading(&mut self, prefix: &str, words: &str) {
        self.gap();
        let line = format!("{prefix}{}", one_line(words));
        let _ = writeln!(self.0, "{}", line.trim_end());
    }

    fn prose(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n");
        let text = text.trim_matches('\n').trim_end();
        if !text.trim().is_empty() {
            self.gap();
            let _ = writeln!(self.0, "{text}");
        }
    }

    fn condition(&mut self, condition: Option<&str>) {
        if let Some(condition) = condition {
            self.prose(&format!("**{}**", one_line(condition).trim_matches('*')));
        }
    }

    /// Further lines of a bullet follow a backslash, so that they stay lines.
    fn bullets(&mut self, bullets: &[String]) {
        if bullets.is_empty() {
            return;
        }
        self.gap();
        for bullet in bullets {
            let bullet = bullet.trim();
            let text = bullet.strip_prefix("- ").unwrap_or(bullet);
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
            let _ = writeln!(self.0, "- {}", lines.join("\\\n  "));
        }
    }

    fn checks(&mut self, checks: &[PlanCheck]) {
        for check in checks {
            let script = script_lines(&check.script);
            let fence = "`".repeat(longest_run(&script, '`').max(2) + 1);
            let name = check.name.as_deref().map(|n| format!(" name={}", quoted(n))).unwrap_or_default();
            let limit =
                check.timeout.as_deref().map(|t| format!(" timeout={}", quoted(&canonical(t)))).unwrap_or_default();
            self.gap();
            let _ = writeln!(self.0, "{fence}runnable bash check{name}{limit}\n{script}\n{fence}");
        }
    }
}

fn canonical(timeout: &str) -> String {
    parse_duration(timeout.trim()).as_ref().map_or_else(|_| timeout.to_owned(), |d: &Duration| format_duration(*d))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An attribute value; what no quotes can hold is left for the comparison with the plan to find.
fn quoted(value: &str) -> String {
    let value = one_line(value);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    if !value.is_empty() && value.chars().all(plain) {
        value
    } else if value.contains('"') {
        format!("'{value}'")
    } else {
        format!("\"{value}\"")
    }
}

/// A script as it stands between fences.
fn script_lines(script: &str) -> String {
    script.replace("\r\n", "\n").trim_matches('\n').to_owned()
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

/// Compares what was read with what was meant: a description may hold headings, a script may be cut short.
fn structure(plan: &Plan, document: &Document, found: &mut Vec<Diagnostic>) {
    let mut expected = Vec::new();
    for (i, step) in plan.steps.iter().enumerate() {
        expected.push((format!("{}", i + 1), &step.tags, &step.title, &step.checks));
        for (k, sub) in step.substeps.iter().enumerate() {
            expected.push((format!("{}.{}", i + 1, k + 1), &sub.tags, &sub.title, &sub.checks));
        }
    }
    let help = "keep headings out of descriptions, close fences and comments, and give plain titles";
    let mut report = |span, message| {
        found.push(document.diagnostic(Code::PlanStructure, span, message, help.to_owned()));
    };
    if document.title() != Some(one_line(&plan.title).as_str()) {
        report(0..0, format!("the title \"{}\" would be read as something else", one_line(&plan.title)));
    }
    let mut steps = document.steps().iter();
    for (number, tags, title, checks) in expected {
        let Some(step) = steps.next() else {
            let end = document.text().len();
            report(end..end, format!("step {number} would be part of another"));
            return;
        };
        let same = step.number.to_string() == number && step.tags == *tags && step.title == one_line(title);
        if !same {
            report(step.heading.clone(), format!("step {number} would be read as \"{}: {}\"", step.number, step.title));
            return;
        }
        let written = document.blocks_in(&step.body).iter().filter(|b| b.is_check());
        let written = written.filter_map(|b| Some((b.runnable()?.attributes.name.clone(), b.body.clone())));
        let meant = checks.iter().map(|c| (c.name.as_deref().map(one_line), script_lines(&c.script) + "\n"));
        if !written.eq(meant) {
            report(step.heading.clone(), format!("the checks of step {number} would be read as others"));
        }
    }
    if let Some(step) = steps.next() {
        report(step.heading.clone(), format!("\"{}: {}\" would be a step of its own", step.number, step.title));
    }
}
