//! What carries deliveries out: it claims what is due, tries, and writes down what came of it.
//!
//! It keeps nothing: whatever it dies of, what it had claimed is due again once it has been held long enough. Several
//! servers may do this at once; a claim is given to one of them.

use crate::{deeds, state::State, webhooks::Outcome};
use domain::{Delivery, DeliveryState, HOLDS_BACK, MAY_FAIL, Timestamp, Webhook, WebhookId};
use engine::Told;
use std::{collections::HashMap, sync::Arc, time::Duration};
use store::{StoreError, doing};
use tokio::{task::JoinSet, time::sleep};

/// So many attempts go on at once at one webhook. One that hangs holds up nothing but itself.
const AT_ONCE: usize = 4;
/// How much longer than an attempt may take nobody else gets what was claimed.
const GRACE: Duration = Duration::from_secs(20);
/// How long deliveries that are over are kept, and how many of each webhook.
const KEEP_FOR: Duration = Duration::from_hours(30 * 24);
const KEEP: i64 = 1000;
/// How often those beyond that are removed.
const TIDY: Duration = Duration::from_hours(1);
/// How long attempts may take to end when the server goes down.
const LEAVE: Duration = Duration::from_secs(2);

/// Carries out what is due until the server goes down.
pub async fn run(state: Arc<State>) {
    let mut going = Going { tasks: JoinSet::new(), busy: HashMap::new() };
    let mut tidied: Option<Duration> = None;
    loop {
        let now = state.clock.monotonic();
        if tidied.is_none_or(|at| now.saturating_sub(at) >= TIDY) {
            tidied = Some(now);
            tidy(&state).await;
        }
        if let Err(error) = going.take_up(&state).await {
            tracing::warn!(%error, "what is due to webhooks could not be read");
        }
        tokio::select! {
            Some(done) = going.tasks.join_next() => going.ended(done),
            () = state.webhooks.due() => {}
            () = sleep(state.webhooks.parts.settings.poll) => {}
            () = state.down.cancelled() => break,
        }
    }
    let rest = async { while going.tasks.join_next().await.is_some() {} };
    // What does not end in time is tried again by the next server.
    let _ = tokio::time::timeout(LEAVE, rest).await;
}

/// The attempts that go on.
struct Going {
    tasks: JoinSet<WebhookId>,
    busy: HashMap<WebhookId, usize>,
}

impl Going {
    async fn take_up(&mut self, state: &Arc<State>) -> Result<(), StoreError> {
        let (courier, account) = (&state.webhooks, state.account);
        let record = &courier.parts.record;
        let now = state.clock.now();
        if record.next_delivery(account).await?.is_none_or(|due| due > now) {
            return Ok(());
        }
        let held = courier.parts.settings.within + GRACE;
        for webhook in record.webhooks(account).await?.into_iter().filter(|webhook| webhook.active) {
            let free = AT_ONCE.saturating_sub(self.busy.get(&webhook.id).copied().unwrap_or(0));
            if free == 0 {
                continue;
            }
            let limit = i64::try_from(free).unwrap_or(1);
            for delivery in record.claim_deliveries(account, webhook.id, limit, now, held).await? {
                *self.busy.entry(webhook.id).or_default() += 1;
                let (state, webhook) = (Arc::clone(state), webhook.clone());
                self.tasks.spawn(async move {
                    carry(&state, &webhook, delivery).await;
                    webhook.id
                });
            }
        }
        Ok(())
    }

    fn ended(&mut self, done: Result<WebhookId, tokio::task::JoinError>) {
        match done {
            Ok(id) => {
                if let Some(busy) = self.busy.get_mut(&id) {
                    *busy = busy.saturating_sub(1);
                }
            }
            Err(error) => {
                tracing::error!(%error, "an attempt to tell a webhook ended by itself");
                // Whose it was is not known: none counts as busy, which at worst lets a few more go on at once.
                self.busy.clear();
            }
        }
    }
}

async fn carry(state: &State, webhook: &Webhook, delivery: Delivery) {
    let outcome = state.webhooks.tell(webhook, &delivery, state.clock.as_ref()).await;
    if let Err(error) = settle(state, webhook, delivery, outcome).await {
        tracing::warn!(%error, webhook = webhook.name, "what came of a delivery could not be written down");
    }
}

async fn settle(state: &State, webhook: &Webhook, delivery: Delivery, outcome: Outcome) -> Result<(), StoreError> {
    let Outcome { attempt, retry_after, gone } = outcome;
    let now = state.clock.now();
    let (delivery_state, due_at) = match &attempt.error {
        None => (DeliveryState::Delivered, now),
        Some(_) => match delivery.wait(delivery.attempts, retry_after).filter(|_| !gone) {
            Some(wait) => (DeliveryState::Waiting, now.after(wait)),
            None => (DeliveryState::GivenUp, now),
        },
    };
    let error = attempt.error.clone();
    let settled = Delivery { state: delivery_state, due_at, last: Some(attempt), ..delivery };
    let Some(after) = state.webhooks.parts.record.settle_delivery(state.account, &settled).await? else {
        return Ok(());
    };
    let Some(error) = error else { return Ok(()) };
    tracing::info!(
        webhook = webhook.name,
        delivery = %settled.id,
        event = settled.event.name(),
        attempt = settled.attempts,
        error,
        "a webhook was not told"
    );
    if let Some(why) = is_hopeless(&after, settled.attempts, gone, now) {
        tracing::warn!(webhook = webhook.name, why, "a webhook is switched off");
        let told = Told::new("webhook.switch_off", &webhook.name).with("why", &why);
        let work = state.webhooks.parts.record.switch_off_webhook(state.account, webhook.id, &why);
        doing(state.account, deeds::own(now, told), work).await?;
    }
    Ok(())
}

/// Why a webhook is switched off after a failure, if it is: not for a first one that comes long after the last.
fn is_hopeless(webhook: &Webhook, attempts: i64, gone: bool, now: Timestamp) -> Option<String> {
    if gone {
        return Some("it answered 410 Gone, which means that it is gone for good".to_owned());
    }
    let long = webhook.failing_since.is_some_and(|since| now.since(since) >= MAY_FAIL);
    (long && attempts >= HOLDS_BACK).then(|| format!("nothing was delivered for {} days", MAY_FAIL.as_secs() / 86_400))
}

async fn tidy(state: &State) {
    let now = state.clock.now();
    let before = Timestamp(now.0 - i64::try_from(KEEP_FOR.as_micros()).unwrap_or(0));
    if let Err(error) = state.webhooks.parts.record.tidy_deliveries(state.account, before, KEEP).await {
        tracing::warn!(%error, "old deliveries could not be cleared away");
    }
}
