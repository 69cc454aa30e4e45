//! What a person wants in a case, said again until it was heard.

use super::plan::steps;
use crate::{
    cases::{Case, Scenario},
    control,
    history::{End, History, What},
};
use anyhow::{Result, bail};
use domain::{Mode, SessionNumber};
use engine::{Command, NewSession, PullRequestRef, Selection};
use product_tests::Repository;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tokio::sync::watch;

const LOOK: Duration = Duration::from_millis(60);
/// How long the person lets an action wait that does not come to rest.
const AT_REST: Duration = Duration::from_secs(20);
/// The answer to the question of [`Scenario::Asks`].
const COLOUR: &str = "blue";

/// One who wants something.
pub struct Person<'a> {
    pub(super) case: &'a Case,
    pub(super) data: PathBuf,
    pub(super) repository: &'a Repository,
    pub(super) history: History,
    pub(super) places: Vec<PathBuf>,
    pub(super) lives: watch::Receiver<Option<(usize, usize)>>,
    pub(super) session: i64,
    pub(super) log: Vec<Value>,
    pub(super) followed: Option<usize>,
}

impl<'a> Person<'a> {
    /// One who has not asked for anything yet.
    pub fn new(
        case: &'a Case,
        places: &[PathBuf],
        repository: &'a Repository,
        history: History,
        lives: watch::Receiver<Option<(usize, usize)>>,
    ) -> Self {
        let (data, places) = (places[0].clone(), places.to_vec());
        Self { case, data, places, repository, history, lives, session: 0, log: Vec::new(), followed: None }
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
            if let Some((life, place)) = life {
                self.data.clone_from(&self.places[place]);
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
    pub(super) async fn read(&mut self, command: &Command) -> Result<Value> {
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
            description: None,
            spec: None,
            target_branch: None,
            budget: domain::Budget::default(),
            persona: None,
            requester: None,
        });
        loop {
            let answer = self.ask_once(&command).await;
            if let Some(number) = answer.as_ref().and_then(|it| it["reply"]["value"]["session"]["number"].as_i64()) {
                return Ok(number);
            }
            tokio::time::sleep(LOOK).await;
            // What was not acknowledged may have happened all the same.
            let (archived, all, limit, before, repository, search) = (false, true, 10, None, None, None);
            let known = self.read(&Command::Sessions { archived, all, limit, before, repository, search }).await?;
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
    pub(super) async fn look(&mut self) -> Result<()> {
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
            if self.case.lets_wait {
                self.until_at_rest().await?;
            }
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

    /// Until the action that asked waits for its answer and holds no worker. Whoever dies before that is followed by one
    /// who asks again, so it comes to this; not for ever, since an attempt may be given up.
    async fn until_at_rest(&mut self) -> Result<()> {
        let until = self.history.elapsed() + AT_REST;
        while self.history.elapsed() < until {
            let view = self.read(&Command::Session { session: SessionNumber(self.session) }).await?;
            let mut queue = view["queue"].as_array().into_iter().flatten();
            if queue.any(|action| action["state"] == "waiting") {
                break;
            }
            self.look().await?;
            if self.open_question().is_none() {
                break;
            }
            tokio::time::sleep(LOOK).await;
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
            if self.history.elapsed() + Duration::from_secs(10) > super::LIMIT {
                bail!("the sandboxes of an archived session stay: {:?}", self.sandboxes());
            }
        }
    }

    pub(super) fn sandboxes(&self) -> Vec<String> {
        let entries =
            self.places.iter().flat_map(|place| std::fs::read_dir(place.join("sandboxes"))).flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

fn kind(event: &Value) -> &str {
    event["payload"]["type"].as_str().unwrap_or_default()
}

/// The state of the newest run of a kind of action.
fn last_run<'a>(log: &'a [Value], action: &str) -> Option<&'a str> {
    let is_run = |event: &&Value| kind(event) == "run_state" && event["payload"]["action_kind"] == action;
    log.iter().rev().find(is_run)?["payload"]["state"].as_str()
}
