//! Snapshot files that no test asks for any more.

use crate::{shell, workspace};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compares the repository's snapshot files with the list that insta wrote while the tests ran.
pub fn check(references: &Path) -> Result<()> {
    let tracked = shell::capture(Command::new("git").current_dir(workspace::root()).args(["ls-files", "*.snap"]))?;
    let files: BTreeSet<PathBuf> = tracked.lines().map(|line| workspace::root().join(line)).collect();
    if files.is_empty() {
        return Ok(());
    }
    let asked =
        std::fs::read_to_string(references).context("no test asked for a snapshot file, though there are some")?;
    let stale = unreferenced(&files, &asked);
    if !stale.is_empty() {
        bail!("snapshot files that no test asks for; remove them:\n  {}", stale.join("\n  "));
    }
    Ok(())
}

fn unreferenced(files: &BTreeSet<PathBuf>, asked: &str) -> Vec<String> {
    let known: BTreeSet<PathBuf> = asked.lines().filter_map(|line| Path::new(line).canonicalize().ok()).collect();
    let stale = files.iter().filter(|file| file.canonicalize().is_ok_and(|file| !known.contains(&file)));
    stale.map(|file| file.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_nobody_asked_for_is_found() {
        let manifest = workspace::root().join("Cargo.toml");
        let lock = workspace::root().join("Cargo.lock");
        let files = BTreeSet::from([manifest.clone(), lock.clone()]);
        let asked = format!("{}/xtask/../Cargo.toml\n", workspace::root().display());
        assert_eq!(unreferenced(&files, &asked), [lock.display().to_string()]);
    }
}
