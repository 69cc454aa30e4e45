use super::{Broken, Chunk, Exit, Process, Stream};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use sandbox::{Error, ExitReason};

/// An agent in a sandbox. Start it with `stdin: Pipe`, or attach to it at offset 0.
#[derive(Debug)]
pub struct SandboxExec {
    exec: Option<sandbox::Exec>,
    control: sandbox::ExecControl,
}

impl SandboxExec {
    /// Drives `exec`, whose output must flow from offset 0.
    pub fn new(exec: sandbox::Exec) -> Self {
        Self { control: exec.control(), exec: Some(exec) }
    }
}

#[async_trait]
impl Process for SandboxExec {
    fn output(&mut self) -> BoxStream<'static, Result<Chunk, Broken>> {
        stream::unfold(self.exec.take(), |exec| async move {
            let mut exec = exec?;
            match exec.next().await {
                Ok(Some(chunk)) => {
                    let stream = match chunk.stream {
                        sandbox::Stream::Stdout => Stream::Stdout,
                        sandbox::Stream::Stderr => Stream::Stderr,
                    };
                    let end = chunk.offset + chunk.bytes.len() as u64;
                    Some((Ok(Chunk { end, stream, bytes: chunk.bytes }), Some(exec)))
                }
                Ok(None) => None,
                Err(error) => Some((Err(broken(error)), None)),
            }
        })
        .boxed()
    }

    async fn write_stdin(&self, seq: u64, bytes: Bytes) -> Result<(), Broken> {
        self.control.write_stdin(seq, bytes).await.map(drop).map_err(broken)
    }

    async fn close_stdin(&self) -> Result<(), Broken> {
        self.control.close_stdin().await.map_err(broken)
    }

    async fn kill(&self) -> Result<(), Broken> {
        self.control.kill().await.map_err(broken)
    }

    async fn wait(&self) -> Result<Exit, Broken> {
        let status = self.control.wait().await.map_err(broken)?;
        let enforced = match status.reason {
            ExitReason::Killed => None,
            // An agent that came to its end all the same has no need of an excuse.
            ExitReason::Exited if status.success() => None,
            ExitReason::Exited => {
                let reached = self.control.reached(&status).words();
                reached.map(|what| format!("it ran into the sandbox's limit of {what}"))
            }
            ExitReason::TimedOut => Some("it ran for longer than its time limit".to_owned()),
            ExitReason::OutputQuota => Some("it wrote more than its output quota".to_owned()),
            ExitReason::SpoolFailed => Some("its output could not be kept: the server's disk is full".to_owned()),
            ExitReason::DiskQuota => Some("its sandbox kept more on disk than it may".to_owned()),
            ExitReason::HostDiskFull => Some("the server's disk is nearly full".to_owned()),
        };
        Ok(Exit { code: status.code, signal: status.signal, enforced })
    }
}

fn broken(error: Error) -> Broken {
    match error {
        Error::Refused(_) | Error::NotFound(_) | Error::TooLarge { .. } => Broken::Closed,
        Error::Gone { .. } => Broken::Gone(Box::new(error)),
        other => Broken::Disconnected(Box::new(other)),
    }
}
