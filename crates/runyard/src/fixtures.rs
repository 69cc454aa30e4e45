//! A made-up session for tests: what it looks like, and the events that led there.

use domain::{
    Actor, Answer, BlobHash, BranchName, Budget, Change, ChangeId, ChangeKey, ChangeState, CheckOutcome, Choice,
    CommitId, Completion, Event, EventPayload as E, ExecId, Failure, MicroUsd, Mode, NoteLevel, Payload, PrMode,
    Question, RepositoryId, Request, RequestId, RequestKind, RequestState, Run, RunId, RunState, RunbookVersion,
    SandboxState, Session, SessionId, SessionNumber, StepId, StepState, Timestamp, ToolKind, Usage, UserId,
    VersionStep,
};
use engine::{Phase, PullRequestLine, PullRequestView, SessionLine, SessionView, StepView};
use std::collections::BTreeMap;
use uuid::Uuid;

pub fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// 2026-11-21 10:02 UTC, and so many seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(1_795_255_320_000_000 + seconds * 1_000_000)
}

fn commit(digit: char) -> CommitId {
    digit.to_string().repeat(40).parse().expect("a commit")
}

fn branch(name: &str) -> BranchName {
    name.parse().expect("a branch")
}

pub fn event(number: i64, seconds: i64, payload: E) -> Event {
    Event { session: SessionId(id(1)), number, at: at(seconds), payload: Payload::Known(payload) }
}

pub fn question() -> RequestKind {
    RequestKind::Question {
        questions: vec![Question {
            question: "Which database?".into(),
            header: "Database".into(),
            options: vec![
                Choice { label: "SQLite".into(), description: "one file".into() },
                Choice { label: "PostgreSQL".into(), description: String::new() },
            ],
            multi_select: false,
        }],
        tool_use_id: "toolu_1".into(),
    }
}

pub fn outcome(exit_code: Option<i32>) -> CheckOutcome {
    CheckOutcome {
        name: "tests".into(),
        command: "bash tests/run.sh".into(),
        exit_code,
        duration_ms: 1234,
        killed: exit_code.is_none().then(|| "timed out after 30 s".into()),
        log: BlobHash::of(b"log"),
        tail: "1 passed\n2 failed: \u{1b}[31mexpected\u{1b}[0m 3\n".into(),
    }
}

fn step_state(n: u128, number: &str, title: &str, state: StepState) -> E {
    E::StepState { step: StepId(id(n)), number: number.into(), title: title.into(), state, why: None }
}

pub fn run_state(run: u128, kind: &str, step: Option<u128>, state: RunState, message: Option<&str>) -> E {
    E::RunState {
        run: RunId(id(run)),
        action: domain::ActionId(id(run + 1000)),
        action_kind: kind.into(),
        step: step.map(|n| StepId(id(n))),
        state,
        message: message.map(str::to_owned),
    }
}

fn tool(call: &str, tool: &str, kind: ToolKind, title: &str) -> E {
    E::ToolStarted {
        run: RunId(id(20)),
        call: call.into(),
        tool: tool.into(),
        kind,
        title: title.into(),
        input: serde_json::Value::Null,
    }
}

fn tool_end(call: &str, ok: bool, output: &str) -> E {
    E::ToolFinished { run: RunId(id(20)), call: call.into(), ok, output: output.into() }
}

fn text(run: u128, delta: &str) -> E {
    E::Text { run: RunId(id(run)), delta: delta.into() }
}

fn usage(run: u128, cost: i64) -> E {
    E::Usage {
        run: RunId(id(run)),
        usage: Usage { input: 10_000, output: 2_340, cost: MicroUsd(cost), ..Usage::default() },
    }
}

/// From the request to a failed check, in order.
pub fn story() -> Vec<Event> {
    let person = Actor::Person(UserId(id(2)));
    let request = RequestId(id(30));
    let change = |state, head, pull_request| E::ChangeState {
        change: ChangeId(id(40)),
        state,
        branch: "runyard/r-42/1-schema".into(),
        head: commit(head),
        pull_request,
        title: "Add the schema".into(),
    };
    let answers = BTreeMap::from([("Which database?".to_owned(), "SQLite".to_owned())]);
    let said = "I look around before I plan, so that every step stands on what is really there.\nThen I ask.";
    let payloads: Vec<(i64, E)> = vec![
        (0, E::Message { from: person, run: None, text: "Add a schema\nand use it".into() }),
        (0, run_state(10, "plan", None, RunState::Running, None)),
        (0, E::SandboxState { state: SandboxState::Creating, detail: String::new() }),
        (1, E::SandboxState { state: SandboxState::Ready, detail: "memory limit per process only".into() }),
        (2, text(10, "I look around before I ")),
        (2, text(10, "plan, so that every step stands on what is really there.\nThen I ")),
        (3, text(10, "ask.")),
        (3, E::Message { from: Actor::Agent, run: Some(RunId(id(10))), text: said.into() }),
        (3, tool("a", "Read", ToolKind::Read, "README.md")),
        (3, tool("b", "Grep", ToolKind::Search, "schema in src")),
        (4, tool_end("a", true, "…")),
        (4, tool_end("b", true, "…")),
        (5, E::Question { request, ask: question() }),
        (5, run_state(10, "plan", None, RunState::Waiting, None)),
        (9, E::Answer { request, from: person, answer: Some(Answer::Answers { answers }) }),
        (9, run_state(10, "plan", None, RunState::Running, None)),
        (20, usage(10, 90_000)),
        (21, E::PlanVersion { version: 1, from: Actor::Agent, leaves: 3, top_level: 2, restores: None }),
        (21, run_state(10, "plan", None, RunState::Succeeded, None)),
        (30, step_state(51, "1.1", "Add schema", StepState::Queued)),
        (30, step_state(52, "1.2", "Use schema", StepState::Queued)),
        (30, step_state(53, "2", "Document it", StepState::Queued)),
        (31, step_state(51, "1.1", "Add schema", StepState::InProgress)),
        (31, run_state(20, "execute_step", Some(51), RunState::Running, None)),
        (32, tool("c", "Edit", ToolKind::Edit, "src/schema.sql")),
        (33, tool_end("c", true, "")),
        (33, tool("d", "Bash", ToolKind::Execute, "cargo test \u{1b}[31mhostile\u{1b}]0;pwned\u{7}")),
        (45, E::Output { run: RunId(id(20)), exec: ExecId(id(60)), from: 0, to: 100 }),
        (53, tool_end("d", false, "error: test failed\nmore")),
        (54, E::CheckResult { run: RunId(id(20)), step: Some(StepId(id(51))), outcome: outcome(Some(0)) }),
        (55, change(ChangeState::Branch, 'a', None)),
        (56, change(ChangeState::Open, 'a', Some(1))),
        (57, usage(20, 120_000)),
        (57, run_state(20, "execute_step", Some(51), RunState::Succeeded, None)),
        (57, step_state(51, "1.1", "Add schema", StepState::Completed(Completion::Changed))),
        (58, step_state(52, "1.2", "Use schema", StepState::InProgress)),
        (58, run_state(21, "execute_step", Some(52), RunState::Running, None)),
        (59, E::Note { level: NoteLevel::Warning, text: "the model is overloaded; trying again in 2s".into() }),
        (70, E::CheckResult { run: RunId(id(21)), step: Some(StepId(id(52))), outcome: outcome(Some(1)) }),
        (
            71,
            run_state(21, "execute_step", Some(52), RunState::Failed(Failure::Check), Some("the check `tests` failed")),
        ),
        (71, step_state(52, "1.2", "Use schema", StepState::Failed(Failure::Check))),
        (71, step_state(53, "2", "Document it", StepState::NotStarted)),
    ];
    let mut events: Vec<Event> =
        (1..).zip(payloads).map(|(n, (seconds, payload))| event(n, seconds, payload)).collect();
    let number = events.last().map_or(1, |last| last.number + 1);
    let future = serde_json::json!({ "type": "from_the_future" });
    events.push(Event { payload: Payload::Unknown(future), ..event(number, 72, usage(1, 0)) });
    events
}

pub fn session() -> Session {
    Session {
        id: SessionId(id(1)),
        number: SessionNumber(42),
        account: domain::AccountId(id(3)),
        repository: RepositoryId(id(4)),
        requester: UserId(id(2)),
        title: "Add a schema".into(),
        prompt: "Add a schema\nand use it".into(),
        mode: Mode::Standard,
        pr_mode: PrMode::StackedPr,
        draft: false,
        labels: Vec::new(),
        extras: domain::Extras::default(),
        target_branch: branch("main"),
        base: commit('0'),
        budget: Budget::default(),
        run_budget: Budget::default(),
        agent_session: id(5),
        version: 1,
        last_event: 43,
        usage: Usage { input: 1_234_567, cost: MicroUsd(420_000), ..Usage::default() },
        archived: false,
        created_at: at(0),
    }
}

fn step(number: &str, title: &str, leaf: bool, state: StepState, pull_request: Option<i64>) -> StepView {
    let cost = MicroUsd(if state.is_completed() { 120_000 } else { 0 });
    let seconds = if state.is_completed() { 26 } else { 0 };
    let usage = Usage { cost, ..Usage::default() };
    let id = StepId(Uuid::nil());
    StepView { id, number: number.into(), title: title.into(), leaf, state, skip: None, usage, pull_request, seconds }
}

/// The session after the story.
pub fn view() -> SessionView {
    let numbered = |n, number: &str, title: &str, leaf| VersionStep {
        id: StepId(id(n)),
        number: number.into(),
        title: title.into(),
        leaf,
    };
    SessionView {
        session: session(),
        repository: "shop".into(),
        phase: Phase::Failed { step: "1.2".into(), reason: Failure::Check },
        runbook: Some(RunbookVersion {
            session: SessionId(id(1)),
            version: 1,
            text: "# Add a schema\n\n## Step 1: Schema\n\n### 1.1: Add schema\n\nDo it.\n".into(),
            steps: vec![numbered(50, "1", "Schema", false), numbered(51, "1.1", "Add schema", true)],
            author: None,
            restores: None,
            created_at: at(21),
        }),
        steps: vec![
            step("1", "Schema", false, StepState::Failed(Failure::Check), None),
            step("1.1", "Add schema", true, StepState::Completed(Completion::Changed), Some(1)),
            step("1.2", "Use schema", true, StepState::Failed(Failure::Check), None),
            step("2", "Document it", true, StepState::NotStarted, None),
        ],
        queue: Vec::new(),
        runs: vec![Run {
            id: RunId(id(20)),
            session: SessionId(id(1)),
            action: domain::ActionId(id(1020)),
            step: Some(StepId(id(51))),
            state: RunState::Succeeded,
            version: Some(1),
            agent_session: id(5),
            base: Some(commit('0')),
            commit: Some(commit('a')),
            message: None,
            usage: Usage::default(),
            started_at: at(31),
            finished_at: Some(at(57)),
        }],
        kinds: std::collections::HashMap::new(),
        worked_ms: 26_000,
        changes: vec![Change {
            id: ChangeId(id(40)),
            session: SessionId(id(1)),
            key: ChangeKey::Step(StepId(id(50))),
            position: 0,
            branch: branch("runyard/r-42/1-schema"),
            base_branch: branch("main"),
            base: commit('0'),
            head: commit('a'),
            pushed: Some(commit('a')),
            state: ChangeState::Open,
            pull_request: Some(1),
            title: "Add the schema".into(),
            steps: vec![StepId(id(51))],
            version: 1,
        }],
        open_requests: vec![open_request()],
        sandbox: Some(SandboxState::Ready),
        persona: None,
        knowledge: Vec::new(),
    }
}

/// An action of this kind in the queue.
pub fn action(kind: domain::ActionKind) -> domain::Action {
    domain::Action {
        id: domain::ActionId(id(1020)),
        session: SessionId(id(1)),
        position: 1,
        kind,
        state: domain::ActionState::Queued,
        attempts: 0,
        handed_back: 0,
        stop_requested: false,
        requested_by: None,
        created_at: at(60),
        not_before: at(60),
    }
}

pub fn open_request() -> Request {
    Request {
        id: RequestId(id(31)),
        session: SessionId(id(1)),
        run: Some(RunId(id(21))),
        kind: RequestKind::Permission {
            tool: "Bash".into(),
            input: serde_json::json!({ "command": "rm -rf build\necho done" }),
            reason: "`rm` asks first".into(),
            tool_use_id: "toolu_2".into(),
        },
        state: RequestState::Open,
        asked_at: at(60),
    }
}

pub fn session_lines() -> Vec<SessionLine> {
    let line = |number, title: &str, phase, completed, archived| SessionLine {
        number: SessionNumber(number),
        title: title.into(),
        repository: "shop".into(),
        phase,
        completed,
        total: 3,
        cost: MicroUsd(420_000),
        created_at: at(0),
        archived,
    };
    vec![
        line(43, "Mend the \u{1b}[5mflaky test", Phase::Executing { step: "1.2".into() }, 1, false),
        line(42, "Add a schema", Phase::Failed { step: "1.2".into(), reason: Failure::Check }, 1, false),
        line(7, "Old", Phase::Completed, 3, true),
    ]
}

pub fn pull_request_view() -> PullRequestView {
    let comment = |n, thread: Option<u128>, body: &str| store::Comment {
        id: id(n),
        author: "Ada".into(),
        body: body.into(),
        thread: thread.map(id),
        created_at: at(100),
    };
    PullRequestView {
        line: PullRequestLine {
            repository: "shop".into(),
            repository_id: RepositoryId(id(4)),
            pull_request: store::PullRequest {
                repository: RepositoryId(id(4)),
                number: 1,
                key: "k".into(),
                title: "Add the schema".into(),
                body: "# What\n\nAdds it.".into(),
                base: branch("main"),
                head: branch("runyard/r-42/1-schema"),
                draft: false,
                labels: vec!["db".into()],
                state: store::PullRequestState::Open,
                merge_commit: None,
                merged_head: None,
                author: "Ada".into(),
                created_at: at(56),
                updated_at: at(56),
            },
            session: Some(SessionNumber(42)),
            steps: vec!["1.1".into()],
            state: Some(ChangeState::Open),
        },
        head: Some(commit('a')),
        commits: vec![(commit('a'), "Add the schema".into())],
        comments: vec![comment(70, None, "Looks good"), comment(71, Some(80), "This can\noverflow")],
        threads: vec![store::Thread {
            id: id(80),
            path: "src/schema.sql".into(),
            line: 7,
            commit: commit('a'),
            resolved: false,
        }],
        checks: vec![store::Check { commit: commit('a'), name: "tests".into(), passed: true, summary: "ok".into() }],
        base: branch("main"),
    }
}
