//! What was asked, answered and seen, outside of the product, in the order in which the harness learned of it.

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use std::{
    io::Write as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// One entry.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Milliseconds since the case began.
    pub at: u64,
    /// What it is about.
    #[serde(flatten)]
    pub what: What,
}

/// What a history holds.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A server was started.
    Started {
        /// Which life of the server this is, from 0.
        life: usize,
        /// Which data directory it has.
        place: usize,
        /// What was ordered to happen in it.
        orders: String,
    },
    /// It answers.
    Up {
        /// Which one.
        life: usize,
    },
    /// It ended, for whatever reason.
    Died {
        /// Which one.
        life: usize,
        /// How, in words.
        how: String,
    },
    /// It was stopped as a whole, and goes on.
    Hung {
        /// Which one.
        life: usize,
        /// True when it stopped, false when it goes on.
        hangs: bool,
    },
    /// Something outside of the server was done to the product.
    Done {
        /// What, such as `kill -9` of a sandbox's first process.
        to: String,
    },
    /// The server was asked something, and answered.
    Asked {
        /// Which life.
        life: usize,
        /// The command.
        command: Value,
        /// The answer; none when the server died first.
        answer: Option<Value>,
    },
    /// An event arrived at a viewer.
    Seen {
        /// Which viewer: one for each life.
        viewer: usize,
        /// The event, whole.
        event: Value,
    },
    /// An agent reported through the way out.
    Reported {
        /// The life whose way out it took.
        life: usize,
        /// What it said.
        report: Value,
    },
    /// A sandbox's processes, when they changed: all of them, and those of the agent.
    Sandbox {
        /// Its id.
        sandbox: String,
        /// The data directory that it belongs to.
        place: usize,
        /// How many processes there are.
        all: usize,
        /// How many of them are more than the shim.
        more: usize,
    },
    /// The state of the outside at the end.
    End(End),
}

/// The outside at the end.
#[derive(Debug, Clone, Default, Serialize)]
pub struct End {
    /// The session's log.
    pub log: Vec<Value>,
    /// The session as it is shown.
    pub session: Value,
    /// The pull requests.
    pub pull_requests: Vec<Value>,
    /// Comments on them.
    pub comments: Vec<Value>,
    /// Runyard's branches in the target repository with the messages of their commits above `main`, oldest first.
    pub branches: Vec<(String, Vec<String>)>,
    /// Files of the newest branch.
    pub files: Vec<(String, String)>,
    /// What should not be there: processes, directories, mounts, groups.
    pub leftovers: Vec<String>,
    /// Files that hold the key.
    pub leaks: Vec<String>,
}

/// A history that many write to.
#[derive(Debug, Clone)]
pub struct History {
    begun: Instant,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Default for History {
    fn default() -> Self {
        Self { begun: Instant::now(), entries: Arc::default() }
    }
}

impl History {
    /// Adds an entry.
    pub fn note(&self, what: What) {
        let at = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.entries.lock().push(Entry { at, what });
    }

    /// How long ago it began.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// All of it so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().clone()
    }

    /// Whether an entry is there.
    pub fn any(&self, wanted: impl Fn(&What) -> bool) -> bool {
        self.entries.lock().iter().any(|entry| wanted(&entry.what))
    }

    /// Writes it as JSON lines.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for entry in self.entries.lock().iter() {
            writeln!(file, "{}", serde_json::to_string(entry)?)?;
        }
        file.flush()
    }
}
