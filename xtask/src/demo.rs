//! `cargo xtask demo`: the main job, for people to see.
//!
//! Everything is real but the model: the server, the sandbox, Claude Code, git. The model follows `xtask/demo/model.yaml`.

mod report;
mod stage;

use crate::{setup, shell, workspace};
use anyhow::{Context as _, Result, bail};
use report::Report;
use stage::Stage;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

const TITLE: &str = "Welcome several people";
const REQUEST: &str = "Let greet welcome several people at once, and show it in the README";

/// What `demo` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Builds for release, as it would be installed.
    #[arg(long)]
    release: bool,
    /// Keeps the repository and the data directory, and says how to look around in them.
    #[arg(long)]
    keep: bool,
}

/// `cargo xtask demo`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut spent = Vec::new();
    let mut timed = |what: &'static str, start: Instant| spent.push((what, start.elapsed()));

    let start = Instant::now();
    setup::ensure()?;
    timed("setting up", start);

    let start = Instant::now();
    shell::step("building Runyard and the scripted model", || shell::run(&mut build(arguments.release)))?;
    timed("building", start);

    let start = Instant::now();
    let programs = workspace::target_dir()?.join(if arguments.release { "release" } else { "debug" });
    let stage = Stage::set(&programs, &setup::claude_program()?)?;
    timed("making a repository, starting the model", start);

    println!(
        "\n{}  {}",
        shell::strong("$"),
        shell::strong(&format!("runyard run \"{REQUEST}\" --title \"{TITLE}\" --repo greet --yes"))
    );
    let start = Instant::now();
    let ended = shown(stage.runyard(["run", REQUEST, "--title", TITLE, "--yes", "--repo"]).arg(stage.repository()))?;
    timed("planning and executing", start);
    if !ended.success() {
        let hint = stage.leave_standing();
        bail!("`runyard run` ended with {ended}\n{hint}");
    }

    let report = Report::read(&stage)?;
    report.print(&spent);
    if let Some(lack) = report.lack() {
        let hint = stage.leave_standing();
        bail!("the demo did not show what it should: {lack}\n{hint}");
    }
    if arguments.keep {
        println!("{}", stage.leave_standing());
    }
    Ok(())
}

fn build(release: bool) -> Command {
    let mut build = workspace::cargo();
    build.args(["build", "--package", "runyard", "--package", "scripted-model", "--bins"]);
    if release {
        build.arg("--release");
    }
    build
}

/// Runs a command that draws on the terminal itself.
fn shown(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("failed to start `{}`", shell::line(command)))
}

/// A rule with a title, as wide as most terminals.
fn heading(title: &str) -> String {
    let rest = 78usize.saturating_sub(title.chars().count() + 4);
    format!("\n{} {} {}", shell::faint("──"), shell::strong(title), shell::faint(&"─".repeat(rest)))
}

/// Tenths of a second, right-aligned.
fn column(time: Duration) -> String {
    format!("{:>12}", shell::seconds(time))
}
