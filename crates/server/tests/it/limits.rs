//! Requests that are made to hurt.

use crate::world::{Guest, World, code};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn status(world: &World, guest: &Guest, body: String) -> StatusCode {
    let (name, value) = guest.proof.clone().expect("a proof");
    let request = world.request(Method::POST, "/graphql").header(name, value).header("origin", world.origin());
    let request = request.header("x-runyard", "1").header("content-type", "application/json").body(body);
    request.send().await.expect("an answer").status()
}

async fn errors(world: &World, guest: &Guest, query: &str) -> Vec<String> {
    let answer = world.ask(guest, query).await;
    let found = answer["errors"].as_array().cloned().unwrap_or_default();
    found.iter().map(|error| error["message"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test]
async fn large_and_deep_requests_are_refused_before_anything_is_done() {
    let world = World::new().await;
    let ada = world.admin().await;
    let query = |text: &str| json!({ "query": text }).to_string();
    assert_eq!(status(&world, &ada, query(&"{ viewer ".repeat(300_000))).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(status(&world, &ada, "[".repeat(100_000)).await, StatusCode::BAD_REQUEST);
    assert_eq!(status(&world, &ada, "{\"query\":".repeat(10_000)).await, StatusCode::BAD_REQUEST);
    assert_eq!(
        status(&world, &ada, format!("[{}]", query("{viewer{role}}"))).await,
        StatusCode::BAD_REQUEST,
        "no batches"
    );
    assert_eq!(
        status(&world, &ada, "{\"query\":\"{viewer{role}}\",\"variables\":{\"x\":1e999}}".to_owned()).await,
        StatusCode::BAD_REQUEST
    );

    let deep = format!("{}{}", "{ a ".repeat(10_000), "}".repeat(10_000));
    assert!(!errors(&world, &ada, &deep).await.is_empty());
    // As graphql-js asks about a schema, which stands behind most tools.
    let kind = format!("{} kind name {}", "kind name ofType { ".repeat(9), "}".repeat(9));
    let inputs = format!("{{ name description type {{ {kind} }} defaultValue isDeprecated deprecationReason }}");
    let tool = format!(
        "{{ __schema {{ queryType {{ name kind }} mutationType {{ name kind }} subscriptionType {{ name kind }} \
         directives {{ name description isRepeatable locations args(includeDeprecated: true) {inputs} }} \
         types {{ kind name description specifiedByURL fields(includeDeprecated: true) {{ name description \
         args(includeDeprecated: true) {inputs} type {{ {kind} }} isDeprecated deprecationReason }} \
         inputFields(includeDeprecated: true) {inputs} interfaces {{ {kind} }} enumValues(includeDeprecated: true) \
         {{ name description isDeprecated deprecationReason }} possibleTypes {{ {kind} }} }} }} }}"
    );
    assert_eq!(errors(&world, &ada, &tool).await, Vec::<String>::new());
    let many = |count: usize, field: &str| {
        let each: Vec<_> = (0..count).map(|n| format!("a{n}: {field}")).collect();
        format!("{{ {} }}", each.join(" "))
    };
    let lists = many(200, "sessions(first: 100) { nodes { number } }");
    assert_eq!(errors(&world, &ada, &lists).await, ["Query is too complex."]);
    let aliases = many(10_000, "viewer { role }");
    assert_eq!(errors(&world, &ada, &aliases).await, ["Query is too complex."]);
    let directives = format!("{{ viewer {} {{ role }} }}", "@include(if: true) ".repeat(1000));
    assert!(!errors(&world, &ada, &directives).await.is_empty());
    let circle = "{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { ...A }";
    assert!(!errors(&world, &ada, circle).await.is_empty());
    let asked = world.stand_in.asked.lock().expect("no test panicked");
    assert!(asked.is_empty(), "nothing was asked of the engine: {asked:?}");
}

#[tokio::test]
async fn pages_have_an_end_and_cursors_are_checked() {
    let world = World::new().await;
    let ada = world.admin().await;
    for first in ["0", "-1", "101", "2147483647"] {
        let answer = world.ask(&ada, &format!("{{ sessions(first: {first}) {{ nodes {{ number }} }} }}")).await;
        assert!(answer["errors"][0].is_object(), "{first}: {answer}");
    }
    for cursor in ["x", "r/", "r/-", "r/1; DROP", "99", "r/99999999999999999999"] {
        let query = format!("{{ sessions(after: \"{cursor}\") {{ nodes {{ number }} }} }}");
        assert_eq!(code(&world.ask(&ada, &query).await), Some("BAD_REQUEST"), "{cursor}");
    }
    let numbers = |page: &Value| -> Vec<i64> {
        let nodes = page["data"]["sessions"]["nodes"].as_array().expect("a list");
        nodes.iter().map(|node| node["number"].as_i64().expect("a number")).collect()
    };
    let mut after = String::new();
    let mut seen = Vec::new();
    loop {
        let query =
            format!("{{ sessions(first: 3{after}) {{ nodes {{ number }} pageInfo {{ hasNextPage endCursor }} }} }}");
        let page = world.ask(&ada, &query).await;
        seen.extend(numbers(&page));
        let info = &page["data"]["sessions"]["pageInfo"];
        if info["hasNextPage"] == false {
            break;
        }
        after = format!(", after: {}", info["endCursor"]);
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn nobody_learns_the_schema_and_unknown_fields_are_errors() {
    let world = World::new().await;
    let ada = world.admin().await;
    let nobody = Guest { proof: None };
    for query in ["{ __schema { types { name } } }", "{ __typename }", "{ viewr { role } }"] {
        let answer = world.graphql(&nobody, &json!({ "query": query })).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{query}");
    }
    let extra = "mutation { createSession(input: { repository: \"shop\", prompt: \"x\", account: \"other\", state: \"done\" }) { warnings } }";
    assert!(!errors(&world, &ada, extra).await.is_empty());
    let unregistered = "mutation { createSession(input: { repository: \"/etc\", prompt: \"x\" }) { warnings } }";
    assert_eq!(code(&world.ask(&ada, unregistered).await), Some("NOT_FOUND"), "a path is no name");
}

#[tokio::test]
async fn what_the_engine_says_arrives_with_its_code_and_its_mend() {
    let world = World::new().await;
    let ada = world.admin().await;
    let stale =
        world.ask(&ada, "mutation { editRunbook(session: 1, expectedVersion: 7, text: \"x\") { version } }").await;
    assert_eq!(code(&stale), Some("CONFLICT"));
    assert_eq!(stale["errors"][0]["extensions"]["mend"], "read it first");
    let session = world.ask(&ada, "{ session(number: 2) { title } }").await;
    assert_eq!(session, json!({ "data": { "session": null } }));
    let session = world.ask(&ada, "{ session(number: 1) { steps { number body } usage { cacheRead } worked } }").await;
    assert_eq!(session["data"]["session"]["steps"][1], json!({ "number": "1.1", "body": "Do it." }));
    assert_eq!(session["data"]["session"]["usage"]["cacheRead"], 5_000_000_000_i64);
    assert_eq!(session["data"]["session"]["worked"], 61);
    let asked = world.stand_in.asked.lock().expect("no test panicked");
    assert!(asked.iter().all(|(who, _)| who.as_deref() == Some("ada@example.org")), "{asked:?}");
}
