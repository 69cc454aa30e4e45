//! Where things are.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

/// `cargo`, the one that runs us, in the repository's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Where cargo puts what it builds: our own program lies in `TARGET/debug/`.
pub fn target_dir() -> Result<PathBuf> {
    let own = std::env::current_exe().context("failed to find the running program")?;
    let target = own.parent().and_then(Path::parent).context("failed to find the target directory")?;
    Ok(target.to_path_buf())
}

/// A folder for what is fetched once: for the whole machine as root, for the person otherwise.
pub fn cache_dir() -> Result<PathBuf> {
    if is_root() {
        return Ok("/var/cache/runyard".into());
    }
    if let Some(cache) = std::env::var_os("XDG_CACHE_HOME").filter(|cache| Path::new(cache).is_absolute()) {
        return Ok(Path::new(&cache).join("runyard"));
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).context("HOME is not set; set it")?;
    Ok(Path::new(&home).join(".cache/runyard"))
}

/// Whether we are root.
pub fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective_uid(&status) == Some(0)
}

fn effective_uid(status: &str) -> Option<u32> {
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    uids.split_whitespace().nth(1)?.parse().ok()
}

/// Where the corpus is, when it is there (`RUNYARD_CORPUS`, else beside the checkout).
pub fn corpus() -> Option<PathBuf> {
    let place = match std::env::var_os("RUNYARD_CORPUS") {
        Some(place) => root().join(place),
        None => root().join("../shared/corpus"),
    };
    place.canonicalize().ok().filter(|place| place.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_uid_counts_not_the_real_one() {
        assert_eq!(effective_uid("Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t1\t1\t1\t1\n"), Some(0));
        assert_eq!(effective_uid("Name:\tx\n"), None);
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
