//! What the agents of a case are told: the runbook, and what they do in each step.

use crate::{
    cases::{Case, Scenario},
    sink::Told,
};
use serde_json::{Value, json};
use std::fmt::Write as _;

const NAMES: [&str; 3] = ["one", "two", "three"];

/// How many steps the plan of a case has.
pub fn steps(case: &Case) -> usize {
    match case.scenario {
        Scenario::Review | Scenario::Poison | Scenario::Alone => 2,
        _ => 3,
    }
}

fn runbook(steps: usize) -> String {
    let mut text = "# Runbook: Files\n\nAll are wanted.\n\n## Execution Steps\n".to_owned();
    for (number, name) in (1..).zip(NAMES).take(steps) {
        let _ = write!(
            text,
            "\n### Step {number}: Write {name}\n- `{name}.txt`\n\n```runnable bash check name={name} timeout=60s\n\
             grep --quiet {number} {name}.txt\n```\n"
        );
    }
    text
}

/// What scripted agents are told.
pub fn told(case: &Case) -> Vec<Told> {
    let (lines, torn, pace) = (case.lines, case.torn, case.pace);
    let orders = |more: Value| {
        let mut orders =
            json!({"lines": lines, "torn": torn, "pace": pace, "pause": 25, "echo": case.seed.is_multiple_of(4)});
        for (name, value) in more.as_object().into_iter().flatten() {
            orders[name] = value.clone();
        }
        orders
    };
    let always = |when: &str, orders: Value| Told { when: when.to_owned(), times: usize::MAX, orders };
    let once = |when: &str, orders: Value| Told { when: when.to_owned(), times: 1, orders };
    let mut told = vec![
        always("Make a runbook for this request", orders(json!({"submit": runbook(steps(case))}))),
        always("You have not handed in a runbook", orders(json!({"submit": runbook(steps(case))}))),
        always("want this changed", orders(json!({"write": [["one.txt", "1\nmore\n"]]}))),
    ];
    match case.scenario {
        Scenario::Stopped => {
            told.push(once("Execute step 2", orders(json!({"leave": "98765", "hang": true}))));
        }
        Scenario::Trouble => told.push(once("Execute step 2", orders(json!({"crash": true})))),
        Scenario::Alone => told.push(always("Execute step 1", orders(json!({"leave": "98765", "hang": true})))),
        _ => {}
    }
    for (number, name) in (1..).zip(NAMES) {
        let mut order = json!({"write": [[format!("{name}.txt"), format!("{number}\n")]]});
        if case.scenario == Scenario::Asks && number == 2 {
            order["ask"] = "Which colour?".into();
        }
        told.push(always(&format!("Execute step {number}"), orders(order)));
    }
    told
}

/// What the model tells the real Claude Code, as a script of `scripted-model`.
pub fn script(case: &Case) -> String {
    let call = |name: &str, input: Value| json!({"name": name, "input": input});
    let turn = |say: &str, tools: Vec<Value>| json!({"say": say, "tools": tools});
    let submit = call("mcp__runyard__submit_plan", json!({"runbook": runbook(steps(case))}));
    let mut conversations =
        vec![json!({"name": "plan", "when": {"prompt_contains": "Make a runbook for this request"},
        "turns": [turn("That is enough.", vec![submit]), json!({"say": "The plan is ready."})]})];
    for (number, name) in (1..).zip(NAMES) {
        let input = json!({"file_path": format!("/code/{name}.txt"), "content": format!("{number}\n")});
        conversations.push(json!({"name": format!("step {number}"),
            "when": {"prompt_contains": format!("Execute step {number}")},
            "turns": [turn("I write it.", vec![call("Write", input)]), json!({"say": "It is written."})]}));
    }
    json!({"auxiliary": "A title", "usage": {"input": 1200, "output": 80}, "conversations": conversations}).to_string()
}
