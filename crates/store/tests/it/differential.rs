//! The same random operations on memory, SQLite and PostgreSQL: the same answers, the same record.

use crate::{
    engines::Engine,
    world::{
        account_id, action, change, commit_id, everything, exec, id, note, run, runbook, sandbox, session, session_id,
        settle, step_id,
    },
};
use domain::{
    ActionKind, ActionState, Answer, BlobHash, ChangeKey, ChangeState, Completion, Failure, Lease, Request, RequestId,
    RequestKind, RequestState, RunEvent, RunState, SandboxState, ServerId, StepEvent, StepState, Timestamp, Usage,
};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use store::{ClaimLimits, Fence, OutputChunk, SessionFilter, SessionSearch, StdinLine, Store, StoreError, Write};

/// Something to do. Numbers pick from few things, so that operations meet; `lie` claims to have read something else.
#[derive(Debug, Clone)]
enum Op {
    Create(u32),
    Commit { session: u32, fence: FenceOf, parts: Vec<Part>, events: usize },
    Claim { owner: u32, per_account: i64, at: i64 },
    Beat { session: u32, late: bool },
    Release { session: u32, late: bool },
    Expire { session: u32, late: bool },
}

#[derive(Debug, Clone, Copy)]
enum FenceOf {
    Open,
    Held,
    Late,
}

#[derive(Debug, Clone)]
enum Part {
    Runbook { ahead: i64, leaf: u32 },
    Step { n: u32, event: StepEvent, lie: bool },
    Enqueue { n: u32, position: i64, due: i64 },
    Action { n: u32, to: ActionState, handed_back: bool, lie: bool },
    Kind { n: u32 },
    Stop { n: u32 },
    AddRun { n: u32, action: u32, step: Option<u32> },
    Run { n: u32, event: RunEvent, lie: bool },
    Commits { n: u32, commit: u32 },
    Spend { n: u32, usage: i64 },
    Change { n: u32, key: i64, state: ChangeState },
    Ask { n: u32 },
    Answer { n: u32, cancel: bool },
    Sandbox { n: u32, state: SandboxState },
    AddExec { n: u32, run: u32, sandbox: u32 },
    Progress { n: u32, consumed: u64, ended: bool },
    Stdin { n: u32, seq: i64, text: u8 },
    Output { n: u32, from: u64, len: u64, blob: u8 },
    Transcript { blob: u8 },
    Archive(bool),
    Budget(u64),
    Title(u8),
    Describe(u8),
    Persona(u32),
    Journal(i64),
}

fn part() -> impl Strategy<Value = Part> {
    let n = || 1..4_u32;
    let lie = || prop::bool::weighted(0.1);
    let step_events = vec![
        StepEvent::Queue,
        StepEvent::Dequeue,
        StepEvent::Start,
        StepEvent::Wait,
        StepEvent::Complete(Completion::Changed),
        StepEvent::Fail(Failure::Check),
        StepEvent::Revert,
    ];
    let run_events = vec![RunEvent::Wait, RunEvent::Resume, RunEvent::Succeed, RunEvent::Fail(Failure::Error)];
    let action_states =
        vec![ActionState::Queued, ActionState::Running, ActionState::Waiting, ActionState::Done, ActionState::Removed];
    let change_states = vec![ChangeState::Branch, ChangeState::Draft, ChangeState::Open, ChangeState::Merged];
    let sandbox_states =
        vec![SandboxState::Creating, SandboxState::Ready, SandboxState::Paused, SandboxState::Destroyed];
    prop_oneof![
        3 => (select(vec![1, 1, 1, 0, 2]), n()).prop_map(|(ahead, leaf)| Part::Runbook { ahead, leaf }),
        4 => (n(), select(step_events), lie()).prop_map(|(n, event, lie)| Part::Step { n, event, lie }),
        4 => (1..6_u32, 1..5_i64, 0..20_i64).prop_map(|(n, position, due)| Part::Enqueue { n, position, due }),
        4 => (1..6_u32, select(action_states), any::<bool>(), lie())
            .prop_map(|(n, to, handed_back, lie)| Part::Action { n, to, handed_back, lie }),
        1 => n().prop_map(|n| Part::Kind { n }),
        1 => n().prop_map(|n| Part::Stop { n }),
        4 => (n(), n(), prop::option::of(n())).prop_map(|(n, action, step)| Part::AddRun { n, action, step }),
        3 => (n(), select(run_events), lie()).prop_map(|(n, event, lie)| Part::Run { n, event, lie }),
        1 => (n(), n()).prop_map(|(n, commit)| Part::Commits { n, commit }),
        2 => (n(), 0..9_i64).prop_map(|(n, usage)| Part::Spend { n, usage }),
        3 => (n(), 1..4_i64, select(change_states)).prop_map(|(n, key, state)| Part::Change { n, key, state }),
        2 => n().prop_map(|n| Part::Ask { n }),
        2 => (n(), any::<bool>()).prop_map(|(n, cancel)| Part::Answer { n, cancel }),
        4 => (n(), select(sandbox_states)).prop_map(|(n, state)| Part::Sandbox { n, state }),
        3 => (n(), n(), n()).prop_map(|(n, run, sandbox)| Part::AddExec { n, run, sandbox }),
        2 => (n(), 0..9_u64, any::<bool>()).prop_map(|(n, consumed, ended)| Part::Progress { n, consumed, ended }),
        2 => (n(), 1..3_i64, 0..3_u8).prop_map(|(n, seq, text)| Part::Stdin { n, seq, text }),
        2 => (n(), 0..3_u64, 0..3_u64, 0..3_u8)
            .prop_map(|(n, from, len, blob)| Part::Output { n, from, len, blob }),
        1 => (0..3_u8).prop_map(|blob| Part::Transcript { blob }),
        1 => any::<bool>().prop_map(Part::Archive),
        1 => (0..3_u64).prop_map(Part::Budget),
        1 => (0..3_u8).prop_map(Part::Title),
        1 => (0..3_u8).prop_map(Part::Describe),
        1 => (0..3_u32).prop_map(Part::Persona),
        1 => (0..9_i64).prop_map(Part::Journal),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let session = || 1..4_u32;
    let late = || prop::bool::weighted(0.2);
    let fence = select(vec![FenceOf::Open, FenceOf::Open, FenceOf::Held, FenceOf::Late]);
    prop_oneof![
        1 => session().prop_map(Op::Create),
        // Mostly one write: a refused one takes the others of its commit with it.
        10 => (session(), fence, prop::collection::vec(part(), 1..3), 0..3_usize)
            .prop_map(|(session, fence, parts, events)| Op::Commit { session, fence, parts, events }),
        4 => (1..3_u32, 1..3_i64, 0..20_i64).prop_map(|(owner, per_account, at)| Op::Claim { owner, per_account, at }),
        1 => (session(), late()).prop_map(|(session, late)| Op::Beat { session, late }),
        2 => (session(), late()).prop_map(|(session, late)| Op::Release { session, late }),
        1 => (session(), late()).prop_map(|(session, late)| Op::Expire { session, late }),
    ]
}

fn compare(cases: u32, others: impl AsyncFn() -> Engine) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&prop::collection::vec(op(), 1..60), |ops| {
        runtime.block_on(async {
            let (model, other) = (Engine::memory().store(), others().await);
            let store = other.store();
            run_both(&*model, &*store, &ops).await
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn memory_and_sqlite_agree() {
    compare(40, Engine::sqlite);
}

#[test]
fn memory_and_postgres_agree() {
    compare(12, Engine::postgres);
}

async fn run_both(model: &dyn Store, other: &dyn Store, ops: &[Op]) -> Result<(), TestCaseError> {
    for store in [model, other] {
        settle(store, 1).await;
        for blob in 0..2 {
            store.put_blob(&[blob]).await.expect("stores");
        }
        store.create_session(&session(1, 1), &[action(1, 1, 1)], &[], Timestamp(0)).await.expect("a session");
    }
    for (n, op) in ops.iter().enumerate() {
        // What the operation says that it read is taken from one store and said to both.
        let step = prepare(model, op).await;
        let now = Timestamp(i64::try_from(n).expect("small"));
        let (expected, found) = (apply(model, &step, now).await, apply(other, &step, now).await);
        prop_assert_eq!(expected, found, "operation {}: {:?}", n, op);
    }
    for n in 1..4 {
        prop_assert_eq!(everything(model, n).await, everything(other, n).await);
    }
    let list = async |store: &dyn Store| store.sessions(account_id(1), &SessionFilter::default()).await.expect("lists");
    prop_assert_eq!(list(model).await, list(other).await);
    let search = SessionSearch { words: vec!["SESSION".to_owned(), "1".to_owned()], limit: 9, ..Default::default() };
    let found = async |store: &dyn Store| store.find_sessions(account_id(1), &search).await.expect("looks");
    prop_assert_eq!(found(model).await, found(other).await);
    let leases = async |store: &dyn Store| store.leases().await.expect("reads");
    prop_assert_eq!(leases(model).await, leases(other).await);
    let sandboxes = async |store: &dyn Store| store.live_sandboxes().await.expect("reads");
    prop_assert_eq!(sandboxes(model).await, sandboxes(other).await);
    for at in 0..20 {
        let due = async |store: &dyn Store| store.next_due(Timestamp(at)).await.expect("reads");
        prop_assert_eq!(due(model).await, due(other).await);
    }
    Ok(())
}

/// An operation with everything that it says it read.
enum Step {
    Create(u32),
    Commit(u32, Fence, Vec<Write>, usize),
    Claim(u32, i64, i64),
    Beat(u32, Lease),
    Release(u32, Lease),
    Expire(u32, Lease),
}

async fn prepare(model: &dyn Store, op: &Op) -> Step {
    match op {
        Op::Create(n) => Step::Create(*n),
        Op::Commit { session, fence, parts, events } => {
            let fence = match fence {
                FenceOf::Open => Fence::Open,
                FenceOf::Held => fence_of(lease(model, *session, false).await),
                FenceOf::Late => fence_of(lease(model, *session, true).await),
            };
            let mut writes = Vec::new();
            for part in parts {
                writes.push(write(model, *session, part).await);
            }
            Step::Commit(*session, fence, writes, *events)
        }
        Op::Claim { owner, per_account, at } => Step::Claim(*owner, *per_account, *at),
        Op::Beat { session, late } => Step::Beat(*session, lease(model, *session, *late).await),
        Op::Release { session, late } => Step::Release(*session, lease(model, *session, *late).await),
        Op::Expire { session, late } => Step::Expire(*session, lease(model, *session, *late).await),
    }
}

fn fence_of(lease: Lease) -> Fence {
    Fence::Lease { owner: lease.owner, epoch: lease.epoch }
}

async fn lease(model: &dyn Store, session: u32, late: bool) -> Lease {
    let current = model.lease(session_id(session)).await.expect("reads");
    let current = current.unwrap_or(Lease { owner: ServerId(id(20, 1)), epoch: 0, beat: 0 });
    if late { Lease { epoch: current.epoch - 1, ..current } } else { current }
}

async fn write(model: &dyn Store, session: u32, part: &Part) -> Write {
    let of = session_id(session);
    match *part {
        Part::Runbook { ahead, leaf } => {
            let newest = model.runbook(of, None).await.expect("reads").map_or(0, |runbook| runbook.version);
            // A leaf belongs to one session: each has ids of its own, save for the last, which they fight over.
            let leaf = if leaf == 3 { 3 } else { session * 10 + leaf };
            Write::AddRunbook(runbook(session, newest + ahead, &[leaf]), vec![(step_id(leaf), id(5, leaf))])
        }
        Part::Step { n, event, lie } => {
            let steps = model.steps(of).await.expect("reads");
            let step = steps.get(n as usize - 1);
            let from = step.map_or(StepState::NotStarted, |step| step.state);
            let from = if lie { StepState::Waiting } else { from };
            Write::Step { id: step.map_or(step_id(n), |step| step.id), from, event }
        }
        Part::Enqueue { n, position, due } => {
            let mut new = action(session, n, position);
            new.not_before = Timestamp(due);
            Write::Enqueue(new)
        }
        Part::Action { n, to, handed_back, lie } => {
            let id = action(session, n, 0).id;
            let from = model.action(id).await.expect("reads").map_or(ActionState::Queued, |action| action.state);
            let from = if lie { ActionState::Waiting } else { from };
            let not_before = handed_back.then_some(Timestamp(n.into()));
            Write::Action { id, from, to, not_before, handed_back }
        }
        Part::Kind { n } => Write::ActionKind(action(session, n, 0).id, ActionKind::Plan),
        Part::Stop { n } => Write::RequestStop(action(session, n, 0).id),
        Part::AddRun { n, action, step } => {
            let steps = model.steps(of).await.expect("reads");
            let step = step.and_then(|n| steps.get(n as usize - 1)).map(|step| step.id);
            Write::AddRun(run(session, n, action, step))
        }
        Part::Run { n, event, lie } => {
            let id = run(session, n, 1, None).id;
            let runs = model.runs(of).await.expect("reads");
            let from = runs.iter().find(|run| run.id == id).map_or(RunState::Running, |run| run.state);
            let from = if lie { RunState::Queued } else { from };
            Write::Run { id, from, event, message: lie.then(|| "a message".to_owned()) }
        }
        Part::Commits { n, commit } if commit == 1 => Write::RunBase(run(session, n, 1, None).id, commit_id(commit)),
        Part::Commits { n, commit } => Write::RunCommit(run(session, n, 1, None).id, commit_id(commit)),
        Part::Spend { n, usage } => {
            Write::Spend(run(session, n, 1, None).id, Usage { output: usage, ..Usage::default() })
        }
        Part::Change { n, key, state } => {
            let mut new = change(session, n, ChangeKey::Manual(key));
            new.state = state;
            Write::PutChange(new)
        }
        Part::Ask { n } => Write::AddRequest(Request {
            id: RequestId(id(13, n)),
            session: of,
            run: None,
            kind: RequestKind::Publish { options: vec![] },
            state: RequestState::Open,
            asked_at: Timestamp(i64::from(n % 2)),
        }),
        Part::Answer { n, cancel: true } => Write::Request(RequestId(id(13, n)), RequestState::Cancelled),
        Part::Answer { n, cancel: false } => {
            let answered = RequestState::Answered { by: None, via: "\0".to_owned(), answer: Answer::Allow };
            Write::Request(RequestId(id(13, n)), answered)
        }
        Part::Sandbox { n, state } => {
            let mut new = sandbox(session, n);
            new.state = state;
            Write::PutSandbox(new)
        }
        Part::AddExec { n, run, sandbox } => Write::AddExec(exec(n, run, sandbox)),
        Part::Progress { n, consumed, ended } => {
            Write::ExecProgress { id: exec(n, 1, 1).id, consumed, ended: ended.then(|| format!("exit {consumed}")) }
        }
        Part::Stdin { n, seq, text } => {
            Write::Stdin(StdinLine { exec: exec(n, 1, 1).id, seq, key: "k".to_owned(), line: format!("{text}\0") })
        }
        Part::Output { n, from, len, blob } => {
            Write::Output(OutputChunk { exec: exec(n, 1, 1).id, from, to: from + len, blob: BlobHash::of(&[blob]) })
        }
        Part::Transcript { blob } => Write::Transcript(id(5, 101), BlobHash::of(&[blob])),
        Part::Archive(archived) => Write::Archive(archived),
        Part::Budget(n) => {
            let session = domain::Budget { seconds: Some(n), ..domain::Budget::default() };
            Write::Budget { session, run: domain::Budget { tokens: Some(7), ..session } }
        }
        Part::Title(n) => Write::Title(format!("title {n}\0")),
        Part::Describe(n) => {
            Write::Describe { labels: vec![format!("{n}\0")], description: (n > 0).then(|| format!("{n}\0")) }
        }
        Part::Persona(n) => Write::Persona((n > 0).then(|| domain::KnowledgeId(id(30, n)))),
        Part::Journal(n) => Write::Journal("k".to_owned(), serde_json::json!({ "n": n, "\0": ["\0"] })),
    }
}

/// What the store answers, as far as it must be the same: values whole, errors by their words.
async fn apply(store: &dyn Store, step: &Step, now: Timestamp) -> String {
    match step {
        Step::Create(n) => {
            let actions = [action(*n, 100 + *n, 1), action(*n, 200 + *n, 2)];
            said(store.create_session(&session(1, *n), &actions, &[note("made")], now).await)
        }
        Step::Commit(session, fence, writes, events) => {
            let events: Vec<_> = (0..*events).map(|n| note(format!("{n}\0"))).collect();
            said(store.commit(session_id(*session), *fence, writes, &events, now).await)
        }
        Step::Claim(owner, per_account, at) => {
            let limits = ClaimLimits { per_account: *per_account };
            said(store.claim(ServerId(id(20, *owner)), limits, Timestamp(*at)).await)
        }
        Step::Beat(session, lease) => said(store.beat(session_id(*session), lease.owner, lease.epoch).await),
        Step::Release(session, lease) => said(store.release(session_id(*session), lease.owner, lease.epoch).await),
        Step::Expire(session, lease) => said(store.expire(session_id(*session), *lease, now).await),
    }
}

fn said<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error @ StoreError::Database { .. }) => panic!("the database failed: {error:?}"),
        Err(StoreError::Conflict { .. }) => "a conflict".to_owned(),
        Err(error) => error.to_string(),
    }
}
