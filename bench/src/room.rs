//! A sandbox: how long until one is ready, and what a process in it costs beyond a process.

use crate::measure::{Comparison, Goal, Row, Series};
use crate::{Effort, machine};
use anyhow::{Context as _, Result, ensure};
use domain::{ExecId, SandboxId};
use sandbox::{Exec, ExecSpec, Lease, LocalConfig, LocalProvider, Provider as _, SandboxSpec, Status};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A folder that sandboxes can pass through, and a provider that keeps them there.
pub async fn provider() -> Result<(tempfile::TempDir, LocalProvider)> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    let provider = LocalProvider::new(LocalConfig::new(folder.path()))?;
    let report = provider.probe().await;
    ensure!(report.status() != Status::Fail, "this machine cannot make sandboxes; run `runyard doctor`");
    Ok((folder, provider))
}

pub async fn all(effort: Effort) -> Result<Vec<Row>> {
    let (_folder, provider) = provider().await?;
    let mut rows = launch(&provider, effort).await?;
    rows.push(exec(&provider, effort).await?);
    Ok(rows)
}

async fn launch(provider: &LocalProvider, effort: Effort) -> Result<Vec<Row>> {
    let (mut ours, mut bwrap, mut raw) = (Series::default(), Series::default(), Series::default());
    let layers = tempfile::tempdir()?;
    for name in ["lower", "upper", "work", "merged"] {
        std::fs::create_dir(layers.path().join(name))?;
    }
    let mut overlay = true;
    for n in 0..effort.repetitions(30) {
        let start = Instant::now();
        let room = provider.create(spec(id(n))).await?;
        let running = room.exec(command(id(n), ["/bin/echo", "hi"])).await?;
        ours.add(first_output(running, start).await?);
        provider.destroy(room.record()).await?;
        bwrap.add(first_byte(&mut bare_bwrap())?);
        match first_byte(&mut unshare(layers.path())) {
            Ok(time) => raw.add(time),
            Err(_) => overlay = false,
        }
    }
    let of = |name, anchor, most| Comparison { name, anchor, unit: "ms", goal: Goal::AtMost(most) };
    let mut rows = vec![of("sandbox/cold", "bwrap --unshare-all echo", 1.3).of(&ours, &bwrap)];
    if overlay {
        rows.push(of("sandbox/cold, raw", "unshare, mount an overlay, echo", 4.0).of(&ours, &raw));
    }
    Ok(rows)
}

async fn exec(provider: &LocalProvider, effort: Effort) -> Result<Row> {
    let room = provider.create(spec(id(100_000))).await?;
    let (mut ours, mut anchor) = (Series::default(), Series::default());
    for n in 0..effort.repetitions(200) {
        let start = Instant::now();
        let running = room.exec(command(id(200_000 + n), ["/bin/echo", "hi"])).await?;
        ours.add(first_output(running, start).await?);
        anchor.add(first_byte(Command::new("/bin/echo").arg("hi").env_clear())?);
    }
    provider.destroy(room.record()).await?;
    let row =
        Comparison { name: "sandbox/exec", anchor: "posix_spawn of the same", unit: "ms", goal: Goal::AtMost(4.0) };
    Ok(row.of(&ours, &anchor))
}

/// The time from `start` to an exec's first output; it is then left to end.
pub async fn first_output(mut running: Exec, start: Instant) -> Result<Duration> {
    let first = running.next().await?.context("the process said nothing")?;
    let took = start.elapsed();
    ensure!(!first.bytes.is_empty());
    while running.next().await?.is_some() {}
    Ok(took)
}

/// The time from starting a program to its first output; it is then left to end.
pub fn first_byte(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("failed to start {}", command.get_program().display()))?;
    let mut out = child.stdout.take().context("it was piped")?;
    let mut byte = [0; 1];
    let read = out.read(&mut byte)?;
    let took = start.elapsed();
    std::io::copy(&mut out, &mut std::io::sink())?;
    let status = child.wait()?;
    ensure!(read == 1 && status.success(), "{}: {status}", command.get_program().display());
    Ok(took)
}

/// An id that no other of this run has.
pub fn id(n: usize) -> Uuid {
    Uuid::from_u128((0xbe0c << 64) | n as u128)
}

pub fn spec(id: Uuid) -> SandboxSpec {
    SandboxSpec::new(SandboxId(id), Lease { epoch: 1, ttl: Duration::from_mins(1) })
}

pub fn command<const N: usize>(id: Uuid, argv: [&str; N]) -> ExecSpec {
    ExecSpec::new(ExecId(id), argv.map(str::to_owned).to_vec())
}

fn bare_bwrap() -> Command {
    let mut bwrap = Command::new("bwrap");
    bwrap.args(["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/echo", "hi"]);
    bwrap
}

/// New namespaces and an overlay by the system's own tools: no filter, no limits, no shim.
fn unshare(layers: &Path) -> Command {
    let mut unshare = Command::new(machine::find("unshare").unwrap_or_else(|| "unshare".into()));
    unshare.args(["--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "sh", "-c"]);
    unshare.arg(
        "mount -t overlay none -o lowerdir=\"$1/lower,upperdir=$1/upper,workdir=$1/work,userxattr\" \"$1/merged\" \
         && exec /bin/echo hi",
    );
    unshare.arg("sh").arg(layers);
    unshare
}
