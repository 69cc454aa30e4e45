//! Paths of the model, walked in the real stores.

use crate::postgres;
use simulation::{
    model::{Faults, Planted, Protocol},
    replay::{Compared, all_paths, random_path, replay},
};
use store::{MemoryStore, SqlStore, Store, StoreOptions};

const PROTOCOL: Protocol =
    Protocol { servers: 2, one_host: false, watching: true, faults: Faults { stops: 4, hiccups: 2 }, planted: None };

async fn walk(protocol: &Protocol, store: &dyn Store, seeds: std::ops::Range<u64>) -> Result<Compared, String> {
    let mut compared = Compared::default();
    for (number, seed) in (1..).zip(seeds) {
        let path = random_path(protocol, seed, 120);
        let walked = replay(protocol, &path, store, number).await;
        compared += walked.map_err(|disagreement| format!("seed {seed}: {disagreement}"))?;
    }
    Ok(compared)
}

#[tokio::test]
async fn the_store_in_memory_says_what_the_model_says() {
    let mut compared = Compared::default();
    for seed in 0..600 {
        // A store of its own for each: a claim must find its own session.
        let walked = walk(&PROTOCOL, &MemoryStore::new(), seed..seed + 1).await;
        compared += walked.unwrap_or_else(|problem| panic!("{problem}"));
    }
    println!("random paths in memory: {compared:?}");
    assert!(compared.calls > 20_000 && compared.fenced > 20, "too little was compared: {compared:?}");
}

#[tokio::test]
async fn every_short_path_is_alike() {
    let mut compared = Compared::default();
    for path in all_paths(&PROTOCOL, 5) {
        let walked = replay(&PROTOCOL, &path, &MemoryStore::new(), 1).await;
        compared += walked.unwrap_or_else(|disagreement| panic!("{disagreement}"));
    }
    println!("all paths of five acts: {compared:?}");
    assert!(compared.paths > 1_000, "{compared:?}");
}

#[tokio::test]
async fn sqlite_says_what_the_model_says() {
    let mut compared = Compared::default();
    for seed in 0..12 {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("record.db");
        let location = file.to_str().expect("a path in UTF-8");
        let store = SqlStore::open(location, StoreOptions::hiding(secrets::Known::nothing())).await.expect("opens");
        let walked = walk(&PROTOCOL, &store, seed..seed + 1).await;
        compared += walked.unwrap_or_else(|problem| panic!("{problem}"));
        store.close().await;
    }
    println!("random paths in SQLite: {compared:?}");
    assert!(compared.calls > 200, "{compared:?}");
}

#[tokio::test]
async fn postgresql_says_what_the_model_says() {
    let mut compared = Compared::default();
    for seed in 0..12 {
        let location = postgres::database().await;
        let store = SqlStore::open(&location, StoreOptions { connections: 2, known: secrets::Known::nothing() })
            .await
            .expect("opens");
        let walked = walk(&PROTOCOL, &store, seed..seed + 1).await;
        compared += walked.unwrap_or_else(|problem| panic!("{problem}"));
        store.close().await;
    }
    println!("random paths in PostgreSQL: {compared:?}");
    assert!(compared.calls > 200, "{compared:?}");
}

#[tokio::test]
async fn every_database_refuses_what_the_model_says_is_fenced() {
    // Paths that meet a fence, found in the model alone.
    let mut fenced = Vec::new();
    for seed in 0..600 {
        let walked = walk(&PROTOCOL, &MemoryStore::new(), seed..seed + 1).await;
        if walked.unwrap_or_else(|problem| panic!("{problem}")).fenced > 0 {
            fenced.push(seed);
        }
    }
    let mut compared = Compared::default();
    for seed in fenced.into_iter().take(8) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("record.db");
        for location in [file.to_str().expect("a path in UTF-8").to_owned(), postgres::database().await] {
            let store = SqlStore::open(&location, StoreOptions { connections: 2, known: secrets::Known::nothing() })
                .await
                .expect("opens");
            let walked = walk(&PROTOCOL, &store, seed..seed + 1).await;
            compared += walked.unwrap_or_else(|problem| panic!("{problem}"));
            store.close().await;
        }
    }
    println!("paths that meet a fence, in both databases: {compared:?}");
    assert!(compared.fenced >= 16, "{compared:?}");
}

#[tokio::test]
async fn a_model_that_is_wrong_about_the_store_is_noticed() {
    for planted in [Planted::FenceIgnored, Planted::AttemptsForgotten, Planted::TakeOverWithoutCompare] {
        let protocol = Protocol { planted: Some(planted), ..PROTOCOL };
        let mut noticed = false;
        for seed in 0..100 {
            noticed |= walk(&protocol, &MemoryStore::new(), seed..seed + 1).await.is_err();
        }
        assert!(noticed, "{planted:?} went unnoticed");
    }
}
