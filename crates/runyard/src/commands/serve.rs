//! `runyard serve`.

use crate::{
    app::{App, Pages, Workers},
    compose::{client_secret, is_sqlite},
    config::Listen,
    connect::{Embedded, lock_for_serve},
    exit::{Exit, Failure, chain},
};
use domain::SystemMint;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::{Doors, Listening, Parts, Server, StartError, TlsError, WebhookParts};
use std::{net::SocketAddr, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};

/// Far more than the connections that are let in.
const MOST_DESCRIPTORS: u64 = 65_536;

/// Keeps workers up, and pages, until Ctrl-C or SIGTERM. What runs then is handed back: the next server carries on.
pub async fn serve(app: &mut App) -> Result<Exit, Failure> {
    let mut terminate = signal(SignalKind::terminate())
        .map_err(|error| Failure::environment(format!("failed to listen for signals: {error}")))?;
    let lock = lock_for_serve(app).await?;
    raise_descriptors();
    let server = Embedded::start(app, lock, Workers::Run).await?;
    let pages = match (&server.pages, app.config.values.listen) {
        (Some(pages), Some(Listen(address))) => Some(open(app, &server, pages, address).await?),
        _ => None,
    };
    if let (Some(pages), Some(desk)) = (&pages, &server.desk) {
        desk.reached_at(pages.url());
    }
    let (pid, dir) = (std::process::id(), app.config.data_dir.display());
    let text = format!("serving {dir} with {} workers (process {pid}); Ctrl-C stops", app.config.values.workers.0);
    app.screen.line(text);
    if let Some(pages) = &pages {
        app.screen.line(format!("listening at {}", pages.url()));
        if let Some(link) = pages.first_admin() {
            app.screen.line(format!("nobody can sign in yet: the first admin opens {link} (once, within a day)"));
        }
    }
    let failure = tokio::select! {
        _ = app.interrupts.recv() => None,
        _ = terminate.recv() => None,
        failure = server.superseded() => Some(failure),
    };
    if failure.is_none() {
        app.screen.note("stopping; what runs carries on with the next server (Ctrl-C again quits at once)");
    }
    let stop = async {
        if let Some(pages) = pages {
            pages.stop().await;
        }
        server.stop().await;
    };
    tokio::select! {
        () = stop => failure.map_or(Ok(Exit::Done), Err),
        _ = app.interrupts.recv() => Ok(Exit::Stopped),
    }
}

/// Every viewer holds a descriptor, and what a process may have at first, often 1,024, is for programs that know only
/// `select`. Sandboxes and agents get a limit of their own.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(MOST_DESCRIPTORS, |most| most.min(MOST_DESCRIPTORS));
    if limit.current.is_some_and(|current| current < most)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit })
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Listens for browsers and programs. When the default address is taken, a free port will do: a second server on one
/// machine is no mistake.
async fn open(app: &mut App, server: &Embedded, pages: &Pages, address: SocketAddr) -> Result<Server, Failure> {
    let listening = app.config.listening(address).map_err(|why| Failure::usage(why).mend("set both, or neither"))?;
    let doors = doors(app, pages).await?;
    let parts = |address| Parts {
        backend: server.backend(),
        store: Arc::clone(&pages.store),
        access: Arc::clone(&pages.access),
        account: pages.account,
        clock: Arc::clone(&app.clock),
        mint: Arc::new(SystemMint),
        listen: Listening { address, ..listening.clone() },
        doors: doors.clone(),
        webhooks: WebhookParts {
            record: Arc::clone(&pages.webhooks),
            keyring: app.config.keyring.clone(),
            makes_keyring: is_sqlite(&app.config.database_url()),
            known: app.known.clone(),
            settings: app.config.webhooks(),
        },
    };
    let is_default = app.config.is_default("listen");
    match Server::start(parts(address)).await {
        Err(StartError::Listen { source, .. }) if is_default && source.kind() == std::io::ErrorKind::AddrInUse => {
            let opened =
                Server::start(parts(SocketAddr::new(address.ip(), 0))).await.map_err(|error| failure(&error))?;
            app.screen.note(&format!("{address} is taken, so another port is used; --listen chooses one"));
            Ok(opened)
        }
        opened => opened.map_err(|error| failure(&error)),
    }
}

/// How people come in. What the provider knows us by is hidden from then on in everything that is written down.
async fn doors(app: &App, pages: &Pages) -> Result<Doors, Failure> {
    let values = &app.config.values;
    let mut secret = None;
    if values.issuer.is_some() {
        secret = client_secret(&app.config).map_err(|error| Failure::environment(chain(&error)))?;
        if let (None, Some(name)) = (&secret, &values.oidc_secret_name) {
            secret = Some((pages.stored)(name.clone()).await?);
        }
        app.known.learn(secret.iter().filter(|secret| !secret.is_weak()));
    }
    let mend = "mend the configuration; `runyard config show` says where each value comes from";
    app.config.doors(secret).map_err(|why| Failure::usage(why).mend(mend))
}

fn failure(error: &StartError) -> Failure {
    let told = Failure::environment(chain(error));
    match error {
        StartError::Listen { .. } => told.mend("choose another address with --listen, or none with --listen ''"),
        StartError::PublicUrl(_) => told.mend("mend public_url"),
        StartError::Tls(TlsError::Mismatch { .. }) => told
            .mend("set tls.certificate and tls.key to files that belong together, the certificate first in its file"),
        StartError::Tls(_) => {
            told.mend("set tls.certificate and tls.key to files in the form PEM that this user may read")
        }
        StartError::NoDoor => told.mend("set password_sign_in to true, or name a provider in oidc.issuer"),
        StartError::Provider(_) | StartError::Webhooks(_) | StartError::Store(_) => told,
    }
}
