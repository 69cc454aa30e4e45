//! What the engine does for a running agent: stores what it does, decides about its calls, asks people.

use super::{
    Talk,
    pieces::{Pieces, without_pieces},
    shown,
};
use crate::{
    context::{Context, LetGo},
    halt::Halt,
    shared::Shared,
};
use agent::{
    AgentEvent, Batch, Call, Decision, Host, HostError, OwnCall, PersonRequest, Phase, StdinLine, Verdict, Withdrawn,
    policy::{Policy, Rule, Rules},
};
use async_trait::async_trait;
use domain::{
    Actor, Answer, EventPayload, ExecId, Request, RequestId, RequestKind, RequestState, RunEvent, RunState, StepEvent,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};
use store::{OutputChunk, StoreError, Write};

/// The tools of ours that an exchange offers.
#[async_trait]
pub(crate) trait OwnTools: Send + Sync {
    /// Runs one. An error goes back to the agent, to mend and try again.
    async fn call(&self, call: &OwnCall) -> Result<String, String>;
}

/// An exchange without tools of ours.
pub(crate) struct NoTools;

#[async_trait]
impl OwnTools for NoTools {
    async fn call(&self, call: &OwnCall) -> Result<String, String> {
        Err(format!("there is no tool {}", call.name))
    }
}

/// The agent's call that a request is about.
pub(crate) fn tool_use_of(request: &Request) -> Option<&str> {
    match &request.kind {
        RequestKind::Question { tool_use_id, .. } | RequestKind::Permission { tool_use_id, .. } => Some(tool_use_id),
        RequestKind::Publish { .. } => None,
    }
}

fn answer_to(request: &Request) -> Option<Answer> {
    match &request.state {
        RequestState::Answered { answer, .. } => Some(answer.clone()),
        RequestState::Open | RequestState::Cancelled => None,
    }
}

/// True when both ask about the same call, whatever its id.
fn is_same(one: &RequestKind, other: &RequestKind) -> bool {
    match (one, other) {
        (RequestKind::Question { questions: one, .. }, RequestKind::Question { questions: other, .. }) => one == other,
        (
            RequestKind::Permission { tool, input, .. },
            RequestKind::Permission { tool: other, input: other_input, .. },
        ) => (tool, input) == (other, other_input),
        _ => false,
    }
}

/// Nobody waits for an answer to this request any more.
fn taken_back(id: RequestId) -> (Vec<Write>, Vec<EventPayload>) {
    let event = EventPayload::Answer { request: id, from: Actor::System, answer: None };
    (vec![Write::Request(id, RequestState::Cancelled)], vec![event])
}

fn resting_key(request: RequestId) -> String {
    format!("resting:{request}")
}

/// How Claude Code names tools of ours.
const OWN_PREFIX: &str = "mcp__runyard__";

/// What Claude Code answers to a call of a tool that it does not have (seen with 2.1.197).
const NOT_OFFERED: &str = "No such tool available";

pub(crate) struct EngineHost {
    context: Arc<Context>,
    phase: Phase,
    own: Arc<dyn OwnTools>,
    policy: Policy,
    exec: ExecId,
    consumed: AtomicU64,
    waits: AtomicBool,
    /// Calls that were refused because nobody had decided yet, and that the agent has not come with again.
    rests: AtomicUsize,
    own_calls: Mutex<HashMap<String, String>>,
    missed: Mutex<Option<String>>,
    pieces: Mutex<Pieces>,
    /// Why the store refused, when it did: the driver only knows that it must end.
    halt: Mutex<Option<Halt>>,
}

impl EngineHost {
    pub fn new(context: Arc<Context>, talk: &Talk, exec: ExecId, consumed: u64) -> Self {
        let policy = policy(&context.shared);
        Self {
            phase: talk.phase,
            own: talk.own.clone(),
            policy,
            exec,
            consumed: AtomicU64::new(consumed),
            waits: AtomicBool::new(false),
            rests: AtomicUsize::new(0),
            own_calls: Mutex::new(HashMap::new()),
            missed: Mutex::new(None),
            pieces: Mutex::default(),
            halt: Mutex::new(None),
            context,
        }
    }

    /// While a person is waited for, the run's time stands still.
    fn set_waits(&self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
        if let Some(gate) = self.context.gate.lock().as_ref() {
            gate.set_working(!waits);
        }
    }

    /// A person is waited for, or will be as soon as the agent repeats what it was refused.
    pub fn waits_for_person(&self) -> bool {
        self.waits.load(Ordering::Relaxed) || self.rests.load(Ordering::Relaxed) > 0
    }

    /// Takes back what the agent was to repeat and did not, now that its process ended without waiting for anybody.
    pub async fn forget_resting(&self) -> Result<(), Halt> {
        let requests = self.context.shared.store.requests(self.context.session.id).await?;
        for request in requests.iter().filter(|request| request.state == RequestState::Open) {
            if self.rests(request).await? {
                let (writes, events) = taken_back(request.id);
                // One that is answered at this moment is not waited for either.
                let _ = self.context.try_commit(&writes, &events).await;
            }
        }
        Ok(())
    }

    /// True of a request whose call the agent is to repeat: it stays open, so that people see what is asked and can
    /// answer, whichever server hears the call again.
    async fn rests(&self, request: &Request) -> Result<bool, Halt> {
        let own = request.run == Some(self.context.run_id()?);
        Ok(own && self.context.journal(&resting_key(request.id)).await?.unwrap_or(false))
    }

    fn rests_no_more(&self, id: RequestId) -> Write {
        let _ = self.rests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |rests| rests.checked_sub(1));
        Write::Journal(resting_key(id), false.into())
    }

    /// The request about the same call, as the agent made it before it was told to repeat it.
    async fn rested<'r>(&self, asked: &PersonRequest, requests: &'r [Request]) -> Result<Option<&'r Request>, Halt> {
        for request in requests.iter().filter(|request| is_same(&request.kind, &asked.kind)) {
            if self.rests(request).await? {
                return Ok(Some(request));
            }
        }
        Ok(None)
    }

    /// The call that was `old` is asked about by `new` now; what a person said to the old one at this moment counts.
    async fn replace(&self, old: RequestId, new: RequestId) -> Result<Option<Answer>, Halt> {
        let context = &self.context;
        let (mut writes, events) = taken_back(old);
        writes.push(self.rests_no_more(old));
        match context.try_commit(&writes, &events).await {
            Ok(()) => return Ok(None),
            Err(StoreError::Refused(_) | StoreError::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let requests = context.shared.store.requests(context.session.id).await?;
        let Some(answer) = requests.iter().find(|request| request.id == old).and_then(answer_to) else {
            return Ok(None);
        };
        let (mut writes, mut events) = taken_back(new);
        writes.push(self.rests_no_more(old));
        let (w, e) = self.waiting(false).await?;
        writes.extend(w);
        events.extend(e);
        context.commit(&writes, &events).await?;
        Ok(Some(answer))
    }

    /// A tool of ours that the agent called in vain because it was not offered at that moment, and not again later.
    pub fn missed(&self) -> Option<String> {
        self.missed.lock().clone()
    }

    fn note_own_calls(&self, event: &AgentEvent) {
        match event {
            AgentEvent::ToolStarted { call, tool, .. } => {
                if let Some(name) = tool.strip_prefix(OWN_PREFIX) {
                    self.own_calls.lock().insert(call.clone(), name.to_owned());
                }
            }
            AgentEvent::ToolFinished { call, ok: false, output, .. } if output.contains(NOT_OFFERED) => {
                if let Some(name) = self.own_calls.lock().get(call) {
                    *self.missed.lock() = Some(name.clone());
                }
            }
            _ => {}
        }
    }

    pub fn halt(&self) -> Option<Halt> {
        self.halt.lock().take()
    }

    async fn commit(&self, writes: &[Write], events: &[EventPayload]) -> Result<(), HostError> {
        self.context.commit(writes, events).await.map_err(|halt| {
            let text = format!("{halt:?}");
            *self.halt.lock() = Some(halt);
            text.into()
        })
    }

    /// Run and step wait, or go on.
    async fn waiting(&self, waits: bool) -> Result<(Vec<Write>, Vec<EventPayload>), Halt> {
        let (run_event, step_event) =
            if waits { (RunEvent::Wait, StepEvent::Wait) } else { (RunEvent::Resume, StepEvent::Resume) };
        let Some(run) = self.context.run() else { return Ok((Vec::new(), Vec::new())) };
        if (run.state == RunState::Waiting) == waits {
            return Ok((Vec::new(), Vec::new()));
        }
        let (mut writes, mut events) = self.context.run_moves(run_event, None)?;
        if let Some(step) = run.step {
            let (w, e) = self.context.step_moves(step, step_event).await?;
            writes.extend(w);
            events.extend(e);
        }
        Ok((writes, events))
    }

    /// What a person said to the very same questions when a process of this action asked them that was lost before it
    /// heard the answer.
    async fn said_before(&self, asked: &PersonRequest, requests: &[Request]) -> Result<Option<Answer>, Halt> {
        let RequestKind::Question { questions: asked, .. } = &asked.kind else { return Ok(None) };
        let runs = self.context.shared.store.runs(self.context.session.id).await?;
        let own = |id| runs.iter().any(|run| Some(run.id) == id && run.action == self.context.action.id);
        let same = |request: &&Request| match &request.kind {
            RequestKind::Question { questions, .. } => questions == asked && own(request.run),
            _ => false,
        };
        Ok(requests.iter().rev().filter(same).find_map(answer_to))
    }

    async fn ask(&self, asked: &PersonRequest) -> Result<Decision, Halt> {
        let context = &self.context;
        if let Some(reason) = shown::too_long_to_ask(&asked.kind) {
            return Ok(Decision::Deny { reason, interrupt: false });
        }
        let store = &context.shared.store;
        let requests = store.requests(context.session.id).await?;
        let known = requests.iter().rev().find(|it| tool_use_of(it) == Some(asked.tool_use_id.as_str()));
        let rested = if known.is_none() { self.rested(asked, &requests).await? } else { None };
        let id = match known {
            Some(Request { state: RequestState::Answered { answer, .. }, .. }) => return Ok(answer.clone().into()),
            Some(request) if request.state == RequestState::Open => {
                let (writes, events) = self.waiting(true).await?;
                context.commit(&writes, &events).await?;
                request.id
            }
            _ if let Some((old, answer)) = rested.and_then(|old| Some((old.id, answer_to(old)?))) => {
                context.commit(&[self.rests_no_more(old)], &[]).await?;
                return Ok(answer.into());
            }
            _ if let Some(answer) = self.said_before(asked, &requests).await? => return Ok(answer.into()),
            _ => {
                let request = Request {
                    id: RequestId::new(context.shared.mint.as_ref()),
                    session: context.session.id,
                    run: Some(context.run_id()?),
                    kind: asked.kind.clone(),
                    state: RequestState::Open,
                    asked_at: context.shared.now(),
                };
                let (mut writes, mut events) = self.waiting(true).await?;
                events.push(EventPayload::Question { request: request.id, ask: request.kind.clone() });
                let id = request.id;
                writes.push(Write::AddRequest(request));
                context.commit(&writes, &events).await?;
                faultpoint::crash_point!("crash-question-asked");
                if let Some(old) = rested
                    && let Some(answer) = self.replace(old.id, id).await?
                {
                    return Ok(answer.into());
                }
                id
            }
        };
        self.set_waits(true);
        loop {
            let session = store.session(context.session.id).await?;
            let seen = session.map_or(0, |session| session.last_event);
            let requests = store.requests(context.session.id).await?;
            match requests.into_iter().find(|request| request.id == id).map(|request| request.state) {
                Some(RequestState::Answered { answer, .. }) => {
                    self.set_waits(false);
                    let (writes, events) = self.waiting(false).await?;
                    context.commit(&writes, &events).await?;
                    faultpoint::crash_point!("crash-answer-heard");
                    return Ok(answer.into());
                }
                Some(RequestState::Open) => {}
                _ => {
                    self.set_waits(false);
                    return Ok(Decision::Deny { reason: "nobody answers any more".to_owned(), interrupt: false });
                }
            }
            if *context.let_go.borrow() == LetGo::GoingDown {
                return Ok(Decision::Defer);
            }
            let mut let_go = context.let_go.clone();
            tokio::select! {
                () = store.wait_for_events(context.session.id, seen) => {}
                _ = let_go.changed() => {}
            }
        }
    }
}

/// The team's rules. A rule that cannot be read was refused when the settings were.
fn policy(shared: &Shared) -> Policy {
    let read = |rules: &[String]| -> Vec<Rule> { rules.iter().filter_map(|rule| rule.parse().ok()).collect() };
    let rules =
        |rules: &crate::ToolRules| Rules { allow: read(&rules.allow), deny: read(&rules.deny), ask: read(&rules.ask) };
    let settings = &shared.settings.agent;
    Policy { plan: rules(&settings.planning), execute: rules(&settings.execution) }
}

#[async_trait]
impl Host for EngineHost {
    async fn take(&self, batch: Batch) -> Result<(), HostError> {
        let run = self.context.run_id().map_err(|halt| format!("{halt:?}"))?;
        for event in &batch.events {
            self.note_own_calls(event);
        }
        let events = self.pieces.lock().pass(batch.events, &self.context.shared.keys.known);
        let redactor = self.context.shared.keys.known.redactor();
        let events: Vec<EventPayload> =
            events.into_iter().filter_map(|event| shown::payload(run, event, &redactor)).collect();
        let from = self.consumed.load(Ordering::Relaxed);
        let mut writes = vec![Write::ExecProgress { id: self.exec, consumed: batch.consumed, ended: None }];
        let raw = without_pieces(&batch.raw);
        if !raw.is_empty() {
            faultpoint::crash_point!("crash-output-taken");
            let blob = self.context.put_blob(raw).await?;
            faultpoint::crash_point!("crash-output-blob");
            writes.push(Write::Output(OutputChunk { exec: self.exec, from, to: batch.consumed, blob }));
        }
        self.commit(&writes, &events).await?;
        faultpoint::crash_point!("crash-output-stored");
        self.consumed.store(batch.consumed, Ordering::Relaxed);
        Ok(())
    }

    async fn journal(&self, line: &StdinLine) -> Result<(), HostError> {
        let line = store::StdinLine {
            exec: self.exec,
            seq: i64::try_from(line.seq)?,
            key: line.key.clone(),
            line: line.line.clone(),
        };
        self.commit(&[Write::Stdin(line)], &[]).await?;
        faultpoint::crash_point!("crash-line-journaled");
        Ok(())
    }

    async fn judge(&self, call: &Call) -> Verdict {
        let one_shot = self.context.session.mode == domain::Mode::OneShot;
        self.policy.judge(self.phase, one_shot, &call.tool, &call.input)
    }

    async fn person(&self, request: &PersonRequest) -> Decision {
        match self.ask(request).await {
            Ok(decision) => decision,
            Err(halt) => {
                tracing::warn!(?halt, "a person could not be asked");
                *self.halt.lock() = Some(halt);
                Decision::Defer
            }
        }
    }

    async fn withdraw(&self, tool_use_id: &str, why: Withdrawn) {
        // Before it no longer waits: a server that goes down lets the agent come with it again.
        self.rests.fetch_add(usize::from(why == Withdrawn::ToBeRepeated), Ordering::Relaxed);
        self.set_waits(false);
        let context = &self.context;
        let Ok(requests) = context.shared.store.requests(context.session.id).await else { return };
        let open = requests
            .into_iter()
            .find(|request| tool_use_of(request) == Some(tool_use_id) && request.state == RequestState::Open);
        if let Some(request) = open
            && let Ok((mut writes, mut events)) = self.waiting(false).await
        {
            if why == Withdrawn::ToBeRepeated {
                writes.push(Write::Journal(resting_key(request.id), true.into()));
            } else {
                let (w, e) = taken_back(request.id);
                writes.extend(w);
                events.extend(e);
            }
            // An answer that just came makes this refuse; then there is nothing to withdraw.
            let _ = context.commit(&writes, &events).await;
        }
    }

    async fn call_tool(&self, call: &OwnCall) -> Result<String, String> {
        *self.missed.lock() = None;
        self.own.call(call).await
    }
}
