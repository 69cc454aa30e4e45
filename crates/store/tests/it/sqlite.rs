use crate::world::{note, session, session_id, settle};
use domain::Timestamp;
use store::{SqlStore, Store, StoreOptions};

#[tokio::test]
async fn every_statement_is_understood() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let store = SqlStore::open(path.to_str().expect("text"), StoreOptions::default()).await.expect("opens");
    store.prepare_all().await.expect("prepares");
    settle(&store, 1).await;
    let made =
        store.create_session(&session(1, 1), &[], &[note("a"), note("b")], Timestamp(5)).await.expect("a session");
    assert_eq!(store.session(session_id(1)).await.expect("reads"), Some(made));
    assert_eq!(store.events(session_id(1), 1, 10).await.expect("reads").len(), 1);
}
