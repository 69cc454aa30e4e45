//! What can happen, one act at a time: a server's next step, a janitor's, or a fault.

use super::{
    Planted, Protocol,
    state::{
        Action, ActionState, Change, Commit, Lease, Owner, Point, Record, Run, RunState, STEPS, Sandbox, State,
        StepState, Work,
    },
};

/// Something that happens; the number is the server's, or the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// An idle worker claims the next action.
    Claim(u8),
    /// It does, but never hears of it.
    ClaimUnheard(u8),
    /// The keeper raises the beat, or hears that the lease is lost and ends the work.
    Beat(u8),
    /// The worker does what is next.
    Go(u8),
    /// It does, but hears of an error.
    GoUnheard(u8),
    /// It fails to.
    GoFails(u8),
    /// The janitor looks at a lease.
    Watch(u8),
    /// The janitor takes over a lease that did not beat since it looked.
    TakeOver(u8),
    /// The server dies.
    Crash(u8),
    /// It is started again.
    Restart(u8),
    /// A sandbox ends that nobody renews.
    SandboxEnds(u8),
}

/// What is asked of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// [`store::Store::claim`].
    Claim(Owner),
    /// [`store::Store::beat`].
    Beat(Owner, u8),
    /// [`store::Store::release`].
    Release(Owner, u8),
    /// [`store::Store::expire`].
    Expire(Lease),
    /// [`store::Store::commit`] under a lease.
    Commit(Owner, u8, Vec<Put>),
}

/// One write of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Adds the run with this number for a step.
    AddRun(u8, u8),
    /// Fails a run.
    FailRun(u8),
    /// Notes a run's commit.
    Commit(u8, Commit),
    /// Ends a run well.
    SucceedRun(u8),
    /// Writes the change.
    Change(Change),
    /// Moves a step from one state to another.
    Step(u8, StepState, StepState),
    /// Moves an action from one state to another.
    Action(u8, ActionState, ActionState),
}

/// What the store says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was done.
    Accepted,
    /// There was nothing to do, or it was not as the caller saw it.
    No,
    /// [`store::StoreError::Fenced`].
    Fenced,
}

/// A call of the store with its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub op: Op,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The world after it.
    pub state: State,
    /// The call of the store that was part of it.
    pub call: Option<Call>,
}

/// Whether a worker hears how its act went.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Well,
    DoneButError,
    NotDone,
}

/// Beats that are told apart within one epoch.
const BEATS: u8 = 1;

impl Record {
    fn first(&self) -> Option<usize> {
        self.actions.iter().position(|action| matches!(action.state, ActionState::Queued | ActionState::Running))
    }

    /// What freeing the lease does to the queue.
    fn requeue(&mut self, planted: Option<Planted>) {
        for action in self.actions.iter_mut().filter(|action| action.state == ActionState::Running) {
            action.state = ActionState::Queued;
            action.attempts -= u8::from(planted == Some(Planted::AttemptsForgotten));
        }
    }

    fn apply(&mut self, put: Put) {
        match put {
            Put::AddRun(_, step) => self.runs.push(Run { step, state: RunState::Running, commit: None }),
            Put::FailRun(run) => self.runs[usize::from(run)].state = RunState::Failed,
            Put::SucceedRun(run) => self.runs[usize::from(run)].state = RunState::Succeeded,
            Put::Commit(run, commit) => self.runs[usize::from(run)].commit = Some(commit),
            Put::Change(change) => self.change = change,
            Put::Step(step, _, to) => self.steps[usize::from(step)] = to,
            Put::Action(step, from, to) => {
                let action = &mut self.actions[usize::from(step)];
                action.state = to;
                action.handed_back += u8::from(from == ActionState::Running);
            }
        }
    }
}

impl State {
    fn owner(&self, server: u8) -> Owner {
        Owner { server, life: self.servers[usize::from(server)].life }
    }

    fn holds(&self, server: u8, epoch: u8) -> bool {
        self.record.lease.owner == Some(self.owner(server)) && self.record.lease.epoch == epoch
    }

    /// True when somebody alive works under the lease as it is.
    fn is_worked_on(&self) -> bool {
        self.record.lease.owner.is_some_and(|owner| {
            let server = self.servers[usize::from(owner.server)];
            server.up
                && server.life == owner.life
                && server.work.is_some_and(|work| work.epoch == self.record.lease.epoch)
        })
    }
}

impl Protocol {
    fn host(&self, server: u8) -> usize {
        if self.one_host { 0 } else { usize::from(server) }
    }

    fn plants(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }

    /// What `act` does; nothing when it cannot happen.
    pub fn step(&self, state: &State, act: Act) -> Option<Moved> {
        let mut state = State { ghost: state.ghost.counts(), ..state.clone() };
        let call = match act {
            Act::Claim(s) => self.claim(&mut state, s, Heard::Well)?,
            Act::ClaimUnheard(s) => {
                spend(&mut state.faults.hiccups)?;
                self.claim(&mut state, s, Heard::DoneButError)?
            }
            Act::Beat(s) => Some(self.beat(&mut state, s)?),
            Act::Go(s) => self.go(&mut state, s, Heard::Well)?,
            Act::GoUnheard(s) => {
                spend(&mut state.faults.hiccups)?;
                self.go(&mut state, s, Heard::DoneButError)?
            }
            Act::GoFails(s) => {
                spend(&mut state.faults.hiccups)?;
                self.go(&mut state, s, Heard::NotDone)?
            }
            Act::Watch(s) => {
                self.watching.then_some(())?;
                self.watch(&mut state, s)?;
                None
            }
            Act::TakeOver(s) => Some(self.take_over(&mut state, s)?),
            Act::Crash(s) => {
                let server = &mut state.servers[usize::from(s)];
                if !server.up {
                    return None;
                }
                (server.up, server.work, server.watch) = (false, None, None);
                spend(&mut state.faults.stops)?;
                None
            }
            Act::Restart(s) => {
                let server = &mut state.servers[usize::from(s)];
                if server.up {
                    return None;
                }
                server.up = true;
                server.life = server.life.wrapping_add(1);
                None
            }
            Act::SandboxEnds(host) => {
                let used = state.is_worked_on()
                    && state.record.lease.owner.is_some_and(|owner| self.host(owner.server) == usize::from(host));
                let sandbox = &mut state.sandboxes[usize::from(host)];
                if !sandbox.alive || used {
                    return None;
                }
                *sandbox = Sandbox::default();
                None
            }
        };
        Some(Moved { state, call })
    }

    fn claim(&self, state: &mut State, s: u8, heard: Heard) -> Option<Option<Call>> {
        let owner = state.owner(s);
        let server = state.servers[usize::from(s)];
        if !server.up || server.work.is_some() {
            return None;
        }
        let record = &mut state.record;
        let first = record
            .first()
            .filter(|first| record.lease.owner.is_none() && record.actions[*first].state == ActionState::Queued);
        let Some(step) = first else {
            let nothing = Call { op: Op::Claim(owner), verdict: Verdict::No };
            return (heard == Heard::Well).then_some(Some(nothing));
        };
        let action = &mut record.actions[step];
        action.state = ActionState::Running;
        action.attempts += 1;
        record.lease = Lease { owner: Some(owner), epoch: record.lease.epoch + 1, beat: 0 };
        let lost = action.attempts - action.handed_back - 1;
        let poison = i64::from(lost) >= domain::MAX_LOST_ATTEMPTS;
        state.ghost.claims[step] += 1;
        if heard == Heard::Well {
            state.ghost.worked[step] += u8::from(!poison);
            state.servers[usize::from(s)].work = Some(Work {
                step: u8::try_from(step).expect("few steps"),
                epoch: record.lease.epoch,
                at: if poison { Point::GiveUp } else { Point::Adopt },
                run: None,
                adopted: false,
                change: Change::default(),
            });
        }
        Some(Some(Call { op: Op::Claim(owner), verdict: Verdict::Accepted }))
    }

    fn beat(&self, state: &mut State, s: u8) -> Option<Call> {
        let work = state.servers[usize::from(s)].work?;
        let holds = state.holds(s, work.epoch);
        if !holds {
            state.servers[usize::from(s)].work = None;
        } else if !self.watching || state.record.lease.beat >= BEATS {
            return None;
        } else {
            state.record.lease.beat += 1;
        }
        let verdict = if holds { Verdict::Accepted } else { Verdict::No };
        Some(Call { op: Op::Beat(state.owner(s), work.epoch), verdict })
    }

    fn watch(&self, state: &mut State, s: u8) -> Option<()> {
        let (me, lease) = (state.owner(s), state.record.lease);
        let holder = lease.owner?;
        let worked_on_here = holder == me && state.is_worked_on();
        let unwatched = holder == me && self.plants(Planted::OwnLeasesUnwatched);
        let server = &mut state.servers[usize::from(s)];
        if !server.up || worked_on_here || unwatched || server.watch == Some(lease) {
            return None;
        }
        server.watch = Some(lease);
        Some(())
    }

    fn take_over(&self, state: &mut State, s: u8) -> Option<Call> {
        if !self.watching {
            // To look and to take at once leaves out only take-overs that fail.
            self.watch(state, s)?;
        }
        let seen = state.servers[usize::from(s)].watch.take()?;
        let op = Op::Expire(seen);
        let lease = state.record.lease;
        let same_holder = (lease.owner, lease.epoch) == (seen.owner, seen.epoch);
        if lease != seen && !(same_holder && self.plants(Planted::TakeOverWithoutCompare)) {
            return Some(Call { op, verdict: Verdict::No });
        }
        if state.is_worked_on() {
            // To be seen silent while it lives, its holder was paused; nobody sees itself paused.
            if seen.owner == Some(state.owner(s)) {
                return None;
            }
            spend(&mut state.faults.stops)?;
        }
        state.ghost.rash |= lease != seen;
        state.record.lease = Lease { owner: None, epoch: lease.epoch + 1, beat: seen.beat };
        state.record.requeue(self.planted);
        Some(Call { op, verdict: Verdict::Accepted })
    }

    /// One guarded transaction of a worker.
    fn commit(&self, state: &mut State, s: u8, epoch: u8, puts: Vec<Put>) -> Call {
        let holds = state.holds(s, epoch);
        let accepted = holds || self.plants(Planted::FenceIgnored);
        if accepted {
            for put in &puts {
                state.record.apply(*put);
                if let Put::Action(step, ActionState::Running, _) = put {
                    state.ghost.ended[usize::from(*step)] += 1;
                }
            }
        }
        state.ghost.stale_write |= accepted && !holds;
        state.ghost.fenced |= !accepted;
        let verdict = if accepted { Verdict::Accepted } else { Verdict::Fenced };
        Call { op: Op::Commit(state.owner(s), epoch, puts), verdict }
    }

    fn go(&self, state: &mut State, s: u8, heard: Heard) -> Option<Option<Call>> {
        let mut work = state.servers[usize::from(s)].work?;
        let outside = !matches!(work.at, Point::Ask | Point::Send | Point::Read);
        if heard != Heard::Well && !outside {
            return None;
        }
        let on_error = match work.at {
            Point::GiveUp | Point::Retry => Some(Point::Release),
            Point::Release => None,
            _ => Some(Point::Retry),
        };
        if heard == Heard::NotDone {
            state.servers[usize::from(s)].work = on_error.map(|at| Work { at, ..work });
            return Some(None);
        }
        let (call, next) = self.advance(state, s, &mut work);
        let refused = call.as_ref().is_some_and(|call| call.verdict == Verdict::Fenced);
        let next = match heard {
            Heard::DoneButError if refused => return None,
            Heard::DoneButError => on_error,
            _ if refused => Some(Point::Release),
            _ => next,
        };
        state.servers[usize::from(s)].work = next.map(|at| Work { at, ..work });
        Some(call)
    }

    /// Does what is next; what comes then if it is heard of.
    fn advance(&self, state: &mut State, s: u8, work: &mut Work) -> (Option<Call>, Option<Point>) {
        let lost = Some(Point::Release);
        match work.at {
            Point::Adopt => {
                if !self.drive(state, s, work.epoch) && state.sandboxes[self.host(s)].alive {
                    return (None, lost);
                }
                work.adopted = state.sandboxes[self.host(s)].alive;
                (None, Some(Point::Begin))
            }
            Point::Begin => self.begin(state, s, work),
            Point::Start => {
                let host = self.host(s);
                if !state.sandboxes[host].alive {
                    state.sandboxes[host] = Sandbox { alive: true, epoch: work.epoch, run: work.run };
                } else if self.drive(state, s, work.epoch) {
                    state.sandboxes[host].run = work.run;
                } else {
                    return (None, lost);
                }
                (None, Some(Point::Ask))
            }
            Point::Ask => {
                let holds = state.holds(s, work.epoch);
                if !holds && !self.plants(Planted::WayOutUnchecked) {
                    return (None, lost);
                }
                state.ghost.stale_call |= !holds;
                (None, Some(Point::Send))
            }
            Point::Send => {
                state.ghost.late_call = !state.holds(s, work.epoch);
                (None, Some(if self.plants(Planted::PushBeforeNote) { Point::Read } else { Point::Note }))
            }
            Point::Note => {
                let run = work.run.expect("a run was begun");
                let commit = Commit { run, by: work.epoch };
                let change = Change { head: Some(commit), ..state.record.change };
                let call = self.commit(state, s, work.epoch, vec![Put::Commit(run, commit), Put::Change(change)]);
                (Some(call), Some(Point::Read))
            }
            Point::Read => {
                work.change = state.record.change;
                if self.plants(Planted::PushBeforeNote) {
                    work.change.head = work.run.map(|run| Commit { run, by: work.epoch });
                }
                let pushed = work.change.pushed == work.change.head;
                (None, Some(if pushed { Point::Open } else { Point::Push }))
            }
            Point::Push => (None, Some(if self.push(state, s, work) { Point::NotePush } else { Point::Release })),
            Point::NotePush => {
                let mut puts = Vec::new();
                if let (true, Some(run), Some(head)) =
                    (self.plants(Planted::PushBeforeNote), work.run, work.change.head)
                {
                    puts.push(Put::Commit(run, head));
                }
                work.change.pushed = work.change.head;
                puts.push(Put::Change(work.change));
                (Some(self.commit(state, s, work.epoch, puts)), Some(Point::Open))
            }
            Point::Open => {
                if !work.change.pull_request {
                    let looks_up = !self.plants(Planted::PullRequestNotLookedUp);
                    let known = looks_up && state.forge.pull_requests > 0;
                    state.forge.pull_requests += u8::from(!known);
                }
                (None, Some(if work.change.pull_request { Point::Finish } else { Point::NotePullRequest }))
            }
            Point::NotePullRequest => {
                work.change.pull_request = true;
                let call = self.commit(state, s, work.epoch, vec![Put::Change(work.change)]);
                (Some(call), Some(Point::Finish))
            }
            Point::Finish => {
                let run = work.run.expect("a run was begun");
                let from = state.record.steps[usize::from(work.step)];
                let mut puts = vec![Put::SucceedRun(run), Put::Step(work.step, from, StepState::Completed)];
                let apart = self.plants(Planted::TwoTransactions);
                if !apart {
                    puts.push(Put::Action(work.step, ActionState::Running, ActionState::Done));
                }
                let next = if apart { Point::FinishAction } else { Point::Release };
                (Some(self.commit(state, s, work.epoch, puts)), Some(next))
            }
            Point::FinishAction => {
                let puts = vec![Put::Action(work.step, ActionState::Running, ActionState::Done)];
                (Some(self.commit(state, s, work.epoch, puts)), Some(Point::Release))
            }
            Point::GiveUp => {
                let puts = self.giving_up(&state.record, work.step);
                (Some(self.commit(state, s, work.epoch, puts)), Some(Point::Release))
            }
            Point::Retry => {
                let Some(puts) = self.retrying(&state.record, work) else { return (None, Some(Point::Release)) };
                (Some(self.commit(state, s, work.epoch, puts)), Some(Point::Release))
            }
            Point::Release => {
                let holds = state.holds(s, work.epoch);
                if holds {
                    state.record.lease.owner = None;
                    state.record.lease.beat += 1;
                    state.record.requeue(self.planted);
                }
                let op = Op::Release(state.owner(s), work.epoch);
                (Some(Call { op, verdict: if holds { Verdict::Accepted } else { Verdict::No } }), None)
            }
        }
    }

    /// Drives the sandbox of the server's host; false when there is none or it has seen a newer epoch.
    fn drive(&self, state: &mut State, s: u8, epoch: u8) -> bool {
        let sandbox = &mut state.sandboxes[self.host(s)];
        let stale = epoch < sandbox.epoch;
        if !sandbox.alive || (stale && !self.plants(Planted::SandboxIgnoresEpoch)) {
            return false;
        }
        state.ghost.stale_drive |= stale;
        sandbox.epoch = sandbox.epoch.max(epoch);
        true
    }

    fn begin(&self, state: &mut State, s: u8, work: &mut Work) -> (Option<Call>, Option<Point>) {
        let record = &state.record;
        let open = open_run(record, work.step);
        let mut puts = Vec::new();
        let (run, goes_on) = match open {
            Some(run) if work.adopted || record.runs[usize::from(run)].commit.is_some() => (run, true),
            open => {
                puts.extend(open.map(Put::FailRun));
                let run = u8::try_from(record.runs.len()).expect("few runs");
                puts.push(Put::AddRun(run, work.step));
                (run, false)
            }
        };
        let from = record.steps[usize::from(work.step)];
        if !goes_on || from == StepState::Queued {
            puts.push(Put::Step(work.step, from, StepState::InProgress));
        }
        work.run = Some(run);
        let committed = goes_on && record.runs[usize::from(run)].commit.is_some();
        let attached = goes_on && state.sandboxes[self.host(s)].run == Some(run);
        let next = match (committed, attached) {
            (true, _) => Point::Read,
            (false, true) => Point::Ask,
            (false, false) => Point::Start,
        };
        let call = self.commit(state, s, work.epoch, puts);
        state.ghost.carried_on |= attached && call.verdict == Verdict::Accepted;
        (Some(call), Some(next))
    }

    /// Pushes the change as the worker read it: true when the branch is where it should be.
    fn push(&self, state: &mut State, s: u8, work: &Work) -> bool {
        let (new, branch) = (work.change.head, state.forge.branch);
        if branch == new {
            return true;
        }
        let holds = state.holds(s, work.epoch);
        if branch != work.change.pushed && !self.plants(Planted::PushBlind) {
            state.ghost.holder_refused |= holds;
            return false;
        }
        let noted = state.record.runs.iter().any(|run| run.commit.is_some() && run.commit == new);
        let back = matches!((branch, new), (Some(old), Some(new)) if new.run <= old.run);
        state.ghost.wrong_push |= !noted || back;
        state.ghost.late_push |= !holds;
        state.forge.branch = new;
        true
    }

    fn giving_up(&self, record: &Record, step: u8) -> Vec<Put> {
        let mut puts = Vec::new();
        if !self.plants(Planted::PoisonLeavesRun) {
            puts.extend(open_run(record, step).map(Put::FailRun));
        }
        let from = record.steps[usize::from(step)];
        puts.push(Put::Step(step, from, StepState::Poisoned));
        for later in (step + 1..).take_while(|later| usize::from(*later) < STEPS) {
            puts.push(Put::Step(later, StepState::Queued, StepState::NotStarted));
            puts.push(Put::Action(later, ActionState::Queued, ActionState::Removed));
        }
        puts.push(Put::Action(step, ActionState::Running, ActionState::Done));
        puts
    }

    /// What puts the action back; nothing when the error hid that it is over.
    fn retrying(&self, record: &Record, work: &Work) -> Option<Vec<Put>> {
        if record.actions[usize::from(work.step)].state != ActionState::Running {
            return None;
        }
        let mut puts = Vec::new();
        if let Some(run) = open_run(record, work.step).filter(|run| Some(*run) == work.run) {
            let committed = record.runs[usize::from(run)].commit.is_some();
            if !committed || self.plants(Planted::CommittedRunFails) {
                puts.push(Put::FailRun(run));
            }
        }
        let from = record.steps[usize::from(work.step)];
        if from == StepState::InProgress {
            puts.push(Put::Step(work.step, from, StepState::Queued));
        }
        puts.push(Put::Action(work.step, ActionState::Running, ActionState::Queued));
        Some(puts)
    }
}

fn open_run(record: &Record, step: u8) -> Option<u8> {
    let open = record.runs.iter().rposition(|run| run.step == step && run.state == RunState::Running)?;
    u8::try_from(open).ok()
}

fn spend(budget: &mut u8) -> Option<()> {
    *budget = budget.checked_sub(1)?;
    Some(())
}

impl Action {
    /// A row that nobody claimed yet.
    pub fn queued() -> Self {
        Self { state: ActionState::Queued, attempts: 0, handed_back: 0 }
    }
}
