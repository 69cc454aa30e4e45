use crate::{
    cli::{Cli, Command as Typed},
    commands,
    exit::{Exit, Failure},
    fixtures::{self, id, run_state},
    stage::{Play, Scene, Seat, person},
};
use clap::Parser as _;
use domain::{Completion, EventPayload, Failure as Why, Request, RequestId, RequestState, RunState, StepId, StepState};
use engine::{Command, Phase, Problem, ProblemCode, Reply, Selection, SessionView};
use std::time::Duration;

/// Runs a command line in this process.
async fn typed(seat: &mut Seat, words: &str) -> Result<Exit, Failure> {
    let mut line = vec!["runyard".to_owned()];
    line.extend(words.split('|').map(|word| word.trim().to_owned()));
    let cli = Cli::try_parse_from(line).expect("it parses");
    let done = async {
        match cli.command {
            Typed::Run(args) => commands::run(&mut seat.app, args).await,
            Typed::Session(command) => commands::session(&mut seat.app, command).await,
            other => panic!("not for this test: {other:?}"),
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done).await.expect("it ends")
}

fn fresh() -> SessionView {
    SessionView {
        phase: Phase::Planning,
        open_requests: Vec::new(),
        changes: Vec::new(),
        steps: Vec::new(),
        runs: Vec::new(),
        runbook: None,
        ..fixtures::view()
    }
}

fn question() -> Request {
    Request {
        id: RequestId(id(30)),
        session: domain::SessionId(id(1)),
        run: None,
        kind: fixtures::question(),
        state: RequestState::Open,
        asked_at: fixtures::at(5),
    }
}

fn planned(scene: &mut Scene) {
    let leaves = 1;
    let from = domain::Actor::Agent;
    scene.happen(EventPayload::PlanVersion { version: 1, from, leaves, top_level: 1, restores: None });
    scene.happen(run_state(10, "plan", None, RunState::Succeeded, None));
    scene.view.runbook = fixtures::view().runbook;
    scene.view.phase = Phase::Planned;
    scene.view.open_requests.clear();
}

fn step(scene: &mut Scene, state: StepState) {
    let (step, number, title) = (StepId(id(51)), "1.1".to_owned(), "Add schema".to_owned());
    scene.happen(EventPayload::StepState { step, number, title, state, why: None });
}

/// A session that asks a question, plans, and executes one step.
fn react(scene: &mut Scene, command: &Command) -> Result<Reply, Problem> {
    match command {
        Command::CreateSession(_) => {
            scene.happen(run_state(10, "plan", None, RunState::Running, None));
            scene.happen(EventPayload::Question { request: RequestId(id(30)), ask: fixtures::question() });
            scene.view.open_requests = vec![question()];
            scene.view.phase = Phase::Waiting;
            let session = Box::new(scene.view.session.clone());
            Ok(Reply::Created { session, warnings: vec!["2 files are not committed".into()] })
        }
        Command::Answer { request, answer, .. } => {
            let (request, answer) = (request.expect("named"), Some(answer.clone()));
            scene.happen(EventPayload::Answer { request, from: domain::Actor::System, answer });
            planned(scene);
            Ok(Reply::Done)
        }
        Command::Execute { .. } => {
            step(scene, StepState::InProgress);
            let outcome = fixtures::outcome(Some(0));
            scene.happen(EventPayload::CheckResult { run: domain::RunId(id(20)), step: Some(StepId(id(51))), outcome });
            scene.happen(run_state(20, "execute_step", Some(51), RunState::Succeeded, None));
            step(scene, StepState::Completed(Completion::Changed));
            scene.view.phase = Phase::Completed;
            scene.view.changes = fixtures::view().changes;
            Ok(Reply::Queued(vec!["1.1".into()]))
        }
        Command::Stop { .. } => {
            scene.happen(run_state(20, "execute_step", Some(51), RunState::Stopped, None));
            step(scene, StepState::Failed(Why::Stopped));
            scene.view.phase = Phase::Failed { step: "1.1".into(), reason: Why::Stopped };
            scene.view.open_requests.clear();
            Ok(Reply::Stopped { running: Some("1.1".into()), removed: Vec::new() })
        }
        other => Err(Problem::new(ProblemCode::BadRequest, format!("not in this play: {other:?}"))),
    }
}

#[tokio::test]
async fn a_person_answers_agrees_and_sees_what_came_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(fresh(), react);
    let mut seat = person(dir.path(), &play, Some(&["7", "1", "x", "e"]));
    let exit = typed(&mut seat, "run | Add a schema | --repo | shop").await;
    assert_eq!(exit, Ok(Exit::Done), "{}", seat.err.text());
    assert_eq!(seat.err.text(), "warning: 2 files are not committed\n");
    let text = seat.out.text();
    let before_the_summary = text.split("Cost ").next().unwrap_or_default();
    insta::assert_snapshot!("live-run", before_the_summary.to_owned());
    let asked = &play.scene().asked;
    assert!(matches!(&asked[2], Command::Execute { what: Selection::All, .. }), "{asked:?}");
}

#[tokio::test]
async fn without_a_terminal_a_question_is_left_open() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(fresh(), react);
    let mut seat = person(dir.path(), &play, None);
    assert_eq!(typed(&mut seat, "run | Add a schema | --repo | shop | --yes").await, Ok(Exit::Waiting));
    let text = seat.out.text();
    assert!(text.contains("⏸ Which database?\n    1  SQLite – one file\n"), "{text}");
    assert!(text.contains("Next: runyard session answer 42\n"), "{text}");
    assert_eq!(play.scene().view.open_requests.len(), 1);
}

#[tokio::test]
async fn json_is_one_event_per_line_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(fresh(), react);
    let mut seat = person(dir.path(), &play, Some(&["1"]));
    assert_eq!(typed(&mut seat, "run | Add a schema | --repo | shop | --json").await, Ok(Exit::Waiting));
    let events: Vec<domain::Event> =
        seat.out.text().lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert_eq!(events, play.scene().events);
    assert!(seat.err.text().contains("r/42"), "{}", seat.err.text());
}

#[tokio::test]
async fn with_yes_the_plan_is_executed_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(fresh(), |scene, command| match command {
        Command::CreateSession(_) => {
            planned(scene);
            Ok(Reply::Created { session: Box::new(scene.view.session.clone()), warnings: Vec::new() })
        }
        // What is left is a step for a person.
        Command::Execute { .. } => {
            step(scene, StepState::InProgress);
            step(scene, StepState::Completed(Completion::Changed));
            Ok(Reply::Queued(vec!["1.1".into()]))
        }
        other => react(scene, other),
    });
    let mut seat = person(dir.path(), &play, None);
    assert_eq!(typed(&mut seat, "run | Add a schema | --repo | shop | --yes").await, Ok(Exit::Waiting));
    let executions = play.scene().asked.iter().filter(|command| matches!(command, Command::Execute { .. })).count();
    assert_eq!(executions, 1);
}

#[tokio::test]
async fn ctrl_c_stops_the_step_and_says_how_to_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(fresh(), |scene, command| match command {
        Command::CreateSession(_) => {
            step(scene, StepState::InProgress);
            scene.view.phase = Phase::Executing { step: "1.1".into() };
            Ok(Reply::Created { session: Box::new(scene.view.session.clone()), warnings: Vec::new() })
        }
        other => react(scene, other),
    });
    let mut seat = person(dir.path(), &play, Some(&[]));
    seat.interrupt.send(()).expect("heard");
    assert_eq!(typed(&mut seat, "run | Add a schema | --repo | shop").await, Ok(Exit::Stopped));
    assert!(matches!(play.scene().asked.last(), Some(Command::Stop { .. })));
    let text = seat.out.text();
    assert!(text.contains("■ 1.1 Add schema  stopped"), "{text}");
    assert!(text.contains("Next: runyard session retry 42"), "{text}");
}

#[tokio::test]
async fn with_a_server_elsewhere_ctrl_c_only_detaches() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(SessionView { phase: Phase::Executing { step: "1.1".into() }, ..fresh() }, react);
    let server = person(dir.path(), &play, None);
    let connection = crate::connect::Connection::open(&server.app, crate::app::Workers::Run).await.expect("opens");
    assert!(connection.is_embedded());

    let mut seat = person(dir.path(), &play, Some(&[]));
    seat.interrupt.send(()).expect("heard");
    assert_eq!(typed(&mut seat, "session | attach | 42").await, Ok(Exit::Stopped));
    assert_eq!(seat.err.text(), "detached: r/42 goes on; come back with: runyard session attach 42\n");
    assert!(play.scene().asked.is_empty());
    connection.close().await;
}

#[tokio::test]
async fn with_a_server_elsewhere_work_is_queued_and_left_to_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(SessionView { phase: Phase::Planned, ..fresh() }, react);
    let server = person(dir.path(), &play, None);
    let connection = crate::connect::Connection::open(&server.app, crate::app::Workers::Run).await.expect("opens");
    let mut seat = person(dir.path(), &play, None);
    assert_eq!(typed(&mut seat, "session | execute | 42 | all").await, Ok(Exit::Done));
    assert_eq!(seat.out.text(), "r/42 queued: 1.1\nlive with: runyard session attach 42\n");
    connection.close().await;

    // Without one, this process does the work and stays until it is done.
    let play = Play::new(SessionView { phase: Phase::Planned, ..fresh() }, react);
    let mut seat = person(dir.path(), &play, None);
    assert_eq!(typed(&mut seat, "session | execute | 42").await, Ok(Exit::Done));
    assert!(seat.out.text().contains("✓ 1.1 Add schema  completed"), "{}", seat.out.text());
}

#[tokio::test]
async fn an_answer_on_the_command_line_reaches_the_question() {
    let dir = tempfile::tempdir().expect("a directory");
    let play = Play::new(SessionView { open_requests: vec![question()], phase: Phase::Waiting, ..fresh() }, react);
    let mut seat = person(dir.path(), &play, None);
    assert_eq!(typed(&mut seat, "session | answer | 42 | postgresql").await, Ok(Exit::Done));
    let Some(Command::Answer { answer: domain::Answer::Answers { answers }, .. }) = play.scene().asked.first().cloned()
    else {
        panic!("no answer")
    };
    assert_eq!(answers["Which database?"], "PostgreSQL");
    let failure = typed(&mut seat, "session | answer | 42 | again").await.expect_err("nothing is open");
    assert_eq!((failure.exit, failure.message.as_str()), (Exit::Usage, "nothing in r/42 waits for an answer"));
}
