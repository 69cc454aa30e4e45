//! Webhooks, with the real server: what happened is told after any crash, and the secret that signs it is nowhere.

use crate::{happy::two_files, pages::Browser};
use leakscan::Canaries;
use product_tests::World;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request's `webhook-id` and what it says.
type Told = Arc<Mutex<Vec<(String, Value)>>>;

async fn read(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            head.lines().filter_map(|line| line.split_once(": ")).find(|(it, _)| it.eq_ignore_ascii_case(name))
        };
        let length: usize = header("content-length")?.1.parse().ok()?;
        if body.len() >= length {
            let body = serde_json::from_str(body).expect("JSON");
            return Some((header("webhook-id")?.1.to_owned(), body));
        }
    }
}

/// Takes what it is told, or with `silent` reads it and never answers.
fn receive(listener: TcpListener, told: Told, silent: bool) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(got) = read(&mut stream).await else { continue };
            told.lock().expect("no test panicked").push(got);
            if silent {
                held.push(stream);
            } else {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            }
        }
    })
}

fn types(told: &Told) -> Vec<String> {
    let told = told.lock().expect("no test panicked");
    told.iter().map(|(_, body)| body["type"].as_str().expect("text").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_told_after_a_crash_between_the_event_and_its_delivery() {
    let mut world = World::new(&two_files(), &[("README.md", "# Files\n")]).await;
    for (name, value) in [("LISTEN", "127.0.0.1:0"), ("WEBHOOKS_HTTP", "true"), ("WEBHOOKS_NETWORKS", "127.0.0.0/8")] {
        world.environment.push((format!("RUNYARD_{name}"), value.into()));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let at = listener.local_addr().expect("an address");
    // It hears the first of each session and webhook, and says nothing: neither is settled when the server dies.
    let unanswered = Told::default();
    let silent = receive(listener, Arc::clone(&unanswered), true);

    let mut server = world.serve().await;
    let browser = Browser::open(&mut server).await;
    // The next life is found at the same address, which is in what is told.
    world.environment.push(("RUNYARD_LISTEN".into(), browser.address.clone()));
    let input = format!("input: {{ name: \"ci\", url: \"http://{at}/\" }}");
    let added = browser.ask(&format!("mutation {{ addWebhook({input}) {{ secret }} }}")).await;
    let secret = added["addWebhook"]["secret"].as_str().expect("a secret").to_owned();
    let path = world.repository.path().to_str().expect("a path in UTF-8").to_owned();
    browser.ask(&format!("mutation {{ addRepository(name: \"shop\", path: \"{path}\") {{ name }} }}")).await;
    let prompt = "prompt: \"Write two files\", mode: ONE_SHOT";
    browser
        .ask(&format!("mutation {{ createSession(input: {{ repository: \"shop\", {prompt} }}) {{ warnings }} }}"))
        .await;
    world.wait_for("1", "a plan", |event| event.kind() == "plan_version").await;
    world.until("the webhook heard something", || !types(&unanswered).is_empty()).await;
    assert_eq!(types(&unanswered), ["session.created"], "the rest waits for its answer");
    server.killed().await;
    silent.abort();
    let _ = silent.await;

    let answered = Told::default();
    let listener = TcpListener::bind(at).await.expect("listens again");
    let receiver = receive(listener, Arc::clone(&answered), false);
    let server = world.serve().await;
    world.until_idle("1").await;
    world.until("the end is told", || types(&answered).iter().any(|it| it == "session.completed")).await;
    // Everything that is in the log, once and in its order, from the beginning on: what was unanswered as well.
    let log = world.log("1").await;
    let told = answered.lock().expect("no test panicked").clone();
    assert_eq!(told[0], unanswered.lock().expect("no test panicked")[0], "the same under the same id");
    let steps = |state: &str| log.of("step_state").filter(|event| event.text("state") == state).count();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, body) in &told {
        *counts.entry(body["type"].as_str().expect("text").to_owned()).or_default() += 1;
    }
    for (event, count) in [("step.completed", steps("completed")), ("step.in_progress", steps("in_progress"))] {
        assert_eq!(counts.get(event), Some(&count), "{event}: {counts:?}");
    }
    assert_eq!(counts["session.created"], 1);
    let numbers: Vec<_> = told.iter().map(|(_, body)| body["data"]["number"].as_i64().expect("a number")).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");

    // The secret is nowhere but in the answer that gave it out.
    let bare = secret.strip_prefix("whsec_").expect("a prefix");
    let canaries = Canaries::new([("the secret", secret.as_str()), ("the key", bare)]);
    let said = server.killed().await;
    assert_eq!(leakscan::files(&canaries, &world.data()), []);
    assert!(!said.said().contains(bare));
    receiver.abort();
}
