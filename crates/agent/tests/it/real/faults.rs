//! D3, D4, D12: what is no success, and why.

use super::rig::{Rig, turn};
use crate::host::Memory;
use agent::{AgentEvent, End, Fault, Outcome};
use std::time::{Duration, Instant};

fn fault(outcome: &Outcome) -> Fault {
    match &outcome.end {
        End::Failed { fault, .. } => fault.clone(),
        _ => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn d3_a_denial_by_somebody_else_is_no_success() {
    let rig = Rig::new("- tool: { name: Bash, input: { command: touch x } }\n- say: could not").await;
    let mut launch = rig.execute();
    launch.args = vec!["--disallowedTools".into(), "Bash(touch:*)".into()];
    let outcome = rig.run(&launch, turn("go"), &Memory::default()).await;
    assert_eq!(fault(&outcome), Fault::Denied);
    assert!(!rig.has("x"));
}

#[tokio::test]
async fn d3_a_cut_stream_and_a_missed_schema_are_no_success() {
    let cut = Rig::new("- say: half a sentence\n  cut: { after_blocks: 1, how: eof }").await;
    let schema = Rig::new("- say: no\n- say: no again\n- say: never").await;
    let mut launch = schema.execute();
    launch.args = vec![
        "--json-schema".into(),
        r#"{"type":"object","properties":{"n":{"type":"number"}},"required":["n"]}"#.into(),
    ];
    let mut structured = turn("go");
    structured.settings.expect_structured = true;
    let cut_launch = cut.execute();
    let hosts = (Memory::default(), Memory::default());
    let (cut, schema) =
        tokio::join!(cut.run(&cut_launch, turn("go"), &hosts.0), schema.run(&launch, structured, &hosts.1));
    assert_eq!(fault(&cut), Fault::Cut);
    assert_eq!(fault(&schema), Fault::Unstructured);
}

#[tokio::test]
async fn d4_a_wrong_key_fails_within_seconds() {
    let rig = Rig::new("- error: { status: 401 }").await;
    let mut launch = rig.execute();
    launch.max_retries = 10;
    let start = Instant::now();
    let outcome = rig.run(&launch, turn("go"), &Memory::default()).await;
    assert_eq!(fault(&outcome), Fault::Auth);
    // The agent alone takes 180 s; starting it takes 1 s, more on a busy machine.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(rig.model.requests().len() <= 3, "it was not asked again and again");
}

#[tokio::test]
async fn d4_each_error_of_the_api_has_its_name() {
    type Expected = fn(&Fault) -> bool;
    let cases: [(&str, Expected); 6] = [
        ("- error: { status: 403 }", |fault| *fault == Fault::Auth),
        ("- error: { status: 404 }", |fault| *fault == Fault::ModelNotFound),
        ("- error: { status: 400 }", |fault| *fault == Fault::InvalidRequest),
        ("- error: { status: 500 }", |fault| *fault == Fault::Server && fault.transient()),
        ("- error: { status: 529 }", |fault| *fault == Fault::Overloaded && fault.transient()),
        ("- limit: { resets_in: 1h }", |fault| matches!(fault, Fault::RateLimit { .. }) && fault.transient()),
    ];
    for pair in cases.chunks(2) {
        let outcomes = pair.iter().map(async |(script, expected)| {
            let rig = Rig::new(script).await;
            let mut launch = rig.execute();
            launch.max_retries = 1;
            let outcome = rig.run(&launch, turn("go"), &Memory::default()).await;
            let fault = fault(&outcome);
            assert!(expected(&fault), "{script}: {outcome:?}");
        });
        futures::future::join_all(outcomes).await;
    }
}

#[tokio::test]
async fn d4_an_overload_that_passes_is_shown_and_survived() {
    let rig = Rig::new("- error: { status: 529, times: 1 }\n- say: late but here").await;
    let host = Memory::default();
    let outcome = rig.run(&rig.execute(), turn("go"), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    let shown = |event: &AgentEvent| matches!(event, AgentEvent::Retry { attempt: 1, status: Some(529), error, .. } if error == "overloaded");
    assert!(host.events().iter().any(shown));
}

#[tokio::test]
async fn d12_a_tool_server_that_cannot_start_degrades_or_fails_as_configured() {
    let rig = Rig::new("- say: worked without").await;
    let mut launch = rig.execute();
    launch.args = vec!["--mcp-config".into(), r#"{"mcpServers":{"bad":{"command":"/nonexistent/x"}}}"#.into()];
    let (degraded, failed) = (Memory::default(), Memory::default());
    let mut required = turn("go");
    required.settings.required_servers = vec!["bad".into()];
    let again = agent::Launch { conversation: agent::Conversation::New(super::rig::uuid()), ..launch.clone() };
    let (without, with) = tokio::join!(rig.run(&launch, turn("go"), &degraded), rig.run(&again, required, &failed));
    assert_eq!(without.end, End::Completed, "{without:?}");
    assert!(degraded.events().contains(&AgentEvent::ToolServerFailed { server: "bad".into() }));
    assert_eq!(fault(&with), Fault::ToolServer { server: "bad".into() });
}
