//! What everything that answers shares.

use crate::{
    audience::Audience, brake::Brake, gate::Gate, metrics::Metrics, oidc::Provider, origin::Origins,
    password::Passwords, presence::Presence, pulse::Pulse, refusals::Refusals, webhooks::Courier,
};
use domain::{AccountId, Clock, Mint};
use engine::Backend;
use std::sync::Arc;
use store::{Access, Store};
use tokio_util::sync::CancellationToken;

/// The parts of one server.
pub struct State {
    pub backend: Arc<dyn Backend>,
    pub store: Arc<dyn Store>,
    pub access: Arc<dyn Access>,
    pub account: AccountId,
    pub clock: Arc<dyn Clock>,
    pub mint: Arc<dyn Mint>,
    pub origins: Origins,
    pub gate: Gate,
    pub brake: Brake,
    pub refusals: Refusals,
    pub passwords: Passwords,
    /// Whether a password lets somebody in.
    pub passwords_open: bool,
    pub provider: Option<Provider>,
    pub pulse: Pulse,
    pub audience: Arc<Audience>,
    pub presence: Arc<Presence>,
    pub webhooks: Courier,
    pub metrics: Arc<Metrics>,
    /// Cancelled when the server goes down.
    pub down: CancellationToken,
}
