//! Webhooks and their deliveries.

use super::tables::{MemoryRows, pick};
use crate::{StoreError, backend::WebhookRows};
use async_trait::async_trait;
use domain::{AccountId, Delivery, DeliveryId, DeliveryState, Timestamp, Webhook, WebhookId};
use std::cmp::Reverse;

type Result<T> = std::result::Result<T, StoreError>;

impl MemoryRows {
    /// Newest first.
    fn deliveries_of(&self, webhook: WebhookId) -> Vec<Delivery> {
        let mut found = pick(&self.tables.deliveries, |row| row.webhook == webhook);
        found.sort_by_key(|row| Reverse((row.created_at, row.id)));
        found
    }
}

#[async_trait]
impl WebhookRows for MemoryRows {
    async fn add_webhook(&mut self, new: &Webhook) -> Result<()> {
        self.add(|tables| &mut tables.webhooks, new.id, new.clone())
    }

    async fn put_webhook(&mut self, webhook: &Webhook) -> Result<()> {
        if self.tables.webhooks.get(&webhook.id).is_some_and(|old| old.account == webhook.account) {
            self.put(|tables| &mut tables.webhooks, webhook.id, webhook.clone());
        }
        Ok(())
    }

    async fn remove_webhook(&mut self, id: WebhookId) -> Result<()> {
        for delivery in self.deliveries_of(id) {
            self.take(|tables| &mut tables.deliveries, delivery.id);
        }
        self.take(|tables| &mut tables.webhooks, id);
        Ok(())
    }

    async fn webhooks(&mut self, account: AccountId) -> Result<Vec<Webhook>> {
        let mut found = pick(&self.tables.webhooks, |row| row.account == account);
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    async fn add_delivery(&mut self, new: &Delivery) -> Result<()> {
        if !self.tables.deliveries.contains_key(&new.id) {
            self.put(|tables| &mut tables.deliveries, new.id, new.clone());
        }
        Ok(())
    }

    async fn put_delivery(&mut self, delivery: &Delivery, from: DeliveryState, attempts: i64) -> Result<bool> {
        let old = self.tables.deliveries.get(&delivery.id);
        let Some(old) = old.filter(|old| (old.state, old.attempts) == (from, attempts)).cloned() else {
            return Ok(false);
        };
        let row = Delivery {
            state: delivery.state,
            attempts: delivery.attempts,
            due_at: delivery.due_at,
            last: delivery.last.clone(),
            ..old
        };
        self.put(|tables| &mut tables.deliveries, delivery.id, row);
        Ok(true)
    }

    async fn delivery(&mut self, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>> {
        Ok(self.tables.deliveries.get(&id).filter(|row| row.webhook == webhook).cloned())
    }

    async fn deliveries(
        &mut self,
        webhook: WebhookId,
        before: Option<(Timestamp, DeliveryId)>,
        limit: i64,
    ) -> Result<Vec<Delivery>> {
        let mut found = self.deliveries_of(webhook);
        found.retain(|row| before.is_none_or(|before| (row.created_at, row.id) < before));
        found.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(found)
    }

    async fn due_deliveries(&mut self, webhook: WebhookId, now: Timestamp, limit: i64) -> Result<Vec<Delivery>> {
        let waiting =
            pick(&self.tables.deliveries, |row| row.webhook == webhook && row.state == DeliveryState::Waiting);
        let is_held_back = |row: &Delivery| {
            let before = |other: &Delivery| other.place < row.place && other.attempts < domain::HOLDS_BACK;
            row.session.is_some() && waiting.iter().any(|other| other.session == row.session && before(other))
        };
        let mut due: Vec<_> = waiting.iter().filter(|row| row.due_at <= now && !is_held_back(row)).cloned().collect();
        due.sort_by_key(|row| (row.due_at, row.created_at, row.place));
        due.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(due)
    }

    async fn next_delivery(&mut self, account: AccountId) -> Result<Option<Timestamp>> {
        let webhooks = self.webhooks(account).await?;
        let active = |id| webhooks.iter().any(|webhook| webhook.id == id && webhook.active);
        let waiting = self.tables.deliveries.values().filter(|row| row.state == DeliveryState::Waiting);
        Ok(waiting.filter(|row| active(row.webhook)).map(|row| row.due_at).min())
    }

    async fn give_up_deliveries(&mut self, webhook: WebhookId) -> Result<()> {
        for row in self.deliveries_of(webhook) {
            if row.state == DeliveryState::Waiting {
                let row = Delivery { state: DeliveryState::GivenUp, ..row };
                self.put(|tables| &mut tables.deliveries, row.id, row);
            }
        }
        Ok(())
    }

    async fn remove_old_deliveries(&mut self, webhook: WebhookId, before: Timestamp, keep: i64) -> Result<u64> {
        let keep = usize::try_from(keep).unwrap_or(0);
        let mut removed = 0;
        for (place, row) in self.deliveries_of(webhook).into_iter().enumerate() {
            if row.state != DeliveryState::Waiting && (row.created_at < before || place >= keep) {
                self.take(|tables| &mut tables.deliveries, row.id);
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn remove_stray_deliveries(&mut self) -> Result<u64> {
        let webhooks: Vec<_> = self.tables.webhooks.keys().copied().collect();
        let stray = pick(&self.tables.deliveries, |row| !webhooks.contains(&row.webhook));
        for row in &stray {
            self.take(|tables| &mut tables.deliveries, row.id);
        }
        Ok(stray.len() as u64)
    }
}
