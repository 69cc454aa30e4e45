//! Sandboxes as their shims are: they obey the newest epoch that they have seen, end by their own clock when nobody renews
//! them, and go on without their server until then. In each runs at most one agent, which is a piece of time.

use super::{
    Flaw,
    history::{Fact, History},
    node::Node,
};
use async_trait::async_trait;
use bytes::Bytes;
use domain::{ExecId, HostId, RunId, SandboxId, SessionId};
use parking_lot::Mutex;
use sandbox::{
    ByteReader, Error, Exec, ExecInfo, ExecSpec, Lease, Provider, Record, Report, Sandbox, SandboxSpec, Swept,
    Workspace,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::time::Instant;

/// All sandboxes of all hosts.
pub struct House {
    history: Arc<History>,
    flaw: Option<Flaw>,
    inside: Mutex<BTreeMap<SandboxId, Inside>>,
}

struct Inside {
    host: HostId,
    epoch: i64,
    deadline: Instant,
    agent: Option<Agent>,
}

/// A process that needs a while and then has done its work.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    /// Its exec.
    pub exec: ExecId,
    /// Whose.
    pub session: SessionId,

    done_at: Instant,
}

/// How an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// At work.
    Working,
    /// Its work is there.
    Done,
    /// There is no such agent, or not any more.
    Gone,
}

impl House {
    pub fn new(history: Arc<History>, flaw: Option<Flaw>) -> Self {
        Self { history, flaw, inside: Mutex::default() }
    }

    /// Ends what nobody renewed.
    fn tick(&self, inside: &mut BTreeMap<SandboxId, Inside>) {
        let now = Instant::now();
        for sandbox in inside.values_mut().filter(|sandbox| sandbox.deadline <= now) {
            if self.flaw != Some(Flaw::SandboxOutlivesLease) {
                self.end(sandbox);
            }
        }
    }

    fn end(&self, sandbox: &mut Inside) {
        let Some(agent) = sandbox.agent.take() else { return };
        // Nobody may have looked since its time was over.
        let deadline = if self.flaw == Some(Flaw::SandboxOutlivesLease) { agent.done_at } else { sandbox.deadline };
        let at = agent.done_at.min(deadline).min(Instant::now());
        self.history.add(Fact::AgentEnded { session: agent.session, exec: agent.exec, at: self.history.at(at) });
    }

    fn alive(&self, sandbox: &Inside) -> bool {
        sandbox.deadline > Instant::now() || self.flaw == Some(Flaw::SandboxOutlivesLease)
    }

    fn with<T>(&self, id: SandboxId, lease: Option<Lease>, work: impl FnOnce(&mut Inside) -> T) -> Result<T, Error> {
        let mut inside = self.inside.lock();
        self.tick(&mut inside);
        let gone = || Error::Gone { reason: "its time was over".to_owned() };
        let sandbox = inside.get_mut(&id).filter(|sandbox| self.alive(sandbox)).ok_or_else(gone)?;
        if let Some(lease) = lease {
            if lease.epoch < sandbox.epoch && self.flaw != Some(Flaw::FenceIgnored) {
                return Err(Error::StaleEpoch { ours: lease.epoch, current: sandbox.epoch });
            }
            sandbox.epoch = lease.epoch;
            sandbox.deadline = Instant::now() + lease.ttl;
        }
        Ok(work(sandbox))
    }

    /// Starts an agent; false when the sandbox has seen a newer epoch or is gone.
    pub fn start(&self, id: SandboxId, epoch: i64, agent: (ExecId, SessionId, RunId), work: Duration) -> bool {
        let (exec, session, run) = agent;
        let started = self.with(id, None, |sandbox| {
            if epoch < sandbox.epoch && self.flaw != Some(Flaw::FenceIgnored) {
                return false;
            }
            if let Some(other) = &sandbox.agent
                && other.done_at > Instant::now()
            {
                self.history.add(Fact::AgentDoubled { session, first: other.exec, second: exec });
            }
            self.end(sandbox);
            sandbox.agent = Some(Agent { exec, session, done_at: Instant::now() + work });
            self.history.add(Fact::AgentStarted { session, run, exec, epoch });
            true
        });
        started.unwrap_or(false)
    }

    /// How an agent is now.
    pub fn progress(&self, id: SandboxId, exec: ExecId) -> Progress {
        let asked = self.with(id, None, |sandbox| match &sandbox.agent {
            Some(agent) if agent.exec == exec && agent.done_at <= Instant::now() => Progress::Done,
            Some(agent) if agent.exec == exec => Progress::Working,
            _ => Progress::Gone,
        });
        asked.unwrap_or(Progress::Gone)
    }

    /// Writes down when the rest ended.
    pub fn end_all(&self) {
        self.inside.lock().values_mut().for_each(|sandbox| self.end(sandbox));
    }

    fn kill(&self, id: SandboxId) {
        let mut inside = self.inside.lock();
        self.tick(&mut inside);
        if let Some(sandbox) = inside.get_mut(&id) {
            self.end(sandbox);
        }
    }
}

/// The sandboxes of one host, as one life of a server on it reaches them.
pub struct Host {
    pub house: Arc<House>,
    pub host: HostId,
    pub node: Arc<Node>,
}

impl Host {
    async fn outside<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.node.outside(async { work() }).await.map_err(|_| Error::Disconnected)?
    }

    fn handle(&self, id: SandboxId, continued: bool) -> Arc<dyn Sandbox> {
        let (house, host, node) = (self.house.clone(), self.host, self.node.clone());
        Arc::new(Handle { record: record_of(id), host: Host { house, host, node }, id, continued })
    }
}

/// What a local sandbox's record looks like.
fn record_of(id: SandboxId) -> Record {
    let fields = serde_json::json!({
        "kind": "local", "id": id, "uid": 0, "dir": "/nonexistent", "egress_dir": "/nonexistent", "workspace": "plain",
        "env": [], "cgroups": [], "memory_held": false, "shim": null, "monitor": null,
    });
    serde_json::from_value(fields).expect("the fields of a record")
}

/// Which sandbox a record is of.
pub fn id_of(record: &Record) -> SandboxId {
    let Record::Local(local) = record else { unreachable!("there is no other kind") };
    local.id
}

#[async_trait]
impl Provider for Host {
    async fn probe(&self) -> Report {
        Report { checks: Vec::new() }
    }

    async fn limits(&self) -> Report {
        Report { checks: Vec::new() }
    }

    async fn create(&self, spec: SandboxSpec) -> Result<Arc<dyn Sandbox>, Error> {
        self.outside(|| {
            let mut inside = self.house.inside.lock();
            self.house.tick(&mut inside);
            if inside.get(&spec.id).is_some_and(|sandbox| self.house.alive(sandbox)) {
                return Err(Error::Invalid(format!("sandbox {} runs already: adopt it", spec.id)));
            }
            let (epoch, deadline) = (spec.lease.epoch, Instant::now() + spec.lease.ttl);
            let before = inside.insert(spec.id, Inside { host: self.host, epoch, deadline, agent: None });
            Ok(self.handle(spec.id, before.is_some()))
        })
        .await
    }

    async fn adopt(&self, record: &Record, lease: Lease) -> Result<Arc<dyn Sandbox>, Error> {
        let id = id_of(record);
        self.outside(|| {
            let host = self.house.with(id, Some(lease), |sandbox| sandbox.host)?;
            assert_eq!(host, self.host, "a sandbox of another machine cannot be adopted");
            Ok(self.handle(id, true))
        })
        .await
    }

    async fn destroy(&self, record: &Record) -> Result<(), Error> {
        self.destroy_unrecorded(id_of(record)).await
    }

    async fn destroy_unrecorded(&self, id: SandboxId) -> Result<(), Error> {
        self.outside(|| {
            self.house.kill(id);
            self.house.inside.lock().remove(&id);
            Ok(())
        })
        .await
    }

    async fn pause(&self, record: &Record) -> Result<(), Error> {
        self.outside(|| {
            self.house.kill(id_of(record));
            Ok(())
        })
        .await
    }

    async fn sweep(&self, _keep: &[SandboxId]) -> Result<Swept, Error> {
        Ok(Swept::default())
    }
}

struct Handle {
    record: Record,
    host: Host,
    id: SandboxId,
    continued: bool,
}

fn unused<T>() -> Result<T, Error> {
    Err(Error::Invalid("a simulated sandbox has agents and nothing else".to_owned()))
}

#[async_trait]
impl Sandbox for Handle {
    fn record(&self) -> &Record {
        &self.record
    }

    fn workspace(&self) -> Workspace {
        Workspace::Plain
    }

    fn continued(&self) -> bool {
        self.continued
    }

    fn egress_dir(&self) -> PathBuf {
        PathBuf::from("/nonexistent")
    }

    async fn exec(&self, _spec: ExecSpec) -> Result<Exec, Error> {
        unused()
    }

    async fn attach(&self, _exec: ExecId, _from: u64) -> Result<Exec, Error> {
        unused()
    }

    async fn list(&self) -> Result<Vec<ExecInfo>, Error> {
        let info = |sandbox: &mut Inside| {
            let agent = sandbox.agent.as_ref().filter(|agent| agent.done_at > Instant::now());
            agent.map(|agent| ExecInfo { id: agent.exec, status: None, output: 0, stdin_next: 1 }).into_iter().collect()
        };
        self.host.outside(|| self.host.house.with(self.id, None, info)).await
    }

    async fn forget(&self, _exec: ExecId) -> Result<(), Error> {
        Ok(())
    }

    async fn kill_all(&self) -> Result<(), Error> {
        self.host
            .outside(|| {
                self.host.house.kill(self.id);
                Ok(())
            })
            .await
    }

    async fn renew(&self, lease: Lease) -> Result<(), Error> {
        self.host.outside(|| self.host.house.with(self.id, Some(lease), |_| ())).await
    }

    async fn put_archive(&self, _path: &str, _tar: ByteReader) -> Result<(), Error> {
        unused()
    }

    async fn get_archive(&self, _path: &str, _limit: u64) -> Result<ByteReader, Error> {
        unused()
    }

    async fn write_file(&self, _path: &str, _bytes: Bytes, _mode: u32) -> Result<(), Error> {
        unused()
    }

    async fn read_file(&self, _path: &str, _limit: u64) -> Result<Vec<u8>, Error> {
        unused()
    }

    async fn forward(&self, _port: u16, _socket: &str) -> Result<(), Error> {
        unused()
    }

    async fn oom_kills(&self) -> Option<u64> {
        None
    }

    async fn closed(&self) {
        std::future::pending().await
    }
}
