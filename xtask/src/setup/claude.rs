//! Claude Code: the version that the agent crate is written for, from npm into our cache.

use super::fetch::whole;
use crate::{shell, workspace};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version whose contract the agent crate keeps.
pub const VERSION: &str = "2.1.197";

/// The npm package of a processor with the checksum that the registry must give it. Each holds one native program.
const BUILDS: [(&str, &str, &str); 2] = [
    (
        "x86_64",
        "@anthropic-ai/claude-code-linux-x64",
        "sha512-rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg==",
    ),
    (
        "aarch64",
        "@anthropic-ai/claude-code-linux-arm64",
        "sha512-sx6SoGj3MNR5CV+YDkNtbLHXa1tn3G8qcYFgm1gnvOi9ODQUKbhiPfankJfkTMDVekOvnKJhm6i9hGFIPzp7cQ==",
    ),
];

/// The folder that holds this version.
pub fn folder() -> Result<PathBuf> {
    Ok(workspace::cache_dir()?.join("claude-code").join(VERSION))
}

/// The program; an error that says how to get it when it is not there.
pub fn program() -> Result<PathBuf> {
    found()?.context("Claude Code is not installed; run `cargo xtask setup`")
}

/// The program, when it is there: where `RUNYARD_CLAUDE` says, else in our cache.
pub fn found() -> Result<Option<PathBuf>> {
    if let Some(own) = std::env::var_os("RUNYARD_CLAUDE").map(PathBuf::from) {
        if !shell::is_executable(&own) {
            bail!("RUNYARD_CLAUDE names {}, which is no program; mend or unset it", own.display());
        }
        return Ok(Some(own));
    }
    let (package, _) = build()?;
    Ok(Some(inside(&folder()?, package)).filter(|program| shell::is_executable(program)))
}

/// Fetches it.
pub fn install() -> Result<()> {
    shell::step(&format!("fetching Claude Code {VERSION} (about 80 MB)"), || whole(&folder()?, fetch))
}

fn fetch(scratch: &Path) -> Result<()> {
    let (package, integrity) = build()?;
    std::fs::create_dir_all(scratch)?;
    std::fs::write(scratch.join("package.json"), "{ \"private\": true }\n")?;
    // With a package.json of its own, npm does not install into some parent folder.
    let mut npm = Command::new("npm");
    npm.current_dir(scratch).args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    npm.arg(format!("{package}@{VERSION}"));
    shell::capture(&mut npm)?;

    let lock = std::fs::read_to_string(scratch.join("package-lock.json")).context("npm left no package-lock.json")?;
    check_integrity(&lock, package, integrity)?;
    let said = shell::capture(Command::new(inside(scratch, package)).arg("--version"))?;
    if !said.starts_with(VERSION) {
        bail!("npm gave Claude Code {:?} where {VERSION} was asked for", said.trim());
    }
    Ok(())
}

fn check_integrity(lock: &str, package: &str, expected: &str) -> Result<()> {
    let lock: Value = serde_json::from_str(lock).context("npm's package-lock.json is not JSON")?;
    let found = &lock["packages"][format!("node_modules/{package}")]["integrity"];
    if found != expected {
        bail!("the registry's {package} {VERSION} has checksum {found}, expected {expected}; it was not installed");
    }
    Ok(())
}

fn build() -> Result<(&'static str, &'static str)> {
    let arch = std::env::consts::ARCH;
    let build = BUILDS.iter().find(|(name, ..)| *name == arch);
    let (_, package, integrity) = build.with_context(|| format!("Claude Code has no build for Linux on {arch}"))?;
    Ok((package, integrity))
}

fn inside(folder: &Path, package: &str) -> PathBuf {
    folder.join("node_modules").join(package).join("claude")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_checksum_is_refused() {
        let (_, package, integrity) = BUILDS[0];
        let lock = |sum: &str| format!(r#"{{"packages":{{"node_modules/{package}":{{"integrity":"{sum}"}}}}}}"#);
        assert!(check_integrity(&lock(integrity), package, integrity).is_ok());
        assert!(check_integrity(&lock("sha512-AAAA"), package, integrity).is_err());
        assert!(check_integrity("{}", package, integrity).is_err());
    }
}
