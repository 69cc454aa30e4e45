//! The real Claude Code talks to the scripted model.

use scripted_model::{Options, Outcome, Script, ScriptedModel};
use serde_json::{Value, json};

use crate::claude::{KEY, Ran, run};

async fn start(turns: &str) -> ScriptedModel {
    let turns = turns.replace('\n', "\n      ");
    let script = format!(
        "expect_key: {KEY}\nconversations:\n  - name: main\n    when: {{ prompt_contains: please }}\n    turns:\n      {turns}\n"
    );
    ScriptedModel::start(Script::parse(&script).unwrap()).await.unwrap()
}

fn allow(request: &Value) -> Value {
    json!({ "behavior": "allow", "updatedInput": request["input"] })
}

async fn ask(model: &ScriptedModel) -> Ran {
    let ran = run(model, "please do it", &["--permission-mode", "acceptEdits"], allow).await;
    assert!(model.unmatched().is_empty(), "{:#?}", model.unmatched().first().map(|r| &r.outcome));
    ran
}

#[tokio::test]
async fn text_and_thinking_arrive_with_the_usage_of_the_script() {
    let model = start(
        "- { think: Let me see., say: Hello there., usage: {input: 321, output: 45, cache_read: 6, cache_write: 7} }",
    )
    .await;
    let ran = ask(&model).await;
    assert_eq!(ran.result()["result"], "Hello there.");
    assert_eq!(ran.result()["is_error"], false);
    assert_eq!(ran.blocks("thinking")[0]["thinking"], "Let me see.");
    let usage = &ran.result()["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(321), &json!(45)));
    assert_eq!((&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]), (&json!(6), &json!(7)));
}

#[tokio::test]
async fn tools_run_and_later_turns_depend_on_their_results() {
    let model = start(concat!(
        "- tools:\n",
        "  - { name: Bash, input: { command: 'echo one-$((40+2)) $${PATH:+set}', description: count } }\n",
        "  - { name: Write, input: { file_path: made.txt, content: \"x\\n\" } }\n",
        "- capture: { number: 'one-(\\d+) set' }\n",
        "  tool: { name: Bash, input: { command: 'echo ${number} > number.txt; exit 3' } }\n",
        "- if: { result_is_error: true }\n",
        "  then: [ { say: 'number ${number}' } ]\n",
        "  else: [ { say: unexpected } ]",
    ))
    .await;
    let ran = ask(&model).await;
    assert_eq!(ran.result()["result"], "number 42");
    assert_eq!(std::fs::read_to_string(ran.workspace().join("number.txt")).unwrap(), "42\n");
    assert_eq!(std::fs::read_to_string(ran.workspace().join("made.txt")).unwrap(), "x\n");
    let positions: Vec<usize> = model
        .requests()
        .iter()
        .filter_map(|r| match r.outcome {
            Outcome::Turn { position, .. } => Some(position),
            _ => None,
        })
        .collect();
    assert_eq!(positions, [0, 1, 2]);
}

#[tokio::test]
async fn a_wrong_key_ends_with_401() {
    let script = Script::parse("conversations: [{name: a, turns: [{say: hi}]}]").unwrap();
    let options = Options { expect_key: Some("another".to_owned()), ..Options::default() };
    let model = ScriptedModel::start_with(script, options).await.unwrap();
    let ran = run(&model, "please", &[], allow).await;
    assert_eq!(ran.result()["api_error_status"], 401);
    assert_eq!(ran.result()["is_error"], true);
}

#[tokio::test]
async fn an_overload_is_retried_and_then_answered() {
    let model = start("- error: { status: 529, times: 2 }\n- say: recovered").await;
    let ran = ask(&model).await;
    assert_eq!(ran.result()["result"], "recovered");
    let retries = ran.events.iter().filter(|e| e["subtype"] == "api_retry").count();
    assert_eq!(retries, 2);
}

#[tokio::test]
async fn a_stream_cut_by_a_clean_end_looks_like_success_without_a_stop_reason() {
    let model = start("- { blocks: [ {say: half}, {say: rest} ], cut: { after_blocks: 1 } }").await;
    let ran = ask(&model).await;
    assert_eq!(ran.result()["stop_reason"], Value::Null);
    assert_eq!(ran.blocks("text")[0]["text"], "half");
}

#[tokio::test]
async fn a_question_reaches_the_host_and_its_answer_the_model() {
    let model = start(concat!(
        "- tool:\n",
        "    name: AskUserQuestion\n",
        "    input:\n",
        "      questions:\n",
        "        - { question: Which?, header: Pick, multiSelect: false, options: [ {label: Red, description: r}, {label: Blue, description: b} ] }\n",
        "- if: { result_contains: Blue }\n",
        "  say: Blue it is.",
    ))
    .await;
    let answer = |request: &Value| {
        let mut input = request["input"].clone();
        input["answers"] = json!({ "Which?": "Blue" });
        json!({ "behavior": "allow", "updatedInput": input })
    };
    let ran = run(&model, "please ask", &[], answer).await;
    assert_eq!(ran.result()["result"], "Blue it is.");
}

#[tokio::test]
async fn a_sub_agent_has_a_conversation_of_its_own() {
    let script = Script::parse(concat!(
        "conversations:\n",
        "  - name: helper\n",
        "    when: { subagent: true, prompt_contains: count the files }\n",
        "    turns: [ { say: There are 3. } ]\n",
        "  - name: main\n",
        "    turns:\n",
        "      - tool: { name: Agent, input: { description: count, prompt: count the files, subagent_type: general-purpose } }\n",
        "      - if: { result_contains: There are 3. }\n",
        "        say: Three files.\n",
    ))
    .unwrap();
    let model = ScriptedModel::start(script).await.unwrap();
    let ran = run(&model, "please delegate", &[], allow).await;
    let answered: Vec<_> = model.requests().iter().filter_map(|r| r.conversation().map(str::to_owned)).collect();
    assert_eq!(answered.last().map(String::as_str), Some("main"), "{answered:?}");
    assert!(answered.contains(&"helper".to_owned()), "{answered:?}");
    assert!(ran.blocks("text").iter().any(|block| block["text"] == "Three files."), "{answered:?}");
}
