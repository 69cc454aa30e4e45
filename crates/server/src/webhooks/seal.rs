//! The secrets that deliveries are signed with. They lie in the record with all other stored secrets, sealed under the
//! same keyring, so that a change of keys and everything that hides secrets knows them too.

use super::{WebhookParts, sign::bare};
use domain::{AccountId, SecretId, Timestamp, Webhook, WebhookId};
use rand::{TryRngCore as _, rngs::OsRng};
use secrets::{Keyring, KeyringError, Secret};
use std::error::Error;
use store::{SealedSecret, StoreError};

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The record could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keyring cannot be used.
    #[error("{0}")]
    Keyring(String),
    /// The secret is gone, or cannot be opened.
    #[error("the webhook's signing secret {0}; give it another one")]
    Unreadable(String),
}

/// Seals and opens the secrets of webhooks.
pub struct Seals {
    parts: WebhookParts,
    account: AccountId,
}

impl Seals {
    /// Those of an account.
    pub fn new(parts: WebhookParts, account: AccountId) -> Self {
        Self { parts, account }
    }

    /// A secret sealed for the record. From then on it is hidden in everything that is written down.
    pub async fn seal(
        &self,
        webhook: WebhookId,
        row: SecretId,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<SealedSecret, SealError> {
        let keyring = self.keyring().await?;
        self.learn(secret);
        let sealed = keyring.seal(&SealedSecret::seat(&row), secret, &mut OsRng.unwrap_err());
        let (account, name) = (self.account, Webhook::secret_name(webhook));
        Ok(SealedSecret { id: row, account, name, sealed, created_at: now, changed_at: now })
    }

    /// The secret of a webhook.
    pub async fn open(&self, webhook: &Webhook) -> Result<Secret, SealError> {
        let rows = self.parts.record.secrets(self.account).await?;
        let row = rows.iter().find(|row| row.id == webhook.secret);
        let row = row.ok_or_else(|| SealError::Unreadable("is gone".to_owned()))?;
        let keyring = Keyring::read(&self.parts.keyring).map_err(|error| told(&error))?;
        let secret = keyring.open(&SealedSecret::seat(&row.id), &row.sealed);
        let secret = secret.map_err(|error| SealError::Unreadable(format!("cannot be read: {error}")))?;
        self.learn(&secret);
        Ok(secret)
    }

    /// The keyring; a new one where nothing was ever sealed.
    async fn keyring(&self) -> Result<Keyring, SealError> {
        let path = &self.parts.keyring;
        match Keyring::read(path) {
            Err(KeyringError::Missing(_)) if self.parts.makes_keyring && self.holds_nothing().await? => {
                let made = Keyring::create(path, &mut OsRng.unwrap_err()).map_err(|error| told(&error))?;
                tracing::info!(
                    keyring = %path.display(),
                    "made a keyring: keep a copy of it, and never together with one of the data"
                );
                Ok(made)
            }
            found => found.map_err(|error| told(&error)),
        }
    }

    async fn holds_nothing(&self) -> Result<bool, StoreError> {
        Ok(self.parts.record.secrets(self.account).await?.is_empty())
    }

    fn learn(&self, secret: &Secret) {
        let bare = bare(secret);
        self.parts.known.learn([Some(secret), bare.as_ref()].into_iter().flatten().filter(|secret| !secret.is_weak()));
    }
}

fn told(error: &KeyringError) -> SealError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    SealError::Keyring(text)
}
