//! One simulation from beginning to end.

use super::{
    Flaw, Violation, checks,
    forge::Forge,
    history::{Fact, History},
    node::{Luck, Node, SeededMint, VirtualClock},
    people::Person,
    sandboxes::{Host, House},
    script::Work,
    wire::{Record, Wire},
};
use anyhow::{Result, anyhow};
use domain::{
    Account, AccountId, Action, ActionId, ActionKind, ActionState, Budget, Clock, EventPayload, HostId, Mint, Mode,
    NoteLevel, PrMode, Repository, RepositoryId, Role, RunbookVersion, Session, SessionId, SessionNumber, StepEvent,
    StepId, StepState, Timestamp, Usage, User, UserId, VersionStep,
};
use engine::simulation::{Pace, Parts, Server, Tools, start};
use std::{path::Path, sync::Arc, time::Duration};
use store::{Fence, Store, Write};
use tokio::{runtime::Builder, time::sleep};
use uuid::Uuid;

/// How often faults strike, per thousand moments at which they can: before and after every call outside.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// The server dies.
    pub crash: u32,
    /// It stands still, up to three times as long as a lease.
    pub pause: u32,
    /// The call fails, or its answer is lost.
    pub error: u32,
    /// The call takes long.
    pub delay: u32,
}

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What every choice comes from.
    pub seed: u64,
    /// How many servers there are.
    pub servers: usize,
    /// How many sessions are worked on.
    pub sessions: usize,
    /// How many steps each has.
    pub steps: usize,
    /// How often things go wrong.
    pub rates: Rates,
    /// How often a person interferes, in a thousand looks of about half a second each.
    pub people: u32,
    /// For how long they do.
    pub trouble: Duration,
    /// How long a lease must be silent to be taken over.
    pub lease: Duration,
    /// How long an agent works at most.
    pub work: Duration,
    /// A mistake to find.
    pub flaw: Option<Flaw>,
}

impl Plan {
    /// The usual amount of trouble.
    pub fn new(seed: u64) -> Self {
        let rates = Rates { crash: 4, pause: 7, error: 6, delay: 60 };
        let (trouble, lease, work) = (Duration::from_secs(40), Duration::from_secs(3), Duration::from_secs(6));
        Self { seed, servers: 2, sessions: 2, steps: 2, rates, people: 60, trouble, lease, work, flaw: None }
    }

    /// So much trouble that attempts are lost again and again.
    #[must_use]
    pub fn cruel(self) -> Self {
        let rates = Rates { crash: 25, pause: 10, ..self.rates };
        Self { rates, people: 0, trouble: self.trouble * 4, ..self }
    }
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// A digest of the history: the same for the same plan.
    pub hash: String,
    /// What happened, for reading.
    pub history: Vec<(Duration, Fact)>,
    /// What should not have happened.
    pub violations: Vec<Violation>,
}

/// After trouble has ended, everything must be over within this time: the longest back-off, what the wall clock was off,
/// leases that must fall silent, and the work itself.
const PATIENCE: Duration = Duration::from_secs(240);

/// How often what is left is asked for, once trouble has ended.
const ASKED_AGAIN: usize = 4;

/// By how much the wall clock is set off at most, in seconds.
const OFF: u64 = 60;

/// What all simulated servers share of the real machine, kept in `dir`: make it once.
pub fn tools(dir: &Path) -> Result<Tools> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(Tools::new(dir)).map_err(|problem| anyhow!("{problem:?}"))
}

/// Runs a plan to its end, in a runtime of its own whose time is paused.
pub fn run(plan: Plan, tools: &Tools) -> Result<Outcome> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(simulate(plan, tools)))
}

async fn simulate(plan: Plan, tools: &Tools) -> Outcome {
    let history = Arc::new(History::new());
    let luck = Arc::new(Luck::new(plan));
    let record = Arc::new(Record::default());
    let forge = Arc::new(Forge::new(history.clone(), plan.flaw));
    let clock = Arc::new(VirtualClock::new(plan.flaw == Some(Flaw::WallClockLease)));
    let house = Arc::new(House::new(history.clone(), plan.flaw));
    let world = World { plan, history, luck, record, forge, house, clock, tools: tools.clone() };
    let sessions = world.ask_for_work().await;
    for session in &sessions {
        for viewer in 0..2 {
            tokio::spawn(view(world.person(), world.history.clone(), *session, viewer));
        }
    }
    let mut servers: Vec<_> = (0..plan.servers).map(|host| world.start_server(host)).collect();
    while world.history.now() < plan.trouble {
        sleep(world.luck.while_of(200, 800)).await;
        for (host, server) in servers.iter_mut().enumerate() {
            if server.node.is_dead() && world.luck.between(0, 3) == 0 {
                *server = world.start_server(host);
            }
        }
        for person in world.people(&sessions) {
            if world.luck.strikes(plan.people) {
                let Running { node, server } = world.any(&servers);
                tokio::spawn(person.interfere(node, server, world.record.clone()));
            }
        }
        if world.luck.strikes(30) {
            let micros = i64::try_from(world.luck.between(0, 2 * OFF * 1_000_000)).unwrap_or(0);
            world.clock.set_off(micros - i64::try_from(OFF).unwrap_or(0) * 1_000_000);
        }
        if world.is_over(&sessions).await && world.is_done(&sessions).await {
            break;
        }
    }
    world.luck.calm_down();
    world.clock.set_off(0);
    for (host, server) in servers.iter_mut().enumerate() {
        if server.node.is_dead() {
            *server = world.start_server(host);
        }
    }
    // Now a person who asks for the rest gets it, if not at the first time: stops may still be under way.
    for _ in 0..ASKED_AGAIN {
        let calm = world.history.now();
        while !world.is_over(&sessions).await && world.history.now() < calm + PATIENCE {
            sleep(Duration::from_millis(500)).await;
        }
        if world.is_done(&sessions).await {
            break;
        }
        for person in world.people(&sessions) {
            let Running { node, server } = world.any(&servers);
            person.ask_for_the_rest(node, server).await;
        }
    }
    // Viewers hear of the last event; leases are given back, by those who were paused or after them.
    sleep(5 * plan.lease).await;
    world.house.end_all();
    let violations =
        checks::judge(&world.plan, &world.history.facts(), &world.record.store, &world.forge, &sessions).await;
    Outcome { hash: world.history.hash(), history: world.history.facts(), violations }
}

struct World {
    plan: Plan,
    history: Arc<History>,
    luck: Arc<Luck>,
    record: Arc<Record>,
    forge: Arc<Forge>,
    house: Arc<House>,
    clock: Arc<VirtualClock>,
    tools: Tools,
}

fn fixed(kind: u8, n: usize) -> Uuid {
    Uuid::from_u128(u128::from(kind) << 64 | n as u128 | 1 << 120)
}

impl World {
    fn wire(&self, node: &Arc<Node>) -> Arc<Wire> {
        let (record, history) = (self.record.clone(), self.history.clone());
        Arc::new(Wire { record, node: node.clone(), history, flaw: self.plan.flaw })
    }

    /// A person's connection: its calls fail as those of servers do, but it is tried again.
    fn person(&self) -> Arc<Wire> {
        self.wire(&Arc::new(Node::new(self.luck.clone(), self.history.clone(), false)))
    }

    fn account() -> Account {
        Account { id: AccountId(fixed(1, 0)), name: "default".to_owned() }
    }

    fn owner() -> User {
        let (name, email) = ("Ada".to_owned(), "ada@example.org".to_owned());
        User { id: UserId(fixed(2, 0)), account: Self::account().id, name, email, role: Role::Admin }
    }

    /// A new life of the server on a host.
    fn start_server(&self, host: usize) -> Running {
        let node = Arc::new(Node::new(self.luck.clone(), self.history.clone(), true));
        let store = self.wire(&node);
        let mint: Arc<dyn Mint> = Arc::new(SeededMint::new(&self.luck));
        let clock = self.clock.clone();
        let host = HostId(fixed(9, host));
        let provider = Arc::new(Host { house: self.house.clone(), host, node: node.clone() });
        let script = Work {
            node: node.clone(),
            history: self.history.clone(),
            store: store.clone(),
            forge: self.forge.clone(),
            house: self.house.clone(),
            mint: mint.clone(),
            clock: clock.clone(),
            longest: self.plan.work,
            flaw: self.plan.flaw,
        };
        let pace = Pace {
            workers: 2,
            beat: self.plan.lease / 3,
            lease: self.plan.lease,
            backoff: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(10),
            retries: 30,
        };
        let (account, owner, script) = (Self::account(), Self::owner(), Arc::new(script));
        let parts = Parts { pace, store, clock, mint, account, owner, script, provider, host };
        let server = start(parts, &self.tools);
        node.name(server.id());
        Running { node, server }
    }

    fn people(&self, sessions: &[SessionId]) -> Vec<Person> {
        let person = |(number, session): (i64, &SessionId)| Person {
            luck: self.luck.clone(),
            history: self.history.clone(),
            session: *session,
            number: SessionNumber(number),
            steps: self.plan.steps,
        };
        (1..).zip(sessions).map(person).collect()
    }

    fn any(&self, servers: &[Running]) -> Running {
        let last = u64::try_from(servers.len() - 1).unwrap_or(0);
        servers[usize::try_from(self.luck.between(0, last)).unwrap_or(0)].clone()
    }

    /// A person asks for sessions, again whenever no answer comes: what was done already is not done twice.
    async fn ask_for_work(&self) -> Vec<SessionId> {
        let store = &self.record.store;
        let (account, owner) = (Self::account(), Self::owner());
        let repository = Repository {
            id: RepositoryId(fixed(3, 0)),
            account: account.id,
            name: "engine".to_owned(),
            forge: "local".to_owned(),
            location: "/srv/git".to_owned(),
        };
        store.account(&account).await.expect("an account");
        store.user(&owner).await.expect("a person");
        store.add_repository(&repository).await.expect("a repository");
        let person = self.person();
        let mut sessions = Vec::new();
        for n in 0..self.plan.sessions {
            let session = self.session(n, repository.id);
            loop {
                let made = person.create_session(&session, &[], &[], self.clock.now()).await;
                if matches!(made, Ok(_) | Err(store::StoreError::Conflict { .. })) {
                    break;
                }
            }
            let (writes, events) = self.request(n, session.id);
            loop {
                let asked = person.commit(session.id, Fence::Open, &writes, &events, self.clock.now()).await;
                // The second time, the version is there already.
                if matches!(asked, Ok(_) | Err(store::StoreError::Stale { .. })) {
                    break;
                }
            }
            self.history.add(Fact::Acknowledged(format!("{} was asked for", session.id)));
            sessions.push(session.id);
        }
        sessions
    }

    fn session(&self, n: usize, repository: RepositoryId) -> Session {
        Session {
            id: SessionId(fixed(4, n)),
            number: SessionNumber(0),
            account: Self::account().id,
            repository,
            requester: Self::owner().id,
            title: format!("session {n}"),
            prompt: "Add an index".to_owned(),
            mode: Mode::Standard,
            pr_mode: PrMode::SinglePr,
            draft: false,
            labels: Vec::new(),
            extras: domain::Extras::default(),
            target_branch: "main".parse().expect("a branch"),
            base: "0".repeat(40).parse().expect("a commit"),
            budget: Budget::default(),
            run_budget: Budget::default(),
            agent_session: fixed(5, n),
            version: 0,
            last_event: 0,
            usage: Usage::default(),
            archived: false,
            created_at: self.clock.now(),
        }
    }

    fn request(&self, n: usize, session: SessionId) -> (Vec<Write>, Vec<EventPayload>) {
        let step = |s: usize| StepId(fixed(6, n * 100 + s));
        let steps = (0..self.plan.steps).map(|s| VersionStep {
            id: step(s),
            number: format!("{}", s + 1),
            title: format!("step {s}"),
            leaf: true,
        });
        let texts: Vec<_> =
            (0..self.plan.steps).map(|s| format!("\n### Step {}: step {s}\n- a file\n", s + 1)).collect();
        let version = RunbookVersion {
            session,
            version: 1,
            text: format!("# Runbook: Plan\n\n## Execution Steps\n{}", texts.concat()),
            steps: steps.collect(),
            author: None,
            restores: None,
            created_at: self.clock.now(),
        };
        let leaves = (0..self.plan.steps).map(|s| (step(s), fixed(7, n * 100 + s))).collect();
        let mut writes = vec![Write::AddRunbook(version, leaves)];
        for s in 0..self.plan.steps {
            writes.push(Write::Step { id: step(s), from: StepState::NotStarted, event: StepEvent::Queue });
            writes.push(Write::Enqueue(Action {
                id: ActionId(fixed(8, n * 100 + s)),
                session,
                position: i64::try_from(s).unwrap_or(0),
                kind: ActionKind::ExecuteStep { step: step(s), version: 1 },
                state: ActionState::Queued,
                attempts: 0,
                handed_back: 0,
                stop_requested: false,
                requested_by: None,
                created_at: self.clock.now(),
                not_before: Timestamp(0),
            }));
        }
        let text = "asked for".to_owned();
        (writes, vec![EventPayload::Note { level: NoteLevel::Info, text }])
    }

    async fn is_over(&self, sessions: &[SessionId]) -> bool {
        for session in sessions {
            let queue = self.record.store.queue(*session).await.expect("memory reads");
            if !queue.is_empty() {
                return false;
            }
        }
        true
    }

    async fn is_done(&self, sessions: &[SessionId]) -> bool {
        for session in sessions {
            let steps = self.record.store.steps(*session).await.expect("memory reads");
            if !steps.iter().all(|step| step.state.is_completed()) {
                return false;
            }
        }
        true
    }
}

/// A life of a server.
#[derive(Clone)]
struct Running {
    node: Arc<Node>,
    server: Server,
}

/// Follows a session's log as `runyard attach` does.
async fn view(store: Arc<Wire>, history: Arc<History>, session: SessionId, viewer: usize) {
    let mut seen = 0;
    loop {
        let page = store.events(session, seen, 3).await.unwrap_or_default();
        for event in &page {
            seen = event.number;
            history.add(Fact::Seen { session, viewer, number: seen });
        }
        if page.is_empty() {
            store.wait_for_events(session, seen).await;
        }
    }
}
