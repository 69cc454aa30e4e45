//! What was given up is on record as that, however early it was lost, and what it owes is done by whoever comes next.

use super::House;
use crate::{
    Command, Reply, actions,
    begin::{Start, begin},
    context::Context,
    halt::Halt,
    people, publish, worker,
};
use domain::{ActionKind, ActionState, Change, Failure, Run, RunState, Session};
use forge::Forge;
use std::sync::Arc;
use store::{Fence, Store, Write};

fn poison() -> Halt {
    Halt::Failed { why: Failure::Poison, message: "3 attempts were lost to crashes".to_owned() }
}

/// Publishes the only step of a new session.
async fn published(house: &House) -> (Session, Change) {
    let session = house.session(1).await;
    let (context, _signal) = house.claim(&house.server("first").await).await;
    let leaf = context.action.kind.step().expect("a step");
    let start = Start {
        step: Some(leaf),
        agent_session: session.agent_session,
        base: session.base.clone(),
        version: Some(session.version),
    };
    let run = begin(&context, start).await.expect("begun");
    let tree = house.tree_with(&context, &session.base, "1.txt").await;
    let mirror = context.mirror().await.expect("a mirror");
    publish::commit_leaf(&context, &mirror, &run, leaf, &tree, "Said.").await.expect("noted");
    actions::perform(&context).await.expect("published");
    house.store_release(&context).await;
    let change = house.changes(&session).await.remove(0);
    assert!(change.pull_request.is_some(), "{change:?}");
    (session, change)
}

async fn ask_for_a_revision(house: &House, session: &Session, change: &Change) {
    let shared = house.server("people").await;
    let kind = ActionKind::Revise { change: change.id, instructions: "Write more".to_owned() };
    let row = crate::queue::queued(&shared, session, &[], 0, kind, None);
    house.store.commit(session.id, Fence::Open, &[Write::Enqueue(row)], &[], house.clock_now()).await.expect("queued");
}

async fn give_up(house: &House, context: &Context) {
    worker::settle(context, Err(poison())).await.expect("settled");
    house.store_release(context).await;
}

async fn begun(context: &Context, change: &Change) -> Run {
    let start = Start {
        step: None,
        agent_session: context.session.agent_session,
        base: change.head.clone(),
        version: Some(context.session.version),
    };
    begin(context, start).await.expect("begun")
}

#[tokio::test]
async fn what_was_lost_before_it_began_is_seen_to_have_failed_and_can_be_tried_again() {
    let house = House::new().await;
    let (session, change) = published(&house).await;
    ask_for_a_revision(&house, &session, &change).await;
    let shared = house.server("first").await;
    let (context, _signal) = house.claim(&shared).await;
    give_up(&house, &context).await;

    let runs = house.runs(&session).await;
    let last = runs.last().expect("a run");
    assert_eq!((last.action, last.state), (context.action.id, RunState::Failed(Failure::Poison)));
    assert_eq!(last.message.as_deref(), Some("3 attempts were lost to crashes"));
    let retry = Command::Retry { session: session.number, message: None };
    let reply = people::handle(&shared, None, retry).await.expect("its message says that this helps");
    assert!(matches!(reply, Reply::Queued(ref what) if what.len() == 1), "{reply:?}");
    let queue = house.store.queue(session.id).await.expect("read");
    assert_eq!(
        queue.iter().map(|row| (&row.kind, row.state)).collect::<Vec<_>>(),
        [(&context.action.kind, ActionState::Queued)]
    );
}

#[tokio::test]
async fn a_revision_that_was_given_up_once_it_was_pushed_is_told_by_the_next_one() {
    let house = House::new().await;
    let (session, change) = published(&house).await;
    ask_for_a_revision(&house, &session, &change).await;
    let shared = house.server("first").await;
    let (context, _signal) = house.claim(&shared).await;
    let run = begun(&context, &change).await;
    let tree = house.tree_with(&context, &change.head, "more.txt").await;
    let mirror = context.mirror().await.expect("a mirror");
    publish::commit_onto(&context, &mirror, &run, change.id, &tree, ("More", "Said.")).await.expect("noted");
    let revised = house.changes(&session).await.remove(0);
    crate::stack::push(&context, &mirror, revised.clone()).await.expect("pushed");
    give_up(&house, &context).await;

    // The agent of the next one finds everything done and changes nothing.
    ask_for_a_revision(&house, &session, &change).await;
    let (context, _signal) = house.claim(&shared).await;
    begun(&context, &revised).await;
    for _ in 0..2 {
        publish::publish(&context, &mirror, change.id).await.expect("published");
        let comments = comments(&context, &change).await;
        assert_eq!(comments, [format!("Revised in {}.", revised.head.short())]);
    }
}

async fn comments(context: &Arc<Context>, change: &Change) -> Vec<String> {
    let repository = context.repository().await.expect("one");
    let number = change.pull_request.expect("one");
    let comments = context.shared.forge.comments(&repository, number).await.expect("read");
    comments.into_iter().map(|comment| comment.body).collect()
}
