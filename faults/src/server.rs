//! The lives of a server.

use crate::{
    cases::{BEAT, Fault, PATIENCE},
    history::{History, What},
    play::KEY,
};
use anyhow::{Context as _, Result};
use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, Command};

/// Programs that a case uses.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `runyard` with its fault points.
    pub runyard: PathBuf,
    /// The scripted agent.
    pub agent: PathBuf,
    /// Claude Code.
    pub claude: PathBuf,
}

/// How a server is started.
pub struct Start<'a> {
    /// The program.
    pub program: &'a Path,
    /// The agent.
    pub agent: &'a Path,
    /// Everything of the case lies here.
    pub home: &'a Path,
    /// The data directory.
    pub data: &'a Path,
    /// Its number.
    pub place: usize,
    /// The Messages API.
    pub upstream: String,
    /// The database, when it is not SQLite.
    pub database: Option<&'a str>,
    /// How long an agent's question waits for an answer.
    pub hold: Duration,
    /// Defects that are switched on.
    pub planted: &'a str,
}

/// A running server.
pub struct Server {
    child: Child,
    /// Its process and its group.
    pub pid: i32,
    /// Which one.
    pub life: usize,
}

impl Server {
    /// Starts it.
    pub fn start(how: &Start<'_>, life: usize, faults: &[Fault], history: &History) -> Result<Self> {
        let log = std::fs::File::create(how.home.join(format!("serve-{life}.log"))).context("a log")?;
        let orders = faults.iter().map(Fault::order).collect::<Vec<_>>().join(";");
        history.note(What::Started { life, place: how.place, orders: orders.clone() });
        let mut command = Command::new(how.program);
        command.arg("serve").current_dir(how.home).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
        command.env("HOME", how.home).env("LANG", "C.UTF-8").env("RUST_BACKTRACE", "1");
        command.env("RUNYARD_DATA_DIR", how.data).env("RUNYARD_AGENT_CLAUDE", how.agent);
        command.env("RUNYARD_USER_NAME", "Ada").env("RUNYARD_USER_EMAIL", "ada@example.com");
        command.env("RUNYARD_LEASE_BEAT", milliseconds(BEAT)).env("RUNYARD_LEASE_PATIENCE", milliseconds(PATIENCE));
        command
            .env("RUNYARD_RETRY_FIRST", "50ms")
            .env("RUNYARD_RETRY_TIMES", "20")
            .env("RUNYARD_AGENT_HOLD", milliseconds(how.hold));
        command
            .env("RUNYARD_LISTEN", "")
            .env("RUNYARD_LOG", "info")
            .env("ANTHROPIC_BASE_URL", &how.upstream)
            .env("ANTHROPIC_API_KEY", KEY);
        command.env("RUNYARD_FAILPOINTS", orders).env("RUNYARD_PLANTED", how.planted);
        command.env("RUNYARD_FAILPOINTS_TRACE", how.home.join(format!("points-{life}")));
        if let Some(database) = how.database {
            command.env("RUNYARD_DATABASE_URL", database);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("failed to start {}", how.program.display()))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).context("it has a number")?;
        Ok(Self { child, pid, life })
    }

    /// Waits until it ends.
    pub async fn ends(&mut self) -> String {
        self.child.wait().await.map_or_else(|error| error.to_string(), told)
    }

    /// Kills it with its process group.
    pub fn kill_group(&self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.pid) {
            // It may be gone already, which is as good.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

fn told(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn milliseconds(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}
