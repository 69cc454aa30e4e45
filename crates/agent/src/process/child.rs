use super::{Broken, Chunk, Exit, Process, Stream};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::Shared, stream::BoxStream};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    ffi::OsStr,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStdin, Command},
    sync::{Mutex as AsyncMutex, mpsc, oneshot},
};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// An agent as a plain child of this process, in a process group of its own: for tests and for `doctor`.
///
/// It is no sandbox. What the agent starts in sessions of their own outlives it.
#[derive(Debug)]
pub struct Child {
    output: Option<UnboundedReceiverStream<Chunk>>,
    stdin: AsyncMutex<Input>,
    group: Pid,
    exit: Shared<oneshot::Receiver<Exit>>,
    reaped: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Input {
    pipe: Option<ChildStdin>,
    next: u64,
}

impl Child {
    /// Starts `program` with exactly the environment `env`. Dropping it kills the process group.
    pub fn spawn<E, K, V>(program: impl AsRef<OsStr>, args: &[String], env: E, cwd: &Path) -> io::Result<Self>
    where
        E: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut child = Command::new(program)
            .args(args)
            .env_clear()
            .envs(env)
            .current_dir(cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the child has no process id"))?;
        let (send, output) = mpsc::unbounded_channel();
        let written = Arc::new(Mutex::new(0_u64));
        let pipes = [
            child.stdout.take().map(|pipe| tokio::spawn(pump(pipe, Stream::Stdout, written.clone(), send.clone()))),
            child.stderr.take().map(|pipe| tokio::spawn(pump(pipe, Stream::Stderr, written, send))),
        ];
        let stdin = AsyncMutex::new(Input { pipe: child.stdin.take(), next: 0 });
        let (ended, exit) = oneshot::channel();
        let reaped = Arc::new(AtomicBool::new(false));
        let gone = reaped.clone();
        tokio::spawn(async move {
            let status = child.wait().await;
            gone.store(true, Ordering::Release);
            // Stray children may hold the pipes open; the agent's own output is in them by now.
            for pipe in pipes.into_iter().flatten() {
                let abort = pipe.abort_handle();
                if tokio::time::timeout(Duration::from_secs(2), pipe).await.is_err() {
                    abort.abort();
                }
            }
            let _ = ended.send(match status {
                Ok(status) => Exit { code: status.code(), signal: status.signal(), enforced: None },
                Err(error) => Exit { enforced: Some(error.to_string()), ..Exit::default() },
            });
        });
        Ok(Self { output: Some(UnboundedReceiverStream::new(output)), stdin, group, exit: exit.shared(), reaped })
    }

    /// Sends `signal` to the agent alone, as an operator would.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(rustix::process::kill_process(self.group, signal)?)
    }

    fn kill_group(&self) {
        if !self.reaped.load(Ordering::Acquire) {
            // Fails only when the group is gone already.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }
}

async fn pump(
    mut pipe: impl AsyncRead + Unpin,
    stream: Stream,
    written: Arc<Mutex<u64>>,
    send: mpsc::UnboundedSender<Chunk>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let bytes = Bytes::copy_from_slice(&buffer[..count]);
        let mut written = written.lock();
        *written += count as u64;
        if send.send(Chunk { end: *written, stream, bytes }).is_err() {
            return;
        }
    }
}

#[async_trait]
impl Process for Child {
    fn output(&mut self) -> BoxStream<'static, Result<Chunk, Broken>> {
        match self.output.take() {
            Some(output) => output.map(Ok).boxed(),
            None => futures::stream::empty().boxed(),
        }
    }

    async fn write_stdin(&self, seq: u64, bytes: Bytes) -> Result<(), Broken> {
        let mut stdin = self.stdin.lock().await;
        if seq < stdin.next {
            return Ok(());
        }
        let pipe = stdin.pipe.as_mut().ok_or(Broken::Closed)?;
        pipe.write_all(&bytes).await.map_err(|_| Broken::Closed)?;
        pipe.flush().await.map_err(|_| Broken::Closed)?;
        stdin.next = seq + 1;
        Ok(())
    }

    async fn close_stdin(&self) -> Result<(), Broken> {
        self.stdin.lock().await.pipe = None;
        Ok(())
    }

    async fn kill(&self) -> Result<(), Broken> {
        self.kill_group();
        Ok(())
    }

    async fn wait(&self) -> Result<Exit, Broken> {
        self.exit.clone().await.map_err(|error| Broken::Gone(Box::new(error)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_group();
    }
}
