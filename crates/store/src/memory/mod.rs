//! The store in memory, for simulations: no threads, no clock, no files.

mod people;
mod rest;
mod runs;
mod sessions;
mod tables;
mod work;

use crate::{
    StoreError,
    backend::{Backend, News, Rows},
    wake::Wake,
};
use async_trait::async_trait;
use std::sync::Arc;
use tables::{MemoryRows, Tables};
use tokio::sync::Mutex;

/// What lasts as long as the process.
///
/// Transactions run one after the other; each is taken back as a whole when it fails or is dropped half-way. It waits
/// for nothing but other transactions, so that it behaves the same under a paused clock.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    wake: Wake,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
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
