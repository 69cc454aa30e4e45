//! The text of a pull request. Pure.

use crate::{
    marks::Marks,
    markup::{cell, code, fenced, line, quoted},
};
use domain::{Change, ChangeState, CheckOutcome, Completion, RunbookVersion, Session, StepId, StepState};
use std::{collections::HashMap, fmt::Write as _};

/// How the title of a pull request begins whose work goes on.
pub(crate) const WORK_IN_PROGRESS: &str = "[WIP] ";

/// What a body is made of.
pub(crate) struct Body<'a> {
    pub session: &'a Session,
    pub requester: &'a str,
    pub public_url: Option<&'a str>,
    pub version: &'a RunbookVersion,
    pub states: &'a HashMap<StepId, StepState>,
    /// Why steps were skipped.
    pub marks: &'a Marks,
    pub change: &'a Change,
    pub stack: &'a [Change],
    /// The text of each leaf in the change, by id, safe as [`crate::markup`] makes it.
    pub texts: &'a HashMap<StepId, String>,
    /// The checks of each leaf in the change, by id.
    pub evidence: &'a HashMap<StepId, Vec<CheckOutcome>>,
    /// Paths that deserve a second look: path and why.
    pub warnings: &'a [(String, String)],
}

/// Characters of a commit's subject that git's own tools show whole.
const SUBJECT: usize = 72;

/// The title of a change's pull request.
pub(crate) fn title(session: &Session, step_title: &str, whole: bool, in_progress: bool) -> String {
    let mark = if in_progress { WORK_IN_PROGRESS } else { "" };
    if whole { format!("{mark}{}", session.title) } else { format!("{mark}[{}] {step_title}", session.title) }
}

/// A change's title without what every change of the session repeats.
pub(crate) fn own_title<'a>(session: &str, title: &'a str) -> &'a str {
    let title = title.strip_prefix(WORK_IN_PROGRESS).unwrap_or(title);
    let own = title.strip_prefix('[').and_then(|rest| rest.strip_prefix(session)?.strip_prefix("] "));
    own.unwrap_or(title)
}

/// The subject of the commit that merges what is below a change into it, short enough to be shown whole.
pub(crate) fn merge_subject(session: &str, title: &str, below: &str) -> String {
    let below = if below.starts_with("runyard/") { "the change below" } else { below };
    let title = own_title(session, title);
    let room = SUBJECT.saturating_sub(format!("Bring up to date with {below}: ").chars().count()).max(10);
    let short: String = match title.char_indices().nth(room) {
        None => title.to_owned(),
        Some(_) => title.chars().take(room - 1).collect::<String>().trim_end().to_owned() + "…",
    };
    format!("Bring up to date with {below}: {short}")
}

/// The body of a change's pull request.
pub(crate) fn render(body: &Body<'_>) -> String {
    let mut text = String::new();
    let is_first = body.stack.first().is_none_or(|first| first.id == body.change.id);
    if let Some(description) = body.session.extras.description.as_ref().filter(|_| is_first) {
        let _ = writeln!(text, "{description}\n");
    }
    let name = match body.public_url {
        Some(url) => format!("[{}]({}/{})", body.session.number, url.trim_end_matches('/'), body.session.number),
        None => format!("`{}`", body.session.number),
    };
    let _ = writeln!(
        text,
        "Runbook: {name} **{}**, version {}. Requested by {}.\n",
        line(&body.session.title),
        body.change.version,
        line(body.requester)
    );
    for step in &body.change.steps {
        let Some(found) = body.version.step(*step) else { continue };
        let _ = writeln!(text, "## {} {}\n", found.number, line(&found.title));
        if let Some(own) = body.texts.get(step).map(|own| own.trim()).filter(|own| !own.is_empty()) {
            let _ = writeln!(text, "{}\n", quoted(own));
        }
    }
    evidence(&mut text, body);
    if !body.warnings.is_empty() {
        text.push_str("## Look twice\n\n");
        for (path, why) in body.warnings {
            let _ = writeln!(text, "- {}: {}", code(path), line(why));
        }
        text.push('\n');
    }
    text.push_str("## Progress\n\n");
    for leaf in body.version.leaves() {
        let state = body.states.get(&leaf.id).copied().unwrap_or(StepState::NotStarted);
        let here = if body.change.steps.contains(&leaf.id) { " ← here" } else { "" };
        let skip = body.marks.skip(leaf.id).filter(|_| state == StepState::Completed(Completion::Skipped));
        let why = skip.filter(|skip| !skip.reason.is_empty()).map(|skip| format!(": {}", line(&skip.reason)));
        let (glyph, title, why) = (state.glyph(), line(&leaf.title), why.unwrap_or_default());
        let _ = writeln!(text, "- {glyph} {} {title} — {}{why}{here}", leaf.number, state.words());
    }
    if body.stack.len() > 1 {
        text.push_str("\n## Stack\n\n");
        let _ = writeln!(text, "- {}", code(body.session.target_branch.as_str()));
        for change in body.stack.iter().filter(|change| change.state != ChangeState::Closed) {
            let number = change.pull_request.map_or_else(String::new, |number| format!("#{number} "));
            let here = if change.id == body.change.id { " ← this one" } else { "" };
            let merged = if change.state == ChangeState::Merged { " (merged)" } else { "" };
            let _ = writeln!(text, "- {number}`{}`{merged}{here}", change.branch);
        }
    }
    text.trim_end().to_owned() + "\n"
}

fn evidence(text: &mut String, body: &Body<'_>) {
    let steps: Vec<StepId> = body.change.steps.clone();
    if steps.iter().all(|step| body.evidence.get(step).is_none_or(Vec::is_empty)) {
        text.push_str("## Evidence\n\nNo checks were run.\n\n");
        return;
    }
    text.push_str("## Evidence\n\n| step | check | command | exit | time |\n| --- | --- | --- | --- | --- |\n");
    for step in &steps {
        let number = body.version.step(*step).map_or("", |found| found.number.as_str());
        for outcome in body.evidence.get(step).into_iter().flatten() {
            let mark = if outcome.passed() { "✓" } else { "✗" };
            let exit =
                outcome.exit_code.map_or_else(|| outcome.killed.clone().unwrap_or_default(), |code| code.to_string());
            let seconds = outcome.duration_ms / 1000;
            let tenths = outcome.duration_ms % 1000 / 100;
            let _ = writeln!(
                text,
                "| {number} | {mark} {} | {} | {exit} | {seconds}.{tenths} s |",
                cell(&outcome.name),
                code(&outcome.command)
            );
        }
    }
    text.push('\n');
    for step in &steps {
        for outcome in body.evidence.get(step).into_iter().flatten().filter(|outcome| !outcome.tail.trim().is_empty()) {
            let log = fenced(&outcome.tail);
            let name = line(&outcome.name);
            let _ = writeln!(text, "<details><summary>Log of {name}</summary>\n\n{log}\n\n</details>\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_the_step_and_is_not_cut() {
        let (session, title) = ("Move [all] to v2", "[Move [all] to v2] Use the new client");
        assert_eq!(own_title(session, title), "Use the new client");
        assert_eq!(own_title(session, "[WIP] [Move [all] to v2] Use it"), "Use it");
        assert_eq!(own_title(session, "[Move] Use it"), "[Move] Use it");
        assert_eq!(merge_subject(session, title, "main"), "Bring up to date with main: Use the new client");
        let stacked = merge_subject(session, title, "runyard/r-1-1-write-the-first-file-of-two-3f2a9c1b7d");
        assert_eq!(stacked, "Bring up to date with the change below: Use the new client");
        let long = merge_subject("", &"word ".repeat(40), "main");
        assert!(long.starts_with("Bring up to date with main: word ") && long.ends_with("…"), "{long}");
        assert!(long.chars().count() <= SUBJECT, "{long}");
    }
}
