//! One connection, from the handshake to its end.

use super::{Limits, Proxies, forwarded::strip, places::Place};
use crate::metrics::Open;
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse as _,
};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as _, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The longest head of a request.
const LONGEST_HEAD: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const MOST_STREAMS: u32 = 100;

/// What connections share.
pub struct Shared {
    pub app: Router,
    pub connections: Gauge,
    pub tls: Option<TlsAcceptor>,
    pub proxies: Proxies,
    pub limits: Limits,
    pub down: CancellationToken,
}

/// Answers on a connection until it ends.
pub async fn answer(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, place: Place) {
    // Text that streams is many small writes, none of which should wait for the next.
    let _ = stream.set_nodelay(true);
    let stream = Held { stream, _place: place, _open: Open::one(&shared.connections) };
    let Some(acceptor) = &shared.tls else { return http1(shared, stream, peer).await };
    let shaken = tokio::select! {
        shaken = timeout(shared.limits.handshake, acceptor.accept(stream)) => shaken,
        () = shared.down.cancelled() => return,
    };
    let Ok(Ok(stream)) = shaken else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(shared, stream, peer).await;
    } else {
        http1(shared, stream, peer).await;
    }
}

async fn http1<S>(shared: Arc<Shared>, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (busy, idle) = watch::channel(0);
    let service = service_fn(|request| one(&shared, peer, &busy, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.head)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    drive(connection, http1::UpgradeableConnection::graceful_shutdown, &shared, idle).await;
}

async fn http2<S>(shared: Arc<Shared>, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (busy, idle) = watch::channel(0);
    let service = service_fn(|request| one(&shared, peer, &busy, request));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(u32::try_from(LONGEST_HEAD).unwrap_or(u32::MAX))
        .max_send_buf_size(LONGEST_HEAD)
        .keep_alive_interval(shared.limits.head)
        .keep_alive_timeout(shared.limits.head)
        .serve_connection(TokioIo::new(stream), service);
    drive(connection, http2::Connection::graceful_shutdown, &shared, idle).await;
}

/// Runs a connection until it ends by itself, nothing is asked on it for too long, or the server goes down.
async fn drive<C: Future>(
    connection: C,
    leave: impl FnOnce(Pin<&mut C>),
    shared: &Shared,
    idle: watch::Receiver<usize>,
) {
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = quiet(idle, shared.limits.idle) => {}
        () = shared.down.cancelled() => {}
    }
    leave(connection.as_mut());
    let _ = timeout(shared.limits.leave, connection).await;
}

/// Completes when nothing was asked for this long.
async fn quiet(mut busy: watch::Receiver<usize>, limit: Duration) {
    loop {
        let at_rest = busy.wait_for(|requests| *requests == 0).await.is_ok();
        if !at_rest {
            return std::future::pending().await;
        }
        if timeout(limit, busy.changed()).await.is_err() {
            return;
        }
    }
}

/// Answers one request.
fn one(
    shared: &Arc<Shared>,
    peer: SocketAddr,
    busy: &watch::Sender<usize>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static {
    let busy = Busy::new(busy);
    let shared = Arc::clone(shared);
    async move {
        let response = match for_us(&shared, peer, request) {
            Ok(request) => shared.app.clone().oneshot(request).await?,
            Err(told) => (StatusCode::BAD_REQUEST, told).into_response(),
        };
        // The connection is in use until the answer's last byte.
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _ = &busy;
                frame
            }))
        }))
    }
}

/// The request as the routes want it: who asks, one `Host`, nothing that a stranger says about itself, and a body that
/// comes in time.
fn for_us(shared: &Shared, peer: SocketAddr, mut request: Request<Incoming>) -> Result<Request<Body>, &'static str> {
    let visitor = shared.proxies.visitor(peer.ip(), request.headers());
    let named = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let headers = request.headers_mut();
    strip(headers);
    // In HTTP/2, and where the whole address is asked for, the name is not (only) in `Host`.
    if let Some(named) = named {
        let named = named.map_err(|_| "the address has no readable host\n")?;
        if headers.get_all(header::HOST).iter().any(|host| *host != named) {
            return Err("the address and `Host` name different hosts\n");
        }
        headers.insert(header::HOST, named);
    }
    if let Some(host) = &visitor.host {
        let host = HeaderValue::from_str(host).map_err(|_| "the proxy names no readable host\n")?;
        headers.insert(header::HOST, host);
    }
    let limit = shared.limits.body;
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(visitor.address, peer.port())));
    request.extensions_mut().insert(visitor);
    Ok(request.map(|body| if body.is_end_stream() { Body::empty() } else { in_time(body, limit) }))
}

/// A body that fails when not all of it came in time.
fn in_time(body: Incoming, limit: Duration) -> Body {
    let (chunks, until) = (Body::new(body).into_data_stream(), Instant::now() + limit);
    Body::from_stream(futures::stream::unfold(Some(chunks), move |chunks| async move {
        let mut chunks = chunks?;
        match timeout_at(until, chunks.next()).await {
            Ok(Some(Ok(bytes))) => Some((Ok(bytes), Some(chunks))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(_) => {
                let late = io::Error::new(io::ErrorKind::TimedOut, "the body did not come in time");
                Some((Err(axum::Error::new(late)), None))
            }
        }
    }))
}

/// One request that is being answered.
struct Busy(watch::Sender<usize>);

impl Busy {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|requests| *requests += 1);
        Self(count.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

/// A connection with its place, which it keeps also when it becomes a WebSocket.
struct Held {
    stream: TcpStream,
    _place: Place,
    _open: Open,
}

impl AsyncRead for Held {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
