//! `cargo xtask fuzz`: looks for inputs that break a promise, for as long as one likes.

use crate::{setup, shell, workspace};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// What `fuzz` can be told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only these targets; without any, all of them one after the other.
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Prints the targets and runs none.
    #[arg(long)]
    list: bool,
}

/// `cargo xtask fuzz`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let known = targets()?;
    if arguments.list {
        println!("{}", known.join("\n"));
        return Ok(());
    }
    if let Some(unknown) = arguments.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no target `{unknown}`; there are {}", known.join(", "));
    }
    if shell::find("cargo-fuzz").is_none() {
        bail!("cargo-fuzz is not installed; run `cargo install cargo-fuzz --locked`, which takes about two minutes");
    }
    setup::ensure()?;
    let chosen = if arguments.targets.is_empty() { &known } else { &arguments.targets };
    for target in chosen {
        let what = format!("{target} for {} min", arguments.minutes);
        shell::step(&what, || search(target, arguments.minutes))
            .with_context(|| format!("{target} found something; docs/fuzzing.md says what to do with it"))?;
    }
    Ok(())
}

/// The findings and the inputs that were found useful are kept beside what cargo builds, so that the checkout stays clean.
fn search(target: &str, minutes: u64) -> Result<()> {
    let place = workspace::target_dir()?.join("fuzz");
    let (inputs, findings) = (place.join("corpus").join(target), place.join("artifacts").join(target));
    for folder in [&inputs, &findings] {
        std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    }
    let mut folders = vec![inputs];
    folders.extend(recordings(target));
    let mut fuzz = cargo_fuzz();
    fuzz.args(["run", target]).args(&folders).arg("--");
    fuzz.arg(format!("-max_total_time={}", minutes * 60)).args(["-timeout=10", "-rss_limit_mb=2048"]);
    // Each byte of an archive's input describes up to a whole block.
    fuzz.arg(if target == "archive" { "-max_len=512" } else { "-max_len=4096" });
    fuzz.arg(format!("-artifact_prefix={}/", findings.display()));
    shell::run(fuzz.env("CARGO_TARGET_DIR", place.join("build")))
}

/// Inputs that are there anyway; new ones are not put there.
fn recordings(target: &str) -> Option<PathBuf> {
    (target == "stream_json").then(|| workspace::root().join("tests/fixtures/claude-code"))
}

fn targets() -> Result<Vec<String>> {
    let folder = workspace::root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Sanitizers are not stable, and the pinned compiler has them all the same.
fn cargo_fuzz() -> Command {
    let mut command = workspace::cargo();
    command.arg("fuzz").env("RUSTC_BOOTSTRAP", "1").current_dir(workspace::root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_that_is_listed_is_built() {
        let manifest = std::fs::read_to_string(workspace::root().join("fuzz/Cargo.toml")).unwrap();
        let targets = targets().unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(
                manifest.contains(&format!("name = \"{target}\"\npath = \"fuzz_targets/{target}.rs\"")),
                "{target}"
            );
        }
    }
}
