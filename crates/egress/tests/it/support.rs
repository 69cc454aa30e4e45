//! A gate that remembers, a client over the socket, and an upstream that says what a test wants.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use egress::{Admission, Gate, Limits, Listener, Note, PriceTable, Refusal, Route, Spent, Upstream};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use scripted_model::{Script, ScriptedModel};
use secrets::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

pub const KEY: &str = "sk-ant-api03-RealRealReal0123456789";
pub const SURROGATE: &str = "sk-ant-api03-FakeFakeFake9876543210";

#[derive(Default)]
pub struct Recording {
    pub refuse: Mutex<Option<Refusal>>,
    pub admitted: Mutex<Vec<Admission>>,
    pub spent: Mutex<Vec<Spent>>,
    pub notes: Mutex<Vec<Note>>,
}

#[async_trait]
impl Gate for Recording {
    async fn admit(&self, request: &Admission) -> Result<(), Refusal> {
        self.admitted.lock().push(request.clone());
        self.refuse.lock().clone().map_or(Ok(()), Err)
    }

    async fn spent(&self, spent: Spent) {
        // A gate that writes to a database takes its time; the agent must wait for it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.spent.lock().push(spent);
    }

    async fn note(&self, note: Note) {
        self.notes.lock().push(note);
    }
}

/// A way out in a folder of its own.
pub struct Way {
    pub gate: Arc<Recording>,
    pub listener: Listener,
    pub socket: PathBuf,
    pub folder: tempfile::TempDir,
}

pub fn route(base_url: &str, limits: Limits, gate: Arc<Recording>) -> Route {
    Route {
        upstream: Upstream::new(base_url, limits).unwrap(),
        key: Secret::new(KEY),
        surrogate: Secret::new(SURROGATE),
        gate,
        known: secrets::Known::nothing(),
        prices: PriceTable::default(),
    }
}

pub fn way_to(base_url: &str, limits: Limits) -> Way {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("egress/api.sock");
    let gate = Arc::new(Recording::default());
    let own = rustix::process::geteuid().as_raw();
    let listener = Listener::serve(&socket, own, route(base_url, limits, gate.clone())).unwrap();
    Way { gate, listener, socket, folder }
}

pub async fn model(turns: &str) -> ScriptedModel {
    let turns = turns.replace('\n', "\n      ");
    let text = format!("expect_key: {KEY}\nconversations:\n  - name: main\n    turns:\n      {turns}\n");
    ScriptedModel::start(Script::parse(&text).unwrap()).await.unwrap()
}

pub fn asked() -> Value {
    json!({ "model": "claude-sonnet-4-5", "max_tokens": 100, "stream": true, "messages": [{ "role": "user", "content": "go" }] })
}

pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    /// The body, or what came of it before it broke.
    pub text: String,
    pub broke: bool,
}

/// One request over the socket.
pub async fn call(socket: &Path, request: http::Request<Full<Bytes>>) -> Answer {
    let response = begin(socket, request).await;
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut broke = false;
    while let Some(frame) = within(body.frame()).await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().unwrap()),
            Err(_) => broke = true,
        }
    }
    Answer { status: head.status.as_u16(), headers: head.headers, text: String::from_utf8(bytes).unwrap(), broke }
}

pub async fn begin(socket: &Path, request: http::Request<Full<Bytes>>) -> http::Response<hyper::body::Incoming> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    within(sender.send_request(request)).await.unwrap()
}

pub fn post(body: &Value) -> http::Request<Full<Bytes>> {
    post_with(&[("x-api-key", SURROGATE)], body)
}

pub fn post_with(headers: &[(&str, &str)], body: &Value) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::post("/v1/messages?beta=true").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::from(body.to_string())).unwrap()
}

/// Raw bytes over the socket, and everything that comes back.
pub async fn raw(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // The other side may hang up before it has read all.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// An upstream that answers every connection with these pieces, and keeps what it was asked.
pub async fn upstream_saying(pieces: Vec<Vec<u8>>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let keep = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = receive(&mut stream).await;
            keep.lock().push(String::from_utf8_lossy(&request).into_owned());
            for piece in &pieces {
                let _ = stream.write_all(piece).await;
                let _ = stream.flush().await;
                tokio::task::yield_now().await;
            }
        }
    });
    (base_url, asked)
}

/// Reads one request.
pub async fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut part = [0; 4096];
        match stream.read(&mut part).await.unwrap() {
            0 => break,
            count => request.extend_from_slice(&part[..count]),
        }
    }
    request
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    body.len() >= length
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("nothing happened for a minute")
}

/// Waits until `wanted` holds.
pub async fn until(wanted: impl Fn() -> bool) {
    within(async {
        while !wanted() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
