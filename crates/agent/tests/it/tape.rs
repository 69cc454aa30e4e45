//! A process that writes what it was given.

use agent::process::{Broken, Chunk, Exit, Process, Stream};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::watch;

/// One output of a [`Tape`], given out once so many lines were read.
#[derive(Debug, Clone)]
pub struct Piece {
    pub after_lines: usize,
    pub stream: Stream,
    pub bytes: Bytes,
}

/// A process that keeps its output and takes numbered input, as the sandbox does. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Tape {
    pieces: Arc<Vec<Piece>>,
    exit: Exit,
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Default, Clone)]
struct State {
    next: u64,
    input: Vec<u8>,
    closed: bool,
    killed: bool,
}

impl Tape {
    pub fn new(pieces: Vec<Piece>, exit: Exit) -> Self {
        Self { pieces: Arc::new(pieces), exit, state: Arc::new(watch::channel(State::default()).0) }
    }

    /// Writes `bytes` at once, in chunks of these sizes.
    pub fn of(bytes: &[u8], sizes: &[usize], exit: Exit) -> Self {
        let mut pieces = Vec::new();
        let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
        while !rest.is_empty() {
            let size = (*sizes.next().unwrap_or(&usize::MAX)).clamp(1, rest.len());
            let (piece, after) = rest.split_at(size);
            pieces.push(Piece { after_lines: 0, stream: Stream::Stdout, bytes: Bytes::copy_from_slice(piece) });
            rest = after;
        }
        Self::new(pieces, exit)
    }

    /// What was written to it, by line.
    pub fn input(&self) -> Vec<serde_json::Value> {
        let input = self.state.borrow().input.clone();
        let lines = input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("JSON was written")).collect()
    }

    pub fn closed(&self) -> bool {
        self.state.borrow().closed
    }

    pub fn killed(&self) -> bool {
        self.state.borrow().killed
    }
}

#[async_trait]
impl Process for Tape {
    fn output(&mut self) -> BoxStream<'static, Result<Chunk, Broken>> {
        let (pieces, state) = (self.pieces.clone(), self.state.subscribe());
        stream::unfold((0, 0_u64, state), move |(at, end, mut state)| {
            let pieces = pieces.clone();
            async move {
                let piece = pieces.get(at)?;
                let read = |state: &State| state.input.split(|byte| *byte == b'\n').count() - 1;
                let ready = |state: &State| state.killed || read(state) >= piece.after_lines;
                let killed = state.wait_for(ready).await.ok()?.killed;
                if killed {
                    return None;
                }
                let end = end + piece.bytes.len() as u64;
                Some((Ok(Chunk { end, stream: piece.stream, bytes: piece.bytes.clone() }), (at + 1, end, state)))
            }
        })
        .boxed()
    }

    async fn write_stdin(&self, seq: u64, bytes: Bytes) -> Result<(), Broken> {
        self.state.send_modify(|state| {
            assert!(seq <= state.next, "piece {seq} came before piece {}", state.next);
            if seq == state.next {
                state.next += 1;
                state.input.extend_from_slice(&bytes);
            }
        });
        Ok(())
    }

    async fn close_stdin(&self) -> Result<(), Broken> {
        self.state.send_modify(|state| state.closed = true);
        Ok(())
    }

    async fn kill(&self) -> Result<(), Broken> {
        self.state.send_modify(|state| state.killed = true);
        Ok(())
    }

    async fn wait(&self) -> Result<Exit, Broken> {
        if self.killed() {
            return Ok(Exit { signal: Some(9), ..Exit::default() });
        }
        Ok(self.exit.clone())
    }
}

/// A recording of the real program.
pub struct Recording {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub exit: Exit,
}

impl Recording {
    pub fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/claude-code")
    }

    pub fn read(case: &str) -> Self {
        let folder = Self::folder().join(case);
        let meta: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("meta.json")).expect("meta.json")).expect("JSON");
        let code = meta["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
        Self {
            stdout: std::fs::read(folder.join("stdout.jsonl")).expect("stdout.jsonl"),
            stderr: meta["stderr"].as_str().unwrap_or_default().to_owned(),
            exit: Exit { code, ..Exit::default() },
        }
    }

    pub fn tape(&self, sizes: &[usize]) -> Tape {
        let mut tape = Tape::of(&self.stdout, sizes, self.exit.clone());
        if !self.stderr.is_empty() {
            let mut pieces = (*tape.pieces).clone();
            let bytes = Bytes::copy_from_slice(self.stderr.as_bytes());
            pieces.push(Piece { after_lines: 0, stream: Stream::Stderr, bytes });
            tape = Tape::new(pieces, self.exit.clone());
        }
        tape
    }
}

/// A turn without a prompt, for tapes that do not wait for one.
pub fn listening() -> agent::Turn {
    agent::Turn { prompt: None, tools: Vec::new(), settings: agent::Settings::default(), resume: None }
}
