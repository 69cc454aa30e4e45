//! Numbers, titles, tags.

use std::collections::HashMap;

use crate::diagnostic::{Code, suggest};
use crate::heading::{Tag, bracketed};
use crate::model::Step;
use crate::number::{MAX_DEPTH, StepNumber};

use super::Checker;

impl Checker<'_> {
    pub(super) fn steps(&mut self) {
        let document = self.document;
        if self.options.plan && document.steps.is_empty() {
            let at = document.steps_range.start;
            self.report(
                Code::NoSteps,
                at..at,
                "the document has no steps to execute".to_owned(),
                "add a heading such as `### Step 1: Title` below `## Execution Steps`",
            );
        }
        let top: Vec<&Step> = document.steps.iter().filter(|s| s.parent.is_none()).collect();
        self.siblings(None, &top);
        for step in &document.steps {
            let children: Vec<&Step> = step.children.iter().map(|c| &document.steps[*c]).collect();
            self.siblings(Some(step), &children);
            self.step(step);
        }
    }

    fn siblings(&mut self, parent: Option<&Step>, steps: &[&Step]) {
        let mut previous = 0;
        for step in steps {
            let number = &step.number;
            let expected = match parent {
                None => StepNumber::top(previous + 1),
                Some(parent) => parent.number.child(previous + 1),
            };
            let span = step.number_range.clone();
            let misplaced = number.parent().as_ref() != parent.map(|p| &p.number);
            if number.depth() > MAX_DEPTH {
                self.report(
                    Code::StepTooDeep,
                    span,
                    format!("step {number} is nested deeper than {MAX_DEPTH} levels"),
                    "make it a bullet of the step above",
                );
            } else if misplaced {
                let (message, help) = match parent {
                    Some(parent) => (
                        format!("substep {number} stands below step {}", parent.number),
                        format!("number it {expected}, or move it below the step it belongs to"),
                    ),
                    None => (
                        format!("substep {number} has no step above it"),
                        number.parent().map_or_else(String::new, |p| format!("add a heading for step {p} before it")),
                    ),
                };
                self.report(Code::SubstepParent, span, message, help);
            } else if number.last() <= previous {
                self.report(
                    Code::NumberingDuplicate,
                    span,
                    format!(
                        "step {number} comes after step {previous_number}",
                        previous_number = with_last(number, previous)
                    ),
                    format!("number it {expected}"),
                );
                continue;
            } else if *number != expected {
                let (code, message) = if previous == 0 {
                    (Code::NumberingStart, format!("the first step here is {number}, not {expected}"))
                } else {
                    (Code::NumberingGap, format!("step {number} follows step {}", with_last(number, previous)))
                };
                self.report(code, span, message, format!("number it {expected}"));
            }
            // From here on count from what is written, so that one slip is told once.
            previous = number.last();
        }
        self.titles(parent, steps);
    }

    fn titles(&mut self, parent: Option<&Step>, steps: &[&Step]) {
        let mut seen: HashMap<&str, &Step> = HashMap::new();
        for step in steps.iter().filter(|s| !s.title.is_empty()) {
            if let Some(first) = seen.get(step.title.as_str()) {
                let scope = parent.map_or_else(|| "the document".to_owned(), |p| format!("step {}", p.number));
                self.report(
                    Code::DuplicateTitle,
                    step.title_range.clone(),
                    format!(
                        "step {} has the title of step {} (line {})",
                        step.number, first.number, first.position.line
                    ),
                    format!("give each step of {scope} a title of its own"),
                );
            } else {
                seen.insert(&step.title, step);
            }
        }
    }

    fn step(&mut self, step: &Step) {
        if step.is_leaf() && step.title.is_empty() {
            self.report(
                Code::MissingTitle,
                step.heading.clone(),
                format!("step {} has no title", step.number),
                format!("write what it does, as in `{}: Add the table`", step.number),
            );
        }
        if let Some(word) = bracketed(&step.title).filter(|w| looks_like_tag(w)) {
            let known = Tag::ALL.map(Tag::word);
            let help = suggest(word, known).map_or_else(
                || {
                    format!(
                        "tags are {}; other words in brackets stay in the title",
                        known.map(|t| format!("[{t}]")).join(", ")
                    )
                },
                |tag| format!("did you mean `[{tag}]`?"),
            );
            let start = step.title_range.start;
            self.report(Code::UnknownTag, start..start + word.len() + 2, format!("[{word}] is not a tag"), help);
        }
        if step.has(Tag::Conditional) && step.condition.is_none() {
            self.report(
                Code::MissingCondition,
                step.heading.clone(),
                format!("step {} is conditional but does not say when to execute it", step.number),
                "add a bold line below the heading, as in `**Only execute if the project uses TLS**`",
            );
        }
    }
}

fn with_last(number: &StepNumber, last: u32) -> StepNumber {
    number.parent().map_or_else(|| StepNumber::top(last), |p| p.child(last))
}

fn looks_like_tag(word: &str) -> bool {
    let near = suggest(word, Tag::ALL.map(Tag::word)).is_some();
    let shouting = word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
    near || shouting
}
