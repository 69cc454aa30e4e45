//! What waits for a person, as it is shown.

use super::{
    clean::{clean, one_line},
    style::{Colour, Style},
};
use domain::{Choice, RequestKind};

/// The lines of a request: what is asked and what may be answered.
pub fn request_lines(kind: &RequestKind, style: Style) -> Vec<String> {
    let mark = style.paint(Colour::Waiting, "⏸");
    match kind {
        RequestKind::Question { questions, .. } => questions
            .iter()
            .flat_map(|question| {
                let many = if question.multi_select { " (several may be chosen)" } else { "" };
                let mut lines = vec![format!("{mark} {}{many}", style.paint(Colour::Bold, &flat(&question.question)))];
                lines.extend(choices(&question.options, style));
                lines
            })
            .collect(),
        RequestKind::Permission { tool, input, reason, .. } => {
            let mut lines = vec![format!(
                "{mark} {}",
                style.paint(Colour::Bold, &format!("The agent wants to use {}: {}", flat(tool), subject(input)))
            )];
            if !reason.trim().is_empty() {
                lines.push(format!("    {}", flat(reason)));
            }
            lines.push(format!("    {}", style.paint(Colour::Dim, "answer `allow`, or `deny` with a reason")));
            lines
        }
        RequestKind::Publish { options } => {
            let mut lines =
                vec![format!("{mark} {}", style.paint(Colour::Bold, "What is to become of the work so far?"))];
            lines.extend(choices(options, style));
            lines
        }
    }
}

fn choices(options: &[Choice], style: Style) -> impl Iterator<Item = String> {
    options.iter().enumerate().map(move |(at, choice)| {
        let description = match flat(&choice.description) {
            text if text.is_empty() => text,
            text => style.paint(Colour::Dim, &format!(" – {text}")),
        };
        format!("    {}  {}{description}", at + 1, flat(&choice.label))
    })
}

fn flat(text: &str) -> String {
    one_line(text, 600)
}

/// What a tool would be called with, whole: a person decides about exactly this.
fn subject(input: &serde_json::Value) -> String {
    match input.get("command").or_else(|| input.get("file_path")).and_then(|value| value.as_str()) {
        Some(text) => clean(text).replace('\n', "\n      "),
        None => clean(&input.to_string()),
    }
}
