//! The HTTP server around a script.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::record::{Outcome, Recorded};
use crate::reply::{Reply, Step, estimate, made_id};
use crate::request::Request;
use crate::script::Script;
use crate::walk::{Attempts, pick};

const LARGEST_BODY: usize = 64 << 20;

/// How to run a script.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Append every request to this file as one JSON object per line.
    pub record_to: Option<PathBuf>,
    /// The only accepted API key; goes before the script's `expect_key`.
    pub expect_key: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), record_to: None, expect_key: None }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The file for the record cannot be opened.
    #[error("cannot record to {0}: {1}")]
    Record(PathBuf, std::io::Error),
}

/// A running server. Dropping it closes it.
#[derive(Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    _open: DropGuard,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Number of finished records; tests wait on it.
    seen: watch::Sender<usize>,
    released: watch::Sender<HashSet<String>>,
    expect_key: Option<String>,
    closed: CancellationToken,
}

#[derive(Debug)]
struct State {
    script: Script,
    attempts: Attempts,
    requests: Vec<Recorded>,
    record: Option<std::fs::File>,
}

impl ScriptedModel {
    /// Serves `script` on a free loopback port.
    pub async fn start(script: Script) -> Result<Self, StartError> {
        Self::start_with(script, Options::default()).await
    }

    /// Serves `script` as `options` say.
    pub async fn start_with(script: Script, options: Options) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen(options.listen, error);
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let open = |path: &PathBuf| {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
            file.map_err(|error| StartError::Record(path.clone(), error))
        };
        let record = options.record_to.as_ref().map(open).transpose()?;
        let closed = CancellationToken::new();
        let state = State { script, attempts: Attempts::new(), requests: Vec::new(), record };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            seen: watch::Sender::new(0),
            released: watch::Sender::new(HashSet::new()),
            expect_key: options.expect_key,
            closed: closed.clone(),
        });
        tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, _open: closed.drop_guard() })
    }

    /// `http://127.0.0.1:PORT`, fit for `ANTHROPIC_BASE_URL`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.state().requests.clone()
    }

    /// The requests that nothing in the script fits. A test should end with `assert!(model.unmatched().is_empty())`.
    pub fn unmatched(&self) -> Vec<Recorded> {
        let is_unmatched = |request: &Recorded| matches!(request.outcome, Outcome::Unmatched { .. });
        self.requests().into_iter().filter(is_unmatched).collect()
    }

    /// Waits until a request satisfies `wanted` (past ones count) and returns it. Give it a time limit of your own.
    pub async fn wait_for(&self, wanted: impl Fn(&Recorded) -> bool) -> Recorded {
        let mut seen = self.shared.seen.subscribe();
        loop {
            seen.borrow_and_update();
            if let Some(found) = self.shared.state().requests.iter().find(|request| wanted(request)) {
                return found.clone();
            }
            // The sender lives in `self`, so a change always comes or the caller gives up.
            let _ = seen.changed().await;
        }
    }

    /// Lets every turn go on that holds until `name`, now and later.
    pub fn release(&self, name: &str) {
        self.shared.released.send_modify(|names| {
            names.insert(name.to_owned());
        });
    }

    /// Follows another script from the next request on. Attempts are counted anew, records stay.
    pub fn set_script(&self, script: Script) {
        let mut state = self.shared.state();
        state.script = script;
        state.attempts.clear();
    }

    /// Closes the listener and cuts every open answer.
    pub fn shutdown(self) {
        self.shared.closed.cancel();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, mut recorded: Recorded) {
        let mut state = self.state();
        recorded.number = state.requests.len() + 1;
        if let Some(file) = &mut state.record {
            let line = serde_json::to_string(&recorded).unwrap_or_default();
            if let Err(error) = writeln!(file, "{line}") {
                tracing::warn!(%error, "cannot write the record of requests");
            }
        }
        state.requests.push(recorded);
        let count = state.requests.len();
        drop(state);
        self.seen.send_replace(count);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            () = shared.closed.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            let closed = shared.closed.clone();
            let service = service_fn(move |request| serve(request, shared.clone()));
            let server = auto::Builder::new(TokioExecutor::new());
            tokio::select! {
                () = closed.cancelled() => {}
                // A client that goes away is its own business.
                _ = server.serve_connection(TokioIo::new(stream), service) => {}
            }
        });
    }
}

type Body = StreamBody<ReceiverStream<Result<Frame<Bytes>, std::io::Error>>>;

async fn serve(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, http::Error> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map(http_body_util::Collected::to_bytes);
    let count = shared.state().requests.len();
    let request_id = made_id("req_01", &format!("{count}/{}", head.uri));
    let (reply, outcome) = match &body {
        Ok(body) => answer(&head.method, head.uri.path(), &head.headers, body, &shared, &request_id),
        Err(error) => (Reply::error(413, None, &error.to_string(), &request_id), Outcome::Plain),
    };
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    shared.record(Recorded {
        number: 0,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null),
        status: reply.status,
        outcome,
    });

    let mut response = Response::builder().status(reply.status).header("request-id", request_id);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let (frames, receiver) = mpsc::channel(1);
    tokio::spawn(play(reply.steps, frames, shared));
    response.body(StreamBody::new(ReceiverStream::new(receiver)))
}

fn answer(
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    shared: &Shared,
    request_id: &str,
) -> (Reply, Outcome) {
    let mut state = shared.state();
    let is_post = method == Method::POST;
    if !is_post {
        let known = method == Method::GET || method == Method::HEAD;
        let reply =
            if known { Reply::json(200, &json!({ "data": [], "has_more": false })) } else { unknown(path, request_id) };
        return (reply, Outcome::Plain);
    }
    if path != "/v1/messages" && path != "/v1/messages/count_tokens" {
        return (unknown(path, request_id), Outcome::Plain);
    }
    let expected = shared.expect_key.as_ref().or(state.script.file.expect_key.as_ref());
    if expected.is_some_and(|key| shown_key(headers) != Some(key)) {
        return (Reply::error(401, None, "invalid x-api-key", request_id), Outcome::WrongKey);
    }
    let request = match Request::parse(body, headers) {
        Ok(request) => request,
        Err(reason) => return unmatched(reason, request_id),
    };
    if path.ends_with("/count_tokens") {
        return (Reply::json(200, &json!({ "input_tokens": estimate(request.size) })), Outcome::Plain);
    }
    let State { script, attempts, .. } = &mut *state;
    let picked = match pick(script, &request, attempts) {
        Ok(picked) => picked,
        Err(_) if request.is_auxiliary() => {
            let text = script.file.auxiliary.as_deref().unwrap_or("Scripted answer");
            return (Reply::plain_text(text, &request, request_id), Outcome::Auxiliary);
        }
        Err(reason) => return unmatched(reason, request_id),
    };
    let outcome = Outcome::Turn {
        conversation: picked.conversation.name.clone(),
        line: picked.line,
        position: picked.position,
        attempt: picked.attempt,
    };
    match Reply::from_turn(&picked, &request, script.file.usage.unwrap_or_default(), request_id, seconds_since_1970()) {
        Ok(reply) => (reply, outcome),
        Err(unset) => unmatched(format!("line {}: {unset}", picked.line), request_id),
    }
}

async fn play(steps: Vec<Step>, frames: mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>, shared: Arc<Shared>) {
    for step in steps {
        let sent = match step {
            Step::Send(bytes) => frames.send(Ok(Frame::data(bytes))).await,
            Step::Reset => frames.send(Err(std::io::Error::other("reset by the script"))).await,
            Step::Sleep(length) => tokio::select! {
                () = frames.closed() => return,
                () = tokio::time::sleep(length) => Ok(()),
            },
            Step::Hold(name) => {
                let mut released = shared.released.subscribe();
                tokio::select! {
                    () = frames.closed() => return,
                    _ = released.wait_for(|names| names.contains(&name)) => Ok(()),
                }
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn unmatched(reason: String, request_id: &str) -> (Reply, Outcome) {
    tracing::warn!(%reason, "unmatched request");
    (Reply::error(400, None, &format!("scripted-model: {reason}"), request_id), Outcome::Unmatched { reason })
}

fn unknown(path: &str, request_id: &str) -> Reply {
    Reply::error(404, None, &format!("scripted-model: nothing at {path}"), request_id)
}

fn shown_key(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    text("x-api-key").or_else(|| text("authorization").and_then(|value| value.strip_prefix("Bearer ")))
}

#[expect(clippy::disallowed_methods, reason = "the client compares a limit's end with its own wall clock")]
fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
