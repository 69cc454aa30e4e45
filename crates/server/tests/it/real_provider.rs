//! Signing in at a real provider, as a browser does it: its forms are read and sent.

use crate::world::{Guest, World, cookie};
use domain::{Role, SystemClock};
use reqwest::{Client, Method, Response, StatusCode, header};
use secrets::Secret;
use serde_json::{Value, json};
use server::{Doors, ProviderSettings};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Lines, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use url::Url;

const SECRET: &str = "with: signs + and % too, 0123456789";

/// Where `cargo xtask setup` puts it.
fn modules() -> Option<PathBuf> {
    let found = std::env::var_os("RUNYARD_OIDC_PROVIDER").map(PathBuf::from);
    assert!(
        found.is_some() || std::env::var_os("RUNYARD_REQUIRE_CORPUS").is_none(),
        "no oidc-provider; run `cargo xtask setup`"
    );
    found
}

struct RealProvider {
    issuer: String,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl RealProvider {
    fn start(modules: &PathBuf) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/provider/serve.mjs");
        let mut node = Command::new("node");
        node.arg(script).env("RUNYARD_OIDC_PROVIDER", modules);
        let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node");
        let input = child.stdin.take().expect("an input");
        let mut output = BufReader::new(child.stdout.take().expect("an output")).lines();
        let issuer = said(&mut output)["issuer"].as_str().expect("an issuer").to_owned();
        Self { issuer, child, input, output }
    }

    /// Tells it where people come back to, and who they are.
    fn knows(&mut self, back: &str) {
        let told = json!({
            "clients": [{
                "client_id": "runyard",
                "client_secret": SECRET,
                "redirect_uris": [back],
                "token_endpoint_auth_method": "client_secret_basic",
            }],
            "people": {
                "grace": { "email": "grace@example.org", "email_verified": true, "name": "Grace Hopper" },
                "eve": { "email": "eve@elsewhere.example", "email_verified": true, "name": "Eve" },
                "mallory": { "email": "mallory@example.org", "email_verified": false, "name": "Mallory" },
            },
        });
        writeln!(self.input, "{told}").expect("written");
        assert_eq!(said(&mut self.output)["ready"], true);
    }
}

impl Drop for RealProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The next line of JSON that it says; it warns of what is for tests only in other words.
fn said(output: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let mut json = output.map(|line| line.expect("text")).filter_map(|line| serde_json::from_str(&line).ok());
    json.next().expect("it said something")
}

/// A browser at the provider: it keeps cookies, follows redirects there, and sends forms.
struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().expect("a client"), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, method: Method, url: &Url, form: Option<&str>) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, url.clone()).header(header::COOKIE, cookies.join("; "));
        if let Some(form) = form {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let response = request.send().await.expect("an answer");
        for line in response.headers().get_all(header::SET_COOKIE) {
            let pair = line.to_str().expect("text").split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a pair");
            if value.is_empty() {
                self.cookies.remove(name)
            } else {
                self.cookies.insert(name.into(), value.into())
            };
        }
        response
    }

    /// Goes on at the provider until it sends the browser back to us; where to.
    async fn sign_in(&mut self, from: &str, name: &str) -> Url {
        let mut at = Url::parse(from).expect("an address");
        let home = at.origin();
        let mut response = self.send(Method::GET, &at, None).await;
        for _ in 0..20 {
            if let Some(to) = response.headers().get(header::LOCATION) {
                at = at.join(to.to_str().expect("text")).expect("an address");
                if at.origin() != home {
                    return at;
                }
                response = self.send(Method::GET, &at, None).await;
                continue;
            }
            assert_eq!(response.status(), StatusCode::OK, "{at}");
            let page = response.text().await.expect("a page");
            let form = if page.contains("name=\"login\"") {
                format!("prompt=login&login={name}&password=any")
            } else {
                assert!(page.contains("value=\"consent\""), "neither a login nor a consent: {page}");
                "prompt=consent".to_owned()
            };
            let action = page.split("action=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
            at = at.join(action).expect("an address");
            response = self.send(Method::POST, &at, Some(&form)).await;
        }
        panic!("the provider goes on and on, at {at}");
    }
}

/// There and back, in a browser that was never there.
async fn through(world: &World, name: &str) -> (Response, Url, String) {
    let response = world.post("/auth/oidc", &json!({ "next": "/r/3" })).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let errand = cookie(&response);
    let way: Value = response.json().await.expect("JSON");
    let to = Browser::new().sign_in(way["url"].as_str().expect("an address"), name).await;
    (back(world, &to, &errand).await, to, errand)
}

async fn back(world: &World, to: &Url, errand: &str) -> Response {
    assert!(to.as_str().starts_with(&format!("{}/auth/oidc/return?", world.origin())), "{to}");
    let path = to.as_str().strip_prefix(&world.origin()).expect("our own");
    world.request(Method::GET, path).header(header::COOKIE, errand).send().await.expect("an answer")
}

fn location(response: &Response) -> &str {
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.headers()[header::LOCATION].to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_at_a_real_provider() {
    let Some(modules) = modules() else {
        eprintln!("SKIPPED: oidc-provider is not there; `cargo xtask test` finds it");
        return;
    };
    let mut provider = RealProvider::start(&modules);
    let settings = ProviderSettings {
        issuer: provider.issuer.clone(),
        client_id: "runyard".to_owned(),
        client_secret: Some(Secret::new(SECRET)),
        scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
        label: "Example".to_owned(),
        domains: vec!["example.org".to_owned()],
        role: Role::Maintainer,
        link_existing: false,
        require_verified_email: true,
        sign_in_lasts: Duration::from_hours(1),
    };
    let doors = Doors { passwords: false, provider: Some(settings) };
    let world = World::through(doors, Arc::new(SystemClock::new())).await;
    provider.knows(&format!("{}/auth/oidc/return", world.origin()));

    let (response, to, errand) = through(&world, "grace").await;
    assert_eq!(location(&response), "/r/3");
    let grace = Guest { proof: Some(("cookie", cookie(&response))) };
    let viewer = world.ask(&grace, "{ viewer { role person { name email } } }").await;
    let expected = json!({ "name": "Grace Hopper", "email": "grace@example.org" });
    assert_eq!(viewer["data"]["viewer"], json!({ "role": "MAINTAINER", "person": expected }));
    assert!(to.query_pairs().any(|(name, value)| name == "iss" && value == provider.issuer), "it names itself: {to}");
    assert!(location(&back(&world, &to, &errand).await).starts_with("/sign-in?refused=expired"), "twice");

    let (again, ..) = through(&world, "grace").await;
    assert_eq!(location(&again), "/r/3", "she is known by now");
    let (eve, ..) = through(&world, "eve").await;
    assert!(location(&eve).starts_with("/sign-in?refused=uninvited"), "{}", location(&eve));
    let (mallory, ..) = through(&world, "mallory").await;
    assert!(location(&mallory).starts_with("/sign-in?refused=unverified"), "{}", location(&mallory));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_provider_refuses_a_server_with_another_secret() {
    let Some(modules) = modules() else {
        eprintln!("SKIPPED: oidc-provider is not there; `cargo xtask test` finds it");
        return;
    };
    let mut provider = RealProvider::start(&modules);
    let settings = ProviderSettings {
        issuer: provider.issuer.clone(),
        client_id: "runyard".to_owned(),
        client_secret: Some(Secret::new("another secret, 0123456789")),
        scopes: ["openid", "email"].map(str::to_owned).to_vec(),
        label: "Example".to_owned(),
        domains: vec!["example.org".to_owned()],
        role: Role::Member,
        link_existing: false,
        require_verified_email: true,
        sign_in_lasts: Duration::from_hours(1),
    };
    let world = World::through(Doors { passwords: true, provider: Some(settings) }, Arc::new(SystemClock::new())).await;
    provider.knows(&format!("{}/auth/oidc/return", world.origin()));
    let (response, ..) = through(&world, "grace").await;
    assert!(location(&response).starts_with("/sign-in?refused=provider"), "{}", location(&response));
}
