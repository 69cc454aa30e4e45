//! The runbook document: parse, check, edit, render, variables, blocks.
//!
//! Pure: no I/O, no clock, no randomness. One parser for the command line, the server and the page.
//! A [`Document`] keeps its text and every part of it is a byte range, so nothing is lost by reading.

mod blocks;
mod check;
mod diagnostic;
mod duration;
mod edit;
mod front;
#[doc(hidden)]
pub mod fuzzing;
mod heading;
mod ids;
mod info;
mod model;
mod number;
mod parse;
mod plan;
mod position;
mod query;
mod references;
mod steps;
mod variables;

pub use blocks::{built_in_runtime, path_problem};
pub use check::{CheckOptions, check, check_plan, check_with};
pub use diagnostic::{Code, Diagnostic, Severity, has_errors, render_json, render_text};
pub use duration::{BadDuration, format_duration, parse_duration};
pub use edit::{Edit, EditError, Place, edit, locked_changes, origins};
pub use heading::Tag;
pub use ids::{StepKey, assign_ids};
pub use model::{
    Attributes, Block, BlockKind, Document, Encoding, Expect, FileBlock, FrontMatter, Runnable, Runtime, Step,
    Variable, VariableUse,
};
pub use number::{BadStepNumber, MAX_DEPTH, StepNumber};
pub use parse::without_nul;
pub use plan::{Plan, PlanCheck, PlanStep, PlanSubstep, plan_schema, write_plan};
pub use position::Position;
pub use query::LeafContext;
pub use references::{file_references, first_heading};
pub use variables::{MissingVariables, fill, is_forbidden, is_variable_name};
