//! The developer's commands: `cargo xtask setup | demo | test | lint | bench | fuzz | dashboard | dev`.
//!
//! Each command first sees to what it needs ([`setup`]), so a fresh machine needs git, a C compiler and rustup only.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to the terminal")]

mod bench;
mod dashboard;
mod demo;
mod dev;
mod fuzz;
mod lint;
mod setup;
mod shell;
mod test;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Works on Runyard: sets the machine up, shows it, tests it, measures it.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Finds what this machine lacks and installs it; asks for sudo at most once.
    Setup(setup::Arguments),
    /// Shows the main job: from a request to two stacked pull requests, by the real Claude Code and a scripted model.
    Demo(demo::Arguments),
    /// Sets up, builds, and runs every test.
    Test(test::Arguments),
    /// Formatting, clippy, licences and bans of dependencies, and the house rules.
    Lint(lint::Arguments),
    /// Runs the benchmarks; each result is a ratio to something that was measured in the same run.
    Bench(bench::Arguments),
    /// Looks for inputs that break a promise, with cargo-fuzz.
    Fuzz(fuzz::Arguments),
    /// Builds the page that is part of the program.
    Dashboard(dashboard::Arguments),
    /// Runs a server on a data directory under target/, with the scripted model.
    Dev(dev::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Lint(arguments) => lint::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Dashboard(arguments) => dashboard::run(&arguments),
        Command::Dev(arguments) => dev::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {error:#}", shell::bad("error:"));
            ExitCode::FAILURE
        }
    }
}
