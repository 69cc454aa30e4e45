//! The one place where the parts are put together.

use crate::{
    app::{Compose, Workers},
    config::Config,
    control::Backend,
    exit::chain,
};
use async_trait::async_trait;
use domain::{Event, SessionNumber, SystemClock, SystemMint};
use engine::{Command, Engine, Parts, Person, Problem, ProblemCode, Reply};
use futures::stream::{BoxStream, StreamExt as _};
use secrets::{Secret, SecretError};
use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{SqlStore, StoreError, StoreOptions};

/// Puts the real parts together.
pub fn compose() -> Compose {
    Box::new(|config, owner, workers| {
        let config = config.clone();
        Box::pin(async move {
            let engine = start(&config, owner, workers).await?;
            Ok(Arc::new(Embedded(engine)) as Arc<dyn Backend>)
        })
    })
}

async fn start(config: &Config, owner: Person, workers: Workers) -> Result<Arc<Engine>, Problem> {
    faultpoint::arm().map_err(|why| Problem::new(ProblemCode::BadRequest, format!("the faults to make: {why}")))?;
    let location = config.database_url();
    if config.values.database_url.is_none() {
        close_to_others(&config.data_dir.join("runyard.db")).map_err(|error| {
            Problem::new(ProblemCode::Environment, format!("failed to make the database closed to others: {error}"))
        })?;
    }
    let store = SqlStore::open(&location, StoreOptions::default()).await.map_err(|error| database(&error))?;
    // The engine refuses to make a session without the program and without the key; looking at sessions needs neither.
    let claude = claude(config).unwrap_or_else(|_| {
        // Runs then fail with an error that names what was looked for.
        config.values.claude.as_ref().map_or_else(|| PathBuf::from("claude"), |program| program.0.clone())
    });
    let key = match key(config) {
        Ok(key) => Some(key),
        Err(SecretError::Unset(_)) => None,
        Err(error) => return Err(Problem::new(ProblemCode::Environment, chain(&error))),
    };
    Engine::start(Parts {
        settings: config.engine_settings(claude),
        store: Arc::new(store),
        key,
        clock: Arc::new(SystemClock::new()),
        mint: Arc::new(SystemMint),
        owner,
        sandbox: config.sandbox(),
        alone: is_sqlite(&location),
        work: workers == Workers::Run,
    })
    .await
}

/// Makes the database file, empty, when there is none, so that it (and with it the files that SQLite puts beside it) is
/// closed to others: the directory itself must let sandboxes pass.
fn close_to_others(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

/// True for databases that only the holder of the data directory's lock opens.
pub fn is_sqlite(location: &str) -> bool {
    !location.starts_with("postgres:") && !location.starts_with("postgresql:")
}

/// The agent's program, without links.
pub fn claude(config: &Config) -> Result<PathBuf, agent::NotFound> {
    let explicit = config.values.claude.as_ref().map(|program| program.find().unwrap_or_else(|| program.0.clone()));
    let found = agent::locate(explicit)?;
    found.canonicalize().map_err(|_| agent::NotFound { tried: found.display().to_string() })
}

/// The key of the Messages API: from the environment, else from the configured file.
pub fn key(config: &Config) -> Result<Secret, SecretError> {
    match (Secret::from_env("ANTHROPIC_API_KEY"), &config.values.key_file) {
        (Err(SecretError::Unset(_) | SecretError::Empty(_)), Some(path)) => Secret::from_file(path),
        (found, _) => found,
    }
}

/// Why the database cannot be used, and what to do.
pub fn database(error: &StoreError) -> Problem {
    let problem = Problem::new(ProblemCode::Environment, chain(error));
    match error {
        StoreError::Version(_) => problem,
        _ => problem.mend("`runyard config show` says which database is meant; `runyard doctor` looks at it"),
    }
}

/// The engine as the control socket wants it.
struct Embedded(Arc<Engine>);

#[async_trait]
impl Backend for Embedded {
    async fn call(&self, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
        self.0.call(who, command).await
    }

    fn follow(self: Arc<Self>, session: SessionNumber, after: i64) -> BoxStream<'static, Result<Event, Problem>> {
        self.0.follow(session, after).boxed()
    }

    async fn shutdown(&self) {
        self.0.shutdown().await;
    }

    async fn superseded(&self) -> Problem {
        self.0.superseded().await
    }
}
