//! Whoever a provider sends: known by issuer and subject, by mail address only as far as is allowed.

use crate::{
    engines::{Engine, on_each},
    world::{account_id, id, settle, user},
};
use domain::{
    Admission, Arrival, BearerHash, Errand, Link, LinkId, LinkPurpose, Member, MemberChange, Role, Timestamp, UserId,
    Welcomed,
};
use store::Access;

on_each!(
    an_errand_works_once_and_until_its_end,
    whoever_is_known_comes_in_by_issuer_and_subject_alone,
    nobody_becomes_somebody_else_by_a_mail_address,
    an_invitation_is_for_whoever_has_its_address,
    whoever_was_sent_away_stays_out,
    two_who_arrive_at_once_are_one_person,
);

const NOW: Timestamp = Timestamp(1000);
const ISSUER: &str = "https://id.example.org";

fn arrival(n: u32, subject: &str, email: Option<&str>) -> Arrival {
    Arrival {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        id: UserId(id(40, n)),
        name: format!("Person {n}"),
        email: email.map(str::to_owned),
        link_existing: false,
        newcomer: None,
    }
}

async fn admit(access: &dyn Access, arrival: &Arrival) -> Admission {
    access.admit(account_id(1), arrival, NOW).await.expect("answers")
}

fn inside(admission: Admission) -> (Member, Welcomed) {
    match admission {
        Admission::In(member, how) => (member, how),
        other => panic!("not let in: {other:?}"),
    }
}

async fn an_errand_works_once_and_until_its_end(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let hash = BearerHash::of;
    let errand = |end| Errand {
        account: account_id(1),
        issuer: ISSUER.to_owned(),
        next: "/r/1".to_owned(),
        expires_at: Timestamp(end),
    };
    access.add_errand(&errand(2000), hash("one"), NOW).await.expect("adds");
    access.add_errand(&errand(1500), hash("two"), NOW).await.expect("adds");
    assert_eq!(access.take_errand(hash("three"), NOW).await.expect("reads"), None, "never sent");
    assert_eq!(access.take_errand(hash("one"), NOW).await.expect("reads"), Some(errand(2000)));
    assert_eq!(access.take_errand(hash("one"), NOW).await.expect("reads"), None, "it works once");
    assert_eq!(access.take_errand(hash("two"), Timestamp(1500)).await.expect("reads"), None, "too late");
    assert_eq!(access.take_errand(hash("two"), NOW).await.expect("reads"), None, "and gone");
    access.add_errand(&errand(1500), hash("four"), NOW).await.expect("adds");
    access.add_errand(&errand(3000), hash("five"), Timestamp(1500)).await.expect("adds");
    assert_eq!(access.take_errand(hash("four"), NOW).await.expect("reads"), None, "forgotten with the next");
}

async fn whoever_is_known_comes_in_by_issuer_and_subject_alone(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let new = Arrival { newcomer: Some(Role::Member), ..arrival(1, "s-1", Some("grace@x")) };
    let (grace, how) = inside(admit(&*access, &new).await);
    assert_eq!((grace.user.role, grace.active, grace.has_password, how), (Role::Member, true, false, Welcomed::New));
    assert_eq!((grace.user.name.as_str(), grace.user.email.as_str()), ("Person 1", "grace@x"));
    let later = Arrival { email: Some("ada@example.org".to_owned()), ..arrival(2, "s-1", None) };
    assert_eq!(inside(admit(&*access, &later).await), (grace.clone(), Welcomed::Again), "whatever their mail is now");
    assert_eq!(inside(admit(&*access, &arrival(2, "s-1", None)).await).0, grace, "or without any");
    let elsewhere = Arrival { issuer: "https://other.example.org".to_owned(), ..arrival(3, "s-1", None) };
    assert_eq!(admit(&*access, &elsewhere).await, Admission::Unnamed, "another provider's s-1 is somebody else");
    assert_eq!(admit(&*access, &arrival(3, "S-1", None)).await, Admission::Unnamed, "to the letter");
    let identities = access.identities(account_id(1)).await.expect("reads");
    assert_eq!(identities.len(), 1);
    assert_eq!((identities[0].user, identities[0].subject.as_str()), (grace.user.id, "s-1"));
}

async fn nobody_becomes_somebody_else_by_a_mail_address(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let ada = user(1);
    let eve = Arrival { newcomer: Some(Role::Member), ..arrival(1, "eve", Some("ADA@example.org")) };
    assert_eq!(admit(&*access, &eve).await, Admission::Taken);
    let first = Arrival { link_existing: true, ..arrival(2, "ada", Some("ADA@example.org")) };
    let (member, how) = inside(admit(&*access, &first).await);
    assert_eq!((member.user.id, member.user.role, how), (ada.id, Role::Admin, Welcomed::Linked));
    let heir = Arrival { link_existing: true, ..arrival(3, "heir", Some("ada@example.org")) };
    assert_eq!(admit(&*access, &heir).await, Admission::Taken, "who was given the address after her");
    assert_eq!(admit(&*access, &arrival(4, "nobody", Some("nobody@x"))).await, Admission::Uninvited);
}

async fn an_invitation_is_for_whoever_has_its_address(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let link = Link {
        id: LinkId(id(41, 1)),
        account: account_id(1),
        purpose: LinkPurpose::Invitation,
        email: Some("grace@x".to_owned()),
        role: Role::Maintainer,
        invited_by: None,
        created_at: Timestamp(1),
        expires_at: Timestamp(2000),
    };
    access.add_link(&link, BearerHash::of("link")).await.expect("adds");
    let late = access.admit(account_id(1), &arrival(1, "grace", Some("Grace@x")), Timestamp(2000)).await;
    assert_eq!(late.expect("answers"), Admission::Uninvited, "too late");
    assert_eq!(admit(&*access, &arrival(1, "eve", Some("eve@x"))).await, Admission::Uninvited);
    let (grace, how) = inside(admit(&*access, &arrival(1, "grace", Some("Grace@x"))).await);
    assert_eq!((grace.user.role, how), (Role::Maintainer, Welcomed::Invited));
    assert_eq!(access.links(account_id(1), NOW).await.expect("reads"), [], "it is used up");
}

async fn whoever_was_sent_away_stays_out(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let new = Arrival { newcomer: Some(Role::Member), link_existing: true, ..arrival(1, "grace", Some("grace@x")) };
    let (grace, _) = inside(admit(&*access, &new).await);
    let change = |active| MemberChange::Active(active);
    access.change_member(account_id(1), grace.user.id, &change(false)).await.expect("sends away");
    assert_eq!(admit(&*access, &new).await, Admission::SentAway);
    let again = Arrival { subject: "another".to_owned(), ..new.clone() };
    assert_eq!(admit(&*access, &again).await, Admission::SentAway, "under another name too");
    access.change_member(account_id(1), grace.user.id, &change(true)).await.expect("lets in again");
    assert_eq!(inside(admit(&*access, &new).await).1, Welcomed::Again);
}

async fn two_who_arrive_at_once_are_one_person(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let access = engine.access();
    let of = |n| Arrival { newcomer: Some(Role::Member), ..arrival(n, "grace", Some("grace@x")) };
    let (one, two) = (of(1), of(2));
    let (one, two) = tokio::join!(admit(&*access, &one), admit(&*access, &two));
    let (one, two) = (inside(one), inside(two));
    assert_eq!(one.0.user.id, two.0.user.id);
    assert_ne!(one.1, two.1, "one is new and one is known");
}
