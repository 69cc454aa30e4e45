//! What everything that answers knows of webhooks, and what carries a delivery there.

use super::{
    Seals, WebhookParts,
    reach::Reach,
    send::{Outcome, Sender, failed},
};
use domain::{Clock, Delivery, Webhook};
use tokio::sync::{Notify, futures::Notified};

/// Webhooks, as everything that answers knows them.
pub struct Courier {
    /// The record and the settings.
    pub parts: WebhookParts,
    /// Their secrets.
    pub seals: Seals,
    /// Where they may be.
    pub reach: Reach,
    sender: Sender,
    due: Notify,
}

impl Courier {
    /// One that sends in the name of `pages`.
    pub fn new(parts: WebhookParts, account: domain::AccountId, pages: String) -> reqwest::Result<Self> {
        let reach = Reach::new(&parts.settings);
        let client = reach.client(&parts.settings)?;
        let sender = Sender { client, reach: reach.clone(), known: parts.known.clone(), pages };
        Ok(Self { seals: Seals::new(parts.clone(), account), reach, sender, due: Notify::new(), parts })
    }

    /// Something is due.
    pub fn hurry(&self) {
        self.due.notify_one();
    }

    /// Ends when something is due, or was since the last time.
    pub fn due(&self) -> Notified<'_> {
        self.due.notified()
    }

    /// Tries once to tell a webhook.
    pub async fn tell(&self, webhook: &Webhook, delivery: &Delivery, clock: &dyn Clock) -> Outcome {
        match self.seals.open(webhook).await {
            Ok(secret) => self.sender.attempt(webhook, &secret, delivery, clock).await,
            Err(error) => failed(clock.now(), error.to_string()),
        }
    }
}
