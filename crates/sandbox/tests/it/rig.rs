//! A provider in a data directory of its own, and short ways to use it.

use bytes::Bytes;
use domain::{ExecId, SandboxId};
use rand::Rng;
use sandbox::{
    Exec, ExecSpec, Finished, Lease, LocalConfig, LocalProvider, Provider, Record, Sandbox, SandboxSpec,
    local::LocalRecord,
};
use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough that a slow machine is not taken for a broken program.
pub const GENEROUS: Duration = Duration::from_mins(1);
pub const LEASE: Lease = Lease { epoch: 1, ttl: Duration::from_mins(5) };

pub struct Rig {
    pub data: Arc<TempDir>,
    pub provider: LocalProvider,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut LocalConfig)) -> Self {
        let data = tempfile::tempdir().unwrap();
        std::fs::set_permissions(data.path(), Permissions::from_mode(0o755)).unwrap();
        Self::at(Arc::new(data), change)
    }

    /// Another server on the same data directory, differently configured.
    pub fn beside(other: &Self, change: impl FnOnce(&mut LocalConfig)) -> Self {
        Self::at(other.data.clone(), change)
    }

    fn at(data: Arc<TempDir>, change: impl FnOnce(&mut LocalConfig)) -> Self {
        let mut config = LocalConfig::new(data.path());
        change(&mut config);
        let provider = LocalProvider::new(config).unwrap();
        Self { data, provider }
    }

    pub async fn sandbox(&self) -> Arc<dyn Sandbox> {
        self.create(|_| {}).await
    }

    pub async fn create(&self, change: impl FnOnce(&mut SandboxSpec)) -> Arc<dyn Sandbox> {
        let mut spec = SandboxSpec::new(new_id(), LEASE);
        change(&mut spec);
        self.provider.create(spec).await.unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // The lease would end what a failed test leaves behind, but only after minutes.
        let provider = self.provider.clone();
        let sweep = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(provider.sweep(&[]))
        };
        let swept = std::thread::spawn(sweep).join().unwrap();
        assert!(swept.is_ok() || std::thread::panicking(), "the sweep failed: {swept:?}");
    }
}

pub fn new_id() -> SandboxId {
    SandboxId(uuid::Builder::from_random_bytes(rand::rng().random()).into_uuid())
}

pub fn new_exec() -> ExecId {
    ExecId(new_id().0)
}

pub fn local(record: &Record) -> &LocalRecord {
    let Record::Local(local) = record else { panic!("a record of another kind") };
    local
}

pub fn sh(script: &str) -> ExecSpec {
    ExecSpec::new(new_exec(), ["/bin/bash", "-c", script])
}

pub async fn run(sandbox: &Arc<dyn Sandbox>, script: &str) -> Finished {
    sandbox.exec(sh(script)).await.unwrap().run_to_end(16 << 20).await.unwrap()
}

/// The standard output of a script that must succeed.
pub async fn say(sandbox: &Arc<dyn Sandbox>, script: &str) -> String {
    let done = run(sandbox, script).await;
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "`{script}` ended as {:?}: {stderr}", done.status);
    String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
}

/// Reads output until it contains `text`.
pub async fn await_output(exec: &mut Exec, text: &str) -> Vec<u8> {
    let mut seen = Vec::new();
    let read = async {
        while !seen.windows(text.len()).any(|window| window == text.as_bytes()) {
            let chunk = exec.next().await.unwrap();
            seen.extend_from_slice(&chunk.unwrap_or_else(|| panic!("it ended before it said `{text}`")).bytes);
        }
    };
    tokio::time::timeout(GENEROUS, read).await.unwrap_or_else(|_| panic!("`{text}` never came"));
    seen
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < GENEROUS, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Processes of this machine whose command line contains `mark`.
pub fn processes_with(mark: &str) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(mark.len()).any(|window| window == mark.as_bytes())
        })
        .collect()
}

/// A word that no other process has on its command line.
pub fn mark() -> String {
    format!("mark-{}", new_id())
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().symlink_metadata().is_ok()
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Where a sandbox's own files are on the host.
pub fn files(record: &LocalRecord) -> PathBuf {
    record.dir.join(if record.disk { "disk.img" } else { "code" })
}
