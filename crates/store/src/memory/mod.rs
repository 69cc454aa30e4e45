//! The store in memory, for simulations: no threads, no clock, no files.

mod access;
mod audit;
mod library;
mod people;
mod rest;
mod runs;
mod secrets;
mod sessions;
mod tables;
mod webhooks;
mod work;

use crate::{
    StoreError,
    backend::{Backend, News, Rows},
    wake::Wake,
};
use ::secrets::Known;
use async_trait::async_trait;
use std::sync::Arc;
use tables::{MemoryRows, Tables};
use tokio::sync::Mutex;

/// What lasts as long as the process.
///
/// Transactions run one after the other; each is taken back as a whole when it fails or is dropped half-way. It waits
/// for nothing but other transactions, so that it behaves the same under a paused clock.
#[derive(Debug)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    known: Known,
    wake: Wake,
}

impl MemoryStore {
    /// An empty store that hides nothing.
    pub fn new() -> Self {
        Self::hiding(Known::nothing())
    }

    /// An empty store that hides what is `known`.
    pub fn hiding(known: Known) -> Self {
        Self { tables: Arc::default(), known, wake: Wake::default() }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Backend for MemoryStore {
    async fn read(&self) -> Result<Box<dyn Rows>, StoreError> {
        self.begin().await
    }

    async fn begin(&self) -> Result<Box<dyn Rows>, StoreError> {
        Ok(Box::new(MemoryRows::new(Arc::clone(&self.tables).lock_owned().await)))
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }

    fn known(&self) -> &Known {
        &self.known
    }

    async fn wipe_removed(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn lost_a_race(&self, _error: &StoreError) -> bool {
        false
    }
}

#[async_trait]
impl Rows for MemoryRows {
    async fn announce(&mut self, _news: News) -> Result<(), StoreError> {
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.keep();
        Ok(())
    }

    async fn roll_back(self: Box<Self>) {
        drop(self);
    }
}
