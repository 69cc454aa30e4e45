//! What the model says, put together for one test. JSON is YAML too, so a script is a JSON document.

use serde_json::{Value, json};

/// A whole script.
pub fn script(conversations: &[Value]) -> String {
    json!({
        "auxiliary": "A title",
        "usage": { "input": 1200, "output": 80 },
        "conversations": conversations,
    })
    .to_string()
}

/// Planning: some turns first, then this runbook is handed in.
pub fn plan_after(turns: &[Value], runbook: &str) -> Value {
    let mut turns = turns.to_vec();
    turns.push(turn("That is enough to plan.", &[submit(runbook)]));
    turns.push(turn("The plan is ready.", &[]));
    json!({ "name": "plan", "when": { "prompt_contains": "Make a runbook for this request" }, "turns": turns })
}

/// Planning at once.
pub fn plan(runbook: &str) -> Value {
    plan_after(&[], runbook)
}

/// The first attempt at a leaf, and every later one that has no conversation of its own before this one.
pub fn step(number: &str, title: &str, turns: &[Value]) -> Value {
    let when = json!({ "prompt_contains": format!("Execute step {number}: {title}") });
    json!({ "name": format!("step {number}"), "when": when, "turns": turns })
}

/// A later attempt at a leaf; goes before [`step`].
pub fn step_again(number: &str, title: &str, turns: &[Value]) -> Value {
    let when = json!({ "prompt_matches": format!("(?s)was tried before.*Execute step {number}: {title}") });
    json!({ "name": format!("step {number} again"), "when": when, "turns": turns })
}

/// The answer to a person's message that contains `words`.
pub fn message(words: &str, turns: &[Value]) -> Value {
    let when = json!({ "prompt_matches": format!("(?s)A person of the team says:.*{words}") });
    json!({ "name": format!("message {words}"), "when": when, "turns": turns })
}

/// One message of the model: words and calls.
pub fn turn(say: &str, tools: &[Value]) -> Value {
    if tools.is_empty() { json!({ "say": say }) } else { json!({ "say": say, "tools": tools }) }
}

/// A turn that begins and then waits until the test lets it go on.
pub fn held(name: &str) -> Value {
    json!({ "say": "I think about it.", "hold": { "until": name } })
}

/// A turn that waits until the test lets it go on, and then calls these tools.
pub fn held_then(name: &str, tools: &[Value]) -> Value {
    json!({ "say": "I think about it.", "hold": { "until": name }, "tools": tools })
}

/// Hands a runbook in.
pub fn submit(runbook: &str) -> Value {
    json!({ "name": "mcp__runyard__submit_plan", "input": { "runbook": runbook } })
}

/// Runs a command.
pub fn bash(command: &str) -> Value {
    json!({ "name": "Bash", "input": { "command": command, "description": "Try it" } })
}

/// Leaves a command running behind the agent's back.
pub fn bash_in_background(command: &str) -> Value {
    json!({ "name": "Bash", "input": { "command": command, "description": "Leave it", "run_in_background": true } })
}

/// Writes a new file of the repository.
pub fn write(file: &str, content: &str) -> Value {
    json!({ "name": "Write", "input": { "file_path": format!("/code/{file}"), "content": content } })
}

/// Asks the person one question with two choices.
pub fn ask(question: &str, choices: [&str; 2]) -> Value {
    let options = choices.map(|label| json!({ "label": label, "description": format!("Use {label}") }));
    json!({ "name": "AskUserQuestion", "input": { "questions": [
        { "question": question, "header": "Choice", "options": options, "multiSelect": false } ] } })
}

/// A step that writes one file and says so.
pub fn writes(number: &str, title: &str, file: &str, content: &str) -> Value {
    step(number, title, &[turn("I write it.", &[write(file, content)]), turn("It is written.", &[])])
}
