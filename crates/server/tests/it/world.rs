//! A server with nobody in it yet, and those who come.

use crate::stand_in::StandIn;
use domain::{Account, AccountId, Clock, SystemClock, SystemMint, Timestamp};
use engine::Backend;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use secrets::Known;
use serde_json::{Value, json};
use server::{Doors, IpNet, Listening, Parts, Proxies, ProxyHeader, Server, WebhookParts, WebhookSettings};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};
use store::{MemoryStore, SqlStore, Store as _};
use tempfile::TempDir;
use uuid::Uuid;

/// The one account.
pub const ACCOUNT: AccountId = AccountId(Uuid::from_u128(2));
pub const PASSWORD: &str = "correct horse battery";

/// The machine's clock, put forward.
pub struct Ahead {
    clock: SystemClock,
    pub minutes: AtomicI64,
}

impl Ahead {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { clock: SystemClock::new(), minutes: AtomicI64::new(0) })
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(self.clock.now().0 + self.minutes.load(SeqCst) * 60_000_000)
    }

    fn monotonic(&self) -> Duration {
        let ahead = u64::try_from(self.minutes.load(SeqCst)).expect("ahead");
        self.clock.monotonic() + Duration::from_mins(ahead)
    }
}

pub struct World {
    pub server: Server,
    pub stand_in: Arc<StandIn>,
    /// What the stand-in's server keeps.
    pub store: Arc<MemoryStore>,
    pub http: reqwest::Client,
    /// What it knows to be secret.
    pub known: Known,
    /// Where its keyring is.
    dir: Arc<TempDir>,
}

/// Somebody who is signed in or has a token.
#[derive(Clone)]
pub struct Guest {
    /// A header's name and value.
    pub proof: Option<(&'static str, String)>,
}

impl World {
    pub async fn new() -> Self {
        Self::at(None).await
    }

    pub async fn at(public_url: Option<&str>) -> Self {
        Self::listening(Listening { public_url: public_url.map(str::to_owned), ..here() }).await
    }

    pub async fn listening(listen: Listening) -> Self {
        let (known, dir) = surroundings();
        Self::of(Arc::new(MemoryStore::hiding(known.clone())), ACCOUNT, listen, (known, dir)).await
    }

    /// A server with other ways in, by another clock, that believes whoever asks for whom they ask.
    pub async fn through(doors: Doors, clock: Arc<dyn Clock>) -> Self {
        let (known, dir) = surroundings();
        let store = Arc::new(MemoryStore::hiding(known.clone()));
        store.account(&Account { id: ACCOUNT, name: ACCOUNT.to_string() }).await.expect("an account");
        let stand_in = StandIn::new(store.clone());
        let trusted = vec!["127.0.0.0/8".parse().expect("a network")];
        let proxies = Proxies { trusted, header: ProxyHeader::XForwarded };
        let listen = Listening { proxies, ..here() };
        let parts = Parts { doors, clock, ..parts(&stand_in, &store, listen, (&known, &dir)) };
        let server = Server::start(parts).await.expect("starts");
        Self::with(server, stand_in, store, (known, dir))
    }

    /// A server of another account with the same record.
    pub async fn beside(&self) -> Self {
        let around = (self.known.clone(), Arc::clone(&self.dir));
        Self::of(self.store.clone(), AccountId(Uuid::from_u128(99)), here(), around).await
    }

    async fn of(
        store: Arc<MemoryStore>,
        account: AccountId,
        listen: Listening,
        (known, dir): (Known, Arc<TempDir>),
    ) -> Self {
        store.account(&Account { id: account, name: account.to_string() }).await.expect("an account");
        let stand_in = StandIn::new(store.clone());
        let parts = Parts { account, ..parts(&stand_in, &store, listen, (&known, &dir)) };
        let server = Server::start(parts).await.expect("starts");
        Self::with(server, stand_in, store, (known, dir))
    }

    /// A server over a real engine and its record.
    pub async fn over(backend: Arc<dyn Backend>, record: Arc<SqlStore>, account: AccountId) -> Self {
        let (known, dir) = surroundings();
        let store = Arc::new(MemoryStore::hiding(known.clone()));
        let stand_in = StandIn::new(store.clone());
        let parts = parts(&stand_in, &store, here(), (&known, &dir));
        let parts = Parts { backend, store: record.clone(), access: record, account, ..parts };
        let server = Server::start(parts).await.expect("starts");
        Self::with(server, stand_in, store, (known, dir))
    }

    fn with(
        server: Server,
        stand_in: Arc<StandIn>,
        store: Arc<MemoryStore>,
        (known, dir): (Known, Arc<TempDir>),
    ) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { server, stand_in, store, http: http.build().expect("a client"), known, dir }
    }

    /// What another server on the same record is made of.
    pub fn parts(&self, listen: Listening) -> Parts {
        parts(&self.stand_in, &self.store, listen, (&self.known, &self.dir))
    }

    /// The number of a line of the metrics, as `guest` reads them.
    pub async fn metric(&self, guest: &Guest, line: &str) -> Option<u64> {
        let (name, value) = guest.proof.as_ref().expect("a proof");
        let answer = self.request(Method::GET, "/metrics").header(*name, value).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        let text = answer.text().await.expect("text");
        let mut lines = text.lines().filter_map(|found| found.rsplit_once(' '));
        lines.find(|(name, _)| *name == line).map(|(_, number)| number.parse().expect("a number"))
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.origin()))
    }

    /// A request as a page of ours sends it.
    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.request(Method::POST, path).header(header::ORIGIN, self.origin()).header("x-runyard", "1");
        request.header(header::CONTENT_TYPE, "application/json").body(body.to_string())
    }

    pub async fn admin(&self) -> Guest {
        let link = self.server.first_admin().expect("nobody can sign in yet");
        self.welcome(link, &json!({ "name": "Ada", "email": "ada@example.org", "password": PASSWORD })).await
    }

    /// Somebody with this role whom `admin` invites.
    pub async fn invited(&self, admin: &Guest, name: &str, role: &str) -> Guest {
        let query = format!("mutation {{ invite(email: \"{name}@example.org\", role: {role}) {{ url }} }}");
        let answer = self.ask(admin, &query).await;
        let url = answer["data"]["invite"]["url"].as_str().unwrap_or_else(|| panic!("no link: {answer}"));
        self.welcome(url, &json!({ "name": name, "password": PASSWORD })).await
    }

    async fn welcome(&self, url: &str, body: &Value) -> Guest {
        let value = url.rsplit('/').next().expect("a value");
        let response = self.post(&format!("/auth/link/{value}"), body).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{:?}", response.text().await);
        Guest { proof: Some(("cookie", cookie(&response))) }
    }

    pub async fn token(&self, guest: &Guest, of_account: bool) -> Guest {
        let query = format!("mutation {{ createToken(name: \"robot\", account: {of_account}) {{ value }} }}");
        let answer = self.ask(guest, &query).await;
        let value = answer["data"]["createToken"]["value"].as_str().unwrap_or_else(|| panic!("no token: {answer}"));
        Guest { proof: Some(("authorization", format!("Bearer {value}"))) }
    }

    pub async fn ask(&self, guest: &Guest, query: &str) -> Value {
        let response = self.graphql(guest, &json!({ "query": query })).await;
        response.json().await.expect("JSON")
    }

    pub async fn graphql(&self, guest: &Guest, body: &Value) -> Response {
        let mut request = self.post("/graphql", body);
        if let Some((name, value)) = &guest.proof {
            request = request.header(*name, value);
        }
        request.send().await.expect("an answer")
    }
}

fn surroundings() -> (Known, Arc<TempDir>) {
    (Known::nothing(), Arc::new(tempfile::tempdir().expect("a directory")))
}

/// Webhooks may be on this machine.
pub fn near() -> WebhookSettings {
    let networks: Vec<IpNet> = vec!["127.0.0.0/8".parse().expect("a network")];
    WebhookSettings { http: true, networks, within: Duration::from_secs(2), poll: Duration::from_millis(20) }
}

fn parts(
    stand_in: &Arc<StandIn>,
    store: &Arc<MemoryStore>,
    listen: Listening,
    (known, dir): (&Known, &Arc<TempDir>),
) -> Parts {
    let webhooks = WebhookParts {
        record: store.clone(),
        keyring: dir.path().join("keyring"),
        makes_keyring: true,
        known: known.clone(),
        settings: near(),
    };
    Parts {
        backend: stand_in.clone(),
        store: store.clone(),
        access: store.clone(),
        account: ACCOUNT,
        clock: Arc::new(SystemClock::new()),
        mint: Arc::new(SystemMint),
        listen,
        doors: Doors::default(),
        webhooks,
    }
}

/// A free port of this machine.
pub fn here() -> Listening {
    Listening::at(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// The cookie that an answer sets, as a browser sends it back.
pub fn cookie(response: &Response) -> String {
    let line = response.headers()[header::SET_COOKIE].to_str().expect("text");
    line.split(';').next().expect("a pair").to_owned()
}

/// The code of the first error of an answer.
pub fn code(answer: &Value) -> Option<&str> {
    answer["errors"][0]["extensions"]["code"].as_str()
}
