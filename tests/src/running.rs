//! Programs that run, and what they said.

use crate::LIMIT;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// The same, when the exit code is as expected.
    #[expect(clippy::return_self_not_must_use, reason = "most tests want the exit code only")]
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Both outputs.
    pub fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// A program in a process group of its own.
pub struct Running {
    child: Child,
    group: rustix::process::Pid,
    stdin: Option<ChildStdin>,
    stdout: watch::Receiver<Arc<str>>,
    stderr: watch::Receiver<Arc<str>>,
    readers: [JoinHandle<()>; 2],
}

impl Running {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let group =
            child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)).expect("a process");
        let (stdout, first) = reader(child.stdout.take().expect("piped"));
        let (stderr, second) = reader(child.stderr.take().expect("piped"));
        Self { stdin: child.stdin.take(), child, group, stdout, stderr, readers: [first, second] }
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Types a line.
    pub async fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("input is open");
        stdin.write_all(format!("{line}\n").as_bytes()).await.expect("it reads what is typed");
    }

    /// Waits until standard output contains a text.
    pub async fn says(&mut self, text: &str) {
        let (stderr, mut stdout) = (self.stderr.clone(), self.stdout.clone());
        let heard = timeout(LIMIT, stdout.wait_for(|said| said.contains(text))).await;
        let heard = heard.is_ok_and(|heard| heard.is_ok());
        assert!(heard, "it never said {text:?}\nstdout:\n{}\nstderr:\n{}", *self.stdout.borrow(), *stderr.borrow());
    }

    /// Waits until standard error contains a text.
    pub async fn complains(&mut self, text: &str) {
        let (stdout, mut stderr) = (self.stdout.clone(), self.stderr.clone());
        let heard = timeout(LIMIT, stderr.wait_for(|said| said.contains(text))).await;
        let heard = heard.is_ok_and(|heard| heard.is_ok());
        assert!(
            heard,
            "it never complained {text:?}\nstdout:\n{}\nstderr:\n{}",
            *stdout.borrow(),
            *self.stderr.borrow()
        );
    }

    /// What it wrote to standard output until now.
    pub fn so_far(&self) -> String {
        self.stdout.borrow().to_string()
    }

    /// Waits until it ends.
    pub async fn ends(mut self) -> Finished {
        self.stdin = None;
        let Ok(status) = timeout(LIMIT, self.child.wait()).await else {
            let (stdout, stderr) = (self.stdout.borrow().clone(), self.stderr.borrow().clone());
            self.kill_group();
            panic!("it does not end\nstdout:\n{stdout}\nstderr:\n{stderr}");
        };
        self.collect(status.expect("its status")).await
    }

    /// `kill -9` for it and everything in its process group, as a machine's out-of-memory killer or an impatient person
    /// would.
    pub async fn killed(mut self) -> Finished {
        self.kill_group();
        let status = self.child.wait().await.expect("its status");
        self.collect(status).await
    }

    /// Sends it the signal of Ctrl-C.
    pub fn interrupt(&self) {
        rustix::process::kill_process(self.group, rustix::process::Signal::INT).expect("a running process");
    }

    fn kill_group(&self) {
        // It may be gone already, which is as good.
        rustix::process::kill_process_group(self.group, rustix::process::Signal::KILL).ok();
    }

    async fn collect(self, status: ExitStatus) -> Finished {
        // A sandbox outlives its server on purpose, and may hold these pipes: what was said until now must do.
        for reader in self.readers {
            timeout(std::time::Duration::from_secs(2), reader).await.ok();
        }
        let (stdout, stderr) = (self.stdout.borrow().to_string(), self.stderr.borrow().to_string());
        Finished { code: status.code(), stdout, stderr }
    }
}

fn reader(output: impl AsyncRead + Unpin + Send + 'static) -> (watch::Receiver<Arc<str>>, JoinHandle<()>) {
    let (send, receive) = watch::channel(Arc::from(""));
    let task = tokio::spawn(async move {
        let mut lines = BufReader::new(output);
        let (mut all, mut line) = (String::new(), Vec::new());
        while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            all.push_str(&String::from_utf8_lossy(&line));
            line.clear();
            // What has come is copied once and not for each line, so that a reader of much keeps up with its program.
            if !lines.buffer().contains(&b'\n') {
                send.send_replace(Arc::from(all.as_str()));
            }
        }
        send.send_replace(Arc::from(all.as_str()));
    });
    (receive, task)
}
