//! Everything that one test needs, and nothing that another one has.

use crate::{Event, Finished, Inhabitants, LIMIT, Log, Place, Repository, Running, programs};
use scripted_model::{Script, ScriptedModel};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The key that a world's model wants; it opens nothing else.
pub const KEY: &str = "sk-ant-test-key-made-up";

/// A data directory, a repository and a scripted model.
pub struct World {
    place: Place,
    /// What Runyard works on.
    pub repository: Repository,
    /// What the agent talks to.
    pub model: ScriptedModel,
    /// The `runyard` to start instead of the ordinary one.
    pub program: Option<&'static Path>,
    /// Further variables of the environment of every `runyard`.
    pub environment: Vec<(String, String)>,
}

impl World {
    /// One with a repository of these files.
    pub async fn new(script: &str, files: &[(&str, &str)]) -> Self {
        let place = Place::new();
        let repository = Repository::with(place.join("repository"), files);
        Self::around(place, repository, script).await
    }

    /// One around a repository that lies in `place`.
    pub async fn around(place: Place, repository: Repository, script: &str) -> Self {
        let script = Script::parse(script).unwrap_or_else(|error| panic!("the test's script: {error}"));
        let options =
            scripted_model::Options { expect_key: Some(KEY.to_owned()), ..scripted_model::Options::default() };
        let model = ScriptedModel::start_with(script, options).await.expect("a listening model");
        Self { place, repository, model, program: None, environment: Vec::new() }
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.place.join("data")
    }

    /// The file of the keys of stored secrets.
    pub fn keyring(&self) -> PathBuf {
        self.place.join("keys/keyring")
    }

    /// The folder that holds everything.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Gives leases the time that they have by default: nobody dies here, and the machine may be busy.
    pub fn patient(&mut self) {
        for (name, value) in [("LEASE_BEAT", "1s"), ("LEASE_PATIENCE", "15s")] {
            self.environment.push((format!("RUNYARD_{name}"), value.into()));
        }
    }

    /// `runyard` with this world's configuration and nothing else of the environment.
    pub fn command<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(self.program.unwrap_or_else(programs::runyard));
        command.args(arguments.into_iter().map(|it| it.as_ref().to_owned())).current_dir(self.place.path());
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        command.env_clear().env("PATH", path).env("HOME", self.place.path()).env("LANG", "C.UTF-8");
        command.env("RUNYARD_SECRETS_KEYRING", self.keyring()).env("RUNYARD_LISTEN", "");
        command.env("RUNYARD_DATA_DIR", self.data()).env("RUNYARD_AGENT_CLAUDE", programs::claude());
        command.env("RUNYARD_USER_NAME", "Ada").env("RUNYARD_USER_EMAIL", "ada@example.com");
        // A dead server is noticed, and a passing failure tried again, in a time that a test can wait for.
        command
            .env("RUNYARD_LEASE_BEAT", "300ms")
            .env("RUNYARD_LEASE_PATIENCE", "1s")
            .env("RUNYARD_RETRY_FIRST", "100ms");
        command.env("ANTHROPIC_BASE_URL", self.model.base_url()).env("ANTHROPIC_API_KEY", KEY);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Starts `runyard` and goes on.
    pub fn start<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// Runs `runyard` to its end, with nothing on its standard input.
    pub async fn runyard<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        self.start(arguments).ends().await
    }

    /// `runyard run TASK --repo REPOSITORY` and further arguments.
    pub fn run(&self, task: &str, arguments: &[&str]) -> Running {
        let path = self.repository.path().to_str().expect("a path in UTF-8");
        self.start(["run", task, "--repo", path].iter().chain(arguments))
    }

    /// A server, once it answers.
    pub async fn serve(&self) -> Running {
        let server = self.start(["serve"]);
        let control = self.data().join("control.sock");
        self.until("the server listens", || std::os::unix::net::UnixStream::connect(&control).is_ok()).await;
        server
    }

    /// The events of a session.
    pub async fn log(&self, session: &str) -> Log {
        Log::parse(&self.runyard(["session", "log", session, "--json"]).await.expect_code(0).stdout)
    }

    /// Waits until the log of a session holds such an event. A server must be running.
    pub async fn wait_for(&self, session: &str, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        loop {
            let printed = self.runyard(["session", "log", session, "--json"]).await;
            if printed.code == Some(0) {
                let log = Log::parse(&printed.stdout);
                if let Some(found) = log.iter().find(|event| wanted(event)) {
                    return found.clone();
                }
                assert!(start.elapsed() < LIMIT, "{what} never happened\n{}", log.outline());
            }
            assert!(start.elapsed() < LIMIT, "{what} never happened: no log\n{}", printed.said());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What a command with `--json` printed.
    pub async fn json<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        let printed = self.runyard(arguments).await.expect_code(0).stdout;
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("no JSON: {error}\n{printed}"))
    }

    /// Waits until nothing of a session is queued, running or waiting. A server must be running.
    pub async fn until_idle(&self, session: &str) {
        let start = Instant::now();
        while self.json(["session", "queue", session, "--json"]).await != serde_json::json!([]) {
            assert!(start.elapsed() < LIMIT, "{session} never comes to rest:\n{}", self.log(session).await.outline());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < LIMIT, "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Who lives in this world's sandboxes.
    pub fn inhabitants(&self) -> Inhabitants {
        Inhabitants::of(&self.data())
    }

    /// Every request of the agent was foreseen by the script.
    pub fn assert_foreseen(&self) {
        let unmatched = self.model.unmatched();
        let reasons: Vec<_> = unmatched.iter().map(|request| &request.outcome).collect();
        assert!(unmatched.is_empty(), "the script does not answer: {reasons:?}");
    }
}

impl Drop for World {
    #[expect(clippy::print_stderr, reason = "whoever looks into a failed test wants to know where its data is")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.place.keep();
            eprintln!("the data of this test: {}", self.place.path().display());
        }
    }
}
