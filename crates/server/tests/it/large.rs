//! A real engine at rest on a real record, and sessions of any size in it. Also what the benchmark of the page looks at.

use async_trait::async_trait;
use domain::{
    Action, ActionId, ActionKind, ActionState, Budget, Change, ChangeId, ChangeKey, ChangeState, Completion, Event,
    EventPayload, Mode, NoteLevel, PrMode, Repository, RepositoryId, Request, RequestId, RequestKind, RequestState,
    Role, Run, RunEvent, RunId, RunState, RunbookVersion, Session, SessionId, SessionNumber, StepId, SystemClock,
    SystemMint, Timestamp, Usage, User, UserId, VersionStep,
};
use engine::{AgentSettings, Backend, Command, Engine, Parts, Person, Problem, Reply, Secrets, Settings, ToolRules};
use futures::stream::{BoxStream, StreamExt as _};
use std::{fmt::Write as _, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};
use store::{Fence, PullRequest, PullRequestState, PullRequests as _, SqlStore, Store as _, StoreOptions, Write};
use uuid::Uuid;

/// An engine that works on nothing, and its record.
pub struct AtRest {
    pub engine: Arc<Engine>,
    pub store: Arc<SqlStore>,
    pub repository: Repository,
    _folder: tempfile::TempDir,
}

#[async_trait]
impl Backend for AtRest {
    async fn call(&self, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
        self.engine.call(who, command).await
    }

    fn follow(self: Arc<Self>, session: SessionNumber, after: i64) -> BoxStream<'static, Result<Event, Problem>> {
        self.engine.follow(session, after).boxed()
    }
}

/// How much a session holds.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub steps: u32,
    pub events: u32,
    pub people: u32,
    pub versions: u32,
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

impl AtRest {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("its mode");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        let known = secrets::Known::nothing();
        let file = folder.path().join("record.db").display().to_string();
        let store = Arc::new(SqlStore::open(&file, StoreOptions::hiding(known.clone())).await.expect("a record"));
        let keyring = folder.path().join("keyring");
        let secrets = Secrets { key: None, key_name: None, known, vault: store.clone(), keyring };
        let owner = Person { name: "Ada".to_owned(), email: "ada@example.org".to_owned() };
        let engine = Engine::start(Parts {
            settings: settings(&data),
            store: store.clone(),
            secrets,
            clock: Arc::new(SystemClock::new()),
            mint: Arc::new(SystemMint),
            owner,
            sandbox: sandbox::LocalConfig::new(&data),
            alone: true,
            work: false,
        });
        let engine = engine.await.expect("an engine");
        let location = folder.path().join("shop");
        std::fs::create_dir(&location).expect("a folder");
        git(&location, &["init", "-q", "-b", "main"]);
        git(&location, &["commit", "-q", "--allow-empty", "-m", "Begin"]);
        let repository = Repository {
            id: RepositoryId(id(3)),
            account: engine.account(),
            name: "shop".to_owned(),
            forge: "local".to_owned(),
            location: location.to_str().expect("text").to_owned(),
        };
        store.add_repository(&repository).await.expect("a repository");
        Self { engine, store, repository, _folder: folder }
    }

    /// A session of this size that is at rest, with every kind of thing in it; its number.
    pub async fn session(&self, seed: u32, size: Size) -> i64 {
        let of = |kind: u128, n: u32| id((u128::from(seed) << 64) | (kind << 32) | u128::from(n));
        let account = self.engine.account();
        for n in 0..size.people {
            let (name, email) = (format!("Person {seed}.{n}"), format!("p{seed}.{n}@example.org"));
            let user = User { id: UserId(of(1, n)), account, name, email, role: Role::Member };
            self.store.user(&user).await.expect("a person");
        }
        let person = |n: u32| UserId(of(1, n % size.people));
        let now = Timestamp(1_790_000_000_000_000);
        let session = Session {
            id: SessionId(of(2, 0)),
            number: SessionNumber(0),
            account,
            repository: self.repository.id,
            requester: person(0),
            title: "Move every caller".to_owned(),
            prompt: "Move every caller to the new interface".to_owned(),
            mode: Mode::Standard,
            pr_mode: PrMode::StackedPr,
            draft: false,
            labels: vec!["api".to_owned()],
            extras: domain::Extras::default(),
            target_branch: "main".parse().expect("a branch"),
            base: "a".repeat(40).parse().expect("a commit"),
            budget: Budget::default(),
            run_budget: Budget::default(),
            agent_session: of(3, 0),
            version: 0,
            last_event: 0,
            usage: Usage::default(),
            archived: false,
            created_at: now,
        };
        let made = self.store.create_session(&session, &[], &[], now).await.expect("a session");
        let mut text = "# Runbook: Move every caller\n\n## Execution Steps\n".to_owned();
        let step = |n: u32| StepId(of(4, n));
        let mut steps = Vec::new();
        for n in 0..size.steps {
            let title = format!("Move caller {n}");
            let at = n + 1;
            let _ = write!(text, "\n### Step {at}: {title}\nCall the new interface.\n- `src/caller{n}.rs`\n");
            steps.push(VersionStep { id: step(n), number: (n + 1).to_string(), title, leaf: true });
        }
        let mut writes = Vec::new();
        for version in 1..=size.versions {
            let leaves = if version == 1 { (0..size.steps).map(|n| (step(n), of(5, n))).collect() } else { Vec::new() };
            let author = Some(person(version));
            let (text, steps) = (text.clone(), steps.clone());
            let version = i64::from(version);
            let new =
                RunbookVersion { session: session.id, version, text, steps, author, restores: None, created_at: now };
            writes.push(Write::AddRunbook(new, leaves));
        }
        for n in 0..size.steps {
            let (action, run) = (ActionId(of(6, n)), RunId(of(7, n)));
            writes.push(Write::Enqueue(Action {
                id: action,
                session: session.id,
                position: i64::from(n),
                kind: ActionKind::ExecuteStep { step: step(n), version: 1 },
                state: ActionState::Done,
                attempts: 1,
                handed_back: 1,
                stop_requested: false,
                requested_by: Some(person(n)),
                created_at: now,
                not_before: now,
            }));
            writes.push(Write::AddRun(Run {
                id: run,
                session: session.id,
                action,
                step: Some(step(n)),
                state: RunState::Running,
                version: Some(1),
                agent_session: of(5, n),
                base: None,
                commit: None,
                message: None,
                usage: Usage { output: 1000, ..Usage::default() },
                // Three seconds, of which one was waited.
                started_at: Timestamp(now.0 - 3_000_000),
                finished_at: None,
            }));
            let waits = serde_json::json!({ "over": 1_000_000, "since": null });
            writes.push(Write::Journal(format!("waits:{run}"), waits));
            writes.push(Write::Run { id: run, from: RunState::Running, event: RunEvent::Succeed, message: None });
            for (from, event) in [
                (domain::StepState::NotStarted, domain::StepEvent::Queue),
                (domain::StepState::Queued, domain::StepEvent::Start),
                (domain::StepState::InProgress, domain::StepEvent::Complete(Completion::Changed)),
            ] {
                writes.push(Write::Step { id: step(n), from, event });
            }
            let answered = n % 2 == 0;
            let request = RequestId(of(8, n));
            writes.push(Write::AddRequest(Request {
                id: request,
                session: session.id,
                run: Some(run),
                kind: RequestKind::Publish { options: Vec::new() },
                state: RequestState::Open,
                asked_at: now,
            }));
            if answered {
                let state = RequestState::Answered {
                    by: Some(person(n)),
                    via: "page".to_owned(),
                    answer: domain::Answer::Allow,
                };
                writes.push(Write::Request(request, state));
            }
            writes.push(Write::PutChange(self.change(&made, n, (ChangeId(of(9, n)), step(n))).await));
        }
        // So many as the store takes at once with a large session is no matter here.
        for writes in writes.chunks(500) {
            self.store.commit(session.id, Fence::Open, writes, &[], now).await.expect("written");
        }
        let event =
            |n: u32| EventPayload::Note { level: NoteLevel::Info, text: format!("Event {n}: {}", "word ".repeat(30)) };
        let events: Vec<_> = (0..size.events).map(event).collect();
        for events in events.chunks(500) {
            self.store.commit(session.id, Fence::Open, &[], events, now).await.expect("written");
        }
        made.number.0
    }

    /// A change with its open pull request.
    async fn change(&self, session: &Session, n: u32, (change, step): (ChangeId, StepId)) -> Change {
        let branch =
            |n: u32| format!("runyard/r-{}-{n}", session.number.0).parse::<domain::BranchName>().expect("a branch");
        let base = if n == 0 { session.target_branch.clone() } else { branch(n - 1) };
        let new = PullRequest {
            repository: self.repository.id,
            number: 0,
            key: format!("{}/{}", session.id, step),
            title: format!("Move caller {n}"),
            body: "The step's text.".to_owned(),
            base: base.clone(),
            head: branch(n),
            draft: false,
            labels: Vec::new(),
            state: PullRequestState::Open,
            merge_commit: None,
            merged_head: None,
            author: "Ada".to_owned(),
            created_at: session.created_at,
            updated_at: session.created_at,
        };
        let opened = self.store.open_pull_request(&new).await.expect("opened");
        Change {
            id: change,
            session: session.id,
            key: ChangeKey::Step(step),
            position: i64::from(n),
            branch: branch(n),
            base_branch: base,
            base: session.base.clone(),
            head: "b".repeat(40).parse().expect("a commit"),
            pushed: None,
            state: ChangeState::Open,
            pull_request: Some(opened.number),
            title: format!("Move caller {n}"),
            steps: vec![step],
            version: 1,
        }
    }
}

fn git(at: &Path, arguments: &[&str]) {
    let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
    let done = std::process::Command::new("git").current_dir(at).args(who).args(arguments).status();
    assert!(done.expect("git").success(), "{arguments:?}");
}

fn settings(data: &Path) -> Settings {
    Settings {
        data_dir: data.to_owned(),
        workers: 0,
        per_account: 1,
        beat: Duration::from_secs(5),
        lease: Duration::from_secs(15),
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
        transient_retries: 0,
        backoff: Duration::from_secs(1),
        backoff_cap: Duration::from_secs(1),
        agent_attribution: false,
        public_url: None,
        agent: AgentSettings {
            claude: "/nonexistent".into(),
            sha256: None,
            model: None,
            base_url: "http://127.0.0.1:9".to_owned(),
            retries: 0,
            planning: ToolRules::default(),
            execution: ToolRules::default(),
        },
    }
}
