//! From headings to steps.

use std::ops::Range;

use crate::diagnostic::Code;
use crate::heading::{StepHeading, Tag, read_step, resembles_step};
use crate::model::{Document, Heading, Step};
use crate::position::next_line;

/// Finds the steps of a document whose headings and blocks are known. `items` are those of its outermost lists.
pub(crate) fn build(document: &mut Document, items: &[Range<usize>]) {
    let read: Vec<Option<StepHeading>> = document
        .headings
        .iter()
        .map(|h| if h.atx { read_step(&document.text[h.text.clone()]) } else { None })
        .collect();
    let section = Section::find(document, &read);
    document.steps_range = section.range.clone();
    warn_of_near_misses(document, &read, &section);

    let found: Vec<(usize, StepHeading)> = read
        .into_iter()
        .enumerate()
        .filter_map(|(i, step)| Some((i, step?)))
        .filter(|(i, _)| section.headings.contains(i))
        .collect();
    let starts: Vec<usize> = found.iter().map(|(i, _)| document.headings[*i].range.start).collect();
    let mut open: Vec<usize> = Vec::new();
    for (index, (heading, step)) in found.into_iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(section.range.end);
        let mut step = make_step(document, &document.headings[heading], step, end);
        while open.last().is_some_and(|last| document.steps[*last].number.depth() >= step.number.depth()) {
            open.pop();
        }
        step.parent = open.last().copied();
        if let Some(parent) = step.parent {
            document.steps[parent].children.push(index);
        }
        document.steps.push(step);
        open.push(index);
    }
    for index in (0..document.steps.len()).rev() {
        if let Some(last) = document.steps[index].children.last() {
            document.steps[index].extent.end = document.steps[*last].extent.end;
        }
    }
    assign_blocks(document);
    for item in items {
        if let Some(step) = step_at(&document.steps, item.start) {
            document.steps[step].bullets.push(item.clone());
        }
    }
    for index in 0..document.steps.len() {
        if document.steps[index].has(Tag::Conditional) {
            document.steps[index].condition = condition(document, index);
        }
    }
}

/// The part of a document whose numbered headings are steps.
struct Section {
    /// Bytes, from the first heading that may be a step to the end of the steps.
    range: Range<usize>,
    /// Indices of headings.
    headings: Range<usize>,
}

impl Section {
    fn find(document: &Document, read: &[Option<StepHeading>]) -> Self {
        let headings = &document.headings;
        let named = headings.iter().position(|h| is_execution_steps(&document.text[h.text.clone()]));
        let from = named.map_or(0, |i| i + 1);
        let counts = named.is_some() || read.iter().flatten().any(|s| s.keyword);
        let first = (from..headings.len()).find(|i| counts && read[*i].is_some());
        let Some(first) = first else {
            // No steps yet: where the section would be, for those that want to add one.
            let end = named.map_or(document.text.len(), |n| section_end(document, n));
            return Self { range: end..end, headings: 0..0 };
        };
        let above = named.or(first.checked_sub(1)).map(|i| headings[i].level);
        let limit = above.filter(|level| *level > 1).unwrap_or(headings[first].level);
        let last = (first..headings.len()).find(|i| read[*i].is_none() && headings[*i].level <= limit);
        Self {
            range: headings[first].range.start..last.map_or(document.text.len(), |i| headings[i].range.start),
            headings: first..last.unwrap_or(headings.len()),
        }
    }
}

fn section_end(document: &Document, heading: usize) -> usize {
    let level = document.headings[heading].level;
    let after = document.headings[heading + 1..].iter().find(|h| h.level <= level);
    after.map_or(document.text.len(), |h| h.range.start)
}

/// Whether a heading opens the section of the steps.
pub(crate) fn is_execution_steps(text: &str) -> bool {
    text.trim().trim_end_matches(':').eq_ignore_ascii_case("execution steps")
}

fn make_step(document: &Document, heading: &Heading, step: StepHeading, end: usize) -> Step {
    let shift = |r: Range<usize>| heading.text.start + r.start..heading.text.start + r.end;
    let title_range = shift(step.title_range);
    Step {
        number: step.number,
        tags: step.tags,
        title: document.text[title_range.clone()].to_owned(),
        level: heading.level,
        heading: heading.range.clone(),
        body: next_line(&document.text, heading.range.end)..end,
        extent: heading.range.start..end,
        position: document.position(heading.range.start),
        parent: None,
        children: Vec::new(),
        condition: None,
        bullets: Vec::new(),
        number_range: shift(step.number_range),
        label_range: shift(step.label_range),
        title_range,
    }
}

/// The step whose own text holds the byte.
fn step_at(steps: &[Step], offset: usize) -> Option<usize> {
    let after = steps.partition_point(|s| s.heading.start <= offset);
    after.checked_sub(1).filter(|i| steps[*i].body.contains(&offset))
}

fn assign_blocks(document: &mut Document) {
    for block in &mut document.blocks {
        block.step = step_at(&document.steps, block.range.start);
    }
}

/// The words of the first line of a step's own text that is bold as a whole, code left out.
fn condition(document: &Document, index: usize) -> Option<String> {
    let body = document.steps[index].body.clone();
    let mut blocks = document.blocks_in(&body).iter().map(|b| b.range.clone()).peekable();
    let mut at = body.start;
    while at < body.end {
        let next = next_line(&document.text, at);
        while blocks.next_if(|b| b.end <= at).is_some() {}
        if blocks.peek().is_none_or(|b| b.start >= next) {
            let line = document.text[at..next].trim();
            let inner = ["**", "__"].iter().find_map(|m| line.strip_prefix(m)?.strip_suffix(m));
            if let Some(words) = inner.filter(|w| !w.trim().is_empty()) {
                return Some(words.trim().to_owned());
            }
        }
        at = next;
    }
    None
}

fn warn_of_near_misses(document: &mut Document, read: &[Option<StepHeading>], section: &Section) {
    let any = !section.headings.is_empty();
    let mut notes = Vec::new();
    for (i, heading) in document.headings.iter().enumerate() {
        let inside = section.headings.contains(&i);
        let words = &document.text[heading.text.clone()];
        let note = match &read[i] {
            Some(step) if !inside && step.keyword => Some((
                "this heading is outside the steps, so it is not executed",
                "move it below `## Execution Steps`, before the heading that ends the steps, or take the number away",
            )),
            None if inside && heading.atx && resembles_step(words) => Some((
                "this heading looks like a step but is read as text",
                "put a colon after the number, as in `### Step 1: Title` or `#### 1.1: Title`",
            )),
            None if any && !heading.atx && read_step(words).is_some_and(|s| s.keyword) => {
                Some(("an underlined heading is never a step", "write it with `#`, as in `### Step 1: Title`"))
            }
            _ => None,
        };
        notes.extend(note.map(|(message, help)| (heading.text.clone(), message, help)));
    }
    for (span, message, help) in notes {
        document.problem(Code::HeadingNotAStep, span, message.to_owned(), help.to_owned());
    }
}
