//! D7, R6: conversations that go on elsewhere.

use super::rig::{Rig, turn, uuid};
use crate::host::Memory;
use agent::{Conversation, End, Fault, Phase};

const SCRIPT: &str = "conversations:\n  - name: later\n    when: { prompt_contains: and then }\n    turns: [ { say: I remember } \
                      ]\n  - name: main\n    when: { prompt_contains: go }\n    turns: [ { say: the word is xylophone } ]\n";

#[tokio::test]
async fn d7_a_transcript_goes_on_in_another_home_and_directory() {
    let rig = Rig::scripted(SCRIPT).await;
    let session = uuid();
    let first = rig.launch(Phase::Execute, Conversation::New(session));
    assert_eq!(rig.run(&first, turn("go"), &Memory::default()).await.end, End::Completed);
    let archived = std::fs::read(rig.transcript(session)).expect("a transcript where it should be");

    let used = rig.run(&first, turn("go"), &Memory::default()).await;
    assert!(matches!(used.end, End::Failed { fault: Fault::SessionInUse, .. }), "{used:?}");

    let elsewhere = Rig::scripted(SCRIPT).await;
    let path = elsewhere.dir.path().join(format!("{session}.jsonl"));
    std::fs::write(&path, &archived).expect("written");
    let resume =
        |path: &std::path::Path| elsewhere.launch(Phase::Execute, Conversation::Resume(path.to_string_lossy().into()));
    let host = Memory::default();
    let outcome = elsewhere.run(&resume(&path), turn("and then"), &host).await;
    assert_eq!((outcome.end, outcome.text.as_str()), (End::Completed, "I remember"));
    assert_eq!(outcome.session.as_deref(), Some(session.to_string().as_str()), "the conversation keeps its id");
    assert!(elsewhere.sent().contains("xylophone"), "and its past");

    let missing = elsewhere.run(&resume(&elsewhere.dir.path().join("none.jsonl")), turn("and then"), &host).await;
    assert!(matches!(missing.end, End::Failed { fault: Fault::SessionUnknown, .. }), "{missing:?}");
}

#[tokio::test]
async fn r6_damaged_transcripts_resume_or_are_told_to_be_lost() {
    let rig = Rig::scripted(SCRIPT).await;
    let session = uuid();
    let first = rig.launch(Phase::Execute, Conversation::New(session));
    assert_eq!(rig.run(&first, turn("go"), &Memory::default()).await.end, End::Completed);
    let whole = std::fs::read_to_string(rig.transcript(session)).expect("a transcript");
    let torn = format!("{whole}{{\"type\":\"assis");
    let foreign = whole.replace("2.1.197", "1.0.3");
    for (name, text, resumes) in [("torn", torn.as_str(), true), ("foreign", &foreign, true), ("empty", "", false)] {
        let elsewhere = Rig::scripted(SCRIPT).await;
        let path = elsewhere.dir.path().join(format!("{session}.jsonl"));
        std::fs::write(&path, text).expect("written");
        let launch = elsewhere.launch(Phase::Execute, Conversation::Resume(path.to_string_lossy().into()));
        let outcome = elsewhere.run(&launch, turn("and then"), &Memory::default()).await;
        if resumes {
            assert_eq!(outcome.end, End::Completed, "{name}: {outcome:?}");
            assert!(elsewhere.sent().contains("xylophone"), "{name}");
        } else {
            assert!(matches!(outcome.end, End::Failed { fault: Fault::SessionUnknown, .. }), "{name}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_start_is_told_with_its_words() {
    let rig = Rig::scripted(SCRIPT).await;
    let mut launch = rig.execute();
    launch.args = vec!["--no-such-flag".into()];
    let outcome = rig.run(&launch, turn("go"), &Memory::default()).await;
    let End::Failed { fault: Fault::BadLaunch, message } = &outcome.end else { panic!("{outcome:?}") };
    assert!(message.contains("--no-such-flag"), "{message}");
}
