//! What the way out of a sandbox asks before each call: is the lease ours, is there money left?

use crate::{context::Context, halt::chain, shared::Shared};
use async_trait::async_trait;
use domain::{Budget, EventPayload, Exceeded, Lease, Run, RunId, SessionId, Usage};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use store::{Fence, Write};

/// The gate of one run.
pub(crate) struct RunGate {
    shared: Arc<Shared>,
    session: SessionId,
    lease: Lease,
    run: RunId,
    run_budget: Budget,
    session_budget: Budget,
    started: Duration,
    /// What the run used, and the budget that it ran into.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    run: Usage,
    session: Usage,
    exceeded: Option<Exceeded>,
}

impl RunGate {
    pub fn new(context: &Context, run: &Run) -> Self {
        Self {
            shared: context.shared.clone(),
            session: context.session.id,
            lease: context.lease,
            run: run.id,
            run_budget: context.session.run_budget,
            session_budget: context.session.budget,
            started: context.shared.clock.monotonic(),
            state: Mutex::new(State { run: run.usage, session: context.session.usage, exceeded: None }),
        }
    }

    /// The budget that was used up, if one was.
    pub fn exceeded(&self) -> Option<Exceeded> {
        let worked = self.shared.clock.monotonic().saturating_sub(self.started);
        let mut state = self.state.lock();
        if state.exceeded.is_none() {
            state.exceeded = self
                .run_budget
                .exceeded(&state.run, worked)
                .or_else(|| self.session_budget.exceeded(&state.session, worked));
        }
        state.exceeded
    }
}

#[async_trait]
impl egress::Gate for RunGate {
    async fn admit(&self, _request: &egress::Admission) -> Result<(), egress::Refusal> {
        match self.shared.store.lease(self.session).await {
            Ok(Some(lease)) if lease.owner == self.lease.owner && lease.epoch == self.lease.epoch => {}
            Ok(_) => return Err(egress::Refusal::Stale("this sandbox belongs to another server now".to_owned())),
            Err(error) => {
                tracing::warn!(error = chain(&error), "failed to check a lease; the call is refused");
                return Err(egress::Refusal::Denied("the lease could not be checked".to_owned()));
            }
        }
        match self.exceeded() {
            Some(exceeded) => Err(egress::Refusal::Budget(exceeded.to_string())),
            None => Ok(()),
        }
    }

    async fn spent(&self, spent: egress::Spent) {
        {
            let mut state = self.state.lock();
            state.run += spent.usage;
            state.session += spent.usage;
        }
        let fence = Fence::Lease { owner: self.lease.owner, epoch: self.lease.epoch };
        let event = EventPayload::Usage { run: self.run, usage: spent.usage };
        let writes = [Write::Spend(self.run, spent.usage)];
        let now = self.shared.now();
        if let Err(error) = self.shared.store.commit(self.session, fence, &writes, &[event], now).await {
            tracing::warn!(error = chain(&error), usage = ?spent.usage, "failed to book what a call used");
        }
    }

    async fn note(&self, note: egress::Note) {
        tracing::debug!(session = %self.session, ?note, "the way out");
    }
}
