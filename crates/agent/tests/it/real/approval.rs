//! D8, D9: who decides, and when.

use super::rig::{Rig, impatient, turn, uuid};
use crate::host::Memory;
use agent::{AgentEvent, Conversation, Decision, DeferredCall, End, Launch, Phase, Verdict};
use serde_json::json;
use uuid::Uuid;

const TOUCH: &str = "- tool: { name: Bash, input: { command: touch danger } }\n- say: so be it";

#[tokio::test]
async fn d8_a_rewritten_call_is_what_runs() {
    let rig = Rig::new(TOUCH).await;
    let host = Memory::default().judging(|_| Verdict::Allow { updated_input: Some(json!({"command": "touch safe"})) });
    let outcome = rig.run(&rig.execute(), turn("go"), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert!(rig.has("safe") && !rig.has("danger"));
}

#[tokio::test]
async fn d8_a_denied_call_does_not_run_and_the_agent_hears_why() {
    let rig = Rig::new(TOUCH).await;
    let host = Memory::default().judging(|_| Verdict::Deny { reason: "the moon is full".into() });
    let outcome = rig.run(&rig.execute(), turn("go"), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert!(outcome.denials.len() == 1 && outcome.denials[0].by_host, "{:?}", outcome.denials);
    assert!(!rig.has("danger"));
    assert!(rig.sent().contains("the moon is full"));
}

#[tokio::test]
async fn d8_a_denial_can_end_the_turn() {
    let rig = Rig::new(TOUCH).await;
    let host = Memory::default().asking(|_| Some(Decision::Deny { reason: "stop it".into(), interrupt: true }));
    let outcome = rig.run(&rig.execute(), turn("go"), &host).await;
    assert_eq!(outcome.end, End::Interrupted, "{outcome:?}");
    assert!(!rig.has("danger"));
}

#[tokio::test]
async fn d9_siblings_wait_for_nobody_and_are_asked_to_come_alone() {
    let rig = Rig::new(
        "- tools:\n  - { name: Bash, input: { command: touch one } }\n  - { name: Bash, input: { command: touch two } }\n- \
         tool: { name: Bash, input: { command: touch one } }\n- say: done",
    )
    .await;
    let host = Memory::default().asking(|_| None);
    let outcome = rig.run(&rig.execute(), impatient(Some("go")), &host).await;
    let End::Deferred { call } = &outcome.end else { panic!("{outcome:?}") };
    assert_eq!(call.input["command"], "touch one");
    assert!(!rig.has("one") && !rig.has("two"));
    assert!(rig.sent().contains("Repeat this call alone"));
    assert_eq!(host.withdrawn.lock().len(), 2, "the two siblings, not the one that is kept");
}

/// Runs until a call is deferred.
async fn deferred(rig: &Rig) -> (Uuid, DeferredCall) {
    let session = uuid();
    let launch = rig.launch(Phase::Execute, Conversation::New(session));
    let outcome = rig.run(&launch, impatient(Some("go")), &Memory::default().asking(|_| None)).await;
    let End::Deferred { call } = outcome.end else { panic!("{outcome:?}") };
    (session, call)
}

fn resumed(rig: &Rig, session: Uuid, call: &DeferredCall) -> Launch {
    let transcript = rig.transcript(session).to_string_lossy().into_owned();
    rig.launch(Phase::Execute, Conversation::ResumeDeferred { transcript, tool: call.tool.clone() })
}

#[tokio::test]
async fn d9_a_deferred_call_runs_once_it_is_allowed_even_if_it_was_put_off_again() {
    let rig = Rig::new("- tool: { name: Bash, input: { command: 'echo ran >> log' } }\n- say: so be it").await;
    let (session, call) = deferred(&rig).await;
    assert!(!rig.has("log"));

    let nobody = Memory::default().asking(|_| None);
    let outcome = rig.run(&resumed(&rig, session, &call), impatient(None), &nobody).await;
    assert_eq!(outcome.end, End::Deferred { call: call.clone() }, "{outcome:?}");
    assert!(!rig.has("log"));

    let host = Memory::default().asking(|_| Some(Decision::Allow { updated_input: None }));
    let outcome = rig.run(&resumed(&rig, session, &call), impatient(None), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert_eq!(std::fs::read_to_string(rig.cwd.join("log")).expect("it ran"), "ran\n");
    let asked = host.asked.lock();
    assert_eq!((asked[0].tool_use_id.as_str(), asked[0].resumed), (call.tool_use_id.as_str(), true));
    assert!(
        host.events()
            .iter()
            .any(|event| matches!(event, AgentEvent::ToolFinished { call: id, .. } if *id == call.tool_use_id))
    );
}

#[tokio::test]
async fn d9_a_deferred_call_that_is_denied_does_not_run_even_if_it_looks_harmless() {
    let rig = Rig::new("- tool: { name: Bash, input: { command: ls } }\n- say: so be it").await;
    std::fs::write(rig.cwd.join("a-telling-name"), "").expect("written");
    let (session, call) = deferred(&rig).await;
    let host = Memory::default().asking(|_| Some(Decision::Deny { reason: "not today".into(), interrupt: false }));
    let outcome = rig.run(&resumed(&rig, session, &call), impatient(None), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert!(outcome.denials.iter().all(|denial| denial.by_host));
    let sent = rig.sent();
    assert!(sent.contains("not today") && !sent.contains("a-telling-name"), "{sent}");
}

#[tokio::test]
async fn d9_a_new_prompt_is_heard_after_the_deferred_call() {
    let rig = Rig::scripted(
        "conversations:\n  - name: other\n    when: { prompt_contains: something else }\n    turns: [ { say: as you wish } \
         ]\n  - name: main\n    when: { prompt_contains: go }\n    turns:\n      - tool: { name: Bash, input: { command: touch \
         later } }\n      - say: first that\n",
    )
    .await;
    let (session, call) = deferred(&rig).await;
    let host = Memory::default().asking(|_| Some(Decision::Allow { updated_input: None }));
    let outcome = rig.run(&resumed(&rig, session, &call), impatient(Some("something else")), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert!(rig.has("later"));
    assert_eq!(outcome.text, "as you wish");
}

#[tokio::test]
async fn d9_a_question_that_was_put_off_is_answered_later() {
    let rig = Rig::new(
        "- tool: { name: AskUserQuestion, input: { questions: [ { question: 'Which DB?', header: DB, multiSelect: false, \
         options: [ { label: PG, description: large }, { label: SQLite, description: small } ] } ] } }\n- say: Using it.",
    )
    .await;
    let (session, call) = deferred(&rig).await;
    assert_eq!(call.tool, "AskUserQuestion");
    let answers = std::collections::BTreeMap::from([("Which DB?".to_owned(), "SQLite".to_owned())]);
    let host = Memory::default().asking(move |_| Some(Decision::Answers(answers.clone())));
    let outcome = rig.run(&resumed(&rig, session, &call), impatient(None), &host).await;
    assert_eq!((outcome.end, outcome.text.as_str()), (End::Completed, "Using it."));
    assert!(rig.sent().contains(r#"\"Which DB?\"=\"SQLite\""#));
}

#[tokio::test]
async fn d9_nothing_to_resume_is_told() {
    let rig = Rig::new("- say: hello").await;
    let session = uuid();
    let first = rig.launch(Phase::Execute, Conversation::New(session));
    assert_eq!(rig.run(&first, turn("go"), &Memory::default()).await.end, End::Completed);
    let call = DeferredCall { tool_use_id: "x".into(), tool: "Bash".into(), input: json!({}) };
    let outcome = rig.run(&resumed(&rig, session, &call), impatient(None), &Memory::default()).await;
    assert!(matches!(outcome.end, End::Failed { fault: agent::Fault::NothingDeferred, .. }), "{outcome:?}");
}
