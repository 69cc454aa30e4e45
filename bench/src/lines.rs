//! Numbered lines through one sandbox, in slices: every line once and in order, however often the reader dies.
//!
//! Each slice is one program in the sandbox with an output quota of its own. Readers connect anew, read for a while, and
//! are dropped with what is under way to them; the next one goes on from the last byte that was checked. What is read
//! is compared byte by byte with what must come, so that a line that is lost, doubled or moved is seen.

use crate::measure::{Comparison, Goal, Row, Series};
use anyhow::{Context as _, Result, bail, ensure};
use domain::{ExecId, SandboxId};
use sandbox::{ExecSpec, Lease, LocalConfig, LocalProvider, Provider, Record, SandboxSpec, Stream};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use uuid::Uuid;

/// Most bytes of a line, with its end.
const LONGEST: u64 = 21;
/// A reader is dropped after so many bytes: odd, so that it happens within lines and pieces.
const READER_LIVES: u64 = 3_000_017;
/// The sandbox lives for so long without a word.
const LEASE: Duration = Duration::from_mins(2);

/// How it went.
pub struct Outcome {
    /// Lines, all of them seen once and in order.
    pub lines: u64,
    /// Readers that were dropped.
    pub dropped: u64,
    /// How long it took.
    pub took: Duration,
    /// A slice beside the same slice through a pipe.
    pub row: Row,
}

/// Sends `lines` lines through one sandbox in `slices`.
pub async fn all(lines: u64, slices: u64) -> Result<Outcome> {
    ensure!(slices > 0 && lines.is_multiple_of(slices), "{lines} lines do not make {slices} equal slices");
    // The sandbox's user must be able to pass through.
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
    let provider = LocalProvider::new(LocalConfig::new(folder.path()))?;
    let lease = Lease { epoch: 1, ttl: LEASE };
    let sandbox = provider.create(SandboxSpec::new(SandboxId(Uuid::from_u128(0x11e5)), lease)).await?;
    let record = sandbox.record().clone();
    drop(sandbox);
    let through = through(&provider, &record, lines / slices, slices).await;
    provider.destroy(&record).await?;
    through
}

async fn through(provider: &LocalProvider, record: &Record, each: u64, slices: u64) -> Result<Outcome> {
    let (mut ours, mut anchor) = (Series::default(), Series::default());
    let mut took = Duration::ZERO;
    let mut readers = Readers { provider, record, epoch: 1, dropped: 0 };
    for slice in 0..slices {
        let (first, last) = (slice * each + 1, (slice + 1) * each);
        let start = Instant::now();
        readers.read(first, last).await.with_context(|| format!("lines {first} to {last}"))?;
        ours.add(start.elapsed());
        took += start.elapsed();

        let start = Instant::now();
        piped(first, last).await?;
        anchor.add(start.elapsed());
    }
    let row =
        Comparison { name: "lines/slice", anchor: "the same through a pipe", unit: "ms", goal: Goal::AtMost(10.0) };
    let row = row.of(&ours, &anchor);
    Ok(Outcome { lines: each * slices, dropped: readers.dropped, took, row })
}

struct Readers<'a> {
    provider: &'a LocalProvider,
    record: &'a Record,
    epoch: i64,
    dropped: u64,
}

impl Readers<'_> {
    /// Starts the slice and reads it to its end.
    async fn read(&mut self, first: u64, last: u64) -> Result<()> {
        let id = ExecId(Uuid::from_u128(u128::from(first) << 1 | 1 << 100));
        let mut expected = Expected::new(first, last);
        let mut spec = ExecSpec::new(id, ["/usr/bin/seq".to_owned(), first.to_string(), last.to_string()]);
        spec.output_quota = (last - first + 1) * LONGEST;
        let mut begun = false;
        loop {
            self.epoch += 1;
            let sandbox = self.provider.adopt(self.record, Lease { epoch: self.epoch, ttl: LEASE }).await?;
            let mut exec = if begun {
                sandbox.attach(id, expected.seen).await?
            } else {
                begun = true;
                sandbox.exec(spec.clone()).await?
            };
            let until = expected.seen + READER_LIVES;
            while expected.seen < until {
                let Some(chunk) = exec.next().await? else {
                    ensure!(exec.wait().await?.success(), "the program failed");
                    expected.end()?;
                    return Ok(sandbox.forget(id).await?);
                };
                ensure!(chunk.stream == Stream::Stdout && chunk.offset == expected.seen, "at {}", chunk.offset);
                expected.take(&chunk.bytes)?;
            }
            // Dropped with up to a window's worth of bytes under way.
            self.dropped += 1;
        }
    }
}

/// The same program outside, checked in the same way.
async fn piped(first: u64, last: u64) -> Result<()> {
    let mut seq = Command::new("/usr/bin/seq");
    seq.args([first.to_string(), last.to_string()]).stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let mut child = seq.spawn()?;
    let Some(mut pipe) = child.stdout.take() else { bail!("no pipe") };
    let mut expected = Expected::new(first, last);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match pipe.read(&mut buffer).await? {
            0 => return expected.end(),
            length => expected.take(&buffer[..length])?,
        }
    }
}

/// The bytes that must come.
struct Expected {
    next: u64,
    last: u64,
    text: Vec<u8>,
    at: usize,
    /// Bytes that came.
    seen: u64,
}

impl Expected {
    fn new(first: u64, last: u64) -> Self {
        Self { next: first, last, text: Vec::new(), at: 0, seen: 0 }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.at == self.text.len() {
                self.write_on()?;
            }
            let length = bytes.len().min(self.text.len() - self.at);
            ensure!(length > 0, "{} bytes came after the last line", bytes.len());
            ensure!(
                bytes[..length] == self.text[self.at..self.at + length],
                "something else than lines up to {}",
                self.next
            );
            self.at += length;
            self.seen += length as u64;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    fn end(&self) -> Result<()> {
        ensure!(self.next > self.last && self.at == self.text.len(), "it ended before line {}", self.next);
        Ok(())
    }

    fn write_on(&mut self) -> Result<()> {
        self.text.clear();
        self.at = 0;
        let until = self.last.min(self.next + 4095);
        for number in self.next..=until {
            writeln!(self.text, "{number}")?;
        }
        self.next = until + 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_lost_doubled_or_moved_is_seen() {
        let check = |text: &str| {
            let mut expected = Expected::new(1, 5);
            expected.take(text.as_bytes()).and_then(|()| expected.end())
        };
        check("1\n2\n3\n4\n5\n").unwrap();
        for wrong in [
            "1\n2\n4\n5\n",
            "1\n2\n2\n3\n4\n5\n",
            "1\n3\n2\n4\n5\n",
            "1\n2\n3\n4\n",
            "1\n2\n3\n4\n5\n6\n",
            "1\n2\n3\n4\n5",
        ] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn a_million_lines_come_whole_through_readers_that_die() {
        let outcome = all(1_000_000, 2).await.unwrap();
        assert_eq!(outcome.lines, 1_000_000);
        assert!(outcome.dropped >= 2, "each slice had more than one reader");
    }
}
