//! Runs, their processes and what these read and wrote.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{json, values},
};
use crate::{ExecRow, OutputChunk, StdinLine, StoreError, backend::RunRows, bounds};
use async_trait::async_trait;
use domain::{ActionId, BlobHash, ExecId, Run, RunId, RunState, SandboxId, SessionId, StepId, Timestamp};
use uuid::Uuid;

macro_rules! runs_where {
    ($rest:literal) => {
        concat!(
            "SELECT id, session, action, step, state, version, agent_session, base, commit_id, message, usage,
                started_at, finished_at
             FROM runs WHERE ",
            $rest
        )
    };
}

statements! {
    ADD_RUN("add a run") =
        "INSERT INTO runs (id, session, action, step, state, version, agent_session, base, commit_id, message, usage,
            started_at, finished_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    RUN("read a run") = runs_where!("id = $1");
    RUNS("read runs") = runs_where!("session = $1 ORDER BY started_at, id");
    PUT_RUN("write a run") =
        "UPDATE runs SET state = $3, base = $4, commit_id = $5, message = $6, usage = $7, finished_at = $8
         WHERE id = $1 AND state = $2";
    ADD_EXEC("add an exec") =
        "INSERT INTO execs (id, run, sandbox, purpose, consumed, ended, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    EXEC("read an exec") = "SELECT id, run, sandbox, purpose, consumed, ended, created_at FROM execs WHERE id = $1";
    EXECS("read execs") =
        "SELECT id, run, sandbox, purpose, consumed, ended, created_at FROM execs WHERE run = $1
         ORDER BY created_at, id";
    PUT_EXEC("write an exec") = "UPDATE execs SET consumed = $2, ended = $3 WHERE id = $1";
    ADD_STDIN("journal a line for stdin") =
        "INSERT INTO stdin_lines (exec, seq, key, line) VALUES ($1, $2, $3, $4)";
    STDIN_LINE("read the journal of stdin") =
        "SELECT exec, seq, key, line FROM stdin_lines WHERE exec = $1 AND seq = $2";
    STDIN_LINES("read the journal of stdin") =
        "SELECT exec, seq, key, line FROM stdin_lines WHERE exec = $1 ORDER BY seq";
    ADD_OUTPUT("note output") =
        "INSERT INTO outputs (exec, from_offset, to_offset, blob) VALUES ($1, $2, $3, $4)";
    OUTPUT_AT("read output") =
        "SELECT exec, from_offset, to_offset, blob FROM outputs WHERE exec = $1 AND from_offset = $2";
    OUTPUT("read output") =
        "SELECT exec, from_offset, to_offset, blob FROM outputs WHERE exec = $1 AND to_offset > $2 AND from_offset < $3
         ORDER BY from_offset";
    PUT_TRANSCRIPT("note a transcript") =
        "INSERT INTO transcripts (agent_session, blob) VALUES ($1, $2)
         ON CONFLICT (agent_session) DO UPDATE SET blob = excluded.blob";
    TRANSCRIPT("find a transcript") = "SELECT blob FROM transcripts WHERE agent_session = $1";
}

#[async_trait]
impl RunRows for SqlRows {
    async fn add_run(&mut self, new: &Run) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.session,
            new.action,
            new.step,
            json(&new.state)?,
            new.version,
            new.agent_session,
            new.base.as_ref(),
            new.commit.as_ref(),
            new.message.as_ref(),
            json(&new.usage)?,
            new.started_at,
            new.finished_at,
        ];
        self.write(&ADD_RUN, values).await.map(drop)
    }

    async fn run(&mut self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.one(&RUN, values![id]).await?.as_ref().map(run).transpose()
    }

    async fn runs(&mut self, session: SessionId) -> Result<Vec<Run>, StoreError> {
        self.all(&RUNS, values![session]).await?.iter().map(run).collect()
    }

    async fn put_run(&mut self, run: &Run, from: RunState) -> Result<bool, StoreError> {
        let values = values![
            run.id,
            json(&from)?,
            json(&run.state)?,
            run.base.as_ref(),
            run.commit.as_ref(),
            run.message.as_ref(),
            json(&run.usage)?,
            run.finished_at,
        ];
        Ok(self.write(&PUT_RUN, values).await? == 1)
    }

    async fn add_exec(&mut self, new: &ExecRow) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.run,
            new.sandbox,
            &new.purpose,
            bounds::signed(new.consumed)?,
            new.ended.as_ref(),
            new.created_at,
        ];
        self.write(&ADD_EXEC, values).await.map(drop)
    }

    async fn exec(&mut self, id: ExecId) -> Result<Option<ExecRow>, StoreError> {
        self.one(&EXEC, values![id]).await?.as_ref().map(exec).transpose()
    }

    async fn execs(&mut self, run: RunId) -> Result<Vec<ExecRow>, StoreError> {
        self.all(&EXECS, values![run]).await?.iter().map(exec).collect()
    }

    async fn put_exec(&mut self, exec: &ExecRow) -> Result<(), StoreError> {
        let values = values![exec.id, bounds::signed(exec.consumed)?, exec.ended.as_ref()];
        self.write(&PUT_EXEC, values).await.map(drop)
    }

    async fn add_stdin(&mut self, new: &StdinLine) -> Result<(), StoreError> {
        self.write(&ADD_STDIN, values![new.exec, new.seq, &new.key, &new.line]).await.map(drop)
    }

    async fn stdin_line(&mut self, exec: ExecId, seq: i64) -> Result<Option<StdinLine>, StoreError> {
        self.one(&STDIN_LINE, values![exec, seq]).await?.as_ref().map(stdin_line).transpose()
    }

    async fn stdin_lines(&mut self, exec: ExecId) -> Result<Vec<StdinLine>, StoreError> {
        self.all(&STDIN_LINES, values![exec]).await?.iter().map(stdin_line).collect()
    }

    async fn add_output(&mut self, new: &OutputChunk) -> Result<(), StoreError> {
        let values = values![new.exec, bounds::signed(new.from)?, bounds::signed(new.to)?, new.blob];
        self.write(&ADD_OUTPUT, values).await.map(drop)
    }

    async fn output_at(&mut self, exec: ExecId, from: u64) -> Result<Option<OutputChunk>, StoreError> {
        let values = values![exec, bounds::signed(from)?];
        self.one(&OUTPUT_AT, values).await?.as_ref().map(output).transpose()
    }

    async fn output(&mut self, exec: ExecId, from: u64, to: u64) -> Result<Vec<OutputChunk>, StoreError> {
        let values = values![exec, bounds::signed(from)?, bounds::signed(to)?];
        self.all(&OUTPUT, values).await?.iter().map(output).collect()
    }

    async fn put_transcript(&mut self, agent_session: Uuid, blob: BlobHash) -> Result<(), StoreError> {
        self.write(&PUT_TRANSCRIPT, values![agent_session, blob]).await.map(drop)
    }

    async fn transcript(&mut self, agent_session: Uuid) -> Result<Option<BlobHash>, StoreError> {
        let row = self.one(&TRANSCRIPT, values![agent_session]).await?;
        row.map(|row| row.columns("transcript").hash()).transpose()
    }
}

fn run(row: &Row) -> Result<Run, StoreError> {
    let mut columns = row.columns("run");
    Ok(Run {
        id: RunId(columns.uuid()?),
        session: SessionId(columns.uuid()?),
        action: ActionId(columns.uuid()?),
        step: columns.maybe_uuid()?.map(StepId),
        state: columns.json()?,
        version: columns.maybe_int()?,
        agent_session: columns.uuid()?,
        base: columns.maybe_commit()?,
        commit: columns.maybe_commit()?,
        message: columns.maybe_text()?,
        usage: columns.json()?,
        started_at: columns.time()?,
        finished_at: columns.maybe_int()?.map(Timestamp),
    })
}

fn exec(row: &Row) -> Result<ExecRow, StoreError> {
    let mut columns = row.columns("exec");
    Ok(ExecRow {
        id: ExecId(columns.uuid()?),
        run: RunId(columns.uuid()?),
        sandbox: SandboxId(columns.uuid()?),
        purpose: columns.text()?,
        consumed: bounds::unsigned(columns.int()?)?,
        ended: columns.maybe_text()?,
        created_at: columns.time()?,
    })
}

fn stdin_line(row: &Row) -> Result<StdinLine, StoreError> {
    let mut columns = row.columns("line for stdin");
    Ok(StdinLine { exec: ExecId(columns.uuid()?), seq: columns.int()?, key: columns.text()?, line: columns.text()? })
}

fn output(row: &Row) -> Result<OutputChunk, StoreError> {
    let mut columns = row.columns("output");
    Ok(OutputChunk {
        exec: ExecId(columns.uuid()?),
        from: bounds::unsigned(columns.int()?)?,
        to: bounds::unsigned(columns.int()?)?,
        blob: columns.hash()?,
    })
}
