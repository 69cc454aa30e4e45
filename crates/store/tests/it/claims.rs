//! Who works on what: never two on one thing, nobody forgotten.

use crate::{
    engines::{Engine, on_each},
    world::{account_id, action, id, note, session, session_id, settle},
};
use domain::{Action, ActionState, ServerId, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use store::{Claim, ClaimLimits, Fence, LONGEST_WAIT, Store, StoreError, Write};
use tokio::{task::JoinSet, time::timeout};

on_each!(
    many_workers_do_everything_once,
    the_session_served_longest_ago_goes_first,
    a_session_does_one_action_at_a_time,
    an_account_has_a_limit,
    who_queues_ten_thousand_actions_keeps_nobody_waiting,
    what_waits_for_a_person_holds_its_place,
    an_action_does_not_start_before_its_time,
    an_old_epoch_is_fenced_off,
    a_silent_owner_is_replaced_by_compare_and_set,
    what_is_released_while_running_is_queued_again,
    new_work_wakes_a_worker,
    a_claim_counts_its_attempt,
);

const PLENTY: ClaimLimits = ClaimLimits { per_account: 1000 };
const NOW: Timestamp = Timestamp(1_000_000);

fn server(n: u32) -> ServerId {
    ServerId(id(20, n))
}

async fn claim(store: &dyn Store, owner: u32) -> Option<Claim> {
    store.claim(server(owner), PLENTY, NOW).await.expect("claims")
}

fn fence(claim: &Claim) -> Fence {
    Fence::Lease { owner: claim.lease.owner, epoch: claim.lease.epoch }
}

fn finish(claim: &Claim, to: ActionState) -> Write {
    Write::Action { id: claim.action.id, from: ActionState::Running, to, not_before: None, handed_back: true }
}

/// Ends the action and gives the lease back.
async fn complete(store: &dyn Store, claim: &Claim) {
    end(store, claim).await;
    store.release(claim.session.id, claim.lease.owner, claim.lease.epoch).await.expect("releases");
}

/// Ends the action, with an event that says which it was.
async fn end(store: &dyn Store, claim: &Claim) {
    let events = [note(format!("{}", claim.action.id))];
    let done = [finish(claim, ActionState::Done)];
    store.commit(claim.session.id, fence(claim), &done, &events, NOW).await.expect("commits");
}

/// A session with actions at places 1, 2, 3 …
async fn with_actions(store: &dyn Store, account: u32, n: u32, actions: u32) {
    let actions: Vec<Action> = (1..=actions).map(|place| action(n, n * 1000 + place, place.into())).collect();
    store.create_session(&session(account, n), &actions, &[], NOW).await.expect("a session");
}

async fn many_workers_do_everything_once(engine: Engine) {
    const SESSIONS: u32 = 50;
    const EACH: u32 = 8;
    let store = engine.store();
    for account in 1..=3 {
        settle(&*store, account).await;
    }
    for n in 0..SESSIONS {
        with_actions(&*store, 1 + n % 3, n, EACH).await;
    }
    let mut workers = JoinSet::new();
    let busy: Arc<[AtomicI64; 4]> = Arc::default();
    for worker in 0..8 {
        let (store, busy) = (engine.another().await, Arc::clone(&busy));
        workers.spawn(async move { work_until_done(store, server(worker), &busy).await });
    }
    let claims = timeout(Duration::from_secs(100), workers.join_all()).await.expect("all work is done");
    let mut done: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    let claims: Vec<Claim> = claims.into_iter().flatten().collect();
    for claim in &claims {
        done.entry(claim.session.id).or_default().push(claim.action.position);
        assert_eq!(claim.action.attempts, 1);
    }
    assert_eq!(claims.len(), (SESSIONS * EACH) as usize, "none twice, none lost");
    assert_eq!(done.len(), SESSIONS as usize);
    for (session, mut places) in done {
        places.sort_unstable();
        assert_eq!(places, (1..=i64::from(EACH)).collect::<Vec<_>>());
        // The log has what was done in the order of the queue: one at a time.
        let log = store.events(session, 0, 100).await.expect("reads");
        let order: Vec<_> = log.iter().map(|event| format!("{:?}", event.payload)).collect();
        assert!(order.is_sorted() && order.len() == EACH as usize, "{order:?}");
    }
    assert_eq!(store.leases().await.expect("reads"), []);
}

/// Works until no session has anything queued; `busy` counts the sessions of each account that are worked on.
async fn work_until_done(store: Arc<dyn Store>, owner: ServerId, busy: &[AtomicI64; 4]) -> Vec<Claim> {
    let mut claims = Vec::new();
    loop {
        if let Some(claim) = store.claim(owner, ClaimLimits { per_account: 2 }, NOW).await.expect("claims") {
            let account = (1..4).find(|n| account_id(*n) == claim.session.account).expect("one of three");
            let busy = &busy[account as usize];
            assert!(busy.fetch_add(1, Ordering::SeqCst) < 2, "an account is over its limit");
            end(&*store, &claim).await;
            busy.fetch_sub(1, Ordering::SeqCst);
            store.release(claim.session.id, owner, claim.lease.epoch).await.expect("releases");
            claims.push(claim);
            continue;
        }
        let mut left = 0;
        for account in 1..=3 {
            let filter = store::SessionFilter { limit: 1000, ..store::SessionFilter::default() };
            for session in store.sessions(account_id(account), &filter).await.expect("reads") {
                left += store.queue(session.id).await.expect("reads").len();
            }
        }
        if left == 0 {
            return claims;
        }
        store.wait_for_work().await;
    }
}

async fn the_session_served_longest_ago_goes_first(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    for n in 1..=3 {
        with_actions(&*store, 1, n, 3).await;
    }
    let mut order = Vec::new();
    for round in 0..9 {
        if round == 4 {
            // Comes late: it waits for its turn like everybody, and is not served before those who wait longer.
            with_actions(&*store, 1, 4, 1).await;
        }
        let claim = claim(&*store, 1).await.expect("work");
        order.push(claim.session.title.clone());
        complete(&*store, &claim).await;
    }
    let order: Vec<_> = order.iter().map(|title| title.trim_start_matches("session ")).collect();
    assert_eq!(order.join(" "), "1 2 3 1 2 3 1 4 2");
}

async fn a_session_does_one_action_at_a_time(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    with_actions(&*store, 1, 1, 2).await;
    let first = claim(&*store, 1).await.expect("work");
    assert_eq!(first.action.position, 1);
    assert!(claim(&*store, 2).await.is_none());
    complete(&*store, &first).await;
    assert_eq!(claim(&*store, 2).await.expect("work").action.position, 2);
}

async fn an_account_has_a_limit(engine: Engine) {
    let store = engine.store();
    for account in 1..=2 {
        settle(&*store, account).await;
    }
    for n in 1..=3 {
        with_actions(&*store, 1, n, 1).await;
    }
    with_actions(&*store, 2, 4, 1).await;
    let limits = ClaimLimits { per_account: 2 };
    let mut claims = Vec::new();
    while let Some(claim) = store.claim(server(1), limits, NOW).await.expect("claims") {
        claims.push(claim);
    }
    let sessions: Vec<_> = claims.iter().map(|claim| claim.session.id).collect();
    assert_eq!(sessions, [session_id(1), session_id(2), session_id(4)]);
    complete(&*store, &claims[0]).await;
    let next = store.claim(server(1), limits, NOW).await.expect("claims").expect("work");
    assert_eq!(next.session.id, session_id(3));
}

/// RES-12: with a slot free, the next claim is the other account's; and within an account, the other session's.
async fn who_queues_ten_thousand_actions_keeps_nobody_waiting(engine: Engine) {
    let store = engine.store();
    for account in 1..=2 {
        settle(&*store, account).await;
    }
    for n in 1..=10 {
        with_actions(&*store, 1, n, 999).await;
    }
    let limits = ClaimLimits { per_account: 2 };
    let claim = async || store.claim(server(1), limits, NOW).await.expect("claims");
    let mut held = vec![claim().await.expect("work"), claim().await.expect("work")];
    with_actions(&*store, 2, 11, 1).await;
    let other = claim().await.expect("a slot is free");
    assert_eq!(other.session.id, session_id(11));
    assert!(claim().await.is_none(), "the account is at its limit");
    // One that comes later within the busy account has its turn after those that wait already, not after their queues.
    with_actions(&*store, 1, 12, 1).await;
    let mut turns = 0;
    loop {
        complete(&*store, &held.remove(0)).await;
        let next = claim().await.expect("work");
        turns += 1;
        if next.session.id == session_id(12) {
            break;
        }
        held.push(next);
        assert!(turns <= 10, "it is kept waiting by others' queues");
    }
}

async fn what_waits_for_a_person_holds_its_place(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    with_actions(&*store, 1, 1, 2).await;
    let first = claim(&*store, 1).await.expect("work");
    let wait = [finish(&first, ActionState::Waiting)];
    store.commit(session_id(1), fence(&first), &wait, &[], NOW).await.expect("commits");
    store.release(session_id(1), server(1), first.lease.epoch).await.expect("releases");
    assert!(claim(&*store, 1).await.is_none());

    let answered = Write::Action {
        id: first.action.id,
        from: ActionState::Waiting,
        to: ActionState::Queued,
        not_before: None,
        handed_back: false,
    };
    store.commit(session_id(1), Fence::Open, &[answered], &[], NOW).await.expect("commits");
    let again = claim(&*store, 1).await.expect("work");
    assert_eq!((again.action.id, again.action.attempts), (first.action.id, 2));
    assert_eq!(again.action.lost_attempts(), 0);
}

async fn an_action_does_not_start_before_its_time(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    with_actions(&*store, 1, 1, 2).await;
    let first = claim(&*store, 1).await.expect("work");
    let later = Timestamp(NOW.0 + 500);
    let retry = Write::Action {
        id: first.action.id,
        from: ActionState::Running,
        to: ActionState::Queued,
        not_before: Some(later),
        handed_back: true,
    };
    store.commit(session_id(1), fence(&first), &[retry], &[], NOW).await.expect("commits");
    store.release(session_id(1), server(1), first.lease.epoch).await.expect("releases");
    assert!(claim(&*store, 1).await.is_none(), "the later action does not overtake it");
    assert_eq!(store.next_due(NOW).await.expect("reads"), Some(later));
    assert_eq!(store.next_due(later).await.expect("reads"), None);
    let again = store.claim(server(1), PLENTY, later).await.expect("claims").expect("work");
    assert_eq!(again.action.id, first.action.id);
}

async fn an_old_epoch_is_fenced_off(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    with_actions(&*store, 1, 1, 1).await;
    let old = claim(&*store, 1).await.expect("work");
    assert!(store.expire(session_id(1), old.lease, NOW).await.expect("expires"));
    let done = [finish(&old, ActionState::Done)];
    let late = async |fence| store.commit(session_id(1), fence, &done, &[note("late")], NOW).await;
    assert!(matches!(late(fence(&old)).await, Err(StoreError::Fenced { epoch: 1 })));

    let new = claim(&*store, 2).await.expect("work");
    assert!(new.lease.epoch > old.lease.epoch);
    assert_eq!((new.action.id, new.action.attempts), (old.action.id, 2));
    assert_eq!(new.action.lost_attempts(), 1, "the attempt before was lost");
    assert!(matches!(late(fence(&old)).await, Err(StoreError::Fenced { .. })));
    let wrong_owner = Fence::Lease { owner: server(1), epoch: new.lease.epoch };
    assert!(matches!(late(wrong_owner).await, Err(StoreError::Fenced { .. })));
    assert!(!store.beat(session_id(1), server(1), old.lease.epoch).await.expect("answers"));
    store.release(session_id(1), server(1), old.lease.epoch).await.expect("does nothing");
    assert_eq!(store.leases().await.expect("reads"), [(session_id(1), new.lease)]);
    assert_eq!(store.events(session_id(1), 0, 9).await.expect("reads"), []);
    late(fence(&new)).await.expect("the new holder may write");
}

async fn a_silent_owner_is_replaced_by_compare_and_set(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    with_actions(&*store, 1, 1, 1).await;
    assert_eq!(store.lease(session_id(1)).await.expect("reads"), None);
    let held = claim(&*store, 1).await.expect("work");
    assert!(store.beat(session_id(1), server(1), held.lease.epoch).await.expect("beats"));
    let current = store.lease(session_id(1)).await.expect("reads").expect("held");
    assert!(current.beat > held.lease.beat);
    assert!(!store.expire(session_id(1), held.lease, NOW).await.expect("answers"), "its holder lives");
    assert!(store.expire(session_id(1), current, NOW).await.expect("answers"));
    assert!(!store.expire(session_id(1), current, NOW).await.expect("answers"), "only one challenger wins");
    let free = store.lease(session_id(1)).await.expect("reads").expect("the epoch lasts");
    assert!(free.owner.0.is_nil() && free.epoch > current.epoch);
    assert!(!store.expire(session_id(1), free, NOW).await.expect("answers"));
}

async fn what_is_released_while_running_is_queued_again(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    with_actions(&*store, 1, 1, 1).await;
    let held = claim(&*store, 1).await.expect("work");
    store.release(session_id(1), server(1), held.lease.epoch).await.expect("releases");
    let again = claim(&*store, 1).await.expect("nothing hangs");
    assert_eq!(again.action.lost_attempts(), 1);
    assert_eq!(again.lease.epoch, held.lease.epoch + 1);
}

/// Without wake-ups every round lasts as long as the longest wait, and all of them far longer than allowed.
async fn new_work_wakes_a_worker(engine: Engine) {
    let (store, worker) = (engine.store(), engine.another().await);
    settle(&*store, 1).await;
    store.create_session(&session(1, 1), &[], &[], NOW).await.expect("a session");
    let rounds = async {
        for round in 1..=20 {
            let worker = Arc::clone(&worker);
            let waiting = tokio::spawn(async move {
                loop {
                    if let Some(claim) = claim(&*worker, 1).await {
                        complete(&*worker, &claim).await;
                        return claim.action.id;
                    }
                    worker.wait_for_work().await;
                }
            });
            tokio::time::sleep(LONGEST_WAIT / 50).await;
            let new = action(1, round, 1);
            let enqueue = [Write::Enqueue(new.clone())];
            store.commit(session_id(1), Fence::Open, &enqueue, &[], NOW).await.expect("commits");
            assert_eq!(waiting.await.expect("it claims"), new.id);
        }
    };
    timeout(Duration::from_secs(10), rounds).await.expect("workers are woken");
}

async fn a_claim_counts_its_attempt(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    with_actions(&*store, 1, 1, 1).await;
    for lost in 0..domain::MAX_LOST_ATTEMPTS {
        let claim = claim(&*store, 1).await.expect("work");
        assert_eq!((claim.action.lost_attempts(), claim.action.is_poison()), (lost, false));
        assert_eq!(store.action(claim.action.id).await.expect("reads"), Some(claim.action));
        assert!(store.expire(session_id(1), claim.lease, NOW).await.expect("expires"));
    }
    assert!(claim(&*store, 1).await.expect("work").action.is_poison());
}
