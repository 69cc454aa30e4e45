//! D5, D6: ends that come from outside.

use super::rig::{Rig, Station, drive, drive_beside, indent, message, turn, uuid};
use crate::host::Memory;
use agent::{AgentEvent, Conversation, Decision, End, Fault, Phase};
use rustix::process::Signal;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const SLEEP: &str = "- tool: { name: Bash, input: { command: sleep 31 } }\n- say: woke up";

fn tool_runs(host: &Memory) -> bool {
    host.events().iter().any(|event| matches!(event, AgentEvent::ToolStarted { .. }))
}

fn two(first: &str) -> String {
    let indented = indent(first);
    format!(
        "conversations:\n  - name: second\n    when: {{ prompt_contains: instead }}\n    turns: [ {{ say: second turn }} ]\n  - \
         name: main\n    when: {{ prompt_contains: go }}\n    turns:\n{indented}"
    )
}

#[tokio::test]
async fn d5_an_interruption_in_text_ends_the_turn_and_the_next_one_works() {
    let rig = Rig::scripted(&two("- say: a long story\n  hold: { after_blocks: 0, until: never }")).await;
    let host = Memory::default();
    let outcome = drive_beside(rig.spawn(&rig.execute()), turn("go"), &host, async |control| {
        host.until(|host| {
            host.events().iter().any(|event| matches!(event, AgentEvent::Delivered { .. } | AgentEvent::Started { .. }))
        })
        .await;
        let asked = rig.model.wait_for(|request| request.body.to_string().contains("go"));
        tokio::time::timeout(Duration::from_secs(30), asked).await.expect("the model is asked");
        control.say(message("do this instead"));
        control.interrupt();
    })
    .await;
    assert_eq!((outcome.end, outcome.text.as_str(), outcome.interrupted), (End::Completed, "second turn", true));
}

#[tokio::test]
async fn d5_an_interruption_in_a_command_leaves_no_process() {
    let rig = Rig::scripted(&two(SLEEP)).await;
    let host = Memory::default();
    let launch = rig.execute();
    let mut argv: Vec<String> =
        ["bwrap", "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--die-with-parent", "--"]
            .map(str::to_owned)
            .into();
    argv.extend(launch.argv());
    let mark = rig.cwd.to_string_lossy().into_owned();
    let outcome = drive_beside(rig.spawn_as(&argv, &launch), turn("go"), &host, async |control| {
        host.until(tool_runs).await;
        until_found(&mark).await;
        control.say(message("do this instead"));
        control.interrupt();
    })
    .await;
    assert_eq!((outcome.end, outcome.text.as_str(), outcome.interrupted), (End::Completed, "second turn", true));
    assert_eq!(sleepers(&mark), 0, "no orphan is left in the container");
}

/// Processes with this working directory that sleep.
fn sleepers(cwd: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    processes
        .filter(|process| {
            let here = std::fs::read_link(process.path().join("cwd")).is_ok_and(|found| found.to_string_lossy() == cwd);
            here && std::fs::read(process.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\0"))
        })
        .count()
}

async fn until_found(cwd: &str) {
    for _ in 0..600 {
        if sleepers(cwd) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the command never started");
}

#[tokio::test]
async fn d5_an_interruption_while_a_person_is_asked_withdraws_the_question() {
    let rig = Rig::scripted(&two("- tool: { name: Bash, input: { command: touch danger } }\n- say: x")).await;
    let host = Memory::default().asking(|_| None);
    let outcome = drive_beside(rig.spawn(&rig.execute()), turn("go"), &host, async |control| {
        host.until(|host| !host.asked.lock().is_empty()).await;
        control.interrupt();
    })
    .await;
    assert_eq!(outcome.end, End::Interrupted, "{outcome:?}");
    assert_eq!(host.withdrawn.lock().len(), 1);
    assert!(!rig.has("danger"));
}

#[tokio::test]
async fn stopping_ends_the_process_whatever_it_does() {
    let rig = Rig::new("- say: a long story\n  stall: { after_blocks: 0, for: 60s }").await;
    let host = Memory::default();
    let mut turn = turn("go");
    turn.settings.exit_grace = Duration::from_secs(3);
    let outcome = drive_beside(rig.spawn(&rig.execute()), turn, &host, async |control| {
        host.until(|host| !host.journal.lock().is_empty()).await;
        control.stop();
    })
    .await;
    assert_eq!(outcome.end, End::Interrupted, "{outcome:?}");
}

#[tokio::test]
async fn d6_a_killed_agent_resumes_and_is_told_what_was_cut_off() {
    for signal in [Signal::TERM, Signal::KILL] {
        let rig = Rig::scripted(&two("- tool: { name: Bash, input: { command: sleep 12 } }\n- say: woke up")).await;
        let session = uuid();
        let host = Memory::default();
        let child = rig.spawn(&rig.launch(Phase::Execute, Conversation::New(session)));
        let pid = rustix::process::Pid::from_raw(child.id()).expect("a pid");
        let mark = rig.cwd.to_string_lossy().into_owned();
        let outcome = drive_beside(child, turn("go"), &host, async |_control| {
            host.until(tool_runs).await;
            until_found(&mark).await;
            // The agent writes its transcript a moment later than it acts.
            let transcript = rig.transcript(session);
            while !std::fs::read_to_string(&transcript).is_ok_and(|text| text.contains("sleep 12")) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            rustix::process::kill_process(pid, signal).expect("signalled");
        })
        .await;
        assert!(matches!(outcome.end, End::Failed { fault: Fault::Killed, .. }), "{signal:?}: {outcome:?}");

        let transcript = rig.transcript(session);
        let note = agent::note_on_lost_call(&std::fs::read(&transcript).expect("a transcript")).expect("a note");
        assert!(note.contains("sleep 12"), "{note}");
        let resume = rig.launch(Phase::Execute, Conversation::Resume(transcript.to_string_lossy().into()));
        let outcome = rig.run(&resume, turn(&format!("{note}\n\nNow do this instead.")), &Memory::default()).await;
        assert_eq!((outcome.end, outcome.text.as_str()), (End::Completed, "second turn"), "{signal:?}");
        assert!(rig.sent().contains("its effects may exist"));
    }
}

#[tokio::test]
async fn d6_a_new_server_goes_on_with_a_process_that_waits_for_an_answer() {
    let rig =
        Rig::new("- say: I would like to.\n  tool: { name: Bash, input: { command: 'echo ran >> log' } }\n- say: done")
            .await;
    let answers = Arc::new(AtomicBool::new(false));
    let answer = answers.clone();
    let host = Memory::default()
        .asking(move |_| answer.load(Ordering::SeqCst).then_some(Decision::Allow { updated_input: None }));
    let station = Station::new(rig.spawn(&rig.execute()));
    let first = turn("go");
    {
        let (_control, inbox) = agent::control();
        let driving = agent::drive(Box::new(station.clone()), first.clone(), &host, inbox);
        tokio::select! {
            outcome = driving => panic!("{outcome:?}"),
            () = host.until(|host| !host.asked.lock().is_empty()) => {}
        }
    }
    assert!(!rig.has("log"));
    answers.store(true, Ordering::SeqCst);
    let (_control, inbox) = agent::control();
    let resumed = agent::Turn { resume: Some(host.resume()), ..first };
    let outcome = drive(station, resumed, &host, inbox).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert_eq!(std::fs::read_to_string(rig.cwd.join("log")).expect("it ran"), "ran\n");
    let events = host.events();
    let texts: Vec<_> = events.iter().filter(|event| matches!(event, AgentEvent::Text { .. })).collect();
    assert_eq!(texts.len(), 2, "nothing was seen twice: {events:?}");
    assert_eq!(events.iter().filter(|event| matches!(event, AgentEvent::ToolStarted { .. })).count(), 1);
}
