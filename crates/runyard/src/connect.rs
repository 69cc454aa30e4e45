//! Finds the server of the data directory, or becomes it for the command's lifetime.

use crate::{
    app::{App, Composed, Pages, Workers},
    control::{self, Backend, Client, ConnectError, Server},
    data_dir::{self, Holder, Lock, Ownership},
    exit::{Exit, Failure},
};
use domain::SystemMint;
use server::Desk;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a server may take between taking the lock and listening.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to the server; it may be this process.
pub struct Connection {
    /// Commands go here.
    pub client: Client,
    embedded: Option<Embedded>,
}

/// The server in this process.
pub struct Embedded {
    backend: Arc<dyn Backend>,
    /// What pages need beside it.
    pub pages: Option<Pages>,
    /// What answers about people.
    pub desk: Option<Arc<Desk>>,
    _server: Server,
    _lock: Lock,
}

impl Embedded {
    /// Takes the parts, listens, and owns the data directory until it is dropped.
    pub async fn start(app: &App, lock: Lock, workers: Workers) -> Result<Self, Failure> {
        crate::log::start(&app.config, app.name, app.verbose, &app.known)?;
        let Composed { backend, pages } = (app.compose)(&app.config, app.who.clone(), workers).await?;
        let desk = pages.as_ref().map(|pages| {
            let (access, clock) = (Arc::clone(&pages.access), Arc::clone(&app.clock));
            Arc::new(Desk::new(access, pages.account, clock, Arc::new(SystemMint)))
        });
        let server = control::listen(&app.config.data_dir, Arc::clone(&backend), desk.clone()).map_err(|error| {
            Failure::environment(format!("failed to listen in {}: {error}", app.config.data_dir.display()))
        })?;
        Ok(Self { backend, pages, desk, _server: server, _lock: lock })
    }

    /// What answers commands.
    pub fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    /// Completes when this server may do no work any more, with why.
    pub async fn superseded(&self) -> Failure {
        self.backend.superseded().await.into()
    }

    /// Ends all work in good order.
    pub async fn stop(self) {
        self.backend.shutdown().await;
    }
}

impl Connection {
    /// Connects to the server that has the data directory; when none has, starts one in this process.
    pub async fn open(app: &App, workers: Workers) -> Result<Self, Failure> {
        let dir = &app.config.data_dir;
        data_dir::prepare(dir)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let holder = match data_dir::lock(dir, app.name)? {
                Ownership::Ours(lock) => {
                    let embedded = Embedded::start(app, lock, workers).await?;
                    let client = connect(app).await.map_err(|error| failure(&error))?;
                    return Ok(Self { client, embedded: Some(embedded) });
                }
                Ownership::Theirs(holder) => holder,
            };
            match connect(app).await {
                Ok(client) => return Ok(Self { client, embedded: None }),
                Err(ConnectError::Nobody(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(ConnectError::Nobody(_)) => return Err(silent(&holder)),
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    /// True when this process is the server, so that work ends with it.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Waits for a server that went away to come back.
    pub async fn reopen(&mut self, app: &App, patience: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        loop {
            match connect(app).await {
                Ok(client) => {
                    self.client = client;
                    return Ok(());
                }
                Err(ConnectError::Nobody(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    /// Ends the connection, and the server when it is this process.
    pub async fn close(self) {
        drop(self.client);
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

async fn connect(app: &App) -> Result<Client, ConnectError> {
    Client::connect(&app.config.data_dir, Some(app.who.clone())).await
}

fn failure(error: &ConnectError) -> Failure {
    control::problem(error).into()
}

fn silent(holder: &Holder) -> Failure {
    let message = format!("{} has the data directory and does not answer", named(holder));
    let failure = Failure::environment(message);
    match holder.pid {
        Some(pid) => failure.mend(format!("look what it does; `kill {pid}` ends it, and nothing is lost")),
        None => failure,
    }
}

/// Takes the lock for `serve`; fails with the name of the process that has it.
pub async fn lock_for_serve(app: &App) -> Result<Lock, Failure> {
    let dir = &app.config.data_dir;
    data_dir::prepare(dir)?;
    // A command that only looks something up gives the lock back at once.
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match data_dir::lock(dir, app.name)? {
            Ownership::Ours(lock) => return Ok(lock),
            Ownership::Theirs(holder) if holder.command == "serve" || Instant::now() >= deadline => {
                let message = format!("{} has the data directory {} already", named(&holder), dir.display());
                let mend = "other commands talk to it; to replace it, end it first, or choose another --data-dir";
                return Err(Failure { exit: Exit::Environment, message, mend: Some(mend.into()) });
            }
            Ownership::Theirs(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn named(holder: &Holder) -> String {
    let command = if holder.command.is_empty() { String::new() } else { format!(" (runyard {})", holder.command) };
    match holder.pid {
        Some(pid) => format!("process {pid}{command}"),
        None => format!("another process{command}"),
    }
}
