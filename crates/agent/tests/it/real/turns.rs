//! D1, D2, D10, D14, D15: turns that go well, in all their shapes.

use super::rig::{Rig, drive_beside, message, tool, turn};
use crate::host::Memory;
use agent::{AgentEvent, Conversation, Decision, End, Fault, Phase, policy::Policy};
use domain::MicroUsd;
use std::{collections::BTreeMap, time::Duration};

#[tokio::test]
async fn d1_messages_are_grouped_and_streamed_text_is_the_final_text() {
    let rig = Rig::new(
        "- think: I should look.\n  say: Looking at the files now, one after the other.\n  chunk: 5\n  tool: { name: Bash, \
         input: { command: 'echo hello' } }\n- tool: { name: Write, input: { file_path: 'CWD/new.txt', content: x } }\n- say: \
         All done.\n  chunk: 2",
    )
    .await;
    let host = Memory::default();
    let outcome = rig.run(&rig.execute(), turn("go"), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert_eq!(outcome.text, "All done.");
    assert!(outcome.cost_reported && outcome.usage.cost > MicroUsd(0), "{outcome:?}");

    let events = host.events();
    let mut streamed: BTreeMap<(String, u64), String> = BTreeMap::new();
    let mut finished = BTreeMap::new();
    for event in &events {
        match event {
            AgentEvent::TextDelta { message, block, text } => {
                streamed.entry((message.clone(), *block)).or_default().push_str(text);
            }
            AgentEvent::Text { message, block: Some(block), text, .. } => {
                finished.insert((message.clone(), *block), text.clone());
            }
            _ => {}
        }
    }
    assert_eq!(streamed, finished);
    assert_eq!(finished.len(), 2);
    let with_tool = events.iter().find_map(|event| match event {
        AgentEvent::Thinking { message, text, .. } if text == "I should look." => Some(message.clone()),
        _ => None,
    });
    let text_of =
        finished.iter().find(|(_, text)| text.starts_with("Looking")).map(|((message, _), _)| message.clone());
    assert_eq!(with_tool, text_of, "thought and text are of one message");
    let ran = |output: &str| {
        events.iter().any(
            |event| matches!(event, AgentEvent::ToolFinished { ok: true, output: found, .. } if found.contains(output)),
        )
    };
    assert!(ran("hello"), "{events:?}");
    let booked: i64 = events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Usage { usage, booked: true } => Some(usage.tokens()),
            _ => None,
        })
        .sum();
    let early: i64 = events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Usage { usage, booked: false } => Some(usage.tokens()),
            _ => None,
        })
        .sum();
    assert_eq!(booked, early, "the early signs add up to what is booked");
}

#[tokio::test]
async fn d2_background_work_opens_a_second_turn_and_both_are_booked_once() {
    let rig = Rig::new(
        "- tool: { name: Bash, input: { command: 'sleep 1; echo bg', run_in_background: true } }\n- say: started\n- say: \
         the background command is over",
    )
    .await;
    let host = Memory::default();
    let outcome = rig.run(&rig.execute(), turn("go"), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert_eq!(outcome.text, "the background command is over");
    assert!(outcome.left_running.is_empty());
    let events = host.events();
    assert_eq!(events.iter().filter(|event| matches!(event, AgentEvent::TurnEnded { .. })).count(), 2);
    let costs: Vec<i64> = events
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Usage { usage, booked: true } => Some(usage.cost.0),
            _ => None,
        })
        .collect();
    assert_eq!(costs.len(), 2);
    assert_eq!(costs.iter().sum::<i64>(), outcome.usage.cost.0);
}

#[tokio::test]
async fn background_work_without_end_is_left_behind() {
    let rig = Rig::new(
        "- tool: { name: Bash, input: { command: 'sleep 61', description: a server, run_in_background: true } }\n- say: \
         started",
    )
    .await;
    let mut turn = turn("go");
    turn.settings.background = Duration::from_millis(300);
    turn.settings.exit_grace = Duration::from_secs(3);
    let outcome = rig.run(&rig.execute(), turn, &Memory::default()).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert_eq!(outcome.left_running.len(), 1);
}

#[tokio::test]
async fn a_sub_agents_doings_are_told_apart() {
    let rig = Rig::scripted(
        "conversations:\n  - name: sub\n    when: { subagent: true, prompt_contains: look around }\n    turns:\n      - tool: \
         { name: Bash, input: { command: 'echo sub' } }\n      - say: nothing here\n  - name: main\n    when: { \
         prompt_contains: go }\n    turns:\n      - tool: { name: Agent, input: { description: look, prompt: look around, \
         subagent_type: general-purpose } }\n      - say: Done.\n",
    )
    .await;
    let host = Memory::default();
    let outcome = rig.run(&rig.execute(), turn("go"), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    let events = host.events();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, AgentEvent::ToolStarted { tool, parent: Some(_), .. } if tool == "Bash"))
    );
    let judged = host.judged.lock();
    assert_eq!(judged.iter().map(|call| call.subagent).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn d10_answers_reach_the_model() {
    let rig = Rig::new(
        "- tool: { name: AskUserQuestion, input: { questions: [ { question: 'Which DB?', header: DB, multiSelect: false, \
         options: [ { label: PG, description: x }, { label: SQLite, description: small } ] } ] } }\n- say: Using it.",
    )
    .await;
    let host = Memory::default()
        .asking(|_| Some(Decision::Answers(BTreeMap::from([("Which DB?".to_owned(), "Postgres 17".to_owned())]))));
    let launch = rig.launch(Phase::Plan, Conversation::New(super::rig::uuid()));
    let outcome = rig.run(&launch, turn("go"), &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert!(
        rig.sent().contains("Postgres 17"),
        "{:#?}",
        (rig.model.requests().last().map(|r| r.body["messages"].clone()), host.events())
    );
    let asked = host.asked.lock();
    let domain::RequestKind::Question { questions, .. } = &asked[0].kind else { panic!("{asked:?}") };
    assert_eq!((questions[0].header.as_str(), questions[0].options.len()), ("DB", 2));
}

#[tokio::test]
async fn d10_planning_hands_a_plan_in_and_touches_nothing() {
    let rig = Rig::new(
        "- tools:\n  - { name: Bash, input: { command: 'ls -a' } }\n  - { name: Bash, input: { command: touch bad } }\n  - { \
         name: Write, input: { file_path: bad, content: x } }\n- tool: { name: mcp__runyard__submit_plan, input: { markdown: \
         'no steps' } }\n- tool: { name: mcp__runyard__submit_plan, input: { markdown: '## Step 1' } }\n- say: Handed in.",
    )
    .await;
    let host = Memory::default()
        .judging(|call| Policy::default().judge(Phase::Plan, false, &call.tool, &call.input))
        .with_tool(|call| {
            if call.input["markdown"] == "no steps" {
                Err("line 1: there is no step".into())
            } else {
                Ok("accepted".into())
            }
        });
    let launch = rig.launch(Phase::Plan, Conversation::New(super::rig::uuid()));
    let mut turn = turn("go");
    turn.tools = vec![tool("submit_plan")];
    let outcome = rig.run(&launch, turn, &host).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    assert!(!rig.has("bad"));
    assert!(
        outcome.denials.iter().all(|denial| denial.by_host) && !outcome.denials.is_empty(),
        "{:?}",
        outcome.denials
    );
    assert!(rig.sent().contains("line 1: there is no step"), "the agent may mend its plan");
    assert_eq!(host.called.lock().len(), 2);
    let requests = rig.model.requests();
    let offered: Vec<String> = requests.iter().map(|request| request.body["tools"].to_string()).collect();
    let offered = offered.iter().find(|tools| tools.contains("Read")).expect("tools are offered");
    assert!(!offered.contains("\"Write\"") && !offered.contains("WebFetch") && !offered.contains("Cron"), "{offered}");
    assert!(offered.contains("mcp__runyard__submit_plan"));
}

#[tokio::test]
async fn d14_what_is_said_in_mid_turn_is_heard_in_it_and_receipts_match() {
    let rig = Rig::new("- tool: { name: Bash, input: { command: 'sleep 2' } }\n- say: heard you").await;
    let host = Memory::default();
    let first = message("go");
    let second = message("and mind the gap");
    let turn = agent::Turn { prompt: Some(first.clone()), ..turn("") };
    let outcome = drive_beside(rig.spawn(&rig.execute()), turn, &host, async |control| {
        host.until(|host| host.events().iter().any(|event| matches!(event, AgentEvent::ToolStarted { .. }))).await;
        assert!(control.say(second.clone()));
        assert!(control.say(second.clone()), "saying it twice says it once");
    })
    .await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    let delivered: Vec<_> = host
        .events()
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Delivered { uuid } => Some(*uuid),
            _ => None,
        })
        .collect();
    assert_eq!(delivered, [first.uuid, second.uuid]);
    assert_eq!(host.journal.lock().iter().filter(|line| line.key.starts_with("user:")).count(), 2);
    assert!(rig.sent().contains("mind the gap"));
}

#[tokio::test]
async fn d15_limits_of_turns_and_money_end_the_run_and_are_booked() {
    let rig = Rig::new("- tool: { name: Bash, input: { command: 'echo a' } }\n- say: x").await;
    let mut turns = rig.execute();
    turns.max_turns = Some(1);
    let mut money = rig.execute();
    money.max_budget = Some(MicroUsd(100));
    let hosts = (Memory::default(), Memory::default());
    let (turns, money) = tokio::join!(rig.run(&turns, turn("go"), &hosts.0), rig.run(&money, turn("go"), &hosts.1));
    assert!(matches!(turns.end, End::Failed { fault: Fault::MaxTurns, .. }), "{turns:?}");
    assert!(matches!(money.end, End::Failed { fault: Fault::Budget, .. }), "{money:?}");
    assert!(money.usage.cost > MicroUsd(0) && turns.usage.cost > MicroUsd(0));
}
