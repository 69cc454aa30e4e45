//! The published description of the REST API is the one that is served.

use crate::world::World;
use reqwest::Method;
use serde_json::Value;
use std::path::Path;

#[test]
fn the_published_document_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let served = format!("{:#}\n", server::document());
    if std::env::var_os("RUNYARD_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &served).expect("writes");
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        served == published,
        "docs/openapi.json is not what is served; look at what changed and run RUNYARD_WRITE_SCHEMA=1 cargo test -p server openapi"
    );
}

#[tokio::test]
async fn the_document_is_there_for_everybody() {
    let world = World::new().await;
    let response = world.request(Method::GET, "/api/v1/openapi.json").send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), 200);
    let served: Value = response.json().await.expect("JSON");
    assert_eq!(served, server::document());
    assert!(served["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")), "{}", served["openapi"]);
}
