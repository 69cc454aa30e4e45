//! Connections: who may have one and for how long, over TLS or not, through which proxies, and how they end.

mod connection;
mod forwarded;
mod places;
mod tls;

pub use forwarded::{Proxies, ProxyHeader, Visitor};
pub use places::network;
pub use tls::{Tls, TlsError, TlsFiles};

use crate::metrics::Metrics;
use axum::Router;
use connection::Shared;
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// After a failure that is the machine's and not a caller's, such as no free descriptor, so long nobody is let in.
const BREATH: Duration = Duration::from_millis(200);
/// The log tells at most this often that connections were refused.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// How a server listens.
#[derive(Debug, Clone)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    /// How people reach this server, when that is not where it listens: `https://runyard.example.org`.
    pub public_url: Option<String>,
    /// With TLS of its own.
    pub tls: Option<TlsFiles>,
    /// Who may speak for others.
    pub proxies: Proxies,
    /// What a connection may take.
    pub limits: Limits,
}

impl Listening {
    /// Plainly, at an address, with the usual limits.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, public_url: None, tls: None, proxies: Proxies::default(), limits: Limits::default() }
    }
}

/// What a connection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Connections of one network at once: an IPv4 address, or the first 64 bits of an IPv6 one. Trusted proxies have
    /// no such limit.
    pub per_peer: usize,
    /// Time for the TLS handshake.
    pub handshake: Duration,
    /// Time for the head of a request, from the connection's or the last answer's end.
    pub head: Duration,
    /// Time for the body of a request.
    pub body: Duration,
    /// How long a connection is kept on which nothing is asked.
    pub idle: Duration,
    /// How long what is being answered may go on when the server goes down.
    pub leave: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            per_peer: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(20),
            body: Duration::from_mins(1),
            idle: Duration::from_mins(2),
            leave: Duration::from_secs(2),
        }
    }
}

/// Accepts connections and answers on them until `down`, then lets them end.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    listening: &Listening,
    (app, metrics): (Router, Arc<Metrics>),
    down: CancellationToken,
) {
    let places = places::Places::new(listening.limits.connections, listening.limits.per_peer);
    let shared = Arc::new(Shared {
        app,
        connections: metrics.connections.clone(),
        tls: tls.as_ref().map(|tls| tls.acceptor()),
        proxies: listening.proxies.clone(),
        limits: listening.limits,
        down: down.clone(),
    });
    // Dropped with this task, and then every connection with it.
    let mut connections = JoinSet::new();
    let mut told: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = down.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_the_caller(&error) => continue,
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        if let Some(place) = places.take(peer.ip(), shared.proxies.trusts(peer.ip())) {
            connections.spawn(connection::answer(Arc::clone(&shared), stream, peer, place));
            continue;
        }
        metrics.refused.inc();
        if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            told = Some(Instant::now());
            tracing::warn!(%peer, "a connection was refused: there are as many as the limits allow");
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Errors that say nothing about the next connection.
fn is_of_the_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
