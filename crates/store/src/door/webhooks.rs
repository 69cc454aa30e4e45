//! Webhooks, for every backend: what they are told is written in the transaction that makes it true.

use super::{
    audit::change,
    clean::{self, Clean as _, Cleaned},
    commit::missing,
    transact,
};
use crate::{
    SealedSecret, StoreError, Webhooks, Write,
    backend::{Backend, Rows},
    webhooks::MOST_WEBHOOKS,
};
use async_trait::async_trait;
use domain::{
    AccountId, Delivery, DeliveryId, DeliveryState, EventPayload, SessionId, StepState, Timestamp, Webhook,
    WebhookEvent, WebhookId, told_payload,
};
use serde_json::json;
use std::time::Duration;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl<B: Backend> Webhooks for B {
    async fn add_webhook(&self, new: &Webhook, secret: &SealedSecret) -> Result<()> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| add(rows, &new, secret))
    }

    async fn change_webhook(&self, new: &Webhook) -> Result<Webhook> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| change(rows, &new))
    }

    async fn rotate_webhook(&self, id: WebhookId, secret: &SealedSecret, now: Timestamp) -> Result<Webhook> {
        let webhook = change!(self, |rows| rotate(rows, id, secret, now))?;
        Backend::wipe_removed(self).await?;
        Ok(webhook)
    }

    async fn switch_off_webhook(&self, account: AccountId, id: WebhookId, why: &str) -> Result<bool> {
        let why = clean::text(why, &self.known().redactor());
        change!(self, |rows| switch_off(rows, account, id, &why))
    }

    async fn remove_webhook(&self, account: AccountId, id: WebhookId) -> Result<bool> {
        let removed = change!(self, |rows| remove(rows, account, id))?;
        Backend::wipe_removed(self).await?;
        Ok(removed)
    }

    async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>> {
        self.read().await?.webhooks(account).await
    }

    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        before: Option<(Timestamp, DeliveryId)>,
        limit: i64,
    ) -> Result<Vec<Delivery>> {
        let mut rows = self.read().await?;
        find(&mut *rows, account, webhook).await?;
        rows.deliveries(webhook, before, limit).await
    }

    async fn add_delivery(&self, account: AccountId, new: &Delivery) -> Result<()> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| add_delivery(rows, account, &new))
    }

    async fn redeliver(
        &self,
        account: AccountId,
        webhook: WebhookId,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Delivery> {
        change!(self, |rows| redeliver(rows, account, (webhook, id), now))
    }

    async fn next_delivery(&self, account: AccountId) -> Result<Option<Timestamp>> {
        self.read().await?.next_delivery(account).await
    }

    async fn claim_deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        limit: i64,
        now: Timestamp,
        held: Duration,
    ) -> Result<Vec<Delivery>> {
        transact!(self, |rows| claim(rows, account, webhook, limit, (now, now.after(held))))
    }

    async fn settle_delivery(&self, account: AccountId, settled: &Delivery) -> Result<Option<Webhook>> {
        let settled = settled.clean(&self.known().redactor())?;
        transact!(self, |rows| settle(rows, account, &settled))
    }

    async fn tidy_deliveries(&self, account: AccountId, before: Timestamp, keep: i64) -> Result<u64> {
        transact!(self, |rows| tidy(rows, account, before, keep))
    }
}

async fn find(rows: &mut dyn Rows, account: AccountId, id: WebhookId) -> Result<Webhook> {
    let found = rows.webhooks(account).await?.into_iter().find(|webhook| webhook.id == id);
    found.ok_or_else(|| missing("webhook", id))
}

/// The account's webhooks, which nobody else changes meanwhile.
async fn locked(rows: &mut dyn Rows, account: AccountId) -> Result<Vec<Webhook>> {
    if !rows.lock_account(account).await? {
        return Err(missing("account", account));
    }
    rows.webhooks(account).await
}

async fn locked_one(rows: &mut dyn Rows, account: AccountId, id: WebhookId) -> Result<Webhook> {
    locked(rows, account).await?.into_iter().find(|known| known.id == id).ok_or_else(|| missing("webhook", id))
}

fn taken(name: &str) -> StoreError {
    StoreError::Conflict { what: "webhook", detail: name.to_owned() }
}

async fn add(rows: &mut dyn Rows, new: &Cleaned<Webhook>, secret: &SealedSecret) -> Result<()> {
    let known = locked(rows, new.account).await?;
    if known.len() >= MOST_WEBHOOKS {
        return Err(StoreError::Conflict { what: "webhooks", detail: format!("there are {MOST_WEBHOOKS} already") });
    }
    if known.iter().any(|other| other.name == new.name) {
        return Err(taken(&new.name));
    }
    if !rows.add_secret(secret).await? {
        return Err(StoreError::Conflict { what: "secret", detail: secret.name.clone() });
    }
    rows.add_webhook(new).await
}

async fn change(rows: &mut dyn Rows, new: &Cleaned<Webhook>) -> Result<Webhook> {
    let known = locked(rows, new.account).await?;
    let old = known.iter().find(|other| other.id == new.id).ok_or_else(|| missing("webhook", new.id))?;
    if known.iter().any(|other| other.id != new.id && other.name == new.name) {
        return Err(taken(&new.name));
    }
    let begins_anew = new.active && !old.active;
    let webhook = Webhook {
        name: new.name.clone(),
        url: new.url.clone(),
        events: new.events.clone(),
        active: new.active,
        changed_at: new.changed_at,
        switched_off: old.switched_off.clone().filter(|_| !new.active),
        failing_since: old.failing_since.filter(|_| !begins_anew),
        ..old.clone()
    };
    if !webhook.active {
        rows.give_up_deliveries(webhook.id).await?;
    }
    rows.put_webhook(&webhook).await?;
    Ok(webhook)
}

async fn rotate(rows: &mut dyn Rows, id: WebhookId, secret: &SealedSecret, now: Timestamp) -> Result<Webhook> {
    let old = locked_one(rows, secret.account, id).await?;
    // It may have been removed by hand: then a new one takes its place.
    rows.remove_secret(secret.account, &secret.name).await?;
    if !rows.add_secret(secret).await? {
        return Err(StoreError::Conflict { what: "secret", detail: secret.name.clone() });
    }
    let webhook = Webhook { secret: secret.id, secret_made_at: now, ..old };
    rows.put_webhook(&webhook).await?;
    Ok(webhook)
}

async fn switch_off(rows: &mut dyn Rows, account: AccountId, id: WebhookId, why: &str) -> Result<bool> {
    let known = locked(rows, account).await?;
    let Some(old) = known.into_iter().find(|known| known.id == id && known.active) else { return Ok(false) };
    rows.put_webhook(&Webhook { active: false, switched_off: Some(why.to_owned()), ..old }).await?;
    rows.give_up_deliveries(id).await?;
    Ok(true)
}

async fn remove(rows: &mut dyn Rows, account: AccountId, id: WebhookId) -> Result<bool> {
    if !locked(rows, account).await?.iter().any(|known| known.id == id) {
        return Ok(false);
    }
    rows.remove_secret(account, &Webhook::secret_name(id)).await?;
    rows.remove_webhook(id).await?;
    Ok(true)
}

async fn add_delivery(rows: &mut dyn Rows, account: AccountId, new: &Cleaned<Delivery>) -> Result<()> {
    find(rows, account, new.webhook).await?;
    rows.add_delivery(new).await
}

async fn redeliver(
    rows: &mut dyn Rows,
    account: AccountId,
    (webhook, id): (WebhookId, DeliveryId),
    now: Timestamp,
) -> Result<Delivery> {
    find(rows, account, webhook).await?;
    let old = rows.delivery(webhook, id).await?.ok_or_else(|| missing("delivery", id))?;
    let again = Delivery { state: DeliveryState::Waiting, attempts: 0, due_at: now, ..old.clone() };
    if old.state != DeliveryState::Waiting && rows.put_delivery(&again, old.state, old.attempts).await? {
        return Ok(again);
    }
    Err(StoreError::Conflict { what: "delivery", detail: format!("{id} waits") })
}

async fn claim(
    rows: &mut dyn Rows,
    account: AccountId,
    webhook: WebhookId,
    limit: i64,
    (now, until): (Timestamp, Timestamp),
) -> Result<Vec<Delivery>> {
    let mut claimed = Vec::new();
    if !rows.webhooks(account).await?.iter().any(|known| known.id == webhook && known.active) {
        return Ok(claimed);
    }
    for due in rows.due_deliveries(webhook, now, limit).await? {
        let taken = Delivery { attempts: due.attempts + 1, due_at: until, ..due };
        // Another server may have been faster.
        if rows.put_delivery(&taken, DeliveryState::Waiting, taken.attempts - 1).await? {
            claimed.push(taken);
        }
    }
    Ok(claimed)
}

async fn settle(rows: &mut dyn Rows, account: AccountId, settled: &Cleaned<Delivery>) -> Result<Option<Webhook>> {
    // The account is locked first, as by those who change a webhook.
    let known = locked(rows, account).await?;
    if !rows.put_delivery(settled, DeliveryState::Waiting, settled.attempts).await? {
        return Ok(None);
    }
    let Some(mut webhook) = known.into_iter().find(|known| known.id == settled.webhook) else { return Ok(None) };
    let failing_since = match (settled.state, &settled.last) {
        (DeliveryState::Delivered, _) => None,
        (_, last) => webhook.failing_since.or(last.as_ref().map(|last| last.at)),
    };
    if webhook.failing_since != failing_since {
        webhook.failing_since = failing_since;
        rows.put_webhook(&webhook).await?;
    }
    Ok(Some(webhook))
}

async fn tidy(rows: &mut dyn Rows, account: AccountId, before: Timestamp, keep: i64) -> Result<u64> {
    let mut removed = rows.remove_stray_deliveries().await?;
    for webhook in rows.webhooks(account).await? {
        removed += rows.remove_old_deliveries(webhook.id, before, keep).await?;
    }
    Ok(removed)
}

/// What happens in one transaction of a session.
pub(super) struct Happened<'a> {
    /// True when it begins.
    pub begins: bool,
    /// What is written.
    pub writes: &'a [Cleaned<Write>],
    /// What is appended to its log.
    pub events: &'a [Cleaned<EventPayload>],
    /// The number of the log's newest entry before these.
    pub after: i64,
}

/// Writes a delivery of everything that happened for every webhook that wants to be told of it.
pub(super) async fn tell(
    rows: &mut dyn Rows,
    session: SessionId,
    happened: &Happened<'_>,
    now: Timestamp,
) -> Result<()> {
    let mut told: Vec<(i64, u8, WebhookEvent, Option<&EventPayload>)> = Vec::new();
    if happened.begins {
        told.push((0, 0, WebhookEvent::SessionCreated, None));
    }
    let numbered = (happened.after + 1..).zip(happened.events);
    told.extend(numbered.filter_map(|(number, event)| Some((number, 0, WebhookEvent::of(event)?, Some(&**event)))));
    let last = happened.after + i64::try_from(happened.events.len()).unwrap_or(i64::MAX);
    for write in happened.writes {
        if let Write::Archive(archived) = &**write {
            let event = if *archived { WebhookEvent::SessionArchived } else { WebhookEvent::SessionUnarchived };
            told.push((last, 2, event, None));
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    let row = rows.session(session).await?.ok_or_else(|| missing("session", session))?;
    let webhooks = rows.webhooks(row.account).await?;
    if !webhooks.iter().any(|webhook| webhook.active) {
        return Ok(());
    }
    let completes = |event: &Cleaned<EventPayload>| {
        matches!(&**event, EventPayload::StepState { state: StepState::Completed(_), .. })
    };
    if let Some(at) = happened.events.iter().rposition(completes)
        && is_completed(rows, session).await?
    {
        let number = happened.after + 1 + i64::try_from(at).unwrap_or(i64::MAX);
        told.push((number, 1, WebhookEvent::SessionCompleted, None));
    }
    let repository = rows.repository(row.repository).await?.map(|repository| repository.name);
    for (number, nth, event, payload) in told {
        let mut data = json!({
            "session": row.number.to_string(),
            "title": row.title,
            "repository": repository,
            "number": number,
        });
        if let Some(payload) = payload {
            data["event"] = told_payload(payload);
        }
        for webhook in webhooks.iter().filter(|webhook| webhook.wants(event)) {
            let at = (session, number * 4 + i64::from(nth));
            rows.add_delivery(&Delivery::new(webhook.id, event, at, data.clone(), now)).await?;
        }
    }
    Ok(())
}

/// Whether every step of the newest runbook is completed.
async fn is_completed(rows: &mut dyn Rows, session: SessionId) -> Result<bool> {
    let Some(runbook) = rows.runbook(session, None).await? else { return Ok(false) };
    let steps = rows.steps(session).await?;
    let done = |id| steps.iter().any(|step| step.id == id && step.state.is_completed());
    Ok(runbook.leaves().next().is_some() && runbook.leaves().all(|leaf| done(leaf.id)))
}
