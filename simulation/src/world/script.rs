//! What a server does for a step: the same acts outside, in the same order, as the engine's own, with a sleep for an
//! agent.

use super::{
    forge::Forge,
    history::{Fact, History},
    node::{Cut, Node},
};
use async_trait::async_trait;
use domain::{Change, ChangeId, ChangeKey, ChangeState, CommitId, EventPayload, NoteLevel, Run, StepId};
use engine::simulation::{Act, Ended, Script};
use std::sync::Arc;
use store::{Store, Write};
use uuid::Uuid;

pub struct Work {
    pub node: Arc<Node>,
    pub history: Arc<History>,
    pub store: Arc<dyn Store>,
    pub forge: Arc<Forge>,
}

fn cut(cut: Cut) -> Ended {
    Ended::transient(cut.to_string())
}

#[async_trait]
impl Script for Work {
    async fn execute(&self, act: &Act<'_>, step: StepId) -> Result<(), Ended> {
        let session = act.session().id;
        let run = act.begin(step).await?;
        let epoch = act.lease().epoch;
        if run.commit.is_none() {
            let fact = Fact::Begun { session, action: run.action, step, run: run.id, epoch };
            if !self.forge.begin(&self.node, fact).await.map_err(cut)? {
                return Err(Ended::failed("the sandbox belongs to another server now"));
            }
            self.work(act, &run).await?;
            let commit = commit_of(&run);
            let change = self.change(act, &commit).await?;
            act.note_commit(&run, commit, Write::PutChange(change)).await?;
        }
        self.publish(act).await?;
        act.complete(step).await
    }
}

impl Work {
    /// The agent: calls and output.
    async fn work(&self, act: &Act<'_>, run: &Run) -> Result<(), Ended> {
        let (session, lease) = (act.session().id, act.lease());
        let slices = self.node.luck.between(1, 4);
        for slice in 1..=slices {
            act.rest(self.node.luck.while_of(50, 1_500)).await?;
            let held = self.store.lease(session).await?;
            if held.is_none_or(|held| (held.owner, held.epoch) != (lease.owner, lease.epoch)) {
                return Err(Ended::failed("the way out is closed"));
            }
            self.history.add(Fact::Called(session, lease.epoch));
            let text = format!("{slice} of {slices} in {}", run.id);
            act.commit(&[], &[EventPayload::Note { level: NoteLevel::Info, text }]).await?;
        }
        Ok(())
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

    async fn publish(&self, act: &Act<'_>) -> Result<(), Ended> {
        let session = act.session().id;
        let change = self.store.changes(session).await?.pop();
        let mut change = change.ok_or_else(|| Ended::failed("the change is gone from the record"))?;
        if change.pushed.as_ref() != Some(&change.head) {
            act.check()?;
            let pushed = self.forge.push(&self.node, session, change.pushed.as_ref(), &change.head).await;
            pushed.map_err(cut)?.map_err(|_| Ended::failed("the branch is not where it was expected"))?;
            change.pushed = Some(change.head.clone());
            act.commit(&[Write::PutChange(change.clone())], &[]).await?;
        }
        if change.pull_request.is_none() {
            act.check()?;
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
