//! `runyard context`, `runyard persona` and `runyard learning`.

use super::JsonArg;
use clap::{Args, Subcommand};
use domain::{KnowledgeId, LearningState, PersonaRole};
use std::path::PathBuf;

/// `runyard context`.
#[derive(Debug, Subcommand)]
#[command(after_help = "NAME is a title or an id. The agent is given all that are on and about its repository.")]
pub enum ContextCommand {
    /// List context files, in the order in which they count
    List(JsonArg),
    /// Print a context file
    Show {
        /// Its title or id
        name: String,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Add a context file: Markdown that the agent is given with every request
    #[command(after_help = "\
The title is the text's first heading when none is given. Without --for it is about all repositories.

Examples:
  runyard context add AUTH.md
  runyard context add AUTH.md --for shop --for 'team/*' --priority 10")]
    Add {
        /// The file; `-` is standard input
        file: PathBuf,
        #[command(flatten)]
        about: AboutArgs,
    },
    /// Change a context file; what is not given stays
    #[command(after_help = "Example: runyard context edit \"Auth\" --file AUTH.md --priority 20")]
    Edit {
        /// Its title or id
        name: String,
        /// Its new text; `-` is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        about: AboutArgs,
        /// It is about all repositories
        #[arg(long, conflicts_with = "repositories")]
        for_all: bool,
        /// Give it out again
        #[arg(long, conflicts_with = "off")]
        on: bool,
    },
    /// Remove a context file
    Remove {
        /// Its title or id
        name: String,
    },
}

/// What is said of a context file beside its text.
#[derive(Debug, Args)]
pub struct AboutArgs {
    /// Its title
    #[arg(long)]
    pub title: Option<String>,
    /// A repository that it is about, `*` stands for anything; may be repeated
    #[arg(long = "for", value_name = "REPOSITORY")]
    pub repositories: Vec<String>,
    /// Higher ones come first, and are kept when there is not room for all: -100 to 100
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-100..=100))]
    pub priority: Option<i64>,
    /// Do not give it out for now
    #[arg(long)]
    pub off: bool,
}

/// `runyard persona`.
#[derive(Debug, Subcommand)]
#[command(after_help = "NAME is a name or an id. A session is given one with `runyard run --persona NAME`.")]
pub enum PersonaCommand {
    /// List personas
    List(JsonArg),
    /// Print a persona's instructions
    Show {
        /// Its name or id
        name: String,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Add a persona that only you see, or one for everybody
    #[command(after_help = "\
A planner is used for planning and answering, a developer for executing and revising, a custom one for everything.

Example: runyard persona add \"Careful\" --file careful.md --shared")]
    Add {
        /// Its name
        name: String,
        /// Its instructions, which the agent is given word for word; `-` is standard input
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// For which work: planner, developer or custom
        #[arg(long, value_name = "ROLE", default_value = "custom", value_parser = str::parse::<PersonaRole>)]
        role: PersonaRole,
        /// Everybody of the account sees and uses it
        #[arg(long)]
        shared: bool,
    },
    /// Change a persona; what is not given stays
    Edit {
        /// Its name or id
        name: String,
        /// Its new instructions; `-` is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Its new name
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        /// For which work: planner, developer or custom
        #[arg(long, value_name = "ROLE", value_parser = str::parse::<PersonaRole>)]
        role: Option<PersonaRole>,
    },
    /// Remove a persona; sessions that have it go on with the default ones
    Remove {
        /// Its name or id
        name: String,
    },
}

/// `runyard learning`.
#[derive(Debug, Subcommand)]
#[command(after_help = "ID is what the list shows. Agents are told of active learnings only.")]
pub enum LearningCommand {
    /// List learnings: those that fit the words best first, or else the newest
    #[command(after_help = "\
Examples:
  runyard learning list --state proposed
  runyard learning list pytest fixture --repo shop")]
    List {
        /// Words that they hold
        words: Vec<String>,
        /// About this repository
        #[arg(long, value_name = "NAME")]
        repo: Option<String>,
        /// Where they stand: proposed, active or off
        #[arg(long, value_name = "STATE", value_parser = str::parse::<LearningState>)]
        state: Option<LearningState>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Write a learning yourself
    #[command(after_help = "\
Without --for it is about all repositories, without --about it is told where its words are asked for.

Example: runyard learning add \"The tests hang\" \"Start the database with `make db` first\" --for shop --about pytest")]
    Add {
        /// What one runs into
        pattern: String,
        /// What to do then
        solution: String,
        /// A repository that it is about, `*` stands for anything; may be repeated
        #[arg(long = "for", value_name = "REPOSITORY")]
        repositories: Vec<String>,
        /// A file (`*` stands for anything), a framework or a command that it is about; may be repeated
        #[arg(long = "about", value_name = "WHAT")]
        applies_to: Vec<String>,
    },
    /// Tell agents of a learning from now on
    Accept {
        /// Its id
        id: KnowledgeId,
    },
    /// Keep a learning, and tell no agent of it; the same is not proposed again
    Off {
        /// Its id
        id: KnowledgeId,
    },
    /// Remove a learning
    Remove {
        /// Its id
        id: KnowledgeId,
    },
}
