//! What happens: plan, execute, revise, revert; the workers that claim actions; recovery.

mod actions;
mod api;
mod asked;
mod backend;
mod begin;
mod body;
mod briefing;
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
mod learnings;
mod looked;
mod marks;
mod markup;
#[cfg(test)]
mod nowhere;
mod people;
mod personas;
mod pre_execution;
mod problem;
mod process;
mod prompt;
mod publish;
mod queue;
mod ranking;
mod rights;
mod search;
mod seen;
mod selection;
mod settings;
mod shared;
#[cfg(feature = "simulation")]
pub mod simulation;
mod stack;
#[cfg(test)]
mod testing;
mod told;
mod tree;
mod vault;
mod waits;
mod worker;
mod workspace;

pub use api::{Command, Reply, SecretLine};
pub use asked::{
    Edit, LearningFilter, NewKnowledge, NewSession, Overview, Person, PullRequestRef, Selection, Spec, StepPlace,
};
pub use backend::Backend;
pub use engine::{Engine, Parts};
pub use looked::{EventFilter, OutputPart};
pub use marks::Skip;
pub use personas::default_instructions;
pub use problem::{Problem, ProblemCode};
pub use rights::{Right, may};
pub use seen::{
    KnowledgeUse, LearningLine, Learnings, Phase, PullRequestLine, PullRequestView, SessionLine, SessionView, StepView,
};
pub use settings::{AgentSettings, Settings, ToolRules};
pub use told::Told;
pub use vault::Secrets;
