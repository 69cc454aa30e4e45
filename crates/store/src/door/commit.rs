//! The rules of the one door: what a write may do to a session.

use super::{
    clean::Cleaned,
    webhooks::{self, Happened},
};
use crate::{
    Committed, ExecRow, Fence, OutputChunk, StdinLine, StoreError, Write,
    backend::{News, Rows},
    bounds,
};
use domain::{
    Action, ActionId, ActionState, BlobHash, EventPayload, ExecId, Knowledge, Lesson, Moment, Refused, Run, RunId,
    RunbookVersion, SandboxEvent, SandboxRecord, SandboxState, Session, SessionId, Step, StepId, StepState, Timestamp,
    Usage,
};
use std::fmt::{Debug, Display};
use uuid::Uuid;

type Result<T> = std::result::Result<T, StoreError>;

/// Checks the fence, applies every write in order and appends the events.
pub(super) async fn commit(
    rows: &mut dyn Rows,
    session: SessionId,
    fence: Fence,
    writes: &[Cleaned<Write>],
    events: &[Cleaned<EventPayload>],
    now: Timestamp,
) -> Result<Committed> {
    // Taking the numbers locks the session's row, also when there are none to take: its commits happen one after
    // the other, in the order of their numbers.
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let last_event = rows.take_event_numbers(session, count).await?.ok_or_else(|| missing("session", session))?;
    check_fence(rows, session, fence).await?;
    apply(rows, session, writes, now).await?;
    append(rows, session, last_event - count, events, now).await?;
    let happened = Happened { begins: false, writes, events, after: last_event - count };
    webhooks::tell(rows, session, &happened, now).await?;
    if may_bring_work(writes) {
        rows.announce(News::Work).await?;
    }
    Ok(Committed { last_event })
}

/// Applies every write in order.
pub(super) async fn apply(
    rows: &mut dyn Rows,
    session: SessionId,
    writes: &[Cleaned<Write>],
    now: Timestamp,
) -> Result<()> {
    let mut writing = Writing { rows, session, now };
    for write in writes {
        writing.apply(Write::clone(write)).await?;
    }
    for write in writes {
        if let Write::Action { id, to: ActionState::Done | ActionState::Removed, .. } = &**write {
            writing.has_ended_its_runs(*id).await?;
        }
    }
    Ok(())
}

/// True when an action may be ready to be claimed after these writes.
pub(super) fn may_bring_work(writes: &[Cleaned<Write>]) -> bool {
    let brings = |write: &Write| matches!(write, Write::Enqueue(_) | Write::Action { .. } | Write::RequestStop(_));
    writes.iter().any(|write| brings(write))
}

/// Appends events whose numbers were taken: the first one gets the number after `after`.
pub(super) async fn append(
    rows: &mut dyn Rows,
    session: SessionId,
    after: i64,
    events: &[Cleaned<EventPayload>],
    now: Timestamp,
) -> Result<()> {
    for (number, event) in (after + 1..).zip(events) {
        let payload = serde_json::to_string(&**event)
            .map_err(|error| StoreError::Damaged { what: "event to store", detail: error.to_string() })?;
        rows.add_event(session, number, now, &payload).await?;
    }
    if !events.is_empty() {
        rows.announce(News::Events(session)).await?;
    }
    Ok(())
}

async fn check_fence(rows: &mut dyn Rows, session: SessionId, fence: Fence) -> Result<()> {
    let Fence::Lease { owner, epoch } = fence else { return Ok(()) };
    if faultpoint::planted!("planted-lease-without-epoch") {
        return Ok(());
    }
    match rows.lease(session).await? {
        Some(lease) if lease.owner == Some(owner) && lease.epoch == epoch => Ok(()),
        _ => Err(StoreError::Fenced { epoch }),
    }
}

struct Writing<'r> {
    rows: &'r mut dyn Rows,
    session: SessionId,
    now: Timestamp,
}

impl Writing<'_> {
    async fn apply(&mut self, write: Write) -> Result<()> {
        match write {
            Write::AddRunbook(version, leaves) => self.add_runbook(&version, &leaves).await,
            Write::Step { id, from, event } => {
                let mut step = self.step(id).await?;
                expect("step", id, &from, &step.state)?;
                step.state = from.next(event)?;
                won("step", id, self.rows.put_step(&step, from).await?)
            }
            Write::Enqueue(action) => self.enqueue(&action).await,
            Write::Action { id, from, to, not_before, handed_back } => {
                let mut action = self.action(id).await?;
                expect("action", id, &from, &action.state)?;
                action.state = from.next(to)?;
                action.not_before = not_before.unwrap_or(action.not_before);
                action.handed_back += i64::from(handed_back);
                won("action", id, self.rows.put_action(&action, from).await?)
            }
            Write::ActionKind(id, kind) => {
                let mut action = self.live_action(id, "a change of what it asks").await?;
                action.kind = kind;
                won("action", id, self.rows.put_action(&action, action.state).await?)
            }
            Write::RequestStop(id) => {
                let mut action = self.live_action(id, "a stop").await?;
                action.stop_requested = true;
                if action.state == ActionState::Queued {
                    // It need not wait for its turn to be tried again.
                    action.not_before = action.not_before.min(self.now);
                }
                won("action", id, self.rows.put_action(&action, action.state).await?)
            }
            Write::AddRun(run) => self.add_run(&run).await,
            Write::Run { id, from, event, message } => {
                let mut run = self.run(id).await?;
                expect("run", id, &from, &run.state)?;
                run.state = from.next(event)?;
                run.message = message.or(run.message);
                run.finished_at = run.state.is_over().then_some(self.now);
                won("run", id, self.rows.put_run(&run, from).await?)
            }
            Write::RunBase(id, base) => {
                let run = Run { base: Some(base), ..self.run(id).await? };
                won("run", id, self.rows.put_run(&run, run.state).await?)
            }
            Write::RunCommit(id, commit) => {
                let run = Run { commit: Some(commit), ..self.run(id).await? };
                won("run", id, self.rows.put_run(&run, run.state).await?)
            }
            Write::Spend(run, usage) => self.spend(run, usage).await,
            Write::PutChange(change) => self.put_change(&change).await,
            Write::AddRequest(request) => {
                self.own("request", request.id, request.session)?;
                if let Some(run) = request.run {
                    self.run(run).await?;
                }
                fresh("request", request.id, self.rows.request(request.id).await?.is_none())?;
                self.rows.add_request(&request).await
            }
            Write::Request(id, to) => {
                let request = self.rows.request(id).await?.filter(|request| request.session == self.session);
                let from = request.ok_or_else(|| missing("request", id))?.state;
                let to = from.clone().next(to)?;
                won("request", id, self.rows.put_request(id, &from, &to).await?)
            }
            Write::PutSandbox(sandbox) => self.put_sandbox(&sandbox).await,
            Write::AddExec(exec) => self.add_exec(&exec).await,
            Write::ExecProgress { id, consumed, ended } => self.exec_progress(id, consumed, ended).await,
            Write::Stdin(line) => self.stdin(&line).await,
            Write::Output(chunk) => self.output(&chunk).await,
            Write::Transcript(agent_session, blob) => {
                self.blob(blob).await?;
                self.rows.put_transcript(agent_session, blob).await
            }
            Write::Archive(archived) => self.put_session(|session| session.archived = archived).await,
            Write::Budget { session: budget, run } => {
                self.put_session(|session| (session.budget, session.run_budget) = (budget, run)).await
            }
            Write::Title(title) => self.put_session(|session| session.title = title).await,
            Write::Describe { labels, description } => {
                self.put_session(|session| (session.labels, session.extras.description) = (labels, description)).await
            }
            Write::Persona(persona) => self.put_session(|session| session.extras.persona = persona).await,
            Write::UsedKnowledge(mut used) => {
                // In one order, so that two sessions that count at once do not wait for each other.
                used.sort_unstable();
                for id in used {
                    self.rows.used_knowledge(id, self.now).await?;
                }
                Ok(())
            }
            Write::Learn(learning, run, moment) => self.learn(&learning, run, moment).await,
            Write::Journal(key, note) => self.rows.put_note(self.session, &key, &note).await,
        }
    }

    async fn learn(&mut self, new: &Knowledge, run: RunId, moment: Moment) -> Result<()> {
        self.run(run).await?;
        let session = self.session_row().await?;
        let likeness = new.piece.likeness().filter(|_| new.account == session.account);
        let likeness = likeness.ok_or_else(|| missing("learning", new.id))?;
        let learning = if self.rows.add_knowledge(new).await? {
            new.id
        } else {
            let alike = self.rows.alike(new.account, &likeness).await?;
            alike.ok_or(StoreError::Conflict { what: "learning", detail: new.id.to_string() })?.id
        };
        let (session, number) = (session.id, session.number);
        self.rows.add_lesson(&Lesson { learning, session, number, run, moment, at: self.now }).await
    }

    async fn add_runbook(&mut self, new: &RunbookVersion, leaves: &[(StepId, Uuid)]) -> Result<()> {
        self.own("runbook", new.version, new.session)?;
        let mut session = self.session_row().await?;
        expect("runbook", "version", &new.version, &(session.version + 1))?;
        self.rows.add_runbook(new).await?;
        for (id, agent_session) in leaves {
            if let Some(step) = self.rows.step(*id).await? {
                self.own("step", id, step.session)?;
                continue;
            }
            let step = Step {
                id: *id,
                session: self.session,
                state: StepState::NotStarted,
                agent_session: *agent_session,
                usage: Usage::default(),
            };
            self.rows.add_step(&step).await?;
        }
        session.version = new.version;
        self.rows.put_session(&session).await
    }

    async fn enqueue(&mut self, action: &Action) -> Result<()> {
        self.own("action", action.id, action.session)?;
        fresh("action", action.id, self.rows.action(action.id).await?.is_none())?;
        let live = matches!(action.state, ActionState::Queued | ActionState::Running | ActionState::Waiting);
        let queue = self.rows.queue(self.session).await?;
        if let Some(taken) = queue.iter().find(|other| live && other.position == action.position) {
            return Err(StoreError::Stale {
                what: format!("place {} of the queue", action.position),
                expected: "nothing".to_owned(),
                found: taken.id.to_string(),
            });
        }
        self.rows.add_action(action).await
    }

    /// An action does not end before its runs do, or nobody would ever end them. Its state does not tell whether it has
    /// any: who read it as queued, and was slow, may come back to one that was begun and queued again since.
    async fn has_ended_its_runs(&mut self, id: ActionId) -> Result<()> {
        let runs = self.rows.runs(self.session).await?;
        match runs.iter().find(|run| run.action == id && !run.state.is_over()) {
            Some(run) => Err(stale("action", id, &"no run that goes on", &run.id)),
            None => Ok(()),
        }
    }

    async fn add_run(&mut self, run: &Run) -> Result<()> {
        self.own("run", run.id, run.session)?;
        self.action(run.action).await?;
        if let Some(step) = run.step {
            self.step(step).await?;
        }
        fresh("run", run.id, self.rows.run(run.id).await?.is_none())?;
        self.rows.add_run(run).await
    }

    async fn spend(&mut self, id: RunId, usage: Usage) -> Result<()> {
        let mut run = self.run(id).await?;
        run.usage += usage;
        won("run", id, self.rows.put_run(&run, run.state).await?)?;
        if let Some(id) = run.step {
            let mut step = self.step(id).await?;
            step.usage += usage;
            won("step", id, self.rows.put_step(&step, step.state).await?)?;
        }
        self.put_session(|session| session.usage += usage).await
    }

    async fn put_change(&mut self, change: &domain::Change) -> Result<()> {
        self.own("change", change.id, change.session)?;
        if let Some(other) = self.rows.change_with_key(self.session, change.key).await?
            && other.id != change.id
        {
            return Err(StoreError::Conflict { what: "change", detail: format!("{} is {}", change.key, other.id) });
        }
        match self.rows.change(change.id).await? {
            None => self.rows.add_change(change).await,
            Some(old) => {
                self.own("change", change.id, old.session)?;
                old.state.next(change.state)?;
                won("change", change.id, self.rows.put_change(change, old.state).await?)
            }
        }
    }

    async fn put_sandbox(&mut self, sandbox: &SandboxRecord) -> Result<()> {
        self.own("sandbox", sandbox.id, sandbox.session)?;
        match self.rows.sandbox(sandbox.id).await? {
            None => self.rows.add_sandbox(sandbox).await,
            Some(old) => {
                self.own("sandbox", sandbox.id, old.session)?;
                may_become(old.state, sandbox.state)?;
                won("sandbox", sandbox.id, self.rows.put_sandbox(sandbox, old.state).await?)
            }
        }
    }

    async fn add_exec(&mut self, exec: &ExecRow) -> Result<()> {
        bounds::signed(exec.consumed)?;
        self.run(exec.run).await?;
        let sandbox = self.rows.sandbox(exec.sandbox).await?.filter(|sandbox| sandbox.session == self.session);
        sandbox.ok_or_else(|| missing("sandbox", exec.sandbox))?;
        fresh("exec", exec.id, self.rows.exec(exec.id).await?.is_none())?;
        self.rows.add_exec(exec).await
    }

    async fn exec_progress(&mut self, id: ExecId, consumed: u64, ended: Option<String>) -> Result<()> {
        bounds::signed(consumed)?;
        let mut exec = self.exec(id).await?;
        if consumed < exec.consumed {
            return Err(stale("offset of exec", id, &format!("at most {consumed}"), &exec.consumed));
        }
        exec.consumed = consumed;
        exec.ended = ended.or(exec.ended);
        self.rows.put_exec(&exec).await
    }

    async fn stdin(&mut self, line: &StdinLine) -> Result<()> {
        self.exec(line.exec).await?;
        match self.rows.stdin_line(line.exec, line.seq).await? {
            None => self.rows.add_stdin(line).await,
            Some(old) => fresh("line for stdin", line.seq, old == *line),
        }
    }

    async fn output(&mut self, chunk: &OutputChunk) -> Result<()> {
        bounds::signed(chunk.to)?;
        if chunk.from >= chunk.to {
            return Err(StoreError::Damaged {
                what: "output to store",
                detail: format!("it ends at {} and begins at {}", chunk.to, chunk.from),
            });
        }
        self.exec(chunk.exec).await?;
        self.blob(chunk.blob).await?;
        match self.rows.output_at(chunk.exec, chunk.from).await? {
            None => self.rows.add_output(chunk).await,
            Some(old) => fresh("output", format!("{} at {}", chunk.exec, chunk.from), old == *chunk),
        }
    }

    async fn put_session(&mut self, change: impl FnOnce(&mut Session) + Send) -> Result<()> {
        let mut session = self.session_row().await?;
        change(&mut session);
        self.rows.put_session(&session).await
    }

    async fn session_row(&mut self) -> Result<Session> {
        self.rows.session(self.session).await?.ok_or_else(|| missing("session", self.session))
    }

    async fn step(&mut self, id: StepId) -> Result<Step> {
        let step = self.rows.step(id).await?.filter(|step| step.session == self.session);
        step.ok_or_else(|| missing("step", id))
    }

    async fn action(&mut self, id: ActionId) -> Result<Action> {
        let action = self.rows.action(id).await?.filter(|action| action.session == self.session);
        action.ok_or_else(|| missing("action", id))
    }

    async fn live_action(&mut self, id: ActionId, event: &str) -> Result<Action> {
        let action = self.action(id).await?;
        if matches!(action.state, ActionState::Done | ActionState::Removed) {
            return Err(refused("action", &action.state, event));
        }
        Ok(action)
    }

    async fn run(&mut self, id: RunId) -> Result<Run> {
        let run = self.rows.run(id).await?.filter(|run| run.session == self.session);
        run.ok_or_else(|| missing("run", id))
    }

    async fn exec(&mut self, id: ExecId) -> Result<ExecRow> {
        let exec = self.rows.exec(id).await?.ok_or_else(|| missing("exec", id))?;
        self.run(exec.run).await.map_err(|_| missing("exec", id))?;
        Ok(exec)
    }

    async fn blob(&mut self, hash: BlobHash) -> Result<()> {
        self.rows.blob_size(hash).await?.map(drop).ok_or_else(|| missing("blob", hash))
    }

    fn own(&self, what: &'static str, id: impl Display, session: SessionId) -> Result<()> {
        if session == self.session { Ok(()) } else { Err(missing(what, id)) }
    }
}

fn may_become(from: SandboxState, to: SandboxState) -> Result<()> {
    let events = [SandboxEvent::Made, SandboxEvent::Pause, SandboxEvent::Resume, SandboxEvent::Destroy];
    if from == to || events.into_iter().any(|event| from.next(event) == Ok(to)) {
        Ok(())
    } else {
        Err(refused("sandbox", &from, &format!("{to:?}")))
    }
}

fn expect<T: PartialEq + Debug>(what: &str, id: impl Display, expected: &T, found: &T) -> Result<()> {
    if expected == found { Ok(()) } else { Err(stale(what, id, expected, found)) }
}

/// The write's own comparison, in the database: it only fails when somebody went around the session's lock.
fn won(what: &str, id: impl Display, won: bool) -> Result<()> {
    if won { Ok(()) } else { Err(stale(what, id, &"what was read", &"something else")) }
}

fn fresh(what: &'static str, id: impl Display, fresh: bool) -> Result<()> {
    if fresh { Ok(()) } else { Err(StoreError::Conflict { what, detail: id.to_string() }) }
}

fn stale(what: &str, id: impl Display, expected: &impl Debug, found: &impl Debug) -> StoreError {
    StoreError::Stale { what: format!("{what} {id}"), expected: format!("{expected:?}"), found: format!("{found:?}") }
}

fn refused(machine: &'static str, state: &impl Debug, event: &str) -> StoreError {
    Refused { machine, state: format!("{state:?}"), event: event.to_owned() }.into()
}

pub(super) fn missing(what: &'static str, id: impl Display) -> StoreError {
    StoreError::Missing { what, id: id.to_string() }
}
