//! The shell around the core: reads, writes, waits, asks.

use crate::{
    AgentEvent, Batch, Core, Decision, Host, HostError, Outcome, Output, Process, Settings, StdinLine, Timer, Turn,
    UserMessage, Verdict,
    machine::pieces,
    process::{Broken, Chunk, MAX_WRITE, Stream},
    wire::{Lines, Split},
};
use bytes::{Bytes, BytesMut};
use futures::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable, BoxFuture},
    stream::{BoxStream, FuturesUnordered},
};
use std::{
    collections::{HashMap, VecDeque},
    future::pending,
    sync::Arc,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Why driving ended before the process did. The process was left alone.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The host could not store what it must.
    #[error("failed to record what the agent does: {0}")]
    Host(#[source] HostError),
    /// The process cannot be reached: attach again and resume.
    #[error(transparent)]
    Process(#[from] Broken),
}

/// Steers an agent that is being driven. Cheap to clone; does nothing once it has ended.
#[derive(Debug, Clone)]
pub struct Control(mpsc::UnboundedSender<Command>);

/// The driver's end of a [`Control`].
#[derive(Debug)]
pub struct Inbox(mpsc::UnboundedReceiver<Command>);

#[derive(Debug)]
enum Command {
    Say(UserMessage),
    Interrupt,
    Stop,
}

/// A control and its inbox.
pub fn control() -> (Control, Inbox) {
    let (send, receive) = mpsc::unbounded_channel();
    (Control(send), Inbox(receive))
}

impl Control {
    /// Says something to the agent, in the middle of what it does. Whether it came in time is told by
    /// [`AgentEvent::Delivered`]; if not, it belongs into the next turn. False when nobody drives any more.
    pub fn say(&self, message: UserMessage) -> bool {
        self.0.send(Command::Say(message)).is_ok()
    }

    /// Ends the turn that is going on; what was said meanwhile is still answered.
    pub fn interrupt(&self) -> bool {
        self.0.send(Command::Interrupt).is_ok()
    }

    /// Ends the turn and the process, by force when it takes longer than [`Settings::exit_grace`].
    pub fn stop(&self) -> bool {
        self.0.send(Command::Stop).is_ok()
    }
}

/// Drives a process to its end.
///
/// Dropping the future leaves the process as it is (a [`process::Child`](crate::process::Child) ends with its handle);
/// drive it again with [`Turn::resume`].
pub async fn drive(
    mut process: Box<dyn Process>,
    turn: Turn,
    host: &dyn Host,
    inbox: Inbox,
) -> Result<Outcome, DriveError> {
    let output = process.output();
    let replay_to = turn.resume.as_ref().map_or(0, |resume| resume.consumed);
    let shell = Shell {
        settings: turn.settings.clone(),
        core: Core::new(turn),
        process: Arc::from(process),
        host,
        lines: Lines::default(),
        batch: Vec::new(),
        raw: BytesMut::new(),
        replay_to,
        stored: replay_to,
        flush_at: None,
        last_flush: None,
        timers: HashMap::new(),
        heard: Instant::now(),
        tasks: FuturesUnordered::new(),
        aborts: HashMap::new(),
        outbox: VecDeque::new(),
        writing: None,
        happened: VecDeque::new(),
    };
    shell.run(output, inbox).await
}

struct Shell<'a> {
    core: Core,
    settings: Settings,
    process: Arc<dyn Process>,
    host: &'a dyn Host,
    lines: Lines,
    batch: Vec<AgentEvent>,
    raw: BytesMut,
    replay_to: u64,
    stored: u64,
    flush_at: Option<Instant>,
    last_flush: Option<Instant>,
    timers: HashMap<Timer, Instant>,
    /// When the agent last said something, or was last answered.
    heard: Instant,
    tasks: FuturesUnordered<BoxFuture<'a, Option<(String, Answered)>>>,
    aborts: HashMap<String, AbortHandle>,
    outbox: VecDeque<Write>,
    writing: Option<BoxFuture<'a, Result<bool, DriveError>>>,
    /// What happened while a batch was handed over.
    happened: VecDeque<Event>,
}

/// What happened.
enum Event {
    Output(Option<Result<Chunk, Broken>>),
    Command(Option<Command>),
    /// None: it was cancelled.
    Answered(Option<(String, Answered)>),
    Written(Result<bool, DriveError>),
    Timer(Timer),
    Silence,
    Flush,
}

/// What came of something that the core asked for.
enum Answered {
    Judged(Verdict),
    Decided(Option<Decision>),
    Called(Result<String, String>),
}

enum Write {
    Line { line: StdinLine, journal: bool },
    Close,
}

impl<'a> Shell<'a> {
    async fn run(
        mut self,
        mut output: BoxStream<'static, Result<Chunk, Broken>>,
        mut inbox: Inbox,
    ) -> Result<Outcome, DriveError> {
        let first = self.core.start();
        self.act(first).await?;
        let mut steered = true;
        loop {
            if let Some(event) = self.happened.pop_front() {
                self.handle(event).await?;
                continue;
            }
            self.write();
            let (timer, timer_at) = self.next_timer();
            let flush_at = self.flush_at;
            // Who waits for our answer may be silent.
            let silent_at = self.tasks.is_empty().then(|| self.heard + self.settings.silence);
            let writing = &mut self.writing;
            let event = tokio::select! {
                biased;
                Some(answer) = self.tasks.next() => Event::Answered(answer),
                written = poll(writing) => {
                    self.writing = None;
                    Event::Written(written)
                }
                command = inbox.0.recv(), if steered => Event::Command(command),
                () = until(flush_at) => Event::Flush,
                () = until(timer_at) => Event::Timer(timer),
                chunk = output.next() => Event::Output(chunk),
                () = until(silent_at) => Event::Silence,
            };
            match event {
                Event::Output(None) => return self.finish().await,
                Event::Command(None) => steered = false,
                other => self.handle(other).await?,
            }
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), DriveError> {
        let out = match event {
            Event::Output(Some(chunk)) => return self.chunk(chunk?).await,
            Event::Written(written) => {
                if written? {
                    Vec::new()
                } else {
                    self.core.input_closed()
                }
            }
            Event::Command(Some(Command::Say(message))) => self.core.say(&message).1,
            Event::Command(Some(Command::Interrupt)) => self.core.interrupt(),
            Event::Command(Some(Command::Stop)) => self.core.stop(),
            Event::Answered(Some((request, answered))) => {
                self.heard = Instant::now();
                self.aborts.remove(&request);
                match answered {
                    Answered::Judged(verdict) => self.core.judged(&request, verdict),
                    Answered::Decided(decision) => self.core.decided(&request, decision),
                    Answered::Called(outcome) => self.core.called(&request, outcome),
                }
            }
            Event::Timer(timer) => {
                self.timers.remove(&timer);
                self.core.fire(timer)
            }
            Event::Silence => {
                self.heard = Instant::now();
                self.core.silent()
            }
            Event::Flush => return self.flush().await,
            Event::Answered(None) | Event::Output(None) | Event::Command(None) => Vec::new(),
        };
        self.act(out).await?;
        self.flush_unless_streaming().await
    }

    async fn chunk(&mut self, chunk: Chunk) -> Result<(), DriveError> {
        self.heard = Instant::now();
        let lines = match chunk.stream {
            Stream::Stdout => self.lines.stdout(&chunk.bytes, chunk.end),
            Stream::Stderr => {
                self.core.stderr(&chunk.bytes);
                self.lines.stderr(chunk.end);
                Vec::new()
            }
        };
        self.split(lines).await?;
        let consumed = self.lines.consumed();
        let out = self.core.caught_up(consumed);
        self.act(out).await?;
        self.flush_unless_streaming().await
    }

    async fn split(&mut self, lines: Vec<Split>) -> Result<(), DriveError> {
        for split in lines {
            let new = split.end() > self.replay_to;
            let out = match split {
                Split::Line { raw, end } => {
                    if new {
                        self.raw.extend_from_slice(&raw);
                    }
                    self.core.stdout(&raw, end)
                }
                Split::Dropped { end } => self.core.dropped(end),
            };
            self.act(out).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Outcome, DriveError> {
        let rest = self.lines.finish().into_iter().collect();
        self.split(rest).await?;
        let exit = self.process.wait().await?;
        // Nobody needs these answers any more; what they hold is let go of before the last batch is handed over.
        for (_, abort) in self.aborts.drain() {
            abort.abort();
        }
        while self.tasks.next().await.is_some() {}
        self.writing = None;
        let (events, outcome) = self.core.finish(exit);
        self.batch.extend(events);
        let batch = Batch { events: self.batch, consumed: self.lines.consumed(), raw: self.raw.freeze() };
        self.host.take(batch).await.map_err(DriveError::Host)?;
        Ok(outcome)
    }

    async fn act(&mut self, outputs: Vec<Output>) -> Result<(), DriveError> {
        for output in outputs {
            match output {
                Output::Event(event) => self.note(event),
                Output::Send(line) => self.outbox.push_back(Write::Line { line, journal: true }),
                Output::Resend(line) => self.outbox.push_back(Write::Line { line, journal: false }),
                Output::CloseStdin => self.outbox.push_back(Write::Close),
                Output::Kill => self.process.kill().await?,
                Output::Arm(timer) => {
                    let wait = match timer {
                        Timer::Exit => self.settings.exit_grace,
                        Timer::FollowUp => self.settings.follow_up,
                        Timer::Background => self.settings.background,
                    };
                    self.timers.insert(timer, Instant::now() + wait);
                }
                Output::Disarm(timer) => {
                    self.timers.remove(&timer);
                }
                Output::Judge { request, call } => {
                    let host = self.host;
                    self.wait_for(request, async move { Answered::Judged(host.judge(&call).await) }.boxed());
                }
                Output::Ask { request, ask } => {
                    let (host, hold) = (self.host, self.settings.hold);
                    let asking =
                        async move { Answered::Decided(tokio::time::timeout(hold, host.person(&ask)).await.ok()) };
                    self.wait_for(request, asking.boxed());
                }
                Output::Call { request, call } => {
                    let host = self.host;
                    self.wait_for(request, async move { Answered::Called(host.call_tool(&call).await) }.boxed());
                }
                Output::Cancel { request, tool_use_id, why } => {
                    if let Some(abort) = self.aborts.remove(&request) {
                        abort.abort();
                    }
                    let host = self.host;
                    let withdrawal = async move {
                        host.withdraw(&tool_use_id, why).await;
                        None
                    };
                    self.tasks.push(withdrawal.boxed());
                }
            }
        }
        Ok(())
    }

    fn wait_for(&mut self, request: String, answer: BoxFuture<'a, Answered>) {
        let (abort, registration) = AbortHandle::new_pair();
        self.aborts.insert(request.clone(), abort);
        let answer = Abortable::new(answer, registration);
        self.tasks.push(async move { Some((request, answer.await.ok()?)) }.boxed());
    }

    /// Adds an event to the batch; pieces of the same text become one.
    fn note(&mut self, event: AgentEvent) {
        match (self.batch.last_mut(), &event) {
            (
                Some(AgentEvent::TextDelta { message, block, text }),
                AgentEvent::TextDelta { message: same, block: same_block, text: more },
            )
            | (
                Some(AgentEvent::ThinkingDelta { message, block, text }),
                AgentEvent::ThinkingDelta { message: same, block: same_block, text: more },
            ) if message == same && block == same_block => text.push_str(more),
            _ => self.batch.push(event),
        }
    }

    /// Hands the batch over, unless it is only streaming text and the last was handed over a moment ago.
    async fn flush_unless_streaming(&mut self) -> Result<(), DriveError> {
        let streaming = self
            .batch
            .iter()
            .all(|event| matches!(event, AgentEvent::TextDelta { .. } | AgentEvent::ThinkingDelta { .. }));
        let now = Instant::now();
        let due = self.last_flush.map_or(now, |last| last + self.settings.delta_every);
        if streaming && due > now {
            if !self.batch.is_empty() {
                self.flush_at.get_or_insert(due);
            }
            return Ok(());
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), DriveError> {
        self.flush_at = None;
        let consumed = self.lines.consumed();
        if self.batch.is_empty() && consumed <= self.stored {
            return Ok(());
        }
        let batch = Batch {
            events: std::mem::take(&mut self.batch),
            consumed: consumed.max(self.stored),
            raw: self.raw.split().freeze(),
        };
        self.stored = batch.consumed;
        self.last_flush = Some(Instant::now());
        // What else the host was asked goes on meanwhile: it may hold what taking this in waits for, such as the
        // database's only writer.
        let mut taking = self.host.take(batch);
        loop {
            let writing = &mut self.writing;
            let event = tokio::select! {
                biased;
                taken = &mut taking => return taken.map_err(DriveError::Host),
                Some(answer) = self.tasks.next() => Event::Answered(answer),
                written = poll(writing) => {
                    self.writing = None;
                    Event::Written(written)
                }
            };
            self.happened.push_back(event);
        }
    }

    /// Starts the next write when none is going on. It runs beside reading: an agent that does not read until it has
    /// written would wait for ever otherwise.
    fn write(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let Some(write) = self.outbox.pop_front() else { return };
        let (host, process) = (self.host, self.process.clone());
        self.writing = Some(
            async move {
                let written = match write {
                    Write::Line { line, journal } => {
                        if journal {
                            host.journal(&line).await.map_err(DriveError::Host)?;
                        }
                        send(&*process, &line).await
                    }
                    Write::Close => process.close_stdin().await,
                };
                match written {
                    Ok(()) => Ok(true),
                    Err(Broken::Closed | Broken::Gone(_)) => Ok(false),
                    Err(broken) => Err(broken.into()),
                }
            }
            .boxed(),
        );
    }

    fn next_timer(&self) -> (Timer, Option<Instant>) {
        match self.timers.iter().min_by_key(|(_, at)| **at) {
            Some((timer, at)) => (*timer, Some(*at)),
            None => (Timer::Exit, None),
        }
    }
}

async fn send(process: &dyn Process, line: &StdinLine) -> Result<(), Broken> {
    let bytes = Bytes::copy_from_slice(line.line.as_bytes());
    for piece in 0..pieces(&line.line) {
        let from = usize::try_from(piece).map_or(bytes.len(), |piece| piece * MAX_WRITE).min(bytes.len());
        let to = (from + MAX_WRITE).min(bytes.len());
        process.write_stdin(line.seq + piece, bytes.slice(from..to)).await?;
    }
    Ok(())
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

async fn poll<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
