//! What is told at the end: steps, pull requests, evidence, cost, and what to do next.

use super::{
    clean::one_line,
    lists::table,
    session::{change_words, phase_words, progress, step_lines, used},
    style::{Colour, Style},
    time::span,
};
use domain::{Change, ChangeState, CheckOutcome, SessionNumber};
use engine::{Phase, SessionView};
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

/// The last result of each check.
#[derive(Debug, Clone, Default)]
pub struct Evidence(BTreeMap<(String, String), CheckOutcome>);

impl Evidence {
    /// Takes in a result; it replaces the one before of the same step and check.
    pub fn add(&mut self, step: &str, outcome: &CheckOutcome) {
        self.0.insert((step.to_owned(), outcome.name.clone()), outcome.clone());
    }
}

/// What a summary is made of.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// The session as it is now.
    pub view: &'a SessionView,
    /// The checks.
    pub evidence: &'a Evidence,
    /// Added and removed lines by pull request.
    pub sizes: &'a BTreeMap<i64, (usize, usize)>,
    /// Since the command began.
    pub elapsed: Duration,
}

impl Summary<'_> {
    /// The lines.
    pub fn lines(&self, style: Style) -> Vec<String> {
        let view = self.view;
        let mut lines = vec![
            String::new(),
            format!(
                "{} {}  {}",
                style.paint(Colour::Bold, &view.session.number.to_string()),
                style.paint(Colour::Bold, &one_line(&view.session.title, 100)),
                style.paint((&view.phase).into(), &phase_words(&view.phase, progress(view))),
            ),
        ];
        lines.extend(step_lines(&view.steps, style).into_iter().map(|line| format!("  {line}")));
        lines.extend(self.pull_requests(style));
        lines.extend(self.checks(style));
        lines.push(String::new());
        lines.push(format!("{} · {} in all", used(view), span(self.elapsed)));
        lines.push(format!("Next: {}", style.paint(Colour::Bold, &next_command(view))));
        lines
    }

    fn pull_requests(&self, style: Style) -> Vec<String> {
        let rows: Vec<Vec<String>> = self
            .view
            .changes
            .iter()
            .filter_map(|change| {
                let number = change.pull_request?;
                let size =
                    self.sizes.get(&number).map(|(added, removed)| format!("+{added} −{removed}")).unwrap_or_default();
                Some(vec![
                    format!("  #{number}"),
                    one_line(&without_title(&change.title, &self.view.session.title), 70),
                    change_words(change.state).to_owned(),
                    size,
                    goes_into(self.view, change),
                ])
            })
            .collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let mut lines = vec![String::new(), style.paint(Colour::Bold, "Pull requests")];
        lines.extend(table(&rows, |_, column, cell| match column {
            0 => style.paint(Colour::Bold, cell),
            4 => style.paint(Colour::Dim, cell),
            _ => cell.to_owned(),
        }));
        lines
    }

    fn checks(&self, style: Style) -> Vec<String> {
        if self.evidence.0.is_empty() {
            return Vec::new();
        }
        let outcomes: Vec<&CheckOutcome> = self.evidence.0.values().collect();
        let rows: Vec<Vec<String>> = self
            .evidence
            .0
            .iter()
            .map(|((step, _), outcome)| {
                let glyph = if outcome.passed() { "✓" } else { "✗" };
                vec![
                    format!("  {glyph}"),
                    step.clone(),
                    check_words(outcome, 60),
                    exit_words(outcome),
                    span(Duration::from_millis(outcome.duration_ms)),
                ]
            })
            .collect();
        let mut lines = vec![String::new(), style.paint(Colour::Bold, "Evidence")];
        lines.extend(table(&rows, |row, column, cell| match column {
            0 if outcomes[row].passed() => style.paint(Colour::Done, cell),
            0 | 3 if !outcomes[row].passed() => style.paint(Colour::Failed, cell),
            4 => style.paint(Colour::Dim, cell),
            _ => cell.to_owned(),
        }));
        lines
    }
}

/// A check's name and the first line of its command.
pub(super) fn check_words(outcome: &CheckOutcome, width: usize) -> String {
    let (first, more) = match outcome.command.trim().split_once('\n') {
        Some((first, _)) => (first, " …"),
        None => (outcome.command.trim(), ""),
    };
    let name = if first.starts_with(outcome.name.trim()) { String::new() } else { format!("{}: ", outcome.name) };
    one_line(&format!("{name}{first}{more}"), width)
}

/// A pull request's title without the session's in brackets before it; a mark such as `[WIP]` stays.
pub(super) fn without_title<'a>(title: &'a str, session: &str) -> Cow<'a, str> {
    const MARK: &str = "[WIP] ";
    if let Some(rest) = title.strip_prefix(MARK) {
        return Cow::Owned(format!("{MARK}{}", without_title(rest, session)));
    }
    let whole = title.strip_prefix('[').and_then(|rest| rest.strip_prefix(session)?.strip_prefix("] "));
    let cut = || {
        let (bracket, rest) = title.strip_prefix('[')?.split_once("…] ")?;
        session.starts_with(bracket).then_some(rest)
    };
    Cow::Borrowed(whole.filter(|_| !session.is_empty()).or_else(cut).unwrap_or(title))
}

/// Where a change goes: the pull request below it in the stack, or the branch.
pub(super) fn goes_into(view: &SessionView, change: &Change) -> String {
    let below = view.changes.iter().find(|other| other.branch == change.base_branch);
    match below.and_then(|below| below.pull_request) {
        Some(number) => format!("{} → #{number}", change.branch),
        // Git lets people put characters into names that turn the text after them round.
        None => one_line(&format!("{} → {}", change.branch, change.base_branch), usize::MAX),
    }
}

/// `exit 0`, or why there is no exit code.
pub(super) fn exit_words(outcome: &CheckOutcome) -> String {
    match (outcome.exit_code, &outcome.killed) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(why)) => one_line(why, 60),
        (None, None) => "killed".to_owned(),
    }
}

/// The command that a person most likely wants next.
pub fn next_command(view: &SessionView) -> String {
    let SessionNumber(number) = view.session.number;
    let mergeable =
        view.changes.iter().find(|change| change.state == ChangeState::Open).and_then(|change| change.pull_request);
    match &view.phase {
        Phase::Waiting => format!("runyard session answer {number}"),
        Phase::Planning | Phase::Executing { .. } | Phase::Working { .. } | Phase::Queued => {
            format!("runyard session attach {number}")
        }
        Phase::PlanFailed { .. } | Phase::Failed { .. } => format!("runyard session retry {number}"),
        Phase::Planned => format!("runyard session execute {number} all"),
        Phase::Completed => match mergeable {
            Some(pull_request) => format!("runyard pr show {pull_request}; runyard pr merge {pull_request}"),
            None => format!("runyard session show {number}"),
        },
    }
}
