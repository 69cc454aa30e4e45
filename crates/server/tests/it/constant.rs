//! What the session's page asks for takes a number of SQL statements that does not depend on how much is in the session.

use crate::{
    large::{AtRest, Size},
    world::{Guest, World},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The page's own queries: what it asks is counted, not what we think that it asks.
const QUERIES: &str = include_str!("../../../../dashboard/src/features/session/queries.ts");

const SMALL: Size = Size { steps: 3, events: 20, people: 1, versions: 1 };
const LARGE: Size = Size { steps: 200, events: 5_000, people: 40, versions: 5 };

/// The query that begins so in the page's source.
fn query(begins: &str) -> &'static str {
    let text = QUERIES.split('`').find(|part| part.trim_start().starts_with(begins));
    text.unwrap_or_else(|| panic!("the page has no `{begins}`"))
}

struct Page {
    world: World,
    at_rest: Arc<AtRest>,
    guest: Guest,
}

impl Page {
    async fn new() -> Self {
        let at_rest = Arc::new(AtRest::new().await);
        let world = World::over(at_rest.clone(), at_rest.store.clone(), at_rest.engine.account()).await;
        let guest = world.admin().await;
        Self { world, at_rest, guest }
    }

    async fn ask(&self, query: &str, variables: &Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let answer: Value = self.world.graphql(&self.guest, &body).await.json().await.expect("JSON");
        assert!(answer["errors"].is_null(), "{answer}");
        answer["data"]["session"].clone()
    }

    /// How many statements the record is asked meanwhile, once everything was looked at before.
    async fn statements(&self, query: &str, variables: &Value) -> u64 {
        self.ask(query, variables).await;
        let before = self.at_rest.store.statements();
        self.ask(query, variables).await;
        self.at_rest.store.statements() - before
    }
}

#[tokio::test]
async fn a_large_session_takes_as_many_statements_as_a_small_one() {
    let page = Page::new().await;
    let small = page.at_rest.session(1, SMALL).await;
    let people = page.statements("query People { people { id name role } }", &json!({})).await;
    let large = page.at_rest.session(2, LARGE).await;
    assert_eq!(page.statements("query People { people { id name role } }", &json!({})).await, people);
    let whole = page.ask(query("query Session("), &json!({ "number": large })).await;
    for (what, count) in [("steps", 200), ("runs", 200), ("changes", 200), ("openRequests", 100), ("versions", 5)] {
        assert_eq!(whole[what].as_array().map(Vec::len), Some(count), "{what}");
    }
    assert_eq!(whole["worked"], 400, "what a run waited for a person is no work");

    for (begins, rest) in [
        ("query Session(", json!({})),
        ("query Newest(", json!({})),
        ("query Events(", json!({ "after": 0, "first": 500 })),
        ("query Events(", json!({ "after": 4_500, "first": 500 })),
        ("query Runbook(", json!({ "version": 1 })),
        ("query Runbook(", json!({ "version": null })),
    ] {
        let of = |number: i64| {
            let mut variables = rest.clone();
            variables["number"] = number.into();
            variables
        };
        let few = page.statements(query(begins), &of(small)).await;
        let many = page.statements(query(begins), &of(large)).await;
        assert_eq!(few, many, "{begins} {rest}");
        assert!(few < 40, "{begins} {rest}: {few} statements");
    }
}
