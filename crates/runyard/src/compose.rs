//! The one place where the parts are put together.

use crate::{
    app::{Compose, Composed, Pages, Stored, Workers},
    config::Config,
    control::Backend,
    exit::chain,
};
use async_trait::async_trait;
use domain::{Event, SessionNumber, SystemClock, SystemMint};
use engine::{Command, Engine, Parts, Person, Problem, ProblemCode, Reply, Secrets};
use futures::stream::{BoxStream, StreamExt as _};
use secrets::{Known, Secret, SecretError};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};
use store::{SqlStore, StoreError, StoreOptions};

/// Puts the real parts together; all of them hide what is `known`.
pub fn compose(known: Known) -> Compose {
    Box::new(move |config, owner, workers| {
        let (config, known) = (config.clone(), known.clone());
        Box::pin(async move {
            let (engine, store) = start(&config, owner, workers, known.clone()).await?;
            let vault = Arc::clone(&engine);
            let stored: Stored = Arc::new(move |name| {
                let vault = Arc::clone(&vault);
                Box::pin(async move { vault.stored_secret(&name, "oidc.client_secret_name").await })
            });
            let account = engine.account();
            let pages = Pages { store: store.clone(), access: store.clone(), webhooks: store, account, stored };
            Ok(Composed { backend: Arc::new(Embedded { engine, known }), pages: Some(pages) })
        })
    })
}

async fn start(
    config: &Config,
    owner: Person,
    workers: Workers,
    known: Known,
) -> Result<(Arc<Engine>, Arc<SqlStore>), Problem> {
    faultpoint::arm().map_err(|why| Problem::new(ProblemCode::BadRequest, format!("the faults to make: {why}")))?;
    let location = config.database_url();
    if config.values.database_url.is_none() {
        close_to_others(&config.data_dir.join("runyard.db")).map_err(|error| {
            Problem::new(ProblemCode::Environment, format!("failed to make the database closed to others: {error}"))
        })?;
    }
    let store =
        SqlStore::open(&location, StoreOptions::hiding(known.clone())).await.map_err(|error| database(&error))?;
    let store = Arc::new(store);
    // The engine refuses to make a session without the program and without the key; looking at sessions needs neither.
    let claude = claude(config).unwrap_or_else(|_| {
        // Runs then fail with an error that names what was looked for.
        config.values.claude.as_ref().map_or_else(|| PathBuf::from("claude"), |program| program.0.clone())
    });
    let key = match key(config) {
        Ok(key) => Some(key),
        Err(SecretError::Unset(_) | SecretError::Empty(_)) if config.values.key_secret.is_some() => None,
        Err(SecretError::Unset(_)) => None,
        Err(error) => return Err(Problem::new(ProblemCode::Environment, chain(&error))),
    };
    let engine = Engine::start(Parts {
        settings: config.engine_settings(claude),
        store: store.clone(),
        secrets: Secrets {
            key,
            key_name: config.values.key_secret.clone(),
            known,
            vault: store.clone(),
            keyring: config.keyring.clone(),
        },
        clock: Arc::new(SystemClock::new()),
        mint: Arc::new(SystemMint),
        owner,
        sandbox: config.sandbox(),
        alone: is_sqlite(&location),
        work: workers == Workers::Run,
    })
    .await?;
    Ok((engine, store))
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

/// The key of the Messages API from outside: the environment, else the configured file.
pub fn key(config: &Config) -> Result<Secret, SecretError> {
    match (Secret::from_env("ANTHROPIC_API_KEY"), &config.values.key_file) {
        (Err(SecretError::Unset(_) | SecretError::Empty(_)), Some(path)) => Secret::from_file(path),
        (found, _) => found,
    }
}

/// The secret that the provider knows us by, from outside: the environment, else the configured file. None when neither
/// is there.
pub fn client_secret(config: &Config) -> Result<Option<Secret>, SecretError> {
    match (Secret::from_env("RUNYARD_OIDC_CLIENT_SECRET"), &config.values.oidc_secret_file) {
        (Err(SecretError::Unset(_) | SecretError::Empty(_)), Some(path)) => Secret::from_file(path).map(Some),
        (Err(SecretError::Unset(_) | SecretError::Empty(_)), None) => Ok(None),
        (found, _) => found.map(Some),
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

/// The engine as the control socket wants it. Everything that it answers passes here, for this process and for others.
struct Embedded {
    engine: Arc<Engine>,
    known: Known,
}

impl Embedded {
    fn safe_problem(&self, mut problem: Problem) -> Problem {
        problem.message = crate::log::safe(&problem.message, &self.known);
        problem.mend = problem.mend.map(|mend| crate::log::safe(&mend, &self.known));
        problem
    }

    /// The answer without what is known to be secret: the record may be older than the secret.
    fn safe<T: Serialize + DeserializeOwned>(&self, answer: T) -> Result<T, Problem> {
        let redactor = self.known.redactor();
        if redactor.is_empty() {
            return Ok(answer);
        }
        let broken = |error: serde_json::Error| {
            Problem::new(ProblemCode::Internal, format!("an answer cannot be masked: {error}"))
        };
        let mut json = serde_json::to_value(&answer).map_err(broken)?;
        if redactor.redact_json(&mut json) { serde_json::from_value(json).map_err(broken) } else { Ok(answer) }
    }
}

#[async_trait]
impl Backend for Embedded {
    async fn call(&self, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
        let answer = self.engine.call(who, command).await.map_err(|problem| self.safe_problem(problem))?;
        self.safe(answer)
    }

    fn follow(self: Arc<Self>, session: SessionNumber, after: i64) -> BoxStream<'static, Result<Event, Problem>> {
        let events = self.engine.follow(session, after);
        let safe = move |event: Result<Event, Problem>| match event {
            Ok(event) => self.safe(event),
            Err(problem) => Err(self.safe_problem(problem)),
        };
        events.map(safe).boxed()
    }

    async fn shutdown(&self) {
        self.engine.shutdown().await;
    }

    async fn superseded(&self) -> Problem {
        self.engine.superseded().await
    }
}
