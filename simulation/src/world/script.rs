//! What a server does for a step: the same acts outside, in the same order, as the engine's own, with a piece of time for
//! an agent.

use super::{
    Flaw,
    forge::{Forge, Moved},
    history::{Fact, History},
    node::{Cut, Node},
    sandboxes::{House, Progress, id_of},
};
use async_trait::async_trait;
use domain::{
    Change, ChangeId, ChangeKey, ChangeState, Clock, CommitId, EventPayload, ExecId, Mint, NoteLevel, Run, RunState,
    SandboxId, StepId,
};
use engine::simulation::{Act, Ended, Script};
use std::{sync::Arc, time::Duration};
use store::{ExecRow, Store, Write};
use uuid::Uuid;

pub struct Work {
    pub node: Arc<Node>,
    pub history: Arc<History>,
    pub store: Arc<dyn Store>,
    pub forge: Arc<Forge>,
    pub house: Arc<House>,
    pub mint: Arc<dyn Mint>,
    pub clock: Arc<dyn Clock>,
    /// How long an agent works at most.
    pub longest: Duration,
    pub flaw: Option<Flaw>,
}

fn cut(cut: Cut) -> Ended {
    Ended::transient(cut.to_string())
}

#[async_trait]
impl Script for Work {
    async fn execute(&self, act: &Act<'_>, step: StepId) -> Result<(), Ended> {
        let run = act.begin(Some(step)).await?;
        if run.commit.is_none() {
            if let Some(commit) = self.made_before(&run).await? {
                act.take_over(&run, commit).await?;
            } else {
                self.work(act, &run, step).await?;
                let change = self.change(act, &commit_of(&run)).await?;
                if self.flaw == Some(Flaw::PushBeforeNote) {
                    self.push(act, &change).await?;
                }
                act.note_commit(&run, &change).await?;
            }
        }
        self.publish(act).await?;
        act.complete(step).await
    }

    async fn answer(&self, act: &Act<'_>, message: &str) -> Result<(), Ended> {
        act.begin(None).await?;
        act.rest(self.node.luck.while_of(50, 1_000)).await?;
        let text = format!("heard: {message}");
        act.commit(&[], &[EventPayload::Note { level: NoteLevel::Info, text }]).await?;
        act.succeed().await
    }
}

impl Work {
    /// The commit of an earlier run of the step that was not published to the end, as in `take_over_commit`. The one
    /// change only ever grows, so it still holds what was once its head.
    async fn made_before(&self, run: &Run) -> Result<Option<CommitId>, Ended> {
        let runs = self.store.runs(run.session).await?;
        let of_step = runs.into_iter().rev().filter(|other| other.step == run.step && other.id != run.id);
        Ok(of_step.filter(|other| other.state != RunState::Succeeded).find_map(|other| other.commit))
    }

    /// The agent that is at work on the run already, wherever it is started from; else a new one.
    async fn agent(&self, act: &Act<'_>, run: &Run, sandbox: SandboxId) -> Result<ExecId, Ended> {
        let rows = self.store.execs(run.id).await?;
        let there = |row: &&ExecRow| row.sandbox == sandbox && self.house.progress(sandbox, row.id) != Progress::Gone;
        if let Some(row) = rows.iter().rev().find(there).filter(|_| self.flaw != Some(Flaw::SecondAgent)) {
            self.history.add(Fact::Adopted { session: run.session, run: run.id, exec: row.id });
            return Ok(row.id);
        }
        let (id, created_at) = (ExecId::new(self.mint.as_ref()), self.clock.now());
        let purpose = "agent".to_owned();
        let row = ExecRow { id, run: run.id, sandbox, purpose, consumed: 0, ended: None, created_at };
        act.commit(&[Write::AddExec(row)], &[]).await?;
        let longest = u64::try_from(self.longest.as_millis()).unwrap_or(u64::MAX);
        let time = self.node.luck.while_of(200, longest);
        let epoch = act.lease().epoch;
        let start = async { self.house.start(sandbox, epoch, (id, run.session, run.id), time) };
        if self.node.outside(start).await.map_err(cut)? {
            Ok(id)
        } else {
            Err(Ended::transient("the sandbox is gone, or another's"))
        }
    }

    /// The agent's work, with its calls and its output.
    async fn work(&self, act: &Act<'_>, run: &Run, step: StepId) -> Result<(), Ended> {
        let (session, lease) = (act.session().id, act.lease());
        let sandbox = id_of(act.sandbox().await?.record());
        let begun = Fact::Begun { session, action: run.action, step, run: run.id, epoch: lease.epoch };
        if !self.forge.begin(&self.node, begun).await.map_err(cut)? {
            return Err(Ended::failed("the sandbox belongs to another server now"));
        }
        let agent = self.agent(act, run, sandbox).await?;
        loop {
            act.rest(self.node.luck.while_of(100, 1_500)).await?;
            match self.house.progress(sandbox, agent) {
                Progress::Done => return Ok(()),
                Progress::Gone => return Err(Ended::transient("the agent is gone")),
                Progress::Working => {}
            }
            let held = self.store.lease(session).await?;
            if held.is_none_or(|held| (held.owner, held.epoch) != (lease.owner, lease.epoch)) {
                return Err(Ended::failed("the way out is closed"));
            }
            self.history.add(Fact::Called(session, lease.epoch));
            let text = format!("{} goes on", run.id);
            act.commit(&[], &[EventPayload::Note { level: NoteLevel::Info, text }]).await?;
        }
    }

    async fn change(&self, act: &Act<'_>, head: &CommitId) -> Result<Change, Ended> {
        let session = act.session();
        let known = self.store.changes(session.id).await?.pop();
        let change = known.unwrap_or_else(|| Change {
            id: ChangeId(Uuid::from_u128(!session.id.0.as_u128())),
            session: session.id,
            key: ChangeKey::Session,
            position: 0,
            branch: "runyard/all".parse().expect("a branch"),
            base_branch: session.target_branch.clone(),
            base: session.base.clone(),
            head: session.base.clone(),
            pushed: None,
            state: ChangeState::Branch,
            pull_request: None,
            title: "all".to_owned(),
            steps: Vec::new(),
            version: 1,
        });
        Ok(Change { head: head.clone(), ..change })
    }

    async fn push(&self, act: &Act<'_>, change: &Change) -> Result<(), Ended> {
        act.still_held().await?;
        let (session, head) = (act.session().id, &change.head);
        let from = async |expected| self.forge.push(&self.node, session, expected, head).await.map_err(cut);
        let mut pushed = from(change.pushed.as_ref()).await?;
        if let Err(Moved { found: Some(found) }) = &pushed
            && act.unheard(change).await?.contains(found)
        {
            pushed = from(Some(found)).await?;
        }
        pushed.map_err(|_| Ended::failed("the branch is not where it was expected"))
    }

    async fn publish(&self, act: &Act<'_>) -> Result<(), Ended> {
        let session = act.session().id;
        let change = self.store.changes(session).await?.pop();
        let mut change = change.ok_or_else(|| Ended::failed("the change is gone from the record"))?;
        if change.pushed.as_ref() != Some(&change.head) {
            self.push(act, &change).await?;
            change.pushed = Some(change.head.clone());
            act.commit(&[Write::PutChange(change.clone())], &[]).await?;
        }
        if change.pull_request.is_none() {
            act.still_held().await?;
            change.pull_request = Some(self.forge.open(&self.node, session).await.map_err(cut)?);
            change.state = ChangeState::Open;
            act.commit(&[Write::PutChange(change)], &[]).await?;
        }
        Ok(())
    }
}

/// The commit of a run's work: the same however often it is made.
fn commit_of(run: &Run) -> CommitId {
    format!("{:0>40}", run.id.0.simple().to_string()).parse().expect("forty hexadecimal digits")
}
