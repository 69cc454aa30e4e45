//! What is counted, who reads it, and the ids of requests.

use crate::world::{Guest, World, here};
use reqwest::{Method, StatusCode};
use server::{Listening, Proxies};

async fn read(world: &World, guest: Option<&Guest>) -> (StatusCode, String) {
    let request = world.request(Method::GET, "/metrics");
    let proof = guest.and_then(|guest| guest.proof.clone());
    let request = proof.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("text"))
}

#[tokio::test]
async fn metrics_are_for_tokens_of_the_account_and_admins() {
    let world = World::new().await;
    let ada = world.admin().await;
    let grace = world.invited(&ada, "grace", "MEMBER").await;
    assert_eq!(read(&world, None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(read(&world, Some(&grace)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(read(&world, Some(&world.token(&grace, false).await)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(read(&world, Some(&ada)).await.0, StatusCode::OK);
    let (status, text) = read(&world, Some(&world.token(&ada, true).await)).await;
    assert!(status == StatusCode::OK && text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn requests_and_operations_are_counted_and_strangers_name_no_label() {
    let world = World::new().await;
    let ada = world.admin().await;
    let count = async |line: &str| world.metric(&ada, line).await.unwrap_or(0);
    let ok = r#"runyard_graphql_operations_total{outcome="OK"}"#;
    let before = count(ok).await;
    world.ask(&ada, "{ viewer { role } }").await;
    world.ask(&ada, "{ nothing }").await;
    world.ask(&ada, "mutation { editRunbook(session: 1, expectedVersion: 7, text: \"x\") { version } }").await;
    assert_eq!(count(ok).await - before, 1);
    assert_eq!(count(r#"runyard_graphql_operations_total{outcome="INVALID"}"#).await, 1);
    assert_eq!(count(r#"runyard_graphql_operations_total{outcome="CONFLICT"}"#).await, 1);

    let word = "evil-7f3a";
    for path in ["/evil-7f3a", "/r/evil-7f3a", "/assets/evil-7f3a.js", "/auth/link/evil-7f3a", "/metrics?evil-7f3a"] {
        let method = Method::from_bytes(b"EVIL-7F3A").expect("a method");
        for method in [Method::GET, method] {
            let request = world.request(method, path).header("x-forwarded-host", word).header("user-agent", word);
            request.send().await.expect("an answer");
        }
    }
    let missing = r#"runyard_http_requests_total{route="/auth/link/{value}",method="GET",status="404"}"#;
    assert_eq!(count(missing).await, 1);
    assert!(count(r#"runyard_http_requests_total{route="page",method="other",status="405"}"#).await >= 2);
    assert!(count(r#"runyard_http_request_duration_seconds_count{route="/graphql"}"#).await >= 3);
    assert!(count("runyard_connections").await >= 1);
    let text = read(&world, Some(&ada)).await.1.to_lowercase();
    assert!(!text.contains(word), "{text}");
}

#[tokio::test]
async fn a_request_has_an_id_and_only_a_proxy_chooses_it() {
    let proxies = Proxies { trusted: vec!["127.0.0.1/32".parse().expect("a network")], ..Proxies::default() };
    let behind = World::listening(Listening { proxies, ..here() }).await;
    let open = World::new().await;
    let id = async |world: &World, given: &str| {
        let request = world.request(Method::GET, "/auth/link/none").header("x-request-id", given);
        let answer = request.send().await.expect("an answer");
        answer.headers()["x-request-id"].to_str().expect("text").to_owned()
    };
    assert_eq!(id(&behind, "edge-0123456789").await, "edge-0123456789");
    let own = id(&open, "edge-0123456789").await;
    assert!(own.len() == 32 && own != id(&open, "edge-0123456789").await, "{own}");
    for odd in ["short", "with space in it", "a\"b\"c\"d\"e", &"x".repeat(65)] {
        assert_eq!(id(&behind, odd).await.len(), 32, "{odd}");
    }
}
