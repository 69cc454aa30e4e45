//! A session live in the terminal: what happens is printed, what is asked is answered, Ctrl-C stops.

mod decide;
#[cfg(test)]
mod tests;

pub use decide::{Decision, Goal, Outcome, decide};

use crate::{
    app::App,
    connect::Connection,
    control::Events,
    exit::{Exit, Failure},
    prompt::{Fed, PLAN_MENU, PlanChoice, Prompt, plan_choice},
    render::{self, Evidence, LogRenderer, Summary},
};
use domain::{Event, EventPayload, Payload, SessionNumber, StepId};
use engine::{Command, Reply, Selection, SessionView};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How long the log must be quiet before the session is looked at.
const SETTLE: Duration = Duration::from_millis(150);
/// The session is looked at anyway after so long without an event.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// How long a server that went away is waited for.
const SERVER_PATIENCE: Duration = Duration::from_secs(30);

/// What to show.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The session.
    pub session: SessionNumber,
    /// Events above this number.
    pub after: i64,
    /// When it is over.
    pub goal: Goal,
    /// One JSON line for each event instead.
    pub json: bool,
    /// The version of the plan that need not be shown again.
    pub shown_plan: i64,
    /// Whether a summary is told at the end.
    pub summary: bool,
}

impl View {
    /// A view of one thing that was queued, from the events above `after`.
    pub fn of_action(session: SessionNumber, after: i64) -> Self {
        Self { session, after, goal: Goal::Action, json: false, shown_plan: 0, summary: true }
    }
}

/// What is being asked in the terminal.
enum Asking {
    Nothing,
    Request(Box<Prompt>),
    Plan,
}

struct Live<'a> {
    app: &'a mut App,
    connection: &'a mut Connection,
    view: View,
    log: LogRenderer,
    evidence: Evidence,
    checks: Vec<(Option<StepId>, domain::CheckOutcome)>,
    asking: Asking,
    last: Option<Outcome>,
    seen: i64,
    executed: bool,
    stopping: bool,
    detached: bool,
    shown_plan: i64,
    began: Duration,
    /// When the session is looked at next.
    next_look: Instant,
}

/// Shows a session until it comes to rest, answering with the person what it asks.
pub async fn watch(app: &mut App, connection: &mut Connection, view: View) -> Result<Exit, Failure> {
    let title = session(&connection.client, view.session).await?.session.title;
    let log = LogRenderer::new(app.style, app.width).titled(&title);
    let began = app.clock.monotonic();
    let mut live = Live {
        app,
        connection,
        view,
        log,
        evidence: Evidence::default(),
        checks: Vec::new(),
        asking: Asking::Nothing,
        last: None,
        seen: view.after,
        executed: false,
        stopping: false,
        detached: false,
        shown_plan: view.shown_plan,
        began,
        next_look: Instant::now(),
    };
    let result = live.run().await;
    live.app.screen.status(None);
    result
}

impl Live<'_> {
    async fn run(&mut self) -> Result<Exit, Failure> {
        let mut events = self.connection.client.follow(self.view.session, self.view.after).await?;
        loop {
            self.status();
            let asking = !matches!(self.asking, Asking::Nothing);
            tokio::select! {
                biased;
                Some(()) = self.app.interrupts.recv() => {
                    if let Some(exit) = self.interrupted().await? {
                        return self.finish(exit).await;
                    }
                    self.look_within(SETTLE);
                }
                event = events.next() => match event? {
                    Some(event) => {
                        self.event(&event);
                        if settles(&event) {
                            self.next_look = Instant::now() + SETTLE;
                        }
                    }
                    None => events = self.follow_again().await?,
                },
                line = self.app.input.line(), if asking => {
                    if let Some(exit) = self.typed(line).await? {
                        return self.finish(exit).await;
                    }
                    self.look_within(Duration::ZERO);
                }
                () = sleep_until(self.next_look) => {
                    self.next_look = Instant::now() + LOOK_AGAIN;
                    if let Some(exit) = self.look().await? {
                        return self.finish(exit).await;
                    }
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            if self.app.screen.is_broken() {
                return Ok(Exit::Done);
            }
        }
    }

    fn look_within(&mut self, span: Duration) {
        self.next_look = self.next_look.min(Instant::now() + span);
    }

    fn event(&mut self, event: &Event) {
        self.seen = self.seen.max(event.number);
        if let Payload::Known(payload) = &event.payload {
            self.last = Outcome::of(payload).or(self.last);
            if let EventPayload::CheckResult { step, outcome, .. } = payload {
                self.checks.push((*step, outcome.clone()));
            }
            if let (EventPayload::Answer { request, .. }, Asking::Request(prompt)) = (payload, &self.asking)
                && prompt.request.id == *request
            {
                self.asking = Asking::Nothing;
            }
        }
        if self.view.json {
            self.app.screen.line(serde_json::to_string(event).unwrap_or_default());
        } else {
            let lines = self.log.event(event);
            self.app.screen.lines(lines);
        }
    }

    async fn follow_again(&mut self) -> Result<Events, Failure> {
        if self.connection.is_embedded() {
            return Err(Failure::environment("the server in this process ended"));
        }
        self.app.screen.note("the server went away; waiting for it");
        self.connection.reopen(self.app, SERVER_PATIENCE).await?;
        Ok(self.connection.client.follow(self.view.session, self.seen).await?)
    }

    async fn session(&self) -> Result<SessionView, Failure> {
        session(&self.connection.client, self.view.session).await
    }

    /// Looks where the session stands; gives out how to end when it is over.
    async fn look(&mut self) -> Result<Option<Exit>, Failure> {
        if matches!(self.asking, Asking::Request(_) | Asking::Plan) {
            return Ok(None);
        }
        let view = self.session().await?;
        // What is not printed yet is printed first.
        if view.session.last_event > self.seen {
            self.look_within(SETTLE);
            return Ok(None);
        }
        self.plan(&view);
        let interactive = self.app.interactive && !self.view.json;
        match decide(&view, self.view.goal, interactive, self.executed, self.last) {
            Decision::GoOn => Ok(None),
            // The agent holds while a person is asked, and a stop is not answered by a question.
            Decision::Ask(_) | Decision::AskPlan if self.stopping => Ok(Some(Exit::Stopped)),
            Decision::Ask(request) => {
                self.flush();
                self.app.screen.status(None);
                self.ask(Prompt::new(*request));
                Ok(None)
            }
            Decision::AskPlan => {
                self.flush();
                self.app.screen.status(None);
                self.asking = Asking::Plan;
                self.app.screen.text(PLAN_MENU);
                Ok(None)
            }
            Decision::Execute => {
                self.execute(Selection::All).await?;
                Ok(None)
            }
            Decision::Finish(exit) => Ok(Some(exit)),
        }
    }

    fn flush(&mut self) {
        let lines = self.log.flush();
        if !self.view.json {
            self.app.screen.lines(lines);
        }
    }

    fn plan(&mut self, view: &SessionView) {
        let wanted = matches!(self.view.goal, Goal::Everything { .. }) && !self.view.json;
        let Some(runbook) = view.runbook.as_ref().filter(|runbook| wanted && runbook.version > self.shown_plan) else {
            return;
        };
        self.shown_plan = runbook.version;
        self.flush();
        let lines = render::markdown(&runbook.text, self.app.style);
        self.app.screen.line("");
        self.app.screen.lines(lines.iter().map(|line| format!("  {line}").trim_end().to_owned()));
        self.app.screen.line("");
    }

    fn ask(&mut self, prompt: Prompt) {
        self.app.screen.text(&prompt.words());
        self.asking = Asking::Request(Box::new(prompt));
    }

    /// Takes in a line that was typed; none when input ended.
    async fn typed(&mut self, line: Option<String>) -> Result<Option<Exit>, Failure> {
        let Some(line) = line else {
            self.app.screen.line("");
            return Ok(Some(Exit::Waiting));
        };
        match std::mem::replace(&mut self.asking, Asking::Nothing) {
            Asking::Nothing => {}
            Asking::Request(mut prompt) => match prompt.feed(&line) {
                Fed::More => self.ask(*prompt),
                Fed::Again(why) => {
                    self.app.screen.line(why);
                    self.ask(*prompt);
                }
                Fed::Done(answer) => {
                    let request = Some(prompt.request.id);
                    let command = Command::Answer { session: self.view.session, request, answer };
                    if let Err(problem) = self.connection.client.call(command).await {
                        self.app.screen.note(&format!("error: {}", Failure::from(problem)));
                    }
                }
            },
            Asking::Plan => return self.chosen(&line).await,
        }
        Ok(None)
    }

    async fn chosen(&mut self, line: &str) -> Result<Option<Exit>, Failure> {
        match plan_choice(line) {
            Some(PlanChoice::Execute) => self.execute(Selection::All).await?,
            Some(PlanChoice::Next) => self.execute(Selection::Next).await?,
            Some(PlanChoice::Quit) => return Ok(Some(Exit::Waiting)),
            Some(PlanChoice::Message(text)) => {
                self.connection.client.call(Command::Message { session: self.view.session, text }).await?;
            }
            Some(PlanChoice::Edit) => {
                let edited = crate::commands::edit::in_editor(self.app, self.connection, self.view.session, None).await;
                if let Err(failure) = edited {
                    self.app.screen.note(&format!("error: {failure}"));
                }
            }
            None => {
                self.asking = Asking::Plan;
                self.app.screen.text(PLAN_MENU);
            }
        }
        Ok(None)
    }

    async fn execute(&mut self, what: Selection) -> Result<(), Failure> {
        self.executed = true;
        self.last = None;
        self.connection.client.call(Command::Execute { session: self.view.session, what }).await?;
        Ok(())
    }

    async fn interrupted(&mut self) -> Result<Option<Exit>, Failure> {
        let session = self.view.session;
        let asked_about_plan = matches!(self.asking, Asking::Plan);
        if !matches!(self.asking, Asking::Nothing) {
            self.app.screen.line("");
            self.asking = Asking::Nothing;
        }
        if !self.connection.is_embedded() {
            let text = format!("detached: {session} goes on; come back with: runyard session attach {}", session.0);
            self.app.screen.note(&text);
            self.detached = true;
            return Ok(Some(Exit::Stopped));
        }
        if asked_about_plan {
            return Ok(Some(Exit::Waiting));
        }
        if self.stopping {
            return Ok(Some(Exit::Stopped));
        }
        self.stopping = true;
        self.app.screen.note("stopping (Ctrl-C again quits)");
        self.connection.client.call(Command::Stop { session }).await?;
        Ok(None)
    }

    fn status(&mut self) {
        if self.view.json || !matches!(self.asking, Asking::Nothing) {
            return;
        }
        let stop = match (self.stopping, self.connection.is_embedded()) {
            (true, _) => "stopping",
            (false, true) => "Ctrl-C stops",
            (false, false) => "Ctrl-C detaches",
        };
        let message = match self.log.doing() {
            Some(doing) => {
                let since = match self.app.clock.now().since(doing.since).as_secs() {
                    seconds @ 0..60 => format!("{seconds}s"),
                    seconds => render::span(Duration::from_secs(seconds)),
                };
                format!("{} · {since} · {stop}", doing.what)
            }
            None => format!("{} · {stop}", self.view.session),
        };
        self.app.screen.status(Some(message));
    }

    async fn finish(&mut self, exit: Exit) -> Result<Exit, Failure> {
        self.flush();
        self.app.screen.status(None);
        if self.view.json || !self.view.summary || self.detached {
            return Ok(exit);
        }
        let view = self.session().await?;
        let mut sizes = BTreeMap::new();
        for number in view.changes.iter().filter_map(|change| change.pull_request) {
            let pull_request = engine::PullRequestRef { repository: Some(view.repository.clone()), number };
            if let Ok(Reply::Text(diff)) = self.connection.client.call(Command::PullRequestDiff { pull_request }).await
            {
                sizes.insert(number, render::diff_stat(&diff));
            }
        }
        for (step, outcome) in &self.checks {
            let number = step.and_then(|id| {
                let listed =
                    view.runbook.as_ref().and_then(|runbook| runbook.step(id)).map(|step| step.number.as_str());
                listed.or_else(|| self.log.step_number(id))
            });
            self.evidence.add(number.unwrap_or_default(), outcome);
        }
        let elapsed = self.app.clock.monotonic().saturating_sub(self.began);
        let summary = Summary { view: &view, evidence: &self.evidence, sizes: &sizes, elapsed };
        self.app.screen.lines(summary.lines(self.app.style));
        Ok(exit)
    }
}

/// A session as it is now.
pub async fn session(client: &crate::control::Client, session: SessionNumber) -> Result<SessionView, Failure> {
    match client.call(Command::Session { session }).await? {
        Reply::Session(view) => Ok(*view),
        other => Err(crate::commands::unexpected(&other)),
    }
}

/// True for events after which a session may have come to rest.
fn settles(event: &Event) -> bool {
    let Payload::Known(payload) = &event.payload else { return false };
    match payload {
        EventPayload::RunState { state, .. } => state.is_over() || *state == domain::RunState::Waiting,
        EventPayload::StepState { state, .. } => !matches!(state, domain::StepState::InProgress),
        EventPayload::Question { .. } | EventPayload::PlanVersion { .. } | EventPayload::ChangeState { .. } => true,
        _ => false,
    }
}
