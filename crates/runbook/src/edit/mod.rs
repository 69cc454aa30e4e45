//! Edits that change only the lines they touch.

mod fragment;
mod operations;
mod splice;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::check;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::heading::read_step;
use crate::model::Document;
use crate::number::StepNumber;

pub(crate) use splice::without_final_newlines;

use operations::Change;

/// One change to a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Puts `text` in place of a step's heading and own text. Its first line is the title (and tags), with or without
    /// `#` and number; the rest is the body, which may hold new substeps.
    ReplaceStep {
        /// Which step.
        number: StepNumber,
        /// Title line and body.
        text: String,
        /// Whether `text` also stands for the substeps that exist now.
        #[serde(default)]
        with_substeps: bool,
    },
    /// Adds a step. `text` as in `ReplaceStep`; its numbers are set by the place, and later steps are renumbered.
    InsertStep {
        /// Where.
        place: Place,
        /// Title line and body, substeps included.
        text: String,
    },
    /// Removes a step with its substeps; later steps are renumbered.
    DeleteStep {
        /// Which step.
        number: StepNumber,
    },
    /// Moves a step with its substeps; steps are renumbered.
    MoveStep {
        /// Which step.
        number: StepNumber,
        /// Where to, in the numbers before the move.
        place: Place,
    },
    /// Numbers all steps anew, from 1 and without gaps, keeping order and nesting.
    Renumber {},
    /// Changes a step's title; tags stay.
    SetStepTitle {
        /// Which step.
        number: StepNumber,
        /// The new title: one line.
        title: String,
    },
    /// Changes the document's title, in the heading and in the front matter, wherever it stands.
    SetTitle {
        /// The new title: one line.
        title: String,
    },
}

/// A place for a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Before this step, on its level.
    Before(StepNumber),
    /// After this step and its substeps, on its level.
    After(StepNumber),
    /// As the last substep of this step.
    Into(StepNumber),
    /// As the last top-level step.
    End,
}

/// Why an edit was refused. The document is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Name a step that exists.
    #[error("there is no step {0}")]
    NoSuchStep(StepNumber),
    /// Revert the step first.
    #[error("step {0} is completed; revert it before changing its text or number")]
    Locked(StepNumber),
    /// Take the number out of the first line, or edit the step that it names.
    #[error("the text is for step {expected} but begins with number {found}")]
    OtherNumber {
        /// The step to be replaced.
        expected: StepNumber,
        /// The number in the text.
        found: StepNumber,
    },
    /// A step cannot become part of itself.
    #[error("step {0} cannot be moved into itself")]
    IntoItself(StepNumber),
    /// Give a title of one line that is read as it is.
    #[error("\"{0}\" cannot be a title: {1}")]
    BadTitle(String, &'static str),
    /// Close fences and comments, and use headings deeper than the step's.
    #[error("the text would swallow or cut off what stands around it, from \"{0}\" on")]
    Structure(String),
    /// Mend these; they are new, or numbering that must be in order before steps can be moved.
    #[error("the document would have {} error(s), first: {}", .0.len(), .0.first().map_or("", |d| d.message.as_str()))]
    Invalid(Vec<Diagnostic>),
}

/// Applies one edit. Lines that it does not touch stay byte for byte.
///
/// `locked` says which steps (by their number in `document`) are completed: an edit that changes the text or the number
/// of one is refused. The result has no error that the document did not have.
pub fn edit(document: &Document, edit: &Edit, locked: &dyn Fn(&StepNumber) -> bool) -> Result<Document, EditError> {
    let Change { document: edited, expected_title } = operations::apply(document, edit)?;
    if let Some((actual, wanted)) = expected_title.map(|wanted| (wanted.actual(&edited), wanted))
        && actual.as_deref() != Some(wanted.title())
    {
        return Err(EditError::BadTitle(wanted.title().to_owned(), "it would be read as something else"));
    }
    if let Some(number) = locked_changes(document, &edited, locked).into_iter().next() {
        return Err(EditError::Locked(number));
    }
    let errors = new_errors(document, &edited);
    if errors.is_empty() { Ok(edited) } else { Err(EditError::Invalid(errors)) }
}

/// For each step of the edited document, in its order, which step of `document` it was. Only an edit that takes steps out
/// or moves them has an answer: what a step says is the same after it, so nothing needs to be guessed.
pub fn origins(document: &Document, edit: &Edit) -> Option<Vec<usize>> {
    let place_of = |number: &StepNumber| document.steps().iter().position(|step| step.number == *number);
    let whole = |number: &StepNumber| {
        let first = place_of(number)?;
        let within = document.steps()[first..].iter().take_while(|step| step.number.is_within(number)).count();
        Some(first..first + within)
    };
    let (Edit::DeleteStep { number } | Edit::MoveStep { number, .. }) = edit else { return None };
    let taken = whole(number)?;
    let mut left: Vec<usize> = (0..document.steps().len()).filter(|at| !taken.contains(at)).collect();
    if let Edit::MoveStep { place, .. } = edit {
        let before = match place {
            Place::Before(other) => place_of(other)?,
            Place::After(other) | Place::Into(other) => whole(other)?.end,
            Place::End => document.steps().len(),
        };
        let at = left.partition_point(|step| *step < before);
        left.splice(at..at, taken);
    }
    Some(left)
}

/// The locked steps of `old` whose text or number is another in `new`. For edits of a whole document at once.
pub fn locked_changes(old: &Document, new: &Document, locked: &dyn Fn(&StepNumber) -> bool) -> Vec<StepNumber> {
    let texts: BTreeMap<&StepNumber, &str> = new.steps().iter().rev().map(|s| (&s.number, new.step_text(s))).collect();
    let changed = |step: &&crate::Step| locked(&step.number) && texts.get(&step.number) != Some(&old.step_text(step));
    old.steps().iter().filter(changed).map(|s| s.number.clone()).collect()
}

/// The errors of `new` of each kind of which it has more than `old`.
fn new_errors(old: &Document, new: &Document) -> Vec<Diagnostic> {
    let count = |found: &[Diagnostic]| {
        let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
        for d in found {
            *counts.entry(d.code).or_default() += 1;
        }
        counts
    };
    let found = check(new);
    let (before, after) = (count(&check(old)), count(&found));
    let more =
        |d: &Diagnostic| d.severity == Severity::Error && after[&d.code] > before.get(&d.code).copied().unwrap_or(0);
    found.into_iter().filter(more).collect()
}

/// The errors that make it impossible to say which number a step should have.
fn numbering_errors(document: &Document) -> Vec<Diagnostic> {
    use Code::{NumberingDuplicate, NumberingGap, NumberingStart, StepTooDeep, SubstepParent};
    let numbering = [NumberingStart, NumberingGap, NumberingDuplicate, SubstepParent, StepTooDeep];
    check(document).into_iter().filter(|d| numbering.contains(&d.code)).collect()
}

/// The words of each top-level heading outside `except`, numbers of steps left out, and whether it is a step.
fn outline(document: &Document, except: &[std::ops::Range<usize>]) -> Vec<(bool, String)> {
    let mut steps = document.steps.iter().map(|s| s.heading.start).peekable();
    let mut found = Vec::new();
    for heading in &document.headings {
        let is_step = steps.next_if_eq(&heading.range.start).is_some();
        if except.iter().any(|r| r.contains(&heading.range.start)) {
            continue;
        }
        let words = &document.text[heading.text.clone()];
        let label = if is_step { read_step(words).map_or(0, |s| s.label_range.start) } else { 0 };
        found.push((is_step, words[label..].to_owned()));
    }
    found
}
