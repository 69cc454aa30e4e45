//! What teams know: versions that nobody overwrites unseen, and uses that are counted.

use crate::{
    engines::{Engine, on_each},
    world::{account_id, action, id, run, session, settle, user},
};
use domain::{
    ContextFile, Knowledge, KnowledgeId, KnowledgeKind, Learning, LearningState, Moment, Persona, PersonaRole, Piece,
    RunId, Timestamp,
};
use secrets::Secret;
use store::{Fence, Library, StoreError, Write};

on_each!(
    knowledge_is_kept_by_account_and_kind,
    who_did_not_see_the_newest_version_changes_nothing,
    uses_are_counted_with_the_commit_that_made_them,
    a_secret_in_a_context_file_is_masked,
    an_account_has_one_of_each_learning,
    what_a_run_teaches_is_there_once_with_every_run_that_taught_it,
);

fn file(n: u32, text: &str) -> Knowledge {
    let piece = Piece::ContextFile(ContextFile {
        title: format!("File {n}"),
        text: text.to_owned(),
        repositories: vec!["team/*".to_owned()],
        priority: -3,
        enabled: true,
    });
    Knowledge {
        id: KnowledgeId(id(30, n)),
        account: account_id(1),
        owner: None,
        version: 1,
        piece,
        author: Some(user(1).id),
        created_at: Timestamp(i64::from(n)),
        changed_at: Timestamp(i64::from(n)),
        used: 0,
        used_at: None,
    }
}

fn persona(n: u32) -> Knowledge {
    let piece = Piece::Persona(Persona {
        name: "Careful".to_owned(),
        role: PersonaRole::Custom,
        instructions: "Be careful.".to_owned(),
        default: false,
    });
    Knowledge { owner: Some(user(1).id), author: None, piece, ..file(n, "") }
}

async fn all(store: &dyn Library, kind: KnowledgeKind) -> Vec<Knowledge> {
    store.knowledge(account_id(1), kind).await.expect("reads")
}

async fn knowledge_is_kept_by_account_and_kind(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    settle(&*store, 2).await;
    let (one, two, other) = (file(2, "one"), file(1, "two"), Knowledge { account: account_id(2), ..file(3, "") });
    for new in [&one, &two, &other, &persona(4)] {
        store.add_knowledge(new).await.expect("adds");
    }
    assert_eq!(all(&*store, KnowledgeKind::ContextFile).await, [two, one.clone()], "oldest first");
    assert_eq!(all(&*store, KnowledgeKind::Persona).await, [persona(4)]);
    let again = store.add_knowledge(&one).await;
    assert!(matches!(again, Err(StoreError::Conflict { what: "context file", .. })), "{again:?}");
    assert_eq!(store.piece_of_knowledge(account_id(1), one.id).await.expect("reads"), Some(one));
    assert_eq!(store.piece_of_knowledge(account_id(1), other.id).await.expect("reads"), None, "another account's");
}

async fn who_did_not_see_the_newest_version_changes_nothing(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let old = file(1, "old");
    store.add_knowledge(&old).await.expect("adds");
    let new = Knowledge { version: 2, author: None, changed_at: Timestamp(9), ..file(1, "new") };
    store.change_knowledge(&new, 1).await.expect("changes");
    let late = store.change_knowledge(&Knowledge { version: 2, ..file(1, "late") }, 1).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    assert_eq!(all(&*store, KnowledgeKind::ContextFile).await, [new]);

    let (account, id) = (old.account, old.id);
    let late = store.remove_knowledge(account, id, 1).await;
    assert!(matches!(late, Err(StoreError::Stale { .. })), "{late:?}");
    let foreign = store.remove_knowledge(account_id(2), id, 2).await;
    assert!(matches!(foreign, Err(StoreError::Missing { .. })), "{foreign:?}");
    store.remove_knowledge(account, id, 2).await.expect("removes");
    assert_eq!(all(&*store, KnowledgeKind::ContextFile).await, []);
    let gone = store.change_knowledge(&old, 2).await;
    assert!(matches!(gone, Err(StoreError::Missing { .. })), "{gone:?}");
}

async fn uses_are_counted_with_the_commit_that_made_them(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let made = store.create_session(&session(1, 1), &[action(1, 1, 1)], &[], Timestamp(5)).await.expect("a session");
    let (one, two) = (file(1, ""), file(2, ""));
    store.add_knowledge(&one).await.expect("adds");
    store.add_knowledge(&two).await.expect("adds");
    let gone = KnowledgeId(id(30, 9));
    let used = [Write::UsedKnowledge(vec![two.id, gone, one.id]), Write::Persona(Some(gone))];
    let bad = [used[0].clone(), Write::RequestStop(domain::ActionId(id(6, 9)))];
    store.commit(made.id, Fence::Open, &bad, &[], Timestamp(7)).await.expect_err("there is no such action");
    assert_eq!(all(&*store, KnowledgeKind::ContextFile).await, [one.clone(), two.clone()]);
    store.commit(made.id, Fence::Open, &used, &[], Timestamp(8)).await.expect("commits");
    store.commit(made.id, Fence::Open, &[Write::UsedKnowledge(vec![one.id])], &[], Timestamp(9)).await.expect("again");
    let counted: Vec<_> =
        all(&*store, KnowledgeKind::ContextFile).await.iter().map(|file| (file.used, file.used_at)).collect();
    assert_eq!(counted, [(2, Some(Timestamp(9))), (1, Some(Timestamp(8)))]);
    let session = store.session(made.id).await.expect("reads").expect("there");
    assert_eq!(session.extras.persona, Some(gone));
}

async fn a_secret_in_a_context_file_is_masked(engine: Engine) {
    let store = engine.store();
    engine.known.learn([&Secret::new("tok_9f86d081884c7d65")]);
    settle(&*store, 1).await;
    store.add_knowledge(&file(1, "use tok_9f86d081884c7d65\0")).await.expect("adds");
    let kept = all(&*store, KnowledgeKind::ContextFile).await;
    assert_eq!(kept, [file(1, &format!("use {}\u{fffd}", secrets::MASK))]);
}

fn learning(n: u32, pattern: &str) -> Knowledge {
    let piece = Piece::Learning(Learning {
        pattern: pattern.to_owned(),
        solution: "Start the database.".to_owned(),
        applies_to: vec!["pytest".to_owned()],
        repositories: vec!["shop".to_owned()],
        state: LearningState::Proposed,
    });
    Knowledge { author: None, piece, ..file(n, "") }
}

async fn an_account_has_one_of_each_learning(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    settle(&*store, 2).await;
    let first = learning(1, "The tests hang");
    store.add_knowledge(&first).await.expect("adds");
    let alike = store.add_knowledge(&learning(2, "the tests HANG!")).await;
    assert!(matches!(alike, Err(StoreError::Conflict { what: "learning", .. })), "{alike:?}");
    let elsewhere = Knowledge { account: account_id(2), ..learning(3, "The tests hang") };
    store.add_knowledge(&elsewhere).await.expect("another account's are its own");
    let other = learning(4, "The tests fail");
    store.add_knowledge(&other).await.expect("adds");
    let taken = Knowledge { version: 2, ..learning(4, "The tests - hang") };
    let taken = store.change_knowledge(&taken, 1).await;
    assert!(matches!(taken, Err(StoreError::Conflict { what: "learning", .. })), "{taken:?}");
    assert_eq!(all(&*store, KnowledgeKind::Learning).await, [first, other]);
    let same = Knowledge { version: 2, ..learning(4, "The tests FAIL") };
    store.change_knowledge(&same, 1).await.expect("it is like itself");
    let moved = Knowledge { version: 3, ..learning(4, "The tests are slow") };
    store.change_knowledge(&moved, 2).await.expect("changes");
    store.add_knowledge(&learning(5, "The tests fail")).await.expect("nothing is like it any more");
}

async fn what_a_run_teaches_is_there_once_with_every_run_that_taught_it(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    settle(&*store, 2).await;
    let commit = |session, writes: Vec<Write>, at| {
        let store = &*store;
        async move { store.commit(session, Fence::Open, &writes, &[], Timestamp(at)).await }
    };
    let made = store.create_session(&session(1, 1), &[action(1, 1, 1)], &[], Timestamp(5)).await.expect("a session");
    for n in [1, 2] {
        commit(made.id, vec![Write::AddRun(run(1, n, 1, None))], 6).await.expect("a run");
    }
    let taught = |known: Knowledge, run: u32, moment| Write::Learn(Box::new(known), RunId(id(7, run)), moment);
    let first = learning(1, "The tests hang");
    let lost = vec![taught(first.clone(), 1, Moment::ChecksFixed), taught(learning(2, "x"), 9, Moment::ChecksFixed)];
    commit(made.id, lost, 7).await.expect_err("there is no such run");
    let foreign = Knowledge { account: account_id(2), ..learning(2, "x") };
    commit(made.id, vec![taught(foreign, 1, Moment::ChecksFixed)], 7).await.expect_err("another account's");
    assert_eq!(all(&*store, KnowledgeKind::Learning).await, [], "all or nothing");

    let same = learning(3, "The tests: hang");
    let twice = vec![taught(first.clone(), 1, Moment::ChecksFixed), taught(same.clone(), 1, Moment::ErrorResolved)];
    commit(made.id, twice, 8).await.expect("commits");
    let off = Knowledge { version: 2, author: Some(user(1).id), ..learning(1, "The tests hang") };
    store.change_knowledge(&off, 1).await.expect("a person changes it");
    commit(made.id, vec![taught(same, 2, Moment::ReviewAddressed)], 9).await.expect("commits");
    let kept = all(&*store, KnowledgeKind::Learning).await;
    assert_eq!(kept, [off], "who teaches it again changes nothing of it");
    let lessons = store.lessons(account_id(1)).await.expect("reads");
    let told: Vec<_> = lessons.iter().map(|it| (it.learning, it.number.0, it.run, it.moment, it.at.0)).collect();
    let expected = [
        (first.id, 1, RunId(id(7, 1)), Moment::ChecksFixed, 8),
        (first.id, 1, RunId(id(7, 2)), Moment::ReviewAddressed, 9),
    ];
    assert_eq!(told, expected);
    assert_eq!(store.lessons(account_id(2)).await.expect("reads"), []);

    store.remove_knowledge(account_id(1), first.id, 2).await.expect("removes");
    assert_eq!(store.lessons(account_id(1)).await.expect("reads"), []);
    store.add_knowledge(&first).await.expect("the same id again");
    assert_eq!(store.lessons(account_id(1)).await.expect("reads"), [], "nothing was left behind");
}
