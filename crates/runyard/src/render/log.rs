//! A session's log as it is read: one calm line for each thing that happened.

use super::{
    ask::request_lines,
    clean::{clean, one_line},
    lists::counted,
    session::{change_words, thousands},
    style::{Colour, Style},
    summary::{check_words, exit_words, without_title},
    text_flow::TextFlow,
    time::span,
};
use domain::{
    Actor, Answer, CheckOutcome, Event, EventPayload, Failure, NoteLevel, Payload, RunId, RunState, SandboxState,
    StepId, StepState, Timestamp, ToolKind, Usage,
};
use std::{collections::HashMap, time::Duration};

/// What is being done, for a status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doing {
    /// In words.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

/// Turns events into lines. Events go in once each, in order.
#[derive(Debug)]
pub struct LogRenderer {
    style: Style,
    /// Characters in a row; none when lines are not to be broken.
    width: Option<usize>,
    /// The session's title, which pull requests repeat.
    title: String,
    flow: TextFlow,
    calls: HashMap<String, Call>,
    reads: Vec<String>,
    reads_since: Option<(Timestamp, Timestamp)>,
    queued: Vec<String>,
    dequeued: Vec<String>,
    runs: HashMap<RunId, RunSoFar>,
    steps: HashMap<StepId, (String, Worked)>,
    doing: Option<Doing>,
    calling: Option<String>,
}

#[derive(Debug)]
struct Call {
    kind: ToolKind,
    title: String,
    at: Timestamp,
}

#[derive(Debug)]
struct RunSoFar {
    kind: String,
    step: Option<StepId>,
    worked: Worked,
    usage: Usage,
}

/// Time at work, as far as it was seen from its beginning; waits for people are left out.
#[derive(Debug, Clone, Copy, Default)]
struct Worked {
    before: Duration,
    since: Option<Timestamp>,
    /// It came to rest and may go on.
    rests: bool,
    /// Its beginning was seen.
    whole: bool,
}

impl Worked {
    fn begin(&mut self, at: Timestamp) {
        if !self.rests {
            *self = Self { whole: true, ..Self::default() };
        }
        (self.since, self.rests) = (Some(at), false);
    }

    fn rest(&mut self, at: Timestamp) {
        self.before += self.since.take().map_or(Duration::ZERO, |since| at.since(since));
        self.rests = true;
    }

    /// The whole time; nothing when its beginning was not seen.
    fn end(&mut self, at: Timestamp) -> Option<Duration> {
        self.rest(at);
        let ended = std::mem::take(self);
        ended.whole.then_some(ended.before)
    }
}

impl LogRenderer {
    /// A renderer that has seen nothing.
    pub fn new(style: Style, width: Option<usize>) -> Self {
        Self {
            style,
            width,
            title: String::new(),
            flow: TextFlow::default(),
            calls: HashMap::new(),
            reads: Vec::new(),
            reads_since: None,
            queued: Vec::new(),
            dequeued: Vec::new(),
            runs: HashMap::new(),
            steps: HashMap::new(),
            doing: None,
            calling: None,
        }
    }

    /// Leaves out the session's title where pull requests repeat it.
    #[must_use]
    pub fn titled(mut self, title: &str) -> Self {
        title.clone_into(&mut self.title);
        self
    }

    /// What is being done now, as far as the events tell.
    pub fn doing(&self) -> Option<Doing> {
        let doing = self.doing.clone()?;
        let what = match &self.calling {
            Some(call) => format!("{} · {call}", doing.what),
            None => doing.what,
        };
        Some(Doing { what, since: doing.since })
    }

    /// The number of a step that was seen, such as `1.2`.
    pub fn step_number(&self, step: StepId) -> Option<&str> {
        self.steps.get(&step).map(|(number, _)| number.as_str())
    }

    /// What was held back to be folded or finished.
    pub fn flush(&mut self) -> Vec<String> {
        let mut lines = indent(self.flow.flush(self.text_width()));
        lines.extend(self.fold());
        lines
    }

    /// The lines of an event, ready to print.
    pub fn event(&mut self, event: &Event) -> Vec<String> {
        let payload = match &event.payload {
            Payload::Known(payload) => payload,
            Payload::Unknown(value) => {
                let kind = value.get("type").and_then(|kind| kind.as_str()).unwrap_or("?");
                let text = format!("  (event {} is of a newer kind: {})", event.number, one_line(kind, 40));
                return vec![self.style.paint(Colour::Dim, &text)];
            }
        };
        let mut lines = Vec::new();
        if !self.continues(payload) {
            lines = self.flush();
        }
        lines.extend(self.lines(payload, event.at));
        lines
    }

    /// True when the event belongs to what is being folded, or shows nothing.
    fn continues(&self, payload: &EventPayload) -> bool {
        match payload {
            EventPayload::Usage { .. } | EventPayload::Output { .. } => true,
            EventPayload::ToolStarted { kind, .. } => !self.flow.is_open() && is_reading(*kind),
            EventPayload::ToolFinished { call, ok, .. } => {
                *ok && self.calls.get(call).is_none_or(|call| is_reading(call.kind))
            }
            EventPayload::StepState { state: StepState::Queued, .. } => self.dequeued.is_empty(),
            EventPayload::StepState { state: StepState::NotStarted, .. } => self.queued.is_empty(),
            EventPayload::Text { .. } | EventPayload::Message { from: Actor::Agent, .. } => {
                self.reads.is_empty() && self.queued.is_empty() && self.dequeued.is_empty()
            }
            _ => false,
        }
    }

    fn fold(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((from, to)) = self.reads_since.take() {
            let reads = std::mem::take(&mut self.reads);
            let what = match reads.as_slice() {
                [one] => one.clone(),
                many => format!("({}) {}", many.len(), many.join(", ")),
            };
            lines.push(self.tool_line("read", &one_line(&what, 70), None, to.since(from)));
        }
        for (names, state, words) in [
            (std::mem::take(&mut self.queued), StepState::Queued, "queued"),
            (std::mem::take(&mut self.dequeued), StepState::NotStarted, "not started"),
        ] {
            if !names.is_empty() {
                lines.push(format!("{} {words}: {}", self.style.glyph(state), names.join(", ")));
            }
        }
        lines
    }

    fn text_width(&self) -> Option<usize> {
        self.width.map(|width| width.saturating_sub(2))
    }

    fn lines(&mut self, payload: &EventPayload, at: Timestamp) -> Vec<String> {
        let style = self.style;
        match payload {
            EventPayload::Message { from: Actor::Agent, text, .. } => {
                let width = self.text_width();
                indent(self.flow.finish(text, width))
            }
            EventPayload::Message { from, text, .. } => {
                let mark = if matches!(from, Actor::Person(_)) { "»" } else { "·" };
                let mut rows = clean(text).trim().lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
                let first = format!("{mark} {}", rows.next().unwrap_or_default());
                std::iter::once(first)
                    .chain(rows.map(|row| format!("  {row}")))
                    .map(|row| style.paint(Colour::Bold, &row))
                    .collect()
            }
            EventPayload::Text { delta, .. } => {
                let width = self.text_width();
                indent(self.flow.push(delta, width))
            }
            EventPayload::Question { ask, .. } => request_lines(ask, style),
            EventPayload::Answer { answer, .. } => vec![format!("  {}", answer_words(answer.as_ref()))],
            EventPayload::PlanVersion { version, from, leaves, top_level, restores } => {
                let who = if matches!(from, Actor::Person(_)) { " by a person" } else { "" };
                let what = restores.map(|old| format!(", restores version {old}")).unwrap_or_default();
                let size = format!("{}, {} to execute", counted(*top_level, "step", "steps"), leaves);
                vec![format!("{} plan version {version}{who}: {size}{what}", style.paint(Colour::Done, "✓"))]
            }
            EventPayload::StepState { step, number, title, state, why } => {
                let mut lines = self.step(*step, number, title, *state, at);
                if let (Some(why), Some(last)) = (why, lines.last_mut()) {
                    last.push_str(&style.paint(Colour::Dim, &format!("  {}", one_line(why, 100))));
                }
                lines
            }
            EventPayload::RunState { run, action_kind, step, state, message, .. } => {
                self.run(*run, action_kind, *step, *state, message.as_deref(), at)
            }
            EventPayload::ToolStarted { call, tool, kind, title, .. } => {
                let title = object(tool, title);
                self.calling = Some(one_line(&format!("{} {title}", verb(*kind)), 50));
                self.calls.insert(call.clone(), Call { kind: *kind, title, at });
                Vec::new()
            }
            EventPayload::ToolFinished { call, ok, output, .. } => self.tool_finished(call, *ok, output, at),
            EventPayload::Output { .. } => Vec::new(),
            EventPayload::CheckResult { outcome, .. } => self.check(outcome),
            EventPayload::ChangeState { state, branch, head, pull_request, title, .. } => {
                let what = match pull_request {
                    Some(number) => format!(
                        "pull request #{number} {}: {}",
                        change_words(*state),
                        one_line(&without_title(title, &self.title), 80)
                    ),
                    None => format!("commit {} on the branch", head.short()),
                };
                vec![format!("  {what} {}", style.paint(Colour::Dim, &format!("({})", one_line(branch, 120))))]
            }
            EventPayload::Usage { run, usage } => {
                if let Some(run) = self.runs.get_mut(run) {
                    run.usage += *usage;
                }
                Vec::new()
            }
            EventPayload::SandboxState { state, detail } => self.sandbox(*state, detail, at),
            EventPayload::Knowledge { used, left_out, .. } => {
                let names = |all: &[domain::KnowledgeRef]| {
                    all.iter().map(|known| one_line(&known.title, 60)).collect::<Vec<_>>().join(", ")
                };
                let mut lines = vec![style.paint(Colour::Dim, &format!("  told the agent: {}", names(used)))];
                if !left_out.is_empty() {
                    let text = format!("  warning: there was no room for {}", names(left_out));
                    lines.push(style.paint(Colour::Waiting, &text));
                }
                lines
            }
            EventPayload::Learned { moment, learned, .. } => {
                let names: Vec<String> = learned.iter().map(|known| one_line(&known.title, 100)).collect();
                vec![style.paint(Colour::Dim, &format!("  learned {moment}: {}", names.join("; ")))]
            }
            EventPayload::Note { level, text } => {
                let text = clean(text).trim().replace('\n', "\n    ");
                vec![match level {
                    NoteLevel::Info => style.paint(Colour::Dim, &format!("  {text}")),
                    NoteLevel::Warning => style.paint(Colour::Waiting, &format!("  warning: {text}")),
                    NoteLevel::Error => style.paint(Colour::Failed, &format!("  error: {text}")),
                }]
            }
        }
    }

    fn step(&mut self, step: StepId, number: &str, title: &str, state: StepState, at: Timestamp) -> Vec<String> {
        let number = one_line(number, 20);
        let name = format!("{number} {}", one_line(title, 80));
        let (_, worked) = self.steps.entry(step).or_insert_with(|| (number.clone(), Worked::default()));
        let mut took = None;
        match state {
            StepState::Queued => {
                self.queued.push(number);
                return Vec::new();
            }
            StepState::NotStarted => {
                self.dequeued.push(number);
                return Vec::new();
            }
            StepState::InProgress => {
                worked.begin(at);
                self.doing = Some(Doing { what: name.clone(), since: at });
            }
            StepState::Waiting => {
                worked.rest(at);
                self.doing = None;
            }
            StepState::Completed(_) | StepState::Failed(_) => {
                took = worked.end(at);
                self.doing = None;
            }
        }
        let mut line = format!("{} {}", self.style.glyph(state), self.style.paint(Colour::Bold, &name));
        if state != StepState::InProgress {
            line = format!("{line}  {}", self.style.paint(state.into(), state.words()));
        }
        if matches!(state, StepState::Completed(_) | StepState::Failed(_)) {
            self.calling = None;
            let mut usage = Usage::default();
            self.runs.values().filter(|run| run.step == Some(step)).for_each(|run| usage += run.usage);
            line.push_str(&self.spent(took, usage));
        }
        vec![line]
    }

    fn run(
        &mut self,
        run: RunId,
        kind: &str,
        step: Option<StepId>,
        state: RunState,
        message: Option<&str>,
        at: Timestamp,
    ) -> Vec<String> {
        let so_far = self.runs.entry(run).or_insert_with(|| RunSoFar {
            kind: one_line(kind, 40),
            step,
            worked: Worked::default(),
            usage: Usage::default(),
        });
        let took = match state {
            RunState::Queued => None,
            RunState::Running => {
                so_far.worked.begin(at);
                None
            }
            RunState::Waiting => {
                so_far.worked.rest(at);
                None
            }
            RunState::Succeeded | RunState::Failed(_) | RunState::Stopped => so_far.worked.end(at),
        };
        let usage = so_far.usage;
        let words = action_words(&so_far.kind);
        // The step's own line tells the rest.
        let has_step_line = so_far.kind == "execute_step";
        let mut lines = Vec::new();
        if let Some(message) = message.filter(|message| !message.trim().is_empty()) {
            let (colour, mark) = match state {
                RunState::Failed(_) => (Colour::Failed, "✗ "),
                _ => (Colour::Dim, ""),
            };
            let text = clean(message).trim().replace('\n', "\n    ");
            lines.push(self.style.paint(colour, &format!("  {mark}{text}")));
        }
        let (glyph, colour, result) = match state {
            RunState::Queued => return lines,
            RunState::Running => ("◐", Colour::Running, ""),
            RunState::Waiting => ("⏸", Colour::Waiting, " waits for a person"),
            RunState::Succeeded => ("✓", Colour::Done, " done"),
            RunState::Failed(reason) => ("✗", Colour::Failed, failure_words(reason)),
            RunState::Stopped => ("■", Colour::Stopped, " stopped"),
        };
        if !has_step_line {
            let spent = if state.is_over() { self.spent(took, usage) } else { String::new() };
            lines.push(format!("{} {words}{result}{spent}", self.style.paint(colour, glyph)));
        }
        if state == RunState::Running && !has_step_line {
            self.doing = Some(Doing { what: words, since: at });
        } else if state != RunState::Running && !(has_step_line && self.doing.is_none()) {
            self.doing = None;
            self.calling = None;
        }
        lines
    }

    fn spent(&self, took: Option<Duration>, usage: Usage) -> String {
        let mut parts: Vec<String> = took.map(span).into_iter().collect();
        if usage.tokens() > 0 {
            parts.extend([usage.cost.to_string(), format!("{} tokens", thousands(usage.tokens()))]);
        }
        if parts.is_empty() {
            return String::new();
        }
        self.style.paint(Colour::Dim, &format!("  {}", parts.join(" · ")))
    }

    fn tool_finished(&mut self, call: &str, ok: bool, output: &str, at: Timestamp) -> Vec<String> {
        self.calling = None;
        let Some(call) = self.calls.remove(call) else { return Vec::new() };
        if ok && is_reading(call.kind) {
            let (from, _) = self.reads_since.unwrap_or((call.at, at));
            self.reads_since = Some((from, at));
            self.reads.push(call.title);
            return Vec::new();
        }
        let mut lines = vec![self.tool_line(verb(call.kind), &one_line(&call.title, 70), Some(ok), at.since(call.at))];
        if !ok {
            let why = one_line(output, 160);
            if !why.is_empty() {
                lines.push(self.style.paint(Colour::Dim, &format!("           {why}")));
            }
        }
        lines
    }

    fn tool_line(&self, verb: &str, object: &str, ok: Option<bool>, took: Duration) -> String {
        let verb = self.style.paint(Colour::Dim, &format!("{verb:<8}"));
        let result = match ok {
            Some(false) => format!("  {}", self.style.paint(Colour::Failed, "failed")),
            _ => String::new(),
        };
        format!("  {verb} {object}{result}  {}", self.style.paint(Colour::Dim, &span(took)))
    }

    fn check(&mut self, outcome: &CheckOutcome) -> Vec<String> {
        let (glyph, colour) = if outcome.passed() { ("✓", Colour::Done) } else { ("✗", Colour::Failed) };
        let verb = self.style.paint(Colour::Dim, &format!("{:<8}", "check"));
        let exit = self.style.paint(colour, &format!("{glyph} {}", exit_words(outcome)));
        let took = self.style.paint(Colour::Dim, &span(Duration::from_millis(outcome.duration_ms)));
        let mut lines = vec![format!("  {verb} {}  {exit}  {took}", check_words(outcome, 70))];
        if !outcome.passed() {
            let tail = clean(&outcome.tail);
            let rows: Vec<&str> = tail.trim_end().lines().collect();
            let from = rows.len().saturating_sub(10);
            lines.extend(rows[from..].iter().map(|row| self.style.paint(Colour::Dim, &format!("           {row}"))));
        }
        lines
    }

    fn sandbox(&mut self, state: SandboxState, detail: &str, at: Timestamp) -> Vec<String> {
        let words = match state {
            SandboxState::Creating => {
                if self.doing.is_none() {
                    self.doing = Some(Doing { what: "making a sandbox".into(), since: at });
                }
                return Vec::new();
            }
            SandboxState::Ready => "ready",
            SandboxState::Paused => "paused",
            SandboxState::Destroyed => "removed",
        };
        let detail = match one_line(detail, 160) {
            text if text.is_empty() => text,
            text => format!(": {text}"),
        };
        vec![self.style.paint(Colour::Dim, &format!("  sandbox {words}{detail}"))]
    }
}

fn indent(rows: Vec<String>) -> Vec<String> {
    rows.into_iter().map(|row| if row.is_empty() { row } else { format!("  {row}") }).collect()
}

fn is_reading(kind: ToolKind) -> bool {
    matches!(kind, ToolKind::Read | ToolKind::Search)
}

fn verb(kind: ToolKind) -> &'static str {
    match kind {
        ToolKind::Read => "read",
        ToolKind::Edit => "edit",
        ToolKind::Delete => "delete",
        ToolKind::Move => "move",
        ToolKind::Search => "search",
        ToolKind::Execute => "run",
        ToolKind::Think => "think",
        ToolKind::Fetch => "fetch",
        ToolKind::Other => "call",
    }
}

/// What a call is about, without what the verb says already and without the workspace's place.
fn object(tool: &str, title: &str) -> String {
    let title = one_line(title, 200);
    let rest = title.strip_prefix(tool).map_or(title.as_str(), str::trim_start);
    let rest = rest.strip_prefix("/code/").unwrap_or(rest);
    if rest.is_empty() { one_line(tool, 60) } else { rest.to_owned() }
}

fn action_words(kind: &str) -> String {
    match kind {
        "plan" => "planning".into(),
        "answer" => "answering".into(),
        "revise" => "revising".into(),
        "rework" => "reworking".into(),
        "revert_step" => "reverting".into(),
        "resolve_conflict" => "resolving a conflict".into(),
        "finish" => "opening the pull request".into(),
        other => other.replace('_', " "),
    }
}

fn failure_words(reason: Failure) -> &'static str {
    match reason {
        Failure::Error => " failed",
        Failure::Check => " failed (check)",
        Failure::Stopped => " stopped",
        Failure::Budget => " failed (budget)",
        Failure::Poison => " failed (too many crashes)",
    }
}

fn answer_words(answer: Option<&Answer>) -> String {
    match answer {
        None => "no answer is needed any more".into(),
        Some(Answer::Allow) => "allowed".into(),
        Some(Answer::Deny { reason }) => format!("denied: {}", one_line(reason, 200)),
        Some(Answer::Chosen { option }) => format!("chosen: {}", one_line(option, 100)),
        Some(Answer::Answers { answers }) => {
            let given: Vec<String> = answers.values().map(|answer| one_line(answer, 200)).collect();
            format!("answered: {}", given.join("; "))
        }
    }
}
