//! What the launcher is told, as JSON on its standard input, and what it answers on its standard output.

use crate::proto::Forward;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A sandbox to start.
///
/// The caller has made `dir` with the directories `ctl` and `ctl/spool`, owned by the sandbox's uid. What the sandbox
/// writes is in [`LaunchSpec::files`]: without a disk the caller has made `code`, `home` (and `upper` and `work` where
/// `base` is given) there in the same way, with one the launcher does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// The sandbox's directory on the host. `dir/ctl` is never visible inside.
    pub dir: PathBuf,
    /// The uid and gid to drop to. It must be given if and only if the launcher is root, and is never 0.
    pub drop_to: Option<u32>,
    /// Control groups to join: directories with a `cgroup.procs`.
    pub cgroups: Vec<PathBuf>,
    /// The tree that `dir/code` shows, changes going to `dir/upper`.
    pub base: Option<PathBuf>,
    /// Whether the file `dir/disk.img` holds an ext4 file system to be mounted at `dir/disk`, in which everything is
    /// that the sandbox writes: a wall around its disk space. Only for a launcher that is root.
    pub disk: bool,
    /// The bubblewrap program.
    pub bwrap: PathBuf,
    /// The operations that build the root, in order.
    pub mounts: Vec<MountOp>,
    /// For process 1 inside.
    pub init: InitSpec,
}

impl LaunchSpec {
    /// Where `code`, `home`, `upper` and `work` are.
    pub fn files(&self) -> PathBuf {
        files(&self.dir, self.disk)
    }
}

/// Where a sandbox with this directory has what it writes.
pub fn files(dir: &Path, disk: bool) -> PathBuf {
    if disk { dir.join("disk") } else { dir.to_owned() }
}

/// One step of building the sandbox's root. All destinations are absolute and lie below directories that no sandbox can
/// write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum MountOp {
    /// A read-only bind.
    Read {
        /// On the host.
        from: PathBuf,
        /// Inside.
        to: PathBuf,
        /// Whether an absent source is passed over.
        optional: bool,
    },
    /// A read-only bind of something that lies below directories which the sandbox's uid cannot enter, such as a
    /// toolchain in a home: a launcher that is root binds it where that uid can, before it drops.
    Show {
        /// On the host; a real path, no part of which is a link.
        from: PathBuf,
        /// Inside.
        to: PathBuf,
    },
    /// A writable bind.
    Write {
        /// On the host.
        from: PathBuf,
        /// Inside.
        to: PathBuf,
    },
    /// A symbolic link.
    Link {
        /// What it says.
        text: PathBuf,
        /// Where it lies.
        at: PathBuf,
    },
    /// Memory of a limited size.
    Memory {
        /// Inside.
        at: PathBuf,
        /// Bytes.
        size: u64,
    },
    /// `/proc` of the sandbox's PID namespace.
    Proc,
    /// A minimal `/dev`, whose only writable part is `/dev/shm` of that many bytes.
    Dev {
        /// Bytes of `/dev/shm`.
        shm: u64,
    },
}

/// What process 1 inside is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitSpec {
    /// The sandbox's id.
    pub sandbox: String,
    /// The first lease's epoch.
    pub epoch: i64,
    /// The first lease's length in milliseconds.
    pub ttl_ms: u64,
    /// Ports to forward from the start.
    pub forwards: Vec<Forward>,
    /// What it may keep on disk.
    pub disk: DiskSpec,
}

/// What a sandbox may keep on disk, for the shim's watch over it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSpec {
    /// Whether the file system of what it writes is its own, and ends where its space does.
    pub walled: bool,
    /// Bytes that it may write where there is no wall.
    pub bytes: Option<u64>,
    /// Files and directories that it may make where there is no wall.
    pub files: Option<u64>,
    /// When fewer bytes than these are free on the host's disk, an exec that goes on writing is ended.
    pub floor: u64,
}

/// What the launcher answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "launch", rename_all = "snake_case")]
pub enum Launched {
    /// The shim runs and listens on `dir/ctl/shim.sock`.
    Running {
        /// The bubblewrap process that waits for the shim.
        monitor: i32,
        /// The shim.
        shim: i32,
        /// Whether `dir/code` shows `base`.
        overlay: bool,
    },
    /// Nothing runs.
    Failed {
        /// Why.
        detail: String,
    },
}
