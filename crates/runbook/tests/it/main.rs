//! The document, tested from outside.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "helpers of tests, which may panic and print"
)]

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
