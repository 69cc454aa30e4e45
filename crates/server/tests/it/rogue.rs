//! A provider that lies in every way that it is told to.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::task::JoinHandle;

pub const CLIENT: &str = "runyard";
/// With what must be encoded in a header.
pub const SECRET: &str = "s:e c+r/e%t-0123456789abcdef";

/// What it does.
#[derive(Debug, Clone)]
pub struct Lies {
    /// Takes the place of what its document says.
    pub document: Value,
    /// Takes the place of what the token says; null takes it away.
    pub claims: Value,
    /// Takes the place of the head of the token.
    pub head: Value,
    /// How the token is signed.
    pub signed: Signed,
    /// What the token endpoint answers instead.
    pub token: Option<Instead>,
    /// What its userinfo endpoint says.
    pub userinfo: Value,
    /// What its document endpoint answers instead.
    pub discovery: Option<Instead>,
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// With its key.
    Well,
    /// With a key that it does not name.
    ByAnother,
    /// With its public key as the secret of an HMAC.
    WithThePublicKey,
    /// Not at all.
    Not,
}

/// Another answer.
#[derive(Debug, Clone)]
pub enum Instead {
    /// To this address.
    Redirect(String),
    /// So many bytes of JSON.
    Huge(usize),
    /// This status with this error.
    Error(u16, &'static str),
    /// A page.
    Page,
    /// Nothing, ever.
    Silence,
}

pub struct Rogue {
    pub issuer: String,
    inside: Arc<Inside>,
    task: JoinHandle<()>,
}

struct Inside {
    issuer: Mutex<String>,
    key: Mutex<Named>,
    other: EcdsaKeyPair,
    lies: Mutex<Lies>,
    /// What came with the newest sign-in.
    asked: Mutex<HashMap<String, String>>,
    /// How often each endpoint was asked.
    counts: Mutex<HashMap<&'static str, usize>>,
    /// The form of the newest request for a token.
    form: Mutex<HashMap<String, String>>,
}

struct Named {
    id: String,
    pair: EcdsaKeyPair,
}

fn pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key")
}

impl Rogue {
    pub async fn start() -> Self {
        let inside = Arc::new(Inside {
            issuer: Mutex::default(),
            key: Mutex::new(Named { id: "one".to_owned(), pair: pair() }),
            other: pair(),
            lies: Mutex::new(Lies {
                document: json!({}),
                claims: json!({}),
                head: json!({}),
                signed: Signed::Well,
                token: None,
                userinfo: Value::Null,
                discovery: None,
            }),
            asked: Mutex::default(),
            counts: Mutex::default(),
            form: Mutex::default(),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(inside.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        inside.issuer.lock().expect("unharmed").clone_from(&issuer);
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.expect("serves") });
        Self { issuer, inside, task }
    }

    /// Changes what it does.
    pub fn lie(&self, change: impl FnOnce(&mut Lies)) {
        change(&mut self.inside.lies.lock().expect("unharmed"));
    }

    /// Takes in where a browser was sent, as the page for signing in would; the state to send back.
    pub fn sees(&self, url: &str) -> String {
        let url = url::Url::parse(url).expect("an address");
        let asked: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let state = asked["state"].clone();
        *self.inside.asked.lock().expect("unharmed") = asked;
        state
    }

    /// What came with the newest sign-in.
    pub fn asked(&self, name: &str) -> String {
        self.inside.asked.lock().expect("unharmed").get(name).cloned().unwrap_or_default()
    }

    /// Has another key from now on.
    pub fn rotate(&self, id: &str) {
        *self.inside.key.lock().expect("unharmed") = Named { id: id.to_owned(), pair: pair() };
    }

    /// How often an endpoint was asked.
    pub fn count(&self, endpoint: &'static str) -> usize {
        self.inside.counts.lock().expect("unharmed").get(endpoint).copied().unwrap_or_default()
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inside {
    fn counted(&self, endpoint: &'static str) -> Lies {
        *self.counts.lock().expect("unharmed").entry(endpoint).or_default() += 1;
        self.lies.lock().expect("unharmed").clone()
    }

    fn id_token(&self, lies: &Lies) -> String {
        let key = self.key.lock().expect("unharmed");
        let now = jiff::Timestamp::now().as_second();
        let asked = self.asked.lock().expect("unharmed");
        let nonce = asked.get("nonce");
        let mut claims = json!({
            "iss": *self.issuer.lock().expect("unharmed"), "aud": CLIENT, "sub": "s-1", "exp": now + 300, "iat": now,
            "nonce": nonce, "email": "grace@example.org", "email_verified": true, "name": "Grace",
        });
        let mut head = json!({ "alg": "ES256", "kid": key.id, "typ": "JWT" });
        for (all, change) in [(&mut claims, &lies.claims), (&mut head, &lies.head)] {
            for (name, value) in change.as_object().expect("an object") {
                match value {
                    Value::Null => drop(all.as_object_mut().expect("an object").remove(name)),
                    value => all[name] = value.clone(),
                }
            }
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&head), part(&claims));
        let random = SystemRandom::new();
        let signature = match lies.signed {
            Signed::Well => key.pair.sign(&random, text.as_bytes()).expect("signs").as_ref().to_vec(),
            Signed::ByAnother => self.other.sign(&random, text.as_bytes()).expect("signs").as_ref().to_vec(),
            Signed::WithThePublicKey => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, key.pair.public_key().as_ref());
                hmac::sign(&secret, text.as_bytes()).as_ref().to_vec()
            }
            Signed::Not => Vec::new(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

async fn document(State(inside): State<Arc<Inside>>) -> Response {
    let lies = inside.counted("document");
    if let Some(instead) = lies.discovery {
        return answer(instead).await;
    }
    let issuer = inside.issuer.lock().expect("unharmed").clone();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
    });
    for (name, value) in lies.document.as_object().expect("an object") {
        document[name] = value.clone();
    }
    Json(document).into_response()
}

async fn keys(State(inside): State<Arc<Inside>>) -> Json<Value> {
    inside.counted("keys");
    let key = inside.key.lock().expect("unharmed");
    let point = key.pair.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    Json(json!({ "keys": [
        { "kty": "AKP", "kid": "of-tomorrow", "alg": "ML-DSA-44" },
        { "kty": "EC", "crv": "P-256", "kid": key.id, "use": "sig", "x": x, "y": y },
    ]}))
}

async fn token(State(inside): State<Arc<Inside>>, headers: HeaderMap, body: String) -> Response {
    let lies = inside.counted("token");
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    inside.form.lock().expect("unharmed").clone_from(&form);
    if let Some(instead) = lies.token {
        return answer(instead).await;
    }
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    let by_header = format!("{CLIENT}:s%3Ae+c%2Br%2Fe%25t-0123456789abcdef");
    let by_header = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(by_header));
    let asked = inside.asked.lock().expect("unharmed").clone();
    let problems = [
        (form["grant_type"] != "authorization_code", "unsupported_grant_type"),
        (headers.get(header::AUTHORIZATION).is_none_or(|it| it.as_bytes() != by_header.as_bytes()), "invalid_client"),
        (form["code"] != "good", "invalid_grant"),
        (asked["code_challenge"] != challenge || asked["code_challenge_method"] != "S256", "invalid_grant"),
        (asked["redirect_uri"] != form["redirect_uri"], "invalid_grant"),
    ];
    if let Some((_, error)) = problems.iter().find(|(wrong, _)| *wrong) {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    }
    let id_token = inside.id_token(&lies);
    Json(json!({ "id_token": id_token, "access_token": "an-access-token", "token_type": "Bearer" })).into_response()
}

async fn userinfo(State(inside): State<Arc<Inside>>, headers: HeaderMap) -> Response {
    let lies = inside.counted("userinfo");
    assert_eq!(headers[header::AUTHORIZATION], "Bearer an-access-token");
    Json(lies.userinfo).into_response()
}

async fn answer(instead: Instead) -> Response {
    match instead {
        Instead::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Instead::Huge(bytes) => {
            let body = format!("{{\"id_token\":\"{}\"}}", "a".repeat(bytes));
            ([(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
        }
        Instead::Error(status, error) => {
            let status = StatusCode::from_u16(status).expect("a status");
            (status, Json(json!({ "error": error, "error_description": "at length" }))).into_response()
        }
        Instead::Page => ([(header::CONTENT_TYPE, "text/html")], "<p>Welcome to the hotel</p>").into_response(),
        Instead::Silence => std::future::pending().await,
    }
}
