//! Webhooks: addresses outside that are told what happens.
//!
//! What is told is in the record before anybody is told (`store::Webhooks`); here it is sent. [`send`] makes
//! one attempt, [`sign`] signs it, [`reach`] says where it may go, [`seal`] keeps the secrets that it is signed with;
//! [`courier`] has them all at hand. What is due is claimed and settled by `deliveries`.

mod courier;
mod reach;
mod seal;
mod send;
mod sign;

pub use courier::Courier;
pub use seal::{SealError, Seals};
pub use send::Outcome;
pub use sign::new_secret;

use ipnet::IpNet;
use secrets::Known;
use std::{path::PathBuf, sync::Arc, time::Duration};
use store::{Vault, Webhooks};

/// The part of the record that webhooks are in, with their secrets.
pub trait WebhookRecord: Webhooks + Vault {}

impl<R: Webhooks + Vault> WebhookRecord for R {}

/// What webhooks are made of.
#[derive(Clone)]
pub struct WebhookParts {
    /// The record.
    pub record: Arc<dyn WebhookRecord>,
    /// The file of the keys under which secrets are sealed.
    pub keyring: PathBuf,
    /// Whether a new keyring may be made when there is none and nothing is sealed. Where several servers share a record
    /// they need the same one, so that one of them must not make its own.
    pub makes_keyring: bool,
    /// What this process knows to be secret.
    pub known: Known,
    /// Where they may be, and how long they may take.
    pub settings: WebhookSettings,
}

/// Where webhooks may be, and how long they may take.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Whether they may be reached without TLS.
    pub http: bool,
    /// Networks that are not public and that they may be in nevertheless.
    pub networks: Vec<IpNet>,
    /// How long an attempt may take, from the name's look-up to the end of the answer.
    pub within: Duration,
    /// How often the record is asked what is due.
    pub poll: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { http: false, networks: Vec::new(), within: Duration::from_secs(10), poll: Duration::from_secs(1) }
    }
}
