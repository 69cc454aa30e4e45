//! `cargo xtask lint`: what a reviewer should not have to look for.

mod tidy;

use crate::{setup, shell, workspace};
use anyhow::Result;
use std::process::Command;

/// What `lint` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Mends what can be mended: formatting, and clippy's own suggestions.
    #[arg(long)]
    fix: bool,
}

/// `cargo xtask lint`.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.fix {
        shell::run(workspace::cargo().args(["fmt", "--all"]))?;
        let mut fix = workspace::cargo();
        shell::run(fix.args(["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--quiet"]))?;
    }
    shell::step("formatting", || shell::run(workspace::cargo().args(["fmt", "--all", "--check"])))?;
    shell::step("house rules", tidy::check)?;
    shell::step("clippy", || {
        let mut clippy = workspace::cargo();
        shell::run(clippy.args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    let deny = setup::cargo_deny()?;
    shell::step("licences, bans and sources of dependencies", || {
        let mut command = Command::new(&deny);
        command.current_dir(workspace::root()).args(["--log-level", "error", "--all-features", "check"]);
        command.args(["--hide-inclusion-graph", "bans", "licenses", "sources"]);
        shell::run(&mut command)
    })?;
    advisories(&deny)
}

/// The advisory database comes from outside, so it is used only where somebody provides a copy.
fn advisories(deny: &std::path::Path) -> Result<()> {
    let Some(database) = std::env::var_os("RUNYARD_ADVISORY_DB") else {
        println!("  advisories not checked: RUNYARD_ADVISORY_DB names no folder with a copy of the advisory database");
        return Ok(());
    };
    shell::step("advisories", || {
        let mut command = Command::new(deny);
        command.current_dir(workspace::root()).env("CARGO_DENY_DB_PATH", &database);
        shell::run(command.args(["--log-level", "error", "check", "--disable-fetch", "advisories"]))
    })
}
