//! What must hold for any input: the bodies of the fuzz targets, also run as property tests. Not part of the public face.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::{Document, Edit, Place, StepNumber, check, edit, render_json, render_text};

/// Reads any text and checks the promises of [`Document`]. Panics when one is broken.
pub fn parse_any(text: &str) {
    let document = Document::parse(text);
    assert_eq!(document.text(), text);
    assert_eq!(document, Document::parse(document.text()));
    let slice = |range: &Range<usize>| assert!(text.get(range.clone()).is_some(), "{range:?} is no range of the text");

    let mut last = 0;
    for (index, step) in document.steps().iter().enumerate() {
        for range in [&step.heading, &step.body, &step.extent].into_iter().chain(&step.bullets) {
            slice(range);
        }
        assert!(last <= step.heading.start && step.heading.end <= step.body.start && step.body.end <= step.extent.end);
        last = step.body.end;
        for child in &step.children {
            let child_step = &document.steps()[*child];
            assert!(*child > index && child_step.parent == Some(index));
            assert!(child_step.extent.start >= step.body.end && child_step.extent.end <= step.extent.end);
        }
    }
    let mut last = 0;
    for block in document.blocks() {
        for range in [&block.range, &block.opening, &block.body_range] {
            slice(range);
            assert!(range.start >= block.range.start && range.end <= block.range.end);
        }
        assert!(last <= block.range.start);
        last = block.range.end;
        if let Some(step) = block.step {
            assert!(document.steps()[step].body.contains(&block.range.start));
        }
    }
    let found = check(&document);
    for diagnostic in &found {
        slice(&diagnostic.span);
    }
    render_text("any.md", &found);
    render_json("any.md", &found);

    let values: BTreeMap<String, String> =
        document.variable_names().into_iter().map(|name| (name.to_owned(), "value".to_owned())).collect();
    for leaf in document.leaves().into_iter().take(20) {
        document.checks_after(&leaf.number);
        assert!(document.leaf_context(&leaf.number, &values).is_some_and(|c| c.is_ok()));
    }
}

/// Applies an edit that `choice` picks to any text and checks that only the lines of the edit changed.
pub fn edit_any(text: &str, given: &str, choice: (u8, u8, u8)) {
    let document = Document::parse(text);
    let (kind, from, to) = choice;
    let pick = |n: u8| document.steps().get(usize::from(n) % document.steps().len().max(1));
    let number = |n: u8| pick(n).map_or_else(|| StepNumber::top(1), |s| s.number.clone());
    let place = match to % 4 {
        0 => Place::Before(number(to / 4)),
        1 => Place::After(number(to / 4)),
        2 => Place::Into(number(to / 4)),
        _ => Place::End,
    };
    let wanted = match kind % 8 {
        0 => Edit::ReplaceStep { number: number(from), text: given.to_owned(), with_substeps: false },
        1 => Edit::ReplaceStep { number: number(from), text: given.to_owned(), with_substeps: true },
        2 => Edit::InsertStep { place, text: given.to_owned() },
        3 => Edit::DeleteStep { number: number(from) },
        4 => Edit::MoveStep { number: number(from), place },
        5 => Edit::Renumber {},
        6 => Edit::SetStepTitle { number: number(from), title: given.to_owned() },
        _ => Edit::SetTitle { title: given.to_owned() },
    };
    let Ok(edited) = edit(&document, &wanted, &|_| false) else { return };
    assert_eq!(edited, Document::parse(edited.text()));
    let (old, new) = (lines_without_numbers(&document), lines_without_numbers(&edited));
    match &wanted {
        Edit::ReplaceStep { number, with_substeps, .. } => {
            let step = document.step(number).expect("an edit of an unknown step is refused");
            let end = if *with_substeps { step.extent.end } else { step.body.end };
            assert!(edited.text().starts_with(&text[..step.heading.start]));
            assert!(edited.text().ends_with(&text[end..]));
        }
        Edit::SetStepTitle { number, .. } => {
            let step = document.step(number).expect("an edit of an unknown step is refused");
            assert!(edited.text().starts_with(&text[..step.heading.start]));
            assert!(edited.text().ends_with(&text[step.heading.end..]));
        }
        Edit::SetTitle { .. } => {
            let same = old.iter().filter(|l| new.contains(l)).count();
            assert!(same + 2 >= old.len(), "more than the title's two lines changed");
        }
        Edit::InsertStep { .. } => assert!(is_subsequence(&old, &new)),
        Edit::DeleteStep { .. } => assert!(is_subsequence(&new, &old)),
        Edit::Renumber {} => assert_eq!(old, new),
        Edit::MoveStep { number, .. } => {
            let step = document.step(number).expect("an edit of an unknown step is refused");
            let moved = document.steps().iter().filter(|s| s.number.is_within(&step.number)).count();
            let mut left: Vec<&String> = new.iter().collect();
            let lost = old.iter().filter(|l| left.iter().position(|n| n == l).map(|at| left.swap_remove(at)).is_none());
            assert!(lost.count() <= moved, "more than the moved headings changed");
        }
    }
}

/// The lines of a document with the numbers of its steps left out, and without line endings.
fn lines_without_numbers(document: &Document) -> Vec<String> {
    let mut text = document.text().to_owned();
    for step in document.steps().iter().rev() {
        text.replace_range(step.number_range.clone(), "");
    }
    text.split(['\n', '\r']).filter(|l| !l.is_empty()).map(str::to_owned).collect()
}

fn is_subsequence(part: &[String], whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|line| rest.any(|l| l == line))
}
