//! System packages.

use super::as_root;
use crate::shell;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// A package of Debian and Ubuntu with what it is for.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Its name for apt.
    pub name: &'static str,
    why: &'static str,
    is_there: fn() -> bool,
}

/// Builds the dashboard, and fetches Claude Code.
const NPM: Package = Package {
    name: "npm",
    why: "builds the dashboard, fetches Claude Code",
    is_there: || shell::find("npm").is_some(),
};

const NEEDED: [Package; 5] = [
    NPM,
    Package {
        name: "chromium",
        why: "the browser of the dashboard's tests",
        is_there: || shell::find("chromium").is_some(),
    },
    Package { name: "git", why: "moves changes", is_there: || shell::find("git").is_some() },
    Package { name: "bubblewrap", why: "confines the agent", is_there: || shell::find("bwrap").is_some() },
    Package { name: "postgresql", why: "the second database of the tests", is_there: postgres_is_there },
];

/// The git that merges trees without a working tree as we need it.
const GIT: (u32, u32) = (2, 39);
/// The bubblewrap that the sandbox was tried with.
const BUBBLEWRAP: (u32, u32) = (0, 6);

/// What is not there.
pub fn missing() -> Vec<Package> {
    NEEDED.into_iter().filter(|package| !(package.is_there)()).collect()
}

/// Installs by apt, asking for sudo when needed.
pub fn install(packages: &[Package]) -> Result<()> {
    for package in packages {
        println!("  missing: {} ({})", shell::strong(package.name), package.why);
    }
    if shell::find("apt-get").is_none() {
        let names: Vec<_> = packages.iter().map(|package| package.name).collect();
        bail!("this machine has no apt-get; install these by hand, then try again: {}", names.join(", "));
    }
    shell::step("installing system packages", || as_root(&script(packages)))?;
    match packages.iter().find(|package| !(package.is_there)()) {
        Some(package) => bail!("{} was installed, but its programs are not on the PATH", package.name),
        None => Ok(()),
    }
}

/// One line for each thing done, so that a person can read what sudo is wanted for.
///
/// Debian's package of PostgreSQL makes and starts a cluster of its own. The tests start theirs, so a drop-in says no for
/// as long as the installation takes.
fn script(packages: &[Package]) -> String {
    let names: Vec<_> = packages.iter().map(|package| package.name).collect();
    let mut lines = vec!["set -e"];
    if names.contains(&"postgresql") {
        lines.push("drop=/etc/postgresql-common/createcluster.d/runyard.conf");
        lines.push("trap 'rm -f $drop' EXIT");
        lines.push("mkdir -p ${drop%/*} && echo 'create_main_cluster = false' > $drop");
    }
    lines.push("apt-get update -q");
    let install =
        format!("DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends {}", names.join(" "));
    lines.push(&install);
    lines.join("\n")
}

fn postgres_is_there() -> bool {
    let complete = |folder: &Path| ["initdb", "postgres"].iter().all(|it| shell::is_executable(&folder.join(it)));
    let by_version = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    by_version.into_iter().any(|version| complete(&version.path().join("bin")))
        || ["initdb", "postgres"].iter().all(|it| shell::find(it).is_some())
}

/// Whether what is there is new enough.
pub fn check_versions() -> Result<()> {
    at_least("git", GIT)?;
    at_least("bwrap", BUBBLEWRAP)
}

fn at_least(program: &str, (major, minor): (u32, u32)) -> Result<()> {
    let said = shell::capture(Command::new(program).arg("--version"))?;
    let found =
        version(&said).with_context(|| format!("failed to read the version of {program} in {:?}", said.trim()))?;
    if found < (major, minor) {
        bail!(
            "{program} {}.{} is too old: Runyard needs {major}.{minor}; use Debian 12, Ubuntu 24.04 or newer",
            found.0,
            found.1
        );
    }
    Ok(())
}

/// The first `1.2` in a text.
fn version(text: &str) -> Option<(u32, u32)> {
    let word = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = word.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        assert_eq!(version("git version 2.47.3\n"), Some((2, 47)));
        assert_eq!(version("bubblewrap 0.8.0"), Some((0, 8)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("command not found"), None);
    }

    #[test]
    fn an_old_program_is_an_error_with_the_mend() {
        let error = at_least("git", (99, 0)).unwrap_err().to_string();
        assert!(error.contains("git 2.") && error.contains("99.0") && error.contains("Ubuntu 24.04"), "{error}");
    }

    #[test]
    fn postgresql_comes_without_a_cluster_of_its_own() {
        let script = script(&NEEDED);
        let (drop, install) = (script.find("create_main_cluster = false"), script.find("apt-get install"));
        assert!(drop.is_some() && drop < install, "{script}");
        assert!(script.contains("trap 'rm -f $drop' EXIT"));
    }
}
