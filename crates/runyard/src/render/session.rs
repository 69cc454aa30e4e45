//! A session as it is now.

use super::{
    ask::request_lines,
    clean::one_line,
    knowledge::told,
    lists::table,
    style::{Colour, Style},
    summary::{goes_into, without_title},
    time::{moment, span},
};
use domain::{ChangeState, Failure, MicroUsd, Mode, PrMode, StepState};
use engine::{Phase, SessionView, StepView};
use jiff::tz::TimeZone;
use std::time::Duration;

/// A phase in words; `progress` is how many leaves are completed, and of how many.
pub fn phase_words(phase: &Phase, (completed, total): (usize, usize)) -> String {
    match phase {
        Phase::Waiting => "⏸ waits for you".into(),
        Phase::Planning => "◐ planning".into(),
        Phase::Executing { step } => format!("◐ executing {}", one_line(step, 20)),
        Phase::Working { action } => format!("◐ {}", one_line(action, 40).replace('_', " ")),
        Phase::Queued => "◔ queued".into(),
        Phase::PlanFailed { message } => format!("✗ planning failed: {}", one_line(message, 80)),
        Phase::Failed { step, reason } => {
            let state = StepState::Failed(*reason);
            format!("{} {} {}", state.glyph(), one_line(step, 20), state.words())
        }
        Phase::Planned if completed > 0 => format!("○ {completed} of {total} steps done"),
        Phase::Planned => "○ planned".into(),
        Phase::Completed => "✓ completed".into(),
    }
}

impl From<&Phase> for Colour {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Waiting => Self::Waiting,
            Phase::Planning | Phase::Executing { .. } | Phase::Working { .. } => Self::Running,
            Phase::Queued => Self::Queued,
            Phase::Failed { reason: Failure::Stopped, .. } => Self::Stopped,
            Phase::PlanFailed { .. } | Phase::Failed { .. } => Self::Failed,
            Phase::Planned => Self::Dim,
            Phase::Completed => Self::Done,
        }
    }
}

/// How many leaves are completed, and of how many.
pub(super) fn progress(view: &SessionView) -> (usize, usize) {
    let leaves = || view.steps.iter().filter(|step| step.leaf);
    (leaves().filter(|step| step.state.is_completed()).count(), leaves().count())
}

/// Everything about a session on one page.
pub fn session(view: &SessionView, style: Style, zone: &TimeZone) -> Vec<String> {
    let session = &view.session;
    let mut lines = vec![format!(
        "{} {}  {}",
        style.paint(Colour::Bold, &session.number.to_string()),
        style.paint(Colour::Bold, &one_line(&session.title, 100)),
        style.paint((&view.phase).into(), &phase_words(&view.phase, progress(view))),
    )];
    let mode = match session.mode {
        Mode::Standard => "standard",
        Mode::OneShot => "one-shot",
    };
    let pr_mode = match session.pr_mode {
        PrMode::StackedPr => "stacked pull requests",
        PrMode::SinglePr => "a single pull request",
        PrMode::Manual => "pull requests by hand",
    };
    let about = format!(
        "{} · {} · {mode}, {pr_mode} · {}{}",
        one_line(&view.repository, 60),
        one_line(session.target_branch.as_str(), usize::MAX),
        moment(session.created_at, zone),
        if session.archived { " · archived" } else { "" }
    );
    lines.push(style.paint(Colour::Dim, &about));
    lines.push(String::new());
    if view.steps.is_empty() {
        lines.push("No plan yet.".into());
    }
    lines.extend(step_lines(&view.steps, style));
    lines.extend(changes(view, style));
    for request in &view.open_requests {
        lines.push(String::new());
        lines.extend(request_lines(&request.kind, style));
    }
    lines.push(String::new());
    if let Some(persona) = &view.persona {
        lines.push(style.paint(Colour::Dim, &format!("Persona {}", one_line(&persona.title, 60))));
    }
    lines.extend(told(view).map(|told| style.paint(Colour::Dim, &told)));
    lines.push(style.paint(Colour::Dim, &used(view)));
    lines
}

/// The steps as a tree with their states.
pub fn step_lines(steps: &[StepView], style: Style) -> Vec<String> {
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            let depth = step.number.matches('.').count();
            let title =
                format!("{}{} {} {}", "  ".repeat(depth), step.state.glyph(), step.number, one_line(&step.title, 70));
            let mut words = step.state.words().to_owned();
            if let Some(skip) = step.skip.as_ref().filter(|skip| !skip.reason.is_empty()) {
                words = format!("{words}: {}", one_line(&skip.reason, 60));
            }
            let mut row = vec![title, words];
            let mut more = Vec::new();
            if let Some(number) = step.pull_request {
                more.push(format!("#{number}"));
            }
            if step.seconds > 0 {
                more.push(span(Duration::from_secs(step.seconds)));
            }
            if step.usage.cost != MicroUsd(0) {
                more.push(step.usage.cost.to_string());
            }
            row.push(more.join(" · "));
            row
        })
        .collect();
    table(&rows, |row, column, cell| match column {
        0 => {
            let glyph = steps[row].state.glyph();
            cell.replacen(glyph, &style.glyph(steps[row].state), 1)
        }
        1 => style.paint(steps[row].state.into(), cell),
        _ => style.paint(Colour::Dim, cell),
    })
}

fn changes(view: &SessionView, style: Style) -> Vec<String> {
    if view.changes.is_empty() {
        return Vec::new();
    }
    let rows: Vec<Vec<String>> = view
        .changes
        .iter()
        .map(|change| {
            vec![
                change.pull_request.map_or_else(|| "–".to_owned(), |number| format!("#{number}")),
                change_words(change.state).to_owned(),
                one_line(&without_title(&change.title, &view.session.title), 70),
                goes_into(view, change),
            ]
        })
        .collect();
    let mut lines = vec![String::new(), style.paint(Colour::Bold, "Pull requests")];
    lines.extend(table(&rows, |_, column, cell| match column {
        3 => style.paint(Colour::Dim, cell),
        _ => cell.to_owned(),
    }));
    lines
}

/// A change's state in words.
pub(super) fn change_words(state: ChangeState) -> &'static str {
    match state {
        ChangeState::Branch => "branch",
        ChangeState::Draft => "draft",
        ChangeState::Open => "open",
        ChangeState::Merged => "merged",
        ChangeState::Closed => "closed",
    }
}

/// What a session used, in one line.
pub(super) fn used(view: &SessionView) -> String {
    format!(
        "Cost {} · {} tokens · worked {}",
        view.session.usage.cost,
        thousands(view.session.usage.tokens()),
        span(Duration::from_millis(view.worked_ms))
    )
}

/// `950`, `12.3k`, `1.2M`.
pub(super) fn thousands(number: i64) -> String {
    match number {
        ..1000 => number.to_string(),
        1000..1_000_000 => format!("{}.{}k", number / 1000, number % 1000 / 100),
        _ => format!("{}.{}M", number / 1_000_000, number % 1_000_000 / 100_000),
    }
}
