//! Pull requests and diffs.

use super::{
    clean::{clean, one_line},
    lists::table,
    markdown::markdown,
    session::change_words,
    style::{Colour, Style},
    time::moment,
};
use engine::{PullRequestLine, PullRequestView};
use jiff::tz::TimeZone;
use std::borrow::Cow;
use store::{Comment, PullRequestState};

/// Pull requests, one line each.
pub fn pull_requests(lines: &[PullRequestLine], style: Style) -> Vec<String> {
    if lines.is_empty() {
        return vec!["No pull requests yet.".into()];
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![
                format!("#{}", line.pull_request.number),
                one_line(&line.repository, 24),
                state_words(line).to_owned(),
                line.session.map_or_else(String::new, |session| session.to_string()),
                one_line(&own_title(line), 60),
                one_line(&format!("{} → {}", line.pull_request.head, line.pull_request.base), usize::MAX),
            ]
        })
        .collect();
    table(&rows, |row, column, cell| match column {
        0 => style.paint(Colour::Bold, cell),
        2 => style.paint(state_colour(&lines[row]), cell),
        1 | 3 | 5 => style.paint(Colour::Dim, cell),
        _ => cell.to_owned(),
    })
}

/// The title without the session's in brackets before it: the session stands in a column of its own.
fn own_title(line: &PullRequestLine) -> Cow<'_, str> {
    const MARK: &str = "[WIP] ";
    let title = line.pull_request.title.as_str();
    let (mark, rest) = title.strip_prefix(MARK).map_or(("", title), |rest| (MARK, rest));
    match rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, own)) if line.session.is_some() && mark.is_empty() => Cow::Borrowed(own),
        Some((_, own)) if line.session.is_some() => Cow::Owned(format!("{mark}{own}")),
        _ => Cow::Borrowed(title),
    }
}

fn state_words(line: &PullRequestLine) -> &'static str {
    match (line.pull_request.state, line.state) {
        (PullRequestState::Merged, _) => "merged",
        (PullRequestState::Closed, _) => "closed",
        (PullRequestState::Open, Some(state)) if state != domain::ChangeState::Branch => change_words(state),
        (PullRequestState::Open, _) if line.pull_request.draft => "draft",
        (PullRequestState::Open, _) => "open",
    }
}

fn state_colour(line: &PullRequestLine) -> Colour {
    match line.pull_request.state {
        PullRequestState::Open => Colour::Running,
        PullRequestState::Merged => Colour::Done,
        PullRequestState::Closed => Colour::Dim,
    }
}

/// A pull request with everything about it.
pub fn pull_request(view: &PullRequestView, style: Style, zone: &TimeZone) -> Vec<String> {
    let pr = &view.line.pull_request;
    let mut lines = vec![
        format!(
            "{} {}  {}",
            style.paint(Colour::Bold, &format!("#{}", pr.number)),
            style.paint(Colour::Bold, &one_line(&pr.title, 120)),
            style.paint(state_colour(&view.line), state_words(&view.line)),
        ),
        style.paint(Colour::Dim, &about(view, zone)),
        String::new(),
    ];
    lines.extend(markdown(&pr.body, style));
    section(
        &mut lines,
        "Commits",
        style,
        view.commits
            .iter()
            .map(|(id, subject)| format!("  {} {}", style.paint(Colour::Dim, id.short()), one_line(subject, 100))),
    );
    section(
        &mut lines,
        "Checks",
        style,
        view.checks.iter().map(|check| {
            let (colour, glyph) = if check.passed { (Colour::Done, "✓") } else { (Colour::Failed, "✗") };
            format!("  {} {}", style.paint(colour, glyph), one_line(&check.name, 100))
        }),
    );
    let said = |comment: &Comment, indent: &str| {
        let head = format!("{indent}{} · {}", one_line(&comment.author, 60), moment(comment.created_at, zone));
        let body = markdown(&comment.body, style).into_iter().map(|line| format!("{indent}  {line}"));
        std::iter::once(style.paint(Colour::Dim, &head)).chain(body).collect::<Vec<_>>()
    };
    let whole = view.comments.iter().filter(|comment| comment.thread.is_none());
    section(&mut lines, "Conversation", style, whole.flat_map(|comment| said(comment, "  ")));
    let threads = view.threads.iter().flat_map(|thread| {
        let state = if thread.resolved { "resolved" } else { "open" };
        let colour = if thread.resolved { Colour::Done } else { Colour::Waiting };
        let place = format!("  {}:{}", one_line(&thread.path, 200), thread.line);
        let own = view.comments.iter().filter(move |comment| comment.thread == Some(thread.id));
        std::iter::once(format!("{place} {}", style.paint(colour, state)))
            .chain(own.flat_map(|comment| said(comment, "    ")))
            .collect::<Vec<_>>()
    });
    section(&mut lines, "Review threads", style, threads);
    lines
}

fn about(view: &PullRequestView, zone: &TimeZone) -> String {
    let pr = &view.line.pull_request;
    let mut parts = vec![
        one_line(&view.line.repository, 60),
        one_line(&format!("{} → {}", pr.head, view.base), usize::MAX),
        one_line(&pr.author, 60),
        moment(pr.created_at, zone),
    ];
    if let Some(session) = view.line.session {
        let steps = match view.line.steps.as_slice() {
            [] => String::new(),
            [one] => format!(" step {one}"),
            many => format!(" steps {}", many.join(", ")),
        };
        parts.push(format!("{session}{steps}"));
    }
    if !pr.labels.is_empty() {
        parts.push(one_line(&pr.labels.join(", "), 100));
    }
    parts.join(" · ")
}

fn section(lines: &mut Vec<String>, title: &str, style: Style, content: impl Iterator<Item = String>) {
    let mut content = content.peekable();
    if content.peek().is_some() {
        lines.push(String::new());
        lines.push(style.paint(Colour::Bold, title));
        lines.extend(content);
    }
}

/// A diff with its lines in colour.
pub fn diff(text: &str, style: Style) -> Vec<String> {
    clean(text)
        .lines()
        .map(|line| match line.as_bytes().first() {
            _ if ["diff ", "index ", "+++ ", "--- "].iter().any(|head| line.starts_with(head)) => {
                style.paint(Colour::Bold, line)
            }
            Some(b'+') => style.paint(Colour::Done, line),
            Some(b'-') => style.paint(Colour::Failed, line),
            Some(b'@') => style.paint(Colour::Running, line),
            _ => line.to_owned(),
        })
        .collect()
}

/// Lines that a unified diff adds and removes.
pub fn diff_stat(text: &str) -> (usize, usize) {
    let (mut added, mut removed) = (0, 0);
    // What is left of the current hunk decides whether `--- x` is a header or a removed line `-- x`.
    let (mut old, mut new) = (0usize, 0usize);
    for line in text.lines() {
        if old == 0 && new == 0 {
            if let Some(hunk) = line.strip_prefix("@@ -") {
                (old, new) = hunk_size(hunk).unwrap_or((0, 0));
            }
            continue;
        }
        match line.as_bytes().first() {
            Some(b'+') => {
                added += 1;
                new = new.saturating_sub(1);
            }
            Some(b'-') => {
                removed += 1;
                old = old.saturating_sub(1);
            }
            Some(b'\\') => {}
            _ => {
                old = old.saturating_sub(1);
                new = new.saturating_sub(1);
            }
        }
    }
    (added, removed)
}

/// Reads `1,2 +3,4 @@…`: the numbers of old and new lines, 1 where none is given.
fn hunk_size(hunk: &str) -> Option<(usize, usize)> {
    let (old, rest) = hunk.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let size = |range: &str| range.split_once(',').map_or(Some(1), |(_, size)| size.parse().ok());
    Some((size(old)?, size(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_not_counted_and_lines_that_look_like_them_are() {
        let text = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,3 @@\n one\n--- two\n+++ two\n+three\n@@ -9 +10,0 @@\n-x\n\\ No newline at end of file\n--- a/b\n+++ b/b\n";
        assert_eq!(diff_stat(text), (2, 2));
    }
}
