use crate::Workspace;
use domain::SandboxId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use uuid::Uuid;

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
    pub workspace: Workspace,
    /// Environment that every exec starts from.
    pub env: Vec<(String, String)>,
    /// Control groups made for it.
    pub cgroups: Vec<PathBuf>,
    /// Whether one of them limits its memory as a whole.
    pub memory_held: bool,
    /// Whether what it writes is in a file system of its own, in the file `disk.img` of its directory.
    #[serde(default)]
    pub disk: bool,
    /// The shim, process 1 inside; `None` while it was never started.
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
    /// The boot that it belongs to (`/proc/sys/kernel/random/boot_id`, proc(5)).
    pub boot: Uuid,
}
