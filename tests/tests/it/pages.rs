//! What a browser does: come in by the printed link, ask for a change, watch it being made, and see it through a crash of
//! the server.

use crate::happy::two_files;
use futures::{SinkExt as _, StreamExt as _};
use leakscan::Canaries;
use product_tests::{Log, Running, World};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

/// Longer than anything here takes; it is only reached when something is wrong.
const PATIENCE: Duration = Duration::from_mins(2);

/// A browser that is signed in.
pub struct Browser {
    http: reqwest::Client,
    /// Where it found the server.
    pub address: String,
    cookie: String,
}

impl Browser {
    /// Opens the link that the server printed, and becomes the first admin.
    pub async fn open(server: &mut Running) -> Self {
        server.says("nobody can sign in yet").await;
        let said = server.so_far();
        let link = said.split_whitespace().find(|word| word.contains("/welcome/")).expect("a link");
        let (address, value) = link.strip_prefix("http://").and_then(|it| it.split_once("/welcome/")).expect("a link");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut browser = Self { http, address: address.to_owned(), cookie: String::new() };
        let welcome = json!({ "name": "Grace", "email": "grace@example.com", "password": "correct horse battery" });
        let response = browser.post(&format!("/auth/link/{value}"), &welcome).await;
        assert_eq!(response.status().as_u16(), 204);
        let line = response.headers()["set-cookie"].to_str().expect("text");
        line.split(';').next().expect("a pair").clone_into(&mut browser.cookie);
        browser
    }

    async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let origin = format!("http://{}", self.address);
        let request = self.http.post(format!("{origin}{path}")).header("origin", &origin).header("x-runyard", "1");
        let request = request.header("cookie", &self.cookie).json(body).timeout(PATIENCE);
        request.send().await.expect("an answer")
    }

    /// What a query gives; a mistake in it fails the test.
    pub async fn ask(&self, query: &str) -> Value {
        let answer: Value = self.post("/graphql", &json!({ "query": query })).await.json().await.expect("JSON");
        assert!(answer["errors"].is_null(), "{query}: {answer}");
        answer["data"].clone()
    }

    /// Follows a session from above a number.
    async fn follow(&self, after: i64) -> Socket {
        let mut request = format!("ws://{}/graphql/ws", self.address).into_client_request().expect("a request");
        for (name, value) in [
            ("origin", format!("http://{}", self.address)),
            ("cookie", self.cookie.clone()),
            ("sec-websocket-protocol", "graphql-transport-ws".to_owned()),
        ] {
            request.headers_mut().insert(name, HeaderValue::from_str(&value).expect("a value"));
        }
        let (mut socket, _) = connect_async(request).await.expect("connects");
        let query = format!("subscription {{ events(session: 1, after: {after}) {{ number at payload }} }}");
        for message in [
            json!({ "type": "connection_init" }),
            json!({ "type": "subscribe", "id": "1", "payload": { "query": query } }),
        ] {
            socket.send(Message::text(message.to_string())).await.expect("sends");
        }
        socket
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Collects events until one is wanted, or the connection is gone: false then.
async fn watch(socket: &mut Socket, seen: &mut Vec<Value>, wanted: impl Fn(&Value) -> bool) -> bool {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await;
        let Ok(Some(Ok(message))) = message else { return false };
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        let event = &message["payload"]["data"]["events"];
        if message["type"] != "next" {
            continue;
        }
        assert!(event.is_object(), "{message}");
        seen.push(event.clone());
        if wanted(event) {
            return true;
        }
    }
}

fn is_step(event: &Value, number: &str, state: &str) -> bool {
    let payload = &event["payload"];
    payload["type"] == "step_state" && payload["number"] == number && payload["state"] == state
}

fn last(seen: &[Value]) -> i64 {
    seen.last().map_or(0, |event| event["number"].as_i64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_a_change_through_a_crash_of_the_server() {
    let mut world = World::new(&two_files(), &[("README.md", "# Files\n")]).await;
    world.environment.push(("RUNYARD_LISTEN".into(), "127.0.0.1:0".into()));
    let mut server = world.serve().await;
    let browser = Browser::open(&mut server).await;
    // The next life is found at the same address.
    world.environment.push(("RUNYARD_LISTEN".into(), browser.address.clone()));

    let path = world.repository.path().to_str().expect("a path in UTF-8").to_owned();
    let repository =
        browser.ask(&format!("mutation {{ addRepository(name: \"shop\", path: \"{path}\") {{ name }} }}")).await;
    assert_eq!(repository["addRepository"]["name"], "shop");
    browser
        .ask("mutation { createSession(input: { repository: \"shop\", prompt: \"Write two files\" }) { session { number } } }")
        .await;
    let mut seen = Vec::new();
    let mut socket = browser.follow(0).await;
    assert!(watch(&mut socket, &mut seen, |event| event["payload"]["type"] == "plan_version").await, "{seen:?}");
    let session = loop {
        let found = browser.ask("{ session(number: 1) { phase { kind } steps { number title body } } }").await;
        if found["session"]["phase"]["kind"] == "PLANNED" {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(session["session"]["steps"][0]["title"], "Write one");
    assert!(session["session"]["steps"][0]["body"].as_str().expect("text").starts_with("- `one.txt`"), "{session}");

    browser.ask("mutation { execute(session: 1, all: true) { queued } }").await;
    assert!(watch(&mut socket, &mut seen, |event| is_step(event, "1", "completed")).await, "{seen:?}");
    server.killed().await;
    while watch(&mut socket, &mut seen, |_| false).await {}

    let _server = world.serve().await;
    let mut socket = browser.follow(last(&seen)).await;
    assert!(watch(&mut socket, &mut seen, |event| is_step(event, "2", "completed")).await, "{seen:?}");
    world.until_idle("1").await;
    let log = world.log("1").await;
    log.assert_whole();
    let end = log.iter().last().expect("an event").number();
    if last(&seen) < end {
        assert!(watch(&mut socket, &mut seen, |event| event["number"] == end).await);
    }
    let lines: Vec<_> = seen.iter().map(Value::to_string).collect();
    let shown = Log::parse(&lines.join("\n"));
    assert_eq!(shown.outline(), log.outline(), "what was shown is the log, each event once");

    let found = browser
        .ask(
            "{ session(number: 1) { phase { kind } requester { name } changes { pullRequest steps state } diff } \
              pullRequest(repository: \"shop\", number: 2) { title checks { name passed } diff } }",
        )
        .await;
    let session = &found["session"];
    assert_eq!((&session["phase"]["kind"], &session["requester"]["name"]), (&json!("COMPLETED"), &json!("Grace")));
    assert_eq!(session["changes"][1]["steps"], json!(["2"]));
    assert!(session["diff"].as_str().expect("text").contains("+1"), "{session}");
    assert_eq!(found["pullRequest"]["checks"], json!([{ "name": "two", "passed": true }]));
    let author = world.repository.git(["log", "-1", "--format=%an <%ae>", world.repository.pushed()[1].as_str()]);
    assert_eq!(author.trim(), "Grace <grace@example.com>", "the work is that of whoever asked for it");
    world.assert_foreseen();

    let value = browser.cookie.split_once('=').expect("a pair").1;
    let canaries = Canaries::new([("password", "correct horse battery"), ("cookie", value)]);
    assert_eq!(leakscan::files(&canaries, &world.data()), [], "only hashes are kept");
}
