//! The three stores, each under the same tests.

use crate::postgres;
use secrets::Known;
use std::sync::Arc;
use store::{Access, MemoryStore, SqlStore, Store, StoreOptions, Vault, Webhooks};
use tempfile::TempDir;

/// One database and how to open it.
pub struct Engine {
    first: Arc<dyn Store>,
    vault: Arc<dyn Vault>,
    access: Arc<dyn Access>,
    webhooks: Arc<dyn Webhooks>,
    /// What the first store hides.
    pub known: Known,
    /// Where other servers find the same database, when there can be others.
    shared: Option<String>,
    pub location: Option<String>,
    _dir: Option<TempDir>,
}

impl Engine {
    pub fn memory() -> Self {
        let known = Known::nothing();
        let store = Arc::new(MemoryStore::hiding(known.clone()));
        Self {
            first: store.clone(),
            access: store.clone(),
            webhooks: store.clone(),
            vault: store,
            known,
            shared: None,
            location: None,
            _dir: None,
        }
    }

    pub async fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let location = dir.path().join("store.db").to_str().expect("text").to_owned();
        let (store, known) = open_hiding(&location).await;
        Self {
            first: store.clone(),
            access: store.clone(),
            webhooks: store.clone(),
            vault: store,
            known,
            shared: None,
            location: Some(location),
            _dir: Some(dir),
        }
    }

    pub async fn postgres() -> Self {
        let location = postgres::database().await;
        let (store, known) = open_hiding(&location).await;
        let shared = Some(location.clone());
        Self {
            first: store.clone(),
            access: store.clone(),
            webhooks: store.clone(),
            vault: store,
            known,
            shared,
            location: Some(location),
            _dir: None,
        }
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.first)
    }

    pub fn vault(&self) -> Arc<dyn Vault> {
        Arc::clone(&self.vault)
    }

    pub fn webhooks(&self) -> Arc<dyn Webhooks> {
        Arc::clone(&self.webhooks)
    }

    pub fn access(&self) -> Arc<dyn Access> {
        Arc::clone(&self.access)
    }

    /// The store as another server sees it; the same one when there can only be one server.
    pub async fn another(&self) -> Arc<dyn Store> {
        match &self.shared {
            Some(location) => Arc::new(open(location).await),
            None => self.store(),
        }
    }
}

pub async fn open(location: &str) -> SqlStore {
    SqlStore::open(location, StoreOptions { connections: 4, known: Known::nothing() }).await.expect("opens")
}

async fn open_hiding(location: &str) -> (Arc<SqlStore>, Known) {
    let known = Known::nothing();
    let options = StoreOptions { connections: 4, known: known.clone() };
    (Arc::new(SqlStore::open(location, options).await.expect("opens")), known)
}

/// Runs each test on each store.
macro_rules! on_each {
    ($($test:ident),* $(,)?) => {
        mod on_memory {
            $(#[tokio::test] async fn $test() { super::$test(crate::engines::Engine::memory()).await; })*
        }
        mod on_sqlite {
            $(#[tokio::test] async fn $test() { super::$test(crate::engines::Engine::sqlite().await).await; })*
        }
        mod on_postgres {
            $(#[tokio::test] async fn $test() { super::$test(crate::engines::Engine::postgres().await).await; })*
        }
    };
}

pub(crate) use on_each;
