//! Versions of the programs that Runyard drives.

use super::{fail, ok, warn};
use crate::render::one_line;
use sandbox::Check;
use std::{path::Path, process::Stdio, time::Duration};
use tokio::process::Command;

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// The least git that can merge without a working tree: `merge-tree --write-tree` came with 2.38.
const LEAST_GIT: [u64; 3] = [2, 38, 0];

pub(super) async fn git() -> Check {
    const NAME: &str = "git";
    const MEND: &str = "install git 2.38 or newer: `apt install git` or `dnf install git`";
    match told(Command::new("git").arg("--version")).await {
        Err(error) => fail(NAME, error, MEND),
        Ok(text) => match version(&text) {
            Some(found) if found < LEAST_GIT => fail(NAME, format!("{} is too old", dotted(found)), MEND),
            Some(found) => ok(NAME, dotted(found)),
            None => fail(NAME, format!("`git --version` says {}", one_line(&text, 80)), MEND),
        },
    }
}

/// The agent's version, asked with an empty home so that no settings of a person take part.
pub(super) async fn claude(program: &Path) -> Check {
    const NAME: &str = "claude code";
    let mend = format!("install the tested version {}: cargo xtask setup", agent::PINNED);
    let home = match Home::new() {
        Ok(home) => home,
        Err(error) => {
            return warn(NAME, format!("failed to make an empty home: {error}"), "look at the temporary directory");
        }
    };
    let mut command = Command::new(program);
    command
        .arg("--version")
        .env_clear()
        .env("HOME", &home.0)
        .env("PATH", "/usr/bin:/bin")
        .env("DISABLE_AUTOUPDATER", "1")
        .current_dir(&home.0);
    let text = match told(&mut command).await {
        Ok(text) => text,
        Err(error) => return fail(NAME, format!("{}: {error}", program.display()), mend),
    };
    let tested = version(agent::PINNED).unwrap_or_default();
    match version(&text) {
        Some(found) if found == tested => ok(NAME, format!("{} at {}", dotted(found), program.display())),
        Some(found) if found[..2] == tested[..2] => {
            warn(NAME, format!("{} at {} is not the tested {}", dotted(found), program.display(), agent::PINNED), mend)
        }
        Some(found) => {
            fail(NAME, format!("{} at {} is out of the tested range", dotted(found), program.display()), mend)
        }
        None => fail(NAME, format!("{} --version says {}", program.display(), one_line(&text, 80)), mend),
    }
}

/// A fresh empty directory, removed when dropped.
struct Home(std::path::PathBuf);

impl Home {
    fn new() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("runyard-doctor-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program prints.
async fn told(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(PATIENCE, output).await {
        Err(_) => Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => Err(format!("it cannot be started: {error}")),
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => {
            Err(format!("it failed ({}): {}", output.status, one_line(&String::from_utf8_lossy(&output.stderr), 200)))
        }
    }
}

/// The first `a.b.c` or `a.b` of a text.
fn version(text: &str) -> Option<[u64; 3]> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut parts = word.trim_matches('.').split('.');
        let mut next = || parts.next()?.parse::<u64>().ok();
        Some([next()?, next()?, next().unwrap_or(0)])
    })
}

fn dotted([major, minor, patch]: [u64; 3]) -> String {
    format!("{major}.{minor}.{patch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(version("git version 2.39.5 (Apple Git-154)\n"), Some([2, 39, 5]));
        assert_eq!(version("2.1.197 (Claude Code)"), Some([2, 1, 197]));
        assert_eq!(version("git version 2.50.rc1"), Some([2, 50, 0]));
        assert_eq!(version("no version"), None);
    }

    #[tokio::test]
    async fn a_program_that_is_no_agent_is_not_taken_for_one() {
        let check = claude(Path::new("/bin/true")).await;
        assert_eq!(check.status, sandbox::Status::Fail, "{check:?}");
        let check = claude(Path::new("/nonexistent/claude")).await;
        assert!(check.detail.contains("cannot be started"), "{check:?}");
    }
}
