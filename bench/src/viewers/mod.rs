//! Many viewers of one busy session, against a Node `ws` server that sends the same to as many; and how long a page's
//! questions take. The server is in a process of its own, over a real engine and a real record.

mod peer;
mod room;
mod watcher;

pub use room::serve;

use crate::measure::{Comparison, Goal, Row, Series};
use crate::{Effort, machine};
use anyhow::{Context as _, Result, ensure};
use peer::Peer;
use serde_json::{Value, json};
use std::time::Instant;
use watcher::Watcher;

/// Viewers at once.
const VIEWERS: usize = 2000;
/// Events that each of them gets in one go.
const EVENTS: usize = 100;
/// The page's own query.
const QUERIES: &str = include_str!("../../../dashboard/src/features/session/queries.ts");

/// What the server's process says when it is ready.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Ready {
    /// `127.0.0.1:4400`.
    pub address: String,
    /// Of somebody who is signed in.
    pub cookie: String,
    /// The number of the session that is watched, and of its last event.
    pub watched: (i64, i64),
    /// The number of the session whose page is large.
    pub large: i64,
}

pub async fn messages(effort: Effort) -> Result<Vec<Row>> {
    let viewers = effort.repetitions(VIEWERS);
    machine::raise_descriptors();
    let ours = of_server(&mut Peer::ours().await?, viewers, effort).await?;
    let theirs = of_server(&mut Peer::node().await?, viewers, effort).await?;
    let of = |name, unit, goal| Comparison { name, anchor: "a Node server with `ws`", unit, goal };
    Ok(vec![
        of("viewers/messages per second", "1/s", Goal::AtLeast(4.0)).of(&ours.rate, &theirs.rate),
        of("viewers/memory of each", "KiB", Goal::AtMost(0.8)).of(&ours.memory, &theirs.memory),
    ])
}

struct Measured {
    rate: Series,
    memory: Series,
}

async fn of_server(peer: &mut Peer, viewers: usize, effort: Effort) -> Result<Measured> {
    let (mut rate, mut memory) = (Series::default(), Series::default());
    let before = peer.resident_kib()?;
    let mut watchers = Vec::with_capacity(viewers);
    for _ in 0..viewers {
        watchers.push(Watcher::connect(peer).await?);
    }
    for _ in 0..effort.repetitions(5) {
        let begun = Instant::now();
        peer.send(EVENTS).await?;
        for watcher in &mut watchers {
            watcher.hear(EVENTS).await?;
        }
        let took = begun.elapsed();
        peer.sent().await?;
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        rate.push((viewers * EVENTS) as f64 / took.as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        memory.push((peer.resident_kib()? - before) / viewers as f64);
    }
    for watcher in watchers {
        watcher.heard_all()?;
    }
    Ok(Measured { rate, memory })
}

/// The page of a session with 200 steps and 5,000 events.
pub async fn page(effort: Effort) -> Result<Vec<Row>> {
    let peer = Peer::ours().await?;
    let ready = peer.ready().context("ours is ready")?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let origin = format!("http://{}", ready.address);
    let text = QUERIES.split('`').find(|part| part.trim_start().starts_with("query Session("));
    let query =
        json!({ "query": text.context("the page asks for a session")?, "variables": { "number": ready.large } });
    let mut ours = Series::default();
    for n in 0..effort.repetitions(100) {
        let request = http.post(format!("{origin}/graphql")).header("origin", &origin).header("x-runyard", "1");
        let request = request.header("cookie", &ready.cookie).json(&query);
        let begun = Instant::now();
        let answer = request.send().await?.bytes().await?;
        let took = begun.elapsed();
        let answer: Value = serde_json::from_slice(&answer)?;
        let steps = answer["data"]["session"]["steps"].as_array().map_or(0, Vec::len);
        ensure!(steps == 200, "the page shows {steps} steps: {}", answer["errors"]);
        // The first one compiles statements.
        if n > 0 {
            ours.add(took);
        }
    }
    let goal = Goal::AtMost(1.0);
    Ok(vec![Comparison { name: "page/session of 200 steps", anchor: "10 ms", unit: "ms", goal }.with(&ours, 10.0)])
}
