//! `runyard audit`.

use super::{JsonArg, OutputArgs};
use clap::{Args, Subcommand, ValueEnum};
use domain::AuditMark;

/// `runyard audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List what was done, newest first
    #[command(after_help = "\
Examples:
  runyard audit list --who ada@example.org --since 7d
  runyard audit list --action person --json
  runyard audit list --text 192.0.2.7 --limit 500")]
    List {
        #[command(flatten)]
        wanted: AuditWanted,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// Only what is older than the entry with this number
        #[arg(long, value_name = "NUMBER")]
        before: Option<i64>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Prove that no entry was altered, added or taken away
    #[command(after_help = "\
Prints the number and the hash of the last entry. Note them where nobody who can write to the database can write, and
give them with --noted the next time: whoever can write to the database can also write the whole log anew.

Exit codes: 0 all entries fit, 1 one does not.

Example: runyard audit verify --noted 42:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    Verify {
        /// What an earlier look printed
        #[arg(long, value_name = "NUMBER:HASH", value_parser = str::parse::<AuditMark>)]
        noted: Option<AuditMark>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Write entries out, oldest first
    #[command(after_help = "\
Example: runyard audit export --since 2026-11-01 --format csv -o november.csv")]
    Export {
        #[command(flatten)]
        wanted: AuditWanted,
        /// One JSON object a line, or a table
        #[arg(long, value_enum, default_value = "ndjson")]
        format: AuditFile,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Which entries.
#[derive(Debug, Clone, Default, Args)]
pub struct AuditWanted {
    /// Only what somebody did: part of their mail address, or of the name of a token
    #[arg(long, value_name = "WHO")]
    pub who: Option<String>,
    /// Only what was done so, such as `person.role`, or `person` for all of its kind
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Only what was done to something, such as r/42
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// Only from this moment on: 2026-11-28, 2026-11-28T05:00:00Z, or 90m, 36h, 7d ago
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only before this moment
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only what has this text anywhere
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
}

/// How entries are written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditFile {
    /// One JSON object a line; it holds everything that was hashed.
    Ndjson,
    /// A table.
    Csv,
}
