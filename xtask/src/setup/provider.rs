//! oidc-provider, at which the tests of the server sign in: from npm, by a lock file, into our cache.

use super::fetch::whole;
use crate::{shell, workspace};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is fetched, with checksums for everything that it brings along.
const LOCK: &str = include_str!("../../../crates/server/tests/provider/package-lock.json");

/// The folder that holds it; another lock file has another one.
fn folder() -> Result<PathBuf> {
    let sum = LOCK.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        // FNV-1a: it tells one lock file from the next, and guards nothing.
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Ok(workspace::cache_dir()?.join("oidc-provider").join(format!("{sum:016x}")))
}

/// Its folder `node_modules`, when it is there.
pub fn found() -> Result<Option<PathBuf>> {
    let modules = folder()?.join("node_modules");
    Ok(Some(modules).filter(|modules| modules.join("oidc-provider/package.json").is_file()))
}

/// Fetches it.
pub fn install() -> Result<()> {
    shell::step("fetching oidc-provider (about 1 MB)", || whole(&folder()?, fetch))
}

fn fetch(scratch: &Path) -> Result<()> {
    std::fs::create_dir_all(scratch)?;
    std::fs::write(scratch.join("package.json"), include_str!("../../../crates/server/tests/provider/package.json"))?;
    std::fs::write(scratch.join("package-lock.json"), LOCK)?;
    let mut npm = Command::new("npm");
    npm.current_dir(scratch).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    shell::capture(&mut npm).map(drop)
}
