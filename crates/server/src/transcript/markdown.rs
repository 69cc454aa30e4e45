//! A session as a Markdown document.
//!
//! What people and agents wrote is Markdown already; it stands in block quotes, so that nothing in it looks like a part
//! of this document.

use super::{name, who};
use crate::time::rfc3339;
use domain::{
    Actor, Answer, ChangeState, Completion, Event, EventPayload, KnowledgeRef, Mode, NoteLevel, Payload, PrMode,
    RequestKind, RunId, RunState, StepState, ToolKind, UserId, is_invisible,
};
use engine::SessionView;
use std::{
    collections::HashMap,
    fmt::{self, Write as _},
};

pub fn begin(view: &SessionView, people: &HashMap<UserId, String>) -> String {
    let mut out = String::new();
    // Nothing can go wrong when a text is written into a text.
    let _ = write_head(&mut out, view, people);
    out
}

fn write_head(out: &mut String, view: &SessionView, people: &HashMap<UserId, String>) -> fmt::Result {
    let session = &view.session;
    writeln!(out, "# {}: {}\n", session.number, line(&session.title))?;
    writeln!(out, "- Repository: {}, onto {}", code(&view.repository), code(session.target_branch.as_str()))?;
    writeln!(out, "- Asked for by {}, {}", line(name(people, session.requester)), rfc3339(session.created_at))?;
    let mode = match session.mode {
        Mode::OneShot => "one shot",
        Mode::Standard => "planned first",
    };
    let pull_requests = match session.pr_mode {
        PrMode::StackedPr => "stacked pull requests",
        PrMode::SinglePr => "a single pull request",
        PrMode::Manual => "pull requests by hand",
    };
    writeln!(out, "- {mode}, {pull_requests}{}", if session.archived { "; archived" } else { "" })?;
    let usage = session.usage;
    writeln!(out, "- Used: {} ({} tokens in, {} out)\n", usage.cost, usage.input, usage.output)?;
    writeln!(out, "## Request\n\n{}\n", quoted(&session.prompt))?;
    if !view.steps.is_empty() {
        writeln!(out, "## Steps\n\n| step | state | pull request | cost |\n| --- | --- | --- | --- |")?;
        for step in &view.steps {
            let pull_request = step.pull_request.map_or_else(String::new, |number| format!("#{number}"));
            let title = line(&step.title);
            let why = step.skip.as_ref().map(|skip| skip.reason.as_str());
            let state = state_words(step.state, why);
            writeln!(out, "| {} {title} | {state} | {pull_request} | {} |", step.number, step.usage.cost)?;
        }
        writeln!(out)?;
    }
    if !view.changes.is_empty() {
        writeln!(out, "## Pull requests\n")?;
        for change in &view.changes {
            let number = change.pull_request.map_or_else(String::new, |number| format!("#{number} "));
            let (title, state) = (line(&change.title), change_words(change.state));
            let (branch, base) = (code(change.branch.as_str()), code(change.base_branch.as_str()));
            writeln!(out, "- {number}{title}: {branch} onto {base}, {state}")?;
        }
        writeln!(out)?;
    }
    if let Some(runbook) = &view.runbook {
        writeln!(out, "## Runbook, version {}\n\n{}\n", runbook.version, fenced(&runbook.text, "markdown"))?;
    }
    writeln!(out, "## What happened")
}

/// What is said, entry by entry.
#[derive(Debug, Default)]
pub struct Talk {
    /// The tools that were called and did not come back yet, by call.
    calls: HashMap<String, String>,
    /// Under whose name the last entry stands.
    last: Option<(Actor, Option<RunId>)>,
}

impl Talk {
    /// The event as Markdown; nothing for what only moves the page.
    pub fn event(&mut self, event: &Event, people: &HashMap<UserId, String>) -> String {
        let Payload::Known(payload) = &event.payload else { return String::new() };
        match payload {
            EventPayload::Message { from, run, text } => {
                format!("{}\n{}\n", self.under(event, (*from, *run), people), quoted(text))
            }
            EventPayload::Question { ask, .. } => {
                format!("{}\n{}\n", self.under(event, (Actor::Agent, None), people), asked(ask))
            }
            EventPayload::Answer { from, answer, .. } => {
                format!("{}\n{}\n", self.under(event, (*from, None), people), answered(answer.as_ref()))
            }
            EventPayload::ToolStarted { call, kind, title, .. } => {
                let verb = if *kind == ToolKind::Execute { "Ran " } else { "" };
                self.calls.insert(call.clone(), format!("{verb}{}", code(title)));
                String::new()
            }
            EventPayload::ToolFinished { run, call, ok, .. } => {
                let what = self.calls.remove(call).unwrap_or_else(|| "a tool".to_owned());
                let under = self.under(event, (Actor::Agent, Some(*run)), people);
                format!("{under}\n- {what}{}\n", if *ok { "" } else { " failed" })
            }
            EventPayload::PlanVersion { version, from, restores, .. } => {
                let restored = restores.map_or_else(String::new, |version| format!(", as version {version} was"));
                self.fact(event, &format!("{}: version {version} of the runbook{restored}", line(who(people, *from))))
            }
            EventPayload::StepState { number, title, state, why, .. } => match state {
                StepState::NotStarted | StepState::Queued | StepState::Waiting => String::new(),
                state => self.fact(event, &format!("Step {number} {}: {}", line(title), state_words(*state, why.as_deref()))),
            },
            EventPayload::RunState { state: RunState::Failed(_), message: Some(message), .. } => {
                self.fact(event, &line(message))
            }
            EventPayload::CheckResult { outcome, .. } => {
                let came = match (outcome.exit_code, &outcome.killed) {
                    (Some(0), _) => "passed".to_owned(),
                    (_, Some(why)) => line(why),
                    (code, None) => format!("failed with {}", code.unwrap_or_default()),
                };
                let tail = if outcome.passed() { String::new() } else { format!("\n{}\n", fenced(&outcome.tail, "")) };
                format!("{}{tail}", self.fact(event, &format!("Check {}: {came}", code(&outcome.name))))
            }
            EventPayload::ChangeState { state, branch, pull_request: Some(number), .. } => {
                self.fact(event, &format!("Pull request #{number} ({}): {}", code(branch), change_words(*state)))
            }
            EventPayload::Knowledge { used, left_out, .. } => {
                let names = |all: &[KnowledgeRef]| {
                    let each = all.iter().map(|known| format!("{}, version {}", code(&known.title), known.version));
                    each.collect::<Vec<_>>().join("; ")
                };
                let mut told = format!("The agent was told: {}", names(used));
                if !left_out.is_empty() {
                    told = format!("{told}. There was no room for {}", names(left_out));
                }
                self.fact(event, &told)
            }
            EventPayload::Learned { moment, learned, .. } => {
                let each = learned.iter().map(|known| code(&known.title));
                self.fact(event, &format!("Learned {moment}: {}", each.collect::<Vec<_>>().join("; ")))
            }
            EventPayload::Note { level, text } if *level > NoteLevel::Info => self.fact(event, &line(text)),
            EventPayload::RunState { .. }
            | EventPayload::ChangeState { .. }
            | EventPayload::Note { .. }
            // A finished message is an event of its own, and a tool's output belongs to the log.
            | EventPayload::Text { .. }
            | EventPayload::Output { .. }
            | EventPayload::Usage { .. }
            | EventPayload::SandboxState { .. } => String::new(),
        }
    }

    /// The name above an entry, unless it stands there already.
    fn under(&mut self, event: &Event, author: (Actor, Option<RunId>), people: &HashMap<UserId, String>) -> String {
        if self.last.replace(author) == Some(author) {
            return String::new();
        }
        format!("\n**{}** · {}\n", line(who(people, author.0)), rfc3339(event.at))
    }

    fn fact(&mut self, event: &Event, text: &str) -> String {
        self.last = None;
        format!("\n*{text}* · {}\n", rfc3339(event.at))
    }
}

fn asked(kind: &RequestKind) -> String {
    match kind {
        RequestKind::Question { questions, .. } => {
            let mut out = String::new();
            for question in questions {
                let _ = writeln!(out, "{}", quoted(&question.question));
                for choice in &question.options {
                    let _ = writeln!(out, "> - {}", line(&choice.label));
                }
            }
            out
        }
        RequestKind::Permission { tool, reason, input, .. } => {
            let input = serde_json::to_string_pretty(input).unwrap_or_default();
            format!("Asks whether it may use {}: {}\n\n{}\n", code(tool), line(reason), fenced(&input, "json"))
        }
        RequestKind::Publish { options } => {
            let options: Vec<_> = options.iter().map(|option| line(&option.label)).collect();
            format!("Asks what becomes of the work: {}\n", options.join(", "))
        }
    }
}

fn answered(answer: Option<&Answer>) -> String {
    match answer {
        None => "The question was withdrawn.\n".to_owned(),
        Some(Answer::Allow) => "Allowed it.\n".to_owned(),
        Some(Answer::Deny { reason }) => format!("Refused it.\n\n{}\n", quoted(reason)),
        Some(Answer::Chosen { option }) => format!("Chose {}.\n", code(option)),
        Some(Answer::Answers { answers }) => {
            answers.values().map(|answer| format!("{}\n", quoted(answer))).collect::<Vec<_>>().join("\n")
        }
    }
}

fn state_words(state: StepState, why: Option<&str>) -> String {
    match state {
        StepState::NotStarted => "not started".to_owned(),
        StepState::Queued => "queued".to_owned(),
        StepState::InProgress => "in progress".to_owned(),
        StepState::Waiting => "waits for a person".to_owned(),
        StepState::Completed(Completion::Skipped) => match why.filter(|why| !why.trim().is_empty()) {
            Some(why) => format!("skipped: {}", line(why)),
            None => "skipped".to_owned(),
        },
        StepState::Completed(_) => "completed".to_owned(),
        StepState::Failed(why) => format!("failed: {}", word(&why)),
    }
}

fn change_words(state: ChangeState) -> String {
    word(&state)
}

/// The name by which a value goes in JSON, with blanks.
fn word(value: &impl serde::Serialize) -> String {
    let name = serde_json::to_value(value).ok().and_then(|name| name.as_str().map(str::to_owned));
    name.unwrap_or_default().replace('_', " ")
}

/// Without what steers a terminal or hides something, save line feeds and tabs.
fn visible(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !(c.is_control() || is_invisible(*c))).collect()
}

/// A line of plain text: what Markdown would take for more is escaped (CommonMark 0.31, section 2.4).
fn line(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len());
    for c in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        if c.is_ascii_punctuation()
            && !matches!(c, ',' | '.' | ':' | ';' | '-' | '\'' | '"' | '?' | '/' | '(' | ')' | '%')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A code span that nothing in the text ends.
fn code(text: &str) -> String {
    let text = visible(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let ticks = "`".repeat(longest(&text, '`') + 1);
    let space = if text.is_empty() || text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{text}{space}{ticks}")
}

/// A code block that nothing in the text ends.
fn fenced(text: &str, kind: &str) -> String {
    let text = visible(text);
    let fence = "`".repeat((longest(&text, '`') + 1).max(3));
    format!("{fence}{kind}\n{}\n{fence}", text.trim_end_matches('\n'))
}

/// A block quote.
fn quoted(text: &str) -> String {
    let text = visible(text);
    text.trim().lines().map(|line| format!("> {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// How many of a character stand side by side at most.
fn longest(text: &str, wanted: char) -> usize {
    let (mut most, mut now) = (0, 0);
    for c in text.chars() {
        now = if c == wanted { now + 1 } else { 0 };
        most = most.max(now);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{RunId, SessionId, Timestamp};
    use uuid::Uuid;

    const ADA: UserId = UserId(Uuid::from_u128(1));
    const RUN: RunId = RunId(Uuid::nil());

    fn told(payloads: Vec<EventPayload>) -> String {
        let people = HashMap::from([(ADA, "Ada *Lovelace*".to_owned())]);
        let mut talk = Talk::default();
        let events = (1..).zip(payloads).map(|(number, payload)| Event {
            session: SessionId(Uuid::nil()),
            number,
            at: Timestamp(1_764_306_000_000_000),
            payload: payload.into(),
        });
        events.map(|event| talk.event(&event, &people)).collect()
    }

    fn message(from: Actor, text: &str) -> EventPayload {
        let run = (from == Actor::Agent).then_some(RUN);
        EventPayload::Message { from, run, text: text.to_owned() }
    }

    fn tool(title: &str, ok: bool) -> Vec<EventPayload> {
        let call = title.to_owned();
        vec![
            EventPayload::ToolStarted {
                run: RUN,
                call: call.clone(),
                tool: "Bash".to_owned(),
                kind: ToolKind::Execute,
                title: title.to_owned(),
                input: serde_json::Value::Null,
            },
            EventPayload::ToolFinished { run: RUN, call, ok, output: "much".to_owned() },
        ]
    }

    #[test]
    fn a_conversation_reads_like_one() {
        let mut all = vec![message(Actor::Person(ADA), "Move it.\n\n# Now")];
        all.push(message(Actor::Agent, "I will."));
        all.extend(tool("cargo test", true));
        all.extend(tool("rm `x`", false));
        all.push(EventPayload::Note { level: NoteLevel::Info, text: "not told".to_owned() });
        all.push(EventPayload::Note { level: NoteLevel::Warning, text: "the sandbox was lost".to_owned() });
        let known = |title: &str| KnowledgeRef {
            id: domain::KnowledgeId(Uuid::nil()),
            kind: domain::KnowledgeKind::ContextFile,
            title: title.to_owned(),
            version: 2,
        };
        let (used, left_out) = (vec![known("Auth"), known("# `b`")], vec![known("Big")]);
        all.push(EventPayload::Knowledge { run: RUN, used, left_out });
        let (moment, learned) = (domain::Moment::ChecksFixed, vec![known("a `b` </x>")]);
        all.push(EventPayload::Learned { run: RUN, moment, learned });
        insta::assert_snapshot!(told(all));
    }

    #[test]
    fn nothing_that_was_written_breaks_out_of_its_place() {
        assert_eq!(
            line("a\n# b | *c* <img> [x](y) \u{202e}\u{1b}[31m"),
            "a \\# b \\| \\*c\\* \\<img\\> \\[x\\](y) \\[31m"
        );
        assert_eq!(code("`a``b"), "``` `a``b ```");
        assert_eq!(fenced("```\n# x\n````\n", "markdown"), "`````markdown\n```\n# x\n````\n`````");
        assert_eq!(quoted("a\n\n# b\r\n"), "> a\n>\n> # b");
    }
}
