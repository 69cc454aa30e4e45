//! `cargo xtask lint`: what a reviewer should not have to look for.

mod tidy;

use crate::{setup, shell, workspace};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// What `lint` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Mends what can be mended: formatting, and clippy's own suggestions.
    #[arg(long)]
    fix: bool,
    /// Only what takes no building: formatting and the house rules.
    #[arg(long)]
    quick: bool,
}

/// `cargo xtask lint`.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.fix {
        shell::run(workspace::cargo().args(["fmt", "--all"]))?;
        let mut fix = workspace::cargo();
        shell::run(fix.args(["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--quiet"]))?;
    }
    let mut findings = Findings::default();
    findings.of("formatting", || shell::run(workspace::cargo().args(["fmt", "--all", "--check"])));
    findings.of("house rules", tidy::check);
    if !arguments.quick {
        findings.of("clippy", || {
            let mut clippy = workspace::cargo();
            shell::run(clippy.args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
        });
        let deny = setup::cargo_deny()?;
        findings.of("licences, bans and sources of dependencies", || {
            let mut command = Command::new(&deny);
            command.current_dir(workspace::root()).args(["--log-level", "error", "--all-features", "check"]);
            shell::run(command.args(["--hide-inclusion-graph", "bans", "licenses", "sources"]))
        });
        findings.of("advisories", || advisories(&deny));
    }
    findings.report()
}

/// Everything is looked at, so that one run tells all that is to be mended.
#[derive(Default)]
struct Findings(Vec<&'static str>);

impl Findings {
    fn of(&mut self, what: &'static str, look: impl FnOnce() -> Result<()>) {
        if let Err(error) = shell::step(what, look) {
            eprintln!("{} {what}: {error:#}", shell::bad("✗"));
            self.0.push(what);
        }
    }

    fn report(self) -> Result<()> {
        if !self.0.is_empty() {
            bail!("to be mended: {}", self.0.join("; "));
        }
        Ok(())
    }
}

/// The advisory database comes from outside, so it is used only where somebody provides a copy.
fn advisories(deny: &Path) -> Result<()> {
    let Some(database) = std::env::var_os("RUNYARD_ADVISORY_DB") else {
        println!("  advisories not checked: RUNYARD_ADVISORY_DB names no folder with a copy of the advisory database");
        return Ok(());
    };
    let mut command = Command::new(deny);
    command.current_dir(workspace::root()).env("CARGO_DENY_DB_PATH", &database);
    shell::run(command.args(["--log-level", "error", "check", "--disable-fetch", "advisories"]))
}
