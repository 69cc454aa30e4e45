//! What happens: plan, execute, revise, revert; the workers that claim actions; recovery.

mod actions;
mod api;
mod backend;
mod begin;
mod body;
mod carried;
mod checks;
mod context;
mod converse;
mod engine;
mod gate;
mod generation;
mod halt;
mod heads;
mod home;
mod janitor;
mod kept;
mod markup;
#[cfg(test)]
mod nowhere;
mod people;
mod pre_execution;
mod problem;
mod process;
mod prompt;
mod publish;
mod queue;
mod rights;
mod selection;
mod settings;
mod shared;
#[cfg(feature = "simulation")]
pub mod simulation;
mod stack;
#[cfg(test)]
mod testing;
mod tree;
mod vault;
mod waits;
mod worker;
mod workspace;

pub use api::{
    Command, Edit, NewSession, Overview, Person, Phase, PullRequestLine, PullRequestRef, PullRequestView, Reply,
    SecretLine, Selection, SessionLine, SessionView, Spec, StepView,
};
pub use backend::Backend;
pub use engine::{Engine, Parts};
pub use problem::{Problem, ProblemCode};
pub use rights::{Right, may};
pub use settings::{AgentSettings, Settings, ToolRules};
pub use vault::Secrets;
