use crate::{Error, Exec, ExecInfo, ExecSpec, Report};
use async_trait::async_trait;
use bytes::Bytes;
use domain::{ExecId, SandboxId};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, pin::Pin, sync::Arc, time::Duration};
use tokio::io::AsyncRead;

/// A stream of bytes, such as a tar.
pub type ByteReader = Pin<Box<dyn AsyncRead + Send>>;

/// Makes sandboxes of one kind.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it can do on this machine. Looks afresh at each call.
    async fn probe(&self) -> Report;

    /// The part of [`Provider::probe`] that tells whether the configured limits hold for a sandbox as a whole. Starts
    /// nothing.
    async fn limits(&self) -> Report;

    /// Makes a sandbox and starts its shim. Nothing is left behind on failure but a directory that `sweep` removes.
    ///
    /// If the sandbox's directory exists already (its shim ended, its workspace was kept) it is started on that
    /// workspace again.
    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, Error>;

    /// Connects to a sandbox that another server (or an earlier life of this one) made, under a lease that is not
    /// older than the sandbox's. [`Error::Gone`] when it has ended, [`Error::StaleEpoch`] when somebody else has it.
    async fn adopt(&self, record: &Record, lease: Lease) -> Result<Arc<dyn Sandbox>, Error>;

    /// Ends the sandbox, with everything of it: processes, groups, mounts, files. May be repeated.
    async fn destroy(&self, record: &Record) -> Result<(), Error>;

    /// Ends whatever there is of the sandbox with this id, of which the caller has no record since its making was cut
    /// short. Nothing when there is none. May be repeated.
    async fn destroy_unrecorded(&self, id: SandboxId) -> Result<(), Error>;

    /// Ends the sandbox's processes and keeps its workspace, so that `create` with the same id continues on it. May be
    /// repeated.
    async fn pause(&self, record: &Record) -> Result<(), Error>;

    /// Removes what is left of sandboxes of this machine: of all those whose id is not in `keep` everything, and of
    /// those in `keep` that are dead the groups and stray processes (the workspace stays).
    async fn sweep(&self, keep: &[SandboxId]) -> Result<Swept, Error>;
}

/// A sandbox with a connection to its shim. Dropping it leaves the sandbox alone.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// What [`Provider::adopt`] and [`Provider::destroy`] need. Keep it in the store.
    fn record(&self) -> &Record;

    /// How `/code` came to be.
    fn workspace(&self) -> Workspace;

    /// Whether it goes on with a workspace that was there before this start of it; an adopted one does.
    fn continued(&self) -> bool;

    /// The host directory that is `/run/egress` inside: listen there on `NAME.sock` (see `listen_in`), before or after
    /// the sandbox starts, and again after a restart.
    fn egress_dir(&self) -> PathBuf;

    /// Starts a process tree; output flows from offset 0.
    async fn exec(&self, spec: ExecSpec) -> Result<Exec, Error>;

    /// Follows an exec's output from a byte offset (0 = from the start), running or finished.
    async fn attach(&self, exec: ExecId, from: u64) -> Result<Exec, Error>;

    /// All execs that were not forgotten.
    async fn list(&self) -> Result<Vec<ExecInfo>, Error>;

    /// Drops a finished exec's status and output.
    async fn forget(&self, exec: ExecId) -> Result<(), Error>;

    /// Kills every exec; statuses and output stay.
    async fn kill_all(&self) -> Result<(), Error>;

    /// Moves the deadline to `ttl` from now on the shim's own clock. [`Error::StaleEpoch`] when a newer epoch was seen.
    async fn renew(&self, lease: Lease) -> Result<(), Error>;

    /// Unpacks a tar below `path` (absolute; below `/code`, `/home/agent` or `/tmp`). Existing files are replaced.
    /// Refused as a whole entry by entry: devices, hard links, absolute or climbing names, links that leave `path`.
    async fn put_archive(&self, path: &str, tar: ByteReader) -> Result<(), Error>;

    /// A tar of the file or directory `path`, at most `limit` bytes of tar. Names are relative to `path` (a single file
    /// has its own name). Nothing in it can be trusted except that it is no longer than `limit`.
    async fn get_archive(&self, path: &str, limit: u64) -> Result<ByteReader, Error>;

    /// Writes one file, making its parents. `mode` as in `0o644`.
    async fn write_file(&self, path: &str, bytes: Bytes, mode: u32) -> Result<(), Error>;

    /// Reads one regular file of at most `limit` bytes.
    async fn read_file(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error>;

    /// Makes connections to `127.0.0.1:port` inside go to the socket `socket` in the egress directory.
    async fn forward(&self, port: u16, socket: &str) -> Result<(), Error>;

    /// Whether any process of the sandbox was killed for memory, as far as the machine tells: how often so far.
    async fn oom_kills(&self) -> Option<u64>;

    /// Resolves when the connection is lost.
    async fn closed(&self);
}

/// The right to drive a sandbox: until `ttl` from when the shim hears of it, under `epoch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Rises with every owner; the shim refuses lower ones than it has seen.
    pub epoch: i64,
    /// How long the sandbox lives without being renewed.
    pub ttl: Duration,
}

/// What a sandbox is made of.
#[derive(Debug, Clone)]
pub struct SandboxSpec {
    /// Its id, from a `domain::Mint`.
    pub id: SandboxId,
    /// The uid to use if the server is root and it is free; else one is chosen. It is in the record afterwards.
    pub uid: Option<u32>,
    /// Bare repository, mounted read-only at `/mirror`. What its alternates name is mounted too, at the same path.
    pub mirror: Option<PathBuf>,
    /// A checked-out tree that `/code` starts as, shared read-only with other sandboxes. Without it, or where no
    /// overlay can be mounted ([`Workspace::Plain`]), `/code` starts empty.
    pub base: Option<PathBuf>,
    /// The host directory for `/run/egress`; `None`: one inside the sandbox's own directory.
    pub egress_dir: Option<PathBuf>,
    /// Loopback ports to forward from the start: (port, socket name in the egress directory).
    pub forwards: Vec<(u16, String)>,
    /// Further read-only mounts, besides those of the provider's configuration.
    pub mounts: Vec<Mount>,
    /// Environment that every exec starts from (over PATH, HOME, USER, LANG, TMPDIR).
    pub env: Vec<(String, String)>,
    /// The first lease.
    pub lease: Lease,
}

impl SandboxSpec {
    /// A bare sandbox with an empty `/code`.
    pub fn new(id: SandboxId, lease: Lease) -> Self {
        Self {
            id,
            uid: None,
            mirror: None,
            base: None,
            egress_dir: None,
            forwards: Vec::new(),
            mounts: Vec::new(),
            env: Vec::new(),
            lease,
        }
    }
}

/// A read-only mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// A file or directory of this machine.
    pub host: PathBuf,
    /// Where it appears; absolute, and not below `/code`, `/home/agent`, `/tmp`, `/proc`, `/dev`.
    pub inside: PathBuf,
}

/// How `/code` came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Workspace {
    /// It shows the base checkout, changes go to a layer of its own.
    Overlay,
    /// It started as an empty directory.
    Plain,
}

/// Everything that is needed to find a sandbox again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Record {
    /// On this machine.
    Local(crate::local::LocalRecord),
}

/// What a sweep removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sandboxes that were removed whole.
    pub removed: Vec<SandboxId>,
    /// Kept sandboxes whose shim is dead.
    pub dead: Vec<SandboxId>,
}
