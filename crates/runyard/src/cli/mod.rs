//! The command line: what can be typed, with help and examples.

mod audit;
mod knowledge;
mod pull_request;
mod secret;
mod session;
mod user;

pub use audit::{AuditCommand, AuditFile, AuditWanted};
pub use knowledge::{ContextCommand, LearningCommand, PersonaCommand};
pub use pull_request::{PrCommand, PrNumber};
pub use secret::{SecretArgs, SecretCommand};
pub use session::{AttachArgs, Limit, Limits, SessionArg, SessionCommand, Wait};
pub use user::UserCommand;

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::{BranchName, MicroUsd, PrMode};
use std::path::PathBuf;

/// Turns a request in plain words into reviewed pull requests.
///
/// You describe a change; Runyard plans it as a runbook of steps, executes the steps with a coding agent in a sandbox,
/// checks each of them, and opens pull requests that stack on one another.
#[derive(Debug, Parser)]
#[command(
    name = "runyard",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 a step failed, 2 refused or wrong usage, 3 waits for a person, 4 environment, 130 stopped.\n\n\
                  Start with: runyard doctor; runyard run \"Add a --verbose flag\" --repo ."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where to listen for browsers and programs; nowhere when it is empty [env: RUNYARD_LISTEN] [default: 127.0.0.1:8480]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// How people reach this server, such as https://runyard.example.org [env: RUNYARD_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
}

impl ServeArgs {
    /// The same as `--set` would say it.
    pub fn as_settings(&self) -> impl Iterator<Item = String> {
        let named = [("listen", &self.listen), ("public_url", &self.public_url)];
        named.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)))
    }
}

/// Where what is long is written to.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Into this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Where everything that lasts is kept [env: RUNYARD_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data_dir: Option<PathBuf>,
    /// The configuration file instead of DIR/runyard.toml [env: RUNYARD_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Sets any key of the configuration; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", help_heading = "Global options")]
    pub set: Vec<String>,
    /// Says more; -vv more still
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// When to use colours; NO_COLOR is heeded too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub color: When,
}

/// When to do something that depends on the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan and execute a task, live in this terminal
    Run(RunArgs),
    /// Keep workers up and answer other commands until stopped
    #[command(after_help = "Other commands on the same data directory then talk to this server; detaching from them \
                            stops nothing.")]
    Serve(ServeArgs),
    /// Work with sessions
    #[command(subcommand, visible_alias = "s")]
    Session(SessionCommand),
    /// Follow a session live and answer what it asks; short for `session attach`
    Attach(AttachArgs),
    /// Register and list repositories
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Work with pull requests of the built-in forge
    #[command(subcommand)]
    Pr(PrCommand),
    /// Write down what the agent is given with every request
    #[command(subcommand)]
    Context(ContextCommand),
    /// Say how the agent is to work
    #[command(subcommand)]
    Persona(PersonaCommand),
    /// Learnings: what sessions taught, for later ones
    #[command(subcommand)]
    Learning(LearningCommand),
    /// Store secrets, such as the key of the Messages API
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Let people in, give them roles, help with a lost password
    #[command(subcommand)]
    User(UserCommand),
    /// See who did what to what, and prove that nobody altered it
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check runbooks
    #[command(after_help = "Exit codes: 0 all can be used, 1 some have errors, 2 some could not be read.\n\n\
                            Example: runyard lint plans/*.md --format json")]
    Lint(LintArgs),
    /// Look at this machine and say what is missing and how to get it
    Doctor(DoctorArgs),
    /// Make a backup, also while a server works
    Backup(BackupArgs),
    /// Put a backup in place, as a new generation of the record
    #[command(after_help = RESTORE_HELP)]
    Restore {
        /// The backup
        file: PathBuf,
        /// Moves aside what the data directory holds; in a PostgreSQL database it is lost
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print completions for a shell
    #[command(after_help = "Example: runyard completions bash > ~/.local/share/bash-completion/completions/runyard")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands
    Man {
        /// Write one page per command into this directory
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Print the version
    Version(JsonArg),
}

const RESTORE_HELP: &str = "\
The backup is proven before anything is touched, and the data directory must be empty or --replace given.

What still runs on the old record ends within the lease: the restored one leaves a mark in every repository, and of all
instances only the newest acts. Branches that were pushed after the backup are reported in their sessions and never
overwritten.

Examples:
  runyard restore nightly.backup --data-dir /var/lib/runyard
  RUNYARD_DATABASE_URL=postgres://… runyard restore nightly.backup";

/// `runyard backup`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  runyard backup /backups\n  runyard backup verify \
                  /backups/runyard-20261127T030000Z.backup\n\nKeys are not in it. Exit code 4 when it could not be \
                  made or is damaged."
)]
pub struct BackupArgs {
    #[command(subcommand)]
    pub verify: Option<BackupCommand>,
    /// The file to write, or the directory to write one into; a file is never replaced
    #[arg(value_name = "FILE|DIR", required = true)]
    pub to: Option<PathBuf>,
    #[command(flatten)]
    pub json: JsonArg,
}

/// `runyard backup …`.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Prove that a backup is whole and can be restored
    Verify {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        json: JsonArg,
    },
}

/// `--json`.
#[derive(Debug, Clone, Copy, Args)]
pub struct JsonArg {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `runyard doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Count a wall that is open as a failure, as `sandbox.strict` does
    #[arg(long)]
    pub strict: bool,
}

/// `runyard run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  runyard run \"Add a --verbose flag to the tool\" --repo .
  runyard run \"Mend the flaky test in ci.rs\" --repo . --one-shot
  runyard run \"Move to the new API\" --repo shop --pr-mode single_pr --label api --yes
  echo \"Explain the build\" | runyard run - --repo . --json

In standard mode the plan is shown first, and you choose: execute, edit, quit, or say what to change.
Without a terminal, or with --json, a question is printed, the session is left waiting, and the exit code is 3.

Ctrl-C stops the step that runs; a second one quits. With `runyard serve` running it only detaches.")]
pub struct RunArgs {
    /// The task in plain words; `-` reads it from standard input
    pub task: String,
    /// The repository: its path, or its name once it is registered
    #[arg(long, value_name = "PATH|NAME")]
    pub repo: String,
    /// Plan and execute everything without asking
    #[arg(long)]
    pub one_shot: bool,
    /// How work becomes pull requests: stacked_pr, single_pr or manual
    #[arg(long, value_name = "MODE", value_parser = str::parse::<PrMode>)]
    pub pr_mode: Option<PrMode>,
    /// The branch to start from and to merge into [default: the repository's current branch]
    #[arg(long, value_name = "BRANCH", value_parser = str::parse::<BranchName>)]
    pub target_branch: Option<BranchName>,
    /// The session's title [default: made from the task]
    #[arg(long)]
    pub title: Option<String>,
    /// Open pull requests as drafts
    #[arg(long)]
    pub draft: bool,
    /// A label of every pull request; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    pub labels: Vec<String>,
    /// US dollars that the session may cost, such as 2.50
    #[arg(long, value_name = "USD", value_parser = crate::config::money)]
    pub budget_usd: Option<MicroUsd>,
    /// Tokens that the session may use, such as 500k
    #[arg(long, value_name = "N", value_parser = tokens)]
    pub budget_tokens: Option<i64>,
    /// Minutes that the session may work
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=525_600))]
    pub budget_minutes: Option<u64>,
    /// The persona that the agent has, by name [default: the ones for planning and for executing]
    #[arg(long, value_name = "NAME")]
    pub persona: Option<String>,
    /// Execute the plan without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Print one event per line as JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads `500000`, `500k` or `2M`.
fn tokens(text: &str) -> Result<i64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1000),
        Some((at, 'm' | 'M')) => (&text[..at], 1_000_000),
        _ => (text, 1),
    };
    digits
        .replace('_', "")
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("`{text}` is not a number of tokens such as 500000, 500k or 2M"))
}

/// `runyard repo`.
#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Register a repository of this machine
    #[command(after_help = "Examples:\n  runyard repo add ~/src/shop\n  runyard repo add shop ~/src/shop")]
    Add {
        /// Its name, when a path follows; else its path
        #[arg(value_name = "NAME|PATH")]
        first: String,
        /// Its path
        path: Option<PathBuf>,
        #[command(flatten)]
        json: JsonArg,
    },
    /// List the registered repositories
    List(JsonArg),
}

/// `runyard lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// The runbooks; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value = "text")]
    pub format: LintFormat,
}

/// How `lint` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// Two lines for each problem.
    Text,
    /// One JSON document.
    Json,
}

/// `runyard config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every value and where it came from: default, file and line, environment, or flag
    Show(JsonArg),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn tokens_may_be_written_short() {
        assert_eq!(tokens("500k"), Ok(500_000));
        assert_eq!(tokens("2M"), Ok(2_000_000));
        assert_eq!(tokens("1_000"), Ok(1000));
        for text in ["", "k", "0", "-1", "1.5k", "99999999999999999M"] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    fn help(path: &[&str]) -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        for name in path {
            command = command.find_subcommand(name).expect(name).clone().term_width(100);
        }
        command.render_long_help().to_string()
    }

    /// Every `runyard WORDS…` that a message, a page of the guide or the help names is a command that exists.
    #[test]
    fn commands_that_are_named_exist() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut folders = vec![root.join("crates"), root.join("docs")];
        let mut texts = vec![root.join("README.md")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
                let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
                if kind.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs" || end == "md") {
                    texts.push(path);
                }
            }
        }
        let mut command = Cli::command();
        command.build();
        let (mut named, mut wrong) = (0, Vec::new());
        for path in texts {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for (at, _) in text.match_indices("`runyard ") {
                let words = text[at + 1..].split(['`', '\n']).next().unwrap_or_default();
                let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
                let mut known = &command;
                for word in words.split(' ').skip(1).take_while(plain).filter(|word| !word.is_empty()) {
                    named += 1;
                    match known.find_subcommand(word) {
                        Some(found) => known = found,
                        None if known.has_subcommands() => wrong.push(format!("{}: {words}", path.display())),
                        None => break,
                    }
                }
            }
        }
        assert!(named > 20, "{named}");
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn help_of_the_top_level() {
        insta::assert_snapshot!("help", help(&[]));
    }

    #[test]
    fn help_of_run() {
        insta::assert_snapshot!("help-run", help(&["run"]));
    }
}
