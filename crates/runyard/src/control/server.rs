//! The server's side of the control socket.

use super::{
    Backend,
    protocol::{Body, Greeting, MAX_REQUEST, Request, Response, SOCKET, VERSION},
    short_path,
};
use engine::{Problem, ProblemCode};
use futures::{SinkExt as _, StreamExt as _};
use server::Desk;
use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
};
use tokio_util::codec::{Framed, LinesCodec, LinesCodecError};

/// Requests of one connection that are worked on at once.
const AT_ONCE: usize = 64;

/// Answers that wait for a client to read. An event may be large and a viewer may read nothing, so they are few.
const WAITING: usize = 4;

/// A listening control socket; dropping it closes all connections and removes the socket.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        // The lock is still held here, so the socket is this server's own.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What answers: commands, and, when there is a desk, questions about people.
struct Answers<B: ?Sized> {
    desk: Option<Arc<Desk>>,
    backend: Arc<B>,
}

impl<B: ?Sized> Clone for Answers<B> {
    fn clone(&self) -> Self {
        Self { desk: self.desk.clone(), backend: Arc::clone(&self.backend) }
    }
}

/// Listens in the data directory `dir`, whose lock the caller holds: a socket that is there already is a dead server's.
pub fn listen<B: Backend + ?Sized>(dir: &Path, backend: Arc<B>, desk: Option<Arc<Desk>>) -> io::Result<Server> {
    let path = dir.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (address, _open) = short_path(dir, SOCKET)?;
    let listener = UnixListener::bind(&address)?;
    // Between bind and chmod another user may connect; the check of the peer's uid refuses them.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let own_uid = rustix::process::geteuid().as_raw();
    let answers = Answers { desk, backend };
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) if may_connect(&stream, own_uid) => {
                        connections.spawn(serve(stream, answers.clone()));
                    }
                    Ok(_) => tracing::warn!("another user's connection to the control socket was refused"),
                    // Out of descriptors: the next attempt would fail at once as well.
                    Err(error) => {
                        tracing::error!(%error, "failed to accept on the control socket");
                        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    });
    Ok(Server { task, path })
}

fn may_connect(stream: &UnixStream, own_uid: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own_uid || peer.uid() == 0)
}

async fn serve<B: Backend + ?Sized>(stream: UnixStream, answers: Answers<B>) {
    let (mut sink, mut lines) = Framed::new(stream, LinesCodec::new_with_max_length(MAX_REQUEST)).split();
    let greeting =
        Greeting { runyard: env!("CARGO_PKG_VERSION").to_owned(), protocol: VERSION, pid: std::process::id() };
    if sink.send(json(&greeting)).await.is_err() {
        return;
    }
    let (outgoing, mut queue) = mpsc::channel::<Response>(WAITING);
    let write = async move {
        while let Some(response) = queue.recv().await {
            if sink.send(json(&response)).await.is_err() {
                break;
            }
        }
    };
    let read = async move {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let mut requests = JoinSet::new();
        let mut refused = false;
        loop {
            let line = match lines.next().await {
                Some(line) => line,
                // `Framed` pauses once after each line that it could not read.
                None if std::mem::take(&mut refused) => continue,
                None => break,
            };
            refused = line.is_err();
            let request = match line {
                Ok(line) => read_request(&line),
                Err(LinesCodecError::MaxLineLengthExceeded) => {
                    Err((None, format!("a line is longer than {MAX_REQUEST} bytes")))
                }
                Err(LinesCodecError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    Err((None, "a line is not UTF-8".to_owned()))
                }
                Err(LinesCodecError::Io(_)) => break,
            };
            match request {
                Ok(request) => {
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
                    let (answers, outgoing) = (answers.clone(), outgoing.clone());
                    requests.spawn(async move {
                        answer(request, answers, outgoing).await;
                        drop(slot);
                    });
                    while requests.try_join_next().is_some() {}
                }
                Err((id, message)) => {
                    let body = Body::Problem(Problem::new(ProblemCode::BadRequest, message));
                    if outgoing.send(Response { id, body }).await.is_err() {
                        break;
                    }
                }
            }
        }
        // A client that only closed its writing side still gets its answers; followers end with the connection.
        drop(outgoing);
        while requests.join_next().await.is_some() {}
    };
    tokio::pin!(write);
    tokio::select! {
        () = &mut write => {}
        () = read => write.await,
    }
}

fn read_request(line: &str) -> Result<Request, (Option<u64>, String)> {
    serde_json::from_str(line).map_err(|error| {
        let id = serde_json::from_str::<serde_json::Value>(line).ok().and_then(|value| value.get("id")?.as_u64());
        (id, format!("the line is no request: {error}"))
    })
}

async fn answer<B: Backend + ?Sized>(request: Request, answers: Answers<B>, outgoing: mpsc::Sender<Response>) {
    let (id, Answers { desk, backend }) = (Some(request.id), answers);
    match (request.command, request.people, request.follow) {
        (Some(command), None, None) => {
            let body = match backend.call(request.who.as_ref(), command).await {
                Ok(reply) => Body::Reply(reply),
                Err(problem) => Body::Problem(problem),
            };
            let _ = outgoing.send(Response { id, body }).await;
        }
        (None, Some(command), None) => {
            let told = match desk {
                Some(desk) => desk.ask(request.who.as_ref(), command).await,
                None => Err(Problem::new(ProblemCode::Environment, "this server knows no people")),
            };
            let _ = outgoing.send(Response { id, body: told.map_or_else(Body::Problem, Body::Told) }).await;
        }
        (None, None, Some(follow)) => {
            let mut events = backend.follow(follow.session, follow.after);
            loop {
                let next = tokio::select! {
                    next = events.next() => next,
                    () = outgoing.closed() => return,
                };
                let body = match next {
                    Some(Ok(event)) => Body::Event(event),
                    Some(Err(problem)) => Body::Problem(problem),
                    None => return,
                };
                let over = matches!(body, Body::Problem(_));
                if outgoing.send(Response { id, body }).await.is_err() || over {
                    return;
                }
            }
        }
        _ => {
            let problem =
                Problem::new(ProblemCode::BadRequest, "a request has one of `command`, `people` and `follow`");
            let _ = outgoing.send(Response { id, body: Body::Problem(problem) }).await;
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        // Only maps with keys that are no text cannot be written, and no reply holds one.
        tracing::error!(%error, "failed to write a response");
        String::from("{}")
    })
}
