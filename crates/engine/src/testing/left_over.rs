//! What attempts left that were lost: it is ended, gone on with, or taken back, and nothing is settled twice.

use super::{House, LEASE, LetGo};
use crate::{
    Command, actions,
    begin::{Start, begin},
    context::Context,
    halt::Halt,
    janitor, people, worker,
};
use async_trait::async_trait;
use bytes::Bytes;
use domain::{ActionState, ExecId, Failure, Run, RunState, Session, StepState};
use sandbox::{ByteReader, Error, Exec, ExecInfo, ExecSpec, Lease, Record, Sandbox, Workspace};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use store::{ClaimLimits, Store};

/// Begins what was claimed and notes a commit when `committed`.
async fn begun(house: &House, context: &Context, committed: bool) -> Run {
    let leaf = context.action.kind.step().expect("a step");
    let (agent_session, base) = (context.session.agent_session, context.session.base.clone());
    let start = Start { step: Some(leaf), agent_session, base: base.clone(), version: Some(1) };
    let run = begin(context, start).await.expect("begun");
    if committed {
        let tree = house.tree_with(context, &base, "1.txt").await;
        let mirror = context.mirror().await.expect("a mirror");
        crate::publish::commit_leaf(context, &mirror, &run, leaf, &tree, "Said.").await.expect("noted");
    }
    run
}

/// A session whose first step was begun by a server that died.
async fn lost(house: &House) -> (Session, Run) {
    let session = house.session(2).await;
    let (context, _signal) = house.claim(&house.server("first").await).await;
    let run = begun(house, &context, false).await;
    house.expire(&session).await;
    assert_eq!(house.states(&session).await, [StepState::InProgress, StepState::Queued]);
    (session, run)
}

/// Has a worker claim and settle what there is to do, if anything.
async fn work(house: &House) {
    let shared = house.server("second").await;
    let limits = ClaimLimits { per_account: i64::MAX };
    let claim = house.store.claim(shared.server, limits, house.clock_now()).await.expect("asked");
    worker::work(&shared, claim.expect("something to do")).await;
}

async fn assert_stopped(house: &House, session: &Session, run: &Run) {
    let runs = house.runs(session).await;
    assert_eq!(runs.iter().map(|run| (run.id, run.state)).collect::<Vec<_>>(), [(run.id, RunState::Stopped)]);
    assert_eq!(house.states(session).await, [StepState::Failed(Failure::Stopped), StepState::NotStarted]);
    assert_eq!(house.store.queue(session.id).await.expect("read"), []);
}

#[tokio::test]
async fn a_stop_ends_what_a_server_that_died_left() {
    let house = House::new().await;
    let (session, run) = lost(&house).await;
    let people = house.server("people").await;
    people::handle(&people, None, Command::Stop { session: session.number }).await.expect("asked");
    work(&house).await;
    assert_stopped(&house, &session, &run).await;
}

#[tokio::test]
async fn cancelling_an_action_ends_what_a_server_that_died_left() {
    let house = House::new().await;
    let (session, run) = lost(&house).await;
    let people = house.server("people").await;
    let queue = house.store.queue(session.id).await.expect("read");
    people::handle(&people, None, Command::Cancel { session: session.number, action: queue[0].id })
        .await
        .expect("asked");
    work(&house).await;
    assert_stopped(&house, &session, &run).await;
}

#[tokio::test]
async fn an_action_that_waits_for_its_next_try_is_stopped_at_once() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (context, _signal) = house.claim(&house.server("first").await).await;
    let run = begun(&house, &context, true).await;
    worker::settle(&context, Err(Halt::transient("the forge is away"))).await.expect("settled");
    house.store_release(&context).await;
    let queue = house.store.queue(session.id).await.expect("read");
    assert!(queue[0].not_before > house.clock_now(), "it is to be tried again later: {queue:?}");
    let people = house.server("people").await;
    people::handle(&people, None, Command::Stop { session: session.number }).await.expect("asked");
    work(&house).await;
    assert_eq!(house.runs(&session).await[0].state, RunState::Stopped, "{run:?}");
    assert_eq!(house.states(&session).await, [StepState::Failed(Failure::Stopped)]);
    assert_eq!(house.store.queue(session.id).await.expect("read"), []);
}

#[tokio::test]
async fn a_step_that_a_person_did_meanwhile_leaves_no_run_open() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (context, _signal) = house.claim(&house.server("first").await).await;
    begun(&house, &context, true).await;
    worker::settle(&context, Err(Halt::transient("the forge is away"))).await.expect("settled");
    house.store_release(&context).await;
    let people = house.server("people").await;
    let done = Command::MarkDone { session: session.number, step: "1".to_owned() };
    people::handle(&people, None, done).await.expect("done");
    assert_eq!(house.runs(&session).await[0].state, RunState::Stopped);
    assert!(house.states(&session).await[0].is_completed());
}

#[tokio::test]
async fn a_run_whose_commit_is_noted_goes_on_after_a_passing_failure() {
    let house = House::new().await;
    let session = house.session(1).await;
    let shared = house.server("first").await;
    let (context, _signal) = house.claim(&shared).await;
    let run = begun(&house, &context, true).await;
    worker::settle(&context, Err(Halt::transient("the forge is away"))).await.expect("settled");
    assert_eq!(house.runs(&session).await[0].state, RunState::Running);
    house.store_release(&context).await;
    house.clock.turn(Duration::from_mins(20));
    let (context, _signal) = house.claim(&shared).await;
    actions::perform(&context).await.expect("published");
    let runs = house.runs(&session).await;
    assert_eq!(runs.iter().map(|run| (run.id, run.state)).collect::<Vec<_>>(), [(run.id, RunState::Succeeded)]);
}

#[tokio::test]
async fn what_is_over_is_not_settled_again() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (context, _signal) = house.claim(&house.server("first").await).await;
    begun(&house, &context, false).await;
    worker::settle(&context, Err(Halt::failed("it broke"))).await.expect("settled");
    let before = house.store.session(session.id).await.expect("read").expect("there").last_event;
    for halt in [Halt::failed("it broke"), Halt::transient("it broke"), Halt::Stopped] {
        worker::settle(&context, Err(halt)).await.expect("nothing is left to do");
    }
    let after = house.store.session(session.id).await.expect("read").expect("there").last_event;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_lease_in_our_own_name_that_no_worker_knows_of_is_taken_back() {
    let house = House::new().await;
    let session = house.session(1).await;
    let shared = house.server("first").await;
    let (context, _signal) = house.claim(&shared).await;
    let (known, mut watchers) = ((session.id, context.lease.epoch), HashMap::new());
    let held =
        async || house.store.lease(session.id).await.expect("read").is_some_and(|now| now.owner == shared.server);
    shared.at_work.lock().insert(known);
    for _ in 0..3 {
        janitor::take_over_silent(&shared, &mut watchers).await.expect("looked");
        house.clock.turn(LEASE);
    }
    assert!(held().await, "a worker is at it");
    // The answer to a claim was lost: nobody works, nobody beats.
    shared.at_work.lock().remove(&known);
    janitor::take_over_silent(&shared, &mut watchers).await.expect("looked");
    assert!(held().await, "its silence has to last");
    house.clock.turn(LEASE);
    janitor::take_over_silent(&shared, &mut watchers).await.expect("looked");
    assert!(!held().await);
    assert_eq!(house.store.action(context.action.id).await.expect("read").expect("there").state, ActionState::Queued);
}

/// A sandbox that counts how often it is to be kept alive, and may not answer that.
#[derive(Default)]
struct Counting {
    renewals: AtomicUsize,
    deaf: bool,
}

fn none<T>() -> Result<T, Error> {
    Err(Error::Gone { reason: "there is nothing in it".to_owned() })
}

#[async_trait]
impl Sandbox for Counting {
    fn record(&self) -> &Record {
        unreachable!("nobody asks what it is")
    }

    fn workspace(&self) -> Workspace {
        Workspace::Plain
    }

    fn continued(&self) -> bool {
        true
    }

    fn egress_dir(&self) -> PathBuf {
        PathBuf::new()
    }

    async fn exec(&self, _spec: ExecSpec) -> Result<Exec, Error> {
        none()
    }

    async fn attach(&self, _exec: ExecId, _from: u64) -> Result<Exec, Error> {
        none()
    }

    async fn list(&self) -> Result<Vec<ExecInfo>, Error> {
        Ok(Vec::new())
    }

    async fn forget(&self, _exec: ExecId) -> Result<(), Error> {
        none()
    }

    async fn kill_all(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn renew(&self, _lease: Lease) -> Result<(), Error> {
        self.renewals.fetch_add(1, Ordering::Relaxed);
        if self.deaf {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn put_archive(&self, _path: &str, _tar: ByteReader) -> Result<(), Error> {
        none()
    }

    async fn get_archive(&self, _path: &str, _limit: u64) -> Result<ByteReader, Error> {
        none()
    }

    async fn write_file(&self, _path: &str, _bytes: Bytes, _mode: u32) -> Result<(), Error> {
        none()
    }

    async fn read_file(&self, _path: &str, _limit: u64) -> Result<Vec<u8>, Error> {
        none()
    }

    async fn forward(&self, _port: u16, _socket: &str) -> Result<(), Error> {
        none()
    }

    async fn oom_kills(&self) -> Option<u64> {
        None
    }

    async fn closed(&self) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test]
async fn a_sandbox_is_kept_alive_by_the_holder_of_the_lease_only() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (context, signal) = house.claim(&house.server("first").await).await;
    let counting = Arc::new(Counting::default());
    *context.sandbox.lock() = Some(counting.clone());
    let mut let_go = context.let_go.clone();
    house.expire(&session).await;
    let keeper = tokio::spawn(worker::keep(context.clone(), signal));
    let_go.wait_for(|why| *why == LetGo::Fenced).await.expect("it is told");
    keeper.await.expect("it ends, since there is nothing left to keep");
    assert_eq!(counting.renewals.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_sandbox_that_does_not_answer_does_not_cost_the_lease() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (context, signal) = house.claim(&house.server("first").await).await;
    let deaf = Arc::new(Counting { deaf: true, ..Counting::default() });
    *context.sandbox.lock() = Some(deaf.clone());
    tokio::time::pause();
    let keeper = tokio::spawn(worker::keep(context.clone(), signal));
    let beat = async || house.store.lease(session.id).await.expect("read").expect("held").beat;
    let first = beat().await;
    let goes_on = async {
        while beat().await < first + 3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(10), goes_on).await.expect("the beat is raised all the same");
    assert!(deaf.renewals.load(Ordering::Relaxed) >= 2, "and it is asked again");
    keeper.abort();
}

#[tokio::test]
async fn a_lease_is_judged_by_no_clock_that_people_set() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (holder, other) = (house.server("first").await, house.server("second").await);
    let (context, _signal) = house.claim(&holder).await;
    let mut watchers = HashMap::new();
    let held =
        async || house.store.lease(session.id).await.expect("read").is_some_and(|now| now.owner == holder.server);
    janitor::take_over_silent(&other, &mut watchers).await.expect("looked");
    house.clock.set_forward(LEASE * 240);
    janitor::take_over_silent(&other, &mut watchers).await.expect("looked");
    assert!(held().await, "an hour by the wall clock is no silence");
    house.clock.turn(LEASE);
    janitor::take_over_silent(&other, &mut watchers).await.expect("looked");
    assert!(!held().await, "{:?}", context.lease);
}
