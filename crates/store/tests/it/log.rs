//! A session's events: 1, 2, 3 … for every reader, whoever writes.

use crate::{
    engines::{Engine, on_each},
    world::{note, session, session_id, settle},
};
use domain::{Event, Timestamp};
use std::{collections::HashSet, sync::Arc, time::Duration};
use store::{EVENTS_BYTES, Fence, LONGEST_WAIT, Store, Write};
use tokio::{task::JoinSet, time::timeout};

on_each!(numbers_have_no_gaps_under_concurrent_writers, a_waiting_reader_is_woken, a_page_of_events_ends_at_its_limit);

const WRITERS: i64 = 8;
const COMMITS: i64 = 15;
const ROUNDS: i64 = 20;
const ROUNDS_LAST_AT_MOST: Duration = Duration::from_secs(10);

async fn numbers_have_no_gaps_under_concurrent_writers(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    store.create_session(&session(1, 1), &[], &[], Timestamp(1)).await.expect("a session");
    let total = (0..WRITERS).flat_map(|_| 0..COMMITS).map(|n| n % 3).sum::<i64>();

    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = engine.another().await;
        tasks.spawn(async move {
            for n in 0..COMMITS {
                let events: Vec<_> = (0..n % 3).map(|part| note(format!("{writer}.{n}.{part}"))).collect();
                store.commit(session_id(1), Fence::Open, &[], &events, Timestamp(n)).await.expect("commits");
            }
        });
    }
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let store = engine.another().await;
        readers.spawn(async move { follow(store, total).await });
    }
    let logs = timeout(Duration::from_secs(50), readers.join_all()).await.expect("the readers see everything");
    tasks.join_all().await;

    for log in &logs {
        let numbers: Vec<_> = log.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (1..=total).collect::<Vec<_>>());
        assert_eq!(log, &logs[0]);
    }
    let texts: HashSet<_> = logs[0].iter().map(|event| format!("{:?}", event.payload)).collect();
    assert_eq!(texts.len(), logs[0].len(), "nothing is written twice");
    let last = store.session(session_id(1)).await.expect("reads").expect("exists").last_event;
    assert_eq!(last, total);
}

/// Reads on from what it saw last, a few at a time, until it saw `total`.
async fn follow(store: Arc<dyn Store>, total: i64) -> Vec<Event> {
    let mut seen: Vec<Event> = Vec::new();
    loop {
        let after = seen.last().map_or(0, |event| event.number);
        if after >= total {
            return seen;
        }
        let events = store.events(session_id(1), after, 7).await.expect("reads");
        if events.is_empty() {
            store.wait_for_events(session_id(1), after).await;
        }
        seen.extend(events);
    }
}

/// Without wake-ups every round lasts as long as the longest wait, and all of them far longer than allowed.
async fn a_waiting_reader_is_woken(engine: Engine) {
    let (writer, reader) = (engine.store(), engine.another().await);
    settle(&*writer, 1).await;
    writer.create_session(&session(1, 1), &[], &[], Timestamp(1)).await.expect("a session");
    let rounds = async {
        for round in 0..ROUNDS {
            let reader = Arc::clone(&reader);
            let waiting = tokio::spawn(async move {
                while reader.events(session_id(1), round, 10).await.expect("reads").is_empty() {
                    reader.wait_for_events(session_id(1), round).await;
                }
            });
            tokio::time::sleep(LONGEST_WAIT / 50).await;
            let writes = [Write::Title(format!("title {round}"))];
            writer.commit(session_id(1), Fence::Open, &writes, &[note("new")], Timestamp(2)).await.expect("commits");
            waiting.await.expect("it reads");
        }
    };
    timeout(ROUNDS_LAST_AT_MOST, rounds).await.expect("readers are woken");
    let already = reader.wait_for_events(session_id(1), 0);
    timeout(ROUNDS_LAST_AT_MOST, already).await.expect("there are some already");
}

async fn a_page_of_events_ends_at_its_limit(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let events: Vec<_> = (0..5).map(|n| note(format!("{n}"))).collect();
    store.create_session(&session(1, 1), &[], &events, Timestamp(1)).await.expect("a session");
    let numbers = async |after, limit| {
        let events = store.events(session_id(1), after, limit).await.expect("reads");
        events.into_iter().map(|event| event.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 2).await, [1, 2]);
    assert_eq!(numbers(2, 10).await, [3, 4, 5]);
    assert_eq!(numbers(5, 10).await, [0_i64; 0]);
    assert_eq!(numbers(0, -1).await, [0_i64; 0]);

    // However many are asked for, a page is no larger than a reader can hold; one that is larger alone comes alone.
    let large: Vec<_> = [EVENTS_BYTES / 3, EVENTS_BYTES / 3, EVENTS_BYTES / 3, 2 * EVENTS_BYTES, 1]
        .map(|length| note("x".repeat(length)))
        .into();
    store.commit(session_id(1), Fence::Open, &[], &large, Timestamp(2)).await.expect("commits");
    assert_eq!(numbers(5, 1000).await, [6, 7]);
    assert_eq!(numbers(7, 1000).await, [8]);
    assert_eq!(numbers(8, 1000).await, [9]);
    assert_eq!(numbers(9, 1000).await, [10]);
    assert_eq!(numbers(0, 1000).await, [1, 2, 3, 4, 5, 6, 7], "what was not read disturbs no later reader");
}
