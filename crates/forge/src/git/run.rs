//! One call of git: its arguments, its limits and what it printed.

use super::{Git, OVERRIDES};
use crate::Error;
use domain::CommitId;
use std::{
    ffi::OsString,
    fmt::Write as _,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// What a call may use unless it says otherwise.
const TIME: Duration = Duration::from_mins(2);
const STDOUT: usize = 16 << 20;
const STDERR_TAIL: usize = 4096;

/// Resource limits of the processes of one call, for input that nobody trusts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Confine {
    /// Address space of each process.
    pub(crate) memory_bytes: u64,
    /// Largest file that a process may write.
    pub(crate) file_bytes: u64,
    /// Processor time of each process.
    pub(crate) cpu: Duration,
}

#[derive(Debug)]
enum Input {
    None,
    Bytes(Vec<u8>),
    File(std::fs::File),
}

/// A call that is being put together.
#[derive(Debug)]
pub(crate) struct Call {
    git: Git,
    subcommand: &'static str,
    settings: Vec<OsString>,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<OsString>,
    input: Input,
    time: Duration,
    stdout: usize,
    truncate: bool,
    accepted: &'static [i32],
    confine: Option<Confine>,
    local_transport: bool,
}

/// What a call printed.
#[derive(Debug)]
pub(crate) struct Output {
    subcommand: &'static str,
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// True when git had more to say and was killed for it, as the caller wished.
    pub(crate) truncated: bool,
}

impl Call {
    pub(super) fn new(git: Git, subcommand: &'static str) -> Self {
        Self {
            git,
            subcommand,
            settings: Vec::new(),
            args: Vec::new(),
            environment: Vec::new(),
            directory: None,
            input: Input::None,
            time: TIME,
            stdout: STDOUT,
            truncate: false,
            accepted: &[0],
            confine: None,
            local_transport: false,
        }
    }

    /// On a repository of ours, by its git directory: nothing is searched for.
    pub(crate) fn in_git_dir(mut self, git_dir: &Path) -> Self {
        self.environment.push(("GIT_DIR".into(), git_dir.into()));
        self
    }

    /// In somebody's repository; a repository further up is never found instead.
    pub(crate) fn in_directory(mut self, directory: &Path) -> Self {
        if let Some(parent) = directory.parent() {
            self.environment.push(("GIT_CEILING_DIRECTORIES".into(), parent.into()));
        }
        self.directory = Some(directory.into());
        self
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(OsString::from));
        self
    }

    pub(crate) fn config(mut self, setting: impl Into<OsString>) -> Self {
        self.settings.push(setting.into());
        self
    }

    pub(crate) fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((key.into(), value.into()));
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// Reads the file from where it stands.
    pub(crate) fn stdin_file(mut self, file: std::fs::File) -> Self {
        self.input = Input::File(file);
        self
    }

    pub(crate) fn time(mut self, limit: Duration) -> Self {
        self.time = limit;
        self
    }

    /// Fails when git prints more.
    pub(crate) fn at_most(mut self, bytes: usize) -> Self {
        self.stdout = bytes;
        self
    }

    /// Takes the first bytes and stops git when it prints more.
    pub(crate) fn first(mut self, bytes: usize) -> Self {
        self.stdout = bytes;
        self.truncate = true;
        self
    }

    /// Which exit codes are answers rather than failures.
    pub(crate) fn accept(mut self, codes: &'static [i32]) -> Self {
        self.accepted = codes;
        self
    }

    pub(crate) fn confined(mut self, confine: Confine) -> Self {
        self.confine = Some(confine);
        self
    }

    /// Lets this call talk to a repository on the same machine; otherwise every transport is refused.
    pub(crate) fn local_transport(mut self) -> Self {
        self.local_transport = true;
        self
    }

    pub(crate) async fn run(mut self) -> Result<Output, Error> {
        let subcommand = self.subcommand;
        let input = std::mem::replace(&mut self.input, Input::None);
        let mut command = self.command();
        command.stdin(match &input {
            Input::None => Stdio::null(),
            Input::Bytes(_) => Stdio::piped(),
            Input::File(file) => Stdio::from(file.try_clone().map_err(Error::io("open git's input"))?),
        });
        let attempt = || Error::io(format!("start git ({})", self.git.program().display()));
        let mut child = command.spawn().map_err(attempt())?;
        let group = Group::of(&child);
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let (Some(mut stdin), Input::Bytes(bytes)) = (stdin, input) {
                // A git that has read enough closes its end; that shows in its exit code, not here.
                let _ = stdin.write_all(&bytes).await;
                let _ = stdin.shutdown().await;
            }
        };
        let limit = self.stdout;
        let out = async {
            let read = capped(stdout, limit).await;
            if read.as_ref().is_ok_and(|(_, more)| *more) {
                group.kill();
            }
            read
        };
        let work = async { tokio::join!(feed, out, tail(stderr), child.wait()) };
        let Ok(((), out, stderr, status)) = tokio::time::timeout(self.time, work).await else {
            group.kill();
            return Err(Error::TimedOut { command: subcommand.to_owned(), seconds: self.time.as_secs() });
        };
        group.done();
        let (stdout, truncated) = out.map_err(Error::io(format!("read from git {subcommand}")))?;
        let status = status.map_err(Error::io(format!("wait for git {subcommand}")))?;
        let stderr = stderr.map_err(Error::io(format!("read from git {subcommand}")))?;
        if truncated && !self.truncate {
            return Err(Error::TooMuchOutput { command: subcommand.to_owned(), limit });
        }
        match status.code() {
            Some(code) if self.accepted.contains(&code) => Ok(Output { subcommand, code, stdout, stderr, truncated }),
            _ if truncated => Ok(Output { subcommand, code: 0, stdout, stderr, truncated }),
            _ => Err(Error::Git { command: subcommand.to_owned(), status: in_words(status), stderr }),
        }
    }

    fn command(&self) -> tokio::process::Command {
        let program = self.git.program();
        let mut command = match self.confine {
            None => tokio::process::Command::new(program),
            Some(confine) => {
                // A shell sets the limits, since code between fork and exec would be unsafe. POSIX counts -f in
                // blocks of 512 bytes; -v is in KiB in every shell that has it.
                let mut script = String::new();
                let Confine { memory_bytes, file_bytes, cpu } = confine;
                let _ = write!(
                    script,
                    "ulimit -v {} && ulimit -f {} && ulimit -t {} && ulimit -c 0 && exec \"$0\" \"$@\"",
                    memory_bytes.div_ceil(1024),
                    file_bytes.div_ceil(512),
                    cpu.as_secs().max(1),
                );
                let mut shell = tokio::process::Command::new("/bin/sh");
                shell.arg("-c").arg(script).arg(program);
                shell
            }
        };
        command.env_clear().envs(self.git.environment()).envs(self.environment.iter().map(|(k, v)| (k, v)));
        if let Some(directory) = &self.directory {
            command.arg("-C").arg(directory);
        }
        for setting in OVERRIDES {
            command.arg("-c").arg(setting);
        }
        let local = if self.local_transport { "protocol.file.allow=always" } else { "protocol.file.allow=never" };
        command.arg("-c").arg(local);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        command.arg(self.subcommand).args(&self.args);
        command.current_dir("/").process_group(0).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Output {
    /// All of it as text.
    pub(crate) fn text(self) -> Result<String, Error> {
        let subcommand = self.subcommand;
        String::from_utf8(self.stdout).map_err(|_| Error::Unexpected {
            command: subcommand.to_owned(),
            detail: "text that is not UTF-8".to_owned(),
        })
    }

    /// The one object id that it printed.
    pub(crate) fn id(self) -> Result<CommitId, Error> {
        let subcommand = self.subcommand;
        let text = self.text()?;
        text.trim().parse().map_err(|error: domain::InvalidCommit| Error::Unexpected {
            command: subcommand.to_owned(),
            detail: error.to_string(),
        })
    }

    /// An error that says that this output cannot be read.
    pub(crate) fn unexpected(&self, detail: impl Into<String>) -> Error {
        Error::Unexpected { command: self.subcommand.to_owned(), detail: detail.into() }
    }
}

/// The process group of a call: git starts helpers, and all of them end with it.
struct Group {
    leader: Option<rustix::process::Pid>,
    done: AtomicBool,
}

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        Self { leader, done: AtomicBool::new(false) }
    }

    fn kill(&self) {
        if let Some(leader) = self.leader.filter(|_| !self.done.load(Ordering::Relaxed)) {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }

    fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn capped(from: Option<impl AsyncRead + Unpin>, limit: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let Some(from) = from else { return Ok((bytes, false)) };
    let room = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(room).read_to_end(&mut bytes).await?;
    let more = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, more))
}

/// The end of what was printed, read to the end so that the writer never blocks.
async fn tail(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut kept: Vec<u8> = Vec::new();
    let Some(mut from) = from else { return Ok(String::new()) };
    let mut buffer = vec![0; 8192];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..n]);
        if kept.len() > STDERR_TAIL {
            kept.drain(..kept.len() - STDERR_TAIL);
        }
    }
    // What git quotes may come from a sandbox: no control characters reach a terminal.
    let text = String::from_utf8_lossy(&kept);
    Ok(text.trim().chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect())
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown end".to_owned(),
    }
}
