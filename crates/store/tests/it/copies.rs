//! Copies of a whole record: consistent while others write, the same from either database, and looked at closely.

use crate::{
    engines::{Engine, open},
    postgres,
    world::{action, everything, exec, id, note, run, sandbox, session, session_id, settle},
};
use domain::{EPOCHS_PER_GENERATION, Generation, ServerId, Timestamp};
use sqlx::{Connection as _, SqliteConnection};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use store::{ClaimLimits, Fence, OutputChunk, Source, SqlStore, Store, Write};

const NOW: Timestamp = Timestamp(7);

/// A session of which something is in most tables, and of every type of column.
async fn fill(store: &dyn Store) {
    settle(store, 1).await;
    store.generation(&first()).await.expect("a record");
    store.create_session(&session(1, 1), &[action(1, 1, 1)], &[note("begun \u{1f980}")], NOW).await.expect("a session");
    let blob = store.put_blob(&vec![7; 600 * 1024]).await.expect("a blob");
    let writes = [
        Write::AddRun(run(1, 1, 1, None)),
        Write::PutSandbox(sandbox(1, 1)),
        Write::AddExec(exec(1, 1, 1)),
        Write::Output(OutputChunk { exec: exec(1, 1, 1).id, from: 0, to: 600 * 1024, blob }),
        Write::Journal("k".to_owned(), serde_json::json!({"a": [1, null]})),
    ];
    store.commit(session_id(1), Fence::Open, &writes, &[], NOW).await.expect("commits");
}

fn first() -> Generation {
    Generation {
        record: id(20, 1),
        number: 1,
        instance: id(20, 2),
        since: Timestamp(3),
        backed_up_at: None,
        unsettled: false,
    }
}

async fn copied(location: &str, dir: &Path, name: &str) -> (PathBuf, Source) {
    let file = dir.join(name);
    let source = SqlStore::copy(location, &file).await.expect("copies");
    (file, source)
}

async fn wrong(file: &Path) -> Vec<String> {
    SqlStore::examine(file).await.expect("examines").wrong
}

#[tokio::test]
async fn a_copy_is_of_one_moment_while_others_write() {
    for engine in [Engine::sqlite().await, Engine::postgres().await] {
        let (store, location) = (engine.store(), engine.location.as_deref().expect("it has one"));
        fill(store.as_ref()).await;
        let done = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let done = Arc::clone(&done);
            async move {
                let mut written = 0_i64;
                while !done.load(Ordering::Relaxed) {
                    let blob = store.put_blob(format!("blob {written}").as_bytes()).await.expect("a blob");
                    let writes = [Write::Transcript(id(5, 101), blob)];
                    let events: Vec<_> = (0..10).map(|n| note(format!("{written} {n}"))).collect();
                    store.commit(session_id(1), Fence::Open, &writes, &events, NOW).await.expect("commits");
                    written += 10;
                }
                written
            }
        });
        let dir = tempfile::tempdir().expect("a directory");
        let mut before = 0;
        for n in 0..10 {
            let (file, _) = copied(location, dir.path(), &n.to_string()).await;
            // The numbering of events is whole only if session and events are of one moment.
            assert_eq!(wrong(&file).await, [""; 0], "copy {n}");
            let events = SqlStore::examine(&file).await.expect("examines").rows["events"];
            assert!(events >= before && events % 10 == 1, "{events} after {before}");
            before = events;
        }
        done.store(true, Ordering::Relaxed);
        let written = writer.await.expect("writes");
        assert!(before <= written + 1, "{before} of {written}");
    }
}

#[tokio::test]
async fn a_record_moves_from_one_database_to_the_other_and_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::postgres().await;
    fill(engine.store().as_ref()).await;
    let original = everything(engine.store().as_ref(), 1).await;
    let (file, source) = copied(engine.location.as_deref().expect("it has one"), dir.path(), "a.db").await;
    assert_eq!(source, Source::Postgres);
    let examined = SqlStore::examine(&file).await.expect("examines");
    assert_eq!((examined.wrong.len(), examined.generation), (0, Some(first())), "{examined:?}");

    let as_sqlite = open(file.to_str().expect("text")).await;
    assert_eq!(everything(&as_sqlite, 1).await, original);
    as_sqlite.close().await;

    let other = postgres::database().await;
    assert!(!SqlStore::is_in_use(&other).await.expect("asks"));
    let there = open(&other).await;
    settle(&there, 2).await;
    there.create_session(&session(2, 9), &[], &[], NOW).await.expect("a session");
    assert!(SqlStore::is_in_use(&other).await.expect("asks"));
    SqlStore::fill_postgres(&other, &file).await.expect("fills");
    assert_eq!(everything(&there, 1).await, original);
    assert_eq!(there.session(session_id(9)).await.expect("reads"), None, "what was there is gone");
    let hash = domain::BlobHash::of(&vec![7; 600 * 1024]);
    assert_eq!(there.blob(hash).await.expect("reads").expect("there").len(), 600 * 1024);
    let (again, _) = copied(&other, dir.path(), "b.db").await;
    assert_eq!(SqlStore::examine(&again).await.expect("examines"), examined);
}

#[tokio::test]
async fn what_is_wrong_with_a_copy_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::sqlite().await;
    fill(engine.store().as_ref()).await;
    let location = engine.location.as_deref().expect("it has one");
    for (n, (statement, words)) in [
        ("UPDATE blob_chunks SET data = x'00' WHERE number = 1", "the bytes of blob"),
        ("DELETE FROM blob_chunks", "the bytes of blob"),
        ("DELETE FROM events", "session r/1 has 0 events up to 0 and should have 1"),
        ("UPDATE events SET number = 2", "session r/1 has 1 events up to 2 and should have 1"),
        ("DELETE FROM runs", "execs refers to a row of runs that is missing"),
    ]
    .into_iter()
    .enumerate()
    {
        let (file, _) = copied(location, dir.path(), &n.to_string()).await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file).foreign_keys(false);
        let mut connection = SqliteConnection::connect_with(&options).await.expect("opens");
        sqlx::query(statement).execute(&mut connection).await.expect("damages");
        connection.close().await.expect("closes");
        let wrong = wrong(&file).await;
        assert!(wrong.iter().any(|line| line.contains(words)), "{statement}: {wrong:?}");
    }
    // Pages that make no sense.
    let (file, _) = copied(location, dir.path(), "pages").await;
    let mut bytes = std::fs::read(&file).expect("reads");
    let page = 4096 * 3;
    bytes[page..page + 512].fill(0xee);
    std::fs::write(&file, bytes).expect("writes");
    match SqlStore::examine(&file).await {
        Ok(examined) => assert!(!examined.wrong.is_empty(), "damaged pages were not seen"),
        Err(error) => assert!(error.to_string().contains("failed to"), "{error}"),
    }
}

#[tokio::test]
async fn a_new_generation_is_out_of_reach_of_the_old_one() {
    for engine in [Engine::sqlite().await, Engine::postgres().await] {
        let store = open(engine.location.as_deref().expect("it has one")).await;
        fill(&store).await;
        let owner = ServerId(id(30, 1));
        let claim = store.claim(owner, ClaimLimits { per_account: 9 }, NOW).await.expect("asks").expect("work");
        let next = Generation { number: 2, instance: id(20, 3), unsettled: true, backed_up_at: Some(NOW), ..first() };
        store.begin_generation(&next).await.expect("begins");

        assert_eq!(store.known_generation().await.expect("reads"), Some(next));
        assert_eq!(store.generation(&first()).await.expect("reads"), next, "it is not begun again");
        assert!(!store.beat(session_id(1), owner, claim.lease.epoch).await.expect("asks"), "the old lease is fenced");
        assert!(store.sandboxes(session_id(1)).await.expect("reads").is_empty());
        let again = store.claim(owner, ClaimLimits { per_account: 9 }, NOW).await.expect("asks").expect("work again");
        assert_eq!(again.action.id, claim.action.id);
        assert!(again.lease.epoch > claim.lease.epoch + EPOCHS_PER_GENERATION - 1, "{:?}", again.lease);
        assert_eq!((again.action.attempts, again.action.handed_back), (2, 1), "a restore is no lost attempt");

        store.settle_generation(id(20, 9)).await.expect("nothing to do");
        assert!(store.known_generation().await.expect("reads").expect("one").unsettled, "another one's note");
        store.settle_generation(next.instance).await.expect("settles");
        assert!(!store.known_generation().await.expect("reads").expect("one").unsettled);
    }
}
