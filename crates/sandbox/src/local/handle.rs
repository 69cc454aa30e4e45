//! A sandbox that is connected.

use super::{Limits, cgroup, layout, record::LocalRecord};
use crate::{
    ByteReader, Error, Exec, ExecControl, ExecInfo, ExecSpec, Lease, Record, Sandbox, Workspace,
    client::{Client, Flow, WINDOW},
    exec::{Gauge, Reached},
};
use async_trait::async_trait;
use bytes::Bytes;
use domain::ExecId;
use shim::{
    frame::MAX_BODY,
    proto::{Answer, Ended, ExecRequest, Forward, Reply, Request},
};
use std::{
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::io::{AsyncReadExt, BufReader};
use tokio_util::io::StreamReader;

/// What a tar adds to one file: headers, a long name, padding, the end.
const TAR_OVERHEAD: u64 = 16 << 10;

#[derive(Debug)]
pub(super) struct LocalSandbox {
    record: Record,
    local: LocalRecord,
    client: Arc<Client>,
    limits: Limits,
    continued: bool,
}

impl LocalSandbox {
    pub(super) fn new(local: LocalRecord, client: Arc<Client>, limits: Limits, continued: bool) -> Self {
        Self { record: Record::Local(local.clone()), local, client, limits, continued }
    }

    fn gauge(&self) -> Arc<GroupGauge> {
        let groups = self.local.cgroups.clone();
        let processes = self.limits.pids.map(|limit| limit.value);
        Arc::new(GroupGauge { before: cgroup::counts(&groups), groups, processes })
    }

    async fn follow(&self, id: ExecId, from: u64, gauge: Arc<GroupGauge>) -> Result<Exec, Error> {
        let request = Request::Attach { exec: id.to_string(), from, window: WINDOW };
        match self.client.open(request).await? {
            (Reply::Attached { stdin_next }, flow) => {
                let control = ExecControl { id, client: self.client.clone(), stdin_next, gauge };
                Ok(Exec::new(control, flow, from))
            }
            (other, _) => Err(Error::Protocol(format!("unexpected {other:?} to an attach"))),
        }
    }
}

/// What a sandbox's control groups have counted since an exec started.
#[derive(Debug)]
struct GroupGauge {
    groups: Vec<PathBuf>,
    before: cgroup::Counts,
    processes: Option<u64>,
}

impl Gauge for GroupGauge {
    fn read(&self) -> Reached {
        let now = cgroup::counts(&self.groups);
        Reached {
            memory: now.ran_out_of_memory(self.before),
            processes: self.processes.is_some_and(|limit| now.ran_out_of_processes(self.before, limit)),
            disk: false,
        }
    }
}

#[async_trait]
impl Sandbox for LocalSandbox {
    fn record(&self) -> &Record {
        &self.record
    }

    fn workspace(&self) -> Workspace {
        self.local.workspace
    }

    fn continued(&self) -> bool {
        self.continued
    }

    fn egress_dir(&self) -> PathBuf {
        self.local.egress_dir.clone()
    }

    async fn exec(&self, spec: ExecSpec) -> Result<Exec, Error> {
        let memory = self.limits.memory.filter(|_| !self.local.memory_held);
        let request = ExecRequest {
            exec: spec.id.to_string(),
            argv: spec.argv,
            env: layout::merge(self.local.env.clone(), &spec.env),
            cwd: spec.cwd,
            stdin: spec.stdin,
            time_limit_ms: spec.time_limit.map(milliseconds),
            output_quota: spec.output_quota,
            processes: self.limits.pids.map(|limit| limit.value),
            process_memory: memory.map(|limit| limit.value),
            allow_ptrace: spec.allow_ptrace,
        };
        let gauge = self.gauge();
        self.client.done(Request::Exec(request)).await?;
        self.follow(spec.id, 0, gauge).await
    }

    async fn attach(&self, exec: ExecId, from: u64) -> Result<Exec, Error> {
        self.follow(exec, from, self.gauge()).await
    }

    async fn list(&self) -> Result<Vec<ExecInfo>, Error> {
        let Reply::Execs { execs } = self.client.call(Request::List, Bytes::new()).await? else {
            return Err(Error::Protocol("no list came".to_owned()));
        };
        let info = |raw: shim::proto::ExecInfo| {
            let id = raw.exec.parse().map_err(|_| Error::Protocol(format!("`{}` is no exec", raw.exec)))?;
            Ok(ExecInfo { id, status: raw.status, output: raw.output, stdin_next: raw.stdin_next })
        };
        execs.into_iter().map(info).collect()
    }

    async fn forget(&self, exec: ExecId) -> Result<(), Error> {
        self.client.done(Request::Forget { exec: exec.to_string() }).await
    }

    async fn kill_all(&self) -> Result<(), Error> {
        self.client.done(Request::KillAll).await
    }

    async fn renew(&self, lease: Lease) -> Result<(), Error> {
        self.client.renew(lease).await
    }

    async fn put_archive(&self, path: &str, mut tar: ByteReader) -> Result<(), Error> {
        let (stream, mut reply) =
            self.client.begin(Request::PutArchive { path: path.to_owned() }, Bytes::new()).await?;
        // However this ends, the shim is told not to wait for more.
        let _upload = Upload { client: &self.client, stream };
        let mut buffer = vec![0; MAX_BODY];
        let send = async {
            loop {
                let length = tar.read(&mut buffer).await.map_err(Error::io("read the archive"))?;
                if length == 0 {
                    return Ok::<(), Error>(());
                }
                let part = Bytes::copy_from_slice(&buffer[..length]);
                self.client.tell(Request::Data { stream, last: false }, part).await?;
            }
        };
        let early = tokio::select! {
            biased;
            early = &mut reply => Some(early.map_err(|_| Error::Disconnected)?),
            sent = send => { sent?; None }
        };
        let outcome = if let Some(outcome) = early {
            outcome.map_err(|refusal| self.client.refused(refusal))?
        } else {
            self.client.tell(Request::Data { stream, last: true }, Bytes::new()).await?;
            self.client.finish(reply).await?
        };
        match outcome {
            Reply::Done => Ok(()),
            other => Err(Error::Protocol(format!("unexpected {other:?} to an archive"))),
        }
    }

    async fn get_archive(&self, path: &str, limit: u64) -> Result<ByteReader, Error> {
        let request = Request::GetArchive { path: path.to_owned(), limit, window: WINDOW };
        let (_, mut flow) = self.client.open(request).await?;
        // The first part tells whether there is anything at all.
        let first = part(&mut flow, &self.client).await?;
        let client = self.client.clone();
        let rest = futures::stream::unfold(Some((first, flow, client, 0)), move |state| async move {
            let (part_now, mut flow, client, taken) = state?;
            let bytes = part_now?;
            let taken = taken + bytes.len() as u64;
            if taken > limit {
                return Some((Err(io::Error::other("the archive is longer than was asked for")), None));
            }
            match part(&mut flow, &client).await {
                Ok(next) => Some((Ok(bytes), Some((next, flow, client, taken)))),
                Err(error) => Some((Err(io::Error::other(error)), None)),
            }
        });
        Ok(Box::pin(StreamReader::new(Box::pin(rest))))
    }

    async fn write_file(&self, path: &str, bytes: Bytes, mode: u32) -> Result<(), Error> {
        let (dir, name) = path.rsplit_once('/').ok_or_else(|| Error::Invalid(format!("`{path}` is not absolute")))?;
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        let mut builder = tar::Builder::new(Vec::with_capacity(bytes.len() + 2048));
        let built = builder.append_data(&mut header, name, &bytes[..]).and_then(|()| builder.into_inner());
        let tar = built.map_err(|error| Error::Invalid(format!("`{path}`: {error}")))?;
        self.put_archive(dir, Box::pin(io::Cursor::new(tar))).await
    }

    async fn read_file(&self, path: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let too_large = || Error::TooLarge { what: format!("`{path}`"), limit };
        let bound = limit.saturating_add(TAR_OVERHEAD);
        let mut reader = match self.get_archive(path, bound).await {
            Err(Error::TooLarge { .. }) => return Err(too_large()),
            other => BufReader::new(other?),
        };
        let mut bytes = Vec::new();
        if let Err(error) = reader.read_to_end(&mut bytes).await {
            return Err(match error.downcast::<Error>() {
                Ok(Error::TooLarge { .. }) => too_large(),
                Ok(error) => error,
                Err(error) => Error::io("read from the sandbox")(error),
            });
        }
        let malformed = |error: io::Error| Error::Protocol(format!("`{path}` came as {error}"));
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entries = archive.entries().map_err(malformed)?;
        let Some(entry) = entries.next() else { return Err(Error::NotFound(path.to_owned())) };
        let mut entry = entry.map_err(malformed)?;
        let name = path.rsplit('/').next().unwrap_or_default();
        if !entry.header().entry_type().is_file() || entry.path_bytes() != name.as_bytes() {
            return Err(Error::Refused(format!("`{path}` is not a file")));
        }
        if entry.size() > limit {
            return Err(too_large());
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(malformed)?;
        Ok(content)
    }

    async fn forward(&self, port: u16, socket: &str) -> Result<(), Error> {
        self.client.done(Request::Forward(Forward { port, socket: socket.to_owned() })).await
    }

    async fn oom_kills(&self) -> Option<u64> {
        cgroup::oom_kills(&self.local.cgroups)
    }

    async fn closed(&self) {
        self.client.closed().await;
    }
}

struct Upload<'a> {
    client: &'a Client,
    stream: u64,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.client.send_later(Request::Data { stream: self.stream, last: true });
    }
}

/// The next part of an archive; `None` at its end.
async fn part(flow: &mut Flow, client: &Client) -> Result<Option<Bytes>, Error> {
    match flow.next().await? {
        (Answer::Data { .. }, body) => Ok(Some(body)),
        (Answer::End { result: Ok(Ended::Archive), .. }, _) => Ok(None),
        (Answer::End { result: Err(refusal), .. }, _) => Err(client.refused(refusal)),
        (other, _) => Err(Error::Protocol(format!("unexpected {other:?} in an archive"))),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
