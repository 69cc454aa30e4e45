//! What the real program wrote, read back.

use crate::{
    host::Memory,
    tape::{Recording, listening},
};
use agent::{AgentEvent, End, Fault, Outcome, drive};
use domain::MicroUsd;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

async fn replay(case: &str, sizes: &[usize]) -> (Vec<AgentEvent>, Outcome) {
    let recording = Recording::read(case);
    let host = Memory::default();
    let mut turn = listening();
    turn.settings.expect_structured = case.contains("schema");
    let (_control, inbox) = agent::control();
    let outcome = drive(Box::new(recording.tape(sizes)), turn, &host, inbox).await.expect("driven");
    assert_eq!(host.raw(), if host.raw().is_empty() { Vec::new() } else { recording.stdout }, "the archive is whole");
    (host.events(), outcome)
}

#[tokio::test]
async fn every_recording_ends_as_it_really_did() {
    let failed = |fault: Fault| End::Failed { fault, message: String::new() };
    let call = agent::DeferredCall {
        tool_use_id: "toolu_521c600c5521455ba5b0".into(),
        tool: "Bash".into(),
        input: serde_json::json!({"command": "touch later", "description": "x"}),
    };
    let expected = BTreeMap::from([
        ("01_text", End::Completed),
        ("02_tools", End::Completed),
        ("03_partial", End::Completed),
        ("04_denied_rule", failed(Fault::Denied)),
        ("05_max_turns", failed(Fault::MaxTurns)),
        ("06_budget", failed(Fault::Budget)),
        ("07_auth401", failed(Fault::Auth)),
        ("08_retry529", failed(Fault::Overloaded)),
        ("09_cut", failed(Fault::Cut)),
        ("10_unknown_resume", failed(Fault::SessionUnknown)),
        ("11_bad_flag", failed(Fault::BadLaunch)),
        ("12_schema_ok", End::Completed),
        ("13_schema_unmet", failed(Fault::Unstructured)),
        ("14_subagent", End::Completed),
        ("15_mcp_fail", End::Completed),
        ("16_stdio_allow", End::Completed),
        ("17_stdio_deny_interrupt", End::Interrupted),
        ("18_interrupt", End::Completed),
        ("19_ask_user", End::Completed),
        ("20_exit_plan", End::Completed),
        ("21_defer", End::Deferred { call }),
        ("22_background", End::Completed),
    ]);
    let mut folders: Vec<_> = std::fs::read_dir(Recording::folder())
        .expect("the recordings")
        .filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir())?.file_name().into_string().ok())
        .collect();
    folders.sort();
    assert_eq!(folders, expected.keys().copied().collect::<Vec<_>>(), "each recording has its expectation");
    for (case, end) in expected {
        let (events, outcome) = replay(case, &[]).await;
        let found = match outcome.end.clone() {
            End::Failed { fault, message } => {
                assert!(!message.trim().is_empty(), "{case}");
                failed(fault)
            }
            end => end,
        };
        assert_eq!(found, end, "{case}: {outcome:?}");
        let booked: i64 = events
            .iter()
            .filter_map(|event| match event {
                AgentEvent::Usage { usage, booked: true } => Some(usage.cost.0),
                _ => None,
            })
            .sum();
        assert_eq!(outcome.usage.cost, MicroUsd(booked), "{case}: the books and the outcome agree");
        let reported = last_cost(case);
        assert!(
            (outcome.usage.cost.0 - reported).abs() <= 2,
            "{case}: {:?} booked, {reported} reported",
            outcome.usage
        );
        let warned =
            events.iter().any(|event| matches!(event, AgentEvent::Warning { text } if text.contains("unreadable")));
        assert!(!warned, "{case}");
    }
}

/// What the last result of the recording says that the process cost, in millionths.
fn last_cost(case: &str) -> i64 {
    let stdout = Recording::read(case).stdout;
    let lines = stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let cost = lines.filter_map(|line| line["total_cost_usd"].as_f64()).next_back().unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, reason = "a few cents")]
    let micros = (cost * 1e6) as i64;
    micros
}

#[tokio::test]
async fn an_interruption_before_a_fine_turn_is_told() {
    let (_, outcome) = replay("18_interrupt", &[]).await;
    assert!(outcome.interrupted);
    let (_, outcome) = replay("22_background", &[]).await;
    assert!(!outcome.interrupted);
    assert_eq!(outcome.text, "bg finished");
}

#[tokio::test]
async fn a_tool_server_that_did_not_start_is_told_and_may_be_fatal() {
    let (events, _) = replay("15_mcp_fail", &[]).await;
    assert!(events.contains(&AgentEvent::ToolServerFailed { server: "bad".into() }));

    let host = Memory::default();
    let mut turn = listening();
    turn.settings.required_servers = vec!["bad".into()];
    let tape = Recording::read("15_mcp_fail").tape(&[40]);
    let (_control, inbox) = agent::control();
    let outcome = drive(Box::new(tape.clone()), turn, &host, inbox).await.expect("driven");
    assert!(matches!(outcome.end, End::Failed { fault: Fault::ToolServer { server }, .. } if server == "bad"));
    assert!(tape.killed());
}

#[tokio::test]
async fn d16_a_version_that_was_not_tested_is_refused_or_warned_about() {
    let recording = Recording::read("01_text");
    let other = String::from_utf8(recording.stdout).expect("UTF-8").replace("2.1.197", "9.9.9");
    for (setting, fatal) in [(agent::OtherVersion::Warn, false), (agent::OtherVersion::Refuse, true)] {
        let host = Memory::default();
        let mut turn = listening();
        turn.settings.other_version = setting;
        let tape = crate::tape::Tape::of(other.as_bytes(), &[100], recording.exit.clone());
        let (_control, inbox) = agent::control();
        let outcome = drive(Box::new(tape.clone()), turn, &host, inbox).await.expect("driven");
        assert_eq!(outcome.version.as_deref(), Some("9.9.9"));
        assert_eq!(matches!(outcome.end, End::Failed { fault: Fault::Version { .. }, .. }), fatal);
        assert_eq!(tape.killed(), fatal);
        let warned =
            host.events().iter().any(|event| matches!(event, AgentEvent::Warning { text } if text.contains("9.9.9")));
        assert_eq!(warned, !fatal);
    }
}

#[tokio::test]
async fn a_limit_that_is_reached_says_when_it_is_lifted() {
    let lines = [
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","resetsAt":1,"rateLimitType":"five_hour"}}"#,
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795230000,"rateLimitType":"five_hour"}}"#,
        r#"{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"limit","stop_reason":"stop_sequence"}"#,
    ];
    let host = Memory::default();
    let exit = agent::process::Exit { code: Some(1), ..agent::process::Exit::default() };
    let tape = crate::tape::Tape::of(lines.join("\n").as_bytes(), &[50], exit);
    let (_control, inbox) = agent::control();
    let outcome = drive(Box::new(tape), listening(), &host, inbox).await.expect("driven");
    let resets_at = Some(domain::Timestamp(1_795_230_000_000_000));
    assert!(
        matches!(outcome.end, End::Failed { fault: Fault::RateLimit { resets_at: found }, .. } if found == resets_at)
    );
    let limits = host.events().into_iter().filter(|event| matches!(event, AgentEvent::Limit { .. })).count();
    assert_eq!(limits, 1, "a limit that is far away is no news");
}

fn shown(events: &[AgentEvent]) -> String {
    let lines = events.iter().map(|event| serde_json::to_string(event).expect("serialises"));
    lines.filter(|line| !line.contains("\"event\":\"started\"")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn streamed_thinking_and_text() {
    insta::assert_snapshot!(shown(&replay("03_partial", &[]).await.0));
}

#[tokio::test]
async fn a_sub_agent() {
    insta::assert_snapshot!(shown(&replay("14_subagent", &[]).await.0));
}

#[tokio::test]
async fn tools_that_work_and_fail() {
    insta::assert_snapshot!(shown(&replay("02_tools", &[]).await.0));
}

#[tokio::test]
async fn a_background_command_opens_another_turn() {
    insta::assert_snapshot!(shown(&replay("22_background", &[]).await.0));
}

#[tokio::test]
async fn retries_of_an_overloaded_api() {
    insta::assert_snapshot!(shown(&replay("08_retry529", &[]).await.0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn how_output_is_cut_into_chunks_changes_nothing(
        case in prop::sample::select(vec!["02_tools", "03_partial", "14_subagent", "18_interrupt", "21_defer", "22_background"]),
        sizes in prop::collection::vec(1_usize..3000, 1..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let (whole, end) = runtime.block_on(replay(case, &[]));
        let (cut, cut_end) = runtime.block_on(replay(case, &sizes));
        prop_assert_eq!(whole, cut);
        prop_assert_eq!(end, cut_end);
    }
}
