//! A house for tests: a real repository, one record, and servers with data directories of their own, whose work is done
//! step by step.

mod arranged;
mod brought;
mod given_up;
mod learned;
mod left_over;
mod lost_notes;
mod overtaken;
mod repeated;
mod told;

use crate::{
    AgentSettings, Settings, ToolRules, context::Context, nowhere::Nowhere, people, shared::Shared, vault::Keys,
};
use domain::{
    Account, AccountId, ActionKind, Budget, Change, Clock, CommitId, HostId, Mint, Mode, PrMode, Repository,
    RepositoryId, Role, Run, Session, SessionId, SessionNumber, StepEvent, StepState, SystemMint, Timestamp, Usage,
    User, UserId,
};
use parking_lot::Mutex;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};
use store::{ClaimLimits, Fence, MemoryStore, Store, Write};
use tokio::sync::watch;

pub(crate) use crate::context::LetGo;

/// How long a lease must be silent here.
pub(crate) const LEASE: Duration = Duration::from_secs(15);

/// Time that goes on when a test says so.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    passed: Mutex<Duration>,
    set_forward: Mutex<Duration>,
}

impl Hands {
    pub fn turn(&self, by: Duration) {
        *self.passed.lock() += by;
    }

    /// Somebody sets the wall clock; no time passes.
    pub fn set_forward(&self, by: Duration) {
        *self.set_forward.lock() += by;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000_000).after(*self.passed.lock() + *self.set_forward.lock())
    }

    fn monotonic(&self) -> Duration {
        *self.passed.lock()
    }
}

pub(crate) struct House {
    dir: tempfile::TempDir,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<Hands>,
    account: Account,
    owner: User,
    repository: Repository,
}

impl House {
    /// A repository with a first commit on `main`.
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mint = SystemMint;
        let store = Arc::new(MemoryStore::new());
        let account = Account { id: AccountId::new(&mint), name: "default".to_owned() };
        let (name, email) = ("Ada".to_owned(), "ada@example.org".to_owned());
        let owner = User { id: UserId::new(&mint), account: account.id, name, email, role: Role::Admin };
        let location = dir.path().join("repository");
        let repository = Repository {
            id: RepositoryId::new(&mint),
            account: account.id,
            name: "files".to_owned(),
            forge: "local".to_owned(),
            location: location.to_str().expect("text").to_owned(),
        };
        store.account(&account).await.expect("an account");
        store.user(&owner).await.expect("a person");
        store.add_repository(&repository).await.expect("a repository");
        let house = Self { dir, store, clock: Arc::default(), account, owner, repository };
        std::fs::create_dir(&location).expect("a directory");
        house.git(&["init", "-q", "-b", "main", "."]);
        house.git(&["commit", "-q", "--allow-empty", "-m", "Begin"]);
        house.git(&["checkout", "-q", "--detach"]);
        house
    }

    fn command(at: &Path) -> Command {
        let mut command = Command::new("git");
        command.current_dir(at).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Pat").env(format!("GIT_{role}_EMAIL"), "pat@example.org");
        }
        command
    }

    fn said(command: &mut Command) -> String {
        let output = command.output().expect("git starts");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Git as a person uses it, in the repository.
    pub fn git(&self, args: &[&str]) -> String {
        Self::said(Self::command(Path::new(&self.repository.location)).args(args))
    }

    /// The commit of a branch of the repository; nothing when there is no such branch.
    pub fn tip(&self, branch: &str) -> Option<CommitId> {
        let listed = self.git(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")]);
        (!listed.is_empty()).then(|| listed.parse().expect("an id"))
    }

    /// A server with a data directory of its own.
    pub async fn server(&self, name: &str) -> Arc<Shared> {
        let data_dir = self.dir.path().join(name);
        std::fs::create_dir_all(&data_dir).expect("a directory");
        let git = forge::Git::new("git", &data_dir.join("git")).await.expect("git");
        let forge = forge::LocalForge::new(git.clone(), self.store.clone(), self.clock.clone());
        let people = (self.account.clone(), self.owner.clone());
        let mint: Arc<dyn Mint> = Arc::new(SystemMint);
        let host = HostId::new(mint.as_ref());
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let settings = settings(data_dir);
        Arc::new(Shared::new(settings, store, Arc::new(Nowhere), (forge, git), clock, mint, Keys::none(), people, host))
    }

    /// A session whose runbook has `steps` steps, all of them queued.
    pub async fn session(&self, steps: usize) -> Session {
        self.session_in(PrMode::StackedPr, steps).await
    }

    /// The same of somebody who asks as much as `mode` says.
    pub async fn session_of(&self, mode: Mode, steps: usize) -> Session {
        self.session_with(mode, PrMode::StackedPr, steps).await
    }

    /// The same with another way to make pull requests.
    pub async fn session_in(&self, pr_mode: PrMode, steps: usize) -> Session {
        self.session_with(Mode::Standard, pr_mode, steps).await
    }

    async fn session_with(&self, mode: Mode, pr_mode: PrMode, steps: usize) -> Session {
        let mint = SystemMint;
        let session = Session {
            id: SessionId::new(&mint),
            number: SessionNumber(0),
            account: self.account.id,
            repository: self.repository.id,
            requester: self.owner.id,
            title: "Files".to_owned(),
            prompt: "Write files".to_owned(),
            mode,
            pr_mode,
            draft: false,
            labels: Vec::new(),
            extras: domain::Extras::default(),
            target_branch: "main".parse().expect("a branch"),
            base: self.tip("main").expect("a commit"),
            budget: Budget::default(),
            run_budget: Budget::default(),
            agent_session: mint.uuid(),
            version: 0,
            last_event: 0,
            usage: Usage::default(),
            archived: false,
            created_at: self.clock.now(),
        };
        let now = self.clock.now();
        let session = self.store.create_session(&session, &[], &[], now).await.expect("a session");
        let mut text = "# Runbook: Files\n\n## Execution Steps\n".to_owned();
        text.extend((1..=steps).map(|step| format!("\n### Step {step}: Write file {step}\n- `{step}.txt`\n")));
        let document = runbook::Document::parse(text.as_str());
        let (version, fresh) = people::version_of(&mint, &session, None, &document, None, now);
        let leaves: Vec<_> = version.leaves().map(|leaf| leaf.id).collect();
        assert_eq!(leaves.len(), steps, "{version:?}");
        let mut writes = vec![Write::AddRunbook(version, fresh)];
        let shared = self.server("people").await;
        for (place, id) in (0..).zip(leaves) {
            let kind = ActionKind::ExecuteStep { step: id, version: 1 };
            writes.push(Write::Step { id, from: StepState::NotStarted, event: StepEvent::Queue });
            writes.push(Write::Enqueue(crate::queue::queued(&shared, &session, &[], place, kind, None)));
        }
        self.store.commit(session.id, Fence::Open, &writes, &[], now).await.expect("queued");
        self.store.session(session.id).await.expect("read").expect("there")
    }

    /// What a worker of `shared` claims, with the signal that tells it to let go.
    pub async fn claim(&self, shared: &Arc<Shared>) -> (Arc<Context>, watch::Sender<LetGo>) {
        let limits = ClaimLimits { per_account: i64::MAX };
        let claim = self.store.claim(shared.server, limits, self.clock.now()).await.expect("asked");
        let (signal, let_go) = watch::channel(LetGo::No);
        let context = Context::new(shared.clone(), claim.expect("something to do"), self.owner.clone(), let_go);
        (Arc::new(context), signal)
    }

    /// The server that holds the session is given up.
    pub async fn expire(&self, session: &Session) {
        let lease = self.store.lease(session.id).await.expect("read").expect("held");
        assert!(self.store.expire(session.id, lease, self.clock.now()).await.expect("asked"));
    }

    /// What the worker does when it is done with an action.
    pub async fn store_release(&self, context: &Context) {
        self.store.release(context.session.id, context.lease.owner, context.lease.epoch).await.expect("given back");
    }

    pub fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub async fn runs(&self, session: &Session) -> Vec<Run> {
        self.store.runs(session.id).await.expect("read")
    }

    pub async fn changes(&self, session: &Session) -> Vec<Change> {
        self.store.changes(session.id).await.expect("read")
    }

    /// The states of the steps, in the order of the runbook.
    pub async fn states(&self, session: &Session) -> Vec<StepState> {
        let version = self.store.runbook(session.id, None).await.expect("read").expect("there");
        let steps = self.store.steps(session.id).await.expect("read");
        let state = |id| steps.iter().find(|step| step.id == id).map(|step| step.state);
        version.leaves().filter_map(|leaf| state(leaf.id)).collect()
    }

    /// What the session's log says in words.
    pub async fn notes(&self, session: &Session) -> Vec<String> {
        let events = self.store.events(session.id, 0, i64::MAX).await.expect("read");
        let text = |event: domain::Event| match event.payload {
            domain::Payload::Known(domain::EventPayload::Note { text, .. }) => Some(text),
            _ => None,
        };
        events.into_iter().filter_map(text).collect()
    }

    /// The tree of `base` with one more file, in this server's mirror and nowhere else.
    pub async fn tree_with(&self, context: &Context, base: &CommitId, name: &str) -> CommitId {
        let mirror = context.mirror().await.expect("a mirror");
        context.shared.forge_fetch(context).await;
        let at = mirror.git_dir();
        let file = self.dir.path().join(name);
        std::fs::write(&file, name).expect("a file");
        let blob = Self::said(Self::command(&at).args(["hash-object", "-w"]).arg(&file));
        let index = self.dir.path().join(format!("{name}.index"));
        let with_index = |args: &[&str]| Self::said(Self::command(&at).env("GIT_INDEX_FILE", &index).args(args));
        with_index(&["read-tree", base.as_str()]);
        with_index(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},{name}")]);
        with_index(&["write-tree"]).parse().expect("a tree")
    }
}

impl Shared {
    /// Brings the mirror of the session's repository up to date.
    async fn forge_fetch(&self, context: &Context) {
        let (repository, mirror) = (context.repository().await.expect("one"), context.mirror().await.expect("one"));
        forge::Forge::fetch(&self.forge, &repository, &mirror).await.expect("fetched");
    }
}

fn settings(data_dir: PathBuf) -> Settings {
    let rules = ToolRules::default();
    Settings {
        data_dir,
        workers: 1,
        per_account: i64::MAX,
        beat: Duration::from_secs(5),
        lease: LEASE,
        sandbox_idle: Duration::from_mins(30),
        pr_mode: PrMode::StackedPr,
        draft: false,
        run_budget: Budget::default(),
        session_budget: Budget::default(),
        pre_execution_every_step: false,
        pre_execution_timeout: Duration::from_mins(1),
        check_timeout: Duration::from_mins(1),
        check_output: 1 << 20,
        check_retries: 0,
        hold: Duration::from_mins(2),
        silence: Duration::from_mins(15),
        transient_retries: 3,
        backoff: Duration::from_mins(1),
        backoff_cap: Duration::from_mins(10),
        agent_attribution: false,
        public_url: None,
        agent: AgentSettings {
            claude: "/nonexistent".into(),
            sha256: None,
            model: None,
            base_url: "http://127.0.0.1:9".to_owned(),
            retries: 0,
            planning: rules.clone(),
            execution: rules,
        },
    }
}
