//! Over plain HTTP, event by event.

use std::time::Duration;

use scripted_model::{Options, Outcome, Script, ScriptedModel};
use serde_json::{Value, json};

async fn start(turns: &str) -> ScriptedModel {
    let turns = turns.replace('\n', "\n      ");
    let text =
        format!("conversations:\n  - name: main\n    when: {{ prompt_contains: go }}\n    turns:\n      {turns}\n");
    ScriptedModel::start(Script::parse(&text).unwrap()).await.unwrap()
}

fn request(messages: &Value) -> Value {
    json!({ "model": "claude-x", "max_tokens": 100, "stream": true, "messages": messages })
}

fn asked() -> Value {
    request(&json!([{ "role": "user", "content": "go" }]))
}

async fn post(model: &ScriptedModel, body: &Value) -> reqwest::Response {
    let client = reqwest::Client::builder().build().unwrap();
    let url = format!("{}/v1/messages?beta=true", model.base_url());
    client.post(url).header("x-api-key", "k").body(body.to_string()).send().await.unwrap()
}

async fn events(response: reqwest::Response) -> Vec<Value> {
    let text = response.text().await.unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn said(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

#[tokio::test]
async fn a_stream_has_the_vendors_events_in_the_vendors_order() {
    let model =
        start("- { think: hm, say: hello, tool: {name: Bash, input: {command: ls}}, usage: {input: 7, output: 9} }")
            .await;
    let response = post(&model, &asked()).await;
    assert!(response.headers()["request-id"].to_str().unwrap().starts_with("req_"));
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let events = events(response).await;
    let shape: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["delta"]["type"].as_str().unwrap_or("")))
        .collect();
    insta::assert_snapshot!(shape.join("\n"), @r"
    message_start 
    ping 
    content_block_start 
    content_block_delta thinking_delta
    content_block_delta signature_delta
    content_block_stop 
    content_block_start 
    content_block_delta text_delta
    content_block_stop 
    content_block_start 
    content_block_delta input_json_delta
    content_block_delta input_json_delta
    content_block_stop 
    message_delta 
    message_stop 
    ");
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 7);
    assert_eq!(events[0]["message"]["content"], json!([]));
    assert_eq!(events[13]["delta"]["stop_reason"], "tool_use");
    assert_eq!(events[13]["usage"]["output_tokens"], 9);
}

#[tokio::test]
async fn the_same_request_gets_the_same_bytes_again() {
    let model = start("- { say: one, tool: {name: Bash, input: {command: ls}} }\n- say: two").await;
    let first = post(&model, &asked()).await.text().await.unwrap();
    assert_eq!(first, post(&model, &asked()).await.text().await.unwrap());
    let attempts: Vec<_> = model.requests().into_iter().map(|request| request.outcome).collect();
    let turn = |attempt| Outcome::Turn { conversation: "main".into(), line: 5, position: 0, attempt };
    assert_eq!(attempts, [turn(0), turn(1)]);
}

#[tokio::test]
async fn the_history_decides_the_turn_and_each_condition_sees_its_own_moment() {
    let model = start(concat!(
        "- tool: {name: Bash, input: {command: make}}\n",
        "- capture: {code: 'code (\\d+)'}\n",
        "  if: {result_contains: FAILED}\n",
        "  then:\n",
        "    - { say: 'repair ${code}', tool: {name: Bash, input: {command: make}} }\n",
        "- say: 'finished after ${last_tool_result}'",
    ))
    .await;
    let call =
        json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "Bash", "input": {} }] });
    let result = |text: &str| json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": text }] });
    let go = json!({ "role": "user", "content": [{ "type": "text", "text": "<system-reminder>x</system-reminder>" }, { "type": "text", "text": "go" }] });

    let answer = |messages: Value| {
        let model = &model;
        async move { said(&events(post(model, &request(&messages)).await).await) }
    };
    assert_eq!(answer(json!([go, call, result("fine")])).await, "finished after fine");
    assert_eq!(answer(json!([go, call, result("FAILED code 7")])).await, "repair 7");
    assert_eq!(answer(json!([go, call, result("FAILED code 7"), call, result("fine")])).await, "finished after fine");
    let nudged = json!({ "role": "user", "content": "Continue from where you left off." });
    assert_eq!(answer(json!([go, call, nudged])).await, "finished after ");
}

#[tokio::test]
async fn a_fault_is_served_as_often_as_it_says_then_the_next_turn_answers() {
    let model = start("- error: {status: 529, times: 2}\n- say: ok").await;
    for _ in 0..2 {
        let response = post(&model, &asked()).await;
        assert_eq!(response.status(), 529);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["type"], "overloaded_error");
    }
    assert_eq!(said(&events(post(&model, &asked()).await).await), "ok");
}

#[tokio::test]
async fn a_limit_tells_when_it_ends() {
    let model = start("- limit: {resets_in: 1h}").await;
    let response = post(&model, &asked()).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "3600");
    assert_eq!(response.headers()["anthropic-ratelimit-unified-status"], "rejected");
}

#[tokio::test]
async fn a_cut_stream_ends_after_the_blocks_it_names() {
    let model = start("- blocks: [ {say: one}, {say: two} ]\n  cut: {after_blocks: 1}").await;
    let events = events(post(&model, &asked()).await).await;
    assert_eq!(said(&events), "one");
    assert_eq!(events.last().unwrap()["type"], "content_block_stop");

    let model = start("- say: one\n  cut: {after_blocks: 1, how: reset, times: 1}").await;
    let broken = post(&model, &asked()).await.text().await;
    assert!(broken.is_err(), "a reset must not look like an end: {broken:?}");
    assert!(post(&model, &asked()).await.text().await.unwrap().contains("message_stop"));
}

#[tokio::test]
async fn malformed_streams_and_errors_in_mid_stream() {
    let model = start("- { say: one, malformed: {kind: unknown_event, after_blocks: 1} }").await;
    let whole = events(post(&model, &asked()).await).await;
    assert!(whole.iter().any(|event| event["type"] == "event_from_the_future"));
    assert_eq!(whole.last().unwrap()["type"], "message_stop");

    let model = start("- { say: one, malformed: {kind: bad_json, after_blocks: 1} }").await;
    let text = post(&model, &asked()).await.text().await.unwrap();
    assert!(text.contains("\"del\n") && !text.contains("message_stop"));

    let model = start("- { say: one, error: {status: 529, after_blocks: 1} }").await;
    let cut = events(post(&model, &asked()).await).await;
    assert_eq!(cut.last().unwrap()["error"]["type"], "overloaded_error");
}

#[tokio::test]
async fn a_held_turn_goes_on_when_it_is_released() {
    let model = start("- { blocks: [ {say: one}, {say: two} ], hold: {after_blocks: 1, until: ready} }").await;
    let mut response = post(&model, &asked()).await;
    let mut text = String::new();
    while !text.contains("content_block_stop") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(!text.contains("two"));
    model.release("ready");
    assert!(response.text().await.unwrap().contains("two"));
}

#[tokio::test]
async fn whole_answers_side_requests_and_token_counts_need_no_stream() {
    let model = start("- { say: hi, repeat: 3 }").await;
    let mut body = asked();
    body["stream"] = json!(false);
    let answer: Value = post(&model, &body).await.json().await.unwrap();
    assert_eq!(answer["content"][0]["text"], "hihihi");
    assert_eq!(answer["stop_reason"], "end_turn");

    let side = json!({ "model": "claude-haiku", "max_tokens": 9, "messages": [{ "role": "user", "content": "title of: go" }] });
    let answer: Value = post(&model, &side).await.json().await.unwrap();
    assert_eq!(answer["content"][0]["text"], "Scripted answer");

    let client = reqwest::Client::builder().build().unwrap();
    let url = format!("{}/v1/messages/count_tokens", model.base_url());
    let count: Value = client.post(url).body(asked().to_string()).send().await.unwrap().json().await.unwrap();
    assert!(count["input_tokens"].as_u64().unwrap() > 5);
    assert!(client.head(model.base_url()).send().await.unwrap().status().is_success());
}

#[tokio::test]
async fn what_nothing_fits_is_a_400_that_names_what_was_seen() {
    let model = start("- say: ok").await;
    let response = post(&model, &request(&json!([{ "role": "user", "content": "something else" }]))).await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("something else") && message.contains("claude-x"), "{message}");

    let exhausted = json!([{ "role": "user", "content": "go" }, { "role": "assistant", "content": "ok" }, { "role": "user", "content": "and?" }]);
    let body: Value = post(&model, &request(&exhausted)).await.json().await.unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("no turn left for answer number 2"), "{body}");
    assert_eq!(model.unmatched().len(), 2);
}

#[tokio::test]
async fn only_the_expected_key_is_served_and_every_request_is_on_record() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("requests.jsonl");
    let script = Script::parse("expect_key: other\nconversations: [{name: a, turns: [{say: hi}]}]").unwrap();
    let options = Options { record_to: Some(record.clone()), ..Options::default() };
    let model = ScriptedModel::start_with(script, options).await.unwrap();
    let response = post(&model, &asked()).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["type"], "authentication_error");
    let found = tokio::time::timeout(Duration::from_secs(30), model.wait_for(|r| r.outcome == Outcome::WrongKey)).await;
    assert_eq!(found.unwrap().api_key(), Some("k"));
    let line = std::fs::read_to_string(record).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["status"], 401);
}
