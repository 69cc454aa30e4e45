//! Calls that are allowed, what they cost, and how they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use domain::{MicroUsd, Usage};
use egress::{Admission, Call, Limits, Note, Refusal};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::support::{KEY, SURROGATE, asked, begin, call, model, post, post_with, receive, until, way_to, within};

#[tokio::test]
async fn a_call_goes_out_with_the_real_key_and_its_usage_is_known_before_it_ends() {
    let model =
        model("- { say: hello there, usage: {input: 1000, output: 200, cache_read: 5000, cache_write: 400} }").await;
    let way = way_to(&model.base_url(), Limits::default());
    for headers in [vec![("x-api-key", SURROGATE.to_owned())], vec![("authorization", format!("Bearer {SURROGATE}"))]] {
        way.gate.spent.lock().clear();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = call(&way.socket, post_with(&headers, &asked())).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.text.contains("hello there") && answer.text.contains("message_stop") && !answer.broke);
        assert!(answer.headers.contains_key("request-id"));

        let spent = way.gate.spent.lock().clone();
        let cost = MicroUsd(1000 * 3 + 200 * 15 + 5000 * 3 / 10 + 400 * 15 / 4);
        let usage = Usage { input: 1000, output: 200, cache_read: 5000, cache_write: 400, cost };
        assert_eq!((spent[0].usage, spent[0].complete, spent[0].model.as_str()), (usage, true, "claude-sonnet-4-5"));
        assert_eq!(spent.len(), 1);
    }
    assert!(model.requests().iter().all(|request| request.api_key() == Some(KEY)));
    let bytes = asked().to_string().len();
    let expected = Admission { call: Call::Messages, model: "claude-sonnet-4-5".into(), bytes };
    assert_eq!(way.gate.admitted.lock()[0], expected);
}

#[tokio::test]
async fn counting_tokens_and_asking_for_presence_cost_nothing() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    let mut count = post(&asked());
    *count.uri_mut() = "/v1/messages/count_tokens".parse().unwrap();
    let answer = call(&way.socket, count).await;
    assert!(answer.status == 200 && answer.text.contains("input_tokens"), "{}", answer.text);
    let presence = http::Request::head("/").body(Full::default()).unwrap();
    assert_eq!(call(&way.socket, presence).await.status, 200);
    way.listener.close().await;
    assert!(way.gate.spent.lock().is_empty());
    assert_eq!(model.requests().len(), 1, "HEAD / is answered here");
}

#[tokio::test]
async fn an_answer_without_stream_is_counted_too() {
    let model = model("- { say: hi, usage: {input: 11, output: 22} }").await;
    let way = way_to(&model.base_url(), Limits::default());
    let mut body = asked();
    body["stream"] = json!(false);
    let answer = call(&way.socket, post(&body)).await;
    assert_eq!(serde_json::from_str::<Value>(&answer.text).unwrap()["content"][0]["text"], "hi");
    let spent = way.gate.spent.lock().clone();
    assert_eq!((spent[0].usage.input, spent[0].usage.output, spent[0].complete), (11, 22, true));
}

#[tokio::test]
async fn the_gate_is_asked_for_every_call_and_its_no_is_final() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    for (refusal, status) in [
        (Refusal::Stale("the lease of this sandbox ended".into()), 403),
        (Refusal::Budget("the budget of $1.00 is spent".into()), 400),
        (Refusal::Denied("not this model".into()), 403),
    ] {
        *way.gate.refuse.lock() = Some(refusal.clone());
        let answer = call(&way.socket, post(&asked())).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["x-should-retry"], "false");
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(body["error"]["message"], format!("runyard: {refusal}"));
    }
    assert!(model.requests().is_empty());
    *way.gate.refuse.lock() = None;
    assert_eq!(call(&way.socket, post(&asked())).await.status, 200);
    assert_eq!(way.gate.notes.lock().len(), 4);
}

#[tokio::test]
async fn an_error_of_the_upstream_passes_with_its_headers_and_costs_nothing() {
    let model = model("- limit: {resets_in: 1h}").await;
    let way = way_to(&model.base_url(), Limits::default());
    let answer = call(&way.socket, post(&asked())).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["retry-after"], "3600");
    let resets_at: i64 =
        answer.headers["anthropic-ratelimit-unified-reset"].to_str().expect("text").parse().expect("seconds");
    way.listener.close().await;
    let again = egress::Again {
        after: Some(Duration::from_hours(1)),
        resets_at: Some(domain::Timestamp(resets_at * 1_000_000)),
    };
    assert!(matches!(&way.gate.notes.lock()[..], [Note::Answered { status: 429, again: told, .. }] if *told == again));
    assert!(way.gate.spent.lock().is_empty());
}

#[tokio::test]
async fn a_stream_that_the_upstream_cuts_is_counted_as_far_as_it_came() {
    let model = model("- { blocks: [ {say: twelve bytes}, {say: x} ], usage: {input: 50, output: 70}, cut: {after_blocks: 1, how: reset} }").await;
    let way = way_to(&model.base_url(), Limits::default());
    let answer = call(&way.socket, post(&asked())).await;
    assert!(answer.broke, "a broken answer must not look whole: {}", answer.text);
    let spent = way.gate.spent.lock().clone();
    assert_eq!((spent[0].usage.input, spent[0].usage.output, spent[0].complete), (50, 3, false));
    assert!(matches!(&way.gate.notes.lock()[1], Note::UpstreamFailed { .. }));
}

#[tokio::test]
async fn an_agent_that_hangs_up_pays_for_what_it_saw() {
    let model = model("- { blocks: [ {say: twelve bytes}, {say: x} ], usage: {input: 50, output: 70}, hold: {after_blocks: 1, until: never} }").await;
    let way = way_to(&model.base_url(), Limits::default());
    let mut response = begin(&way.socket, post(&asked())).await;
    let mut seen = String::new();
    while !seen.contains("content_block_stop") {
        let frame: Bytes = within(response.frame()).await.unwrap().unwrap().into_data().unwrap();
        seen.push_str(std::str::from_utf8(&frame).unwrap());
    }
    drop(response);
    until(|| !way.gate.spent.lock().is_empty()).await;
    let spent = way.gate.spent.lock()[0].clone();
    assert_eq!((spent.usage.input, spent.usage.output, spent.complete), (50, 3, false));
}

#[tokio::test]
async fn the_gate_knows_the_usage_before_the_agent_sees_the_last_event() {
    let model = model("- { say: hi, usage: {input: 5, output: 6} }").await;
    let way = way_to(&model.base_url(), Limits::default());
    let mut response = begin(&way.socket, post(&asked())).await;
    let mut seen = String::new();
    while !seen.contains("message_stop") {
        let frame: Bytes = within(response.frame()).await.unwrap().unwrap().into_data().unwrap();
        seen.push_str(std::str::from_utf8(&frame).unwrap());
    }
    assert_eq!(way.gate.spent.lock().len(), 1);
}

#[tokio::test]
async fn hanging_up_before_the_answer_begins_is_not_free() {
    let model = model("- { say: hi, delay: 1h }").await;
    let way = way_to(&model.base_url(), Limits::default());
    let socket = way.socket.clone();
    let asking = tokio::spawn(async move { begin(&socket, post(&asked())).await });
    within(model.wait_for(|_| true)).await;
    asking.abort();
    within(way.listener.close()).await;
    let spent = way.gate.spent.lock().clone();
    let input = i64::try_from(asked().to_string().len().div_ceil(4)).unwrap();
    assert_eq!((spent[0].usage.input, spent[0].usage.output, spent[0].complete), (input, 0, false));
}

#[tokio::test]
async fn calls_beyond_the_limit_wait_for_their_turn() {
    let model = model("- { say: hi, hold: {after_blocks: 0, until: go} }").await;
    let way = way_to(&model.base_url(), Limits { in_flight: 1, ..Limits::default() });
    let calls = [0, 1].map(|_| {
        let socket = way.socket.clone();
        tokio::spawn(async move { call(&socket, post(&asked())).await })
    });
    within(model.wait_for(|_| true)).await;
    // Time enough for the second to come through, were there no limit; too short a time cannot fail the test.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(model.requests().len(), 1);
    model.release("go");
    for call in calls {
        assert_eq!(within(call).await.unwrap().status, 200);
    }
    assert_eq!(model.requests().len(), 2);
}

#[tokio::test]
async fn closing_cuts_open_calls_at_once_and_settles_them() {
    let model = model("- { say: x, usage: {input: 50, output: 70}, hold: {after_blocks: 0, until: never} }").await;
    let way = way_to(&model.base_url(), Limits::default());
    let mut response = begin(&way.socket, post(&asked())).await;
    let first = within(response.frame()).await.unwrap().unwrap();
    assert!(first.data_ref().unwrap().starts_with(b"event: message_start"));
    within(way.listener.close()).await;
    assert_eq!(way.gate.spent.lock()[0].usage.input, 50);
    let rest = within(async {
        loop {
            match response.frame().await {
                Some(Ok(_)) => {}
                other => return other,
            }
        }
    });
    assert!(matches!(rest.await, Some(Err(_))), "the cut answer must not look whole");
    assert!(tokio::net::UnixStream::connect(&way.socket).await.is_err());
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_bad_gateway_without_retry_or_cost() {
    let way = way_to("http://127.0.0.1:9", Limits::default());
    let answer = call(&way.socket, post(&asked())).await;
    assert_eq!(answer.status, 502);
    let body: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("api_error")));
    assert!(matches!(&way.gate.notes.lock()[..], [Note::UpstreamFailed { why }] if why.contains("failed")));
    way.listener.close().await;
    assert!(way.gate.spent.lock().is_empty());
}

#[tokio::test]
async fn a_silent_upstream_times_out() {
    let model = model("- { say: x, hold: {after_blocks: 0, until: never} }").await;
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let way = way_to(&model.base_url(), limits);
    let answer = call(&way.socket, post(&asked())).await;
    assert!(answer.broke);
    assert_eq!(way.gate.spent.lock().len(), 1);
}

#[tokio::test]
async fn the_answer_is_read_no_faster_than_the_agent_reads() {
    const PIECES: usize = 2000;
    const PIECE: usize = 64 << 10;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        receive(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        stream.write_all(head).await.unwrap();
        for _ in 0..PIECES {
            stream.write_all(&vec![b'x'; PIECE]).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let way = way_to(&base_url, Limits::default());
    let mut response = begin(&way.socket, post(&asked())).await;
    until(|| sent.load(Ordering::SeqCst) > 0).await;
    // Time enough to take it all, were there no back-pressure; too short a time cannot fail the test.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(sent.load(Ordering::SeqCst) < PIECES / 2, "nobody reads, and yet the answer was taken");
    let mut total = 0;
    while let Some(frame) = within(response.frame()).await {
        total += frame.unwrap().data_ref().unwrap().len();
    }
    assert_eq!(total, PIECES * PIECE);
}
