use domain::SandboxId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is needed to find a local sandbox again, or to remove what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRecord {
    /// Its id.
    pub id: SandboxId,
    /// The uid of its processes and files, on this machine and inside.
    pub uid: u32,
    /// `DATA/sandboxes/<id>`.
    pub dir: PathBuf,
    /// The host directory of `/run/egress`.
    pub egress_dir: PathBuf,
    /// How `/code` came to be.
    pub workspace: crate::Workspace,
    /// Control groups made for it, to be removed when they are empty. All of them can be killed by their `cgroup.kill`
    /// if they have one.
    pub cgroups: Vec<PathBuf>,
    /// The shim, process 1 inside.
    pub shim: Option<Process>,
    /// The bubblewrap process that waits for it.
    pub monitor: Option<Process>,
}

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number on this machine.
    pub pid: i32,
    /// When it started, in clock ticks after boot (field 22 of `/proc/PID/stat`, proc(5)).
    pub start: u64,
}
