//! What every part of the engine has in common.

use crate::{Person, Problem, ProblemCode, Settings, vault::Keys};
use domain::{
    Account, AccountId, Clock, CommitId, Generation, HostId, Mint, Repository, RepositoryId, Role, ServerId, Session,
    SessionId, SessionNumber, Timestamp, User, UserId,
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};
use store::{Store, StoreError};
use tokio::sync::{Notify, watch};

/// The commits of a pull request's base branch and of its head, as they were last looked at.
type Ends = (Option<CommitId>, Option<CommitId>);

/// The parts of one server, put together once.
pub(crate) struct Shared {
    pub settings: Settings,
    pub store: Arc<dyn Store>,
    pub provider: Arc<dyn sandbox::Provider>,
    pub forge: forge::LocalForge,
    pub git: forge::Git,
    pub clock: Arc<dyn Clock>,
    pub mint: Arc<dyn Mint>,
    /// Secrets, with the Messages API's key.
    pub keys: Keys,
    /// The account of this server.
    pub account: Account,
    /// Who asks when nobody else is named.
    pub owner: User,
    pub server: ServerId,
    pub host: HostId,
    /// Wakes workers of this server when a person asked to stop something.
    pub stops: Notify,
    /// True once this server is to go down.
    pub down: watch::Sender<bool>,
    /// The life of the record that this server works on; none in a simulation.
    pub generation: Option<Generation>,
    /// Why this server may do nothing any more, once a later life of the record began.
    pub superseded: watch::Sender<Option<String>>,
    /// The sessions that workers of this server are at, with the epoch of each one's lease.
    pub at_work: Mutex<HashSet<(SessionId, i64)>>,
    /// True when this server has workers.
    pub works: AtomicBool,
    /// Where the branches of open pull requests were when they were looked at last: base and head.
    pub looked_at: Mutex<HashMap<(RepositoryId, i64), Ends>>,
    /// The agent's program, as far as it is trusted.
    pub program: Arc<agent::Program>,
    /// What is done for a step in a simulation.
    #[cfg(feature = "simulation")]
    pub script: Option<Arc<dyn crate::simulation::Script>>,
    mirrors: Mutex<HashMap<RepositoryId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Shared {
    #[expect(clippy::too_many_arguments, reason = "the one place where the parts come together")]
    pub fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        provider: Arc<dyn sandbox::Provider>,
        (forge, git): (forge::LocalForge, forge::Git),
        clock: Arc<dyn Clock>,
        mint: Arc<dyn Mint>,
        keys: Keys,
        (account, owner): (Account, User),
        host: HostId,
    ) -> Self {
        let server = ServerId::new(mint.as_ref());
        let program = Arc::new(agent::Program::new(&settings.agent.claude, settings.agent.sha256));
        Self {
            settings,
            store,
            provider,
            forge,
            git,
            clock,
            mint,
            keys,
            account,
            owner,
            server,
            host,
            stops: Notify::new(),
            down: watch::Sender::new(false),
            generation: None,
            superseded: watch::Sender::new(None),
            at_work: Mutex::default(),
            works: AtomicBool::new(false),
            looked_at: Mutex::new(HashMap::new()),
            program,
            #[cfg(feature = "simulation")]
            script: None,
            mirrors: Mutex::new(HashMap::new()),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn is_going_down(&self) -> bool {
        *self.down.borrow()
    }

    pub fn is_superseded(&self) -> bool {
        self.superseded.borrow().is_some()
    }

    /// Stops everything: a later life of the record began.
    pub fn supersede(&self, why: &str) {
        tracing::error!(why, "this server was superseded and ends");
        self.superseded.send_replace(Some(why.to_owned()));
        self.down.send_replace(true);
        self.stops.notify_waiters();
    }

    /// Where a repository's mirror is.
    pub fn mirror_dir(&self, repository: RepositoryId) -> PathBuf {
        self.settings.data_dir.join("mirrors").join(format!("{repository}.git"))
    }

    /// Where the checked-out trees of a repository's base commits are.
    pub fn bases_dir(&self, repository: RepositoryId) -> PathBuf {
        self.settings.data_dir.join("bases").join(repository.to_string())
    }

    /// Only one task of this server at a time changes a mirror.
    pub async fn lock_mirror(&self, repository: RepositoryId) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = self.mirrors.lock().entry(repository).or_default().clone();
        lock.lock_owned().await
    }

    pub async fn session(&self, number: SessionNumber) -> Result<Session, Problem> {
        self.store.session_numbered(self.account.id, number).await?.ok_or_else(|| {
            Problem::new(ProblemCode::NotFound, format!("there is no session {number}"))
                .mend("look among all sessions, the archived ones too")
                .command("`runyard session list --all` shows all sessions")
        })
    }

    pub async fn repository_of(&self, session: &Session) -> Result<Repository, Problem> {
        self.store.repository(session.repository).await?.ok_or_else(|| {
            Problem::new(ProblemCode::Internal, format!("the repository of {} is gone from the record", session.number))
        })
    }

    /// The user that `who` is, made when they are new; the owner when nobody is named.
    pub async fn user(&self, who: Option<&Person>) -> Result<User, Problem> {
        let Some(person) = who else { return Ok(self.owner.clone()) };
        if person.email == self.owner.email {
            return Ok(self.owner.clone());
        }
        ensure_user(self.store.as_ref(), self.mint.as_ref(), self.account.id, person, Role::Member).await
    }

    pub async fn user_or_owner(&self, id: UserId) -> Result<User, StoreError> {
        Ok(self.store.user_by_id(id).await?.unwrap_or_else(|| self.owner.clone()))
    }
}

/// The name and the text of the specification that came with a session's request.
pub(crate) async fn spec_of(shared: &Shared, session: &Session) -> Result<Option<(String, String)>, StoreError> {
    let Some(spec) = &session.extras.spec else { return Ok(None) };
    let bytes = shared
        .store
        .blob(spec.text)
        .await?
        .ok_or_else(|| StoreError::Missing { what: "specification", id: session.number.to_string() })?;
    Ok(Some((spec.name.clone(), String::from_utf8_lossy(&bytes).into_owned())))
}

/// The user with this mail address, made when there is none.
pub(crate) async fn ensure_user(
    store: &dyn Store,
    mint: &dyn Mint,
    account: AccountId,
    person: &Person,
    role: Role,
) -> Result<User, Problem> {
    let clean = |text: &str| text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect::<String>();
    let (name, email) = (clean(person.name.trim()), clean(person.email.trim()));
    if name.is_empty() || email.is_empty() {
        return Err(Problem::new(ProblemCode::BadRequest, "a person needs a name and a mail address")
            .mend("set user.name and user.email in runyard.toml, or configure git's"));
    }
    Ok(store.user(&User { id: UserId::new(mint), account, name, email, role }).await?)
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Fenced { .. }
            | StoreError::Stale { .. }
            | StoreError::Refused(_)
            | StoreError::LastAdmin
            | StoreError::Conflict { .. } => ProblemCode::Conflict,
            StoreError::Missing { .. } => ProblemCode::NotFound,
            StoreError::Version(_) => ProblemCode::Environment,
            StoreError::Database { .. } if error.is_full() => ProblemCode::Environment,
            StoreError::Damaged { .. } | StoreError::Database { .. } => ProblemCode::Internal,
        };
        let mut message = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        let clash = matches!(error, StoreError::Stale { .. } | StoreError::Refused(_));
        let mend = error.is_full().then(|| "make room on the disk of the database, and ask again".to_owned());
        Self { mend, clash, ..Self::new(code, message) }
    }
}
