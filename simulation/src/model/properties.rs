//! What must hold whatever happens, and the bounds within which everything is tried.

use super::{
    Act, Planted,
    state::{
        Action, ActionState, Change, Faults, Forge, Ghost, Lease, Owner, Record, RunState, STEPS, Sandbox, Server,
        State, StepState,
    },
};
use stateright::{Model, Property};

/// The protocol with the bounds of an exploration.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// How many servers.
    pub servers: u8,
    /// Whether they share a host, and so the session's sandbox.
    pub one_host: bool,
    /// Whether to look at a lease and to take it over are two acts, with beats in between.
    pub watching: bool,
    /// What may go wrong.
    pub faults: Faults,
    /// A mistake to find.
    pub planted: Option<Planted>,
}

impl Protocol {
    /// The acts that are no faults: what happens anyhow, sooner or later.
    fn own_acts(&self) -> impl Iterator<Item = Act> {
        (0..self.servers)
            .flat_map(|s| [Act::Claim(s), Act::Beat(s), Act::Go(s), Act::Watch(s), Act::TakeOver(s), Act::Restart(s)])
    }

    /// All acts.
    pub fn acts(&self) -> impl Iterator<Item = Act> {
        let faults = (0..self.servers).flat_map(|s| {
            [Act::ClaimUnheard(s), Act::GoUnheard(s), Act::GoFails(s), Act::Crash(s), Act::SandboxEnds(s)]
        });
        self.own_acts().chain(faults)
    }

    /// Where everything begins: two steps were asked for.
    pub fn start(&self) -> State {
        let servers = usize::from(self.servers);
        State {
            record: Record {
                lease: Lease { owner: None, epoch: 0, beat: 0 },
                actions: [Action::queued(); STEPS],
                steps: [StepState::Queued; STEPS],
                runs: Vec::new(),
                change: Change::default(),
            },
            servers: vec![Server { life: 0, up: true, work: None, watch: None }; servers],
            sandboxes: vec![Sandbox::default(); servers],
            forge: Forge::default(),
            faults: self.faults,
            ghost: Ghost::default(),
        }
    }

    /// True when nothing happens any more unless something goes wrong.
    fn is_still(&self, state: &State) -> bool {
        let moves = |act| {
            let spent = |moved: &super::Moved| moved.state.faults != state.faults;
            self.step(state, act).is_some_and(|moved| {
                let now = State { ghost: state.ghost.counts(), ..state.clone() };
                moved.state != now && !spent(&moved)
            })
        };
        !self.own_acts().any(moves)
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.record.actions.iter().all(|action| matches!(action.state, ActionState::Done | ActionState::Removed))
            && self.record.lease.owner.is_none()
            && self.record.runs.iter().all(|run| run.state != RunState::Running)
            && self.servers.iter().all(|server| server.work.is_none())
    }

    /// Makes states alike that only differ in what nobody can tell apart any more.
    fn simplify(&mut self, one_host: bool) {
        let lease = self.record.lease;
        let gone = |owner: Owner, servers: &[Server]| servers[usize::from(owner.server)].life != owner.life;
        let shared = self.servers.clone();
        for server in &mut self.servers {
            // What is seen of an epoch that is over can never be taken over.
            server.watch = server.watch.filter(|seen| seen.owner == lease.owner && seen.epoch == lease.epoch);
        }
        let rename = |owner: Owner| Owner { life: if gone(owner, &shared) { u8::MAX } else { 0 }, ..owner };
        self.record.lease.owner = lease.owner.map(rename);
        for server in &mut self.servers {
            server.watch = server.watch.map(|seen| Lease { owner: seen.owner.map(rename), ..seen });
        }
        for server in &mut self.servers {
            server.life = 0;
        }
        let [first, second] = self.servers.as_slice() else { return };
        let hosts = |sandbox: usize| (!one_host).then(|| self.sandboxes[sandbox]);
        let holds = |server: u8| lease.owner.is_some_and(|owner| owner.server == server);
        if (first, hosts(0), holds(0)) > (second, hosts(1), holds(1)) {
            self.servers.swap(0, 1);
            if !one_host {
                self.sandboxes.swap(0, 1);
            }
            let other = |owner: Owner| Owner { server: 1 - owner.server, ..owner };
            self.record.lease.owner = self.record.lease.owner.map(other);
            for server in &mut self.servers {
                server.watch = server.watch.map(|seen| Lease { owner: seen.owner.map(other), ..seen });
            }
        }
    }

    fn runs_of(&self, step: usize) -> impl Iterator<Item = &super::Run> {
        self.record.runs.iter().filter(move |run| usize::from(run.step) == step)
    }

    fn all_steps(&self, holds: impl Fn(usize) -> bool) -> bool {
        (0..STEPS).all(holds)
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, _state: &State, actions: &mut Vec<Act>) {
        actions.extend(self.acts());
    }

    fn next_state(&self, last: &State, act: Act) -> Option<State> {
        let mut next = self.step(last, act)?.state;
        next.simplify(self.one_host);
        (next != *last).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no write under a stale epoch", |_, state: &State| !state.ghost.stale_write),
            Property::always("no sandbox obeys a stale epoch", |_, state: &State| !state.ghost.stale_drive),
            Property::always("no call is admitted under a stale epoch", |_, state: &State| !state.ghost.stale_call),
            Property::always("a beating lease is not taken", |_, state: &State| !state.ghost.rash),
            Property::always("the branch has only what is on record, and only goes forward", |_, state: &State| {
                !state.ghost.wrong_push
            }),
            Property::always("the holder finds the branch where it expects it", |_, state: &State| {
                !state.ghost.holder_refused
            }),
            Property::always("a change has one pull request", |_, state: &State| state.forge.pull_requests <= 1),
            Property::always("a completed step is worked on no more", |_, state: &State| {
                state.all_steps(|step| {
                    let succeeded = state.runs_of(step).any(|run| run.state == RunState::Succeeded);
                    !succeeded || state.runs_of(step).all(|run| run.state != RunState::Running)
                })
            }),
            Property::always("a step has one result, and its commit is the only one", |_, state: &State| {
                state.all_steps(|step| {
                    let results = state.runs_of(step).filter(|run| run.state == RunState::Succeeded).count();
                    let commits = state.runs_of(step).filter(|run| run.commit.is_some()).count();
                    results <= 1 && commits <= 1 && (state.record.steps[step] != StepState::Completed || commits == 1)
                })
            }),
            Property::always("what is completed is published", |_, state: &State| {
                state.all_steps(|step| {
                    let commit = state.runs_of(step).find_map(|run| run.commit);
                    state.record.steps[step] != StepState::Completed
                        || (state.forge.branch.map(|head| head.run) >= commit.map(|commit| commit.run)
                            && state.forge.pull_requests == 1
                            && state.record.change.pull_request)
                })
            }),
            Property::always("every attempt is counted", |_, state: &State| {
                state.all_steps(|step| {
                    let action = state.record.actions[step];
                    action.attempts == state.ghost.claims[step]
                        && i64::from(state.ghost.worked[step])
                            <= i64::from(state.ghost.ended[step]) + domain::MAX_LOST_ATTEMPTS
                })
            }),
            Property::always("without faults everything ends", |model: &Self, state: &State| {
                !model.is_still(state) || state.is_over()
            }),
            Property::sometimes("both steps are completed", |_, state: &State| {
                state.is_over() && state.record.steps == [StepState::Completed; STEPS]
            }),
            Property::sometimes("somebody who lost the lease is refused", |_, state: &State| state.ghost.fenced),
            Property::sometimes("a late push of what is on record happens, and does no harm", |_, state: &State| {
                state.ghost.late_push
            }),
            Property::sometimes("a worker goes on in the sandbox of a dead one", |_, state: &State| {
                state.ghost.carried_on
            }),
            Property::sometimes("a call that was admitted in time leaves late", |_, state: &State| {
                state.ghost.late_call
            }),
            Property::sometimes("an action is given up after too many crashes", |_, state: &State| {
                state.is_over() && state.record.steps[0] == StepState::Poisoned
            }),
        ]
    }
}
