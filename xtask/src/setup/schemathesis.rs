//! schemathesis, which looks for faults of the REST API: from PyPI, into a Python environment of its own in our cache.

use crate::{shell, workspace};
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::process::Command;

/// The version that the tests are written for.
pub const VERSION: &str = "4.32.5";

/// The folder that holds this version.
fn folder() -> Result<PathBuf> {
    Ok(workspace::cache_dir()?.join("schemathesis").join(VERSION))
}

/// The program, when it is there.
pub fn found() -> Result<Option<PathBuf>> {
    Ok(Some(folder()?.join("bin/schemathesis")).filter(|program| shell::is_executable(program)))
}

/// Whether this machine could have it.
pub fn has_python() -> bool {
    shell::find("python3").is_some_and(|python| {
        Command::new(python).args(["-c", "import ensurepip, venv"]).output().is_ok_and(|it| it.status.success())
    })
}

/// Fetches it. An environment knows its own path, so it is made where it stays, and its program is what comes last.
pub fn install() -> Result<()> {
    shell::step(&format!("fetching schemathesis {VERSION} (about 30 MB)"), || {
        let place = folder()?;
        std::fs::remove_dir_all(&place).ok();
        let parent = place.parent().context("the cache has no parent folder")?;
        std::fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
        shell::capture(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
        let mut pip = Command::new(place.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
        pip.arg(format!("schemathesis=={VERSION}"));
        let installed = shell::capture(&mut pip);
        if installed.is_err() {
            std::fs::remove_dir_all(&place).ok();
        }
        installed.map(drop)
    })
}
