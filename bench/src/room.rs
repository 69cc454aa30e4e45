//! A sandbox: how long until one is ready, and what a process in it costs beyond a process.

use crate::measure::{Row, Times};
use anyhow::{Context as _, Result, ensure};
use domain::{ExecId, SandboxId};
use sandbox::{ExecSpec, Lease, LocalConfig, LocalProvider, Provider as _, SandboxSpec, Status};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};
use tokio::process::Command;
use uuid::Uuid;

const LAUNCHES: u128 = 20;
const EXECS: u128 = 200;

pub async fn all() -> Result<Vec<Row>> {
    // The sandbox's user must be able to pass through.
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    let provider = LocalProvider::new(LocalConfig::new(folder.path()))?;
    let report = provider.probe().await;
    ensure!(report.status() != Status::Fail, "this machine cannot make sandboxes; run `runyard doctor`");
    Ok(vec![launch(&provider).await?, exec(&provider).await?])
}

async fn launch(provider: &LocalProvider) -> Result<Row> {
    let (mut ours, mut anchor) = (Times::default(), Times::default());
    for n in 0..LAUNCHES {
        let start = Instant::now();
        let room = provider.create(spec(n)).await?;
        let done = room.exec(command(n)).await?.run_to_end(4096).await?;
        ours.add(start.elapsed());
        ensure!(done.status.success(), "the first process failed: {:?}", done.status);
        provider.destroy(room.record()).await?;

        let start = Instant::now();
        bare_bwrap().await?;
        anchor.add(start.elapsed());
    }
    Ok(Row::new("sandbox/cold-to-output", "bwrap --unshare-all echo", 6.0, &ours, &anchor))
}

async fn exec(provider: &LocalProvider) -> Result<Row> {
    let room = provider.create(spec(LAUNCHES)).await?;
    let (mut ours, mut anchor) = (Times::default(), Times::default());
    for n in 0..EXECS {
        let start = Instant::now();
        let done = room.exec(command(LAUNCHES + 1 + n)).await?.run_to_end(4096).await?;
        ours.add(start.elapsed());
        ensure!(done.stdout.starts_with(b"hi"), "the process said {:?}", done.stdout);

        let start = Instant::now();
        let said = Command::new("/bin/echo").arg("hi").env_clear().output().await?;
        anchor.add(start.elapsed());
        ensure!(said.stdout.starts_with(b"hi"));
    }
    provider.destroy(room.record()).await?;
    Ok(Row::new("sandbox/exec", "fork + exec of the same", 4.0, &ours, &anchor))
}

fn spec(n: u128) -> SandboxSpec {
    let lease = Lease { epoch: 1, ttl: Duration::from_mins(1) };
    SandboxSpec::new(SandboxId(Uuid::from_u128(0xbe0c << 64 | n)), lease)
}

fn command(n: u128) -> ExecSpec {
    ExecSpec::new(ExecId(Uuid::from_u128(0xe8ec << 64 | n)), ["/bin/echo", "hi"].map(str::to_owned).to_vec())
}

async fn bare_bwrap() -> Result<()> {
    let mut bwrap = Command::new("bwrap");
    bwrap.args(["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "/bin/echo", "hi"]);
    let said = bwrap.output().await.context("failed to start bwrap")?;
    ensure!(said.status.success(), "bwrap: {}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}
