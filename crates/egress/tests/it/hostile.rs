//! A sandbox and an upstream that mean harm.

use std::io::Write;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egress::{Limits, Note};
use parking_lot::Mutex;
use serde_json::json;

use crate::support::{KEY, SURROGATE, asked, call, model, post, post_with, raw, upstream_saying, way_to};

#[tokio::test]
async fn nothing_but_the_two_calls_goes_out() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    let host = model.base_url().replace("http://", "");
    let auth = format!("x-api-key: {SURROGATE}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
    let requests = [
        format!("GET /v1/messages HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST /v1/messages/batches HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST /v1/messages/ HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST /v1/files/../messages HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST /v1/%6dessages HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST //v1/messages HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST /v1/messages?x=%0d%0aevil HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("GET /v1/organizations/api_keys HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST http://{host}/v1/messages HTTP/1.1\r\nhost: {host}\r\n{auth}"),
        format!("POST http://evil.example/v1/messages HTTP/1.1\r\nhost: evil.example\r\n{auth}"),
        format!("CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("OPTIONS * HTTP/1.1\r\nhost: {host}\r\n{auth}"),
    ];
    for request in &requests {
        let answer = raw(&way.socket, request.as_bytes()).await;
        let line = request.lines().next().unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{line}: {answer}");
        assert!(answer.contains("permission_error") || line.contains("CONNECT"), "{line}: {answer}");
    }
    assert!(model.requests().is_empty(), "{:?}", model.requests());
    let notes = way.gate.notes.lock().clone();
    assert_eq!(notes.len(), requests.len());
    assert!(matches!(&notes[0], Note::Refused { what, status: 403, .. } if what == "GET /v1/messages"));
}

#[tokio::test]
async fn another_credential_is_refused_before_the_gate_is_asked() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    let bearer = format!("Bearer {SURROGATE}");
    let basic = format!("Basic {}", STANDARD.encode(SURROGATE));
    let cases: [&[(&str, &str)]; 8] = [
        &[],
        &[("x-api-key", "")],
        &[("x-api-key", "sk-ant-api03-stolen")],
        &[("x-api-key", KEY)],
        &[("x-api-key", SURROGATE), ("x-api-key", "sk-ant-api03-stolen")],
        &[("x-api-key", SURROGATE), ("authorization", "Bearer sk-ant-api03-stolen")],
        &[("x-api-key", SURROGATE), ("authorization", &bearer)],
        &[("authorization", &basic)],
    ];
    for headers in cases {
        let answer = call(&way.socket, post_with(headers, &asked())).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(answer.text.contains("authentication_error") && !answer.text.contains("stolen"));
    }
    assert!(model.requests().is_empty() && way.gate.admitted.lock().is_empty());
}

#[tokio::test]
async fn only_listed_headers_reach_the_upstream() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    let headers = [
        ("x-api-key", SURROGATE),
        ("anthropic-beta", "one"),
        ("x-stainless-lang", "js"),
        ("cookie", "a=b"),
        ("x-forwarded-for", "1.2.3.4"),
        ("proxy-authorization", "Basic x"),
        ("host", "evil.example"),
        ("accept-encoding", "gzip"),
        ("connection", "x-stainless-lang, upgrade"),
        ("upgrade", "websocket"),
    ];
    assert_eq!(call(&way.socket, post_with(&headers, &asked())).await.status, 200);
    let seen = model.requests()[0].clone();
    assert_eq!((seen.header("anthropic-beta"), seen.header("x-stainless-lang")), (Some("one"), Some("js")));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("host").map(|host| format!("http://{host}")), Some(model.base_url()));
    for name in ["cookie", "x-forwarded-for", "proxy-authorization", "upgrade", "connection"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn too_much_is_refused_and_nonsense_does_not_go_out() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits { request_bytes: 10_000, ..Limits::default() });
    let mut large = asked();
    large["padding"] = json!("x".repeat(20_000));
    assert_eq!(call(&way.socket, post(&large)).await.status, 413);
    assert_eq!(call(&way.socket, post(&json!({ "no": "model" }))).await.status, 400);
    assert_eq!(call(&way.socket, post(&json!([1, 2]))).await.status, 400);

    let huge = format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "y".repeat(200_000));
    let answer = raw(&way.socket, huge.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = "x-more: y\r\n".repeat(500);
    let answer = raw(&way.socket, format!("POST /v1/messages HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    assert!(model.requests().is_empty());
    assert_eq!(call(&way.socket, post(&asked())).await.status, 200, "the way out is still there");
}

#[tokio::test]
async fn a_request_hidden_behind_another_is_judged_by_itself() {
    let model = model("- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    let body = asked().to_string();
    let hidden = "GET /v1/organizations/api_keys HTTP/1.1\r\nhost: x\r\n\r\n";
    let both_lengths = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SURROGATE}\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n{hidden}",
        body.len() + 40,
        body.len(),
    );
    raw(&way.socket, both_lengths.as_bytes()).await;
    let two_lengths = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {SURROGATE}\r\ncontent-length: 1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    );
    assert!(!raw(&way.socket, two_lengths.as_bytes()).await.starts_with("HTTP/1.1 200"));
    assert!(model.requests().iter().all(|request| request.path == "/v1/messages"), "{:?}", model.requests());
}

#[tokio::test]
async fn a_key_that_the_upstream_echoes_is_redacted_at_any_cut() {
    let encoded = STANDARD.encode(format!("key={KEY}"));
    let text = format!("event: error\ndata: {{\"message\":\"bad key {KEY} or {encoded}\"}}\n\n");
    for cut in [text.find(KEY).unwrap() + 1, text.find(KEY).unwrap() + 20, text.find(&encoded).unwrap() + 9] {
        let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len()).into_bytes();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_{KEY}\r\nset-cookie: s={KEY}\r\nx-internal: a\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let pieces = vec![head.into_bytes(), chunk(&text[..cut]), chunk(&text[cut..]), b"0\r\n\r\n".to_vec()];
        let (base_url, upstream) = upstream_saying(pieces).await;
        let way = way_to(&base_url, Limits::default());
        let answer = call(&way.socket, post(&asked())).await;
        assert!(upstream.lock()[0].contains(KEY), "the upstream must have seen the key for this test to mean anything");
        assert_eq!(answer.text.matches("[redacted]").count(), 2, "{}", answer.text);
        assert!(answer.text.starts_with("event: error\ndata: {\"message\":\"bad key [redacted] or "));
        assert_eq!(answer.headers["request-id"], "req_[redacted]");
        assert!(!answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("x-internal"));
        assert!(!format!("{:?}", way.gate.notes.lock()).contains(KEY));
    }
}

#[tokio::test]
async fn an_error_body_with_the_key_is_redacted_too() {
    let body = format!("{{\"error\":\"{KEY}\"}}");
    let head = format!(
        "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (base_url, _) = upstream_saying(vec![head.into_bytes(), body.into_bytes()]).await;
    let way = way_to(&base_url, Limits::default());
    let answer = call(&way.socket, post(&asked())).await;
    assert_eq!((answer.status, answer.text.as_str()), (401, "{\"error\":\"[redacted]\"}"));
}

#[tokio::test]
async fn redirects_and_compressed_answers_are_not_taken() {
    let (elsewhere, asked_elsewhere) =
        upstream_saying(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()]).await;
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}/v1/messages\r\ncontent-length: 0\r\n\r\n");
    let gzip =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n";
    for head in [redirect.as_str(), gzip] {
        let (base_url, upstream) = upstream_saying(vec![head.as_bytes().to_vec()]).await;
        let way = way_to(&base_url, Limits::default());
        let answer = call(&way.socket, post(&asked())).await;
        assert_eq!(answer.status, 502, "{head}");
        assert!(!answer.headers.contains_key("location"));
        assert_eq!(upstream.lock().len(), 1);
    }
    assert!(asked_elsewhere.lock().is_empty(), "the key was carried elsewhere");
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_at_any_level_holds_the_key() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let model = model("- error: {status: 529, times: 1}\n- say: hi").await;
    let way = way_to(&model.base_url(), Limits::default());
    for _ in 0..2 {
        call(&way.socket, post(&asked())).await;
    }
    call(&way.socket, post_with(&[("x-api-key", KEY)], &asked())).await;
    let unreachable = way_to("http://127.0.0.1:9", Limits::default());
    call(&unreachable.socket, post(&asked())).await;

    let log = String::from_utf8_lossy(&captured.0.lock()).into_owned();
    assert!(log.contains("refused a request"), "{log}");
    assert!(!log.contains(KEY) && !log.contains(&KEY[13..]), "the key is in the log");
}
