//! What a commit refuses, and that a refused commit leaves nothing behind.

use crate::{
    engines::{Engine, on_each},
    world::{
        action, change, commit_id, everything, exec, id, note, run, runbook, sandbox, session, session_id, settle,
        step_id,
    },
};
use domain::{
    ActionId, ActionKind, ActionState, Answer, Change, ChangeKey, ChangeState, Completion, Question, Request,
    RequestId, RequestKind, RequestState, Run, RunEvent, RunId, RunState, RunbookVersion, SandboxState, StepEvent,
    StepState, Timestamp, Usage,
};
use store::{Committed, Fence, OutputChunk, StdinLine, Store, StoreError, Write};

on_each!(
    a_session_begins_with_a_runbook_or_not_at_all,
    a_refused_commit_leaves_nothing_behind,
    two_editors_cannot_both_make_the_next_version,
    a_key_has_one_change,
    a_change_moves_by_its_state_machine,
    an_answer_wins_once,
    a_step_moves_by_its_state_machine,
    a_run_ends_once_and_its_spending_adds_up,
    an_action_is_changed_while_it_lives,
    an_action_does_not_end_before_its_runs,
    a_place_in_the_queue_is_taken_once,
    a_sandbox_moves_by_its_state_machine,
    an_exec_goes_forward,
    one_session_cannot_write_into_another,
    what_does_not_exist_is_missing,
);

const NOW: Timestamp = Timestamp(77);

async fn commit(store: &dyn Store, writes: &[Write]) -> Result<Committed, StoreError> {
    store.commit(session_id(1), Fence::Open, writes, &[note("written")], NOW).await
}

/// Session 1 with an action (1), a runbook of two leaves (1, 2), a run (1) of the first, a sandbox (1), an exec (1).
async fn prepare(store: &dyn Store) {
    settle(store, 1).await;
    for n in 1..=2 {
        store.create_session(&session(1, n), &[action(n, n, 1)], &[], NOW).await.expect("a session");
    }
    let leaves = vec![(step_id(1), id(5, 101)), (step_id(2), id(5, 102))];
    let writes = [
        Write::AddRunbook(runbook(1, 1, &[1, 2]), leaves),
        Write::AddRun(run(1, 1, 1, Some(step_id(1)))),
        Write::PutSandbox(sandbox(1, 1)),
        Write::AddExec(exec(1, 1, 1)),
    ];
    store.commit(session_id(1), Fence::Open, &writes, &[], NOW).await.expect("commits");
}

async fn a_session_begins_with_a_runbook_or_not_at_all(engine: Engine) {
    let store = engine.store();
    settle(&*store, 1).await;
    let leaves = vec![(step_id(1), id(5, 101)), (step_id(2), id(5, 102))];
    let foreign = [Write::AddRunbook(runbook(2, 1, &[1, 2]), leaves.clone())];
    store.begin_session(&session(1, 1), &foreign, &[], NOW).await.expect_err("another session's runbook");
    let later = [Write::AddRunbook(runbook(1, 2, &[1, 2]), leaves.clone())];
    store.begin_session(&session(1, 1), &later, &[], NOW).await.expect_err("there is no version 1");
    assert_eq!(store.session(session_id(1)).await.expect("reads"), None);
    let first = [Write::AddRunbook(runbook(1, 1, &[1, 2]), leaves)];
    let made = store.begin_session(&session(1, 1), &first, &[note("begun")], NOW).await.expect("a session");
    assert_eq!(
        (made.number.0, made.version, made.last_event),
        (1, 1, 1),
        "numbers of what was refused are not used up"
    );
    assert_eq!(store.session(session_id(1)).await.expect("reads"), Some(made));
    assert_eq!(store.steps(session_id(1)).await.expect("reads").len(), 2);
}

fn move_step(n: u32, from: StepState, event: StepEvent) -> Write {
    Write::Step { id: step_id(n), from, event }
}

fn removal_of_the_action() -> Write {
    let (id, from, to) = (ActionId(id(6, 1)), ActionState::Queued, ActionState::Removed);
    Write::Action { id, from, to, not_before: None, handed_back: false }
}

fn end_of_the_run() -> Write {
    Write::Run { id: RunId(id(7, 1)), from: RunState::Running, event: RunEvent::Stop, message: None }
}

fn request(n: u32) -> Request {
    let question = Question {
        question: "Which database?".to_owned(),
        header: String::new(),
        options: vec![],
        multi_select: false,
    };
    Request {
        id: RequestId(id(13, n)),
        session: session_id(1),
        run: Some(RunId(id(7, 1))),
        kind: RequestKind::Question { questions: vec![question], tool_use_id: "t".to_owned() },
        state: RequestState::Open,
        asked_at: Timestamp(i64::from(n)),
    }
}

async fn a_refused_commit_leaves_nothing_behind(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let blob = store.put_blob(b"output").await.expect("stores");
    let (exec, run) = (exec(1, 1, 1), RunId(id(7, 1)));
    let all_good = vec![
        Write::AddRunbook(runbook(1, 2, &[1, 3]), vec![(step_id(3), id(5, 103))]),
        move_step(1, StepState::NotStarted, StepEvent::Queue),
        Write::Enqueue(action(1, 9, 2)),
        Write::RequestStop(ActionId(id(6, 1))),
        Write::Spend(run, Usage { input: 5, ..Usage::default() }),
        Write::RunBase(run, commit_id(5)),
        Write::Run { id: run, from: RunState::Running, event: RunEvent::Succeed, message: None },
        Write::PutChange(change(1, 1, ChangeKey::Session)),
        Write::AddRequest(request(1)),
        Write::PutSandbox(sandbox(1, 2)),
        Write::ExecProgress { id: exec.id, consumed: 6, ended: Some("exit 0".to_owned()) },
        Write::Stdin(StdinLine { exec: exec.id, seq: 1, key: "m".to_owned(), line: "{}".to_owned() }),
        Write::Output(OutputChunk { exec: exec.id, from: 0, to: 6, blob }),
        Write::Transcript(id(5, 101), blob),
        Write::Archive(true),
        Write::Title("other".to_owned()),
        Write::Describe { labels: vec!["l".to_owned()], description: Some("d".to_owned()) },
        Write::Persona(Some(domain::KnowledgeId(id(30, 1)))),
        Write::Journal("k".to_owned(), serde_json::json!({"pushed": true})),
    ];
    let before = everything(&*store, 1).await;
    let mut bad = all_good.clone();
    bad.push(move_step(2, StepState::Queued, StepEvent::Start));
    assert!(matches!(commit(&*store, &bad).await, Err(StoreError::Stale { .. })));
    assert_eq!(everything(&*store, 1).await, before);

    commit(&*store, &all_good).await.expect("the same without the bad one");
    let after = everything(&*store, 1).await;
    let same: Vec<_> = before.lines().zip(after.lines()).filter(|(before, after)| before == after).collect();
    let unleased = ("None", "None");
    assert!(same.iter().all(|same| *same == unleased) && same.len() == 1, "every other part was touched: {same:?}");
}

async fn two_editors_cannot_both_make_the_next_version(engine: Engine) {
    let (store, other) = (engine.store(), engine.another().await);
    prepare(&*store).await;
    let edit = |text: &str| {
        let version = RunbookVersion { text: text.to_owned(), ..runbook(1, 2, &[1, 2]) };
        [Write::AddRunbook(version, vec![])]
    };
    let (one, two) =
        tokio::join!(async { commit(&*store, &edit("one")).await }, async { commit(&*other, &edit("two")).await });
    let lost = [one, two].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(lost.as_slice(), [StoreError::Stale { .. }]), "{lost:?}");
    let versions = store.runbooks(session_id(1)).await.expect("reads");
    assert_eq!(versions.len(), 2);
    assert_eq!(store.runbook(session_id(1), None).await.expect("reads").as_ref(), versions.last());
    assert_eq!(store.runbook(session_id(1), Some(1)).await.expect("reads").as_ref(), versions.first());
    assert_eq!(store.session(session_id(1)).await.expect("reads").expect("exists").version, 2);
}

async fn a_key_has_one_change(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let key = ChangeKey::Step(step_id(1));
    commit(&*store, &[Write::PutChange(change(1, 1, key))]).await.expect("commits");
    let twice = commit(&*store, &[Write::PutChange(change(1, 2, key))]).await;
    assert!(matches!(twice, Err(StoreError::Conflict { what: "change", .. })), "{twice:?}");
    commit(&*store, &[Write::PutChange(change(1, 2, ChangeKey::Manual(1)))]).await.expect("another key");
    let both = store.changes(session_id(1)).await.expect("reads");
    assert_eq!(both.iter().map(|change| change.key).collect::<Vec<_>>(), [key, ChangeKey::Manual(1)]);
}

async fn a_change_moves_by_its_state_machine(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let merged = Change {
        state: ChangeState::Merged,
        pull_request: Some(7),
        pushed: Some(commit_id(9)),
        head: commit_id(9),
        steps: vec![step_id(1)],
        ..change(1, 1, ChangeKey::Session)
    };
    commit(&*store, &[Write::PutChange(change(1, 1, ChangeKey::Session))]).await.expect("commits");
    commit(&*store, &[Write::PutChange(merged.clone())]).await.expect("commits");
    assert_eq!(store.change(merged.id).await.expect("reads"), Some(merged.clone()));
    let open = Change { state: ChangeState::Open, ..merged };
    assert!(matches!(commit(&*store, &[Write::PutChange(open)]).await, Err(StoreError::Refused(_))));
}

async fn an_answer_wins_once(engine: Engine) {
    let (store, other) = (engine.store(), engine.another().await);
    prepare(&*store).await;
    commit(&*store, &[Write::AddRequest(request(1)), Write::AddRequest(request(2))]).await.expect("commits");
    let answer = |via: &str| {
        let answer = Answer::Deny { reason: via.to_owned() };
        [Write::Request(request(1).id, RequestState::Answered { by: None, via: via.to_owned(), answer })]
    };
    let (one, two) =
        tokio::join!(async { commit(&*store, &answer("cli")).await }, async { commit(&*other, &answer("web")).await });
    let lost = [one, two].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(lost.as_slice(), [StoreError::Refused(_)]), "{lost:?}");
    let requests = store.requests(session_id(1)).await.expect("reads");
    assert!(matches!(requests[0].state, RequestState::Answered { .. }));
    assert_eq!(requests[1], request(2));
    let events = store.events(session_id(1), 0, 9).await.expect("reads");
    assert_eq!(events.len(), 2, "the one that lost wrote no event");
}

async fn a_step_moves_by_its_state_machine(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let done = StepState::Completed(Completion::Changed);
    let writes = [
        move_step(1, StepState::NotStarted, StepEvent::Queue),
        move_step(1, StepState::Queued, StepEvent::Start),
        move_step(1, StepState::InProgress, StepEvent::Complete(Completion::Changed)),
    ];
    commit(&*store, &writes).await.expect("commits");
    let again = commit(&*store, &[move_step(1, done, StepEvent::Start)]).await;
    assert!(matches!(again, Err(StoreError::Refused(_))), "{again:?}");
    let stale = commit(&*store, &[move_step(1, StepState::InProgress, StepEvent::Wait)]).await;
    assert!(matches!(stale, Err(StoreError::Stale { .. })), "{stale:?}");
    let states: Vec<_> = store.steps(session_id(1)).await.expect("reads").iter().map(|step| step.state).collect();
    assert_eq!(states, [done, StepState::NotStarted]);

    // A new version keeps the state and the conversation of the leaves that it keeps.
    let leaves = vec![(step_id(1), id(5, 999)), (step_id(3), id(5, 103))];
    commit(&*store, &[Write::AddRunbook(runbook(1, 2, &[1, 3]), leaves)]).await.expect("commits");
    let steps = store.steps(session_id(1)).await.expect("reads");
    assert_eq!((steps[0].state, steps[0].agent_session), (done, id(5, 101)));
    assert_eq!(steps.len(), 3);
}

async fn a_run_ends_once_and_its_spending_adds_up(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let (id, session) = (RunId(id(7, 1)), session_id(1));
    let usage = Usage { input: 1, output: 2, cache_read: 3, cache_write: 4, cost: domain::MicroUsd(5) };
    let mut twice = usage;
    twice += usage;
    let end = Write::Run { id, from: RunState::Running, event: RunEvent::Stop, message: Some("asked".to_owned()) };
    let writes = [Write::Spend(id, usage), Write::RunCommit(id, commit_id(3)), Write::Spend(id, usage), end.clone()];
    commit(&*store, &writes).await.expect("commits");
    let expected = Run {
        state: RunState::Stopped,
        message: Some("asked".to_owned()),
        commit: Some(commit_id(3)),
        usage: twice,
        finished_at: Some(NOW),
        ..run(1, 1, 1, Some(step_id(1)))
    };
    assert_eq!(store.runs(session).await.expect("reads"), [expected]);
    assert_eq!(store.steps(session).await.expect("reads")[0].usage, twice);
    assert_eq!(store.session(session).await.expect("reads").expect("exists").usage, twice);
    assert!(matches!(commit(&*store, &[end]).await, Err(StoreError::Stale { .. })));
    let resume = Write::Run { id, from: RunState::Stopped, event: RunEvent::Resume, message: None };
    assert!(matches!(commit(&*store, &[resume]).await, Err(StoreError::Refused(_))));
}

async fn an_action_is_changed_while_it_lives(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let one = ActionId(id(6, 1));
    let kind = ActionKind::ExecuteStep { step: step_id(1), version: 1 };
    commit(&*store, &[Write::ActionKind(one, kind.clone()), Write::RequestStop(one)]).await.expect("commits");
    let action = store.action(one).await.expect("reads").expect("exists");
    assert!(action.kind == kind && action.stop_requested);
    commit(&*store, &[end_of_the_run(), removal_of_the_action()]).await.expect("commits");
    assert_eq!(store.queue(session_id(1)).await.expect("reads"), []);
    for late in [Write::ActionKind(one, ActionKind::Plan), Write::RequestStop(one)] {
        assert!(matches!(commit(&*store, &[late]).await, Err(StoreError::Refused(_))));
    }
}

/// One who read the action as queued, and was slow, would take it out of the queue although it was begun and queued again.
async fn an_action_does_not_end_before_its_runs(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let before = everything(&*store, 1).await;
    let refused = commit(&*store, &[removal_of_the_action()]).await;
    assert!(matches!(&refused, Err(StoreError::Stale { what, .. }) if what.starts_with("action")), "{refused:?}");
    assert_eq!(everything(&*store, 1).await, before);
    // In one transaction, in whatever order.
    commit(&*store, &[removal_of_the_action(), end_of_the_run()]).await.expect("commits");
    assert_eq!(store.queue(session_id(1)).await.expect("reads"), []);
}

async fn a_place_in_the_queue_is_taken_once(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let taken = commit(&*store, &[Write::Enqueue(action(1, 8, 1))]).await;
    assert!(matches!(taken, Err(StoreError::Stale { .. })), "{taken:?}");
    let twice = commit(&*store, &[Write::Enqueue(action(1, 1, 5))]).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
    let writes = [end_of_the_run(), removal_of_the_action(), Write::Enqueue(action(1, 8, 1))];
    commit(&*store, &writes).await.expect("the place is free again");
}

async fn a_sandbox_moves_by_its_state_machine(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let mut ready = sandbox(1, 1);
    ready.state = SandboxState::Ready;
    ready.used_at = Timestamp(50);
    commit(&*store, &[Write::PutSandbox(ready.clone()), Write::PutSandbox(sandbox(1, 2))]).await.expect("commits");
    assert_eq!(store.sandboxes(session_id(1)).await.expect("reads"), [ready.clone(), sandbox(1, 2)]);
    assert!(matches!(commit(&*store, &[Write::PutSandbox(sandbox(1, 1))]).await, Err(StoreError::Refused(_))));
    ready.state = SandboxState::Destroyed;
    commit(&*store, &[Write::PutSandbox(ready)]).await.expect("commits");
    assert_eq!(store.live_sandboxes().await.expect("reads"), [sandbox(1, 2)]);
}

async fn an_exec_goes_forward(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let exec = exec(1, 1, 1);
    let progress = |consumed, ended: Option<&str>| {
        [Write::ExecProgress { id: exec.id, consumed, ended: ended.map(str::to_owned) }]
    };
    commit(&*store, &progress(10, None)).await.expect("commits");
    assert!(matches!(commit(&*store, &progress(9, None)).await, Err(StoreError::Stale { .. })));
    commit(&*store, &progress(12, Some("exit 0"))).await.expect("commits");
    commit(&*store, &progress(12, None)).await.expect("commits");
    let ended = &store.execs(exec.run).await.expect("reads")[0];
    assert_eq!((ended.consumed, ended.ended.as_deref()), (12, Some("exit 0")));
    assert!(matches!(commit(&*store, &progress(u64::MAX, None)).await, Err(StoreError::Damaged { .. })));
}

async fn one_session_cannot_write_into_another(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let blob = store.put_blob(b"x").await.expect("stores");
    let exec = exec(1, 1, 1).id;
    let foreign = [
        move_step(1, StepState::NotStarted, StepEvent::Queue),
        Write::Enqueue(action(1, 50, 50)),
        Write::RequestStop(ActionId(id(6, 1))),
        Write::AddRun(run(2, 50, 1, None)),
        Write::RunBase(RunId(id(7, 1)), commit_id(1)),
        Write::PutChange(change(1, 1, ChangeKey::Session)),
        Write::AddRequest(request(1)),
        Write::PutSandbox(sandbox(2, 1)),
        Write::ExecProgress { id: exec, consumed: 1, ended: None },
        Write::Stdin(StdinLine { exec, seq: 1, key: String::new(), line: String::new() }),
        Write::Output(OutputChunk { exec, from: 0, to: 1, blob }),
        Write::AddRunbook(runbook(2, 1, &[1]), vec![(step_id(1), id(5, 1))]),
    ];
    let before = everything(&*store, 1).await;
    for write in foreign {
        let refused = store.commit(session_id(2), Fence::Open, std::slice::from_ref(&write), &[], NOW).await;
        assert!(matches!(refused, Err(StoreError::Missing { .. })), "{write:?}: {refused:?}");
    }
    assert_eq!(everything(&*store, 1).await, before);
}

async fn what_does_not_exist_is_missing(engine: Engine) {
    let store = engine.store();
    prepare(&*store).await;
    let nobody = store.commit(session_id(99), Fence::Open, &[], &[note("x")], NOW).await;
    assert!(matches!(nobody, Err(StoreError::Missing { what: "session", .. })), "{nobody:?}");
    let no_blob = domain::BlobHash::of(b"never stored");
    for write in [Write::Transcript(id(5, 1), no_blob), Write::Request(RequestId(id(13, 9)), RequestState::Cancelled)] {
        assert!(matches!(commit(&*store, &[write]).await, Err(StoreError::Missing { .. })));
    }
    let mut elsewhere = session(1, 3);
    elsewhere.repository = domain::RepositoryId(id(3, 9));
    let refused = store.create_session(&elsewhere, &[], &[], NOW).await;
    assert!(matches!(refused, Err(StoreError::Missing { what: "repository", .. })), "{refused:?}");
    let twice = store.create_session(&session(1, 1), &[], &[], NOW).await;
    assert!(matches!(twice, Err(StoreError::Conflict { what: "session", .. })), "{twice:?}");
    let next = store.create_session(&session(1, 4), &[], &[], NOW).await.expect("a session");
    assert_eq!(next.number.0, 3, "refused sessions take no number");
}
