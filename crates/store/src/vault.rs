//! Stored secrets: rows whose values only the holder of a keyring can read.

use crate::StoreError;
use async_trait::async_trait;
use domain::{AccountId, SecretId, Timestamp};
use secrets::Seat;

/// A secret as it lies in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Its id, to which the value is bound.
    pub id: SecretId,
    /// Whose it is.
    pub account: AccountId,
    /// Its name, unique within the account.
    pub name: String,
    /// The value in an envelope ([`secrets::Keyring::seal`]).
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its value was given last; a new seal around the same value does not count.
    pub changed_at: Timestamp,
}

impl SealedSecret {
    /// The place that the value of the secret with this id is bound to.
    pub fn seat(id: &SecretId) -> Seat<'_> {
        Seat { table: "secrets", row: id.0.as_bytes(), column: "sealed" }
    }
}

/// A new envelope for a secret whose envelope still is the one that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reseal {
    /// Which secret.
    pub id: SecretId,
    /// The envelope that was seen.
    pub from: Vec<u8>,
    /// The new one, around the same value.
    pub to: Vec<u8>,
}

/// The stored secrets. What is replaced or removed is overwritten, as far as the database can.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Adds a secret. Fails with [`StoreError::Conflict`] when there is one with its name.
    async fn add_secret(&self, new: &SealedSecret) -> Result<(), StoreError>;

    /// Gives the secret with this id and name another value. Fails with [`StoreError::Missing`] when there is none.
    async fn replace_secret(&self, new: &SealedSecret) -> Result<(), StoreError>;

    /// The account's secrets by name.
    async fn secrets(&self, account: AccountId) -> Result<Vec<SealedSecret>, StoreError>;

    /// Removes a secret. False when there is none with this name.
    async fn remove_secret(&self, account: AccountId, name: &str) -> Result<bool, StoreError>;

    /// Changes envelopes, in one transaction; how many still were what was seen. The others are left alone.
    async fn reseal_secrets(&self, reseals: &[Reseal]) -> Result<usize, StoreError>;

    /// Overwrites what is left of removed and replaced rows outside of the tables, as far as the database can. On
    /// PostgreSQL it cannot: there a new key makes what is left unreadable.
    async fn wipe_removed(&self) -> Result<(), StoreError>;
}
