//! 100 MB of output from a process in a sandbox into the record, against the same bytes through a pipe.

use crate::measure::{Comparison, Goal, Row, Series};
use crate::record::{prepared, with_exec};
use crate::room::{command, id, provider, spec};
use crate::{Effort, machine};
use anyhow::{Context as _, Result, ensure};
use domain::{SessionId, Timestamp};
use sandbox::{ExecSpec, Provider as _};
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use store::{Fence, OutputChunk, Store as _, Write};

/// `seq 1 N` prints about this many MB, each line another one, so that no two blobs are the same.
const LINES: &str = "13000000";
/// How much a stream may add to the server's memory.
const GROWTH_MIB: f64 = 16.0;
/// Output is stored in pieces of at most this many bytes.
const PIECE: usize = 256 * 1024;

pub async fn stream(effort: Effort) -> Result<Vec<Row>> {
    let (folder, provider) = provider().await?;
    let session = SessionId(id(400_000));
    let store = prepared(&folder.path().join("record.db"), session).await?;
    let exec = with_exec(&store, session).await?;
    let room = provider.create(spec(id(400_001))).await?;
    let (mut ours, mut pipe, mut growth) = (Series::default(), Series::default(), Series::default());
    let mut at = 0;
    for n in 0..effort.repetitions(5).min(5) {
        room.renew(sandbox::Lease { epoch: 1, ttl: Duration::from_mins(5) }).await?;
        let before = machine::resident_mib(std::process::id()).unwrap_or_default();
        machine::forget_peak();
        let started = id(400_010 + n);
        let spec = ExecSpec { output_quota: 1 << 30, ..command(started, ["seq", "1", LINES]) };
        let start = Instant::now();
        let mut running = room.exec(spec).await?;
        let (mut piece, mut total) = (Vec::with_capacity(PIECE), 0);
        loop {
            let chunk = running.next().await?;
            if let Some(chunk) = &chunk {
                total += chunk.bytes.len();
                piece.extend_from_slice(&chunk.bytes);
            }
            if piece.len() >= PIECE / 2 || (chunk.is_none() && !piece.is_empty()) {
                let blob = store.put_blob(&piece).await?;
                let to = at + piece.len() as u64;
                let writes = [Write::Output(OutputChunk { exec, from: at, to, blob })];
                store.commit(session, Fence::Open, &writes, &[], Timestamp(1)).await?;
                at = to;
                piece.clear();
            }
            if chunk.is_none() {
                break;
            }
        }
        ours.push(rate(total, start.elapsed()));
        growth.push((machine::peak_mib().unwrap_or_default() - before).max(0.0));
        room.forget(domain::ExecId(started)).await?;
        ensure!(total > 90_000_000, "only {total} bytes came");

        let start = Instant::now();
        pipe.push(rate(through_pipe()?, start.elapsed()));
    }
    provider.destroy(room.record()).await?;
    let speed = Comparison {
        name: "output/100 MB, stored",
        anchor: "the same through a pipe",
        unit: "MB/s",
        goal: Goal::AtLeast(0.1),
    };
    let memory = Comparison {
        name: "output/100 MB, memory",
        anchor: "the limit of growth",
        unit: "MiB",
        goal: Goal::AtMost(1.0),
    };
    Ok(vec![speed.of(&ours, &pipe), memory.with(&growth, GROWTH_MIB)])
}

fn through_pipe() -> Result<usize> {
    let mut child = Command::new("seq").args(["1", LINES]).stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().context("it was piped")?;
    let (mut buffer, mut total) = (vec![0; 64 * 1024], 0);
    loop {
        match out.read(&mut buffer)? {
            0 => break,
            read => total += read,
        }
    }
    child.wait()?;
    Ok(total)
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}
