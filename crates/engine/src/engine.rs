//! One server's engine: put together, started, asked, shut down.

use crate::{
    Command, Person, Problem, ProblemCode, Reply, Settings,
    converse::CLAUDE_INSIDE,
    generation,
    halt::chain,
    janitor, people,
    shared::{Shared, ensure_user},
    vault::{Keys, Secrets},
    worker,
    workspace::MODEL_PORT,
};
use domain::{Account, AccountId, Clock, Event, Generation, HostId, Mint, Role, SessionNumber};
use futures::Stream;
use secrets::Secret;
use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use store::Store;
use tokio_util::task::TaskTracker;

/// How long work may take to be handed back when the server goes down.
const LEAVE: Duration = Duration::from_secs(15);

/// How many events are read at once when a session is followed.
const PAGE: i64 = 500;

/// What an engine is made of.
pub struct Parts {
    /// How work is done.
    pub settings: Settings,
    /// The record.
    pub store: Arc<dyn Store>,
    /// Secrets; without a key for the Messages API no session can be made.
    pub secrets: Secrets,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub mint: Arc<dyn Mint>,
    /// Who asks when nobody else is named; the account's first admin.
    pub owner: Person,
    /// Sandboxes of this machine; the engine adds the agent's program.
    pub sandbox: sandbox::LocalConfig,
    /// True when no other server can share the record (SQLite, whose lock this process holds): every lease that somebody
    /// holds is then a dead server's and is taken over at once.
    pub alone: bool,
    /// False for commands that only look: no worker claims anything.
    pub work: bool,
}

/// One server's engine.
pub struct Engine {
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

impl Engine {
    /// Puts the parts together, takes over what a dead server left, and starts the workers.
    ///
    /// Errors are for the person who starts it: what is missing on this machine, and how to get it.
    pub async fn start(parts: Parts) -> Result<Arc<Self>, Problem> {
        let Parts { settings, store, secrets, clock, mint, owner, mut sandbox, alone, work } = parts;
        let account = store.account(&Account { id: AccountId::new(mint.as_ref()), name: "default".to_owned() }).await?;
        let owner = ensure_user(store.as_ref(), mint.as_ref(), account.id, &owner, Role::Admin).await?;
        let host = host_id(&settings.data_dir, mint.as_ref())?;
        sandbox.tools.extend(agent_mounts(&settings)?);
        let provider = sandbox::LocalProvider::new(sandbox).map_err(|error| environment(&error))?;
        let git = forge::Git::new("git", &settings.data_dir.join("git")).await?.hiding(secrets.known.clone());
        let generation = store.generation(&Generation::first(mint.as_ref(), clock.now())).await?;
        let forge = forge::LocalForge::new(git.clone(), store.clone(), clock.clone()).of_generation(generation);
        let mut shared = Shared::new(
            settings,
            store,
            Arc::new(provider),
            (forge, git),
            clock,
            mint,
            Keys::new(secrets),
            (account, owner),
            host,
        );
        shared.generation = Some(generation);
        let shared = Arc::new(shared);
        let engine = Arc::new(Self { shared: shared.clone(), tasks: TaskTracker::new() });
        shared.works.store(work, Ordering::Relaxed);
        if work {
            generation::take_up(&shared).await?;
            // What cannot be read cannot be hidden either: nothing runs until it is mended.
            shared.keys.refresh(shared.account.id).await?;
            // A change of keys that was cut off is finished.
            shared.keys.reseal(shared.account.id).await?;
            if alone {
                janitor::take_over_everything(&shared).await?;
            }
            janitor::sweep(&shared).await?;
            for _ in 0..shared.settings.workers.max(1) {
                engine.tasks.spawn(worker::run(shared.clone()));
            }
            engine.tasks.spawn(janitor::run(shared));
        }
        Ok(engine)
    }

    /// The account that this engine works for.
    pub fn account(&self) -> AccountId {
        self.shared.account.id
    }

    /// The value of the stored secret that a setting names. It is hidden from then on in everything that is written down.
    pub async fn stored_secret(&self, name: &str, setting: &str) -> Result<Secret, Problem> {
        self.shared.keys.named(self.shared.account.id, name, setting).await
    }

    /// Does what `who` asks; the server's own user when nobody is named.
    pub async fn call(&self, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
        people::handle(&self.shared, who, command).await
    }

    /// The events of a session above `after`, each once and in order, and those that come.
    pub fn follow(
        self: &Arc<Self>,
        session: SessionNumber,
        after: i64,
    ) -> impl Stream<Item = Result<Event, Problem>> + Send + use<> {
        let shared = self.shared.clone();
        let state = (shared, after, Vec::<Event>::new().into_iter());
        futures::stream::try_unfold(state, move |(shared, mut seen, mut page)| async move {
            loop {
                if let Some(event) = page.next() {
                    seen = event.number;
                    return Ok(Some((event, (shared, seen, page))));
                }
                let id = shared.session(session).await?.id;
                page = shared.store.events(id, seen, PAGE).await?.into_iter();
                if page.as_slice().is_empty() {
                    if shared.is_going_down() {
                        return Ok(None);
                    }
                    shared.store.wait_for_events(id, seen).await;
                    if faultpoint::planted!("planted-subscribe-after-snapshot") {
                        seen = shared.session(session).await?.last_event.max(seen + 1) - 1;
                    }
                }
            }
        })
    }

    /// Completes when this server may do nothing any more because a later life of the record began, with what to tell.
    pub async fn superseded(&self) -> Problem {
        let mut superseded = self.shared.superseded.subscribe();
        let why = superseded.wait_for(Option::is_some).await.map(|why| why.clone());
        match why {
            Ok(why) => generation::superseded(&why.unwrap_or_default()),
            Err(_) => std::future::pending().await,
        }
    }

    /// Hands back what is being worked on and stops. Sandboxes live on until their lease runs out, so that the next
    /// server carries on where this one left.
    pub async fn shutdown(&self) {
        self.shared.down.send_replace(true);
        self.shared.stops.notify_waiters();
        self.tasks.close();
        if tokio::time::timeout(LEAVE, self.tasks.wait()).await.is_err() {
            tracing::warn!("some work could not be handed back in time; its leases will run out");
        }
    }
}

fn environment(error: &dyn std::error::Error) -> Problem {
    Problem::new(ProblemCode::Environment, chain(error)).mend("`runyard doctor` says what is missing and how to get it")
}

fn io_problem(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(ProblemCode::Environment, format!("failed to {what} {}: {error}", path.display()))
}

/// This machine's id, made at the first start in this data directory.
fn host_id(data: &Path, mint: &dyn Mint) -> Result<HostId, Problem> {
    let path = data.join("host");
    match std::fs::read_to_string(&path) {
        Ok(text) => text
            .parse()
            .map_err(|error| Problem::new(ProblemCode::Environment, format!("{} is damaged: {error}", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = HostId::new(mint);
            write_whole(&path, id.to_string().as_bytes()).map_err(|error| io_problem("write", &path, &error))?;
            Ok(id)
        }
        Err(error) => Err(io_problem("read", &path, &error)),
    }
}

/// Writes a file so that it is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(&fresh, path)
}

/// The agent's program and the settings that nothing in a repository can override, read-only in every sandbox.
fn agent_mounts(settings: &Settings) -> Result<Vec<sandbox::Mount>, Problem> {
    let managed = settings.data_dir.join("managed-settings.json");
    let value = agent::managed_settings(&format!("http://127.0.0.1:{MODEL_PORT}"));
    write_whole(&managed, value.to_string().as_bytes()).map_err(|error| io_problem("write", &managed, &error))?;
    // Sandboxes have other uids, whatever this process's umask is.
    std::fs::set_permissions(&managed, std::fs::Permissions::from_mode(0o644))
        .map_err(|error| io_problem("open to sandboxes", &managed, &error))?;
    let mut mounts = vec![sandbox::Mount { host: managed, inside: PathBuf::from(agent::MANAGED_SETTINGS_PATH) }];
    if settings.agent.claude.is_file() {
        mounts.push(sandbox::Mount { host: settings.agent.claude.clone(), inside: PathBuf::from(CLAUDE_INSIDE) });
    }
    Ok(mounts)
}
