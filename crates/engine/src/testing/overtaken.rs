//! A server is overtaken: what it noted is finished by the next one, and what it still does is refused or does no harm.

use super::House;
use crate::{
    actions,
    begin::{Start, begin},
    context::Context,
    halt::Halt,
    publish, stack,
};
use domain::{Change, ChangeState, Completion, Run, RunState, StepId, StepState};
use forge::Forge;

/// Begins the step that was claimed and notes a commit with one file, as far as just before it is pushed.
pub(super) async fn noted(house: &House, context: &Context) -> (Run, StepId, Change) {
    let leaf = context.action.kind.step().expect("a step");
    let changes = house.changes(&context.session).await;
    let base = changes.last().map_or_else(|| context.session.base.clone(), |change| change.head.clone());
    let agent_session = context.session.agent_session;
    let start = Start { step: Some(leaf), agent_session, base: base.clone(), version: Some(1) };
    let run = begin(context, start).await.expect("begun");
    let name = format!("{}.txt", changes.len() + 1);
    let tree = house.tree_with(context, &base, &name).await;
    let mirror = context.mirror().await.expect("a mirror");
    let id = publish::commit_leaf(context, &mirror, &run, leaf, &tree, "Said.").await.expect("noted");
    (run, leaf, publish::change_by_id(context, id).await.expect("there"))
}

#[tokio::test]
async fn what_one_server_noted_another_one_publishes_from_its_own_data_directory() {
    let house = House::new().await;
    let session = house.session(2).await;
    let (first, second) = (house.server("first").await, house.server("second").await);
    let (dies, _signal) = house.claim(&first).await;
    let (run, _, change) = noted(&house, &dies).await;
    assert_eq!(house.tip(change.branch.as_str()), None, "nothing is pushed yet");

    house.expire(&session).await;
    let (context, _signal) = house.claim(&second).await;
    actions::perform(&context).await.expect("published");
    let runs = house.runs(&session).await;
    assert_eq!(runs.iter().map(|run| (run.id, run.state)).collect::<Vec<_>>(), [(run.id, RunState::Succeeded)]);
    assert_eq!(house.tip(change.branch.as_str()), Some(change.head.clone()));
    assert_eq!(house.git(&["show", &format!("{}:1.txt", change.branch)]), "1.txt");
    assert_eq!(house.states(&session).await, [StepState::Completed(Completion::Changed), StepState::Queued]);
    let changes = house.changes(&session).await;
    assert_eq!((changes[0].state, changes[0].pull_request), (ChangeState::Open, Some(1)));
}

#[tokio::test]
async fn commits_that_are_never_pushed_travel_too_one_on_top_of_the_other() {
    let house = House::new().await;
    let session = house.session(2).await;
    let (first, second) = (house.server("first").await, house.server("second").await);
    let (context, _signal) = house.claim(&first).await;
    let (_, leaf, one) = noted(&house, &context).await;
    // As in manual mode: the step is over and its branch is nobody's but ours.
    let (writes, events) =
        context.step_moves(leaf, domain::StepEvent::Complete(Completion::Changed)).await.expect("moves");
    actions::succeed(&context, writes, events).await.expect("over");
    house.store_release(&context).await;
    let (context, _signal) = house.claim(&first).await;
    let (_, _, two) = noted(&house, &context).await;
    assert_eq!(house.git(&["branch", "--list", "runyard/*"]), "", "nothing was pushed");

    house.expire(&session).await;
    let (context, _signal) = house.claim(&second).await;
    let mirror = context.mirror().await.expect("a mirror");
    assert_eq!(mirror.missing(&[one.head.clone(), two.head.clone()]).await.expect("asked"), []);
    stack::push(&context, &mirror, two.clone()).await.expect("pushed");
    assert_eq!(house.git(&["show", &format!("{}:1.txt", two.branch)]), "1.txt");
    assert_eq!(house.git(&["show", &format!("{}:2.txt", two.branch)]), "2.txt");
}

#[tokio::test]
async fn a_commit_that_nobody_has_is_said_so() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (first, second) = (house.server("first").await, house.server("second").await);
    let (context, _signal) = house.claim(&first).await;
    let (_, _, change) = noted(&house, &context).await;
    // As a server of a version before noted it.
    let forgotten = store::Write::Journal(format!("pack:{}", change.head), serde_json::Value::Null);
    context.commit(&[forgotten], &[]).await.expect("noted");
    house.expire(&session).await;
    let (context, _signal) = house.claim(&second).await;
    let said = context.mirror().await.expect_err("it is nowhere");
    let Halt::Failed { message, .. } = &said else { panic!("{said:?}") };
    assert!(message.contains(change.branch.as_str()) && message.contains("data directory"), "{message}");
}

/// Two servers, the first of which noted a commit and was overtaken by the second, which published it.
async fn overtaken(house: &House) -> (std::sync::Arc<Context>, Change, Change) {
    let session = house.session(2).await;
    let (first, second) = (house.server("first").await, house.server("second").await);
    // Nobody tells the first one: it stood still.
    let (stale, signal) = house.claim(&first).await;
    std::mem::forget(signal);
    let (_, _, change) = noted(house, &stale).await;
    house.expire(&session).await;
    let (context, _signal) = house.claim(&second).await;
    actions::perform(&context).await.expect("published");
    let published = publish::change_by_id(&context, change.id).await.expect("there");
    (stale, change, published)
}

#[tokio::test]
async fn a_branch_that_a_person_deleted_is_not_made_again_by_a_server_that_was_overtaken() {
    let house = House::new().await;
    let (stale, before, published) = overtaken(&house).await;
    house.git(&["branch", "-D", published.branch.as_str()]);
    let mirror = stale.mirror().await.expect("a mirror");

    let asked = stack::push(&stale, &mirror, before.clone()).await;
    assert_eq!(asked, Err(Halt::Fenced), "it looks at the record before it pushes");
    assert_eq!(house.tip(published.branch.as_str()), None);

    // It looked, and then stood still until now.
    let late = stack::push_noted(&stale, &mirror, before).await;
    assert_eq!(late, Err(Halt::Fenced));
    assert_eq!(house.tip(published.branch.as_str()), None, "taken away again");
    let notes = house.notes(&stale.session).await;
    assert!(notes.iter().any(|note| note.contains("was taken away again")), "{notes:?}");
}

#[tokio::test]
async fn a_late_push_of_what_is_there_or_was_never_there_does_no_harm() {
    let house = House::new().await;
    let (stale, before, published) = overtaken(&house).await;
    let mirror = stale.mirror().await.expect("a mirror");
    assert_eq!(stack::push_noted(&stale, &mirror, before.clone()).await, Err(Halt::Fenced));
    assert_eq!(house.tip(published.branch.as_str()), Some(published.head.clone()), "the branch of the next one stays");

    // Overtaken by one that has pushed nothing yet: what is pushed is what it will find.
    let session = house.session(1).await;
    let (first, second) = (house.server("first").await, house.server("second").await);
    let (stale, signal) = house.claim(&first).await;
    assert_ne!(stale.session.id, published.session);
    let (_, _, change) = noted(&house, &stale).await;
    house.expire(&session).await;
    let (context, _signal) = house.claim(&second).await;
    let stale_mirror = stale.mirror().await.expect("a mirror");
    assert_eq!(stack::push_noted(&stale, &stale_mirror, change.clone()).await, Err(Halt::Fenced));
    drop(signal);
    assert_eq!(house.tip(change.branch.as_str()), Some(change.head.clone()));
    actions::perform(&context).await.expect("published");
    assert_eq!(house.tip(change.branch.as_str()), Some(change.head));
}

#[tokio::test]
async fn a_server_that_was_overtaken_does_not_write_over_the_text_of_a_pull_request() {
    let house = House::new().await;
    let (stale, before, published) = overtaken(&house).await;
    let mirror = stale.mirror().await.expect("a mirror");
    let repository = stale.repository().await.expect("one");
    let number = published.pull_request.expect("one");
    let now = stale.shared.forge.get(&repository, number).await.expect("there");
    let old = Change { pull_request: Some(number), title: "Old".to_owned(), ..before };
    let refused = publish::open_pull_request(&stale, &mirror, old.clone(), false).await;
    assert_eq!(refused, Err(Halt::Fenced));
    assert_eq!(stale.shared.forge.get(&repository, number).await.expect("there"), now);
}
