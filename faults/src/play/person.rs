//! What a person wants in a case, said again until it was heard.

use crate::{
    cases::{Case, Scenario},
    control,
    history::{End, History, What},
    play::KEY,
    processes::Watch,
    sink::Told,
};
use anyhow::{Result, bail};
use domain::{Mode, SessionNumber};
use engine::{Command, NewSession, PullRequestRef, Selection};
use product_tests::Repository;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::watch;

const LOOK: Duration = Duration::from_millis(60);
/// The answer to the question of [`Scenario::Asks`].
const COLOUR: &str = "blue";

const NAMES: [&str; 3] = ["one", "two", "three"];

/// How many steps the plan of a case has.
pub fn steps(case: &Case) -> usize {
    match case.scenario {
        Scenario::Review | Scenario::Poison | Scenario::Alone => 2,
        _ => 3,
    }
}

fn runbook(steps: usize) -> String {
    let mut text = "# Runbook: Files\n\nAll are wanted.\n\n## Execution Steps\n".to_owned();
    for (number, name) in (1..).zip(NAMES).take(steps) {
        text += &format!(
            "\n### Step {number}: Write {name}\n- `{name}.txt`\n\n```runnable bash check name={name} timeout=60s\n\
             grep --quiet {number} {name}.txt\n```\n"
        );
    }
    text
}

/// What scripted agents are told.
pub fn told(case: &Case) -> Vec<Told> {
    let (lines, torn, pace) = (case.lines, case.torn, case.pace);
    let orders = |more: Value| {
        let mut orders = json!({"lines": lines, "torn": torn, "pace": pace, "pause": 25});
        for (name, value) in more.as_object().into_iter().flatten() {
            orders[name] = value.clone();
        }
        orders
    };
    let always = |when: &str, orders: Value| Told { when: when.to_owned(), times: usize::MAX, orders };
    let once = |when: &str, orders: Value| Told { when: when.to_owned(), times: 1, orders };
    let mut told = vec![
        always("Make a runbook for this request", orders(json!({"submit": runbook(steps(case))}))),
        always("You have not handed in a runbook", orders(json!({"submit": runbook(steps(case))}))),
        always("want this changed", orders(json!({"write": [["one.txt", "1\nmore\n"]]}))),
    ];
    match case.scenario {
        Scenario::Stopped => {
            told.push(once("Execute step 2", orders(json!({"leave": "98765", "hang": true}))));
        }
        Scenario::Trouble => told.push(once("Execute step 2", orders(json!({"crash": true})))),
        Scenario::Alone => told.push(always("Execute step 1", orders(json!({"leave": "98765", "hang": true})))),
        _ => {}
    }
    for (number, name) in (1..).zip(NAMES) {
        let mut order = json!({"write": [[format!("{name}.txt"), format!("{number}\n")]]});
        if case.scenario == Scenario::Asks && number == 2 {
            order["ask"] = "Which colour?".into();
        }
        told.push(always(&format!("Execute step {number}"), orders(order)));
    }
    told
}

/// What the model tells the real Claude Code, as a script of `scripted-model`.
pub fn script(case: &Case) -> String {
    let call = |name: &str, input: Value| json!({"name": name, "input": input});
    let turn = |say: &str, tools: Vec<Value>| json!({"say": say, "tools": tools});
    let submit = call("mcp__runyard__submit_plan", json!({"runbook": runbook(steps(case))}));
    let mut conversations =
        vec![json!({"name": "plan", "when": {"prompt_contains": "Make a runbook for this request"},
        "turns": [turn("That is enough.", vec![submit]), json!({"say": "The plan is ready."})]})];
    for (number, name) in (1..).zip(NAMES) {
        let input = json!({"file_path": format!("/code/{name}.txt"), "content": format!("{number}\n")});
        conversations.push(json!({"name": format!("step {number}"),
            "when": {"prompt_contains": format!("Execute step {number}")},
            "turns": [turn("I write it.", vec![call("Write", input)]), json!({"say": "It is written."})]}));
    }
    json!({"auxiliary": "A title", "usage": {"input": 1200, "output": 80}, "conversations": conversations}).to_string()
}

/// One who wants something.
pub struct Person<'a> {
    case: &'a Case,
    data: PathBuf,
    repository: &'a Repository,
    history: History,
    lives: watch::Receiver<Option<usize>>,
    session: i64,
    log: Vec<Value>,
    followed: Option<usize>,
}

impl<'a> Person<'a> {
    /// One who has not asked for anything yet.
    pub fn new(
        case: &'a Case,
        data: &Path,
        repository: &'a Repository,
        history: History,
        lives: watch::Receiver<Option<usize>>,
    ) -> Self {
        let data = data.to_owned();
        Self { case, data, repository, history, lives, session: 0, log: Vec::new(), followed: None }
    }

    /// From the request to the end, with a look at the outside.
    pub async fn get_it_done(&mut self) -> Result<()> {
        self.session = self.create().await?;
        self.until(|log| {
            last_run(log, "plan") == Some("succeeded") || log.iter().any(|event| kind(event) == "step_state")
        })
        .await?;
        if self.case.scenario != Scenario::OneShot {
            self.execute().await?;
        }
        if self.case.scenario == Scenario::Stopped {
            self.stop_and_go_on().await?;
        }
        self.finish_steps().await?;
        if self.case.scenario == Scenario::Review {
            self.review().await?;
        }
        self.until_idle().await?;
        let end = self.look_at_the_end().await?;
        self.put_away().await?;
        self.history.note(What::End(End { leftovers: self.leftovers(), leaks: self.leaks(), ..end }));
        Ok(())
    }

    /// Asks whoever is there; none when the server died before it answered.
    async fn ask_once(&mut self, command: &Command) -> Option<Value> {
        let life = self.alive().await;
        control::ask(&self.data, life, &self.history, command).await
    }

    async fn alive(&mut self) -> usize {
        loop {
            let life = *self.lives.borrow_and_update();
            if let Some(life) = life {
                if self.session > 0 && self.followed != Some(life) {
                    self.followed = Some(life);
                    let (data, history, session) = (self.data.clone(), self.history.clone(), self.session);
                    // Every second viewer comes back with what it saw before, the others look at all of it.
                    let after = if life.is_multiple_of(2) { 0 } else { self.seen() };
                    tokio::spawn(async move { control::follow(&data, life, session, after, &history).await });
                }
                return life;
            }
            if self.lives.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn seen(&self) -> i64 {
        i64::try_from(self.log.len()).unwrap_or(0)
    }

    /// Reads what is asked for; again and again until somebody lives long enough to answer.
    async fn read(&mut self, command: &Command) -> Result<Value> {
        loop {
            let life = self.alive().await;
            let quiet = History::default();
            match control::ask(&self.data, life, &quiet, command).await {
                Some(answer) if answer["reply"].is_object() => return Ok(answer["reply"]["value"].clone()),
                // A database that fails as ordered, or a server that goes down.
                Some(_) | None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    async fn create(&mut self) -> Result<i64> {
        let path = self.repository.path().to_string_lossy().into_owned();
        let one_shot = self.case.scenario == Scenario::OneShot;
        let command = Command::CreateSession(NewSession {
            repository: path,
            prompt: "Write files".to_owned(),
            title: None,
            mode: if one_shot { Mode::OneShot } else { Mode::Standard },
            pr_mode: None,
            draft: None,
            labels: Vec::new(),
            target_branch: None,
            budget: domain::Budget::default(),
            requester: None,
        });
        loop {
            let answer = self.ask_once(&command).await;
            if let Some(number) = answer.as_ref().and_then(|it| it["reply"]["value"]["session"]["number"].as_i64()) {
                return Ok(number);
            }
            tokio::time::sleep(LOOK).await;
            // What was not acknowledged may have happened all the same.
            let known = self.read(&Command::Sessions { archived: false, all: true, limit: 10 }).await?;
            if let Some(number) = known[0]["number"].as_i64() {
                return Ok(number);
            }
        }
    }

    async fn execute(&mut self) -> Result<()> {
        loop {
            let command = Command::Execute { session: SessionNumber(self.session), what: Selection::All };
            let answer = self.ask_once(&command).await;
            if answer.is_some_and(|answer| answer["reply"].is_object()) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
            self.look().await?;
            if self.log.iter().any(|event| kind(event) == "step_state") {
                return Ok(());
            }
        }
    }

    /// Takes in new events.
    async fn look(&mut self) -> Result<()> {
        let command = Command::Events { session: SessionNumber(self.session), after: self.seen(), limit: 1000 };
        let events = self.read(&command).await?;
        self.log.extend(events.as_array().into_iter().flatten().cloned());
        Ok(())
    }

    /// Waits for something in the log, and answers and retries meanwhile.
    async fn until(&mut self, holds: impl Fn(&[Value]) -> bool) -> Result<()> {
        loop {
            self.look().await?;
            if holds(&self.log) {
                return Ok(());
            }
            self.help().await?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Answers what is asked; tries again what was given up.
    async fn help(&mut self) -> Result<()> {
        if let Some(request) = self.open_question() {
            let answers: BTreeMap<String, String> = [("Which colour?".to_owned(), COLOUR.to_owned())].into();
            let answer = domain::Answer::Answers { answers };
            let request = request.parse().ok();
            self.ask_once(&Command::Answer { session: SessionNumber(self.session), request, answer }).await;
            self.look().await?;
        }
        if last_run(&self.log, "plan") == Some("failed")
            || self.steps().values().any(|state| state.starts_with("failed"))
        {
            let view = self.read(&Command::Session { session: SessionNumber(self.session) }).await?;
            if view["queue"].as_array().is_some_and(Vec::is_empty) {
                let command = Command::Retry { session: SessionNumber(self.session), message: None };
                let answer = self.ask_once(&command).await;
                // A plan that was stored before its run was given up is executed, not made again.
                let refused = self.case.scenario != Scenario::OneShot
                    && answer.is_some_and(|answer| answer["problem"].is_object());
                if refused || last_run(&self.log, "plan") == Some("succeeded") {
                    let session = SessionNumber(self.session);
                    self.ask_once(&Command::Execute { session, what: Selection::All }).await;
                }
            }
        }
        Ok(())
    }

    fn open_question(&self) -> Option<String> {
        let answered: Vec<&str> = self
            .log
            .iter()
            .filter(|event| kind(event) == "answer")
            .filter_map(|event| event["payload"]["request"].as_str())
            .collect();
        let open = self.log.iter().filter(|event| kind(event) == "question");
        let mut open = open.filter_map(|event| event["payload"]["request"].as_str());
        open.find(|request| !answered.contains(request)).map(str::to_owned)
    }

    /// The last state of each step.
    fn steps(&self) -> BTreeMap<String, String> {
        let mut steps = BTreeMap::new();
        for event in self.log.iter().filter(|event| kind(event) == "step_state") {
            let text = |name: &str| event["payload"][name].as_str().unwrap_or_default();
            steps.insert(text("number").to_owned(), format!("{} {}", text("state"), text("reason")));
        }
        steps
    }

    async fn finish_steps(&mut self) -> Result<()> {
        let wanted = steps(self.case);
        loop {
            self.look().await?;
            let states = self.steps();
            if states.len() == wanted && states.values().all(|state| state.starts_with("completed")) {
                return Ok(());
            }
            self.help().await?;
            // Steps that a stop or a failure took out of the queue.
            if states.values().any(|state| state.starts_with("not_started")) || states.len() < wanted {
                let view = self.read(&Command::Session { session: SessionNumber(self.session) }).await?;
                if view["queue"].as_array().is_some_and(Vec::is_empty) {
                    let session = SessionNumber(self.session);
                    self.ask_once(&Command::Execute { session, what: Selection::All }).await;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn stop_and_go_on(&mut self) -> Result<()> {
        loop {
            let hangs = |what: &What| matches!(what, What::Reported { report, .. } if report["event"] == "hangs");
            if self.history.any(hangs) {
                break;
            }
            self.look().await?;
            self.help().await?;
            if self.steps().get("2").is_some_and(|state| state.starts_with("completed")) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        loop {
            self.ask_once(&Command::Stop { session: SessionNumber(self.session) }).await;
            for _ in 0..50 {
                self.look().await?;
                match self.steps().get("2").map(String::as_str) {
                    Some(state) if state.starts_with("failed") || state.starts_with("not_started") => return Ok(()),
                    // The process that hung was lost, and the next one was faster than the stop.
                    Some(state) if state.starts_with("completed") => return Ok(()),
                    _ => tokio::time::sleep(LOOK).await,
                }
            }
        }
    }

    async fn review(&mut self) -> Result<()> {
        self.until_idle().await?;
        let session = SessionNumber(self.session);
        self.ask_once(&Command::Message { session, text: "Is it done?".to_owned() }).await;
        self.until_idle().await?;
        let number = |number| PullRequestRef { repository: None, number };
        loop {
            let instructions = Some("Write more".to_owned());
            let answer = self.ask_once(&Command::PullRequestRevise { pull_request: number(1), instructions }).await;
            self.until_idle().await?;
            if answer.is_some() && last_run(&self.log, "revise") == Some("succeeded") {
                break;
            }
            if last_run(&self.log, "revise").is_some_and(|state| state == "succeeded") {
                break;
            }
        }
        self.repository.git(["checkout", "--quiet", "--detach"]);
        for pull_request in [1, 2] {
            loop {
                self.ask_once(&Command::Merge { pull_request: number(pull_request), squash: false }).await;
                self.until_idle().await?;
                let view = self.read(&Command::Session { session }).await?;
                let changes = view["changes"].as_array().cloned().unwrap_or_default();
                let merged = |change: &&Value| change["pull_request"] == pull_request && change["state"] == "merged";
                if changes.iter().any(|change| merged(&change)) {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn until_idle(&mut self) -> Result<()> {
        loop {
            let view = self.read(&Command::Session { session: SessionNumber(self.session) }).await?;
            self.look().await?;
            if view["queue"].as_array().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            self.help().await?;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look_at_the_end(&mut self) -> Result<End> {
        self.look().await?;
        let session = SessionNumber(self.session);
        let view = self.read(&Command::Session { session }).await?;
        let list = self.read(&Command::PullRequests { session: Some(session), repository: None }).await?;
        let mut comments = Vec::new();
        for line in list.as_array().into_iter().flatten() {
            let number = line["pull_request"]["number"].as_i64().unwrap_or(0);
            let pull_request = PullRequestRef { repository: None, number };
            let view = self.read(&Command::PullRequest { pull_request }).await?;
            comments.extend(view["comments"].as_array().into_iter().flatten().cloned());
        }
        let git = |arguments: &[&str]| {
            let output =
                std::process::Command::new("git").arg("-C").arg(self.repository.path()).args(arguments).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
        };
        let branches: Vec<(String, Vec<String>)> =
            git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/runyard/"])
                .lines()
                .map(|branch| {
                    // From the first commit of all on, since `main` moves when something is merged.
                    let range = git(&["log", "--reverse", "--first-parent", "--format=%B%x00", branch]);
                    let messages = range.split('\0').map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
                    (branch.to_owned(), messages.filter(|text| text != "Begin").collect())
                })
                .collect();
        let top = branches.last().map(|(branch, _)| branch.clone()).unwrap_or_default();
        let files = git(&["ls-tree", "-r", "--name-only", &top]);
        let files = files.lines().map(|name| (name.to_owned(), git(&["show", &format!("{top}:{name}")]))).collect();
        Ok(End {
            log: self.log.clone(),
            session: view,
            pull_requests: list.as_array().cloned().unwrap_or_default(),
            comments,
            branches,
            files,
            ..End::default()
        })
    }

    /// Archives the session and waits until its sandboxes are gone.
    async fn put_away(&mut self) -> Result<()> {
        let session = SessionNumber(self.session);
        loop {
            self.ask_once(&Command::Archive { session, archived: true }).await;
            for _ in 0..100 {
                let view = self.read(&Command::Session { session }).await?;
                if view["session"]["archived"] == true && self.sandboxes().is_empty() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
            if self.history.elapsed() > Duration::from_secs(115) {
                bail!("the sandboxes of an archived session stay: {:?}", self.sandboxes());
            }
        }
    }

    fn sandboxes(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.data.join("sandboxes")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// What should be gone once the session is put away.
    fn leftovers(&self) -> Vec<String> {
        let mut left: Vec<String> = self.sandboxes().into_iter().map(|name| format!("sandboxes/{name}")).collect();
        let living = Watch::of(vec![self.data.clone()]).look();
        left.extend(living.into_iter().map(|inhabitant| format!("process: {}", inhabitant.command)));
        let name =
            self.data.parent().and_then(|home| home.file_name()).unwrap_or_default().to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|line| line.contains(&name)).map(|line| format!("mount: {line}")));
        let ids: Vec<String> = self
            .history
            .entries()
            .into_iter()
            .filter_map(|entry| match entry.what {
                What::Sandbox { sandbox, .. } => Some(sandbox),
                _ => None,
            })
            .collect();
        left.extend(
            groups(Path::new("/sys/fs/cgroup"), 4).into_iter().filter(|group| ids.iter().any(|id| group.contains(id))),
        );
        left
    }

    /// Files of the data directory and of the logs that hold the key.
    fn leaks(&self) -> Vec<String> {
        let home = self.data.parent().unwrap_or(&self.data);
        let output = std::process::Command::new("grep")
            .args(["--recursive", "--files-with-matches", "--text", "--fixed-strings", KEY])
            .arg(home)
            .output();
        let found = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        found.lines().map(str::to_owned).collect()
    }
}

/// Control groups below a directory.
fn groups(dir: &Path, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(format!("group: {}", entry.path().display()));
            if depth > 1 {
                found.extend(groups(&entry.path(), depth - 1));
            }
        }
    }
    found
}

fn kind(event: &Value) -> &str {
    event["payload"]["type"].as_str().unwrap_or_default()
}

/// The state of the newest run of a kind of action.
fn last_run<'a>(log: &'a [Value], action: &str) -> Option<&'a str> {
    let runs = log.iter().filter(|event| kind(event) == "run_state" && event["payload"]["action_kind"] == action);
    runs.last()?["payload"]["state"].as_str()
}
