//! Lets a case happen: servers that live and die, and a person who wants something of them.

mod ending;
mod person;
mod plan;
mod two;

use crate::{
    cases::{Case, Fault, Mode, PATIENCE, Scenario},
    checks,
    history::{Entry, History, What},
    processes::{self, Watch},
    server::{Server, Start},
    sink::Sink,
};
use anyhow::{Context as _, Result, anyhow};
use person::Person;
use product_tests::{Place, Repository};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::sync::watch;

pub use crate::server::Programs;
pub(crate) use plan::steps;

/// The key that no sandbox, log or file may hold.
pub const KEY: &str = "sk-ant-harness-c4n4ry-3f9a7c5e1b2d8064";

/// How long a case may take. Generous: a slow machine is no violation, a case that hangs is.
pub(crate) const LIMIT: Duration = Duration::from_mins(6);

/// How a case is played.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Keep what lies on disk when something is wrong.
    pub keep: bool,
    /// Defects that are switched on.
    pub planted: String,
}

/// What came of a case.
pub struct Played {
    /// The case.
    pub case: Case,
    /// Its history.
    pub history: Vec<Entry>,
    /// What was promised and did not hold.
    pub violations: Vec<String>,
    /// The faults that came true.
    pub happened: Vec<(&'static str, Mode)>,
    /// How often each point was reached.
    pub reached: BTreeMap<String, u64>,
    /// Milliseconds by which sandboxes outlived their lease, and what was up then.
    pub overruns: Vec<checks::Overrun>,
    /// How long it took.
    pub took: Duration,
    /// Where its data is, when it was kept.
    pub kept: Option<PathBuf>,
}

/// Plays a case to its end.
pub async fn play(case: Case, programs: &Programs, options: &Options) -> Result<Played> {
    let begun = Instant::now();
    let mut place = Place::new();
    let history = History::default();
    let repository = Repository::with(place.join("repository"), &[("README.md", "# Files\n")]);
    let model = if case.real {
        let script = scripted_model::Script::parse(&plan::script(&case)).map_err(|error| anyhow!("{error}"))?;
        let options = scripted_model::Options { expect_key: Some(KEY.to_owned()), ..Default::default() };
        Model::Scripted(scripted_model::ScriptedModel::start_with(script, options).await?)
    } else {
        Model::Sink(Sink::start(history.clone(), plan::told(&case)).await?)
    };
    let data = [place.join("data"), place.join("other")];
    let sampler = tokio::spawn(processes::sample(Watch::of(data.to_vec()), history.clone()));
    let database = if case.scenario.on_postgres() { Some(crate::postgres::database().await) } else { None };
    let stage = Stage {
        programs,
        options,
        home: place.path(),
        data: &data,
        database: database.as_deref(),
        model: &model,
        history: &history,
    };
    let mut happened = Vec::new();
    let playing = async {
        if case.scenario == Scenario::TwoServers {
            stage.two_servers(&case, &repository, &mut happened).await
        } else {
            stage.lives(&case, &repository, &mut happened).await
        }
    };
    let played = tokio::time::timeout(LIMIT, playing).await;
    let mut violations = match played {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(error)) => vec![format!("harness: {error:#}")],
        Err(_) => vec![format!("I10: not at rest after {} s", LIMIT.as_secs())],
    };
    if let Model::Scripted(model) = &model {
        note_requests(model, &history, &mut violations);
    }
    // Whatever is left must be seen to be left, so nothing is tidied before this.
    tokio::time::sleep(Duration::from_millis(150)).await;
    sampler.abort();
    let entries = history.entries();
    let (found, overruns) = checks::check(&case, &entries);
    violations.extend(found);
    let lives = entries.iter().filter(|entry| matches!(entry.what, What::Started { .. })).count();
    let mut sum = BTreeMap::new();
    for (point, times) in (0..lives).flat_map(|life| reached(place.path(), life)) {
        *sum.entry(point).or_default() += times;
    }
    let mut kept = None;
    if options.keep && !violations.is_empty() {
        place.keep();
        history.write(&place.join("history.jsonl")).ok();
        kept = Some(place.path().to_owned());
    }
    tidy(&data);
    Ok(Played { case, history: entries, violations, happened, reached: sum, overruns, took: begun.elapsed(), kept })
}

/// The other end of the way out.
enum Model {
    /// For scripted agents.
    Sink(Sink),
    /// For the real Claude Code.
    Scripted(scripted_model::ScriptedModel),
}

impl Model {
    fn address(&self, life: usize) -> String {
        match self {
            Self::Sink(sink) => sink.address(life),
            Self::Scripted(model) => model.base_url(),
        }
    }
}

/// What the real agent asked is part of the history too; that the script did not foresee it is a fault of ours.
fn note_requests(model: &scripted_model::ScriptedModel, history: &History, violations: &mut Vec<String>) {
    for request in model.requests() {
        let prompt = request.body["messages"][0]["content"].to_string();
        let report = serde_json::json!({"event": "asked", "conversation": request.conversation(), "prompt": prompt});
        history.note(What::Reported { life: 0, report });
    }
    violations.extend(model.unmatched().iter().map(|request| format!("harness: not foreseen: {:?}", request.outcome)));
}

struct Stage<'a> {
    programs: &'a Programs,
    options: &'a Options,
    home: &'a Path,
    data: &'a [PathBuf; 2],
    database: Option<&'a str>,
    model: &'a Model,
    history: &'a History,
}

impl Stage<'_> {
    /// One life after the other until the person has what they want.
    async fn lives(
        &self,
        case: &Case,
        repository: &Repository,
        happened: &mut Vec<(&'static str, Mode)>,
    ) -> Result<()> {
        let (up, lives) = watch::channel(None);
        let mut person = Person::new(case, self.data, repository, self.history.clone(), lives);
        let wishes = person.get_it_done();
        tokio::pin!(wishes);
        let planned = case.lives();
        for life in 0.. {
            let faults = planned.get(life).map_or(&[][..], Vec::as_slice);
            let mut server = self.start(life, 0, faults, case)?;
            let pause = {
                let living = self.live(&mut server, faults, &up, happened);
                tokio::select! {
                    done = &mut wishes => Err(done),
                    lived = living => Ok(lived?),
                }
            };
            self.note_passed(life, faults, happened);
            up.send_replace(None);
            match pause {
                Err(done) => {
                    server_over(&mut server, self.history).await;
                    return done;
                }
                Ok(_) if case.scenario == Scenario::Alone => return self.all_end_alone().await,
                Ok(pause) => tokio::time::sleep(pause).await,
            }
        }
        Ok(())
    }

    /// Notes errors and pauses that came true.
    fn note_passed(&self, life: usize, faults: &[Fault], happened: &mut Vec<(&'static str, Mode)>) {
        let reached = reached(self.home, life);
        let passed = |fault: &&Fault| matches!(fault.mode, Mode::Error(_) | Mode::Slow);
        for fault in faults.iter().filter(passed) {
            if reached.get(fault.point).is_some_and(|times| *times >= fault.at) {
                happened.push((fault.point, fault.mode));
            }
        }
    }

    fn start(&self, life: usize, place: usize, faults: &[Fault], case: &Case) -> Result<Server> {
        let agent = if case.real { &self.programs.claude } else { &self.programs.agent };
        let how = Start {
            program: &self.programs.runyard,
            agent,
            home: self.home,
            data: &self.data[place],
            place,
            upstream: self.model.address(life),
            database: self.database,
            hold: case.hold(),
            planted: &self.options.planted,
        };
        Server::start(&how, life, faults, self.history)
    }

    /// Until the server is dead; how long nobody starts another one.
    async fn live(
        &self,
        server: &mut Server,
        faults: &[Fault],
        up: &watch::Sender<Option<(usize, usize)>>,
        happened: &mut Vec<(&'static str, Mode)>,
    ) -> Result<Duration> {
        let (pid, life) = (server.pid, server.life);
        let outside = faults.iter().find(|fault| fault.mode.is_from_outside());
        let ending = faults.iter().find(|fault| fault.mode.ends_server());
        let mut answered = false;
        let mut struck = false;
        loop {
            let dead = tokio::select! {
                how = server.ends() => Some(how),
                () = self.until_up(0), if !answered => {
                    answered = true;
                    self.history.note(What::Up { life });
                    up.send_replace(Some((life, 0)));
                    None
                }
                () = until_stopped(pid), if !struck && outside.is_some() => {
                    struck = true;
                    if let Some(fault) = outside {
                        self.strike(fault, pid, life, happened).await;
                    }
                    None
                }
            };
            let Some(how) = dead else { continue };
            self.history.note(What::Died { life, how: how.clone() });
            let as_planned = ending.is_some_and(|fault| match fault.mode {
                Mode::Kill => how == "signal 9",
                Mode::Exit => how == "code 86",
                _ => struck,
            });
            // An error at the start is an answer too: the next one tries again.
            let refused = !answered && faults.iter().any(|fault| matches!(fault.mode, Mode::Error(_)));
            let Some(fault) = ending.filter(|_| as_planned) else {
                if refused {
                    return Ok(Duration::from_millis(20));
                }
                return Err(anyhow!("the server died by itself: {how}{}", self.last_words(life)));
            };
            if !fault.mode.is_from_outside() {
                happened.push((fault.point, fault.mode));
            }
            return Ok(fault.pause);
        }
    }

    async fn until_up(&self, place: usize) {
        while !crate::control::answers(&self.data[place]).await {
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// The server stands still at a point: something dies, then it goes on, or not.
    async fn strike(&self, fault: &Fault, pid: i32, life: usize, happened: &mut Vec<(&'static str, Mode)>) {
        happened.push((fault.point, fault.mode));
        self.history.note(What::Hung { life, hangs: true });
        let mut watch = Watch::of(self.data.to_vec());
        if matches!(fault.mode, Mode::Shim | Mode::Agent | Mode::Both) {
            for inhabitant in watch.look() {
                let hit = match fault.mode {
                    Mode::Shim => inhabitant.is_shim(),
                    _ => inhabitant.command.contains("/opt/claude/claude"),
                };
                if hit {
                    self.history.note(What::Done { to: format!("kill -9: {}", inhabitant.command) });
                    processes::signal(inhabitant.pid, Signal::KILL);
                }
            }
        }
        match fault.mode {
            Mode::Group | Mode::Both => {
                self.history.note(What::Done { to: "kill -9 of the server's process group".to_owned() });
                if let Some(group) = rustix::process::Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process_group(group, Signal::KILL);
                }
                return;
            }
            Mode::Hang => tokio::time::sleep(PATIENCE * 2).await,
            Mode::Database => self.kill_of_database(),
            _ => {}
        }
        self.history.note(What::Hung { life, hangs: false });
        processes::signal(pid, Signal::CONT);
    }

    /// One of the processes of PostgreSQL that serve this case.
    fn kill_of_database(&self) {
        let name = self.database.and_then(|url| url.split('?').next()?.rsplit('/').next()).unwrap_or("none");
        let mark = format!("runyard {name} ");
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            if command.contains(&mark)
                && let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok())
            {
                self.history.note(What::Done { to: format!("kill -9: {}", command.trim_end_matches('\0')) });
                processes::signal(pid, Signal::KILL);
                return;
            }
        }
    }

    /// Nobody comes back: everything in the sandboxes ends by itself.
    async fn all_end_alone(&self) -> Result<()> {
        let mut watch = Watch::of(self.data.to_vec());
        let until = Instant::now() + PATIENCE + Duration::from_secs(30);
        while !watch.look().is_empty() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn last_words(&self, life: usize) -> String {
        let log = std::fs::read_to_string(self.home.join(format!("serve-{life}.log"))).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().fold(String::new(), |said, line| said + "\n    " + line)
    }
}

async fn until_stopped(pid: i32) {
    while !processes::is_stopped(pid) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn server_over(server: &mut Server, history: &History) {
    server.kill_group();
    let how = server.ends().await;
    history.note(What::Died { life: server.life, how });
}

/// How often each point was reached in one life.
fn reached(home: &Path, life: usize) -> BTreeMap<String, u64> {
    let mut reached = BTreeMap::new();
    for line in std::fs::read_to_string(home.join(format!("points-{life}"))).unwrap_or_default().lines() {
        *reached.entry(line.to_owned()).or_default() += 1;
    }
    reached
}

/// A case that went wrong must not leave processes for the next one.
fn tidy(data: &[PathBuf]) {
    for inhabitant in Watch::of(data.to_vec()).look() {
        processes::signal(inhabitant.pid, Signal::KILL);
    }
}

/// What is missing of the product, when a case cannot be played.
pub fn programs(profile: &Path) -> Result<Programs> {
    let agent = profile.join("scripted-agent");
    let agent = agent.canonicalize().with_context(|| format!("no {}; run `cargo build -p faults`", agent.display()))?;
    Ok(Programs {
        runyard: product_tests::runyard_with_crash_points().to_owned(),
        agent,
        claude: product_tests::claude(),
    })
}
