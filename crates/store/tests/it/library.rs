//! What teams know: versions that nobody overwrites unseen, and uses that are counted.

use crate::{
    engines::{Engine, on_each},
    world::{account_id, action, id, session, settle, user},
};
use domain::{ContextFile, Knowledge, KnowledgeId, KnowledgeKind, Persona, PersonaRole, Piece, Timestamp};
use secrets::Secret;
use store::{Fence, Library, StoreError, Write};

on_each!(
    knowledge_is_kept_by_account_and_kind,
    who_did_not_see_the_newest_version_changes_nothing,
    uses_are_counted_with_the_commit_that_made_them,
    a_secret_in_a_context_file_is_masked,
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
