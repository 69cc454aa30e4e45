use crate::{Error, client::Client, client::Flow};
use bytes::Bytes;
use domain::ExecId;
use futures::Stream as Sequence;
use shim::{
    frame::MAX_BODY,
    proto::{Answer, Ended, ExitReason, ExitStatus, Reply, Request, Stdin, Stream},
};
use std::{ops::Deref, sync::Arc, time::Duration};

/// What to start. The program has a PID namespace of its own: when it ends, so does everything that it started.
#[derive(Debug, Clone)]
pub struct ExecSpec {
    /// Its id, from a `domain::Mint`. Starting the same id twice is refused ([`Error::Exists`]): attach instead.
    pub id: ExecId,
    /// Program and arguments; a program without `/` is looked up in the environment's PATH.
    pub argv: Vec<String>,
    /// Added to the sandbox's environment; wins over it.
    pub env: Vec<(String, String)>,
    /// Absolute directory inside.
    pub cwd: String,
    /// What it reads.
    pub stdin: Stdin,
    /// Killed after this long.
    pub time_limit: Option<Duration>,
    /// Killed when its output is longer than this many bytes (each switch between stdout and stderr counts 16).
    pub output_quota: u64,
    /// Whether `ptrace` works in it (debuggers, strace). It only reaches the exec's own processes.
    pub allow_ptrace: bool,
}

impl ExecSpec {
    /// A program in `/code` that reads nothing, without a time limit, with an output quota of 256 MiB.
    pub fn new(id: ExecId, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            id,
            argv: argv.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            cwd: "/code".to_owned(),
            stdin: Stdin::Null,
            time_limit: None,
            output_quota: 256 << 20,
            allow_ptrace: false,
        }
    }
}

/// A piece of output. The order within each of the two streams is exact; between them it is that of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The byte offset of its first byte, over both streams together. The next chunk's is `offset + bytes.len()`.
    pub offset: u64,
    /// Where it was written to.
    pub stream: Stream,
    /// At most 256 KiB, never empty.
    pub bytes: Bytes,
}

/// An exec as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecInfo {
    /// Its id.
    pub id: ExecId,
    /// How it ended; `None` while it runs.
    pub status: Option<ExitStatus>,
    /// Bytes of output so far.
    pub output: u64,
    /// The `seq` of the next [`ExecControl::write_stdin`].
    pub stdin_next: u64,
}

/// What became of a short exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Whether bytes over the limit were dropped.
    pub truncated: bool,
    /// Limits of its sandbox that were reached.
    pub reached: Reached,
}

/// Limits of the whole sandbox that were reached while an exec ran, as far as the machine tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// A process was killed for lack of memory.
    pub memory: bool,
    /// As many processes ran as may, for the first time in the sandbox's life.
    pub processes: bool,
    /// Its disk space was used up.
    pub disk: bool,
}

impl Reached {
    /// What was reached, such as `memory and disk`; `None` when nothing was.
    pub fn words(self) -> Option<String> {
        let all = [(self.memory, "memory"), (self.processes, "processes"), (self.disk, "disk")];
        let reached: Vec<_> = all.into_iter().filter_map(|(reached, word)| reached.then_some(word)).collect();
        (!reached.is_empty()).then(|| reached.join(" and "))
    }
}

/// Reads what the machine counts about a sandbox.
pub(crate) trait Gauge: std::fmt::Debug + Send + Sync {
    /// What was reached since this was made, besides disk space.
    fn read(&self) -> Reached;
}

/// An exec whose output is followed. Dropping it stops the following, not the exec.
#[derive(Debug)]
pub struct Exec {
    control: ExecControl,
    flow: Flow,
    next: u64,
    ended: Option<ExitStatus>,
}

impl Deref for Exec {
    type Target = ExecControl;

    fn deref(&self) -> &ExecControl {
        &self.control
    }
}

impl Exec {
    /// A handle that steers the exec without following it; may be cloned and kept elsewhere.
    pub fn control(&self) -> ExecControl {
        self.control.clone()
    }

    /// The next piece of output; `None` when the exec has ended and all of its output was seen. Reading slowly holds up
    /// nothing but this stream. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        if self.ended.is_some() {
            return Ok(None);
        }
        match self.flow.next().await? {
            (Answer::Output { offset, from, .. }, body) => {
                if offset != self.next || body.is_empty() {
                    return Err(Error::Protocol(format!("output at {offset} instead of {}", self.next)));
                }
                self.next += body.len() as u64;
                Ok(Some(Chunk { offset, stream: from, bytes: body }))
            }
            (Answer::End { result: Ok(Ended::Output { total, status }), .. }, _) if total == self.next => {
                self.ended = Some(status);
                Ok(None)
            }
            (Answer::End { result: Err(refusal), .. }, _) => Err(self.control.client.refused(refusal)),
            (other, _) => Err(Error::Protocol(format!("unexpected {other:?} in the output"))),
        }
    }

    /// The rest of the output as a stream that ends after the first error.
    pub fn output(&mut self) -> impl Sequence<Item = Result<Chunk, Error>> + Send + '_ {
        futures::stream::unfold(Some(self), |exec| async move {
            let exec = exec?;
            match exec.next().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(exec))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// The byte offset after what was read: where another [`attach`](crate::Sandbox::attach) continues.
    pub fn offset(&self) -> u64 {
        self.next
    }

    /// Reads to the end, keeping at most `limit` bytes of both streams together.
    pub async fn run_to_end(mut self, limit: usize) -> Result<Finished, Error> {
        let (mut stdout, mut stderr, mut truncated) = (Vec::new(), Vec::new(), false);
        while let Some(chunk) = self.next().await? {
            let room = limit - stdout.len() - stderr.len();
            let keep = chunk.bytes.len().min(room);
            truncated |= keep < chunk.bytes.len();
            let kept = &chunk.bytes[..keep];
            match chunk.stream {
                Stream::Stdout => stdout.extend_from_slice(kept),
                Stream::Stderr => stderr.extend_from_slice(kept),
            }
        }
        let status = match self.ended {
            Some(status) => status,
            None => self.control.wait().await?,
        };
        let reached = self.control.reached(&status);
        Ok(Finished { status, stdout, stderr, truncated, reached })
    }

    pub(crate) fn new(control: ExecControl, flow: Flow, from: u64) -> Self {
        Self { control, flow, next: from, ended: None }
    }
}

/// Steers an exec.
#[derive(Debug, Clone)]
pub struct ExecControl {
    pub(crate) id: ExecId,
    pub(crate) client: Arc<Client>,
    pub(crate) stdin_next: u64,
    pub(crate) gauge: Arc<dyn Gauge>,
}

impl ExecControl {
    /// Its id.
    pub fn id(&self) -> ExecId {
        self.id
    }

    /// The `seq` that the exec expected next when this handle was made: 0 for a new one.
    pub fn stdin_next(&self) -> u64 {
        self.stdin_next
    }

    /// Sends input; resolves with the next `seq` when the shim has it. Numbers count up from 0 without gaps; one that
    /// the shim has already taken in is acknowledged and dropped, so a journal can be replayed from any number.
    /// `bytes` is at most 256 KiB. Waits while the exec does not read.
    pub async fn write_stdin(&self, seq: u64, bytes: Bytes) -> Result<u64, Error> {
        if bytes.len() > MAX_BODY {
            return Err(Error::TooLarge { what: "a piece of input".to_owned(), limit: MAX_BODY as u64 });
        }
        let request = Request::Stdin { exec: self.id.to_string(), seq };
        let mut pause = Duration::from_millis(2);
        loop {
            match self.client.call(request.clone(), bytes.clone()).await {
                Ok(Reply::Stdin { next }) => return Ok(next),
                Ok(other) => return Err(Error::Protocol(format!("unexpected {other:?} to input"))),
                Err(Error::Busy) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes its input after what was sent.
    pub async fn close_stdin(&self) -> Result<(), Error> {
        self.client.done(Request::CloseStdin { exec: self.id.to_string() }).await
    }

    /// Sends a signal (Linux number) to the program's process group. Not an error when it has ended.
    pub async fn signal(&self, signal: i32) -> Result<(), Error> {
        self.client.done(Request::Signal { exec: self.id.to_string(), signal }).await
    }

    /// Kills it with everything in it. Not an error when it has ended.
    pub async fn kill(&self) -> Result<(), Error> {
        self.client.done(Request::Kill { exec: self.id.to_string() }).await
    }

    /// Limits of its sandbox that were reached since this handle's exec was started or attached to; `status` is how it
    /// ended.
    pub fn reached(&self, status: &ExitStatus) -> Reached {
        let disk = status.disk_full || matches!(status.reason, ExitReason::DiskQuota | ExitReason::HostDiskFull);
        Reached { disk, ..self.gauge.read() }
    }

    /// Resolves when it has ended.
    pub async fn wait(&self) -> Result<ExitStatus, Error> {
        match self.client.call(Request::Wait { exec: self.id.to_string() }, Bytes::new()).await? {
            Reply::Exited { status } => Ok(status),
            other => Err(Error::Protocol(format!("unexpected {other:?} to a wait"))),
        }
    }
}
