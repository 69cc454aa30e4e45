//! The model's things as rows of the store.

use crate::model::{self, Owner, Put, Record, STEPS};
use domain::{
    Account, AccountId, Action, ActionId, ActionKind, ActionState, BranchName, Budget, Change, ChangeId, ChangeKey,
    ChangeState, CommitId, Completion, Failure, Mode, PrMode, Repository, RepositoryId, Role, Run, RunEvent, RunId,
    RunState, RunbookVersion, ServerId, Session, SessionId, SessionNumber, StepEvent, StepId, StepState, Timestamp,
    Usage, User, UserId, VersionStep,
};
use store::{Fence, Store, StoreError, Write};
use uuid::Uuid;

/// One session's ids.
pub(super) struct Rows {
    number: u32,
    pub session: SessionId,
}

fn fits(name: &str) -> BranchName {
    name.parse().expect("a fixed name is one of a branch")
}

fn commit_id(commit: Option<model::Commit>) -> CommitId {
    let digits = commit.map_or(0, |commit| (u32::from(commit.run) + 1) << 8 | u32::from(commit.by));
    format!("{digits:040x}").parse().expect("forty hexadecimal digits")
}

impl Rows {
    pub fn new(number: u32) -> Self {
        Self { number, session: SessionId(Self::uuid(number, 1, 0)) }
    }

    fn uuid(number: u32, kind: u8, n: u32) -> Uuid {
        Uuid::from_u128(1 << 127 | u128::from(kind) << 96 | u128::from(number) << 32 | u128::from(n))
    }

    fn id(&self, kind: u8, n: impl Into<u32>) -> Uuid {
        Self::uuid(self.number, kind, n.into())
    }

    pub fn server(&self, owner: Owner) -> ServerId {
        ServerId(self.id(2, u32::from(owner.server) << 8 | u32::from(owner.life)))
    }

    fn action(&self, step: u8) -> ActionId {
        ActionId(self.id(3, step))
    }

    fn step(&self, step: u8) -> StepId {
        StepId(self.id(4, step))
    }

    fn run(&self, run: u8) -> RunId {
        RunId(self.id(5, run))
    }

    /// An account of its own with a session, two steps and the actions that execute them.
    pub async fn settle(&self, store: &dyn Store) -> Result<(), StoreError> {
        let account = AccountId(self.id(6, 0_u32));
        let (user, repository) = (UserId(self.id(7, 0_u32)), RepositoryId(self.id(8, 0_u32)));
        store.account(&Account { id: account, name: format!("account {}", self.number) }).await?;
        let (name, email) = ("Ada".to_owned(), "ada@example.org".to_owned());
        store.user(&User { id: user, account, name, email, role: Role::Admin }).await?;
        let (name, location) = ("engine".to_owned(), format!("/srv/git/{}", self.number));
        let forge = "local".to_owned();
        store.add_repository(&Repository { id: repository, account, name, forge, location }).await?;
        let session = Session {
            id: self.session,
            number: SessionNumber(0),
            account,
            repository,
            requester: user,
            title: "replayed".to_owned(),
            prompt: "Add an index".to_owned(),
            mode: Mode::Standard,
            pr_mode: PrMode::SinglePr,
            draft: false,
            labels: Vec::new(),
            extras: domain::Extras::default(),
            target_branch: fits("main"),
            base: commit_id(None),
            budget: Budget::default(),
            run_budget: Budget::default(),
            agent_session: self.id(9, 0_u32),
            version: 0,
            last_event: 0,
            usage: Usage::default(),
            archived: false,
            created_at: Timestamp(i64::from(self.number)),
        };
        store.create_session(&session, &[], &[], Timestamp(0)).await?;
        let steps: Vec<u8> = (0..STEPS).filter_map(|step| u8::try_from(step).ok()).collect();
        let version = RunbookVersion {
            session: self.session,
            version: 1,
            text: "# Version 1\n".to_owned(),
            steps: steps.iter().map(|step| self.version_step(*step)).collect(),
            author: None,
            restores: None,
            created_at: Timestamp(0),
        };
        let leaves = steps.iter().map(|step| (self.step(*step), self.id(10, *step))).collect();
        let mut writes =
            vec![Write::AddRunbook(version, leaves), Write::PutChange(self.change(model::Change::default()))];
        for step in steps {
            let id = self.step(step);
            writes.push(Write::Step { id, from: StepState::NotStarted, event: StepEvent::Queue });
            writes.push(Write::Enqueue(Action {
                id: self.action(step),
                session: self.session,
                position: i64::from(step),
                kind: ActionKind::ExecuteStep { step: id, version: 1 },
                state: ActionState::Queued,
                attempts: 0,
                handed_back: 0,
                stop_requested: false,
                requested_by: None,
                created_at: Timestamp(0),
                not_before: Timestamp(0),
            }));
        }
        store.commit(self.session, Fence::Open, &writes, &[], Timestamp(0)).await.map(drop)
    }

    fn version_step(&self, step: u8) -> VersionStep {
        let number = (u32::from(step) + 1).to_string();
        VersionStep { id: self.step(step), title: format!("step {number}"), number, leaf: true }
    }

    fn change(&self, change: model::Change) -> Change {
        Change {
            id: ChangeId(self.id(11, 0_u32)),
            session: self.session,
            key: ChangeKey::Session,
            position: 0,
            branch: fits("runyard/r-1/all"),
            base_branch: fits("main"),
            base: commit_id(None),
            head: commit_id(change.head),
            pushed: change.pushed.map(|commit| commit_id(Some(commit))),
            state: if change.pull_request { ChangeState::Open } else { ChangeState::Branch },
            pull_request: change.pull_request.then_some(1),
            title: "all".to_owned(),
            steps: Vec::new(),
            version: 1,
        }
    }

    /// The writes that a worker makes of what it has read.
    pub async fn writes(&self, store: &dyn Store, puts: &[Put]) -> Result<Vec<Write>, StoreError> {
        let steps = store.steps(self.session).await?;
        let fail = |id| Write::Run {
            id,
            from: RunState::Running,
            event: RunEvent::Fail(Failure::Error),
            message: Some("lost".to_owned()),
        };
        let one = |put: &Put| match *put {
            Put::AddRun(run, step) => Write::AddRun(Run {
                id: self.run(run),
                session: self.session,
                action: self.action(step),
                step: Some(self.step(step)),
                state: RunState::Running,
                version: Some(1),
                agent_session: self.id(10, step),
                base: Some(commit_id(None)),
                commit: None,
                message: None,
                usage: Usage::default(),
                started_at: Timestamp(i64::from(run)),
                finished_at: None,
            }),
            Put::FailRun(run) => fail(self.run(run)),
            Put::SucceedRun(run) => {
                Write::Run { id: self.run(run), from: RunState::Running, event: RunEvent::Succeed, message: None }
            }
            Put::Commit(run, commit) => Write::RunCommit(self.run(run), commit_id(Some(commit))),
            Put::Change(change) => Write::PutChange(self.change(change)),
            Put::Step(step, _, to) => {
                let id = self.step(step);
                let from = steps.iter().find(|row| row.id == id).map_or(StepState::NotStarted, |row| row.state);
                let event = match to {
                    model::StepState::NotStarted => StepEvent::Dequeue,
                    model::StepState::Queued => StepEvent::Queue,
                    model::StepState::InProgress => StepEvent::Start,
                    model::StepState::Completed => StepEvent::Complete(Completion::Changed),
                    model::StepState::Poisoned => StepEvent::Fail(Failure::Poison),
                };
                Write::Step { id, from, event }
            }
            Put::Action(step, from, to) => Write::Action {
                id: self.action(step),
                from: action_state(from),
                to: action_state(to),
                not_before: None,
                handed_back: from == model::ActionState::Running,
            },
        };
        Ok(puts.iter().map(one).collect())
    }

    /// What the store holds otherwise than the model, if anything.
    pub async fn differences(&self, store: &dyn Store, record: &Record) -> Result<Option<String>, StoreError> {
        let nobody = ServerId(Uuid::nil());
        let lease = store.lease(self.session).await?.map(|lease| (lease.owner, lease.epoch, lease.beat));
        let owner = record.lease.owner.map_or(nobody, |owner| self.server(owner));
        let expected = (owner, i64::from(record.lease.epoch), i64::from(record.lease.beat));
        if lease.unwrap_or((nobody, 0, 0)) != expected {
            return Ok(Some(format!("the lease is {lease:?}, not {expected:?}")));
        }
        let steps = store.steps(self.session).await?;
        for (index, (expected, queued)) in (0_u8..).zip(record.steps.iter().zip(&record.actions)) {
            let step = steps.iter().find(|row| row.id == self.step(index)).map(|row| row.state);
            if step != Some(step_state(*expected)) {
                return Ok(Some(format!("step {index} is {step:?}, not {expected:?}")));
            }
            let action = store.action(self.action(index)).await?;
            let found = action.as_ref().map(|row| (row.state, row.attempts, row.handed_back));
            let (attempts, handed_back) = (i64::from(queued.attempts), i64::from(queued.handed_back));
            if found != Some((action_state(queued.state), attempts, handed_back)) {
                return Ok(Some(format!("action {index} is {found:?}, not {queued:?}")));
            }
        }
        let runs = store.runs(self.session).await?;
        let found: Vec<_> = runs.iter().map(|run| (run.state, run.commit.clone())).collect();
        let noted = |run: &model::Run| (run_state(run.state), run.commit.map(|commit| commit_id(Some(commit))));
        let expected: Vec<_> = record.runs.iter().map(noted).collect();
        if found != expected {
            return Ok(Some(format!("the runs are {found:?}, not {expected:?}")));
        }
        let change = store.changes(self.session).await?.pop();
        let expected = self.change(record.change);
        Ok((change.as_ref() != Some(&expected)).then(|| format!("the change is {change:?}, not {expected:?}")))
    }
}

fn action_state(state: model::ActionState) -> ActionState {
    match state {
        model::ActionState::Queued => ActionState::Queued,
        model::ActionState::Running => ActionState::Running,
        model::ActionState::Done => ActionState::Done,
        model::ActionState::Removed => ActionState::Removed,
    }
}

fn run_state(state: model::RunState) -> RunState {
    match state {
        model::RunState::Running => RunState::Running,
        model::RunState::Succeeded => RunState::Succeeded,
        model::RunState::Failed => RunState::Failed(Failure::Error),
    }
}

fn step_state(state: model::StepState) -> StepState {
    match state {
        model::StepState::NotStarted => StepState::NotStarted,
        model::StepState::Queued => StepState::Queued,
        model::StepState::InProgress => StepState::InProgress,
        model::StepState::Completed => StepState::Completed(Completion::Changed),
        model::StepState::Poisoned => StepState::Failed(Failure::Poison),
    }
}
