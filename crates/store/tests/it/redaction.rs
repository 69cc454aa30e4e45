//! What is known to be secret is not written down, whichever way it comes.

use crate::{
    engines::{Engine, on_each},
    world::{action, commit_id, id, note, repository_id, session, settle},
};
use domain::{BlobHash, Timestamp};
use secrets::{MASK, Secret};
use serde_json::json;
use store::{Check, Comment, Fence, PullRequest, PullRequestState, SessionFilter, Thread, Write};

const NOW: Timestamp = Timestamp(7);
const SECRET: &str = "tok_\"9f86d081884c/7d65";

on_each!(a_secret_is_masked_in_all_that_is_written, a_secret_that_was_learned_later_is_masked_from_then_on);

async fn a_secret_is_masked_in_all_that_is_written(engine: Engine) {
    let store = engine.store();
    engine.known.learn([&Secret::new(SECRET)]);
    settle(&*store, 1).await;
    let text = format!("<{SECRET}>");
    let mut new = session(1, 1);
    (new.title, new.prompt, new.labels) = (text.clone(), text.clone(), vec![text.clone()]);
    let made = store.create_session(&new, &[action(1, 1, 1)], &[note(&text)], NOW).await.expect("a session");
    let writes = [
        Write::Journal(text.clone(), json!({ text.clone(): [text.clone(), {"deep": {"er": text.clone()}}] })),
        Write::Title(text.clone()),
    ];
    store.commit(made.id, Fence::Open, &writes, &[note(&text)], NOW).await.expect("commits");

    let hash = store.put_blob(text.as_bytes()).await.expect("stores");
    assert_eq!(hash, BlobHash::of(format!("<{MASK}>").as_bytes()), "its name is that of what is kept");

    let all = format!(
        "{:?}{:?}{:?}{}",
        store.sessions(made.account, &SessionFilter::default()).await.expect("reads"),
        store.events(made.id, 0, 100).await.expect("reads"),
        store.journal(made.id, &text).await.expect("reads").expect("found by its name"),
        String::from_utf8(store.blob(hash).await.expect("reads").expect("there")).expect("text"),
    );
    assert!(!all.contains("9f86d081884c") && all.matches(MASK).count() >= 8, "{all}");
}

async fn a_secret_that_was_learned_later_is_masked_from_then_on(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let repository = repository_id(1);
    let pull_request = PullRequest {
        repository,
        number: 0,
        key: "k".to_owned(),
        title: SECRET.to_owned(),
        body: SECRET.to_owned(),
        head: "topic".parse().expect("a branch"),
        base: "main".parse().expect("a branch"),
        draft: false,
        state: PullRequestState::Open,
        labels: vec![],
        merge_commit: None,
        merged_head: None,
        author: "Ada".to_owned(),
        created_at: NOW,
        updated_at: NOW,
    };
    let opened = store.open_pull_request(&pull_request).await.expect("opens");
    assert_eq!(opened.title, SECRET);

    engine.known.learn([&Secret::new(SECRET)]);
    store.update_pull_request(&PullRequest { body: SECRET.to_owned(), ..opened.clone() }, NOW).await.expect("updates");
    let text = SECRET.to_owned();
    let comment = Comment { id: id(9, 1), author: text.clone(), body: text.clone(), thread: None, created_at: NOW };
    store.add_comment(repository, 1, &comment).await.expect("comments");
    let commit = commit_id(3);
    let thread = Thread { id: id(9, 2), path: text.clone(), line: 1, commit: commit.clone(), resolved: false };
    store.put_thread(repository, 1, &thread).await.expect("writes");
    let check = Check { commit: commit.clone(), name: "build".to_owned(), passed: true, summary: text };
    store.put_check(repository, &check).await.expect("writes");
    let all = format!(
        "{:?} {:?} {:?} {:?}",
        store.pull_request(repository, 1).await.expect("reads"),
        store.comments(repository, 1).await.expect("reads"),
        store.threads(repository, 1).await.expect("reads"),
        store.checks(repository, &commit).await.expect("reads"),
    );
    assert!(!all.contains("9f86d081884c") && all.matches(MASK).count() >= 5, "{all}");
}
