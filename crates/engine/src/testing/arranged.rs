//! What people make of steps by hand: they skip them, move them and take them out, and nothing of a step is lost or
//! mixed up with another's.

use super::House;
use crate::{Command, Edit, Problem, ProblemCode, Reply, SessionView, StepPlace, people, shared::Shared};
use domain::{
    ActionKind, Change, ChangeId, ChangeKey, ChangeState, Completion, EventPayload, Mode, Payload, Session, StepEvent,
    StepId, StepState, SystemMint,
};
use std::sync::Arc;
use store::{Fence, Store as _, Write};

const NOT_YET: StepState = StepState::NotStarted;
const SKIPPED: StepState = StepState::Completed(Completion::Skipped);

/// A session of `steps` steps, none of them queued.
async fn planned(house: &House, steps: usize) -> (Arc<Shared>, Session) {
    let session = house.session(steps).await;
    let shared = house.server("people").await;
    ask(&shared, Command::Stop { session: session.number }).await.expect("stopped");
    (shared, session)
}

async fn ask(shared: &Shared, command: Command) -> Result<Reply, Problem> {
    people::handle(shared, None, command).await
}

async fn view(shared: &Shared, session: &Session) -> SessionView {
    match ask(shared, Command::Session { session: session.number }).await.expect("a view") {
        Reply::Session(view) => *view,
        other => panic!("{other:?}"),
    }
}

async fn edited(shared: &Shared, session: &Session, edit: Edit) -> Result<(), Problem> {
    let expected = view(shared, session).await.session.version;
    ask(shared, Command::Edit { session: session.number, expected, edit }).await.map(drop)
}

async fn moved(shared: &Shared, session: &Session, step: &str, to: StepPlace) -> Result<(), Problem> {
    edited(shared, session, Edit::Move { step: step.to_owned(), to }).await
}

fn skip(session: &Session, step: &str, reason: &str) -> Command {
    Command::SkipStep { session: session.number, step: step.to_owned(), reason: reason.to_owned(), expected: None }
}

/// Number, id and state of each step.
async fn steps(shared: &Shared, session: &Session) -> Vec<(String, StepId, StepState)> {
    view(shared, session).await.steps.into_iter().map(|step| (step.number, step.id, step.state)).collect()
}

async fn text(house: &House, session: &Session) -> String {
    house.store.runbook(session.id, None).await.expect("read").expect("there").text
}

#[tokio::test]
async fn a_step_that_moves_keeps_what_it_is_and_no_other_line_changes() {
    let house = House::new().await;
    let (shared, session) = planned(&house, 3).await;
    ask(&shared, skip(&session, "3", "not now")).await.expect("skipped");
    let before = steps(&shared, &session).await;
    moved(&shared, &session, "3", StepPlace::Up).await.expect("moved");
    let after = steps(&shared, &session).await;
    let expected: Vec<_> =
        [("1", 0), ("2", 2), ("3", 1)].map(|(number, was)| (number.to_owned(), before[was].1, before[was].2)).into();
    assert_eq!(after, expected);
    assert_eq!(
        text(&house, &session).await,
        "# Runbook: Files\n\n## Execution Steps\n\n### Step 1: Write file 1\n- `1.txt`\n\n### Step 2: Write file 3\n- \
         `3.txt`\n\n### Step 3: Write file 2\n- `2.txt`\n\n"
    );
    moved(&shared, &session, "2", StepPlace::Down).await.expect("moved back");
    assert_eq!(steps(&shared, &session).await, before);
    let last = moved(&shared, &session, "3", StepPlace::Down).await.expect_err("it is the last one");
    assert_eq!(last.message, "step 3 is the last one on its level");
    let first = moved(&shared, &session, "1", StepPlace::Up).await.expect_err("it is the first one");
    assert_eq!(first.message, "step 1 is the first one on its level");
}

/// By its words alone nobody could tell which of the two moved.
#[tokio::test]
async fn of_two_steps_of_the_same_name_each_stays_itself() {
    let house = House::new().await;
    let (shared, session) = planned(&house, 1).await;
    let twins = "# Runbook: Twins\n\n## Execution Steps\n\n### Step 1: One\n\n#### 1.1: Test it\n- a\n\n#### 1.2: More\n- b\n\n\
                 ### Step 2: Two\n\n#### 2.1: Test it\n- c\n\n### Step 3: Three\n\n#### 3.1: Last\n- d\n";
    edited(&shared, &session, Edit::Text { text: twins.to_owned() }).await.expect("saved");
    ask(&shared, skip(&session, "1.1", "tested by hand")).await.expect("skipped");
    let before = steps(&shared, &session).await;
    let at = |all: &[(String, StepId, StepState)], number: &str| {
        all.iter().find(|step| step.0 == number).map(|step| (step.1, step.2)).expect("there")
    };
    moved(&shared, &session, "1.1", StepPlace::Into("3".to_owned())).await.expect("moved");
    let after = steps(&shared, &session).await;
    assert_eq!(at(&after, "3.2"), at(&before, "1.1"));
    assert_eq!(at(&after, "3.2").1, SKIPPED);
    assert_eq!(at(&after, "2.1"), at(&before, "2.1"));
    edited(&shared, &session, Edit::Delete { step: "2".to_owned() }).await.expect("deleted");
    let after = steps(&shared, &session).await;
    assert_eq!(at(&after, "2.2"), at(&before, "1.1"));
    assert_eq!(after.len(), before.len() - 2);
}

#[tokio::test]
async fn what_is_done_or_at_work_or_on_a_branch_stays_and_the_refusal_says_why() {
    let house = House::new().await;
    let (shared, session) = planned(&house, 4).await;
    let version = house.store.runbook(session.id, None).await.expect("read").expect("there");
    let id = |number: &str| version.numbered(number).expect("there").id;
    let step = |number: &str, from, event| Write::Step { id: id(number), from, event };
    let change = Change {
        id: ChangeId::new(&SystemMint),
        session: session.id,
        key: ChangeKey::Step(id("3")),
        position: 0,
        steps: vec![id("3")],
        title: "Three".to_owned(),
        branch: "runyard/three".parse().expect("a branch"),
        base_branch: "main".parse().expect("a branch"),
        base: session.base.clone(),
        head: session.base.clone(),
        pushed: None,
        state: ChangeState::Branch,
        pull_request: None,
        version: 1,
    };
    let writes = [
        step("1", NOT_YET, StepEvent::Complete(Completion::ByPerson)),
        step("2", NOT_YET, StepEvent::Queue),
        step("2", StepState::Queued, StepEvent::Start),
        step("4", NOT_YET, StepEvent::Queue),
        Write::PutChange(change),
    ];
    house.store.commit(session.id, Fence::Open, &writes, &[], house.clock_now()).await.expect("stored");
    let delete = async |number: &str| {
        edited(&shared, &session, Edit::Delete { step: number.to_owned() }).await.expect_err("refused").message
    };
    let to_end =
        async |number: &str| moved(&shared, &session, number, StepPlace::End).await.expect_err("refused").message;
    assert_eq!(delete("1").await, "step 1 is completed, so it cannot be deleted");
    assert_eq!(to_end("2").await, "step 2 is being executed, so it cannot be moved");
    assert_eq!(delete("2").await, "step 2 is being executed, so it cannot be deleted");
    assert_eq!(to_end("3").await, "step 3 has work on the branch `runyard/three`, so it cannot be moved");
    assert_eq!(to_end("4").await, "step 4 is queued, so it cannot be moved");
    let over = moved(&shared, &session, "3", StepPlace::Before("1".to_owned())).await.expect_err("refused");
    assert_eq!(over.code, ProblemCode::Conflict);
    let skipped = ask(&shared, skip(&session, "2", "x")).await.expect_err("it runs");
    assert_eq!(
        (skipped.message.as_str(), skipped.mend.as_deref()),
        ("step 2 is being executed", Some("stop it first"))
    );
    let done = ask(&shared, skip(&session, "1", "x")).await.expect_err("it is done");
    assert_eq!(done.message, "step 1 is completed (by a person)");
    assert_eq!(view(&shared, &session).await.session.version, 1, "nothing was stored");
}

#[tokio::test]
async fn who_saw_another_version_is_told_both() {
    let house = House::new().await;
    let (shared, session) = planned(&house, 3).await;
    moved(&shared, &session, "3", StepPlace::Up).await.expect("moved");
    let (number, step) = (session.number, "2".to_owned());
    let edits = [Edit::Move { step: step.clone(), to: StepPlace::Up }, Edit::Delete { step: step.clone() }];
    for edit in edits {
        let told = ask(&shared, Command::Edit { session: number, expected: 1, edit }).await.expect_err("stale");
        assert_eq!((told.code, told.current_version), (ProblemCode::Conflict, Some(2)));
        assert_eq!(told.message, "the runbook is at version 2 now, your edit started from version 1");
    }
    let seen = Some(1);
    let skip = Command::SkipStep { session: number, step: step.clone(), reason: "x".to_owned(), expected: seen };
    for command in [skip, Command::UnskipStep { session: number, step, expected: seen }] {
        let told = ask(&shared, command).await.expect_err("stale");
        assert_eq!((told.message.as_str(), told.current_version), ("the runbook has version 2, not 1", Some(2)));
    }
}

#[tokio::test]
async fn a_skipped_step_says_who_and_why_until_it_is_to_be_done_after_all() {
    let house = House::new().await;
    let (shared, session) = planned(&house, 2).await;
    for (reason, told) in
        [(" \n", "the reason is empty"), (&*"x".repeat(1_001), "the reason has more than 1000 characters")]
    {
        let refused = ask(&shared, skip(&session, "1", reason)).await.expect_err("refused");
        assert_eq!((refused.code, refused.message.as_str()), (ProblemCode::BadRequest, told));
    }
    // Also out of the queue: it is not started any more.
    let queue = Command::Execute { session: session.number, what: crate::Selection::Step("1".to_owned()) };
    ask(&shared, queue).await.expect("queued");
    ask(&shared, skip(&session, "1", " nobody\nuses it ")).await.expect("skipped");
    let now = view(&shared, &session).await;
    let skip = now.steps[0].skip.clone().expect("it says why");
    assert_eq!((skip.by, skip.reason.as_str()), (Some(session.requester), "nobody\nuses it"));
    assert_eq!((now.steps[0].state, now.queue.len()), (SKIPPED, 0));
    let events = house.store.events(session.id, 0, 1_000).await.expect("read");
    let told = events.into_iter().filter_map(|event| match event.payload {
        Payload::Known(EventPayload::StepState { state: SKIPPED, why, .. }) => why,
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), ["nobody\nuses it"]);
    let next = Command::Execute { session: session.number, what: crate::Selection::Next };
    assert_eq!(ask(&shared, next).await.expect("queued"), Reply::Queued(vec!["2".to_owned()]));

    let unskip = |step: &str| Command::UnskipStep { session: session.number, step: step.to_owned(), expected: None };
    let other = ask(&shared, unskip("2")).await.expect_err("it is not skipped");
    assert_eq!(other.message, "step 2 is not skipped: it is queued");
    ask(&shared, unskip("1")).await.expect("taken back");
    let now = view(&shared, &session).await;
    assert_eq!((now.steps[0].state, &now.steps[0].skip), (NOT_YET, &None));
    ask(&shared, unskip("1")).await.expect_err("it was taken back already");
}

#[tokio::test]
async fn a_one_shot_whose_last_step_is_skipped_makes_its_pull_requests_ready() {
    let house = House::new().await;
    let mode = Mode::OneShot;
    let session = house.session_of(mode, 2).await;
    let shared = house.server("people").await;
    ask(&shared, Command::Stop { session: session.number }).await.expect("stopped");
    ask(&shared, skip(&session, "2", "x")).await.expect("skipped");
    assert_eq!(view(&shared, &session).await.queue.len(), 0, "step 1 is left");
    ask(&shared, skip(&session, "1", "x")).await.expect("skipped");
    let queue = view(&shared, &session).await.queue;
    assert_eq!(queue.iter().map(|row| &row.kind).collect::<Vec<_>>(), [&ActionKind::Finish]);
}
