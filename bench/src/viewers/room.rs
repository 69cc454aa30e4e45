//! The process that serves: `bench viewers-server`.

#[path = "../../../crates/server/tests/it/large.rs"]
mod large;

use super::Ready;
use anyhow::{Context as _, Result, ensure};
use domain::{EventPayload, NoteLevel, SessionNumber, SystemClock, SystemMint, Timestamp};
use large::{AtRest, Size};
use secrets::Known;
use serde_json::json;
use server::{Doors, Listening, Parts, Server, WebhookParts, WebhookSettings};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use store::{Fence, Store as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Events of one transaction.
const TOGETHER: usize = 10;

/// Serves until nobody tells it anything any more: a number is how many events are to happen.
pub async fn serve() -> Result<()> {
    crate::machine::raise_descriptors();
    let at_rest = Arc::new(AtRest::new().await);
    let small = at_rest.session(1, Size { steps: 3, events: 20, people: 1, versions: 1 }).await;
    let large = at_rest.session(2, Size { steps: 200, events: 5_000, people: 40, versions: 5 }).await;
    let mut listen = Listening::at(SocketAddr::from(([127, 0, 0, 1], 0)));
    listen.limits.per_peer = listen.limits.connections;
    let server = Server::start(Parts {
        backend: at_rest.clone(),
        store: at_rest.store.clone(),
        access: at_rest.store.clone(),
        account: at_rest.engine.account(),
        clock: Arc::new(SystemClock::new()),
        mint: Arc::new(SystemMint),
        listen,
        doors: Doors::default(),
        webhooks: WebhookParts {
            record: at_rest.store.clone(),
            // There are no webhooks, so nothing is sealed.
            keyring: PathBuf::new(),
            makes_keyring: false,
            known: Known::nothing(),
            settings: WebhookSettings::default(),
        },
    });
    let server = server.await?;
    let found = at_rest.store.session_numbered(at_rest.engine.account(), SessionNumber(small)).await?;
    let session = found.context("the session was made")?;
    let ready = Ready {
        address: server.address().to_string(),
        cookie: first_admin(&server).await?,
        watched: (small, session.last_event),
        large,
    };
    let mut out = tokio::io::stdout();
    out.write_all(format!("{}\n", serde_json::to_string(&ready)?).as_bytes()).await?;
    out.flush().await?;
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = told.next_line().await? {
        let count: usize = line.parse()?;
        let note = |n| EventPayload::Note { level: NoteLevel::Info, text: format!("{n:>150}") };
        let events: Vec<_> = (0..count).map(note).collect();
        for events in events.chunks(TOGETHER) {
            let now = Timestamp(session.created_at.0);
            at_rest.store.commit(session.id, Fence::Open, &[], events, now).await?;
        }
        out.write_all(b"done\n").await?;
        out.flush().await?;
    }
    server.stop().await;
    Ok(())
}

async fn first_admin(server: &Server) -> Result<String> {
    let link = server.first_admin().context("nobody can sign in yet")?;
    let value = link.rsplit('/').next().context("a value")?;
    let origin = format!("http://{}", server.address());
    let http = reqwest::Client::builder().no_proxy().build()?;
    let request = http.post(format!("{origin}/auth/link/{value}")).header("origin", &origin).header("x-runyard", "1");
    let body = json!({ "name": "Ada", "email": "ada@example.org", "password": "correct horse battery" });
    let answer = request.json(&body).send().await?;
    ensure!(answer.status().is_success(), "the first admin was refused: {}", answer.status());
    let cookie = answer.headers().get("set-cookie").context("a cookie")?.to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}
