//! Webhooks: what happens and that it is to be told are one; what is due is given out once, in order, and again if it is
//! not settled.

use crate::{
    engines::{Engine, on_each},
    world::{account_id, id, note, runbook, session, session_id, settle, step_id},
};
use domain::{
    Attempt, Completion, Delivery, DeliveryState, EventPayload, HOLDS_BACK, RunId, RunState, SecretId, StepEvent,
    StepState, Timestamp, Webhook, WebhookEvent, WebhookId,
};
use std::time::Duration;
use store::{Fence, MOST_WEBHOOKS, SealedSecret, Store, StoreError, Webhooks, Write};

on_each!(
    what_happens_is_told_to_those_who_want_it_or_does_not_happen,
    a_session_that_comes_to_its_end_is_told_once,
    what_is_due_is_given_out_once_and_in_order,
    what_was_not_settled_is_given_out_again_and_a_late_end_does_not_count,
    a_webhook_is_changed_rotated_switched_off_and_removed_whole,
    what_is_over_is_kept_for_a_while,
    an_account_reaches_only_its_own,
);

const NOW: Timestamp = Timestamp(1_000_000);
const HELD: Duration = Duration::from_secs(30);

fn webhook(account: u32, n: u32) -> Webhook {
    Webhook {
        id: WebhookId(id(30, n)),
        account: account_id(account),
        name: format!("hook {n}"),
        url: "https://hooks.example.org/".to_owned(),
        events: None,
        active: true,
        switched_off: None,
        failing_since: None,
        secret: SecretId(id(31, n)),
        secret_made_at: NOW,
        created_at: NOW,
        changed_at: NOW,
    }
}

fn secret(of: &Webhook, row: SecretId) -> SealedSecret {
    SealedSecret {
        id: row,
        account: of.account,
        name: Webhook::secret_name(of.id),
        sealed: b"sealed".to_vec(),
        created_at: NOW,
        changed_at: NOW,
    }
}

async fn add(webhooks: &dyn Webhooks, new: &Webhook) {
    webhooks.add_webhook(new, &secret(new, new.secret)).await.expect("adds");
}

fn run_is(state: RunState) -> EventPayload {
    let (run, action) = (RunId(id(7, 1)), domain::ActionId(id(6, 1)));
    EventPayload::RunState { run, action, action_kind: "plan".into(), step: None, state, message: None }
}

async fn happen(store: &dyn Store, n: u32, events: &[EventPayload]) {
    store.commit(session_id(n), Fence::Open, &[], events, NOW).await.expect("commits");
}

async fn told(webhooks: &dyn Webhooks, of: &Webhook) -> Vec<(WebhookEvent, i64)> {
    let found = webhooks.deliveries(of.account, of.id, None, 1000).await.expect("reads");
    let mut told: Vec<_> = found.into_iter().map(|it| (it.place, it.event, it.data["number"].as_i64())).collect();
    told.sort_unstable();
    told.into_iter().map(|(_, event, number)| (event, number.expect("a number"))).collect()
}

async fn claim(webhooks: &dyn Webhooks, of: &Webhook, now: Timestamp) -> Vec<Delivery> {
    webhooks.claim_deliveries(of.account, of.id, 10, now, HELD).await.expect("claims")
}

fn ended(claimed: &Delivery, state: DeliveryState, due_at: Timestamp) -> Delivery {
    let error = (state != DeliveryState::Delivered).then(|| "it answered 500".to_owned());
    let last = Attempt { at: NOW, duration_ms: 3, status: Some(500), error, answer: "oops".to_owned() };
    Delivery { state, due_at, last: Some(last), ..claimed.clone() }
}

async fn what_happens_is_told_to_those_who_want_it_or_does_not_happen(engine: Engine) {
    let (store, webhooks) = (engine.store(), engine.webhooks());
    settle(&*store, 1).await;
    let all = webhook(1, 1);
    let some = Webhook { events: Some(vec![WebhookEvent::RunFailed]), ..webhook(1, 2) };
    let off = Webhook { active: false, ..webhook(1, 3) };
    for each in [&all, &some, &off] {
        add(&*webhooks, each).await;
    }
    store.create_session(&session(1, 1), &[], &[note("begun")], NOW).await.expect("a session");
    let failed = run_is(RunState::Failed(domain::Failure::Check));
    happen(&*store, 1, &[note("nothing to tell"), run_is(RunState::Running), failed.clone()]).await;
    let archived = [Write::Archive(true)];
    store.commit(session_id(1), Fence::Open, &archived, &[note("away")], NOW).await.expect("commits");
    let wanted = [
        (WebhookEvent::SessionCreated, 0),
        (WebhookEvent::RunRunning, 3),
        (WebhookEvent::RunFailed, 4),
        (WebhookEvent::SessionArchived, 5),
    ];
    assert_eq!(told(&*webhooks, &all).await, wanted);
    assert_eq!(told(&*webhooks, &some).await, [(WebhookEvent::RunFailed, 4)]);
    assert_eq!(told(&*webhooks, &off).await, []);
    let found = webhooks.deliveries(some.account, some.id, None, 1).await.expect("reads").remove(0);
    assert_eq!(found.data["session"], "r/1");
    assert_eq!((&found.data["title"], &found.data["repository"]), (&"session 1".into(), &"engine".into()));
    assert_eq!(found.data["event"], serde_json::to_value(&failed).expect("JSON"));

    // What is refused is not told.
    let refused = [Write::Step { id: step_id(9), from: StepState::NotStarted, event: StepEvent::Queue }];
    store.commit(session_id(1), Fence::Open, &refused, &[failed], NOW).await.expect_err("no such step");
    assert_eq!(told(&*webhooks, &all).await.len(), 4);
}

async fn a_session_that_comes_to_its_end_is_told_once(engine: Engine) {
    let (store, webhooks) = (engine.store(), engine.webhooks());
    settle(&*store, 1).await;
    let hook = Webhook { events: Some(vec![WebhookEvent::SessionCompleted]), ..webhook(1, 1) };
    add(&*webhooks, &hook).await;
    store.create_session(&session(1, 1), &[], &[], NOW).await.expect("a session");
    let leaves = vec![(step_id(1), id(5, 101)), (step_id(2), id(5, 102))];
    let plan = [Write::AddRunbook(runbook(1, 1, &[1, 2]), leaves)];
    store.commit(session_id(1), Fence::Open, &plan, &[], NOW).await.expect("commits");
    for n in [1, 2] {
        assert_eq!(told(&*webhooks, &hook).await, []);
        let (number, title, done) = (n.to_string(), "x".to_owned(), Completion::ByPerson);
        let write = Write::Step { id: step_id(n), from: StepState::NotStarted, event: StepEvent::Complete(done) };
        let event =
            EventPayload::StepState { step: step_id(n), number, title, state: StepState::Completed(done), why: None };
        store.commit(session_id(1), Fence::Open, &[write], &[event], NOW).await.expect("commits");
    }
    assert_eq!(told(&*webhooks, &hook).await, [(WebhookEvent::SessionCompleted, 2)]);
}

async fn what_is_due_is_given_out_once_and_in_order(engine: Engine) {
    let (store, webhooks) = (engine.store(), engine.webhooks());
    settle(&*store, 1).await;
    for n in [1, 2] {
        store.create_session(&session(1, n), &[], &[], NOW).await.expect("a session");
    }
    let (hook, account) = (webhook(1, 1), account_id(1));
    add(&*webhooks, &hook).await;
    assert_eq!(webhooks.next_delivery(account).await.expect("reads"), None);
    happen(&*store, 1, &[run_is(RunState::Running), run_is(RunState::Waiting)]).await;
    happen(&*store, 2, &[run_is(RunState::Running)]).await;
    assert_eq!(webhooks.next_delivery(account).await.expect("reads"), Some(NOW));
    assert_eq!(claim(&*webhooks, &hook, Timestamp(NOW.0 - 1)).await, [], "not before it is due");

    let first = claim(&*webhooks, &hook, NOW).await;
    let sessions: Vec<_> = first.iter().map(|it| (it.session, it.data["number"].as_i64(), it.attempts)).collect();
    assert_eq!(sessions.len(), 2, "one of each session: {sessions:?}");
    assert!(sessions.iter().all(|(_, number, attempts)| (*number, *attempts) == (Some(1), 1)), "{sessions:?}");
    assert_eq!(claim(&*webhooks, &hook, NOW).await, [], "once, and what comes later waits");

    // It failed: what comes later waits on, until that happened often enough.
    let mut of_one = first.into_iter().find(|it| it.session == Some(session_id(1))).expect("there");
    for attempt in 1..=HOLDS_BACK {
        let failed = ended(&of_one, DeliveryState::Waiting, NOW.after(HELD * 2));
        assert!(webhooks.settle_delivery(account, &failed).await.expect("settles").is_some(), "{attempt}");
        let next = claim(&*webhooks, &hook, NOW).await;
        if attempt == HOLDS_BACK {
            assert_eq!(next.len(), 1);
            assert_eq!(next[0].event, WebhookEvent::RunWaiting, "it goes past");
            break;
        }
        assert_eq!(next, [], "{attempt}");
        of_one =
            claim(&*webhooks, &hook, NOW.after(HELD * 2)).await.into_iter().find(|it| it.id == failed.id).expect("due");
        assert_eq!(of_one.attempts, attempt + 1);
    }
}

async fn what_was_not_settled_is_given_out_again_and_a_late_end_does_not_count(engine: Engine) {
    let (store, webhooks) = (engine.store(), engine.webhooks());
    settle(&*store, 1).await;
    store.create_session(&session(1, 1), &[], &[], NOW).await.expect("a session");
    let (hook, account) = (webhook(1, 1), account_id(1));
    add(&*webhooks, &hook).await;
    happen(&*store, 1, &[run_is(RunState::Running)]).await;
    let lost = claim(&*webhooks, &hook, NOW).await.remove(0);
    assert_eq!(claim(&*webhooks, &hook, NOW.after(HELD / 2)).await, []);
    let again = claim(&*webhooks, &hook, NOW.after(HELD)).await.remove(0);
    assert_eq!((again.id, again.attempts), (lost.id, 2));
    let late = webhooks.settle_delivery(account, &ended(&lost, DeliveryState::GivenUp, NOW)).await.expect("looks");
    assert_eq!(late, None);
    let failed = ended(&again, DeliveryState::Waiting, NOW);
    let after = webhooks.settle_delivery(account, &failed).await.expect("settles").expect("there");
    assert_eq!(after.failing_since, Some(NOW));
    let third = claim(&*webhooks, &hook, NOW.after(HELD)).await.remove(0);
    let good = webhooks.settle_delivery(account, &ended(&third, DeliveryState::Delivered, NOW)).await;
    assert_eq!(good.expect("settles").expect("there").failing_since, None);
    let kept = webhooks.deliveries(account, hook.id, None, 1).await.expect("reads").remove(0);
    assert_eq!((kept.state, kept.attempts), (DeliveryState::Delivered, 3));
    assert_eq!(kept.last.expect("one").answer, "oops");

    let once_more = webhooks.redeliver(account, hook.id, kept.id, NOW).await.expect("again");
    assert_eq!((once_more.state, once_more.attempts, once_more.id), (DeliveryState::Waiting, 0, kept.id));
    let twice = webhooks.redeliver(account, hook.id, kept.id, NOW).await;
    assert!(matches!(twice, Err(StoreError::Conflict { what: "delivery", .. })), "{twice:?}");
}

async fn a_webhook_is_changed_rotated_switched_off_and_removed_whole(engine: Engine) {
    let (store, webhooks, vault) = (engine.store(), engine.webhooks(), engine.vault());
    settle(&*store, 1).await;
    store.create_session(&session(1, 1), &[], &[], NOW).await.expect("a session");
    let (hook, account) = (webhook(1, 1), account_id(1));
    add(&*webhooks, &hook).await;
    let same_name = Webhook { name: hook.name.clone(), ..webhook(1, 2) };
    let taken = webhooks.add_webhook(&same_name, &secret(&same_name, same_name.secret)).await;
    assert!(matches!(taken, Err(StoreError::Conflict { what: "webhook", .. })), "{taken:?}");
    assert_eq!(vault.secrets(account).await.expect("reads").len(), 1, "no secret of what was refused");
    add(&*webhooks, &webhook(1, 3)).await;
    let taken = webhooks.change_webhook(&Webhook { name: "hook 3".to_owned(), ..hook.clone() }).await;
    assert!(matches!(taken, Err(StoreError::Conflict { what: "webhook", .. })), "{taken:?}");

    happen(&*store, 1, &[run_is(RunState::Running)]).await;
    assert!(webhooks.switch_off_webhook(account, hook.id, "it failed").await.expect("switches"));
    assert!(!webhooks.switch_off_webhook(account, hook.id, "it failed").await.expect("looks"));
    let off = webhooks.webhooks(account).await.expect("reads").remove(0);
    assert_eq!((off.active, off.switched_off.as_deref()), (false, Some("it failed")));
    let given_up = webhooks.deliveries(account, hook.id, None, 9).await.expect("reads");
    assert_eq!(given_up.iter().map(|it| it.state).collect::<Vec<_>>(), [DeliveryState::GivenUp]);
    assert_eq!(claim(&*webhooks, &hook, NOW).await, []);

    let other = Webhook {
        url: "https://other.example.org/".to_owned(),
        events: Some(vec![WebhookEvent::Ping]),
        ..hook.clone()
    };
    let on = webhooks.change_webhook(&other).await.expect("changes");
    assert_eq!((on.active, on.switched_off.clone(), on.url.as_str()), (true, None, "https://other.example.org/"));
    assert_eq!(webhooks.webhooks(account).await.expect("reads")[0], on);

    let row = SecretId(id(31, 9));
    let rotated = webhooks.rotate_webhook(hook.id, &secret(&hook, row), NOW.after(HELD)).await.expect("rotates");
    assert_eq!((rotated.secret, rotated.secret_made_at), (row, NOW.after(HELD)));
    let rows = vault.secrets(account).await.expect("reads");
    assert!(rows.iter().any(|it| it.id == row) && rows.iter().all(|it| it.id != hook.secret), "{rows:?}");

    assert!(webhooks.remove_webhook(account, hook.id).await.expect("removes"));
    assert!(!webhooks.remove_webhook(account, hook.id).await.expect("looks"));
    assert_eq!(vault.secrets(account).await.expect("reads").len(), 1);
    let gone = webhooks.deliveries(account, hook.id, None, 9).await;
    assert!(matches!(gone, Err(StoreError::Missing { what: "webhook", .. })), "{gone:?}");
    let gone = webhooks.change_webhook(&hook).await;
    assert!(matches!(gone, Err(StoreError::Missing { what: "webhook", .. })), "{gone:?}");

    for n in 10..10 + u32::try_from(MOST_WEBHOOKS).expect("few") - 1 {
        add(&*webhooks, &webhook(1, n)).await;
    }
    let last = webhook(1, 90);
    let full = webhooks.add_webhook(&last, &secret(&last, last.secret)).await;
    assert!(matches!(full, Err(StoreError::Conflict { what: "webhooks", .. })), "{full:?}");
}

async fn what_is_over_is_kept_for_a_while(engine: Engine) {
    let (store, webhooks) = (engine.store(), engine.webhooks());
    settle(&*store, 1).await;
    store.create_session(&session(1, 1), &[], &[], NOW).await.expect("a session");
    let (hook, account) = (webhook(1, 1), account_id(1));
    add(&*webhooks, &hook).await;
    let mut place = 0;
    let mut ping = async |at: i64, state: DeliveryState| {
        place += 1;
        let ping = Delivery { state, ..Delivery::ping(id(32, place), hook.id, Timestamp(at)) };
        webhooks.add_delivery(account, &ping).await.expect("adds");
    };
    for at in [1, 2, 3, 4, 5] {
        ping(at, DeliveryState::Delivered).await;
    }
    ping(0, DeliveryState::Waiting).await;
    let times = async || {
        let found = webhooks.deliveries(account, hook.id, None, 99).await.expect("reads");
        found.into_iter().map(|it| it.created_at.0).collect::<Vec<_>>()
    };
    assert_eq!(times().await, [5, 4, 3, 2, 1, 0], "newest first");
    let newest = webhooks.deliveries(account, hook.id, None, 2).await.expect("reads");
    let rest =
        webhooks.deliveries(account, hook.id, Some((newest[1].created_at, newest[1].id)), 2).await.expect("reads");
    assert_eq!(rest.iter().map(|it| it.created_at.0).collect::<Vec<_>>(), [3, 2], "page by page");
    assert_eq!(webhooks.tidy_deliveries(account, Timestamp(2), 100).await.expect("tidies"), 1);
    assert_eq!(times().await, [5, 4, 3, 2, 0], "what waits is kept");
    assert_eq!(webhooks.tidy_deliveries(account, Timestamp(0), 2).await.expect("tidies"), 2);
    assert_eq!(times().await, [5, 4, 0]);
}

async fn an_account_reaches_only_its_own(engine: Engine) {
    let (store, webhooks) = (engine.store(), engine.webhooks());
    for n in [1, 2] {
        settle(&*store, n).await;
        store.create_session(&session(n, n), &[], &[], NOW).await.expect("a session");
        add(&*webhooks, &webhook(n, n)).await;
    }
    happen(&*store, 1, &[run_is(RunState::Running)]).await;
    let (one, two) = (webhook(1, 1), account_id(2));
    let theirs = webhooks.deliveries(account_id(1), one.id, None, 9).await.expect("reads").remove(0);
    assert_eq!(webhooks.webhooks(two).await.expect("reads"), [webhook(2, 2)]);
    assert_eq!(webhooks.next_delivery(two).await.expect("reads"), None, "told to the account of the session alone");
    assert!(webhooks.deliveries(two, one.id, None, 9).await.is_err());
    assert!(webhooks.redeliver(two, one.id, theirs.id, NOW).await.is_err());
    assert!(webhooks.redeliver(two, webhook(2, 2).id, theirs.id, NOW).await.is_err());
    assert!(webhooks.change_webhook(&Webhook { account: two, ..one.clone() }).await.is_err());
    let ping = Delivery::ping(id(32, 1), one.id, NOW);
    assert!(webhooks.add_delivery(two, &ping).await.is_err());
    assert_eq!(webhooks.claim_deliveries(two, one.id, 9, NOW, HELD).await.expect("looks"), []);
    assert!(!webhooks.switch_off_webhook(two, one.id, "x").await.expect("looks"));
    assert!(!webhooks.remove_webhook(two, one.id).await.expect("looks"));
    assert_eq!(webhooks.webhooks(account_id(1)).await.expect("reads"), [one]);
}
