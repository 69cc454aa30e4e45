//! A backend with one session, which notes who asked for what.

use crate::world::ACCOUNT;
use async_trait::async_trait;
use domain::{
    AccountId, Budget, Event, EventPayload, Knowledge, KnowledgeId, Mode, NoteLevel, Persona, PersonaRole, Piece,
    PrMode, Repository, RepositoryId, RunbookVersion, Session, SessionId, SessionNumber, StepId, StepState, Timestamp,
    Usage, UserId, VersionStep,
};
use engine::{
    Backend, Command, LearningLine, Learnings, NewKnowledge, Person, Phase, Problem, ProblemCode, Reply, SessionLine,
    SessionView, StepView,
};
use futures::stream::{BoxStream, StreamExt as _};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use store::{Audit as _, MemoryStore, Store as _};
use tokio::sync::watch;
use uuid::Uuid;

/// One session, `r/1`, and its events.
pub struct StandIn {
    pub asked: Mutex<Vec<(Option<String>, Command)>>,
    store: Arc<MemoryStore>,
    /// What is different about the session.
    pub twist: Mutex<fn(&mut SessionView)>,
    /// How often its events were followed.
    pub followed: AtomicUsize,
    events: Mutex<Vec<Event>>,
    changed: watch::Sender<()>,
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

impl StandIn {
    pub fn new(store: Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            store,
            twist: Mutex::new(|_| {}),
            followed: AtomicUsize::new(0),
            events: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    /// What changes something changes something: who does it is written down with it, as the engine does.
    async fn change_something(&self, command: &Command) {
        if command.told().is_none() {
            return;
        }
        let number = self.asked.lock().expect("no test panicked").len();
        let new = Repository {
            id: RepositoryId(id(1000 + number as u128)),
            account: ACCOUNT,
            name: format!("changed {number}"),
            forge: "local".to_owned(),
            location: format!("/srv/{number}"),
        };
        self.store.add_repository(&new).await.expect("changes");
    }

    /// Something happens in the session.
    pub fn happen(&self, text: &str) {
        let mut events = self.events.lock().expect("no test panicked");
        let number = i64::try_from(events.len()).expect("few") + 1;
        let payload = EventPayload::Note { level: NoteLevel::Info, text: text.to_owned() }.into();
        events.push(Event { session: SessionId(id(1)), number, at: Timestamp(number), payload });
        drop(events);
        self.changed.send_replace(());
    }

    /// The session as it is seen.
    pub fn view(&self) -> SessionView {
        let last_event = i64::try_from(self.events.lock().expect("no test panicked").len()).expect("few");
        let step = |n, number: &str, title: &str, leaf| VersionStep {
            id: StepId(id(n)),
            number: number.to_owned(),
            title: title.to_owned(),
            leaf,
        };
        let seen = |step: &VersionStep| StepView {
            id: step.id,
            number: step.number.clone(),
            title: step.title.clone(),
            leaf: step.leaf,
            state: StepState::NotStarted,
            skip: None,
            usage: Usage::default(),
            pull_request: None,
            seconds: 0,
        };
        let steps = vec![step(50, "1", "Schema", false), step(51, "1.1", "Add the schema", true)];
        let mut view = SessionView {
            session: Session {
                id: SessionId(id(1)),
                number: SessionNumber(1),
                account: AccountId(id(2)),
                repository: RepositoryId(id(3)),
                requester: UserId(id(4)),
                title: "Add a schema".to_owned(),
                prompt: "Add a schema, please".to_owned(),
                mode: Mode::Standard,
                pr_mode: PrMode::StackedPr,
                draft: false,
                labels: vec!["api".to_owned()],
                extras: domain::Extras::default(),
                target_branch: "main".parse().expect("a branch"),
                base: "0".repeat(40).parse().expect("a commit"),
                budget: Budget::default(),
                run_budget: Budget::default(),
                agent_session: id(5),
                version: 1,
                last_event,
                usage: Usage { cache_read: 5_000_000_000, ..Usage::default() },
                archived: false,
                created_at: Timestamp(0),
            },
            repository: "shop".to_owned(),
            phase: Phase::Planned,
            steps: steps.iter().map(seen).collect(),
            runbook: Some(version(steps)),
            queue: Vec::new(),
            runs: Vec::new(),
            kinds: HashMap::new(),
            worked_ms: 61_000,
            changes: Vec::new(),
            open_requests: Vec::new(),
            sandbox: None,
            persona: None,
            knowledge: Vec::new(),
        };
        let twist = *self.twist.lock().expect("no test panicked");
        twist(&mut view);
        view
    }
}

fn version(steps: Vec<VersionStep>) -> RunbookVersion {
    RunbookVersion {
        session: SessionId(id(1)),
        version: 1,
        text: "# Add a schema\n\n## Step 1: Schema\n\n### 1.1: Add the schema\n\nDo it.\n".to_owned(),
        steps,
        author: None,
        restores: None,
        created_at: Timestamp(0),
    }
}

fn learning() -> Knowledge {
    let piece = Piece::Learning(domain::Learning {
        pattern: "The tests hang".to_owned(),
        solution: "Start the database first".to_owned(),
        applies_to: vec!["pytest".to_owned()],
        repositories: vec!["shop".to_owned()],
        state: domain::LearningState::Proposed,
    });
    Knowledge { id: KnowledgeId(id(61)), owner: None, author: None, piece, ..persona() }
}

fn lesson() -> domain::Lesson {
    domain::Lesson {
        learning: KnowledgeId(id(61)),
        session: SessionId(id(1)),
        number: SessionNumber(1),
        run: domain::RunId(id(62)),
        moment: domain::Moment::ReviewAddressed,
        at: Timestamp(0),
    }
}

/// A persona that is whoever's who asks.
fn persona() -> Knowledge {
    Knowledge {
        id: KnowledgeId(id(60)),
        account: AccountId(id(2)),
        owner: Some(UserId(id(4))),
        version: 1,
        piece: Piece::Persona(Persona {
            name: "Mine".to_owned(),
            role: PersonaRole::Custom,
            instructions: "Be brief.".to_owned(),
            default: false,
        }),
        author: None,
        created_at: Timestamp(0),
        changed_at: Timestamp(0),
        used: 0,
        used_at: None,
    }
}

fn nothing(what: &str) -> Problem {
    Problem::new(ProblemCode::NotFound, format!("there is no {what}"))
}

#[async_trait]
impl Backend for StandIn {
    async fn call(&self, who: Option<&Person>, command: Command) -> Result<Reply, Problem> {
        self.change_something(&command).await;
        let known = |number: SessionNumber| if number.0 == 1 { Ok(()) } else { Err(nothing("session")) };
        let reply = match &command {
            Command::Repositories => Ok(Reply::Repositories(vec![Repository {
                id: RepositoryId(id(3)),
                account: AccountId(id(2)),
                name: "shop".to_owned(),
                forge: "local".to_owned(),
                location: "/srv/shop".to_owned(),
            }])),
            Command::AddRepository { path, .. } => Err(nothing(path)),
            Command::CreateSession(_) | Command::Clone { .. } => {
                Ok(Reply::Created { session: Box::new(self.view().session), warnings: vec!["careful".to_owned()] })
            }
            Command::Sessions { limit, before, .. } => {
                let top = before.map_or(7, |before| before.0 - 1);
                let lines = (1..=top).rev().take(usize::try_from(*limit).expect("few")).map(|number| SessionLine {
                    number: SessionNumber(number),
                    title: format!("Session {number}"),
                    repository: "shop".to_owned(),
                    phase: Phase::Planned,
                    completed: 0,
                    total: 1,
                    cost: Usage::default().cost,
                    created_at: Timestamp(number),
                    archived: false,
                });
                Ok(Reply::Sessions(lines.collect()))
            }
            Command::Overview(wanted) if wanted.repository != "shop" => Err(nothing("repository")),
            Command::Overview(wanted) => {
                let shown = wanted.skip == 0 && wanted.branch.is_none() && wanted.archived != Some(true);
                Ok(Reply::Overview(shown.then(|| self.view()).into_iter().collect()))
            }
            Command::Spec { session } => known(*session).map(|()| Reply::Text("# Spec\n".to_owned())),
            Command::FollowUp { session, expected, .. } => known(*session).and_then(|()| match expected {
                None | Some(1) => Ok(Reply::Queued(vec!["answer".to_owned()])),
                Some(expected) => {
                    let mut problem =
                        Problem::new(ProblemCode::Conflict, format!("there is version 1, not {expected}"));
                    problem.current_version = Some(1);
                    Err(problem)
                }
            }),
            Command::Session { session } => known(*session).map(|()| Reply::Session(Box::new(self.view()))),
            Command::Events { session, after, limit } => known(*session).map(|()| {
                let events = self.events.lock().expect("no test panicked");
                let found = events.iter().filter(|event| event.number > *after);
                Reply::Events(found.take(usize::try_from(*limit).expect("few")).cloned().collect())
            }),
            Command::FindEvents { session, after, limit, .. } => known(*session).map(|()| {
                let events = self.events.lock().expect("no test panicked");
                let found = events.iter().filter(|event| event.number > *after);
                let found: Vec<_> = found.take(usize::try_from(*limit).expect("few")).cloned().collect();
                let reached = found.last().map_or(*after, |event| event.number);
                Reply::Found { events: found, reached, more: false }
            }),
            Command::Versions { session } => known(*session).map(|()| Reply::Versions(vec![version(Vec::new())])),
            Command::Edit { session, expected, .. } => match (known(*session), expected) {
                (Err(problem), _) => Err(problem),
                (Ok(()), 1) => Ok(Reply::Version(Box::new(version(Vec::new())))),
                _ => Err(Problem::new(ProblemCode::Conflict, "there is a newer version: 1").mend("read it first")),
            },
            Command::Restore { session, .. } => known(*session).map(|()| Reply::Version(Box::new(version(Vec::new())))),
            Command::Message { session, .. }
            | Command::Execute { session, .. }
            | Command::Retry { session, .. }
            | Command::Revert { session, .. } => known(*session).map(|()| Reply::Queued(vec!["1.1".to_owned()])),
            Command::Stop { session } => {
                known(*session).map(|()| Reply::Stopped { running: None, removed: Vec::new() })
            }
            Command::Answer { session, .. }
            | Command::MarkDone { session, .. }
            | Command::SkipStep { session, .. }
            | Command::UnskipStep { session, .. }
            | Command::Cancel { session, .. }
            | Command::Budget { session, .. }
            | Command::Rename { session, .. }
            | Command::Archive { session, .. }
            | Command::SwitchPersona { session, .. } => known(*session).map(|()| Reply::Done),
            Command::Diff { .. } => Err(nothing("change")),
            Command::PullRequest { .. }
            | Command::PullRequests { .. }
            | Command::PullRequestDiff { .. }
            | Command::PullRequestComment { .. }
            | Command::PullRequestReady { .. }
            | Command::PullRequestRevise { .. }
            | Command::Merge { .. } => Err(nothing("pull request")),
            Command::Knowledge { .. } => Ok(Reply::Knowledge(vec![persona()])),
            Command::Learnings(filter) => {
                let line = LearningLine { known: learning(), lessons: vec![lesson()] };
                let lines = if filter.skip == 0 { vec![line] } else { Vec::new() };
                Ok(Reply::Learnings(Learnings { lines, found: 1, proposed: 1 }))
            }
            Command::AddKnowledge(NewKnowledge { piece: Piece::Learning(_), .. }) => {
                Ok(Reply::Piece(Box::new(learning())))
            }
            Command::AddKnowledge(_) => Ok(Reply::Piece(Box::new(persona()))),
            Command::ChangeKnowledge { .. } | Command::RemoveKnowledge { .. } => Err(nothing("such piece")),
            Command::Audit { filter, page, limit } => {
                let found = self.store.audit(ACCOUNT, filter, *page, *limit).await;
                Ok(Reply::Audit(found.expect("reads")))
            }
            Command::VerifyAudit { noted } => {
                Ok(Reply::AuditVerdict(self.store.verify_audit(ACCOUNT, *noted).await.expect("looks")))
            }
            Command::Output { .. }
            | Command::Secrets
            | Command::PutSecret { .. }
            | Command::RemoveSecret { .. }
            | Command::ResealSecrets => Err(nothing("such thing here")),
        };
        self.asked.lock().expect("no test panicked").push((who.map(|who| who.email.clone()), command));
        reply
    }

    fn follow(self: Arc<Self>, _: SessionNumber, after: i64) -> BoxStream<'static, Result<Event, Problem>> {
        let changed = self.changed.subscribe();
        self.followed.fetch_add(1, Ordering::Relaxed);
        futures::stream::unfold((self, changed, after), |(stand_in, mut changed, seen)| async move {
            loop {
                let next =
                    stand_in.events.lock().expect("no test panicked").iter().find(|event| event.number > seen).cloned();
                if let Some(event) = next {
                    let number = event.number;
                    return Some((Ok(event), (stand_in, changed, number)));
                }
                changed.changed().await.ok()?;
            }
        })
        .boxed()
    }
}
