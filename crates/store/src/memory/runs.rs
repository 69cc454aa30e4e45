//! Runs, their processes and what these read and wrote.

use super::tables::{MemoryRows, pick};
use crate::{ExecRow, OutputChunk, StdinLine, StoreError, backend::RunRows};
use async_trait::async_trait;
use domain::{BlobHash, ExecId, Run, RunId, RunState, SessionId};
use uuid::Uuid;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl RunRows for MemoryRows {
    async fn add_run(&mut self, new: &Run) -> Result<()> {
        self.add(|tables| &mut tables.runs, new.id, new.clone())
    }

    async fn run(&mut self, id: RunId) -> Result<Option<Run>> {
        Ok(self.tables.runs.get(&id).cloned())
    }

    async fn runs(&mut self, session: SessionId) -> Result<Vec<Run>> {
        let mut runs = pick(&self.tables.runs, |run| run.session == session);
        runs.sort_by_key(|run| (run.started_at, run.id));
        Ok(runs)
    }

    async fn put_run(&mut self, run: &Run, from: RunState) -> Result<bool> {
        if self.tables.runs.get(&run.id).is_none_or(|old| old.state != from) {
            return Ok(false);
        }
        self.put(|tables| &mut tables.runs, run.id, run.clone());
        Ok(true)
    }

    async fn add_exec(&mut self, new: &ExecRow) -> Result<()> {
        self.add(|tables| &mut tables.execs, new.id, new.clone())
    }

    async fn exec(&mut self, id: ExecId) -> Result<Option<ExecRow>> {
        Ok(self.tables.execs.get(&id).cloned())
    }

    async fn execs(&mut self, run: RunId) -> Result<Vec<ExecRow>> {
        let mut execs = pick(&self.tables.execs, |exec| exec.run == run);
        execs.sort_by_key(|exec| (exec.created_at, exec.id));
        Ok(execs)
    }

    async fn put_exec(&mut self, exec: &ExecRow) -> Result<()> {
        self.put(|tables| &mut tables.execs, exec.id, exec.clone());
        Ok(())
    }

    async fn add_stdin(&mut self, new: &StdinLine) -> Result<()> {
        self.add(|tables| &mut tables.stdin, (new.exec, new.seq), new.clone())
    }

    async fn stdin_line(&mut self, exec: ExecId, seq: i64) -> Result<Option<StdinLine>> {
        Ok(self.tables.stdin.get(&(exec, seq)).cloned())
    }

    async fn stdin_lines(&mut self, exec: ExecId) -> Result<Vec<StdinLine>> {
        Ok(pick(&self.tables.stdin, |line| line.exec == exec))
    }

    async fn add_output(&mut self, new: &OutputChunk) -> Result<()> {
        self.add(|tables| &mut tables.outputs, (new.exec, new.from), new.clone())
    }

    async fn output_at(&mut self, exec: ExecId, from: u64) -> Result<Option<OutputChunk>> {
        Ok(self.tables.outputs.get(&(exec, from)).cloned())
    }

    async fn output(&mut self, exec: ExecId, from: u64, to: u64) -> Result<Vec<OutputChunk>> {
        Ok(pick(&self.tables.outputs, |chunk| chunk.exec == exec && chunk.to > from && chunk.from < to))
    }

    async fn put_transcript(&mut self, agent_session: Uuid, blob: BlobHash) -> Result<()> {
        self.put(|tables| &mut tables.transcripts, agent_session, blob);
        Ok(())
    }

    async fn transcript(&mut self, agent_session: Uuid) -> Result<Option<BlobHash>> {
        Ok(self.tables.transcripts.get(&agent_session).copied())
    }
}
