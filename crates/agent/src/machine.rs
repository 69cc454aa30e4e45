//! The driver's core: lines of the agent and decisions of the host in, events and things to do out.

mod ending;
mod ledger;
mod messages;
mod requests;

use crate::{
    AgentEvent, Call, OtherVersion, OwnCall, PINNED, PersonRequest, StdinLine, Turn, UserMessage, Withdrawn, mcp,
    outcome::{Evidence, Fault},
    process::MAX_WRITE,
    wire::{self, Init, Line, Retry, Task, TurnResult},
};
use domain::Timestamp;
use ledger::Ledger;
use messages::{Messages, Origin};
use requests::Requests;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How much of standard error is kept.
const STDERR_TAIL: usize = 8 << 10;
/// How much an agent may say that is kept in memory until it ends: requests, results, calls, tasks. Honest work stays
/// far below; what is only passed on does not count.
const MAX_KEPT: usize = 128 << 20;
/// Added to the time that a call may wait for a person, before the agent gives up on the callback.
const HOOK_SLACK: std::time::Duration = std::time::Duration::from_mins(10);

/// Something to do, or to tell.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Store this.
    Event(AgentEvent),
    /// Journal this line, then write it.
    Send(StdinLine),
    /// Write this line, which is in the journal: it may never have arrived.
    Resend(StdinLine),
    /// Ask policy, then [`Core::judged`].
    Judge {
        /// Which request.
        request: String,
        /// What about.
        call: Call,
    },
    /// Ask a person, then [`Core::decided`]; with none after [`Settings::hold`](crate::Settings::hold).
    Ask {
        /// Which request.
        request: String,
        /// What about.
        ask: PersonRequest,
    },
    /// Run a tool of the host, then [`Core::called`].
    Call {
        /// Which request.
        request: String,
        /// The call.
        call: OwnCall,
    },
    /// Nobody needs this request's answer any more.
    Cancel {
        /// Which request.
        request: String,
        /// The agent's id of the call.
        tool_use_id: String,
        /// Why not.
        why: Withdrawn,
    },
    /// Close standard input after what was sent.
    CloseStdin,
    /// Kill the process.
    Kill,
    /// (Re)start a timer; [`Core::fire`] when it is over.
    Arm(Timer),
    /// Stop a timer.
    Disarm(Timer),
}

/// What is waited for only so long; the times are in [`Settings`](crate::Settings).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The process's end.
    Exit,
    /// A turn that a task or a message should open.
    FollowUp,
    /// Background work.
    Background,
}

/// The state machine of one process.
#[derive(Debug)]
pub struct Core {
    turn: Turn,
    /// False while output is replayed that an earlier server took in.
    live: bool,
    replay_to: u64,
    /// Lines that were sent, by key.
    sent: HashMap<String, String>,
    last_sent: Option<StdinLine>,
    next_seq: u64,
    /// Lines that came up in the replay and were never sent.
    unsent: Vec<(String, Value)>,
    messages: Messages,
    requests: Requests,
    ledger: Ledger,
    evidence: Evidence,
    tasks: BTreeMap<String, String>,
    left_running: Vec<String>,
    /// Bytes of the lines of which something is kept.
    kept: usize,
    undelivered: BTreeSet<String>,
    busy: bool,
    /// The agent accepted how it was started.
    ready: bool,
    /// It has done something since.
    begun: bool,
    follow_up: bool,
    closing: bool,
    killed: bool,
    armed: BTreeSet<Timer>,
    version: Option<String>,
    session: Option<String>,
}

impl Core {
    /// A machine for a new process, or (with [`Turn::resume`]) for one that is replayed from its first byte.
    pub fn new(turn: Turn) -> Self {
        let resume = turn.resume.clone().unwrap_or_default();
        let evidence = Evidence {
            expect_structured: turn.settings.expect_structured,
            interrupted: resume.journal.iter().any(|line| line.key.starts_with("interrupt:")),
            ..Evidence::default()
        };
        Self {
            live: resume.consumed == 0,
            replay_to: resume.consumed,
            next_seq: resume.journal.last().map_or(0, |line| line.seq + pieces(&line.line)),
            undelivered: resume
                .journal
                .iter()
                .filter_map(|line| line.key.strip_prefix("user:"))
                .map(str::to_owned)
                .collect(),
            last_sent: resume.journal.last().cloned(),
            sent: resume.journal.into_iter().map(|line| (line.key, line.line)).collect(),
            unsent: Vec::new(),
            messages: Messages::default(),
            requests: Requests::default(),
            ledger: Ledger::default(),
            evidence,
            tasks: BTreeMap::new(),
            left_running: Vec::new(),
            kept: 0,
            busy: true,
            ready: false,
            begun: false,
            follow_up: false,
            closing: false,
            killed: false,
            armed: BTreeSet::new(),
            version: None,
            session: None,
            turn,
        }
    }

    /// What to do before anything is read.
    pub fn start(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        if let Some(line) = self.last_sent.take() {
            out.push(Output::Resend(line));
        }
        let server = (!self.turn.tools.is_empty()).then_some(mcp::SERVER);
        let hello = wire::initialize("initialize", server, self.turn.settings.hold + HOOK_SLACK);
        self.send("initialize".to_owned(), &hello, &mut out);
        if let Some(prompt) = self.turn.prompt.clone() {
            self.queue(&prompt, &mut out);
        }
        out
    }

    /// Takes in a line of standard output that ends at offset `end`.
    pub fn stdout(&mut self, line: &[u8], end: u64) -> Vec<Output> {
        let mut out = Vec::new();
        if end > self.replay_to {
            self.awake(&mut out);
        }
        let parsed = wire::parse(line);
        if parsed.is_kept() {
            self.kept = self.kept.saturating_add(line.len());
        }
        if self.kept > MAX_KEPT {
            self.evidence.fatal = Some(Fault::Flood);
        } else {
            self.line(parsed, line, &mut out);
        }
        self.settle(&mut out);
        out
    }

    /// Notes that a line was too long to be taken in.
    pub fn dropped(&mut self, end: u64) -> Vec<Output> {
        let mut out = Vec::new();
        if end > self.replay_to {
            self.awake(&mut out);
        }
        self.emit(
            AgentEvent::Warning { text: "a line of the agent's output was too long and is lost".into() },
            &mut out,
        );
        out
    }

    /// Takes in a piece of standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        let tail = &mut self.evidence.stderr;
        tail.push_str(&String::from_utf8_lossy(bytes));
        if tail.len() > STDERR_TAIL {
            let from = tail.ceil_char_boundary(tail.len() - STDERR_TAIL / 2);
            // What is left begins with a whole word: half a secret would not be found later.
            let from = tail[from..].find(char::is_whitespace).map_or(tail.len(), |at| from + at);
            tail.drain(..from);
        }
    }

    /// Notes that all output up to `consumed` was taken in: at the end of a replay, unanswered requests come up again.
    pub fn caught_up(&mut self, consumed: u64) -> Vec<Output> {
        let mut out = Vec::new();
        if consumed >= self.replay_to {
            self.awake(&mut out);
            self.settle(&mut out);
        }
        out
    }

    /// Sends a message, now or in the middle of a turn. False when it is too late: the input is closed.
    pub fn say(&mut self, message: &UserMessage) -> (bool, Vec<Output>) {
        let mut out = Vec::new();
        if self.closing || self.killed {
            return (false, out);
        }
        self.queue(message, &mut out);
        self.settle(&mut out);
        (true, out)
    }

    /// Ends the turn that is going on.
    pub fn interrupt(&mut self) -> Vec<Output> {
        let mut out = Vec::new();
        if self.busy && !self.closing && !self.killed {
            self.evidence.interrupted = true;
            let key = format!("interrupt:{}", self.next_seq);
            self.send(key.clone(), &wire::interrupt(&key), &mut out);
        }
        self.settle(&mut out);
        out
    }

    /// Ends the turn and then the process, killing it when it does not end by itself.
    pub fn stop(&mut self) -> Vec<Output> {
        let mut out = self.interrupt();
        self.evidence.stopped = true;
        self.settle(&mut out);
        out
    }

    fn line(&mut self, line: Line, raw: &[u8], out: &mut Vec<Output>) {
        self.begun |= matches!(line, Line::Init(_) | Line::ToolResults { .. } | Line::Request { .. } | Line::Result(_));
        self.ready |= matches!(&line, Line::Response { id, .. } if id == "initialize");
        match line {
            Line::Init(init) => self.init(init, out),
            Line::Assistant { message, block, parent, error, synthetic } => {
                if parent.is_none() {
                    self.begin();
                }
                let origin = match (synthetic, &error) {
                    (true, Some(_)) => Origin::ApiError,
                    (true, None) => Origin::Program,
                    (false, _) => Origin::Model,
                };
                if synthetic || error.is_some() {
                    self.evidence.error_kind = error;
                }
                if let Some(event) = self.messages.assistant(message, block, parent, origin) {
                    self.emit(event, out);
                }
            }
            Line::ToolResults { results, parent } => {
                for result in results {
                    let parent = parent.clone();
                    let (call, ok, output) = (result.call, result.ok, result.output);
                    self.emit(AgentEvent::ToolFinished { call, ok, output, parent }, out);
                }
            }
            Line::Replayed { uuid } => {
                if !self.busy {
                    self.follow_up = true;
                }
                if self.undelivered.remove(&uuid)
                    && let Ok(uuid) = uuid.parse()
                {
                    self.emit(AgentEvent::Delivered { uuid }, out);
                }
            }
            Line::Stream { event, parent: None } => {
                self.begin();
                if let Some(usage) = self.ledger.stream(&event) {
                    self.emit(AgentEvent::Usage { usage, booked: false }, out);
                }
                if let Some(event) = self.messages.stream(event) {
                    self.emit(event, out);
                }
                self.release(out);
            }
            Line::Retry(retry) => self.retry(retry, out),
            Line::Denied { call, tool, reason } => {
                self.evidence.denied.push((call.clone(), tool.clone(), Value::Null));
                self.emit(AgentEvent::Denied { call, tool, reason }, out);
            }
            Line::Task(task) => self.task(task, out),
            Line::Compacted => self.emit(AgentEvent::Compacted, out),
            Line::RateLimit { status, kind, resets_at } => {
                let resets_at = resets_at.map(|seconds| Timestamp(seconds.saturating_mul(1_000_000)));
                if status == "rejected" {
                    self.evidence.resets_at = resets_at;
                }
                if status != "allowed" {
                    self.emit(AgentEvent::Limit { status, kind, resets_at }, out);
                }
            }
            Line::Request { id, request } => self.request(id, request, out),
            Line::Response { id, error: Some(error) } if self.sent.contains_key(&id) => {
                if id == "initialize" {
                    self.evidence.fatal = Some(Fault::BadLaunch);
                }
                self.emit(AgentEvent::Warning { text: format!("the agent refused `{id}`: {error}") }, out);
            }
            Line::Cancelled { id } => self.cancel(&id, out),
            Line::Result(result) => self.result(*result, out),
            Line::Malformed => {
                let text = crate::tool::cut_text(&String::from_utf8_lossy(&raw[..raw.len().min(200)]));
                self.emit(
                    AgentEvent::Warning { text: format!("unreadable output of the agent: {}", text.trim()) },
                    out,
                );
            }
            Line::Stream { .. } | Line::Response { .. } | Line::Other => {}
        }
    }

    fn begin(&mut self) {
        self.busy = true;
        self.follow_up = false;
    }

    fn init(&mut self, init: Init, out: &mut Vec<Output>) {
        self.begin();
        let first = self.version.is_none();
        if first && init.version != PINNED {
            let fault = Fault::Version { version: init.version.clone() };
            match self.turn.settings.other_version {
                OtherVersion::Warn => self.emit(AgentEvent::Warning { text: fault.to_string() }, out),
                OtherVersion::Refuse => self.evidence.fatal = Some(fault),
            }
        }
        if first {
            self.tool_servers(&init.servers, out);
        }
        self.version = Some(init.version.clone());
        self.session = Some(init.session.clone());
        let Init { session, version, model, tools, .. } = init;
        self.emit(AgentEvent::Started { session, version, model, tools }, out);
    }

    fn tool_servers(&mut self, servers: &[(String, String)], out: &mut Vec<Output>) {
        let lost = |status: &str| matches!(status, "failed" | "needs-auth" | "disabled");
        for (server, _) in servers.iter().filter(|(_, status)| lost(status)) {
            self.emit(AgentEvent::ToolServerFailed { server: server.clone() }, out);
        }
        let own = (!self.turn.tools.is_empty()).then(|| mcp::SERVER.to_owned());
        let mut required = own.iter().chain(&self.turn.settings.required_servers);
        let missing =
            required.find(|name| servers.iter().all(|(server, status)| server != *name || lost(status))).cloned();
        // A deferred call that is resumed is decided before our server is offered: its absence then says nothing.
        let resumes_call = self.turn.prompt.is_none();
        if let Some(server) = missing.filter(|server| !(resumes_call && server == mcp::SERVER)) {
            self.evidence.fatal = Some(Fault::ToolServer { server });
        }
    }

    fn retry(&mut self, retry: Retry, out: &mut Vec<Output>) {
        if let Some(fault) = Fault::from_kind(&retry.error).filter(Fault::hopeless) {
            self.evidence.fatal = Some(fault);
        }
        let Retry { attempt, max, delay_ms, status, error } = retry.clone();
        self.evidence.last_retry = Some(retry);
        self.emit(AgentEvent::Retry { attempt, max, delay_ms, status, error }, out);
    }

    fn task(&mut self, task: Task, out: &mut Vec<Output>) {
        match task {
            Task::Started { id, kind, description } => {
                self.tasks.insert(id.clone(), description.clone());
                self.emit(AgentEvent::TaskStarted { task: id, kind, description }, out);
            }
            Task::Updated { id, status } => {
                let over = status.is_some_and(|status| !matches!(status.as_str(), "running" | "pending"));
                if over && self.tasks.remove(&id).is_some() && !self.busy {
                    self.follow_up = true;
                }
            }
            Task::Notified { id, status, summary } => {
                self.tasks.remove(&id);
                if !self.busy {
                    self.follow_up = true;
                }
                self.emit(AgentEvent::TaskFinished { task: id, status, summary }, out);
            }
        }
    }

    fn result(&mut self, result: TurnResult, out: &mut Vec<Output>) {
        self.busy = false;
        self.follow_up = false;
        self.cancel_all(out);
        self.messages.turn_over();
        if let Some(usage) = self.ledger.result(&result) {
            self.emit(AgentEvent::Usage { usage, booked: true }, out);
        }
        let ok = !result.is_error && result.subtype == "success" && result.stop_reason.is_some();
        let text = if result.errors.is_empty() { result.text.clone() } else { result.errors.join("; ") };
        self.emit(AgentEvent::TurnEnded { ok, text: crate::tool::cut_text(&text) }, out);
        self.evidence.results.push(result);
    }

    fn queue(&mut self, message: &UserMessage, out: &mut Vec<Output>) {
        let uuid = message.uuid.to_string();
        let key = format!("user:{uuid}");
        if !self.sent.contains_key(&key) {
            self.undelivered.insert(uuid);
            self.send(key, &wire::user_message(message.uuid, &message.text), out);
        }
    }

    /// Sends `line` unless a line with this key was sent in an earlier life.
    fn send(&mut self, key: String, line: &Value, out: &mut Vec<Output>) {
        if self.sent.contains_key(&key) {
            return;
        }
        if !self.live {
            self.unsent.push((key, line.clone()));
            return;
        }
        let line = format!("{line}\n");
        let seq = self.next_seq;
        self.next_seq += pieces(&line);
        self.sent.insert(key.clone(), line.clone());
        out.push(Output::Send(StdinLine { seq, key, line }));
    }

    fn emit(&self, event: AgentEvent, out: &mut Vec<Output>) {
        if self.live {
            out.push(Output::Event(event));
        }
    }

    /// Ends the replay: what nobody answered comes up now.
    fn awake(&mut self, out: &mut Vec<Output>) {
        if self.live {
            return;
        }
        self.live = true;
        for (key, line) in std::mem::take(&mut self.unsent) {
            self.send(key, &line, out);
        }
        self.reopen(out);
    }
}

/// How many writes a line takes.
pub(crate) fn pieces(line: &str) -> u64 {
    line.len().div_ceil(MAX_WRITE).max(1) as u64
}
