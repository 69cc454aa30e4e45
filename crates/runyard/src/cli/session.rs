//! `runyard session`.

use super::{JsonArg, OutputArgs};
use clap::{Subcommand, ValueEnum};
use domain::{MicroUsd, RequestId, SessionNumber};
use std::{path::PathBuf, str::FromStr};

/// A session as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionArg {
    /// `42`, `r/42` or the URL of its page.
    Number(SessionNumber),
    /// `last`.
    Newest,
}

impl FromStr for SessionArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "last" {
            return Ok(Self::Newest);
        }
        text.parse().map(Self::Number).map_err(|error| format!("{error}, or `last` for the newest"))
    }
}

/// How a session is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A document
    #[value(alias = "md")]
    Markdown,
    /// One object
    Json,
}

impl From<ExportFormat> for server::TranscriptFormat {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Markdown => Self::Markdown,
            ExportFormat::Json => Self::Json,
        }
    }
}

/// What can be done with sessions. SESSION is `42`, `r/42`, a URL, or `last`; where it may be left out, the newest is
/// meant.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "SESSION is 42, r/42, the URL of its page, or `last`; where it may be left out, the newest is meant."
)]
pub enum SessionCommand {
    /// List sessions, newest first
    #[command(
        after_help = "Examples:\n  runyard session list --search \"http client state:failed\"\n  runyard session list --all --search 'author:ada repo:shop'"
    )]
    List {
        /// Only those that were put away
        #[arg(long, conflicts_with = "all")]
        archived: bool,
        /// Those that were put away too
        #[arg(long)]
        all: bool,
        /// Only those with these words in title, request or branches; state:, author:, repo: and branch: before a word say
        /// more
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Show a session: steps, pull requests, what waits for you, cost
    Show {
        /// The session
        session: Option<SessionArg>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Print what happened
    #[command(after_help = "Examples:\n  runyard session log 42 --follow\n  runyard session log 42 --json --after 120")]
    Log {
        /// The session
        session: Option<SessionArg>,
        /// Stay and print what happens
        #[arg(long, short)]
        follow: bool,
        /// Only events above this number
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: i64,
        /// Instead, the stored output of this process
        #[arg(long, value_name = "EXEC", conflicts_with_all = ["follow", "after", "json"])]
        exec: Option<domain::ExecId>,
        /// Print one event per line as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a session out: request, plan, steps, pull requests and everything that happened
    #[command(
        after_help = "Examples:\n  runyard session export 42 > r42.md\n  runyard session export 42 --format json -o r42.json"
    )]
    Export {
        /// The session
        session: Option<SessionArg>,
        /// A document to read, or one JSON object
        #[arg(long, value_enum, default_value_t = ExportFormat::Markdown)]
        format: ExportFormat,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Say something: a question, a wish for the plan
    #[command(after_help = "Example: runyard session message 42 \"Split step 2 in two\"")]
    Message {
        /// The session, then the text; the text alone goes to the newest session
        #[arg(required = true, num_args = 1..=2, value_names = ["SESSION", "TEXT"])]
        words: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Execute steps; what stands between is taken along
    #[command(after_help = "\
Examples:
  runyard session execute            the next step of the newest session
  runyard session execute 42 all     everything that is left
  runyard session execute 42 2       step 2 with its substeps, and what stands before it
  runyard session execute last 1.2")]
    Execute {
        /// The session, then `next`, `all` or a step's number
        #[arg(num_args = 0..=2, value_names = ["SESSION", "STEPS"])]
        words: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop what runs, and empty the queue of steps
    Stop {
        /// The session
        session: Option<SessionArg>,
    },
    /// Execute the step that failed again, or plan again when planning failed
    Retry {
        /// The session
        session: Option<SessionArg>,
        /// Told to the agent on top
        #[arg(long, short)]
        message: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give a session another persona, from its next run on
    Persona {
        /// The session
        session: SessionArg,
        /// The persona's name or id [default: the ones for planning and for executing]
        name: Option<String>,
    },
    /// Make a session that begins with another one's plan, on the target branch as it is now
    Clone {
        /// The session
        session: SessionArg,
        /// Its title; else the other one's with (copy)
        #[arg(long)]
        title: Option<String>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Call a session something else
    #[command(after_help = "Example: runyard session rename 42 \"Move to the new API\"")]
    Rename {
        /// The session
        session: SessionArg,
        /// What it is called from now on
        title: String,
    },
    /// Put a session away
    Archive {
        /// The session
        session: SessionArg,
        /// Take it out again
        #[arg(long)]
        undo: bool,
    },
    /// Answer what waits for you
    #[command(after_help = "\
Examples:
  runyard session answer                     asks you in this terminal
  runyard session answer 42 2                the second choice
  runyard session answer 42 \"Use SQLite\"     an answer in your own words
  runyard session answer 42 allow            lets the agent do what it asked for
  runyard session answer 42 deny \"not on main\"

When several questions belong together, give one answer for each, in order.")]
    Answer {
        /// The session, then the answers
        #[arg(value_names = ["SESSION", "ANSWER"], num_args = 0..)]
        words: Vec<String>,
        /// The request, when several are open; the oldest one else
        #[arg(long, value_name = "ID")]
        request: Option<RequestId>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Change the runbook: in $EDITOR, or from a file
    #[command(after_help = "\
Examples:
  runyard session edit 42                 the whole runbook in $VISUAL or $EDITOR
  runyard session edit 42 --step 2.1      one step; its first line is the title
  runyard session edit 42 --file plan.md
  runyard session edit 42 --delete 3      takes step 3 out; later ones move up")]
    Edit {
        /// The session
        session: Option<SessionArg>,
        /// Only this step
        #[arg(long, value_name = "N")]
        step: Option<String>,
        /// The new text; `-` is standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Take this step out
        #[arg(long, value_name = "N", conflicts_with_all = ["step", "file"])]
        delete: Option<String>,
    },
    /// Print the diff of the work
    Diff {
        /// The session
        session: Option<SessionArg>,
        /// Only of this step's last run
        #[arg(long, value_name = "N")]
        step: Option<String>,
    },
    /// List the versions of the runbook, or print one
    Versions {
        /// The session
        session: Option<SessionArg>,
        /// Print the text of this version
        #[arg(long, value_name = "N")]
        show: Option<i64>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Make an older version of the runbook the newest again
    Restore {
        /// The session
        session: SessionArg,
        /// The version
        version: i64,
    },
    /// Take back a completed step by a new commit
    Revert {
        /// The session
        session: SessionArg,
        /// The step's number
        step: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Mark a step as done by you, such as a [MANUAL] one
    Done {
        /// The session
        session: SessionArg,
        /// The step's number
        step: String,
    },
    /// Say that a step is not done, and why; what comes after it goes on
    #[command(after_help = "Example: runyard session skip 42 2.1 \"the old client is gone already\"")]
    Skip {
        /// The session
        session: SessionArg,
        /// The step's number
        step: String,
        /// Why
        reason: String,
    },
    /// Say that a step that was skipped is to be done after all
    Unskip {
        /// The session
        session: SessionArg,
        /// The step's number
        step: String,
    },
    /// Put a step with its substeps in another place
    #[command(after_help = "\
Examples:
  runyard session move 42 3 up           before the one before it, on its level
  runyard session move 42 3 down
  runyard session move 42 3 before 1     on the level of step 1
  runyard session move 42 3 after 1.2    as a substep of step 1
  runyard session move 42 3 into 1       as its last substep
  runyard session move 42 1.2 end        as the last top-level step")]
    Move {
        /// The session
        session: SessionArg,
        /// The step's number
        step: String,
        /// Where to
        #[arg(value_parser = ["up", "down", "before", "after", "into", "end"])]
        to: String,
        /// The other step, for `before`, `after` and `into`
        #[arg(required_if_eq_any([("to", "before"), ("to", "after"), ("to", "into")]))]
        of: Option<String>,
    },
    /// List what is queued, running or waiting
    Queue {
        /// The session
        session: Option<SessionArg>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Take something out of the queue
    Cancel {
        /// The session
        session: SessionArg,
        /// Its id as `queue` prints it, or the step's number
        #[arg(value_name = "ID|STEP")]
        action: String,
    },
    /// Show what a session may use, or set it; it counts at once
    #[command(after_help = "\
Examples:
  runyard session budget 42                      shows the limits
  runyard session budget 42 --usd 5              all of the session may cost five dollars
  runyard session budget 42 --run-time 2h        each run may work for two hours
  runyard session budget 42 --tokens none        takes a limit away")]
    Budget {
        /// The session
        session: Option<SessionArg>,
        #[command(flatten)]
        limits: Limits,
    },
    /// Follow a session live and answer what it asks
    Attach(AttachArgs),
}

/// `runyard session attach`, and `runyard attach` for short.
#[derive(Debug, clap::Args)]
pub struct AttachArgs {
    /// The session
    pub session: Option<SessionArg>,
    /// Show events above this number first [default: the newest]
    #[arg(long, value_name = "N")]
    pub after: Option<i64>,
    /// Print one event per line as JSON
    #[arg(long)]
    pub json: bool,
}

/// New limits; those that are not given stay.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Limits {
    /// US dollars that the session may cost
    #[arg(long, value_name = "USD", value_parser = limit(crate::config::money))]
    pub usd: Option<Limit<MicroUsd>>,
    /// Tokens that the session may use, such as 500k
    #[arg(long, value_name = "N", value_parser = limit(super::tokens))]
    pub tokens: Option<Limit<i64>>,
    /// Time that the session may work, such as 90m
    #[arg(long, value_name = "SPAN", value_parser = limit(crate::config::seconds))]
    pub time: Option<Limit<u64>>,
    /// US dollars that one run may cost
    #[arg(long, value_name = "USD", value_parser = limit(crate::config::money))]
    pub run_usd: Option<Limit<MicroUsd>>,
    /// Tokens that one run may use
    #[arg(long, value_name = "N", value_parser = limit(super::tokens))]
    pub run_tokens: Option<Limit<i64>>,
    /// Time that one run may work
    #[arg(long, value_name = "SPAN", value_parser = limit(crate::config::seconds))]
    pub run_time: Option<Limit<u64>>,
}

/// A limit, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<T> {
    /// No limit any more.
    None,
    /// This much.
    To(T),
}

impl<T: Copy> Limit<T> {
    /// What holds when `known` held before and this was given, if it was.
    pub fn or(given: Option<Self>, known: Option<T>) -> Option<T> {
        match given {
            None => known,
            Some(Self::None) => None,
            Some(Self::To(limit)) => Some(limit),
        }
    }
}

fn limit<T>(read: fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Limit<T>, String> + Clone {
    move |text| if text == "none" { Ok(Limit::None) } else { read(text).map(Limit::To) }
}

/// What to do after something was queued.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Wait {
    /// Stay and show it live; so it is anyway when no server runs
    #[arg(long, short, conflicts_with = "detach")]
    pub follow: bool,
    /// Only queue it; it starts when a server runs
    #[arg(long)]
    pub detach: bool,
    /// Print one event per line as JSON
    #[arg(long)]
    pub json: bool,
}
