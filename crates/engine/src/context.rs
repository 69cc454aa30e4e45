//! What work on one action has at hand: the claim, the fence, the signal to stop.

use crate::{carried, gate::RunGate, halt::Halt, shared::Shared, waits::Waits};
use domain::{
    Action, BlobHash, CommitId, EventPayload, Lease, NoteLevel, Repository, Run, RunEvent, RunId, RunState,
    RunbookVersion, Session, StepEvent, StepId, StepState, User,
};
use forge::{Forge, Mirror};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use store::{Claim, Fence, StoreError, Write};
use tokio::sync::{OnceCell, watch};

/// Why a worker must let go, from least to most pressing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LetGo {
    /// Nothing: go on.
    No,
    /// The server goes down.
    GoingDown,
    /// A person asked.
    Stopped,
    /// The lease is lost.
    Fenced,
}

impl LetGo {
    pub fn halt(self) -> Option<Halt> {
        match self {
            Self::No => None,
            Self::GoingDown => Some(Halt::GoingDown),
            Self::Stopped => Some(Halt::Stopped),
            Self::Fenced => Some(Halt::Fenced),
        }
    }
}

fn finished<T>(task: Result<Result<T, StoreError>, tokio::task::JoinError>) -> Result<T, StoreError> {
    task.unwrap_or_else(|error| Err(StoreError::Database { attempt: "finish a transaction", source: Box::new(error) }))
}

/// Work on one claimed action.
pub(crate) struct Context {
    pub shared: Arc<Shared>,
    pub session: Session,
    pub action: Action,
    pub lease: Lease,
    /// Who asked for the session: author of its commits.
    pub requester: User,
    pub let_go: watch::Receiver<LetGo>,
    /// The sandbox that the keeper keeps alive.
    pub sandbox: Mutex<Option<Arc<dyn sandbox::Sandbox>>>,
    /// The way out's gate, once the run has a sandbox: it knows what may still be used.
    pub gate: Mutex<Option<Arc<RunGate>>>,
    run: Mutex<Option<Run>>,
    /// How long the run waited for people.
    pub waits: Mutex<Waits>,
    /// Set once the action is settled: what is left to do then is cut short by the loss of the lease only.
    settled: AtomicBool,
    /// Set once the mirror has what other servers made for the session.
    brought: OnceCell<()>,
}

impl Context {
    pub fn new(shared: Arc<Shared>, claim: Claim, requester: User, let_go: watch::Receiver<LetGo>) -> Self {
        Self {
            shared,
            session: claim.session,
            action: claim.action,
            lease: claim.lease,
            requester,
            let_go,
            sandbox: Mutex::new(None),
            gate: Mutex::new(None),
            run: Mutex::new(None),
            waits: Mutex::default(),
            settled: AtomicBool::new(false),
            brought: OnceCell::new(),
        }
    }

    pub fn fence(&self) -> Fence {
        Fence::Lease { owner: self.lease.owner, epoch: self.lease.epoch }
    }

    /// How long the sandbox lives without us.
    pub fn sandbox_lease(&self) -> sandbox::Lease {
        sandbox::Lease { epoch: self.lease.epoch, ttl: self.shared.settings.lease }
    }

    /// One guarded transaction of this session.
    pub async fn commit(&self, writes: &[Write], events: &[EventPayload]) -> Result<(), Halt> {
        Ok(self.try_commit(writes, events).await?)
    }

    /// The same, for callers that care how it was refused.
    ///
    /// It runs in a task of its own: a caller that is dropped, or not polled for a while, must not sit on the one
    /// writer that a database may have.
    pub async fn try_commit(&self, writes: &[Write], events: &[EventPayload]) -> Result<(), StoreError> {
        let (store, now) = (self.shared.store.clone(), self.shared.now());
        let (session, fence) = (self.session.id, self.fence());
        let (writes, events) = (writes.to_vec(), events.to_vec());
        let task = tokio::spawn(async move { store.commit(session, fence, &writes, &events, now).await });
        finished(task.await).map(drop)
    }

    /// Stores bytes, in a task of its own for the same reason.
    pub async fn put_blob(&self, bytes: impl Into<bytes::Bytes>) -> Result<BlobHash, StoreError> {
        let (store, bytes) = (self.shared.store.clone(), bytes.into());
        finished(tokio::spawn(async move { store.put_blob(&bytes).await }).await)
    }

    /// Tells people something.
    pub async fn note(&self, level: NoteLevel, text: impl Into<String>) -> Result<(), Halt> {
        self.commit(&[], &[EventPayload::Note { level, text: text.into() }]).await
    }

    /// From now on only the loss of the lease ends the work.
    pub fn heed_only_the_fence(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Does `work` to its end, unless the lease is lost.
    pub async fn undisturbed<T>(&self, work: impl Future<Output = T>) -> T {
        let before = self.settled.swap(true, Ordering::Relaxed);
        let result = work.await;
        self.settled.store(before, Ordering::Relaxed);
        result
    }

    fn heeded(&self, why: LetGo) -> Option<Halt> {
        let heed = why == LetGo::Fenced || !self.settled.load(Ordering::Relaxed);
        heed.then(|| why.halt()).flatten()
    }

    /// Fails when the worker must let go.
    pub fn check(&self) -> Result<(), Halt> {
        self.heeded(*self.let_go.borrow()).map_or(Ok(()), Err)
    }

    /// Fails when the worker must let go, or when the record gives the session to somebody else at this moment. To be
    /// asked before acts outside that are not refused by their epoch.
    pub async fn still_held(&self) -> Result<(), Halt> {
        self.check()?;
        let lease = self.shared.store.lease(self.session.id).await?;
        let ours = lease.is_some_and(|now| (now.owner, now.epoch) == (self.lease.owner, self.lease.epoch));
        if ours { Ok(()) } else { Err(Halt::Fenced) }
    }

    /// Completes when the worker must let go.
    pub async fn must_let_go(&self) -> Halt {
        let mut let_go = self.let_go.clone();
        loop {
            let why = *let_go.borrow_and_update();
            if let Some(halt) = self.heeded(why) {
                return halt;
            }
            if let_go.changed().await.is_err() {
                // The keeper is gone: nobody holds the lease for us.
                return Halt::Fenced;
            }
        }
    }

    /// Does `work`, but no longer than until the worker must let go or the run's time is over.
    pub async fn unless_let_go<T>(&self, work: impl Future<Output = Result<T, Halt>>) -> Result<T, Halt> {
        let gate = self.gate.lock().clone().filter(|_| !self.settled.load(Ordering::Relaxed));
        let time_is_over = async {
            match gate {
                Some(gate) => gate.time_is_over().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            halt = self.must_let_go() => Err(halt),
            halt = time_is_over => Err(halt),
            result = work => result,
        }
    }

    /// The run that is being worked on.
    pub fn run(&self) -> Option<Run> {
        self.run.lock().clone()
    }

    /// The id of the run that is being worked on.
    pub fn run_id(&self) -> Result<RunId, Halt> {
        self.run.lock().as_ref().map(|run| run.id).ok_or_else(|| Halt::failed("there is no run to work on"))
    }

    pub fn set_run(&self, run: Run) {
        *self.run.lock() = Some(run);
    }

    /// Write and event that move the current run; the copy in memory moves along.
    pub fn run_moves(&self, event: RunEvent, message: Option<String>) -> Result<(Vec<Write>, Vec<EventPayload>), Halt> {
        let mut guard = self.run.lock();
        let Some(run) = guard.as_mut() else { return Ok((Vec::new(), Vec::new())) };
        let from = run.state;
        let state = from.next(event).map_err(|refused| Halt::failed(refused.to_string()))?;
        run.state = state;
        run.message.clone_from(&message);
        let event_payload = self.run_event(run, state, message.clone());
        let mut writes = vec![Write::Run { id: run.id, from, event, message }];
        writes.extend(self.waits.lock().hear(run.id, event, self.shared.now()));
        Ok((writes, vec![event_payload]))
    }

    pub fn run_event(&self, run: &Run, state: RunState, message: Option<String>) -> EventPayload {
        EventPayload::RunState {
            run: run.id,
            action: self.action.id,
            action_kind: self.action.kind.name().to_owned(),
            step: run.step,
            state,
            message,
        }
    }

    /// Write and event that move a step from the state that it has in the store.
    pub async fn step_moves(&self, step: StepId, event: StepEvent) -> Result<(Vec<Write>, Vec<EventPayload>), Halt> {
        let steps = self.shared.store.steps(self.session.id).await?;
        let from = steps.iter().find(|row| row.id == step).map_or(StepState::NotStarted, |row| row.state);
        let state = from.next(event).map_err(|refused| Halt::failed(refused.to_string()))?;
        let version = self.shared.store.runbook(self.session.id, None).await?;
        let (number, title) = version
            .as_ref()
            .and_then(|version| version.step(step))
            .map_or_else(Default::default, |found| (found.number.clone(), found.title.clone()));
        Ok((
            vec![Write::Step { id: step, from, event }],
            vec![EventPayload::StepState { step, number, title, state, why: None }],
        ))
    }

    /// The runbook's newest version.
    pub async fn runbook(&self) -> Result<RunbookVersion, Halt> {
        self.shared
            .store
            .runbook(self.session.id, None)
            .await?
            .ok_or_else(|| Halt::failed("the session has no runbook"))
    }

    /// The session's repository.
    pub async fn repository(&self) -> Result<Repository, Halt> {
        self.shared
            .store
            .repository(self.session.repository)
            .await?
            .ok_or_else(|| Halt::failed("the session's repository is gone from the record"))
    }

    /// The mirror of the session's repository. It has all that the record names, whichever server made it.
    pub async fn mirror(&self) -> Result<Mirror, Halt> {
        let repository = self.repository().await?;
        let mirror = self.shared.forge.mirror(&repository, &self.shared.mirror_dir(repository.id)).await?;
        // What comes later is made here.
        self.brought.get_or_try_init(|| carried::bring(&self.shared, &self.session, &mirror)).await?;
        Ok(mirror)
    }

    /// What was noted under `key`.
    pub async fn journal<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Halt> {
        match self.shared.store.journal(self.session.id, key).await? {
            None => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| Halt::failed(format!("the note `{key}` is damaged: {error}"))),
        }
    }

    /// The session's base and the tip of its newest change: where the next work starts.
    pub async fn tip(&self) -> Result<CommitId, Halt> {
        let changes = self.shared.store.changes(self.session.id).await?;
        Ok(changes.last().map_or_else(|| self.session.base.clone(), |change| change.head.clone()))
    }
}
