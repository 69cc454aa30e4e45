//! Text that a person or an agent gives for a step.

use crate::heading::{read_atx, read_step};
use crate::model::Document;
use crate::number::StepNumber;
use crate::position::{line_end, next_line};

use super::splice::{Splice, apply, line_ending, without_final_newlines};

/// A step's text taken apart: the first line that is not blank, and what follows it.
pub(super) struct Given {
    /// The number in the first line.
    pub(super) number: Option<StepNumber>,
    /// Tags and title.
    pub(super) label: String,
    /// Whether the first line is a heading with a number already.
    heading: bool,
    pub(super) body: String,
}

pub(super) fn read_given(text: &str) -> Given {
    let text = trimmed(text);
    let (first, body) = (&text[..line_end(text, 0)], &text[next_line(text, 0)..]);
    let atx = read_atx(first);
    let words = atx.as_ref().map_or(first.trim(), |h| &first[h.text.clone()]);
    let step = read_step(words);
    Given {
        label: step.as_ref().map_or(words, |s| &words[s.label_range.clone()]).to_owned(),
        heading: atx.is_some() && step.is_some(),
        number: step.map(|s| s.number),
        body: body.to_owned(),
    }
}

fn trimmed(text: &str) -> &str {
    without_final_newlines(text.trim_start_matches(['\n', '\r']))
}

/// The canonical heading of a step, with a number that only its depth is right of.
pub(super) fn placeholder_heading(depth: usize, label: &str) -> String {
    let heading = format!("{}{}: {label}", heading_prefix(depth), placeholder(depth));
    heading.trim_end().to_owned()
}

/// The text as steps of the given depth: headings as they were written where the depth is right already, canonical
/// where it changes. Numbers are right in depth only.
pub(super) fn at_depth(text: &str, depth: usize) -> String {
    const SECTION: &str = "## Execution Steps\n\n";
    let given = read_given(text);
    let text = if given.heading {
        trimmed(text).to_owned()
    } else {
        format!("{}{}{}", placeholder_heading(depth, &given.label), line_ending(text), given.body)
    };
    let own = given.number.filter(|_| given.heading).map_or(depth, |n| n.depth());
    let document = Document::parse(format!("{SECTION}{text}"));
    if own == depth {
        return document.into_text().split_off(SECTION.len());
    }
    let splices = document.steps().iter().map(|step| {
        let depth = (step.number.depth() + depth).saturating_sub(own).max(1);
        let text = format!("{}{}", heading_prefix(depth), placeholder(depth));
        Splice { range: step.heading.start..step.number_range.end, text }
    });
    let (mut text, _) = apply(document.text(), splices.collect());
    text.split_off(SECTION.len())
}

fn heading_prefix(depth: usize) -> &'static str {
    match depth {
        1 => "### Step ",
        2 => "#### ",
        3 => "##### ",
        _ => "###### ",
    }
}

fn placeholder(depth: usize) -> String {
    vec!["1"; depth].join(".")
}
