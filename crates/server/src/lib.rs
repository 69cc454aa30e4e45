//! HTTP: sign-in, GraphQL, live events, and the dashboard, which is part of the program.
//!
//! Everything that is asked goes through [`engine::Backend`], as for the command line; what is only about coming in is
//! kept by [`store::Access`].

mod audience;
mod bearer;
mod brake;
mod deeds;
mod deliveries;
mod desk;
mod export;
mod from;
mod gate;
mod graphql;
mod http;
mod listen;
mod metrics;
mod oidc;
mod origin;
mod password;
mod people;
mod presence;
mod pulse;
mod refusals;
mod state;
mod time;
mod transcript;
mod webhooks;

pub use desk::{Desk, PeopleCommand, PeopleReply};
pub use export::AuditFormat;
pub use graphql::definition;
pub use http::document;
pub use ipnet::IpNet;
pub use listen::{Limits, Listening, Proxies, ProxyHeader, TlsError, TlsFiles};
pub use oidc::{BadIssuer, Doors, ProviderSettings, check_issuer};
pub use origin::BadAddress;
pub use people::{LinkFor, make_link};
pub use transcript::{Transcript, TranscriptFormat};
pub use webhooks::{WebhookParts, WebhookRecord, WebhookSettings};

use brake::Brake;
use domain::{AccountId, Clock, LinkPurpose, Mint, Role};
use engine::{Backend, Told};
use gate::Gate;
use http::App;
use listen::Tls;
use metrics::Metrics;
use oidc::Provider;
use origin::Origins;
use password::Passwords;
use pulse::Pulse;
use refusals::Refusals;
use state::State;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use store::{Access, Store, StoreError};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use webhooks::Courier;

/// How long connections may take to end when the server goes down.
const LEAVE: Duration = Duration::from_secs(3);
/// How often sign-ins that nobody uses are cleared away.
const TIDY: Duration = Duration::from_hours(1);

/// What a server is made of.
pub struct Parts {
    /// What answers.
    pub backend: Arc<dyn Backend>,
    /// The record.
    pub store: Arc<dyn Store>,
    /// Who may come in.
    pub access: Arc<dyn Access>,
    /// The account that people come into.
    pub account: AccountId,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub mint: Arc<dyn Mint>,
    /// Where to listen, and how.
    pub listen: Listening,
    /// How people come in.
    pub doors: Doors,
    /// How webhooks are told.
    pub webhooks: WebhookParts,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened at.
    #[error("failed to listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The public address is none.
    #[error(transparent)]
    PublicUrl(#[from] BadAddress),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody could come in.
    #[error("neither a password nor a provider lets anybody in")]
    NoDoor,
    /// The provider cannot be spoken to.
    #[error("failed to make the client that speaks to the provider")]
    Provider(#[source] reqwest::Error),
    /// Webhooks cannot be told.
    #[error("failed to make the client that tells webhooks")]
    Webhooks(#[source] reqwest::Error),
    /// The record cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A server that listens; dropping it ends all connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    url: String,
    first_admin: Option<String>,
    down: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens and answers.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { backend, store, access, account, clock, mint, listen, doors, webhooks } = parts;
        let Doors { passwords, provider } = doors;
        if !passwords && provider.is_none() {
            return Err(StartError::NoDoor);
        }
        let provider = provider.map(|settings| Provider::new(settings, clock.clone())).transpose();
        let provider = provider.map_err(StartError::Provider)?;
        let failed = |source| StartError::Listen { address: listen.address, source };
        let tls = listen.tls.as_ref().map(|files| Tls::open(files).map(Arc::new)).transpose()?;
        let listener = TcpListener::bind(listen.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let origins = Origins::new(listen.public_url.as_deref(), address, tls.is_some())?;
        let first_admin = first_admin(&origins, access.as_ref(), account, (clock.as_ref(), mint.as_ref())).await?;
        let webhooks = Courier::new(webhooks, account, origins.url("")).map_err(StartError::Webhooks)?;
        let down = CancellationToken::new();
        let metrics = Arc::new(Metrics::new());
        let state = Arc::new(State {
            gate: Gate::new(access.clone(), account, clock.clone(), origins.is_secure()),
            brake: Brake::new(),
            refusals: Refusals::new(),
            passwords: Passwords::new(),
            passwords_open: passwords,
            provider,
            pulse: Pulse::new(),
            audience: Arc::default(),
            presence: Arc::default(),
            webhooks,
            metrics: metrics.clone(),
            backend,
            store,
            access,
            account,
            clock,
            mint,
            origins,
            down: down.clone(),
        });
        let url = state.origins.url("/");
        let mut tasks = vec![tokio::spawn(tidy(state.clone())), tokio::spawn(keep_pulse(state.clone()))];
        tasks.push(tokio::spawn(deliveries::run(state.clone())));
        tasks.extend(tls.clone().map(|tls| tokio::spawn(tls.watch(down.clone()))));
        let app = http::router(App { state, schema: graphql::schema() });
        let until = down.clone();
        tasks.push(tokio::spawn(async move { listen::serve(listener, tls, &listen, (app, metrics), until).await }));
        Ok(Self { address, url, first_admin, down, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where people find it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The link that makes the first admin, when there is none who can sign in.
    pub fn first_admin(&self) -> Option<&str> {
        self.first_admin.as_deref()
    }

    /// Ends all connections, live ones with a word that the server goes down.
    pub async fn stop(mut self) {
        self.down.cancel();
        for task in std::mem::take(&mut self.tasks) {
            let mut task = task;
            if tokio::time::timeout(LEAVE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn first_admin(
    origins: &Origins,
    access: &dyn Access,
    account: AccountId,
    parts: (&dyn Clock, &dyn Mint),
) -> Result<Option<String>, StoreError> {
    if people::somebody_can_sign_in(access, account).await? {
        return Ok(None);
    }
    let wanted = LinkFor { purpose: LinkPurpose::FirstAdmin, email: None, role: Role::Admin, by: None };
    let deed = deeds::own(parts.0.now(), Told::new("link.first_admin", ""));
    let (value, _) = store::doing(account, deed, make_link(access, account, parts, wanted)).await?;
    Ok(Some(origins.url(&format!("/welcome/{}", value.expose()))))
}

async fn keep_pulse(state: Arc<State>) {
    tokio::select! {
        () = state.pulse.keep(state.store.as_ref(), state.account) => {}
        () = state.down.cancelled() => {}
    }
}

async fn tidy(state: Arc<State>) {
    loop {
        let now = state.clock.now();
        let before = domain::Timestamp(now.0 - i64::try_from(gate::SIGN_IN_LASTS.as_micros()).unwrap_or(0));
        let deed = deeds::own(now, Told::new("sign_in.expire", ""));
        if let Err(error) = store::doing(state.account, deed, state.access.end_stale_sign_ins(before)).await {
            tracing::warn!(%error, "old sign-ins could not be cleared away");
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY) => {}
            () = state.down.cancelled() => return,
        }
    }
}
