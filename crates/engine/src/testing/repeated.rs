//! A call is refused because nobody had decided, and the agent is told to repeat it: what people are asked stays open
//! until it does, whichever server hears it then.

use super::{House, LetGo};
use crate::{
    begin::{Start, begin},
    context::Context,
    converse::{self, EngineHost, NoTools, Talk},
    halt::Halt,
    worker,
};
use agent::{Decision, Host as _, PersonRequest, Phase, Withdrawn};
use domain::{Answer, ExecId, Request, RequestKind, RequestState, RunState, SystemMint};
use serde_json::json;
use std::sync::Arc;
use store::{Fence, Store as _, Write};

fn call(id: &str, file: &str) -> PersonRequest {
    let input = json!({ "command": format!("rm {file}") });
    let (tool, tool_use_id) = ("Bash".to_owned(), id.to_owned());
    let kind = RequestKind::Permission {
        tool: tool.clone(),
        input,
        reason: "a rule asks".to_owned(),
        tool_use_id: tool_use_id.clone(),
    };
    PersonRequest { kind, tool, tool_use_id, resumed: false }
}

async fn begun(context: &Context) {
    let leaf = context.action.kind.step().expect("a step");
    let (agent_session, base) = (context.session.agent_session, context.session.base.clone());
    begin(context, Start { step: Some(leaf), agent_session, base, version: Some(1) }).await.expect("begun");
}

fn host(context: &Arc<Context>) -> EngineHost {
    let agent_session = context.session.agent_session;
    let talk = Talk {
        stage: "work".to_owned(),
        phase: Phase::Execute,
        agent_session,
        on: None,
        prompt: String::new(),
        tools: Vec::new(),
        own: Arc::new(NoTools),
    };
    EngineHost::new(context.clone(), &talk, ExecId::new(&SystemMint), 0)
}

async fn requests(house: &House, context: &Context) -> Vec<Request> {
    house.store.requests(context.session.id).await.expect("read")
}

async fn open(house: &House, context: &Context) -> Vec<Request> {
    let all = requests(house, context).await;
    all.into_iter().filter(|request| request.state == RequestState::Open).collect()
}

async fn allow(house: &House, context: &Context, request: &Request) {
    let state = RequestState::Answered { by: None, via: "test".to_owned(), answer: Answer::Allow };
    let write = Write::Request(request.id, state);
    house.store.commit(context.session.id, Fence::Open, &[write], &[], house.clock_now()).await.expect("answered");
}

/// Two calls of one message were put to people when the server began to go down; the agent is told to repeat each.
async fn refused_while_going_down(house: &House) -> (Arc<Context>, EngineHost) {
    let server = house.server("first").await;
    let (context, signal) = house.claim(&server).await;
    begun(&context).await;
    let host = host(&context);
    let (one, two) = (call("one", "old.txt"), call("two", "README.md"));
    signal.send_replace(LetGo::GoingDown);
    assert_eq!((host.person(&one).await, host.person(&two).await), (Decision::Defer, Decision::Defer));
    tokio::join!(host.withdraw("one", Withdrawn::ToBeRepeated), host.withdraw("two", Withdrawn::ToBeRepeated));
    (context, host)
}

const ALLOWED: Decision = Decision::Allow { updated_input: None };

#[tokio::test]
async fn what_is_asked_stays_open_and_the_next_server_waits_for_it_again() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (context, host) = refused_while_going_down(&house).await;
    let asked = open(&house, &context).await;
    assert_eq!(asked.len(), 2, "whoever is told to answer finds something to answer");
    assert!(host.waits_for_person(), "the agent has time to come with them again");
    assert_eq!(house.runs(&session).await[0].state, RunState::Running, "meanwhile it works");

    // It did not in time. A person decides about the second call before anybody hears it again.
    worker::settle(&context, Err(Halt::GoingDown)).await.expect("settled");
    house.store_release(&context).await;
    allow(&house, &context, &asked[1]).await;
    let second = house.server("second").await;
    let (context, _signal) = house.claim(&second).await;
    // The agent lives, and is followed from where it was.
    context.set_run(house.runs(&session).await.remove(0));
    let host = self::host(&context);
    assert_eq!(host.person(&call("three", "README.md")).await, ALLOWED);
    assert_eq!(requests(&house, &context).await.len(), 2, "nobody is asked twice");

    // The first one is asked about under its new id, and only there.
    let again = call("four", "old.txt");
    let answered = async {
        loop {
            match &open(&house, &context).await[..] {
                [only] if converse::tool_use_of(only) == Some("four") => return allow(&house, &context, only).await,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let (decision, ()) = tokio::join!(host.person(&again), answered);
    assert_eq!(decision, ALLOWED);
    let states: Vec<_> = requests(&house, &context).await.into_iter().map(|request| request.state).collect();
    assert_eq!((states.len(), &states[0]), (3, &RequestState::Cancelled));
    assert_eq!(house.runs(&session).await[0].state, RunState::Running);

    // What was said is not said of a call that comes later.
    let later = call("five", "README.md");
    let asked = async {
        while open(&house, &context).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        decision = host.person(&later) => panic!("nobody decided, and yet {decision:?}"),
        () = asked => {}
    }
}

#[tokio::test]
async fn what_the_agent_does_not_repeat_is_taken_back_when_its_process_ends() {
    let house = House::new().await;
    house.session(1).await;
    let (context, host) = refused_while_going_down(&house).await;
    host.forget_resting().await.expect("forgotten");
    assert_eq!(open(&house, &context).await, []);
}

#[tokio::test]
async fn what_an_agent_was_to_repeat_that_is_lost_is_taken_back() {
    let house = House::new().await;
    let session = house.session(1).await;
    let (context, _) = refused_while_going_down(&house).await;
    worker::settle(&context, Err(Halt::GoingDown)).await.expect("settled");
    house.store_release(&context).await;
    let (context, _signal) = house.claim(&house.server("second").await).await;
    begun(&context).await;
    assert_eq!(house.runs(&session).await.len(), 2, "its sandbox is gone");
    assert_eq!(open(&house, &context).await, [], "nothing waits for ever");
}

#[tokio::test]
async fn a_call_that_the_agent_gave_up_is_not_waited_for() {
    let house = House::new().await;
    house.session(1).await;
    let server = house.server("first").await;
    let (context, signal) = house.claim(&server).await;
    begun(&context).await;
    let host = host(&context);
    signal.send_replace(LetGo::GoingDown);
    assert_eq!(host.person(&call("one", "old.txt")).await, Decision::Defer);
    host.withdraw("one", Withdrawn::Over).await;
    assert_eq!(open(&house, &context).await, []);
    assert!(!host.waits_for_person());
}
