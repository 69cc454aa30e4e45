//! The document, tested from outside.

mod acceptance;
mod blocks;
mod corpus;
mod edits;
mod lint;
mod plans;
mod scaling;
mod structure;

/// The numbers of all steps, in order.
fn numbers(document: &runbook::Document) -> Vec<String> {
    document.steps().iter().map(|s| s.number.to_string()).collect()
}
