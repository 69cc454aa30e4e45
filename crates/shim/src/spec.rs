//! What the launcher is told, as JSON on its standard input, and what it answers on its standard output.

use crate::proto::Forward;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A sandbox to start.
///
/// The caller has made `dir` with the directories `code`, `home`, `ctl` and `ctl/spool` (and `upper` and `work` where
/// `base` is given), owned by the sandbox's uid.
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
    /// The bubblewrap program.
    pub bwrap: PathBuf,
    /// The operations that build the root, in order.
    pub mounts: Vec<MountOp>,
    /// For process 1 inside.
    pub init: InitSpec,
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
