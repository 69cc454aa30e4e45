//! A session as a file, by a link.

use crate::world::{Guest, World};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::Value;

async fn file(world: &World, guest: &Guest, path: &str) -> Response {
    let mut request = world.request(Method::GET, path);
    if let Some((name, value)) = &guest.proof {
        request = request.header(*name, value);
    }
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_session_is_a_document_and_an_object_with_every_event() {
    let world = World::new().await;
    let ada = world.admin().await;
    // More than is read at once.
    for n in 1..=1203 {
        world.stand_in.happen(&format!("note {n} \u{202e}# not a heading"));
    }
    let answer = file(&world, &ada, "/sessions/1/session.json").await;
    assert_eq!(answer.headers()[header::CONTENT_DISPOSITION], "attachment; filename=\"runyard-r1.json\"");
    let whole: Value = answer.json().await.expect("JSON");
    assert_eq!(whole["session"]["number"], 1, "{whole}");
    let events = whole["events"].as_array().expect("a list");
    assert_eq!(events.len(), 1203);
    for (n, event) in (1..).zip(events) {
        assert_eq!((event["number"].as_i64(), event["payload"]["type"].as_str()), (Some(n), Some("note")), "{event}");
    }
    let answer = file(&world, &ada, "/sessions/1/session.md").await;
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/markdown; charset=utf-8");
    let text = answer.text().await.expect("text");
    assert!(text.starts_with("# r/1: "), "{text}");
    assert!(!text.contains('\u{202e}'), "{text}");
}

#[tokio::test]
async fn it_is_for_those_who_may_look() {
    let world = World::new().await;
    let ada = world.admin().await;
    for (guest, path, status) in [
        (&Guest { proof: None }, "/sessions/1/session.md", StatusCode::UNAUTHORIZED),
        (&ada, "/sessions/7/session.md", StatusCode::NOT_FOUND),
        (&ada, "/sessions/1/session.exe", StatusCode::NOT_FOUND),
        (&ada, "/sessions/1/session.md", StatusCode::OK),
        (&world.token(&ada, true).await, "/sessions/1/session.json", StatusCode::OK),
    ] {
        assert_eq!(file(&world, guest, path).await.status(), status, "{path}");
    }
    let (name, value) = ada.proof.clone().expect("a proof");
    for (header, from, status) in [
        ("origin", "http://evil.example", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-site", StatusCode::FORBIDDEN),
        ("sec-fetch-site", "same-origin", StatusCode::OK),
        ("sec-fetch-site", "none", StatusCode::OK),
    ] {
        let link = world.request(Method::GET, "/sessions/1/session.md").header(name, value.clone());
        assert_eq!(link.header(header, from).send().await.expect("an answer").status(), status, "{header}: {from}");
    }
}
