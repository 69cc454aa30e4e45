//! What each edit does to the text.

use std::ops::Range;

use crate::model::{Document, Step};
use crate::number::StepNumber;

use super::fragment::{at_depth, read_given};
use super::splice::{Splice, apply as splice, ends_blank, line_ending, with_line_endings, without_final_newlines};
use super::{Edit, EditError, Place, numbering_errors, outline};

/// The outcome of an edit before it is checked.
pub(super) struct Change {
    pub(super) document: Document,
    pub(super) expected_title: Option<Wanted>,
}

/// A title that must be read from the result.
pub(super) enum Wanted {
    Document(String),
    Step(StepNumber, String),
}

impl Wanted {
    pub(super) fn title(&self) -> &str {
        let (Self::Document(title) | Self::Step(_, title)) = self;
        title
    }

    pub(super) fn actual(&self, document: &Document) -> Option<String> {
        match self {
            Self::Document(_) => document.title().map(str::to_owned),
            Self::Step(number, _) => document.step(number).map(|s| s.title.clone()),
        }
    }
}

pub(super) fn apply(document: &Document, edit: &Edit) -> Result<Change, EditError> {
    let mut expected_title = None;
    let document = match edit {
        Edit::ReplaceStep { number, text, with_substeps } => replace(document, number, text, *with_substeps)?,
        Edit::InsertStep { place, text } => {
            let text = with_line_endings(text, line_ending(&document.text));
            rearrange(document, None, Some((place, &text)))?
        }
        Edit::DeleteStep { number } => rearrange(document, Some(find(document, number)?), None)?,
        Edit::MoveStep { number, place } => {
            let step = find(document, number)?;
            if let Place::Before(n) | Place::After(n) | Place::Into(n) = place
                && n.is_within(number)
            {
                return Err(EditError::IntoItself(number.clone()));
            }
            let text = &document.text[step.extent.clone()];
            rearrange(document, Some(step), Some((place, text)))?
        }
        Edit::Renumber {} => renumber(document),
        Edit::SetStepTitle { number, title } => {
            let title = one_line(title)?;
            expected_title = Some(Wanted::Step(number.clone(), title.to_owned()));
            let step = find(document, number)?;
            let tags = &document.text[step.label_range.start..step.title_range.start];
            spliced(document, heading_splice(document, step, &format!("{tags}{title}")).into_iter().collect())?
        }
        Edit::SetTitle { title } => {
            let title = one_line(title)?;
            expected_title = Some(Wanted::Document(title.to_owned()));
            set_title(document, title)?
        }
    };
    Ok(Change { document, expected_title })
}

fn find<'d>(document: &'d Document, number: &StepNumber) -> Result<&'d Step, EditError> {
    document.step(number).ok_or_else(|| EditError::NoSuchStep(number.clone()))
}

fn one_line(title: &str) -> Result<&str, EditError> {
    let title = title.trim();
    if title.is_empty() || title.contains(char::is_control) {
        return Err(EditError::BadTitle(title.to_owned(), "a title is one line of text"));
    }
    Ok(title)
}

fn replace(document: &Document, number: &StepNumber, text: &str, with_substeps: bool) -> Result<Document, EditError> {
    let step = find(document, number)?;
    let given = read_given(text);
    if let Some(found) = given.number.filter(|n| n != number) {
        return Err(EditError::OtherNumber { expected: number.clone(), found });
    }
    let ending = line_ending(&document.text);
    let old = step.body.start..if with_substeps { step.extent.end } else { step.body.end };
    let kept = &document.text[old.clone()];
    let core = old.start..old.start + without_final_newlines(kept).len();
    let mut body = with_line_endings(without_final_newlines(&given.body), ending);
    if body == with_line_endings(&document.text[core.clone()], ending) {
        document.text[core.clone()].clone_into(&mut body);
    } else if !body.is_empty() {
        if !document.text[..core.start].ends_with(['\n', '\r']) {
            body.insert_str(0, ending);
        }
        let after = &document.text[core.end..];
        if !after.is_empty() && !after.starts_with(['\n', '\r']) {
            body.push_str(ending);
        }
    }
    let mut splices: Vec<Splice> = heading_splice(document, step, &given.label).into_iter().collect();
    splices.push(Splice { range: core, text: body });
    spliced(document, splices)
}

/// The change of a heading's tags and title, `None` when they are the same already.
fn heading_splice(document: &Document, step: &Step, label: &str) -> Option<Splice> {
    if document.text[step.label_range.clone()] == *label {
        return None;
    }
    let separated = !document.text[step.number_range.end..step.label_range.start].trim().is_empty();
    let range = if separated { step.label_range.clone() } else { step.number_range.end..step.label_range.end };
    let gap = match (separated, label.is_empty()) {
        (_, true) => "",
        (false, false) => ": ",
        (true, false) if document.text[..range.start].ends_with([' ', '\t']) => "",
        (true, false) => " ",
    };
    Some(Splice { range, text: format!("{gap}{label}") })
}

/// Takes a step out, puts a text in, or both, and numbers the steps anew.
fn rearrange(document: &Document, out: Option<&Step>, into: Option<(&Place, &str)>) -> Result<Document, EditError> {
    let faults = numbering_errors(document);
    if !faults.is_empty() {
        return Err(EditError::Invalid(faults));
    }
    let mut splices = Vec::new();
    if let Some((place, text)) = into {
        splices.push(insertion(document, place, text)?);
    }
    if let Some(step) = out {
        splices.push(Splice { range: removal(document, step), text: String::new() });
    }
    let moved = spliced(document, splices)?;
    let renumbered = renumber(&moved);
    let (before, after) = (outline(&moved, &[]), outline(&renumbered, &[]));
    if before == after { Ok(renumbered) } else { Err(difference(&before, &after)) }
}

/// A step with its substeps; the blank lines at its end stay where otherwise two lines would run together.
fn removal(document: &Document, step: &Step) -> Range<usize> {
    let extent = step.extent.clone();
    if ends_blank(&document.text[..extent.start]) {
        return extent;
    }
    let core = extent.start + without_final_newlines(&document.text[extent.clone()]).len();
    // The line ending of the last line goes with it.
    let end = crate::position::next_line(&document.text, core).min(extent.end);
    extent.start..end
}

fn insertion(document: &Document, place: &Place, text: &str) -> Result<Splice, EditError> {
    let (at, depth) = match place {
        Place::Before(number) => (find(document, number)?.extent.start, number.depth()),
        Place::After(number) => (find(document, number)?.extent.end, number.depth()),
        Place::Into(number) => (find(document, number)?.extent.end, number.depth() + 1),
        Place::End => (document.steps_range.end, 1),
    };
    let ending = line_ending(&document.text);
    let (before, after) = document.text.split_at(at);
    let mut new = String::new();
    if !before.is_empty() && !before.ends_with(['\n', '\r']) {
        new.push_str(ending);
    }
    // Right after the byte order mark or the front matter nothing runs together.
    if at > document.front_matter.range.end && !ends_blank(before) {
        new.push_str(ending);
    }
    let named = || document.headings.iter().any(|h| crate::steps::is_execution_steps(&document.text[h.text.clone()]));
    if document.steps.is_empty() && !named() {
        new.push_str("## Execution Steps");
        new.push_str(&ending.repeat(2));
    }
    new.push_str(without_final_newlines(&at_depth(text, depth)));
    new.push_str(ending);
    if !after.is_empty() && !after.starts_with(['\n', '\r']) {
        new.push_str(ending);
    }
    Ok(Splice { range: at..at, text: new })
}

/// Numbers steps by where they stand in the tree; only numbers that are wrong change.
fn renumber(document: &Document) -> Document {
    let mut numbers: Vec<StepNumber> = Vec::with_capacity(document.steps.len());
    let mut children = vec![0; document.steps.len()];
    let mut top = 0;
    let mut splices = Vec::new();
    for step in &document.steps {
        let number = if let Some(parent) = step.parent {
            children[parent] += 1;
            numbers[parent].child(children[parent])
        } else {
            top += 1;
            StepNumber::top(top)
        };
        if number != step.number {
            splices.push(Splice { range: step.number_range.clone(), text: number.to_string() });
        }
        numbers.push(number);
    }
    Document::parse(splice(&document.text, splices).0)
}

/// Applies splices and makes sure that all headings outside them are read as before.
fn spliced(document: &Document, splices: Vec<Splice>) -> Result<Document, EditError> {
    let removed: Vec<Range<usize>> = splices.iter().map(|s| s.range.clone()).collect();
    let (text, places) = splice(&document.text, splices);
    let edited = Document::parse(text);
    // From the start of its line, so that a heading counts as touched when any part of it is; an insertion between
    // lines touches none.
    let lines_of = |document: &Document, ranges: &[Range<usize>]| -> Vec<Range<usize>> {
        ranges.iter().map(|r| document.lines.line_start(r.start)..r.end).collect()
    };
    let (gone, touched) = (lines_of(document, &removed), lines_of(&edited, &places));
    let (before, after) = (outline(document, &gone), outline(&edited, &touched));
    if before == after { Ok(edited) } else { Err(difference(&before, &after)) }
}

fn difference(before: &[(bool, String)], after: &[(bool, String)]) -> EditError {
    let at = before.iter().zip(after).take_while(|(b, a)| b == a).count();
    let words = before.get(at).or(after.get(at)).map_or("", |(_, words)| words.as_str());
    EditError::Structure(words.to_owned())
}

fn set_title(document: &Document, title: &str) -> Result<Document, EditError> {
    let mut splices = Vec::new();
    if let Some(range) = &document.front_matter.title_range {
        // A JSON string is a YAML scalar whatever it holds.
        splices.push(Splice { range: range.clone(), text: serde_json::Value::from(title).to_string() });
    }
    let heading = document.title.as_ref().and_then(|t| t.heading.clone());
    if let Some(range) = heading {
        splices.push(Splice { range, text: title.to_owned() });
    } else if splices.is_empty() {
        let at = document.front_matter.range.end;
        let ending = line_ending(&document.text);
        let blank = document.text[at..].is_empty() || document.text[at..].starts_with(['\n', '\r']);
        let gap = if blank { ending.to_owned() } else { ending.repeat(2) };
        splices.push(Splice { range: at..at, text: format!("# {title}{gap}") });
    }
    let edited = spliced(document, splices)?;
    if edited.steps.len() == document.steps.len() {
        Ok(edited)
    } else {
        Err(EditError::BadTitle(title.to_owned(), "it would be read as a step"))
    }
}
