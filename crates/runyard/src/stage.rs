//! A stage for tests: the real command line on the real control socket, with a play instead of the engine.

use crate::{
    app::{App, Composed},
    config::{Config, Flags, Surroundings},
    control::Backend,
    fixtures,
    input::Input,
    render::Style,
    screen::Screen,
};
use async_trait::async_trait;
use domain::{Event, EventPayload, SessionNumber, SystemClock};
use engine::{Command, Person, Problem, Reply, SessionView};
use futures::stream::{BoxStream, StreamExt as _};
use std::{
    collections::VecDeque,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::{mpsc, watch};

/// What the play is at.
pub struct Scene {
    /// The session's log.
    pub events: Vec<Event>,
    /// The session as it is now.
    pub view: SessionView,
    /// What was asked so far.
    pub asked: Vec<Command>,
}

impl Scene {
    /// Something happens.
    pub fn happen(&mut self, payload: EventPayload) {
        let number = self.view.session.last_event + 1;
        self.events.push(fixtures::event(number, number, payload));
        self.view.session.last_event = number;
    }
}

type React = dyn Fn(&mut Scene, &Command) -> Result<Reply, Problem> + Send + Sync;

/// A backend that reacts to commands as a test says.
pub struct Play {
    scene: Mutex<Scene>,
    react: Box<React>,
    changed: watch::Sender<()>,
}

impl Play {
    /// A play that begins with `view` and an empty log.
    pub fn new(
        mut view: SessionView,
        react: impl Fn(&mut Scene, &Command) -> Result<Reply, Problem> + Send + Sync + 'static,
    ) -> Arc<Self> {
        view.session.last_event = 0;
        let scene = Scene { events: Vec::new(), view, asked: Vec::new() };
        Arc::new(Self { scene: Mutex::new(scene), react: Box::new(react), changed: watch::Sender::new(()) })
    }

    /// The scene, to look at or to change.
    pub fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().expect("no test panicked")
    }
}

#[async_trait]
impl Backend for Play {
    async fn call(&self, _: Option<&Person>, command: Command) -> Result<Reply, Problem> {
        let mut scene = self.scene();
        let reply = match &command {
            Command::Session { .. } => Ok(Reply::Session(Box::new(scene.view.clone()))),
            Command::Sessions { .. } => Ok(Reply::Sessions(fixtures::session_lines())),
            Command::Events { after, limit, .. } => {
                let wanted = scene.events.iter().filter(|event| event.number > *after);
                Ok(Reply::Events(wanted.take(usize::try_from(*limit).unwrap_or(0)).cloned().collect()))
            }
            Command::PullRequestDiff { .. } => Ok(Reply::Text("@@ -1 +1,2 @@\n-a\n+b\n+c\n".into())),
            other => {
                let reply = (self.react)(&mut scene, other);
                scene.asked.push(command);
                reply
            }
        };
        drop(scene);
        self.changed.send_replace(());
        reply
    }

    fn follow(self: Arc<Self>, _: SessionNumber, after: i64) -> BoxStream<'static, Result<Event, Problem>> {
        let changed = self.changed.subscribe();
        futures::stream::unfold((self, changed, after), |(play, mut changed, seen)| async move {
            loop {
                let next = play.scene().events.iter().find(|event| event.number > seen).cloned();
                if let Some(event) = next {
                    let number = event.number;
                    return Some((Ok(event), (play, changed, number)));
                }
                changed.changed().await.ok()?;
            }
        })
        .boxed()
    }
}

/// Lines that a person types, one each time that one is awaited; then nothing.
pub struct Typed(pub VecDeque<&'static str>);

#[async_trait]
impl Input for Typed {
    async fn line(&mut self) -> Option<String> {
        match self.0.pop_front() {
            Some(line) => Some(line.to_owned()),
            None => std::future::pending().await,
        }
    }
}

/// What was written so far.
#[derive(Clone, Default)]
pub struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    /// As text.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panicked").clone()).expect("UTF-8")
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A seat at a command line, and what is seen from it.
pub struct Seat {
    /// The surroundings of the command.
    pub app: App,
    /// Standard output.
    pub out: Paper,
    /// Standard error.
    pub err: Paper,
    /// Ctrl-C.
    pub interrupt: mpsc::UnboundedSender<()>,
}

/// A person whose commands find `play` behind the data directory `dir`. `typed` is none when there is no terminal.
pub fn person(dir: &Path, play: &Arc<Play>, typed: Option<&[&'static str]>) -> Seat {
    let none = |_: &str| None;
    let flags = Flags { data_dir: Some(dir.join("data")), ..Flags::default() };
    let around = Surroundings { variable: &none, variables: Vec::new(), root: false, home: None };
    let config = Config::load(&flags, &around).expect("defaults");
    let (out, err) = (Paper::default(), Paper::default());
    let (interrupt, interrupts) = mpsc::unbounded_channel();
    let style = Style { colours: false };
    let play = Arc::clone(play);
    let app = App {
        config,
        style,
        width: None,
        screen: Screen::new(Box::new(out.clone()), Box::new(err.clone()), false, style),
        interactive: typed.is_some(),
        input: Box::new(Typed(typed.unwrap_or_default().iter().copied().collect())),
        interrupts,
        who: Person { name: "Ada".into(), email: "ada@example.org".into() },
        clock: Arc::new(SystemClock::new()),
        zone: jiff::tz::TimeZone::UTC,
        compose: Box::new(move |_, _, _| {
            let play: Arc<dyn Backend> = Arc::clone(&play) as Arc<dyn Backend>;
            Box::pin(async move { Ok(Composed { backend: play, pages: None }) })
        }),
        known: secrets::Known::nothing(),
        name: "run",
        verbose: 0,
    };
    Seat { app, out, err, interrupt }
}
