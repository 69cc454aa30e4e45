//! Calls of the Messages API through the way out of a sandbox, against the same calls made directly.

use crate::Effort;
use crate::measure::{Comparison, Goal, Row, Series};
use crate::record::rate;
use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use egress::{Admission, Gate, Limits, Listener, Note, PriceTable, Refusal, Route, Spent, Upstream};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use secrets::Secret;
use std::convert::Infallible;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::{TcpListener, TcpStream, UnixStream};

const CONNECTIONS: usize = 32;
const SURROGATE: &str = "sk-ant-api03-FakeFakeFake9876543210";
const QUESTION: &str = r#"{"model":"claude-sonnet-4-5","max_tokens":100,"messages":[{"role":"user","content":"go"}]}"#;
const ANSWER: &str = concat!(
    r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","#,
    r#""text":"gone"}],"stop_reason":"end_turn","usage":{"input_tokens":12,"output_tokens":3}}"#
);

struct Open;

#[async_trait]
impl Gate for Open {
    async fn admit(&self, _request: &Admission) -> Result<(), Refusal> {
        Ok(())
    }

    async fn spent(&self, _spent: Spent) {}

    async fn note(&self, _note: Note) {}
}

pub async fn requests(effort: Effort) -> Result<Vec<Row>> {
    let upstream = TcpListener::bind("127.0.0.1:0").await?;
    let address = upstream.local_addr()?;
    let server = tokio::spawn(answer(upstream));
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("egress/api.sock");
    let own = std::fs::metadata(folder.path())?.uid();
    let route = Route {
        upstream: Upstream::new(&format!("http://{address}"), Limits::default())?,
        key: Secret::new("sk-ant-api03-RealRealReal0123456789"),
        surrogate: Secret::new(SURROGATE),
        gate: Arc::new(Open),
        prices: PriceTable::default(),
        known: secrets::Known::nothing(),
    };
    let listener = Listener::serve(&socket, own, route)?;
    let each = effort.repetitions(200);
    let (mut ours, mut direct) = (Series::default(), Series::default());
    for _ in 0..effort.repetitions(15) {
        let start = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let socket = socket.clone();
            clients.spawn(async move { ask(UnixStream::connect(&socket).await?, each).await });
        }
        all(clients).await?;
        ours.push(rate(each * CONNECTIONS, start.elapsed()));

        let start = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            clients.spawn(async move { ask(TcpStream::connect(address).await?, each).await });
        }
        all(clients).await?;
        direct.push(rate(each * CONNECTIONS, start.elapsed()));
    }
    drop(listener);
    server.abort();
    let row = Comparison {
        name: "egress/32 connections",
        anchor: "the same calls, directly",
        unit: "per s",
        goal: Goal::AtLeast(0.35),
    };
    Ok(vec![row.of(&ours, &direct)])
}

async fn all(mut clients: tokio::task::JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(())
}

/// One client that keeps its connection.
async fn ask(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    count: usize,
) -> Result<()> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    for _ in 0..count {
        sender.ready().await?;
        let request = http::Request::post("/v1/messages")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("x-api-key", SURROGATE)
            .body(Full::<Bytes>::from(QUESTION))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

/// An upstream that gives the same answer to every call.
async fn answer(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await.context("failed to accept")?;
        stream.set_nodelay(true)?;
        let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async {
            let _ = request.into_body().collect().await;
            let response = http::Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from(ANSWER)).unwrap_or_default())
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
