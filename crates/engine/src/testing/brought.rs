//! What comes with a request is on its pull requests, and stays there.

use super::House;
use crate::{
    Command, Problem, ProblemCode, Reply, actions,
    begin::{Start, begin},
    people, publish,
};
use domain::Session;
use forge::Forge as _;
use store::{PullRequest, Store as _};

async fn say(
    house: &House,
    session: &Session,
    labels: &[&str],
    description: Option<&str>,
    expected: Option<i64>,
) -> Result<Reply, Problem> {
    let command = Command::FollowUp {
        session: session.number,
        text: "Go on".to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        description: description.map(str::to_owned),
        expected,
    };
    let shared = house.server("people").await;
    people::handle(&shared, None, command).await
}

/// Publishes the next step.
async fn publish_next(house: &House, session: &Session) {
    let (context, _signal) = house.claim(&house.server("first").await).await;
    let leaf = context.action.kind.step().expect("a step");
    let below = house.changes(session).await;
    let base = below.last().map_or_else(|| session.base.clone(), |change| change.head.clone());
    let start = Start {
        step: Some(leaf),
        agent_session: session.agent_session,
        base: base.clone(),
        version: Some(session.version),
    };
    let run = begin(&context, start).await.expect("begun");
    let tree = house.tree_with(&context, &base, &format!("{}.txt", below.len() + 1)).await;
    let mirror = context.mirror().await.expect("a mirror");
    publish::commit_leaf(&context, &mirror, &run, leaf, &tree, "Said.").await.expect("noted");
    actions::perform(&context).await.expect("published");
    house.store_release(&context).await;
}

async fn pull_requests(house: &House) -> Vec<PullRequest> {
    let shared = house.server("people").await;
    let mut found = shared.forge.list(&house.repository).await.expect("read");
    found.sort_by_key(|pull_request| pull_request.number);
    found
}

#[tokio::test]
async fn t013_t014_t027_labels_are_on_every_pull_request_and_the_description_leads_the_first() {
    let house = House::new().await;
    let session = house.session(2).await;
    // Before there is a pull request it is kept for the first one.
    let said = say(&house, &session, &["a", "b", "a"], Some(" Part of #7. \n"), None).await.expect("said");
    assert!(matches!(said, Reply::Queued(ref what) if what == &["answer"]), "{said:?}");
    publish_next(&house, &session).await;
    publish_next(&house, &session).await;
    let made = pull_requests(&house).await;
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made.iter().all(|it| it.labels == ["a", "b"]), "{made:?}");
    // The first one was written again when the second came.
    assert!(made[0].body.starts_with("Part of #7.\n\nRunbook: "), "{}", made[0].body);
    assert!(made[1].body.starts_with("Runbook: "), "{}", made[1].body);

    // From now on what is said is for the newest one; labels come on top, also of those that people gave.
    let server = house.server("first").await;
    let by_hand = ["a", "b", "by hand"].map(str::to_owned).to_vec();
    let edit = forge::Edit { labels: Some(by_hand), ..forge::Edit::default() };
    server.forge.update(&house.repository, made[0].number, &edit).await.expect("labelled");
    let said = say(&house, &session, &["c"], None, Some(1)).await.expect("said");
    assert!(matches!(said, Reply::Queued(ref what) if what == &["revise #2"]), "{said:?}");
    let (context, _signal) = house.claim(&server).await;
    let mirror = context.mirror().await.expect("a mirror");
    publish::publish(&context, &mirror, house.changes(&session).await[1].id).await.expect("published");
    let made = pull_requests(&house).await;
    assert_eq!(made[0].labels, ["a", "b", "by hand", "c"]);
    assert_eq!(made[1].labels, ["a", "b", "c"]);
    assert!(made[0].body.starts_with("Part of #7.\n\n"), "{}", made[0].body);
}

#[tokio::test]
async fn what_is_said_about_another_version_is_not_heard() {
    let house = House::new().await;
    let session = house.session(1).await;
    let before = house.store.queue(session.id).await.expect("read");
    let refused = say(&house, &session, &["a"], Some("P"), Some(7)).await.expect_err("stale");
    assert_eq!((refused.code, refused.current_version), (ProblemCode::Conflict, Some(1)));
    assert_eq!(house.store.queue(session.id).await.expect("read"), before);
    let after = house.store.session(session.id).await.expect("read").expect("there");
    assert_eq!((after.labels, after.extras), (session.labels, session.extras));
}
