//! Webhooks and their deliveries.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{json, values, word},
};
use crate::{StoreError, backend::WebhookRows};
use async_trait::async_trait;
use domain::{AccountId, Delivery, DeliveryId, DeliveryState, SecretId, SessionId, Timestamp, Webhook, WebhookId};

macro_rules! deliveries_where {
    ($rest:literal) => {
        concat!(
            "SELECT id, webhook, event, session, place, data, created_at, state, attempts, due_at, last
             FROM deliveries d WHERE ",
            $rest
        )
    };
}

statements! {
    ADD_WEBHOOK("add a webhook") =
        "INSERT INTO webhooks
            (id, account, name, url, events, active, switched_off, failing_since, secret, secret_made_at, created_at,
             changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    PUT_WEBHOOK("write a webhook") =
        "UPDATE webhooks SET name = $3, url = $4, events = $5, active = $6, switched_off = $7, failing_since = $8,
            secret = $9, secret_made_at = $10, changed_at = $11
         WHERE id = $1 AND account = $2";
    REMOVE_DELIVERIES("remove deliveries") = "DELETE FROM deliveries WHERE webhook = $1";
    REMOVE_WEBHOOK("remove a webhook") = "DELETE FROM webhooks WHERE id = $1";
    WEBHOOKS("read webhooks") =
        "SELECT id, account, name, url, events, active, switched_off, failing_since, secret, secret_made_at, created_at,
            changed_at
         FROM webhooks WHERE account = $1 ORDER BY name";
    ADD_DELIVERY("add a delivery") =
        "INSERT INTO deliveries (id, webhook, event, session, place, data, created_at, state, attempts, due_at, last)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING";
    PUT_DELIVERY("write a delivery") =
        "UPDATE deliveries SET state = $4, attempts = $5, due_at = $6, last = $7
         WHERE id = $1 AND state = $2 AND attempts = $3";
    DELIVERY("read a delivery") = deliveries_where!("webhook = $1 AND id = $2");
    DELIVERIES("read deliveries") =
        deliveries_where!("webhook = $1 ORDER BY created_at DESC, id DESC LIMIT $2");
    DELIVERIES_BEFORE("read deliveries") =
        deliveries_where!(
            "webhook = $1 AND (created_at < $3 OR (created_at = $3 AND id < $4))
             ORDER BY created_at DESC, id DESC LIMIT $2"
        );
    DUE_DELIVERIES("find deliveries to try") =
        deliveries_where!(
            "webhook = $1 AND state = 'waiting' AND due_at <= $2 AND NOT EXISTS (
                SELECT 1 FROM deliveries e
                WHERE e.webhook = d.webhook AND e.session = d.session AND e.state = 'waiting' AND e.place < d.place
                    AND e.attempts < $3
             ) ORDER BY due_at, created_at, place LIMIT $4"
        );
    NEXT_DELIVERY("find the next delivery to try") =
        "SELECT MIN(d.due_at) FROM deliveries d JOIN webhooks w ON w.id = d.webhook
         WHERE w.account = $1 AND w.active AND d.state = 'waiting'";
    GIVE_UP_DELIVERIES("give deliveries up") =
        "UPDATE deliveries SET state = 'given_up' WHERE webhook = $1 AND state = 'waiting'";
    REMOVE_OLD_DELIVERIES("remove old deliveries") =
        "DELETE FROM deliveries WHERE webhook = $1 AND state <> 'waiting' AND (created_at < $2 OR id NOT IN (
            SELECT id FROM deliveries WHERE webhook = $1 ORDER BY created_at DESC, id DESC LIMIT $3
         ))";
    REMOVE_STRAY_DELIVERIES("remove deliveries of removed webhooks") =
        "DELETE FROM deliveries WHERE webhook NOT IN (SELECT id FROM webhooks)";
}

#[async_trait]
impl WebhookRows for SqlRows {
    async fn add_webhook(&mut self, new: &Webhook) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.account,
            &new.name,
            &new.url,
            new.events.as_ref().map(json).transpose()?,
            new.active,
            new.switched_off.as_ref(),
            new.failing_since,
            new.secret,
            new.secret_made_at,
            new.created_at,
            new.changed_at,
        ];
        self.write(&ADD_WEBHOOK, values).await.map(drop)
    }

    async fn put_webhook(&mut self, webhook: &Webhook) -> Result<(), StoreError> {
        let values = values![
            webhook.id,
            webhook.account,
            &webhook.name,
            &webhook.url,
            webhook.events.as_ref().map(json).transpose()?,
            webhook.active,
            webhook.switched_off.as_ref(),
            webhook.failing_since,
            webhook.secret,
            webhook.secret_made_at,
            webhook.changed_at,
        ];
        self.write(&PUT_WEBHOOK, values).await.map(drop)
    }

    async fn remove_webhook(&mut self, id: WebhookId) -> Result<(), StoreError> {
        self.write(&REMOVE_DELIVERIES, values![id]).await?;
        self.write(&REMOVE_WEBHOOK, values![id]).await.map(drop)
    }

    async fn webhooks(&mut self, account: AccountId) -> Result<Vec<Webhook>, StoreError> {
        self.all(&WEBHOOKS, values![account]).await?.iter().map(webhook).collect()
    }

    async fn add_delivery(&mut self, new: &Delivery) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.webhook,
            word(&new.event)?,
            new.session,
            new.place,
            json(&new.data)?,
            new.created_at,
            word(&new.state)?,
            new.attempts,
            new.due_at,
            new.last.as_ref().map(json).transpose()?,
        ];
        self.write(&ADD_DELIVERY, values).await.map(drop)
    }

    async fn put_delivery(
        &mut self,
        delivery: &Delivery,
        from: DeliveryState,
        attempts: i64,
    ) -> Result<bool, StoreError> {
        let values = values![
            delivery.id,
            word(&from)?,
            attempts,
            word(&delivery.state)?,
            delivery.attempts,
            delivery.due_at,
            delivery.last.as_ref().map(json).transpose()?,
        ];
        Ok(self.write(&PUT_DELIVERY, values).await? == 1)
    }

    async fn delivery(&mut self, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.one(&DELIVERY, values![webhook, id]).await?.as_ref().map(delivery).transpose()
    }

    async fn deliveries(
        &mut self,
        webhook: WebhookId,
        before: Option<(Timestamp, DeliveryId)>,
        limit: i64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let found = match before {
            None => self.all(&DELIVERIES, values![webhook, limit]).await?,
            Some((at, id)) => self.all(&DELIVERIES_BEFORE, values![webhook, limit, at, id]).await?,
        };
        found.iter().map(delivery).collect()
    }

    async fn due_deliveries(
        &mut self,
        webhook: WebhookId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let values = values![webhook, now, domain::HOLDS_BACK, limit];
        self.all(&DUE_DELIVERIES, values).await?.iter().map(delivery).collect()
    }

    async fn next_delivery(&mut self, account: AccountId) -> Result<Option<Timestamp>, StoreError> {
        let Some(row) = self.one(&NEXT_DELIVERY, values![account]).await? else { return Ok(None) };
        Ok(row.columns("delivery").maybe_int()?.map(Timestamp))
    }

    async fn give_up_deliveries(&mut self, webhook: WebhookId) -> Result<(), StoreError> {
        self.write(&GIVE_UP_DELIVERIES, values![webhook]).await.map(drop)
    }

    async fn remove_old_deliveries(
        &mut self,
        webhook: WebhookId,
        before: Timestamp,
        keep: i64,
    ) -> Result<u64, StoreError> {
        self.write(&REMOVE_OLD_DELIVERIES, values![webhook, before, keep]).await
    }

    async fn remove_stray_deliveries(&mut self) -> Result<u64, StoreError> {
        self.write(&REMOVE_STRAY_DELIVERIES, values![]).await
    }
}

fn webhook(row: &Row) -> Result<Webhook, StoreError> {
    let mut columns = row.columns("webhook");
    Ok(Webhook {
        id: WebhookId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        name: columns.text()?,
        url: columns.text()?,
        events: columns.maybe_json()?,
        active: columns.bool()?,
        switched_off: columns.maybe_text()?,
        failing_since: columns.maybe_int()?.map(Timestamp),
        secret: SecretId(columns.uuid()?),
        secret_made_at: columns.time()?,
        created_at: columns.time()?,
        changed_at: columns.time()?,
    })
}

fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    let mut columns = row.columns("delivery");
    Ok(Delivery {
        id: DeliveryId(columns.uuid()?),
        webhook: WebhookId(columns.uuid()?),
        event: columns.word()?,
        session: columns.maybe_uuid()?.map(SessionId),
        place: columns.int()?,
        data: columns.json()?,
        created_at: columns.time()?,
        state: columns.word()?,
        attempts: columns.int()?,
        due_at: columns.time()?,
        last: columns.maybe_json()?,
    })
}
