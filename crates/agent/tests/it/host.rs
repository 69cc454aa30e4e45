//! A host that keeps everything in memory.

use agent::{
    AgentEvent, Batch, Call, Decision, Host, HostError, OwnCall, PersonRequest, Resume, StdinLine, Verdict, Withdrawn,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::sync::watch;

type Judge = dyn Fn(&Call) -> Verdict + Send + Sync;
type Person = dyn Fn(&PersonRequest) -> Option<Decision> + Send + Sync;
type Tool = dyn Fn(&OwnCall) -> Result<String, String> + Send + Sync;

/// Allows everything, unless told otherwise, and remembers all that it is told.
pub struct Memory {
    judge: Box<Judge>,
    /// None: nobody answers.
    person: Box<Person>,
    tool: Box<Tool>,
    pub batches: Mutex<Vec<Batch>>,
    pub journal: Mutex<Vec<StdinLine>>,
    pub asked: Mutex<Vec<PersonRequest>>,
    pub judged: Mutex<Vec<Call>>,
    pub withdrawn: Mutex<Vec<String>>,
    pub called: Mutex<Vec<OwnCall>>,
    changed: watch::Sender<usize>,
    /// Everything goes through one writer, as in a store that has only one: whoever holds it must be polled.
    writer: tokio::sync::Mutex<()>,
    /// Storing fails from this call on.
    fails_at: AtomicUsize,
    stored: AtomicUsize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            judge: Box::new(|_| Verdict::Allow { updated_input: None }),
            person: Box::new(|_| None),
            tool: Box::new(|_| Ok("done".to_owned())),
            batches: Mutex::default(),
            journal: Mutex::default(),
            asked: Mutex::default(),
            judged: Mutex::default(),
            withdrawn: Mutex::default(),
            called: Mutex::default(),
            changed: watch::channel(0).0,
            writer: tokio::sync::Mutex::default(),
            fails_at: AtomicUsize::new(usize::MAX),
            stored: AtomicUsize::new(0),
        }
    }
}

impl Memory {
    pub fn judging(mut self, judge: impl Fn(&Call) -> Verdict + Send + Sync + 'static) -> Self {
        self.judge = Box::new(judge);
        self
    }

    /// Every call is put to a person, who says this.
    pub fn asking(self, person: impl Fn(&PersonRequest) -> Option<Decision> + Send + Sync + 'static) -> Self {
        let mut asking = self.judging(|_| Verdict::Person { reason: "a test".to_owned() });
        asking.person = Box::new(person);
        asking
    }

    pub fn with_tool(mut self, tool: impl Fn(&OwnCall) -> Result<String, String> + Send + Sync + 'static) -> Self {
        self.tool = Box::new(tool);
        self
    }

    /// The `n`th act of storing (from 0) and all later ones fail.
    pub fn fail_at(&self, n: usize) {
        self.stored.store(0, Ordering::SeqCst);
        self.fails_at.store(n, Ordering::SeqCst);
    }

    pub fn events(&self) -> Vec<AgentEvent> {
        let batches = self.batches.lock();
        merged(batches.iter().flat_map(|batch| batch.events.clone()))
    }

    pub fn raw(&self) -> Vec<u8> {
        self.batches.lock().iter().flat_map(|batch| batch.raw.to_vec()).collect()
    }

    /// What the next server knows.
    pub fn resume(&self) -> Resume {
        Resume {
            consumed: self.batches.lock().last().map_or(0, |batch| batch.consumed),
            journal: self.journal.lock().clone(),
        }
    }

    /// Resolves when `holds` is true of what was stored so far.
    pub async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        while !holds(self) {
            changed.changed().await.expect("the host lives");
        }
    }

    fn may_store(&self) -> Result<(), HostError> {
        let n = self.stored.fetch_add(1, Ordering::SeqCst);
        if n >= self.fails_at.load(Ordering::SeqCst) { Err("the store is gone".into()) } else { Ok(()) }
    }

    /// Holds the writer for a moment.
    async fn write(&self) {
        let _writer = self.writer.lock().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    fn note(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

/// Events with adjacent pieces of one text joined: how a text was cut depends on the moment.
pub fn merged(events: impl IntoIterator<Item = AgentEvent>) -> Vec<AgentEvent> {
    let mut all: Vec<AgentEvent> = Vec::new();
    for event in events {
        if let (
            Some(AgentEvent::TextDelta { message, block, text } | AgentEvent::ThinkingDelta { message, block, text }),
            AgentEvent::TextDelta { message: same, block: same_block, text: more }
            | AgentEvent::ThinkingDelta { message: same, block: same_block, text: more },
        ) = (all.last_mut(), &event)
            && message == same
            && block == same_block
        {
            text.push_str(more);
        } else {
            all.push(event);
        }
    }
    all
}

#[async_trait]
impl Host for Memory {
    async fn take(&self, batch: Batch) -> Result<(), HostError> {
        self.write().await;
        self.may_store()?;
        self.batches.lock().push(batch);
        self.note();
        Ok(())
    }

    async fn journal(&self, line: &StdinLine) -> Result<(), HostError> {
        self.write().await;
        self.may_store()?;
        self.journal.lock().push(line.clone());
        self.note();
        Ok(())
    }

    async fn judge(&self, call: &Call) -> Verdict {
        self.write().await;
        self.judged.lock().push(call.clone());
        (self.judge)(call)
    }

    async fn person(&self, request: &PersonRequest) -> Decision {
        self.write().await;
        self.asked.lock().push(request.clone());
        self.note();
        match (self.person)(request) {
            Some(decision) => decision,
            None => std::future::pending().await,
        }
    }

    async fn withdraw(&self, tool_use_id: &str, _why: Withdrawn) {
        self.write().await;
        self.withdrawn.lock().push(tool_use_id.to_owned());
    }

    async fn call_tool(&self, call: &OwnCall) -> Result<String, String> {
        self.write().await;
        self.called.lock().push(call.clone());
        self.note();
        (self.tool)(call)
    }
}
