//! Every problem of a document, in one pass.

mod blocks;
mod steps;
mod text;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::Document;

/// What a document is checked for.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// Whether it is to be executed as a plan: a document without steps is then an error.
    pub plan: bool,
    /// Languages with a runtime from the settings, beyond the built-in ones and the document's own.
    pub runtimes: Vec<String>,
}

/// Finds every problem of a document, in the order of the text.
pub fn check(document: &Document) -> Vec<Diagnostic> {
    check_with(document, &CheckOptions::default())
}

/// As [`check`], and the document must have something to execute.
pub fn check_plan(document: &Document) -> Vec<Diagnostic> {
    check_with(document, &CheckOptions { plan: true, ..CheckOptions::default() })
}

/// As [`check`], with options.
pub fn check_with(document: &Document, options: &CheckOptions) -> Vec<Diagnostic> {
    let mut checker = Checker { document, options, found: document.problems.clone() };
    checker.text();
    checker.steps();
    checker.blocks();
    let mut found = checker.found;
    found.sort_by_key(|d| (d.span.start, d.code));
    found
}

struct Checker<'a> {
    document: &'a Document,
    options: &'a CheckOptions,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn report(&mut self, code: Code, span: std::ops::Range<usize>, message: String, help: impl Into<String>) {
        let diagnostic = self.document.diagnostic(code, span, message, help.into());
        self.found.push(diagnostic);
    }
}
