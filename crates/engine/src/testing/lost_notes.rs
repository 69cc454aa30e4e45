//! A push arrives and its note is lost, and work goes on without it: the session's own commit is no stranger's.

use super::{House, overtaken::noted};
use crate::{Command, Selection, context::Context, halt::Halt, people, publish, shared::Shared, stack, worker};
use domain::{Change, PrMode, Session};
use std::sync::Arc;

/// The attempt is given up, a person marks its step as done, and asks for the rest.
async fn marked_as_done(house: &House, context: &Context, step: &str) {
    worker::settle(context, Err(Halt::failed("given up"))).await.expect("settled");
    house.store_release(context).await;
    let session = context.session.number;
    for command in
        [Command::MarkDone { session, step: step.to_owned() }, Command::Execute { session, what: Selection::All }]
    {
        people::handle(&context.shared, None, command).await.expect("done");
    }
}

/// A session of three steps with one pull request. The first server pushed the first step's commit and was overtaken
/// before it could note that; the step was given up, and marked as done.
async fn pushed_unheard(house: &House) -> (Session, Arc<Shared>, Change) {
    let session = house.session_in(PrMode::SinglePr, 3).await;
    let (first, second) = (house.server("first").await, house.server("second").await);
    let (dies, _signal) = house.claim(&first).await;
    let (_, _, change) = noted(house, &dies).await;
    house.expire(&session).await;
    let mirror = dies.mirror().await.expect("a mirror");
    assert_eq!(stack::push_noted(&dies, &mirror, change.clone()).await, Err(Halt::Fenced));
    assert_eq!(house.tip(change.branch.as_str()), Some(change.head.clone()), "it arrived");

    let (context, _signal) = house.claim(&second).await;
    marked_as_done(house, &context, "1").await;
    let on_record = house.changes(&session).await.pop().expect("one");
    assert_eq!((on_record.pushed, &on_record.head), (None, &change.head), "nobody heard of it");
    (session, second, change)
}

#[tokio::test]
async fn later_steps_are_pushed_onto_a_commit_whose_push_nobody_heard_of() {
    let house = House::new().await;
    let (session, server, change) = pushed_unheard(&house).await;
    // The next one is noted and never pushed at all.
    let (context, _signal) = house.claim(&server).await;
    let (_, _, two) = noted(&house, &context).await;
    marked_as_done(&house, &context, "2").await;

    let (context, _signal) = house.claim(&server).await;
    let (_, _, three) = noted(&house, &context).await;
    assert_ne!(two.head, three.head);
    let mirror = context.mirror().await.expect("a mirror");
    let published = publish::publish(&context, &mirror, change.id).await.expect("published");
    assert_eq!(published.pushed.as_ref(), Some(&three.head));
    assert_eq!(house.tip(change.branch.as_str()), Some(three.head.clone()));
    assert_eq!(house.git(&["ls-tree", "--name-only", three.head.as_str()]), "1.txt\n2.txt");
    assert_eq!(house.changes(&session).await.len(), 1);
}

#[tokio::test]
async fn what_a_person_did_to_the_branch_meanwhile_is_not_overwritten() {
    let house = House::new().await;
    let (_, server, change) = pushed_unheard(&house).await;
    let branch = change.branch.as_str();
    house.git(&["checkout", "-q", branch]);
    house.git(&["commit", "-q", "--allow-empty", "-m", "By hand"]);
    house.git(&["checkout", "-q", "--detach"]);
    let theirs = house.tip(branch);

    let (context, _signal) = house.claim(&server).await;
    let (_, _, two) = noted(&house, &context).await;
    let mirror = context.mirror().await.expect("a mirror");
    let refused = stack::push(&context, &mirror, two.clone()).await;
    let Err(Halt::Failed { message, .. }) = &refused else { panic!("{refused:?}") };
    assert!(message.contains("somebody else moved"), "{message}");
    assert_eq!(house.tip(branch), theirs);

    // They take it back, and once our push is on record, put the branch back on purpose.
    house.git(&["branch", "--force", branch, change.head.as_str()]);
    let two = stack::push(&context, &mirror, two).await.expect("pushed");
    assert_eq!(house.tip(branch), Some(two.head.clone()));
    marked_as_done(&house, &context, "2").await;
    house.git(&["branch", "--force", branch, change.head.as_str()]);
    let (context, _signal) = house.claim(&server).await;
    let (_, _, three) = noted(&house, &context).await;
    let refused = stack::push(&context, &mirror, three).await;
    assert!(matches!(refused, Err(Halt::Failed { .. })), "{refused:?}");
    assert_eq!(house.tip(branch), Some(change.head));
}
