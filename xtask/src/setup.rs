//! Finds what this machine lacks and installs it: system packages by apt, Claude Code and oidc-provider by npm,
//! schemathesis by pip, tools by cargo.
//!
//! What is there is found by looking at files, so that a second run takes no time and asks no network.

mod claude;
mod confine;
mod fetch;
mod packages;
mod provider;
mod schemathesis;

use crate::{shell, workspace};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;

pub use claude::program as claude_program;
pub use provider::found as provider;
pub use schemathesis::found as schemathesis;

/// What `setup` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Also what `lint` needs (cargo-deny, built from source in about a minute).
    #[arg(long)]
    lint: bool,
    /// Says what is missing and changes nothing; fails when something is.
    #[arg(long)]
    check: bool,
}

/// `cargo xtask setup`.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.check {
        return check();
    }
    ensure()?;
    if arguments.lint {
        cargo_deny()?;
    }
    println!("{} this machine has what Runyard needs", shell::good("✓"));
    Ok(())
}

/// Sees to everything that building, testing and showing Runyard needs.
pub fn ensure() -> Result<()> {
    let missing = packages::missing();
    let claude = claude::found()?;
    if !missing.is_empty() {
        packages::install(&missing)?;
    }
    packages::check_versions()?;
    if claude.is_none() {
        claude::install()?;
    }
    if provider::found()?.is_none() {
        provider::install()?;
    }
    if schemathesis::found()?.is_none() && schemathesis::has_python() {
        schemathesis::install()?;
    }
    confine::check()
}

fn check() -> Result<()> {
    let mut lacks: Vec<String> =
        packages::missing().iter().map(|package| format!("package {}", package.name)).collect();
    if claude::found()?.is_none() {
        lacks.push(format!("Claude Code {} in {}", claude::VERSION, claude::folder()?.display()));
    }
    if provider::found()?.is_none() {
        lacks.push("oidc-provider".to_owned());
    }
    if schemathesis::found()?.is_none() {
        lacks.push(format!("schemathesis {}, for which Python 3 with venv is needed", schemathesis::VERSION));
    }
    if !lacks.is_empty() {
        bail!("missing: {}; run `cargo xtask setup`", lacks.join(", "));
    }
    packages::check_versions()?;
    confine::check()?;
    println!("{} nothing is missing", shell::good("✓"));
    Ok(())
}

const CARGO_DENY: &str = "0.20.2";

/// The program cargo-deny, built once into the cache when the machine has none.
pub fn cargo_deny() -> Result<PathBuf> {
    let tools = workspace::cache_dir()?.join("tools");
    let ours = tools.join("bin/cargo-deny");
    if let Some(found) = shell::find("cargo-deny").or_else(|| Some(ours.clone()).filter(|it| shell::is_executable(it)))
    {
        return Ok(found);
    }
    shell::step(&format!("building cargo-deny {CARGO_DENY} (about a minute, once)"), || {
        let scratch = tools.join(format!("build-{}", std::process::id()));
        let mut install = workspace::cargo();
        install.args(["install", "cargo-deny", "--locked", "--debug", "--quiet", "--version", CARGO_DENY, "--root"]);
        install.arg(&tools).env("CARGO_TARGET_DIR", &scratch);
        let installed = shell::run(&mut install);
        std::fs::remove_dir_all(&scratch).ok();
        installed
    })?;
    Ok(ours)
}

/// Runs `script` as root: as it is when we are, by sudo otherwise. The person sees what will run before being asked.
fn as_root(script: &str) -> Result<()> {
    let mut command = if workspace::is_root() {
        Command::new("sh")
    } else {
        shell::find("sudo").with_context(|| format!("sudo is not installed; as root, run:\n{}", indented(script)))?;
        let mut sudo = Command::new("sudo");
        if !a_person_watches() {
            sudo.arg("-n");
        }
        sudo.arg("sh");
        sudo
    };
    println!("{}", shell::faint(&indented(script)));
    let outcome = shell::quietly(command.args(["-c", &format!("exec 2>&1\n{script}")]));
    outcome.with_context(|| format!("failed to install system packages; as root, run:\n{}", indented(script)))
}

fn a_person_watches() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdin().is_terminal() && std::env::var_os("CI").is_none()
}

fn indented(script: &str) -> String {
    script.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
