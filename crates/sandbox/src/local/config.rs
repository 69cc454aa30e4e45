use crate::{Error, Mount};
use serde::{Deserialize, Serialize};
use std::{
    ops::RangeInclusive,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// How sandboxes on this machine are made.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// The server's data directory. A server that is root needs every directory on the way to be enterable by others.
    pub data_dir: PathBuf,
    /// Directories of this machine that appear read-only at the same path, such as toolchains. Never a home directory,
    /// nor anything that holds one.
    pub read_only_paths: Vec<PathBuf>,
    /// Files and directories that appear read-only at a path of their own.
    pub tools: Vec<Mount>,
    /// What each sandbox may use.
    pub limits: Limits,
    /// Bytes of `/tmp`, which is memory.
    pub tmp_size: u64,
    /// Bytes of `/dev/shm`, which is memory.
    pub shm_size: u64,
    /// No sandbox is made, and none goes on writing, when fewer bytes than these (half of them, for the latter) are free
    /// on the data directory's disk.
    pub min_free_disk: u64,
    /// Bytes that all sandboxes may take on disk before no further one is made.
    pub total_disk: Option<u64>,
    /// Whether no sandbox is made where a wall is open: a limit that does not hold, a uid that is shared, a program with
    /// a known hole. For work that nobody vouches for.
    pub strict: bool,
    /// Known holes that count as mended, such as `CVE-2026-87766`: distributions mend them without a new version.
    pub accepted_holes: Vec<String>,
    /// The git program, which reads what comes out of sandboxes.
    pub git: PathBuf,
    /// The uids that a server which is root gives to sandboxes, one each.
    pub uids: RangeInclusive<u32>,
    /// The bubblewrap program.
    pub bwrap: PathBuf,
}

impl LocalConfig {
    /// The defaults: no toolchains, 4 GiB of memory, 1024 processes, two processors' worth of time, 10 GiB
    /// of disk, all best effort.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            read_only_paths: Vec::new(),
            tools: Vec::new(),
            limits: Limits::default(),
            tmp_size: 1 << 30,
            shm_size: 64 << 20,
            min_free_disk: 1 << 30,
            total_disk: None,
            strict: false,
            accepted_holes: Vec::new(),
            git: "git".into(),
            uids: 200_000..=265_535,
            bwrap: "/usr/bin/bwrap".into(),
        }
    }

    /// Checks what can be checked without the machine's help.
    pub(super) fn check(&self, root: bool) -> Result<(), Error> {
        if !self.data_dir.is_absolute() {
            return Err(Error::Invalid(format!("the data directory {} is not absolute", self.data_dir.display())));
        }
        for path in &self.read_only_paths {
            check_mount(&Mount { host: path.clone(), inside: path.clone() }, root)?;
        }
        for mount in &self.tools {
            check_mount(mount, root)?;
        }
        Ok(())
    }
}

/// A mount that is asked for by name: its source may lie in a home, but must not be one. Returns the source's real path.
pub(super) fn check_mount(mount: &Mount, root: bool) -> Result<PathBuf, Error> {
    let real = check_host_path(&mount.host, &homes())?;
    check_inside(&mount.inside)?;
    // Directories on the way to it may be closed: the launcher, while it is root, goes past them.
    if root && std::fs::metadata(&real).is_ok_and(|found| !is_open(&found)) {
        let why = format!("it is closed to others; run `chmod o+rX {}`", real.display());
        return Err(refused(&mount.host, &why));
    }
    Ok(real)
}

fn is_open(found: &std::fs::Metadata) -> bool {
    let needed = if found.is_dir() { 0o005 } else { 0o004 };
    found.mode() & needed == needed
}

fn refused(path: &Path, why: &str) -> Error {
    Error::Invalid(format!("{} cannot be shown to sandboxes: {why}", path.display()))
}

fn check_host_path(path: &Path, homes: &[PathBuf]) -> Result<PathBuf, Error> {
    let refuse = |why: &str| Err(refused(path, why));
    if !path.is_absolute() {
        return refuse("it is not absolute");
    }
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let who = rustix::process::geteuid().as_raw();
            return refuse(&format!(
                "uid {who}, which the server runs as, cannot get to it; let it, or run it as root"
            ));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return refuse("it does not exist"),
        Err(error) => return refuse(&error.to_string()),
    };
    if let Some(home) = homes.iter().find(|home| home.starts_with(&real)) {
        return refuse(&format!("it is or holds the home directory {}", home.display()));
    }
    for secret in [".ssh", ".aws", ".gnupg", ".config", ".claude", ".kube", ".docker"] {
        if real.components().any(|part| part.as_os_str() == secret) && homes.iter().any(|home| real.starts_with(home)) {
            return refuse(&format!("`{secret}` of a home directory holds credentials"));
        }
    }
    for system in ["/proc", "/sys", "/dev", "/run", "/boot"] {
        if real.starts_with(system) {
            return refuse("it belongs to the running system");
        }
    }
    Ok(real)
}

fn check_inside(path: &Path) -> Result<(), Error> {
    let plain =
        path.is_absolute() && path.components().skip(1).all(|part| matches!(part, std::path::Component::Normal(_)));
    // A mount point below a directory that a sandbox can write lets bubblewrap < 0.12 be led outside (CVE-2026-87766).
    let own =
        ["/code", "/home/agent", "/tmp", "/proc", "/dev", "/run/runyard", "/run/egress", "/mirror"].map(Path::new);
    if !plain || own.iter().any(|own| path.starts_with(own) || own.starts_with(path)) {
        return Err(Error::Invalid(format!("nothing can be mounted at {} in a sandbox", path.display())));
    }
    Ok(())
}

/// The home directories of this machine's people, real paths.
fn homes() -> Vec<PathBuf> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let uid: u32 = fields.nth(2)?.parse().ok()?;
        let home = fields.nth(2)?;
        // Daemons have directories of the system as their homes, such as /bin.
        (uid == 0 || (1000..60_000).contains(&uid)).then(|| PathBuf::from(home))
    });
    let own = std::env::home_dir();
    listed
        .chain(own)
        .filter(|home| home.parent().is_some() && home != Path::new("/nonexistent"))
        .map(|home| home.canonicalize().unwrap_or(home))
        .collect()
}

/// What a sandbox may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory of the whole sandbox, swap included.
    pub memory: Option<Limit>,
    /// Processes and threads of the whole sandbox.
    pub pids: Option<Limit>,
    /// Thousandths of a processor.
    pub cpu: Option<Limit>,
    /// Bytes on disk of the workspace's changes and the home together. A required limit is set aside from the start.
    pub disk: Option<Limit>,
    /// Files and directories, where there is a limit of bytes; fewer when those are few (1 for each 4 KiB).
    pub files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let best_effort = |value| Some(Limit { value, requirement: Requirement::BestEffort });
        Self {
            memory: best_effort(4 << 30),
            pids: best_effort(1024),
            cpu: best_effort(2000),
            disk: best_effort(10 << 30),
            files: 1_000_000,
        }
    }
}

/// An amount, and what happens where it cannot be enforced for the sandbox as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// The amount, in the unit of its field in [`Limits`].
    pub value: u64,
    /// How much it matters.
    pub requirement: Requirement,
}

/// What happens where a limit does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// No sandbox starts.
    Required,
    /// Sandboxes start, and the report says so.
    BestEffort,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_directory_and_what_holds_one_is_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap();
        let homes = [real.clone()];
        std::fs::create_dir_all(real.join(".ssh/x")).unwrap();
        std::fs::create_dir_all(real.join(".rustup/toolchains/a")).unwrap();
        std::os::unix::fs::symlink(&real, real.join(".rustup/sly")).unwrap();
        for bad in
            [real.clone(), real.parent().unwrap().into(), "/".into(), real.join(".ssh/x"), real.join(".rustup/sly")]
        {
            assert!(check_host_path(&bad, &homes).is_err(), "{} was let in", bad.display());
        }
        check_host_path(&real.join(".rustup/toolchains/a"), &homes).unwrap();
    }

    #[test]
    fn nothing_is_mounted_where_a_sandbox_can_write() {
        for bad in
            ["/code/x", "/code", "/home/agent/.claude", "/home", "/run", "/tmp/x", "relative", "/opt/../code/x", "/"]
        {
            assert!(check_inside(Path::new(bad)).is_err(), "{bad} was let in");
        }
        for good in ["/etc/claude-code/managed-settings.json", "/home/ada/.rustup/toolchains/stable", "/run/own"] {
            check_inside(Path::new(good)).unwrap();
        }
    }
}
