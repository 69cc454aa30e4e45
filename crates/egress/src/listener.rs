//! The socket of one sandbox.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::fs::{AtFlags, Mode, OFlags};
use secrets::{Known, Secret};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gate::{Gate, Note};
use crate::price::PriceTable;
use crate::proxy::{Proxy, Statement};
use crate::upstream::Upstream;

const LARGEST_HEAD: usize = 64 << 10;
const MOST_HEADERS: usize = 100;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Where a sandbox's calls go, and under which conditions.
pub struct Route {
    /// The one place.
    pub upstream: Upstream,
    /// The real key.
    pub key: Secret,
    /// The stand-in that the sandbox was given (`secrets::surrogate`).
    pub surrogate: Secret,
    /// Asked before each call.
    pub gate: Arc<dyn Gate>,
    /// What no answer may bring into the sandbox, besides the key.
    pub known: Known,
    /// For the cost of what was used.
    pub prices: PriceTable,
}

/// An open way out. Dropping it closes it at once, without waiting for the last accounts.
pub struct Listener {
    path: PathBuf,
    folder: OwnedFd,
    identity: (u64, u64),
    closed: CancellationToken,
    tasks: TaskTracker,
}

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The path has no folder or no name.
    #[error("{0} is not a path of a socket")]
    Path(PathBuf),
    /// The system refused; the text says which step.
    #[error("cannot {step} {path}: {source}")]
    System {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Listener {
    /// Opens `socket` for processes of `uid` (and our own) and serves `route` on it until it is closed.
    ///
    /// The folder of the socket is made when it is missing (0711). A socket that a former server left is replaced atomically.
    /// Call it inside a Tokio runtime.
    pub fn serve(socket: impl AsRef<Path>, uid: u32, route: Route) -> Result<Self, ServeError> {
        let path = socket.as_ref().to_owned();
        let system = |step| {
            let path = path.clone();
            move |source: io::Error| ServeError::System { step, path, source }
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Err(ServeError::Path(path));
        };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(parent);
        made.map_err(system("make the folder of"))?;
        let open = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = open.map_err(|e| system("open the folder of")(e.into()))?;

        // A socket address holds 108 bytes; through the folder's descriptor any path fits.
        let fresh_name = format!("{name}.new");
        let fresh = PathBuf::from(format!("/proc/self/fd/{}/{fresh_name}", folder.as_raw_fd()));
        let _ = rustix::fs::unlinkat(&folder, &fresh_name, AtFlags::empty());
        let listener = UnixListener::bind(&fresh).map_err(system("listen on"))?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).map_err(system("restrict"))?;
        let own = rustix::process::geteuid().as_raw();
        if uid != own {
            let owner = Some(rustix::process::Uid::from_raw(uid));
            let given = rustix::fs::chownat(&folder, &fresh_name, owner, None, AtFlags::SYMLINK_NOFOLLOW);
            given.map_err(|e| system("give to the sandbox")(e.into()))?;
        }
        rustix::fs::renameat(&folder, &fresh_name, &folder, name).map_err(|e| system("name")(e.into()))?;
        let identity = identity(&folder, name).map_err(system("look at"))?;

        let closed = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (accounts, unsettled) = mpsc::unbounded_channel();
        tasks.spawn(settle(unsettled, route.gate.clone()));
        let connections = Arc::new(Semaphore::new(route.upstream.limits.connections));
        let in_flight = Arc::new(Semaphore::new(route.upstream.limits.in_flight));
        // Learned here too, whatever the caller knows; but a word that happens to be the key of one route is nothing that
        // all others should hide.
        let known = if route.key.is_weak() { route.known.apart() } else { route.known.clone() };
        known.learn([&route.key]);
        let proxy = Arc::new(Proxy { route, known, in_flight, accounts });
        let accept =
            Accept { listener, allowed: [uid, own], connections, proxy, closed: closed.clone(), tasks: tasks.clone() };
        tasks.spawn(accept.run());
        Ok(Self { path, folder, identity, closed, tasks })
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Shuts the way out: no new call, every open one is cut, the socket is removed. Returns when all accounts are with the
    /// gate.
    pub async fn close(self) {
        self.closed.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closed.cancel();
        self.tasks.close();
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return };
        // A successor may have put its own socket there.
        if identity(&self.folder, name).is_ok_and(|found| found == self.identity) {
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

struct Accept {
    listener: UnixListener,
    allowed: [u32; 2],
    connections: Arc<Semaphore>,
    proxy: Arc<Proxy>,
    closed: CancellationToken,
    tasks: TaskTracker,
}

impl Accept {
    async fn run(self) {
        let closed = self.closed.clone();
        tokio::select! {
            () = closed.cancelled() => {}
            () = self.accept() => {}
        }
    }

    async fn accept(self) {
        loop {
            let Ok(permit) = self.connections.clone().acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: they come back when connections end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let peer = stream.peer_cred().map(|peer| peer.uid());
            if !peer.as_ref().is_ok_and(|uid| self.allowed.contains(uid)) {
                self.proxy.route.gate.note(Note::Stranger { uid: peer.unwrap_or(u32::MAX) }).await;
                continue;
            }
            let connection = converse(stream, self.proxy.clone());
            let closed = self.closed.clone();
            self.tasks.spawn(async move {
                let _permit = permit;
                tokio::select! {
                    () = closed.cancelled() => {}
                    () = connection => {}
                }
            });
        }
    }
}

/// HTTP/1.1 only: no upgrade, no other framing than the one that hyper checks.
async fn converse(stream: UnixStream, proxy: Arc<Proxy>) {
    let service = service_fn(move |request| {
        let proxy = proxy.clone();
        async move { Ok::<_, std::convert::Infallible>(proxy.serve(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of a sandbox ended early");
    }
}

async fn settle(mut unsettled: mpsc::UnboundedReceiver<Statement>, gate: Arc<dyn Gate>) {
    while let Some(Statement { spent, delivered }) = unsettled.recv().await {
        gate.spent(spent).await;
        if let Some(waiting) = delivered {
            let _ = waiting.send(());
        }
    }
}

fn identity(folder: &OwnedFd, name: &str) -> io::Result<(u64, u64)> {
    let status = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((status.st_dev, status.st_ino))
}
