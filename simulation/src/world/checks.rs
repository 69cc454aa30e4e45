//! What must hold, read off the history and the record as it is at the end.

use super::{forge::Forge, history::Fact, stage::Plan};
use domain::{
    ActionId, CommitId, Completion, EventPayload, ExecId, MAX_LOST_ATTEMPTS, Payload, ServerId, SessionId, StepId,
    StepState,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};
use store::{MemoryStore, Store};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one, such as `I3`.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// How long after an event a viewer may hear of it: the longest wait for events, and a line that is cut a few times.
const LAG: Duration = Duration::from_secs(8);

/// A lease as the history tells it.
#[derive(Default)]
struct Held {
    owner: Option<ServerId>,
    epoch: i64,
    alive: Duration,
}

/// When an agent lived.
struct Agent {
    exec: ExecId,
    from: Duration,
    until: Option<Duration>,
}

#[derive(Default)]
struct Judge {
    violations: Vec<Violation>,
    leases: BTreeMap<SessionId, Held>,
    completed: BTreeMap<StepId, usize>,
    begun: BTreeMap<ActionId, i64>,
    ended: BTreeMap<ActionId, i64>,
    noted: BTreeMap<SessionId, Vec<CommitId>>,
    opened: BTreeMap<SessionId, usize>,
    seen: BTreeMap<(SessionId, usize), i64>,
    told: BTreeMap<SessionId, Vec<String>>,
    /// Actions that were to be stopped, and the first epoch under which somebody claimed them after that.
    stops: BTreeMap<ActionId, Option<i64>>,
    agents: BTreeMap<SessionId, Vec<Agent>>,
    /// When each event was committed, by number.
    events: BTreeMap<SessionId, Vec<Duration>>,
}

/// Everything that is wrong.
pub async fn judge(
    plan: &Plan,
    facts: &[(Duration, Fact)],
    store: &MemoryStore,
    forge: &Forge,
    sessions: &[SessionId],
) -> Vec<Violation> {
    let mut judge = Judge::default();
    for (at, fact) in facts {
        judge.hear(plan, *at, fact);
    }
    for session in sessions {
        judge.look(store, forge, *session).await;
        judge.compare_agents(plan, *session);
    }
    judge.violations
}

impl Judge {
    fn violated(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.violations.push(Violation { invariant, what: what.into() });
    }

    fn hear(&mut self, plan: &Plan, at: Duration, fact: &Fact) {
        match fact {
            Fact::Claimed { session, action, lease, due, now } => {
                if let Some(claimed) = self.stops.get_mut(action) {
                    claimed.get_or_insert(lease.epoch);
                }
                let held = self.leases.entry(*session).or_default();
                let (free, rises) = (held.owner.is_none(), lease.epoch > held.epoch);
                *held = Held { owner: Some(lease.owner), epoch: lease.epoch, alive: at };
                if !free || !rises {
                    self.violated("I3", format!("at {at:?} epoch {} was given while it was held", lease.epoch));
                }
                if due > now {
                    self.violated("I9", format!("at {at:?} an action was claimed before its time"));
                }
            }
            Fact::Beat(session, _) => self.leases.entry(*session).or_default().alive = at,
            Fact::Released(session, _) => self.leases.entry(*session).or_default().owner = None,
            Fact::Expired(session, seen) => {
                let held = self.leases.entry(*session).or_default();
                let silent = at.saturating_sub(held.alive);
                (held.owner, held.epoch) = (None, seen.epoch + 1);
                if silent < plan.lease {
                    self.violated("I3", format!("at {at:?} a lease was taken that was silent for {silent:?} only"));
                }
            }
            Fact::Committed { session, owner, epoch, ended, completed } => {
                let held = self.leases.entry(*session).or_default();
                if (held.owner, held.epoch) != (Some(*owner), *epoch) {
                    let newer = held.epoch;
                    self.violated("I3", format!("at {at:?} epoch {epoch} wrote, when {newer} was the session's"));
                }
                for action in ended {
                    *self.ended.entry(*action).or_default() += 1;
                }
                for step in completed {
                    *self.completed.entry(*step).or_default() += 1;
                }
            }
            Fact::Begun { action, step, epoch, .. } => {
                *self.begun.entry(*action).or_default() += 1;
                let ended = self.ended.get(action).copied().unwrap_or(0);
                // Who claimed it before the stop, and stood still since, cannot know.
                if self.stops.get(action).copied().flatten().is_some_and(|claimed| *epoch >= claimed) {
                    self.violated("I11", format!("at {at:?} {action} was begun, which was claimed after its stop"));
                }
                if self.completed.contains_key(step) {
                    self.violated("I2", format!("at {at:?} work on {step} began, which was completed"));
                }
                if self.begun[action] > ended + MAX_LOST_ATTEMPTS {
                    self.violated("I4", format!("at {at:?} {action} was begun once more than it may be lost"));
                }
            }
            Fact::Noted(session, commit) => self.noted.entry(*session).or_default().push(commit.clone()),
            Fact::Pushed { session, from, to } => {
                let noted = self.noted.entry(*session).or_default();
                let place = |commit: &CommitId| noted.iter().position(|known| known == commit);
                let (before, after) = (from.as_ref().and_then(place), place(to));
                if after.is_none() || before > after {
                    self.violated("I5", format!("at {at:?} the branch went from {from:?} to {to}"));
                }
            }
            Fact::Opened(session) => {
                let opened = self.opened.entry(*session).or_default();
                *opened += 1;
                if *opened > 1 {
                    self.violated("I5", format!("at {at:?} {session} got another pull request"));
                }
            }
            Fact::Events(session, last) => {
                let times = self.events.entry(*session).or_default();
                times.resize(usize::try_from(*last).unwrap_or(0), at);
            }
            Fact::Seen { session, viewer, number } => {
                let last = self.seen.insert((*session, *viewer), *number).unwrap_or(0);
                if *number != last + 1 {
                    self.violated("I7", format!("at {at:?} a viewer saw {number} after {last}"));
                }
                let index = usize::try_from(*number - 1).unwrap_or(0);
                let made = self.events.get(session).and_then(|times| times.get(index)).copied();
                if made.is_none_or(|made| at.saturating_sub(made) > LAG) {
                    self.violated("I7", format!("at {at:?} a viewer saw {number}, which was there at {made:?}"));
                }
            }
            Fact::Told(session, text) => self.told.entry(*session).or_default().push(text.clone()),
            Fact::StopAsked { action, .. } => {
                self.stops.entry(*action).or_insert(None);
            }
            Fact::AgentStarted { session, exec, .. } => {
                let agent = Agent { exec: *exec, from: at, until: None };
                self.agents.entry(*session).or_default().push(agent);
            }
            Fact::AgentEnded { session, exec, at } => {
                let agents = self.agents.entry(*session).or_default().iter_mut();
                agents.filter(|agent| agent.exec == *exec).for_each(|agent| agent.until = Some(*at));
            }
            Fact::AgentDoubled { first, second, .. } => {
                self.violated("I3", format!("at {at:?} {second} was started beside {first}"));
            }
            Fact::Asked(_)
            | Fact::Stopped(..)
            | Fact::Adopted { .. }
            | Fact::Started(_)
            | Fact::Crashed(_)
            | Fact::Paused(..)
            | Fact::Fenced(..)
            | Fact::Called(..)
            | Fact::Acknowledged(_) => {}
        }
    }

    /// An agent whose server was overtaken may live on until its sandbox's time is over, and no longer.
    fn compare_agents(&mut self, plan: &Plan, session: SessionId) {
        let agents = self.agents.remove(&session).unwrap_or_default();
        for (place, later) in agents.iter().enumerate() {
            for earlier in &agents[..place] {
                let until = earlier.until.unwrap_or(Duration::MAX);
                let both = until.min(later.until.unwrap_or(Duration::MAX)).saturating_sub(later.from);
                if both > plan.lease {
                    let (first, second) = (earlier.exec, later.exec);
                    self.violated("I6", format!("{first} lived on for {both:?} beside {second}"));
                }
            }
        }
    }

    /// The record at the end.
    async fn look(&mut self, store: &MemoryStore, forge: &Forge, session: SessionId) {
        let steps = store.steps(session).await.expect("memory reads");
        let runs = store.runs(session).await.expect("memory reads");
        let queue = store.queue(session).await.expect("memory reads");
        let change = store.changes(session).await.expect("memory reads").pop();
        for action in queue {
            self.violated("I10", format!("{} is still {:?}", action.id, action.state));
        }
        for run in runs.iter().filter(|run| !run.state.is_over()) {
            self.violated("I10", format!("{} is still {:?}", run.id, run.state));
        }
        let lease = store.lease(session).await.expect("memory reads");
        if lease.is_some_and(|lease| !lease.owner.0.is_nil()) {
            self.violated("I10", format!("the lease is still held: {lease:?}"));
        }
        for step in &steps {
            let of_step = || runs.iter().filter(|run| run.step == Some(step.id));
            let commits: BTreeSet<_> = of_step().filter_map(|run| run.commit.clone()).collect();
            let succeeded = of_step().filter(|run| run.state == domain::RunState::Succeeded).count();
            let told = self.completed.get(&step.id).copied().unwrap_or(0);
            if told > 0 && !step.state.is_completed() {
                self.violated("I1", format!("{} was completed and is {:?}", step.id, step.state));
            }
            if told > 1 || succeeded > 1 || commits.len() > 1 {
                let what = format!("{} has {told} results, {succeeded} runs, {} commits", step.id, commits.len());
                self.violated("I2", what);
            }
            let by_person = step.state == StepState::Completed(Completion::ByPerson);
            if step.state.is_completed() && !by_person && (succeeded, commits.len()) != (1, 1) {
                self.violated("I2", format!("{} is completed by {succeeded} runs, {commits:?}", step.id));
            }
            if !step.state.is_completed() {
                self.violated("I10", format!("{} is {:?}, however often it was asked for", step.id, step.state));
            }
        }
        let on_branch = forge.branch(session);
        // A late push may come after a step was given up: then the branch is at the head, and nobody noted that yet.
        let where_it_may_be = |change: &domain::Change| {
            (change.pushed == on_branch || Some(&change.head) == on_branch.as_ref()) && change.pull_request.is_some()
        };
        let any = steps.iter().any(|step| step.state == StepState::Completed(Completion::Changed));
        if any && !change.as_ref().is_some_and(where_it_may_be) {
            self.violated("I5", format!("the branch is at {on_branch:?}, on record is {change:?}"));
        }
        let events = store.events(session, 0, i64::MAX).await.expect("memory reads");
        if !events.iter().map(|event| event.number).eq((1..).take(events.len())) {
            self.violated("I7", "the events are not numbered from 1 without gaps");
        }
        let said = events.iter().filter_map(|event| match &event.payload {
            Payload::Known(EventPayload::Message { text, .. }) => Some(text.as_str()),
            _ => None,
        });
        let said: Vec<_> = said.collect();
        for text in self.told.remove(&session).unwrap_or_default() {
            if said.iter().filter(|known| **known == text).count() != 1 {
                self.violated("I1", format!("`{text}` was heard, and is not on record once"));
            }
        }
        for run in runs.iter().filter(|run| run.state == domain::RunState::Succeeded) {
            let others = runs.iter().filter(|other| other.action == run.action && other.state == run.state);
            if others.count() > 1 {
                self.violated("I2", format!("{} succeeded more than once", run.action));
            }
        }
        for viewer in 0..2 {
            let seen = self.seen.get(&(session, viewer)).copied().unwrap_or(0);
            if usize::try_from(seen).ok() != Some(events.len()) {
                self.violated("I7", format!("viewer {viewer} saw {seen} of {} events", events.len()));
            }
        }
    }
}
