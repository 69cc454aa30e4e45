//! Webhooks and their deliveries.

use crate::{SealedSecret, StoreError};
use async_trait::async_trait;
use domain::{AccountId, Delivery, DeliveryId, Timestamp, Webhook, WebhookId};
use std::time::Duration;

/// So many webhooks an account has at most.
pub const MOST_WEBHOOKS: usize = 20;

/// Webhooks, and what they are told. A delivery is written in the transaction of what it tells, so that neither is ever
/// there without the other.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Adds a webhook with the secret that its deliveries are signed with. Fails with [`StoreError::Conflict`] when its
    /// name is taken, or when there are [`MOST_WEBHOOKS`].
    async fn add_webhook(&self, new: &Webhook, secret: &SealedSecret) -> Result<(), StoreError>;

    /// Writes name, address, events, and whether it is active. When it is not, what waits is given up; when it is again,
    /// it counts as one that never failed. Fails with [`StoreError::Missing`] when the account has none with this id, and
    /// with [`StoreError::Conflict`] when the name is taken.
    async fn change_webhook(&self, new: &Webhook) -> Result<Webhook, StoreError>;

    /// Has everything signed with another secret from now on; the one before is gone.
    async fn rotate_webhook(&self, id: WebhookId, secret: &SealedSecret, now: Timestamp)
    -> Result<Webhook, StoreError>;

    /// Switches a webhook off that fails, and says why. False when it is off, or there is none.
    async fn switch_off_webhook(&self, account: AccountId, id: WebhookId, why: &str) -> Result<bool, StoreError>;

    /// Removes a webhook with its secret and all its deliveries. False when the account has none with this id.
    async fn remove_webhook(&self, account: AccountId, id: WebhookId) -> Result<bool, StoreError>;

    /// The account's webhooks by name.
    async fn webhooks(&self, account: AccountId) -> Result<Vec<Webhook>, StoreError>;

    /// Deliveries of a webhook, newest first: at most `limit`, those that come after `before`.
    async fn deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        before: Option<(Timestamp, DeliveryId)>,
        limit: i64,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Adds a delivery that no session makes.
    async fn add_delivery(&self, account: AccountId, new: &Delivery) -> Result<(), StoreError>;

    /// Has a delivery tried again from the beginning. Fails with [`StoreError::Missing`] when the account's webhook has
    /// none with this id, and with [`StoreError::Conflict`] when it waits anyway.
    async fn redeliver(
        &self,
        account: AccountId,
        webhook: WebhookId,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Delivery, StoreError>;

    /// When the next delivery of an active webhook of the account may be tried, as far as nothing holds it back.
    async fn next_delivery(&self, account: AccountId) -> Result<Option<Timestamp>, StoreError>;

    /// Takes deliveries of a webhook that may be tried now, each with one more attempt. Nobody else gets them for as long
    /// as they are `held`; whoever did not settle them by then may come too late. Of one session they come in their order,
    /// until one failed [`domain::HOLDS_BACK`] times.
    async fn claim_deliveries(
        &self,
        account: AccountId,
        webhook: WebhookId,
        limit: i64,
        now: Timestamp,
        held: Duration,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Writes what came of an attempt: state, next attempt, and its end. The webhook as it is then; none when it is too
    /// late.
    async fn settle_delivery(&self, account: AccountId, settled: &Delivery) -> Result<Option<Webhook>, StoreError>;

    /// Removes deliveries that are over: all from before a moment, and all but the newest `keep` of each webhook.
    async fn tidy_deliveries(&self, account: AccountId, before: Timestamp, keep: i64) -> Result<u64, StoreError>;
}
