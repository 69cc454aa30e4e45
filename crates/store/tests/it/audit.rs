//! Who did what: an entry is there exactly when its change is, entries make one chain, and nobody takes one away.

use crate::{
    engines::{Engine, on_each, open},
    world::{account_id, id, note, repository, session, session_id, settle},
};
use domain::{
    AuditEntry, AuditFilter, AuditHash, AuditMark, AuditVerdict, Deed, DoerKind, MemberChange, Outcome, Role,
    Timestamp, Unfit, UserId, Via,
};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::collections::BTreeMap;
use store::{AuditPage, Fence, Store, StoreError, Write, besides, doing, unnoted};

on_each!(
    a_change_and_its_entry_are_one,
    what_was_not_known_before_is_told,
    one_deed_is_one_entry_whatever_it_takes,
    other_deeds_within_one_have_entries_of_their_own,
    writers_at_once_make_one_chain,
    nothing_secret_and_nothing_endless_is_told,
    accounts_have_chains_of_their_own,
);

fn deed(action: &str, target: &str) -> Deed {
    Deed {
        at: Timestamp(7),
        kind: DoerKind::Person,
        actor: "ada@example.org".to_owned(),
        via: Via::Page,
        address: Some("192.0.2.1".to_owned()),
        action: action.to_owned(),
        target: target.to_owned(),
        outcome: Outcome::Done,
        details: BTreeMap::new(),
    }
}

async fn all(store: &dyn Store) -> Vec<AuditEntry> {
    let page = AuditPage::Oldest(0);
    store.audit(account_id(1), &AuditFilter::default(), page, 10_000).await.expect("reads")
}

fn read(entry: &AuditEntry) -> Deed {
    serde_json::from_str(&entry.deed).expect("a deed")
}

async fn told(store: &dyn Store) -> Vec<(String, String)> {
    let all = all(store).await;
    all.iter().map(read).map(|deed| (deed.action, deed.target)).collect()
}

async fn verdict(store: &dyn Store) -> AuditVerdict {
    store.verify_audit(account_id(1), None).await.expect("looks")
}

fn pair(action: &str, target: &str) -> (String, String) {
    (action.to_owned(), target.to_owned())
}

async fn archive(store: &dyn Store, from_title: &str) -> Result<(), StoreError> {
    let writes = [Write::Title(from_title.to_owned())];
    store.commit(session_id(1), Fence::Open, &writes, &[], Timestamp(1)).await.map(drop)
}

async fn a_change_and_its_entry_are_one(engine: Engine) {
    let (store, access) = (engine.store(), engine.access());
    settle(&*store, 1).await;
    store.create_session(&session(1, 1), &[], &[], Timestamp(0)).await.expect("a session");
    assert_eq!(told(&*store).await, [], "nobody said who does it");

    let done = doing(account_id(1), deed("session.title", "r/1"), archive(&*store, "new"));
    done.await.expect("commits");
    assert_eq!(told(&*store).await, [pair("session.title", "r/1")]);

    // Of a commit whose second write is refused nothing is left, the entry neither.
    let stale = doing(account_id(1), deed("session.edit", "r/1"), async {
        let refused = Write::RequestStop(domain::ActionId(id(6, 99)));
        let writes = [Write::Title("lost".to_owned()), refused];
        store.commit(session_id(1), Fence::Open, &writes, &[], Timestamp(1)).await
    });
    assert!(matches!(stale.await, Err(StoreError::Missing { .. })));
    // What is found to change nothing leaves no entry.
    let nothing = doing(account_id(1), deed("token.revoke", "x"), async {
        access.remove_token(account_id(1), domain::TokenId(id(9, 9))).await
    });
    assert!(!nothing.await.expect("answers"));
    let last = access.change_member(account_id(1), UserId(id(2, 1)), &MemberChange::Role(Role::Member));
    let last = doing(account_id(1), deed("person.role", "ada@example.org"), last).await;
    assert!(matches!(last, Err(StoreError::LastAdmin)));
    assert_eq!(told(&*store).await.len(), 1);
    let found = store.session(session_id(1)).await.expect("reads").expect("is there");
    assert_eq!(found.title, "new");
}

async fn what_was_not_known_before_is_told(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let work = async { store.create_session(&session(1, 1), &[], &[], Timestamp(0)).await };
    doing(account_id(1), deed("session.create", "engine"), work).await.expect("a session");
    let entry = all(&*store).await.remove(0);
    assert_eq!((read(&entry).target.as_str(), read(&entry).details["title"].as_str()), ("r/1", "session 1"));
}

async fn one_deed_is_one_entry_whatever_it_takes(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    store.create_session(&session(1, 1), &[], &[], Timestamp(0)).await.expect("a session");
    doing(account_id(1), deed("session.title", "r/1"), async {
        unnoted(archive(&*store, "looked at")).await.expect("is nobody's deed");
        assert_eq!(told(&*store).await, []);
        archive(&*store, "one").await.expect("commits");
        archive(&*store, "two").await.expect("commits");
    })
    .await;
    assert_eq!(told(&*store).await, [pair("session.title", "r/1")]);
}

async fn other_deeds_within_one_have_entries_of_their_own(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let mut other = repository(1);
    (other.name, other.id) = ("shop".to_owned(), domain::RepositoryId(id(3, 9)));
    doing(account_id(1), deed("session.create", "shop"), async {
        let add = |deed: &mut Deed| "repository.add".clone_into(&mut deed.action);
        besides(add, store.add_repository(&other)).await.expect("adds");
        assert_eq!(told(&*store).await, [pair("repository.add", "shop")]);
        store.create_session(&session(1, 1), &[], &[note("begun")], Timestamp(0)).await.expect("a session");
    })
    .await;
    assert_eq!(told(&*store).await, [pair("repository.add", "shop"), pair("session.create", "r/1")]);
    assert!(all(&*store).await.iter().all(|entry| read(entry).actor == "ada@example.org"));
}

async fn writers_at_once_make_one_chain(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = engine.another().await;
        writers.spawn(async move {
            store.create_session(&session(1, n), &[], &[], Timestamp(0)).await.expect("a session");
            for turn in 0..10 {
                let work = async {
                    let writes = [Write::Title(format!("{turn}"))];
                    store.commit(session_id(n), Fence::Open, &writes, &[note("x")], Timestamp(1)).await
                };
                doing(account_id(1), deed("session.title", &format!("{n} {turn}")), work).await.expect("commits");
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("writes");
    }
    let verdict = verdict(&*engine.store()).await;
    assert_eq!((verdict.last.number, verdict.unfit), (80, None));
    let mut told = told(&*engine.store()).await;
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 80, "each once");
}

async fn nothing_secret_and_nothing_endless_is_told(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let secret = secrets::Secret::new("canary-0123456789abcdef");
    engine.known.learn([&secret]);
    let mut new = deed("sign_in", &format!("{}{}", "x".repeat(290), secret.expose()));
    new.details.insert("name".to_owned(), format!("\0{}", secret.expose()));
    new.actor = "y".repeat(100_000);
    store.note_deed(account_id(1), &new).await.expect("notes");
    let entry = all(&*store).await.remove(0);
    assert!(!entry.deed.contains("canary") && entry.deed.len() < 2000, "{}", entry.deed);
    assert_eq!(verdict(&*store).await.unfit, None);
}

async fn accounts_have_chains_of_their_own(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    settle(&*store, 2).await;
    for account in [1, 2, 1] {
        store.note_deed(account_id(account), &deed("sign_in", &account.to_string())).await.expect("notes");
    }
    assert_eq!(told(&*store).await, [pair("sign_in", "1"), pair("sign_in", "1")]);
    let other = store.verify_audit(account_id(2), None).await.expect("looks");
    assert_eq!((other.last.number, other.unfit), (1, None));
}

/// The same entries and filters on memory and on another: the same answers, also for texts that mean something to SQL.
fn compare(cases: u32, others: impl AsyncFn() -> Engine) {
    const TEXTS: &[&str] =
        &["ada", "ADA@x", "a%a", "a_a", "a!a", "%", "Ünï", "r/1", "r/12", "'", "", "session", "session.x"];
    let texts = || select(TEXTS);
    let filter = (
        prop::option::of(texts()),
        prop::option::of(texts()),
        prop::option::of(texts()),
        prop::option::of(texts()),
        0..6_i64,
        0..6_i64,
    );
    let plan = (
        prop::collection::vec((texts(), texts(), texts(), 0..6_i64), 0..12),
        prop::collection::vec(filter, 1..12),
        0..14_i64,
        0..6_i64,
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&plan, |(deeds, filters, place, limit)| {
        runtime.block_on(async {
            let (model, other) = (Engine::memory().store(), others().await);
            let other = other.store();
            for store in [&model, &other] {
                settle(&**store, 1).await;
                for (actor, action, target, at) in &deeds {
                    let at = Timestamp(*at);
                    let new = Deed { actor: (*actor).to_owned(), at, ..deed(action, target) };
                    store.note_deed(account_id(1), &new).await.expect("notes");
                }
            }
            for (who, action, target, text, since, until) in filters {
                let given = |text: Option<&str>| text.map(str::to_owned);
                let filter = AuditFilter {
                    who: given(who),
                    action: given(action),
                    target: given(target),
                    text: given(text),
                    since: (since > 0).then_some(Timestamp(since)),
                    until: (until > 0).then_some(Timestamp(until)),
                };
                for page in [AuditPage::Newest(None), AuditPage::Newest(Some(place)), AuditPage::Oldest(place)] {
                    let expected = model.audit(account_id(1), &filter, page, limit).await.expect("reads");
                    let found = other.audit(account_id(1), &filter, page, limit).await.expect("reads");
                    prop_assert_eq!(expected, found, "{:?} {:?}", filter, page);
                }
            }
            prop_assert_eq!(verdict(&*model).await, verdict(&*other).await);
            Ok(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn memory_and_sqlite_find_the_same_entries() {
    compare(30, Engine::sqlite);
}

#[test]
fn memory_and_postgres_find_the_same_entries() {
    compare(8, Engine::postgres);
}

const FORBIDDEN: &[&str] = &[
    "UPDATE audit SET actor = 'nobody'",
    "UPDATE audit SET number = number + 10",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE number = 3",
];

#[tokio::test]
async fn a_hand_in_the_database_is_refused_and_one_that_takes_the_triggers_away_shows_sqlite() {
    let engine = Engine::sqlite().await;
    let store = engine.store();
    settle(&*store, 1).await;
    for n in 1..=5 {
        store.note_deed(account_id(1), &deed("sign_in", &n.to_string())).await.expect("notes");
    }
    let noted = verdict(&*store).await.last;
    let location = engine.location.as_deref().expect("a file");
    let mut hand = SqliteConnection::connect(&format!("sqlite:{location}")).await.expect("opens");
    let replace = "INSERT OR REPLACE INTO audit SELECT account, number, at, 'nobody', action, target, words, deed, hash FROM audit";
    for text in FORBIDDEN.iter().chain([&replace]) {
        let refused = sqlx::query(AssertSqlSafe(*text)).execute(&mut hand).await.expect_err(text);
        assert!(refused.to_string().contains("only ever added to"), "{text}: {refused}");
    }
    for trigger in ["audit_is_not_changed", "audit_is_not_removed", "audit_is_not_replaced"] {
        sqlx::query(AssertSqlSafe(format!("DROP TRIGGER {trigger}"))).execute(&mut hand).await.expect("drops");
    }
    tampered(&*store, noted, async |text| {
        sqlx::query(AssertSqlSafe(text)).execute(&mut hand).await.expect("tampers");
    })
    .await;
}

#[tokio::test]
async fn a_hand_in_the_database_is_refused_and_one_that_takes_the_triggers_away_shows_postgres() {
    let engine = Engine::postgres().await;
    let store = engine.store();
    settle(&*store, 1).await;
    for n in 1..=5 {
        store.note_deed(account_id(1), &deed("sign_in", &n.to_string())).await.expect("notes");
    }
    let noted = verdict(&*store).await.last;
    let mut hand = PgConnection::connect(engine.location.as_deref().expect("a URL")).await.expect("opens");
    for text in FORBIDDEN.iter().chain([&"TRUNCATE audit", &"TRUNCATE accounts CASCADE"]) {
        let refused = sqlx::query(AssertSqlSafe(*text)).execute(&mut hand).await.expect_err(text);
        assert!(refused.to_string().contains("only ever added to"), "{text}: {refused}");
    }
    sqlx::query("ALTER TABLE audit DISABLE TRIGGER USER").execute(&mut hand).await.expect("disables");
    tampered(&*store, noted, async |text| {
        sqlx::query(AssertSqlSafe(text)).execute(&mut hand).await.expect("tampers");
    })
    .await;
}

/// What somebody does who may do anything in the database, from the subtle to the plain; each shows.
async fn tampered(store: &dyn Store, noted: AuditMark, mut hand: impl AsyncFnMut(String)) {
    let unfit = async |noted| store.verify_audit(account_id(1), noted).await.expect("looks").unfit;
    hand("UPDATE audit SET actor = 'nobody' WHERE number = 4".to_owned()).await;
    assert_eq!(unfit(None).await, Some((4, Unfit::Index)));
    hand("UPDATE audit SET actor = 'ada@example.org' WHERE number = 4".to_owned()).await;
    assert_eq!(unfit(None).await, None);
    hand("UPDATE audit SET deed = replace(deed, 'ada@', 'eve@') WHERE number = 4".to_owned()).await;
    assert_eq!(unfit(None).await, Some((4, Unfit::Hash)));
    hand("UPDATE audit SET deed = replace(deed, 'eve@', 'ada@') WHERE number = 4".to_owned()).await;
    // The end cut off fits in itself; what was noted elsewhere tells.
    hand("DELETE FROM audit WHERE number = 5".to_owned()).await;
    assert_eq!(unfit(None).await, None);
    assert_eq!(unfit(Some(noted)).await, Some((5, Unfit::Missing)));
    store.note_deed(account_id(1), &deed("sign_in", "instead")).await.expect("notes");
    assert_eq!(unfit(None).await, None);
    assert_eq!(unfit(Some(noted)).await, Some((5, Unfit::Noted)));
    hand("DELETE FROM audit WHERE number = 2".to_owned()).await;
    assert_eq!(unfit(None).await, Some((3, Unfit::Number(2))));
    let beginning = AuditMark { number: 0, hash: AuditHash::BEGINNING };
    hand("DELETE FROM audit".to_owned()).await;
    assert_eq!(verdict(store).await, AuditVerdict { last: beginning, unfit: None });
    assert_eq!(unfit(Some(noted)).await, Some((5, Unfit::Missing)));
}

#[tokio::test]
async fn a_copy_brings_the_chain_along_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::sqlite().await;
    settle(&*engine.store(), 1).await;
    engine.store().note_deed(account_id(1), &deed("sign_in", "Ünï")).await.expect("notes");
    let before = verdict(&*engine.store()).await;
    let file = dir.path().join("copy");
    store::SqlStore::copy(engine.location.as_deref().expect("a file"), &file).await.expect("copies");
    let target = Engine::postgres().await;
    settle(&*target.store(), 1).await;
    target.store().note_deed(account_id(1), &deed("sign_in", "is replaced")).await.expect("notes");
    let location = target.location.as_deref().expect("a URL");
    store::SqlStore::fill_postgres(location, &file).await.expect("fills");
    assert_eq!(verdict(&open(location).await).await, before);
    let mut hand = PgConnection::connect(location).await.expect("opens");
    sqlx::query("TRUNCATE audit").execute(&mut hand).await.expect_err("the trigger is back");
    let again = dir.path().join("again");
    store::SqlStore::copy(location, &again).await.expect("copies");
    assert_eq!(verdict(&open(again.to_str().expect("text")).await).await, before);
}
