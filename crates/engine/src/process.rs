//! Short programs in the sandbox: git of ours, the repository's script, checks.

use crate::{
    context::Context,
    halt::{Halt, chain},
    workspace::Place,
};
use bytes::BytesMut;
use domain::{EventPayload, ExecId};
use sandbox::{Exec, ExecSpec, Finished, Stream};
use secrets::{Known, RedactedStream};
use std::time::Duration;
use store::{ExecRow, OutputChunk, Write};
use tokio::time::Instant;

/// Largest piece of output that is stored at once, in bytes.
const PIECE: usize = 256 * 1024;

/// Output is shown at most this often.
const SHOW_EVERY: Duration = Duration::from_millis(50);

/// A program to run to its end.
pub(crate) struct Job<'a> {
    /// What it is for, such as `check`.
    pub purpose: &'a str,
    pub argv: &'a [&'a str],
    /// Killed after this long.
    pub time: Duration,
    /// How much of its output is kept in memory, in bytes.
    pub limit: usize,
    /// Whether people can watch its output.
    pub shown: bool,
}

/// What became of it.
pub(crate) struct Done {
    pub finished: Finished,
    /// Both streams as they came, for programs that people watch.
    pub log: Vec<u8>,
}

impl Place {
    /// Runs a program to its end.
    pub async fn run(&self, context: &Context, job: &Job<'_>) -> Result<Done, Halt> {
        let id = ExecId::new(context.shared.mint.as_ref());
        let row = ExecRow {
            id,
            run: context.run_id()?,
            sandbox: self.record.id,
            purpose: job.purpose.to_owned(),
            consumed: 0,
            ended: None,
            created_at: context.shared.now(),
        };
        context.commit(&[Write::AddExec(row)], &[]).await?;
        let mut spec = ExecSpec { time_limit: Some(job.time), ..ExecSpec::new(id, job.argv.iter().copied()) };
        if job.shown {
            // Every byte of it goes into the database.
            spec.output_quota = context.shared.settings.check_output;
        }
        let (done, consumed) = context
            .unless_let_go(async {
                let exec = self.sandbox.exec(spec).await?;
                if job.shown {
                    return follow(context, exec, job.limit).await;
                }
                Ok((Done { finished: exec.run_to_end(job.limit).await?, log: Vec::new() }, 0))
            })
            .await?;
        let ended = format!("{:?}", done.finished.status);
        context.commit(&[Write::ExecProgress { id, consumed, ended: Some(ended) }], &[]).await?;
        if let Err(error) = self.sandbox.forget(id).await {
            tracing::debug!(error = chain(&error), "failed to forget an exec");
        }
        Ok(done)
    }
}

/// Reads to the end and stores what comes as it comes.
async fn follow(context: &Context, mut exec: Exec, limit: usize) -> Result<(Done, u64), Halt> {
    let run = context.run_id()?;
    let id = exec.id();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut shown = Shown::new(&context.shared.keys.known, limit);
    let mut truncated = false;
    let mut stored = 0;
    let mut show_at: Option<Instant> = None;
    loop {
        let wake = show_at.unwrap_or_else(|| Instant::now() + Duration::from_hours(1));
        let chunk = tokio::select! {
            chunk = exec.next() => chunk?,
            () = tokio::time::sleep_until(wake), if show_at.is_some() => {
                stored = store(context, (run, id), stored, &mut shown.pending).await?;
                show_at = None;
                continue;
            }
        };
        let Some(chunk) = chunk else { break };
        let keep = chunk.bytes.len().min(limit - stdout.len() - stderr.len());
        truncated |= keep < chunk.bytes.len();
        match chunk.stream {
            Stream::Stdout => stdout.extend_from_slice(&chunk.bytes[..keep]),
            Stream::Stderr => stderr.extend_from_slice(&chunk.bytes[..keep]),
        }
        shown.push(&chunk.bytes);
        show_at.get_or_insert_with(|| Instant::now() + SHOW_EVERY);
        if shown.pending.len() >= PIECE {
            stored = store(context, (run, id), stored, &mut shown.pending).await?;
            show_at = None;
        }
    }
    shown.finish();
    stored = store(context, (run, id), stored, &mut shown.pending).await?;
    let status = exec.wait().await?;
    let reached = exec.reached(&status);
    let finished = Finished { status, stdout, stderr, truncated, reached };
    Ok((Done { finished, log: shown.log }, stored))
}

/// What people may see of a program's output: without what is secret, in the order in which it came, so that what is cut
/// by chunks or goes to both streams in turn is found together.
struct Shown {
    /// None once the output is over.
    clean: Option<RedactedStream>,
    /// Its beginning.
    log: Vec<u8>,
    limit: usize,
    /// What is not stored yet. What may be the beginning of a secret is not among it.
    pending: BytesMut,
}

impl Shown {
    fn new(known: &Known, limit: usize) -> Self {
        Self { clean: Some(known.redactor().stream()), log: Vec::new(), limit, pending: BytesMut::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(clean) = &mut self.clean {
            let safe = clean.push(bytes);
            self.keep(&safe);
        }
    }

    /// Nothing more comes: what waited for its rest is no secret.
    fn finish(&mut self) {
        if let Some(clean) = self.clean.take() {
            self.keep(&clean.finish());
        }
    }

    fn keep(&mut self, safe: &[u8]) {
        let room = self.limit.saturating_sub(self.log.len());
        self.log.extend_from_slice(&safe[..safe.len().min(room)]);
        self.pending.extend_from_slice(safe);
    }
}

/// Stores what is pending as one piece from offset `from`, with the event that tells of it; the offset after it.
async fn store(
    context: &Context,
    (run, exec): (domain::RunId, ExecId),
    from: u64,
    pending: &mut BytesMut,
) -> Result<u64, Halt> {
    if pending.is_empty() {
        return Ok(from);
    }
    let bytes = pending.split().freeze();
    let to = from + bytes.len() as u64;
    let blob = context.put_blob(bytes).await?;
    let writes = [
        Write::Output(OutputChunk { exec, from, to, blob }),
        Write::ExecProgress { id: exec, consumed: to, ended: None },
    ];
    context.commit(&writes, &[EventPayload::Output { run, exec, from, to }]).await?;
    Ok(to)
}

/// Ends what a dead server left running in an adopted sandbox, except for agents: those are followed, all else is done
/// again.
pub(crate) async fn end_strays(context: &Context) -> Result<(), Halt> {
    let Some(sandbox) = context.sandbox.lock().clone() else { return Ok(()) };
    let mut agents = Vec::new();
    for run in context.shared.store.runs(context.session.id).await?.iter().filter(|run| !run.state.is_over()) {
        let rows = context.shared.store.execs(run.id).await?;
        agents.extend(rows.into_iter().filter(|row| row.purpose == "agent").map(|row| row.id));
    }
    for exec in sandbox.list().await? {
        if exec.status.is_none() && !agents.contains(&exec.id) {
            sandbox.attach(exec.id, exec.output).await?.kill().await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrets::{MASK, Secret};

    const SECRET: &str = "tok_9f86d081884c7d65";

    #[test]
    fn a_secret_over_any_two_chunks_is_neither_stored_nor_logged_at_any_moment() {
        let known = Known::nothing();
        known.learn([&Secret::new(SECRET)]);
        let whole = format!("before {SECRET} after tok_9");
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let mut shown = Shown::new(&known, 1000);
                let mut stored = Vec::new();
                for chunk in [&whole[..first], &whole[first..second], &whole[second..]] {
                    shown.push(chunk.as_bytes());
                    // The store takes what there is, whenever it has time.
                    stored.extend_from_slice(&shown.pending.split());
                    let so_far = String::from_utf8_lossy(&stored);
                    assert!(!so_far.contains("tok_"), "cut at {first} and {second}: {so_far}");
                }
                shown.finish();
                stored.extend_from_slice(&shown.pending.split());
                let expected = format!("before {MASK} after tok_9");
                assert_eq!(String::from_utf8_lossy(&stored), expected, "cut at {first} and {second}");
                assert_eq!(shown.log, stored);
            }
        }
    }

    #[test]
    fn the_log_is_the_beginning_and_what_is_stored_is_all() {
        let mut shown = Shown::new(&Known::nothing(), 5);
        for chunk in ["abc", "def", "ghi"] {
            shown.push(chunk.as_bytes());
        }
        shown.finish();
        assert_eq!((shown.log.as_slice(), &shown.pending[..]), (&b"abcde"[..], &b"abcdefghi"[..]));
    }
}
