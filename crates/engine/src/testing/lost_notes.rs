//! A push arrives and its note is lost, or a commit is noted and not pushed, and work goes on without it: the session's
//! own commit is no stranger's, and its work is not done twice.

use super::{House, overtaken::noted};
use crate::{
    Command, Selection, actions, context::Context, halt::Halt, people, publish, shared::Shared, stack, worker,
};
use domain::{Change, Completion, PrMode, RunState, Session, StepEvent, StepState};
use std::sync::Arc;
use store::Store;

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

#[tokio::test]
async fn a_commit_that_others_stand_on_is_not_made_again() {
    let house = House::new().await;
    let session = house.session_in(PrMode::SinglePr, 2).await;
    let server = house.server("first").await;
    let (number, id) = (session.number, session.id);
    let ask = async |command| people::handle(&server, None, command).await.expect("done");
    // The first step's commit is noted, and its attempt ends before it is pushed.
    let (context, _signal) = house.claim(&server).await;
    let (run, _, one) = noted(&house, &context).await;
    worker::settle(&context, Err(Halt::failed("given up"))).await.expect("settled");
    house.store_release(&context).await;
    // The second one's is made on top of it and published.
    ask(Command::Execute { session: number, what: Selection::All }).await;
    let first = house.store.queue(id).await.expect("read").remove(0).id;
    ask(Command::Cancel { session: number, action: first }).await;
    let (context, _signal) = house.claim(&server).await;
    let (_, leaf, two) = noted(&house, &context).await;
    let mirror = context.mirror().await.expect("a mirror");
    publish::publish(&context, &mirror, two.id).await.expect("published");
    let done = StepEvent::Complete(Completion::Changed);
    let (writes, events) = context.step_moves(leaf, done).await.expect("moves");
    actions::succeed(&context, writes, events).await.expect("over");
    house.store_release(&context).await;

    // There is nothing here that an agent could work in: its work is there.
    ask(Command::Execute { session: number, what: Selection::All }).await;
    let (context, _signal) = house.claim(&server).await;
    actions::perform(&context).await.expect("taken over");
    let runs = house.runs(&session).await;
    let again = runs.last().expect("one");
    assert_eq!((again.state, &again.commit, &again.base), (RunState::Succeeded, &Some(one.head), &run.base));
    assert_eq!(house.states(&session).await, [StepState::Completed(Completion::Changed); 2]);
    assert_eq!(house.tip(two.branch.as_str()), Some(two.head));
}
