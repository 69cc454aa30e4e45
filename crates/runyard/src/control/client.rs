//! The client's side of the control socket.

use super::{
    protocol::{Body, Follow, Greeting, MAX_RESPONSE, Request, Response, SOCKET, VERSION},
    short_path,
};
use domain::{Event, SessionNumber};
use engine::{Command, Person, Problem, ProblemCode, Reply};
use futures::{SinkExt as _, StreamExt as _};
use server::{PeopleCommand, PeopleReply};
use std::{
    io,
    path::{Path, PathBuf},
};
use tokio::{net::UnixStream, sync::Mutex};
use tokio_util::codec::{Framed, LinesCodec};

type Lines = Framed<UnixStream, LinesCodec>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens (yet, or any more).
    #[error("nobody listens on {}", .0.display())]
    Nobody(PathBuf),
    /// The server is of another version.
    #[error("the server (process {pid}) is version {server} and this is {own}")]
    Version {
        /// Its process.
        pid: u32,
        /// Its version.
        server: String,
        /// This program's version.
        own: &'static str,
    },
    /// The connection failed.
    #[error("failed to talk to {}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A connection to the server of a data directory.
#[derive(Debug)]
pub struct Client {
    dir: PathBuf,
    who: Option<Person>,
    lines: Mutex<(Lines, u64)>,
    /// The server's process.
    pub pid: u32,
}

impl Client {
    /// Connects to the server of the data directory `dir`; commands are asked in the name of `who`.
    pub async fn connect(dir: &Path, who: Option<Person>) -> Result<Self, ConnectError> {
        let (lines, pid) = open(dir).await?;
        Ok(Self { dir: dir.to_owned(), who, lines: Mutex::new((lines, 0)), pid })
    }

    /// Asks for something and awaits the answer.
    pub async fn call(&self, command: Command) -> Result<Reply, Problem> {
        let request = Request { id: 0, who: self.who.clone(), command: Some(command), people: None, follow: None };
        match self.ask(request).await? {
            Body::Reply(reply) => Ok(reply),
            other => Err(unfit(&other)),
        }
    }

    /// Asks for something about people and awaits the answer.
    pub async fn people(&self, command: PeopleCommand) -> Result<PeopleReply, Problem> {
        let request = Request { id: 0, who: self.who.clone(), command: None, people: Some(command), follow: None };
        match self.ask(request).await? {
            Body::Told(reply) => Ok(reply),
            other => Err(unfit(&other)),
        }
    }

    async fn ask(&self, request: Request) -> Result<Body, Problem> {
        let mut guard = self.lines.lock().await;
        let (lines, last) = &mut *guard;
        *last += 1;
        send(lines, &Request { id: *last, ..request }).await?;
        loop {
            let response = receive(lines).await?.ok_or_else(gone)?;
            match (response.id, response.body) {
                // Without an id: the server could not read what was sent.
                (None, Body::Problem(problem)) => return Err(problem),
                (Some(id), Body::Problem(problem)) if id == *last => return Err(problem),
                (Some(id), body) if id == *last => return Ok(body),
                // An answer to a request whose caller was dropped while it waited.
                _ => {}
            }
        }
    }

    /// Follows a session over a connection of its own.
    pub async fn follow(&self, session: SessionNumber, after: i64) -> Result<Events, Problem> {
        let (mut lines, _) = open(&self.dir).await.map_err(|error| problem(&error))?;
        let follow = Some(Follow { session, after });
        send(&mut lines, &Request { id: 1, who: None, command: None, people: None, follow }).await?;
        Ok(Events { lines })
    }
}

/// Events of a session as they come.
#[derive(Debug)]
pub struct Events {
    lines: Lines,
}

impl Events {
    /// The next event; none when the server went away. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Event>, Problem> {
        loop {
            match receive(&mut self.lines).await? {
                None => return Ok(None),
                Some(Response { body: Body::Event(event), .. }) => return Ok(Some(event)),
                Some(Response { body: Body::Problem(problem), .. }) => return Err(problem),
                Some(Response { body: Body::Reply(_) | Body::Told(_), .. }) => {}
            }
        }
    }
}

/// The problem of a connection that failed, for people.
pub fn problem(error: &ConnectError) -> Problem {
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        message = format!("{message}: {source}");
    }
    let problem = Problem::new(ProblemCode::Environment, message);
    match error {
        ConnectError::Version { pid, .. } => problem.mend(format!("restart the server: kill {pid}; runyard serve")),
        ConnectError::Nobody(_) => problem.mend("start it again: runyard serve"),
        ConnectError::Io { .. } => problem,
    }
}

fn unfit(body: &Body) -> Problem {
    let kind = match body {
        Body::Reply(_) => "an answer",
        Body::Told(_) => "an answer about people",
        Body::Event(_) => "an event",
        Body::Problem(_) => "a problem",
    };
    Problem::new(ProblemCode::Internal, format!("the server gave {kind} that does not fit what was asked"))
}

fn gone() -> Problem {
    Problem::new(ProblemCode::Environment, "the server went away before it answered")
        .mend("see with `runyard session show` what was done")
}

async fn open(dir: &Path) -> Result<(Lines, u32), ConnectError> {
    let path = dir.join(SOCKET);
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            ConnectError::Nobody(path.clone())
        }
        _ => ConnectError::Io { path: path.clone(), source },
    };
    let (address, _open) = short_path(dir, SOCKET).map_err(failed)?;
    let stream = UnixStream::connect(address).await.map_err(failed)?;
    let mut lines = Framed::new(stream, LinesCodec::new_with_max_length(MAX_RESPONSE));
    let line = match lines.next().await {
        Some(Ok(line)) => line,
        Some(Err(error)) => return Err(failed(io::Error::other(error))),
        None => return Err(ConnectError::Nobody(path.clone())),
    };
    let greeting: Greeting = serde_json::from_str(&line).map_err(|error| failed(io::Error::other(error)))?;
    if greeting.protocol == VERSION {
        Ok((lines, greeting.pid))
    } else {
        let own = env!("CARGO_PKG_VERSION");
        Err(ConnectError::Version { pid: greeting.pid, server: greeting.runyard, own })
    }
}

async fn send(lines: &mut Lines, request: &Request) -> Result<(), Problem> {
    let line = serde_json::to_string(request)
        .map_err(|error| Problem::new(ProblemCode::Internal, format!("the request cannot be written: {error}")))?;
    if line.len() > super::protocol::MAX_REQUEST {
        return Err(Problem::new(ProblemCode::BadRequest, "that is too long to be sent"));
    }
    lines.send(line).await.map_err(|_| gone())
}

async fn receive(lines: &mut Lines) -> Result<Option<Response>, Problem> {
    match lines.next().await {
        None | Some(Err(tokio_util::codec::LinesCodecError::Io(_))) => Ok(None),
        Some(Err(error)) => Err(Problem::new(ProblemCode::Internal, format!("the server's answer: {error}"))),
        Some(Ok(line)) => serde_json::from_str(&line).map(Some).map_err(|error| {
            Problem::new(ProblemCode::Internal, format!("the server's answer cannot be read: {error}"))
        }),
    }
}
