//! Sandboxes on this machine, by bubblewrap.
//!
//! The launcher (the shim binary as `shim launch`) does what needs another process: it joins control groups, mounts the
//! workspace, drops to the sandbox's uid and becomes bubblewrap. All the rest, from directories to doctor's report, is
//! done here. A record is written to `DATA/sandboxes/<id>.json` before anything of a sandbox exists, so that a sweep
//! finds whatever a crash leaves.

mod binary;
mod cgroup;
mod config;
mod disk;
mod handle;
mod holes;
mod launch;
mod layout;
mod probe;
mod process;
mod record;
mod remove;
mod socket;

pub use config::{Limit, Limits, LocalConfig, Requirement};
pub use record::{LocalRecord, Process};
pub use socket::listen_in;

use crate::{Error, Lease, Provider, Record, Report, Sandbox, SandboxSpec, Swept, client::Client};
use async_trait::async_trait;
use domain::SandboxId;
use handle::LocalSandbox;
use shim::proto::Request;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Mutex;

/// How long processes and groups may take to go once they are killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes sandboxes on this machine.
#[derive(Debug, Clone)]
pub struct LocalProvider {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: LocalConfig,
    shim: PathBuf,
    root: bool,
    /// Held while a uid is chosen and until its record is written.
    choosing: Mutex<()>,
    /// Held while a sandbox is removed, so that two who remove the same one do not trip over each other.
    removing: Mutex<()>,
}

impl LocalProvider {
    /// Checks the configuration, makes the directories of sandboxes and writes the shim into the data directory.
    pub fn new(config: LocalConfig) -> Result<Self, Error> {
        let root = rustix::process::geteuid().is_root();
        config.check(root)?;
        let dir = layout::sandboxes(&config.data_dir);
        // Sandboxes' uids pass through on their way to their own.
        layout::make_passage(&dir, 0o711).map_err(Error::io(format!("make {}", dir.display())))?;
        layout::check_reachable(&dir, *config.uids.start(), root)?;
        let shim = binary::install(&config.data_dir)?;
        Ok(Self {
            shared: Arc::new(Shared { config, shim, root, choosing: Mutex::default(), removing: Mutex::default() }),
        })
    }
}

#[async_trait]
impl Provider for LocalProvider {
    async fn probe(&self) -> Report {
        probe::probe(self).await
    }

    async fn limits(&self) -> Report {
        Report { checks: probe::limits(&self.shared, None).await }
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, Error> {
        let (record, continued) = launch::launch(&self.shared, &spec).await?;
        let connected = connect(&record, spec.lease).await;
        match connected {
            Ok(client) => Ok(Arc::new(LocalSandbox::new(record, client, self.shared.config.limits, continued))),
            Err(error) => {
                let _ = end(&record).await;
                Err(error)
            }
        }
    }

    async fn adopt(&self, record: &Record, lease: Lease) -> Result<Arc<dyn Sandbox>, Error> {
        let Record::Local(record) = record;
        let client = connect(record, lease).await?;
        Ok(Arc::new(LocalSandbox::new(record.clone(), client, self.shared.config.limits, true)))
    }

    async fn destroy(&self, record: &Record) -> Result<(), Error> {
        let Record::Local(record) = record;
        let _alone = self.shared.removing.lock().await;
        self.shared.end_all(record).await?;
        faultpoint::crash_point!("crash-sandbox-ended");
        let dir = record.dir.clone();
        blocking(move || remove::remove_tree(&dir).map_err(Error::io(format!("remove {}", dir.display())))).await?;
        faultpoint::crash_point!("crash-sandbox-removed");
        self.shared.forget(record.id)
    }

    async fn destroy_unrecorded(&self, id: SandboxId) -> Result<(), Error> {
        match self.shared.record(id) {
            Some(record) => self.destroy(&Record::Local(record)).await,
            None => Ok(()),
        }
    }

    async fn pause(&self, record: &Record) -> Result<(), Error> {
        let Record::Local(record) = record;
        self.shared.end_all(record).await
    }

    async fn sweep(&self, keep: &[SandboxId]) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        for record in self.shared.records()? {
            if !keep.contains(&record.id) {
                self.destroy(&Record::Local(record.clone())).await?;
                swept.removed.push(record.id);
            } else if !record.shim.is_some_and(Process::alive) {
                end(&record).await?;
                swept.dead.push(record.id);
            }
        }
        Ok(swept)
    }
}

impl Shared {
    fn record_file(&self, id: SandboxId) -> PathBuf {
        layout::sandboxes(&self.config.data_dir).join(format!("{id}.json"))
    }

    /// What was recorded of a sandbox.
    fn record(&self, id: SandboxId) -> Option<LocalRecord> {
        serde_json::from_slice(&fs::read(self.record_file(id)).ok()?).ok()
    }

    fn records(&self) -> Result<Vec<LocalRecord>, Error> {
        let dir = layout::sandboxes(&self.config.data_dir);
        let entries = fs::read_dir(&dir).map_err(Error::io(format!("list {}", dir.display())))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let ids = names.filter_map(|name| name.strip_suffix(".json")?.parse().ok());
        Ok(ids.filter_map(|id| self.record(id)).collect())
    }

    fn remember(&self, record: &LocalRecord) -> Result<(), Error> {
        let path = self.record_file(record.id);
        let fresh = path.with_extension("new");
        let text = serde_json::to_vec(record).map_err(std::io::Error::other);
        let written = text.and_then(|text| fs::write(&fresh, text)).and_then(|()| fs::rename(&fresh, &path));
        written.map_err(Error::io(format!("write {}", path.display())))
    }

    fn forget(&self, id: SandboxId) -> Result<(), Error> {
        let path = self.record_file(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}", path.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// Ends what a caller's record names and, since that may be from an earlier start of the sandbox, what was recorded
    /// here last.
    async fn end_all(&self, record: &LocalRecord) -> Result<(), Error> {
        self.check_own(record)?;
        end(record).await?;
        match self.record(record.id).filter(|last| last != record) {
            Some(last) => end(&last).await,
            None => Ok(()),
        }
    }

    /// A record comes back from a store: what it names is removed only where this provider would have made it.
    fn check_own(&self, record: &LocalRecord) -> Result<(), Error> {
        let dir = layout::sandboxes(&self.config.data_dir).join(record.id.to_string());
        if record.dir == dir {
            return Ok(());
        }
        Err(Error::Invalid(format!("{} is not the directory of sandbox {}", record.dir.display(), record.id)))
    }
}

/// Ends all processes of a sandbox and removes its groups.
async fn end(record: &LocalRecord) -> Result<(), Error> {
    if record.shim.is_none() {
        shut_down(record).await;
    }
    let record = record.clone();
    blocking(move || {
        let id = record.id.to_string();
        let mut groups = record.cgroups.clone();
        // A record that was tampered with must not name anybody else's group.
        groups.retain(|dir| dir.file_name().is_some_and(|name| name == id.as_str()));
        groups.extend(cgroup::Hierarchies::detect(rustix::process::geteuid().is_root()).of(&id));
        groups.sort();
        groups.dedup();
        let shim = record.shim.is_none_or(|shim| shim.kill(PATIENCE));
        // It ends by itself once the shim has; if it is stuck it can be killed without loss.
        let monitor = record.monitor.is_none_or(|monitor| monitor.await_end(PATIENCE / 10) || monitor.kill(PATIENCE));
        let groups = cgroup::remove(&groups, PATIENCE);
        if shim && monitor && groups {
            return Ok(());
        }
        let what = if groups { "processes" } else { "control groups" };
        Err(Error::Io {
            what: format!("end the {what} of sandbox {}", record.id),
            source: std::io::ErrorKind::TimedOut.into(),
        })
    })
    .await
}

/// Asks a shim whose number was not recorded to end: its server died between starting it and writing it down.
async fn shut_down(record: &LocalRecord) {
    let lease = Lease { epoch: i64::MAX, ttl: Duration::ZERO };
    if let Ok(client) = connect(record, lease).await {
        let _ = client.done(Request::Shutdown).await;
        let _ = tokio::time::timeout(PATIENCE, client.closed()).await;
    }
}

/// Connects to a sandbox's shim and takes it over under `lease`.
async fn connect(record: &LocalRecord, lease: Lease) -> Result<Arc<Client>, Error> {
    let control = record.dir.join("ctl");
    let gone = || Error::Gone { reason: why_ended(&control) };
    let stream = socket::connect_in(&control, "shim.sock").await.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => gone(),
        _ => Error::io("connect to the sandbox")(error),
    })?;
    let greeting = async {
        let (client, sandbox) = Client::connect(stream, lease.epoch).await?;
        if sandbox != record.id.to_string() {
            return Err(Error::Protocol(format!("it is sandbox {sandbox} instead of {}", record.id)));
        }
        client.renew(lease).await?;
        Ok(client)
    };
    match tokio::time::timeout(PATIENCE, greeting).await {
        // It ended between taking the connection and answering.
        Ok(Err(Error::Disconnected)) => Err(gone()),
        Ok(result) => result,
        Err(_) => Err(Error::Protocol("the shim does not answer".to_owned())),
    }
}

/// The note that a shim leaves when it ends on purpose.
fn why_ended(control: &Path) -> String {
    let note = fs::read_to_string(control.join("spool/ended")).ok().filter(|note| note.len() < 200);
    note.unwrap_or_else(|| "its processes have ended".to_owned())
}

/// Runs what waits for the machine aside.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::io("run a task")(std::io::Error::other(error)))?
}
