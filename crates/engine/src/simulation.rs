//! A server without sandbox, agent and git, for simulations under virtual time: workers, keepers, janitor, beginnings and
//! ends are the real ones; what is done for a step is a script. Only with the feature `simulation`.

use crate::{
    AgentSettings, Command, Problem, Reply, Settings, ToolRules, actions,
    begin::{self, Start},
    context::Context,
    halt::Halt,
    heads, janitor, people,
    shared::Shared,
    vault::Keys,
    worker, workspace,
};
use async_trait::async_trait;
use domain::{
    Account, ActionKind, Budget, Change, Clock, CommitId, Completion, EventPayload, HostId, Lease, Mint, PrMode, Run,
    ServerId, Session, StepEvent, StepId, User,
};
use std::{path::Path, sync::Arc, time::Duration};
use store::{Store, StoreError, Write};

/// What is done for a step.
#[async_trait]
pub trait Script: Send + Sync {
    /// Executes a leaf, from beginning its run to completing it.
    async fn execute(&self, act: &Act<'_>, step: StepId) -> Result<(), Ended>;

    /// Answers what a person said.
    async fn answer(&self, act: &Act<'_>, message: &str) -> Result<(), Ended>;
}

/// Why a script ends early; the server settles it as it does in earnest.
#[derive(Debug)]
pub struct Ended(Halt);

impl Ended {
    /// A failure that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self(Halt::transient(message))
    }

    /// A failure for good.
    pub fn failed(message: impl Into<String>) -> Self {
        Self(Halt::failed(message))
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl From<Halt> for Ended {
    fn from(halt: Halt) -> Self {
        Self(halt)
    }
}

/// A claimed action that a script works on.
pub struct Act<'a>(&'a Context);

impl Act<'_> {
    /// Its session, as claimed.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// The lease, as claimed.
    pub fn lease(&self) -> Lease {
        self.0.lease
    }

    /// Begins the action's run or goes on with the one that it has. A sandbox of the session that lives on this host is
    /// adopted when there was a run.
    pub async fn begin(&self, step: Option<StepId>) -> Result<Run, Ended> {
        let base = self.0.session.base.clone();
        let start = Start { step, agent_session: self.0.session.agent_session, base, version: Some(1) };
        Ok(begin::begin(self.0, start).await?)
    }

    /// The session's sandbox: the one that was adopted, or else a new one. It is kept alive from then on.
    pub async fn sandbox(&self) -> Result<Arc<dyn sandbox::Sandbox>, Ended> {
        let held = || self.0.sandbox.lock().clone();
        if held().is_none() && workspace::adopt(self.0).await?.is_none() {
            workspace::create(self.0, None).await?;
        }
        held().ok_or_else(|| Ended::transient("the sandbox is gone"))
    }

    /// Fails when the worker must let go, or the lease is no longer ours on record.
    pub async fn still_held(&self) -> Result<(), Ended> {
        Ok(self.0.still_held().await?)
    }

    /// Fails when the worker must let go.
    pub fn check(&self) -> Result<(), Ended> {
        Ok(self.0.check()?)
    }

    /// Does nothing for a while, unless the worker must let go.
    pub async fn rest(&self, time: Duration) -> Result<(), Ended> {
        let sleep = async {
            tokio::time::sleep(time).await;
            Ok(())
        };
        Ok(self.0.unless_let_go(sleep).await?)
    }

    /// One guarded transaction.
    pub async fn commit(&self, writes: &[Write], events: &[EventPayload]) -> Result<(), Ended> {
        Ok(self.0.commit(writes, events).await?)
    }

    /// Notes the run's commit together with the change whose head it is.
    pub async fn note_commit(&self, run: &Run, change: &Change) -> Result<(), Ended> {
        let mut writes = vec![Write::RunCommit(run.id, change.head.clone())];
        writes.extend(heads::moved(self.0, change).await?);
        self.0.commit(&writes, &[]).await?;
        self.0.set_run(Run { commit: Some(change.head.clone()), ..run.clone() });
        Ok(())
    }

    /// Notes a commit of an earlier run, which a change holds already, as this run's.
    pub async fn take_over(&self, run: &Run, commit: CommitId) -> Result<(), Ended> {
        self.0.commit(&[Write::RunCommit(run.id, commit.clone())], &[]).await?;
        self.0.set_run(Run { commit: Some(commit), ..run.clone() });
        Ok(())
    }

    /// The earlier heads of a change that its branch may be at although nobody heard of their push.
    pub async fn unheard(&self, change: &Change) -> Result<Vec<CommitId>, Ended> {
        Ok(heads::unheard(&self.0.shared, change).await?)
    }

    /// Ends run and action as succeeded.
    pub async fn succeed(&self) -> Result<(), Ended> {
        Ok(actions::succeed(self.0, Vec::new(), Vec::new()).await?)
    }

    /// Ends run, step and action as succeeded.
    pub async fn complete(&self, step: StepId) -> Result<(), Ended> {
        let (writes, events) = self.0.step_moves(step, StepEvent::Complete(Completion::Changed)).await?;
        Ok(actions::succeed(self.0, writes, events).await?)
    }
}

pub(crate) async fn perform(script: &dyn Script, context: &Context) -> Result<(), Halt> {
    let done = match &context.action.kind {
        ActionKind::ExecuteStep { step, .. } => script.execute(&Act(context), *step).await,
        ActionKind::Answer { message } => script.answer(&Act(context), message).await,
        other => Err(Ended::failed(format!("a script has no words for {}", other.name()))),
    };
    done.map_err(|ended| ended.0)
}

/// How long things take in a simulation.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Workers of each server.
    pub workers: usize,
    /// How often a lease's beat is raised.
    pub beat: Duration,
    /// How long it must be silent to be taken over.
    pub lease: Duration,
    /// The first wait after a passing failure.
    pub backoff: Duration,
    /// The longest.
    pub backoff_cap: Duration,
    /// How often such a failure is retried.
    pub retries: i64,
}

/// What a simulated server has of the outside world.
pub struct Parts {
    /// How long things take.
    pub pace: Pace,
    /// The record, as this server reaches it.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Where its ids and its randomness come from.
    pub mint: Arc<dyn Mint>,
    /// The account.
    pub account: Account,
    /// Who asks.
    pub owner: User,
    /// What it does for a step.
    pub script: Arc<dyn Script>,
    /// Its sandboxes.
    pub provider: Arc<dyn sandbox::Provider>,
    /// The machine that it is on: only sandboxes of the same one can be adopted.
    pub host: HostId,
}

/// A server that was started.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

impl Server {
    /// Its id, under which it holds leases.
    pub fn id(&self) -> ServerId {
        self.0.server
    }

    /// Does what a person asks, as its control socket would.
    pub async fn ask(&self, command: Command) -> Result<Reply, Problem> {
        people::handle(&self.0, None, command).await
    }
}

/// What is the same for all simulated servers, and has to do with the real machine: made once, before time is paused.
#[derive(Clone)]
pub struct Tools(forge::Git);

impl Tools {
    /// Keeps what they need in `dir`.
    pub async fn new(dir: &Path) -> Result<Self, Problem> {
        Ok(Self(forge::Git::new("git", &dir.join("git")).await?))
    }
}

/// Starts a server: its workers and its janitor, as tasks of the current runtime that end with it.
pub fn start(parts: Parts, tools: &Tools) -> Server {
    let Parts { pace, store, clock, mint, account, owner, script, provider, host } = parts;
    let forge = forge::LocalForge::new(tools.0.clone(), store.clone(), clock.clone());
    let both = (forge, tools.0.clone());
    let mut shared =
        Shared::new(settings(pace), store, provider, both, clock, mint, Keys::none(), (account, owner), host);
    shared.script = Some(script);
    let shared = Arc::new(shared);
    for _ in 0..pace.workers {
        tokio::spawn(worker::run(shared.clone()));
    }
    tokio::spawn(janitor::run(shared.clone()));
    Server(shared)
}

fn settings(pace: Pace) -> Settings {
    let rules = ToolRules::default();
    Settings {
        data_dir: "/nonexistent".into(),
        workers: pace.workers,
        per_account: i64::MAX,
        beat: pace.beat,
        lease: pace.lease,
        sandbox_idle: Duration::from_mins(30),
        pr_mode: PrMode::SinglePr,
        draft: false,
        run_budget: Budget::default(),
        session_budget: Budget::default(),
        pre_execution_every_step: false,
        pre_execution_timeout: Duration::from_mins(1),
        check_timeout: Duration::from_mins(1),
        check_output: 1 << 20,
        check_retries: 0,
        hold: Duration::from_mins(2),
        silence: Duration::from_mins(15),
        transient_retries: pace.retries,
        backoff: pace.backoff,
        backoff_cap: pace.backoff_cap,
        agent_attribution: false,
        public_url: None,
        agent: AgentSettings {
            sha256: None,
            claude: "/nonexistent".into(),
            model: None,
            base_url: "http://127.0.0.1:9".to_owned(),
            retries: 0,
            planning: rules.clone(),
            execution: rules,
        },
    }
}
