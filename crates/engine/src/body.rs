//! The text of a pull request. Pure.

use domain::{Change, ChangeState, CheckOutcome, RunbookVersion, Session, StepId, StepState};
use std::{collections::HashMap, fmt::Write as _};

/// What a body is made of.
pub(crate) struct Body<'a> {
    pub session: &'a Session,
    pub requester: &'a str,
    pub public_url: Option<&'a str>,
    pub version: &'a RunbookVersion,
    pub states: &'a HashMap<StepId, StepState>,
    pub change: &'a Change,
    pub stack: &'a [Change],
    /// The text of each leaf in the change, by id.
    pub texts: &'a HashMap<StepId, String>,
    /// The checks of each leaf in the change, by id.
    pub evidence: &'a HashMap<StepId, Vec<CheckOutcome>>,
    /// Paths that deserve a second look: path and why.
    pub warnings: &'a [(String, String)],
}

/// The title of a change's pull request.
pub(crate) fn title(session: &Session, step_title: &str, whole: bool, in_progress: bool) -> String {
    let mark = if in_progress { "[WIP] " } else { "" };
    if whole { format!("{mark}{}", session.title) } else { format!("{mark}[{}] {step_title}", session.title) }
}

/// The body of a change's pull request.
pub(crate) fn render(body: &Body<'_>) -> String {
    let mut text = String::new();
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
            let _ = writeln!(text, "{own}\n");
        }
    }
    evidence(&mut text, body);
    if !body.warnings.is_empty() {
        text.push_str("## Look twice\n\n");
        for (path, why) in body.warnings {
            let _ = writeln!(text, "- `{}`: {}", line(path).replace('`', "'"), line(why));
        }
        text.push('\n');
    }
    text.push_str("## Progress\n\n");
    for leaf in body.version.leaves() {
        let state = body.states.get(&leaf.id).copied().unwrap_or(StepState::NotStarted);
        let here = if body.change.steps.contains(&leaf.id) { " ← here" } else { "" };
        let _ = writeln!(text, "- {} {} {} — {}{here}", state.glyph(), leaf.number, line(&leaf.title), state.words());
    }
    if body.stack.len() > 1 {
        text.push_str("\n## Stack\n\n");
        let _ = writeln!(text, "- `{}`", body.session.target_branch);
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
            let fence = fence_for(&outcome.tail);
            let _ = writeln!(
                text,
                "<details><summary>Log of {}</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>\n",
                line(&outcome.name).replace('<', "&lt;"),
                outcome.tail.trim_end()
            );
        }
    }
}

/// One line of text: what a sandbox wrote must not begin a heading, a comment or a command of its own.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("<!--", "&lt;!--")
}

fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// A command as code in a table: its first line, and a mark when there is more.
fn code(command: &str) -> String {
    let mut lines = command.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().replace('|', "\\|").replace('`', "'");
    let more = if lines.next().is_some() { " …" } else { "" };
    format!("`{first}{more}`")
}

/// A fence that no line of `text` ends.
fn fence_for(text: &str) -> String {
    let longest = text.lines().map(|line| line.trim_start().bytes().take_while(|byte| *byte == b'`').count()).max();
    "`".repeat(longest.unwrap_or(0).max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_holds_what_is_in_it() {
        assert_eq!(fence_for("plain"), "```");
        assert_eq!(fence_for("````\ncode\n````"), "`````");
    }

    #[test]
    fn a_command_is_one_cell() {
        assert_eq!(code("\n  grep -c x | wc\nmore"), "`grep -c x \\| wc …`");
        assert_eq!(cell("a | b\n# c"), "a \\| b # c");
        assert_eq!(line("x <!-- hidden -->"), "x &lt;!-- hidden -->");
    }
}
