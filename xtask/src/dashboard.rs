//! `cargo xtask dashboard`: builds the page into `dashboard/dist`, from where the next build of the program takes it.

mod node;

use crate::{setup, shell, workspace};
use anyhow::{Context as _, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

/// What `dashboard` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Also checks its types and its style, and runs its tests.
    #[arg(long)]
    check: bool,
    /// Also runs its tests in a browser (Chromium).
    #[arg(long)]
    browser: bool,
}

/// `cargo xtask dashboard`.
pub fn run(arguments: &Arguments) -> Result<()> {
    setup::ensure()?;
    build()?;
    if arguments.check {
        check()?;
    }
    if arguments.browser {
        browser()?;
    }
    println!("{} {} is what the next build of runyard shows", shell::good("✓"), dist().display());
    Ok(())
}

/// Builds the page unless it is newer than everything that it is made of.
pub fn build() -> Result<()> {
    let built = modified(&dist().join("index.html"));
    if built.is_some_and(|built| newest(&place()).is_ok_and(|source| source <= built)) {
        return Ok(());
    }
    packages()?;
    shell::step("building the dashboard", || npm(&["run", "--silent", "build"]))
}

/// Its types, its style, its tests.
pub fn check() -> Result<()> {
    packages()?;
    shell::step("checking the dashboard", || npm(&["run", "--silent", "check"]))?;
    shell::step("testing the dashboard", || npm(&["run", "--silent", "test"]))
}

/// Its tests in a browser: against the mock, and against the programs of this build, with the real Claude Code.
pub fn browser() -> Result<()> {
    packages()?;
    build()?;
    shell::step("testing the dashboard in a browser", || npm(&["run", "--silent", "browser"]))?;
    let mut programs = workspace::cargo();
    // The whole workspace has one set of features, which the tests were built with; two packages alone have another.
    programs.args(["build", "--quiet", "--workspace", "--bins"]);
    shell::step("building the server that has it", || shell::run(&mut programs))?;
    let mut real = npm_command(&["run", "--silent", "real"])?;
    real.env("RUNYARD_PROGRAMS", workspace::target_dir()?.join("debug"));
    real.env("RUNYARD_CLAUDE", setup::claude_program()?);
    shell::step("testing both together", || shell::run(&mut real))
}

fn place() -> PathBuf {
    workspace::root().join("dashboard")
}

fn dist() -> PathBuf {
    place().join("dist")
}

/// Installs exactly what the lock names, when it is not there yet.
fn packages() -> Result<()> {
    let lock = fs::read(place().join("package-lock.json")).context("failed to read dashboard/package-lock.json")?;
    let seen = place().join("node_modules/.runyard-lock");
    if fs::read(&seen).is_ok_and(|seen| seen == lock) {
        return Ok(());
    }
    shell::step("fetching what the dashboard is made of", || {
        npm(&["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])?;
        fs::write(&seen, &lock).with_context(|| format!("failed to write {}", seen.display()))
    })
}

fn npm(arguments: &[&str]) -> Result<()> {
    shell::run(&mut npm_command(arguments)?)
}

fn npm_command(arguments: &[&str]) -> Result<Command> {
    let mut npm = Command::new("npm");
    npm.current_dir(place()).args(arguments).env("PATH", node::path()?);
    Ok(npm)
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).ok()?.modified().ok()
}

/// When the newest source was changed.
fn newest(folder: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            let is_made = ["node_modules", "dist", "out"].iter().any(|made| entry.file_name() == *made);
            newest = if is_made { newest } else { newest.max(self::newest(&path)?) };
        } else {
            newest = newest.max(modified(&path).unwrap_or(newest));
        }
    }
    Ok(newest)
}
