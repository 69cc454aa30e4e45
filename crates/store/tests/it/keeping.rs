//! What is stored comes back as it was.

use crate::{
    engines::{Engine, on_each},
    world::{
        account_id, action, branch, change, commit_id, exec, id, note, repository, repository_id, run, runbook,
        sandbox, session, session_id, settle, user,
    },
};
use domain::{
    Account, AccountId, BlobHash, ChangeKey, EventPayload, Payload, Repository, RepositoryId, Role, RunId,
    RunbookVersion, Session, SessionNumber, Timestamp, ToolKind, User, UserId,
};
use serde_json::json;
use sqlx::Connection as _;
use store::{
    Check, Comment, Fence, OutputChunk, PullRequest, PullRequestState, SessionFilter, SessionSearch, StdinLine, Store,
    StoreError, Thread, Write,
};

on_each!(
    a_blob_comes_back_whole,
    a_damaged_blob_is_told,
    an_act_outside_is_journaled,
    stdin_and_output_are_kept_in_order,
    a_transcript_is_replaced_by_a_newer_one,
    nul_is_replaced_everywhere,
    texts_of_every_kind_survive,
    accounts_people_and_repositories_are_made_once,
    sessions_are_numbered_and_listed,
    sessions_are_found_by_what_people_remember,
    a_pull_request_lives,
);

const NOW: Timestamp = Timestamp(7);

async fn begin(store: &dyn Store) {
    settle(store, 1).await;
    store.create_session(&session(1, 1), &[action(1, 1, 1)], &[], NOW).await.expect("a session");
}

async fn write(store: &dyn Store, writes: &[Write]) -> Result<(), StoreError> {
    store.commit(session_id(1), Fence::Open, writes, &[], NOW).await.map(drop)
}

async fn with_exec(store: &dyn Store) {
    begin(store).await;
    let writes = [Write::AddRun(run(1, 1, 1, None)), Write::PutSandbox(sandbox(1, 1)), Write::AddExec(exec(1, 1, 1))];
    write(store, &writes).await.expect("commits");
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| u8::try_from((n * n + n / 251) % 256).expect("small")).collect()
}

async fn a_blob_comes_back_whole(engine: Engine) {
    let store = engine.store();
    for len in [0, 1, 256 * 1024, 256 * 1024 + 1, 1024 * 1024] {
        let bytes = bytes(len);
        let hash = store.put_blob(&bytes).await.expect("stores");
        assert_eq!(hash, BlobHash::of(&bytes));
        assert_eq!(store.put_blob(&bytes).await.expect("stores again"), hash);
        assert!(store.blob(hash).await.expect("reads") == Some(bytes), "{len} bytes");
    }
    assert_eq!(store.blob(BlobHash::of(b"never stored")).await.expect("reads"), None);
}

async fn a_damaged_blob_is_told(engine: Engine) {
    // Memory has no other door through which its bytes could be damaged.
    let Some(location) = &engine.location else { return };
    let store = engine.store();
    let hash = store.put_blob(&bytes(1024 * 1024)).await.expect("stores");
    let damage = "UPDATE blob_chunks SET data = $2 WHERE hash = $1 AND number = 2";
    if location.starts_with("postgres") {
        let mut connection = sqlx::PgConnection::connect(location).await.expect("connects");
        let query = sqlx::query(damage).bind(hash.0.to_vec()).bind(bytes(256 * 1024 - 1));
        assert_eq!(query.execute(&mut connection).await.expect("damages").rows_affected(), 1);
    } else {
        let mut connection = sqlx::SqliteConnection::connect(location).await.expect("connects");
        let query = sqlx::query(damage).bind(hash.0.to_vec()).bind(bytes(256 * 1024 - 1));
        assert_eq!(query.execute(&mut connection).await.expect("damages").rows_affected(), 1);
    }
    assert!(matches!(store.blob(hash).await, Err(StoreError::Damaged { what: "blob", .. })));
}

async fn an_act_outside_is_journaled(engine: Engine) {
    let store = engine.store();
    begin(&*store).await;
    let one = session_id(1);
    assert_eq!(store.journal(one, "push:1").await.expect("reads"), None);
    for note in [json!({"intent": {"z": 1, "a": [null, true, -3, "ü"]}}), json!("done")] {
        write(&*store, &[Write::Journal("push:1".to_owned(), note.clone())]).await.expect("commits");
        assert_eq!(store.journal(one, "push:1").await.expect("reads"), Some(note));
    }
    assert_eq!(store.journal(one, "push:2").await.expect("reads"), None);
}

async fn stdin_and_output_are_kept_in_order(engine: Engine) {
    let store = engine.store();
    with_exec(&*store).await;
    let exec = exec(1, 1, 1).id;
    let line = |seq, text: &str| StdinLine { exec, seq, key: format!("k{seq}"), line: text.to_owned() };
    write(&*store, &[Write::Stdin(line(2, "b")), Write::Stdin(line(1, "a"))]).await.expect("commits");
    write(&*store, &[Write::Stdin(line(2, "b"))]).await.expect("the same again");
    let other = write(&*store, &[Write::Stdin(line(2, "c"))]).await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })), "{other:?}");
    assert_eq!(store.stdin_journal(exec).await.expect("reads"), [line(1, "a"), line(2, "b")]);

    let blob = store.put_blob(b"12345").await.expect("stores");
    let chunk = |from, to| OutputChunk { exec, from, to, blob };
    let all = [chunk(0, 5), chunk(5, 10), chunk(10, 15)];
    write(&*store, &all.clone().map(Write::Output)).await.expect("commits");
    write(&*store, &[Write::Output(chunk(5, 10))]).await.expect("the same again");
    let other = write(&*store, &[Write::Output(chunk(5, 9))]).await;
    assert!(matches!(other, Err(StoreError::Conflict { .. })), "{other:?}");
    let empty = write(&*store, &[Write::Output(chunk(15, 15))]).await;
    assert!(matches!(empty, Err(StoreError::Damaged { .. })), "{empty:?}");
    let parts = [(0, 15, 0..3), (4, 5, 0..1), (5, 10, 1..2), (5, 11, 1..3), (14, u64::MAX, 2..3), (15, 20, 3..3)];
    for (from, to, found) in parts {
        assert_eq!(store.output(exec, from, to).await.expect("reads"), all[found], "{from}..{to}");
    }
    assert_eq!(store.exec(session_id(1), exec).await.expect("reads").map(|row| row.id), Some(exec));
    assert_eq!(store.exec(session_id(2), exec).await.expect("reads"), None);
}

async fn a_transcript_is_replaced_by_a_newer_one(engine: Engine) {
    let store = engine.store();
    begin(&*store).await;
    let agent = id(5, 1);
    assert_eq!(store.transcript(agent).await.expect("reads"), None);
    for text in ["old", "new"] {
        let blob = store.put_blob(text.as_bytes()).await.expect("stores");
        write(&*store, &[Write::Transcript(agent, blob)]).await.expect("commits");
        assert_eq!(store.transcript(agent).await.expect("reads"), Some(blob));
    }
}

async fn nul_is_replaced_everywhere(engine: Engine) {
    let store = engine.store();
    with_exec(&*store).await;
    let (one, exec) = (session_id(1), exec(1, 1, 1).id);
    let version = RunbookVersion { text: "# a\0b".to_owned(), ..runbook(1, 1, &[1]) };
    let tool = EventPayload::ToolStarted {
        run: RunId(id(7, 1)),
        call: "c".to_owned(),
        tool: "Bash".to_owned(),
        kind: ToolKind::Execute,
        title: "x\0".to_owned(),
        input: json!({"\0key": ["\0"]}),
    };
    let writes = [
        Write::Title("a\0b".to_owned()),
        Write::AddRunbook(version, vec![]),
        Write::Journal("k\0".to_owned(), json!({"v": "\0"})),
        Write::Stdin(StdinLine { exec, seq: 1, key: "\0".to_owned(), line: "l\0".to_owned() }),
    ];
    store.commit(one, Fence::Open, &writes, &[tool], NOW).await.expect("commits");
    assert_eq!(store.session(one).await.expect("reads").expect("exists").title, "a\u{fffd}b");
    assert_eq!(store.runbook(one, None).await.expect("reads").expect("exists").text, "# a\u{fffd}b");
    assert_eq!(store.journal(one, "k\0").await.expect("reads"), Some(json!({"v": "\u{fffd}"})));
    assert_eq!(store.stdin_journal(exec).await.expect("reads")[0].line, "l\u{fffd}");
    let Payload::Known(EventPayload::ToolStarted { title, input, .. }) =
        store.events(one, 0, 9).await.expect("reads").remove(0).payload
    else {
        panic!("a tool was started")
    };
    assert_eq!((title.as_str(), input), ("x\u{fffd}", json!({"\u{fffd}key": ["\u{fffd}"]})));
}

async fn texts_of_every_kind_survive(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let odd = Session {
        prompt: "'; DROP TABLE sessions; -- $1 ?1 \\ \"\u{1b}[31m\r\n\t\u{7f}🦀\u{202e}".to_owned(),
        title: String::new(),
        labels: vec!["a,b".to_owned(), "\"".to_owned()],
        ..session(1, 1)
    };
    let events = [note(odd.prompt.clone())];
    let made = store.create_session(&odd, &[], &events, NOW).await.expect("a session");
    assert_eq!((&made.prompt, &made.labels), (&odd.prompt, &odd.labels));
    assert_eq!(store.session(odd.id).await.expect("reads"), Some(made));
    assert_eq!(store.events(odd.id, 0, 9).await.expect("reads")[0].payload, note(odd.prompt).into());
}

async fn accounts_people_and_repositories_are_made_once(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let again = Account { id: AccountId(id(1, 9)), name: "account 1".to_owned() };
    assert_eq!(store.account(&again).await.expect("finds").id, account_id(1));

    let renamed = User { id: UserId(id(2, 9)), name: "Ada L.".to_owned(), role: Role::Member, ..user(1) };
    let found = store.user(&renamed).await.expect("finds");
    assert_eq!(found, User { name: "Ada L.".to_owned(), ..user(1) });
    assert_eq!(store.user_by_id(user(1).id).await.expect("reads"), Some(found));
    assert_eq!(store.count_users(account_id(1), Role::Admin).await.expect("counts"), 1);
    assert_eq!(store.count_users(account_id(1), Role::Member).await.expect("counts"), 0);
    let homeless = store.user(&user(8)).await;
    assert!(matches!(homeless, Err(StoreError::Missing { what: "account", .. })), "{homeless:?}");

    let same = Repository { id: RepositoryId(id(3, 9)), ..repository(1) };
    assert_eq!(store.add_repository(&same).await.expect("finds"), repository(1));
    let elsewhere = store.add_repository(&Repository { location: "/else".to_owned(), ..same }).await;
    assert!(matches!(elsewhere, Err(StoreError::Conflict { what: "repository", .. })), "{elsewhere:?}");
    for (n, name) in [(10, "Zoo"), (11, "ant"), (12, "Ärger")] {
        let new = Repository { id: RepositoryId(id(3, n)), name: name.to_owned(), ..repository(1) };
        store.add_repository(&new).await.expect("adds");
    }
    let all = store.repositories(account_id(1)).await.expect("lists");
    let names: Vec<_> = all.iter().map(|repository| repository.name.as_str()).collect();
    assert_eq!(names, ["Zoo", "ant", "engine", "Ärger"]);
    assert_eq!(store.repository(repository_id(1)).await.expect("reads"), Some(repository(1)));
}

async fn sessions_are_numbered_and_listed(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    settle(&*store, 2).await;
    for n in 1..=5 {
        let made = store.create_session(&session(1, n), &[], &[], NOW).await.expect("a session");
        assert_eq!(made.number, SessionNumber(n.into()));
    }
    let other = store.create_session(&session(2, 6), &[], &[], NOW).await.expect("a session");
    assert_eq!(other.number, SessionNumber(1), "each account counts its own");
    store.commit(session_id(2), Fence::Open, &[Write::Archive(true)], &[], NOW).await.expect("commits");

    let list = async |filter: SessionFilter| {
        let sessions = store.sessions(account_id(1), &filter).await.expect("lists");
        sessions.iter().map(|session| session.number.0).collect::<Vec<_>>()
    };
    let all = SessionFilter::default();
    assert_eq!(list(all.clone()).await, [5, 4, 3, 2, 1]);
    assert_eq!(list(SessionFilter { archived: Some(true), ..all.clone() }).await, [2]);
    assert_eq!(list(SessionFilter { archived: Some(false), limit: 2, ..all.clone() }).await, [5, 4]);
    assert_eq!(list(SessionFilter { before: Some(SessionNumber(3)), ..all.clone() }).await, [2, 1]);
    assert_eq!(list(SessionFilter { repository: Some(repository_id(2)), ..all }).await, [0_i64; 0]);
    let third = store.session_numbered(account_id(1), SessionNumber(3)).await.expect("reads");
    assert_eq!(third.expect("exists").id, session_id(3));
    assert_eq!(store.session_numbered(account_id(2), SessionNumber(3)).await.expect("reads"), None);
}

async fn sessions_are_found_by_what_people_remember(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    settle(&*store, 2).await;
    let said = |n, title: &str, prompt: &str, target: &str| Session {
        title: title.to_owned(),
        prompt: prompt.to_owned(),
        target_branch: branch(target),
        ..session(1, n)
    };
    for new in [
        said(1, "Größere Knöpfe", "Make the BUTTONS 100% larger", "main"),
        said(2, "HTTP client", "Upgrade it_now", "release/2"),
        said(3, "Tidy up", "after the client", "main"),
    ] {
        store.create_session(&new, &[], &[], NOW).await.expect("a session");
    }
    store.create_session(&session(2, 4), &[], &[], NOW).await.expect("another account's");
    let moved = Write::PutChange(change(3, 1, ChangeKey::Session));
    store.commit(session_id(3), Fence::Open, &[moved, Write::Archive(true)], &[], NOW).await.expect("commits");

    let find = async |search: SessionSearch| {
        let found = store.find_sessions(account_id(1), &SessionSearch { limit: 10, ..search }).await.expect("looks");
        assert_eq!(found.reached, None);
        found.sessions.iter().map(|session| session.number.0).collect::<Vec<_>>()
    };
    let words = |words: &[&str]| SessionSearch {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        ..SessionSearch::default()
    };
    let one = |word: &str| vec![word.to_owned()];
    assert_eq!(find(words(&[])).await, [3, 2, 1]);
    assert_eq!(find(words(&["GRÖSSERE"])).await, [0_i64; 0]);
    assert_eq!(find(words(&["GRÖßERE", "buttons"])).await, [1]);
    assert_eq!(find(words(&["Client"])).await, [3, 2]);
    assert_eq!(find(words(&["client", "http"])).await, [2]);
    // What means something to a database means nothing here.
    assert_eq!(find(words(&["100%"])).await, [1]);
    assert_eq!(find(words(&["%"])).await, [1]);
    assert_eq!(find(words(&["t_n"])).await, [2]);
    assert_eq!(find(words(&["e_n"])).await, [0_i64; 0]);
    assert_eq!(find(words(&["r/2"])).await, [2]);
    assert_eq!(find(words(&["runyard/R-1"])).await, [3]);
    assert_eq!(find(SessionSearch { branches: one("RELEASE"), ..words(&[]) }).await, [2]);
    assert_eq!(find(SessionSearch { branches: one("r-1/1"), ..words(&["tidy"]) }).await, [3]);
    assert_eq!(find(SessionSearch { branches: one("r-1/1"), ..words(&["http"]) }).await, [0_i64; 0]);
    assert_eq!(find(SessionSearch { archived: Some(false), ..words(&["client"]) }).await, [2]);
    let (name, author) = (repository(1).name, user(1).email.to_uppercase());
    assert_eq!(find(SessionSearch { repositories: one(&name), ..words(&[]) }).await, [3, 2, 1]);
    assert_eq!(find(SessionSearch { repositories: one("elsewhere"), ..words(&[]) }).await, [0_i64; 0]);
    assert_eq!(find(SessionSearch { authors: one(&author), ..words(&[]) }).await, [3, 2, 1]);
    assert_eq!(find(SessionSearch { authors: one("nobody"), ..words(&[]) }).await, [0_i64; 0]);
    assert_eq!(find(SessionSearch { before: Some(SessionNumber(3)), ..words(&["client"]) }).await, [2]);
    let part = store.find_sessions(account_id(1), &SessionSearch { limit: 1, ..words(&["client"]) }).await;
    let part = part.expect("looks");
    assert_eq!((part.sessions.len(), part.reached), (1, Some(SessionNumber(3))));
}

fn pull_request(key: &str) -> PullRequest {
    PullRequest {
        repository: repository_id(1),
        number: 0,
        key: key.to_owned(),
        title: "Add an index".to_owned(),
        body: "Why".to_owned(),
        base: branch("main"),
        head: branch("runyard/r-1/1"),
        draft: true,
        labels: vec!["db".to_owned()],
        state: PullRequestState::Open,
        merge_commit: None,
        merged_head: None,
        author: "Runyard".to_owned(),
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    }
}

async fn a_pull_request_lives(engine: Engine) {
    let (store, other) = (engine.store(), engine.another().await);
    settle(&*store, 1).await;
    let key = pull_request("a");
    let (one, two) = tokio::join!(store.open_pull_request(&key), other.open_pull_request(&key));
    assert_eq!(one.expect("opens"), two.expect("finds the same"));
    let second = store.open_pull_request(&pull_request("b")).await.expect("opens");
    assert_eq!(second.number, 2);

    let merged = PullRequest {
        state: PullRequestState::Merged,
        draft: false,
        merge_commit: Some(commit_id(4)),
        merged_head: Some(commit_id(3)),
        updated_at: Timestamp(2),
        ..second
    };
    store.update_pull_request(&merged, Timestamp(1)).await.expect("updates");
    let late = store.update_pull_request(&merged, Timestamp(1)).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    let nowhere = PullRequest { number: 9, ..merged.clone() };
    let missing = store.update_pull_request(&nowhere, Timestamp(1)).await;
    assert!(matches!(missing, Err(StoreError::Missing { .. })), "{missing:?}");
    let repository = repository_id(1);
    assert_eq!(store.pull_request(repository, 2).await.expect("reads"), Some(merged.clone()));
    assert_eq!(store.pull_request_by_key(repository, "b").await.expect("reads"), Some(merged));
    let numbers: Vec<_> = store.pull_requests(repository).await.expect("reads").iter().map(|pr| pr.number).collect();
    assert_eq!(numbers, [1, 2]);

    let thread = |n, resolved| Thread { id: id(14, n), path: "a.rs".into(), line: 3, commit: commit_id(3), resolved };
    for new in [thread(9, false), thread(4, false), thread(9, true)] {
        store.put_thread(repository, 1, &new).await.expect("writes");
    }
    assert_eq!(store.threads(repository, 1).await.expect("reads"), [thread(9, true), thread(4, false)]);
    assert_eq!(store.threads(repository, 2).await.expect("reads"), []);
    let comment = |n, at, thread| Comment {
        id: id(15, n),
        author: "Ada".into(),
        body: "Why?".into(),
        thread,
        created_at: Timestamp(at),
    };
    let (first, last) = (comment(2, 1, Some(id(14, 9))), comment(1, 2, None));
    for new in [&last, &first, &comment(1, 9, None)] {
        store.add_comment(repository, 1, new).await.expect("adds");
    }
    assert_eq!(store.comments(repository, 1).await.expect("reads"), [first.clone(), last]);
    assert!(matches!(store.add_comment(repository, 7, &first).await, Err(StoreError::Missing { .. })));

    let check = |name: &str, passed| Check { commit: commit_id(3), name: name.into(), passed, summary: "log".into() };
    for new in [check("unit", false), check("lint", true), check("unit", true)] {
        store.put_check(repository, &new).await.expect("writes");
    }
    assert_eq!(
        store.checks(repository, &commit_id(3)).await.expect("reads"),
        [check("lint", true), check("unit", true)]
    );
    assert_eq!(store.checks(repository, &commit_id(4)).await.expect("reads"), []);
}
