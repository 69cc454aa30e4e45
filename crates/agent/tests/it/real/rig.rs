use crate::host::Memory;
use agent::{
    Control, Conversation, Inbox, Launch, Outcome, Phase, Process, Settings, ToolSpec, Turn, UserMessage,
    process::{Broken, Child, Chunk, Exit},
};
use async_trait::async_trait;
use bytes::Bytes;
use domain::{Mint, SystemMint};
use futures::{StreamExt, stream, stream::BoxStream};
use scripted_model::{Script, ScriptedModel};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

/// No test waits this long unless something hangs.
const HANGS: Duration = Duration::from_secs(100);

/// A home, a working directory and a model.
pub struct Rig {
    pub model: ScriptedModel,
    pub home: PathBuf,
    pub cwd: PathBuf,
    pub dir: TempDir,
}

impl Rig {
    /// With a model that answers the prompts that contain `go` with `turns`, in the script's YAML.
    pub async fn new(turns: &str) -> Self {
        let indented = indent(turns);
        Self::scripted(&format!(
            "conversations:\n  - name: main\n    when: {{ prompt_contains: go }}\n    turns:\n{indented}"
        ))
        .await
    }

    pub async fn scripted(script: &str) -> Self {
        let script = Script::parse(script).expect("a script");
        let model = ScriptedModel::start(script).await.expect("a model");
        let dir = tempfile::tempdir().expect("a directory");
        let (home, cwd) = (dir.path().join("home"), dir.path().join("code"));
        std::fs::create_dir(&home).expect("made");
        std::fs::create_dir(&cwd).expect("made");
        Self { model, home, cwd, dir }
    }

    pub fn launch(&self, phase: Phase, conversation: Conversation) -> Launch {
        let program = agent::locate(None).unwrap_or_else(|error| panic!("{error}"));
        let mut launch = Launch::new(
            program.to_string_lossy(),
            phase,
            conversation,
            self.home.to_string_lossy(),
            self.model.base_url(),
            "sk-ant-surrogate",
        );
        launch.max_retries = 2;
        launch.model = Some("claude-sonnet-4-5".into());
        launch
    }

    pub fn execute(&self) -> Launch {
        self.launch(Phase::Execute, Conversation::New(uuid()))
    }

    pub fn spawn(&self, launch: &Launch) -> Child {
        self.spawn_as(&launch.argv(), launch)
    }

    pub fn spawn_as(&self, argv: &[String], launch: &Launch) -> Child {
        let path = ("PATH".to_owned(), std::env::var("PATH").expect("a PATH"));
        let env = launch.env().into_iter().chain([path]);
        Child::spawn(&argv[0], &argv[1..], env, &self.cwd).expect("started")
    }

    /// Asks `prompt` and drives to the end.
    pub async fn run(&self, launch: &Launch, turn: Turn, host: &Memory) -> Outcome {
        let (_control, inbox) = agent::control();
        drive(self.spawn(launch), turn, host, inbox).await
    }

    pub fn transcript(&self, session: Uuid) -> PathBuf {
        agent::transcript_path(&self.home, &self.cwd, session)
    }

    pub fn has(&self, file: &str) -> bool {
        self.cwd.join(file).exists()
    }

    /// All that the model was sent, as one text.
    pub fn sent(&self) -> String {
        self.model.requests().iter().map(|request| request.body.to_string()).collect()
    }
}

pub async fn drive(process: impl Process + 'static, turn: Turn, host: &Memory, inbox: Inbox) -> Outcome {
    let driving = agent::drive(Box::new(process), turn, host, inbox);
    tokio::time::timeout(HANGS, driving).await.expect("it ends").expect("driven")
}

/// Drives while `beside` steers; the control is dropped when `beside` is done.
pub async fn drive_beside(
    process: impl Process + 'static,
    turn: Turn,
    host: &Memory,
    beside: impl AsyncFnOnce(Control),
) -> Outcome {
    let (control, inbox) = agent::control();
    tokio::join!(drive(process, turn, host, inbox), beside(control)).0
}

/// The turns of a conversation, as far to the right as they belong.
pub fn indent(turns: &str) -> String {
    turns.lines().map(|line| ["      ", line, "\n"].concat()).collect()
}

pub fn uuid() -> Uuid {
    SystemMint.uuid()
}

pub fn message(text: &str) -> UserMessage {
    UserMessage { uuid: uuid(), text: text.to_owned() }
}

pub fn turn(prompt: &str) -> Turn {
    Turn { prompt: Some(message(prompt)), tools: Vec::new(), settings: Settings::default(), resume: None }
}

/// A turn that gives up waiting for a person at once.
pub fn impatient(prompt: Option<&str>) -> Turn {
    let settings = Settings { hold: Duration::from_millis(200), ..Settings::default() };
    Turn { prompt: prompt.map(message), tools: Vec::new(), settings, resume: None }
}

pub fn tool(name: &str) -> ToolSpec {
    let input_schema = serde_json::json!({"type": "object", "properties": {"markdown": {"type": "string"}}});
    ToolSpec { name: name.into(), description: "Hands the plan in.".into(), input_schema }
}

/// A child that outlives its driver, as an exec in a sandbox does: it keeps its output and numbers its input.
#[derive(Clone)]
pub struct Station {
    child: Arc<Child>,
    output: Arc<watch::Sender<(Vec<Chunk>, bool)>>,
}

impl Station {
    pub fn new(mut child: Child) -> Self {
        let mut chunks = child.output();
        let output = Arc::new(watch::channel((Vec::new(), false)).0);
        let kept = output.clone();
        tokio::spawn(async move {
            while let Some(Ok(chunk)) = chunks.next().await {
                kept.send_modify(|(all, _)| all.push(chunk));
            }
            kept.send_modify(|(_, ended)| *ended = true);
        });
        Self { child: Arc::new(child), output }
    }
}

#[async_trait]
impl Process for Station {
    fn output(&mut self) -> BoxStream<'static, Result<Chunk, Broken>> {
        stream::unfold((0, self.output.subscribe()), |(at, mut output)| async move {
            let chunk = {
                let (all, _) = &*output.wait_for(|(all, ended)| *ended || all.len() > at).await.ok()?;
                all.get(at).cloned()?
            };
            Some((Ok(chunk), (at + 1, output)))
        })
        .boxed()
    }

    async fn write_stdin(&self, seq: u64, bytes: Bytes) -> Result<(), Broken> {
        self.child.write_stdin(seq, bytes).await
    }

    async fn close_stdin(&self) -> Result<(), Broken> {
        self.child.close_stdin().await
    }

    async fn kill(&self) -> Result<(), Broken> {
        self.child.kill().await
    }

    async fn wait(&self) -> Result<Exit, Broken> {
        self.child.wait().await
    }
}
