//! I6: how long sandboxes outlive the lease of a server that is dead or stands still.

use crate::{
    cases::PATIENCE,
    history::{Entry, What},
};
use std::{collections::BTreeMap, time::Duration};

/// Who was there when a sandbox should have been gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Up {
    /// A server that lived on.
    Server,
    /// One that was started again in the meantime.
    Restarted,
    /// None.
    Nobody,
}

impl Up {
    /// How long a sandbox may be there then.
    pub fn limit(self) -> Duration {
        match self {
            Self::Server => Duration::from_secs(5),
            Self::Restarted => Duration::from_secs(10),
            Self::Nobody => Duration::from_secs(30),
        }
    }
}

/// A sandbox that was to be gone.
#[derive(Debug, Clone, Copy)]
pub struct Overrun {
    /// How long it was there all the same.
    pub by: Duration,
    /// Who was there.
    pub up: Up,
}

/// Spans in which no server was at work: from, to, and whether one was started at the end.
fn silences(history: &[Entry]) -> Vec<(u64, u64, bool)> {
    let mut silences = Vec::new();
    let mut since = None;
    let last = history.last().map_or(0, |entry| entry.at);
    for entry in history {
        match &entry.what {
            What::Died { .. } | What::Hung { hangs: true, .. } => {
                since.get_or_insert(entry.at);
            }
            What::Up { .. } => silences.extend(since.take().map(|from| (from, entry.at, true))),
            What::Hung { hangs: false, .. } => silences.extend(since.take().map(|from| (from, entry.at, false))),
            _ => {}
        }
    }
    silences.extend(since.map(|from| (from, last, false)));
    silences
}

/// One entry for each sandbox that lived when its lease ran out; and one for each that an archived session left.
pub(super) fn overruns(history: &[Entry]) -> Vec<Overrun> {
    let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(0);
    let last = history.last().map_or(0, |entry| entry.at);
    let mut lives: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for entry in history {
        if let What::Sandbox { sandbox, all, .. } = &entry.what {
            // A sandbox that is started again has the same id: what counts is each end.
            let life = lives.entry(sandbox).or_insert((entry.at, last));
            life.1 = if *all == 0 { entry.at } else { last };
        }
    }
    let mut overruns = Vec::new();
    let span = |from: u64, to: u64| Duration::from_millis(to.saturating_sub(from));
    for (from, to, restarted) in silences(history) {
        let deadline = from + patience;
        for (sandbox, (begun, _)) in &lives {
            if *begun > from || !alive_at(history, sandbox, from) {
                continue;
            }
            let gone = gone_after(history, sandbox, from).unwrap_or(last);
            if gone <= deadline || to <= deadline {
                continue;
            }
            if gone <= to {
                overruns.push(Overrun { by: span(deadline, gone), up: Up::Nobody });
            } else if restarted {
                overruns.push(Overrun { by: span(to, gone), up: Up::Restarted });
            } else {
                overruns.push(Overrun { by: span(to, gone), up: Up::Server });
            }
        }
    }
    let archived = history.iter().find(|entry| match &entry.what {
        What::Asked { command, answer: Some(answer), .. } => {
            command.to_string().contains("archive") && answer["reply"].is_object()
        }
        _ => false,
    });
    if let Some(archived) = archived {
        let died = history.iter().any(|entry| entry.at > archived.at && matches!(entry.what, What::Up { .. }));
        for sandbox in lives.keys().filter(|sandbox| alive_at(history, sandbox, archived.at)) {
            let gone = gone_after(history, sandbox, archived.at).unwrap_or(last);
            if !died {
                overruns.push(Overrun { by: span(archived.at, gone), up: Up::Server });
            }
        }
    }
    overruns
}

fn alive_at(history: &[Entry], wanted: &str, at: u64) -> bool {
    let before = history.iter().rev().filter(|entry| entry.at <= at);
    let mut counts = before.filter_map(|entry| match &entry.what {
        What::Sandbox { sandbox, all, .. } if sandbox == wanted => Some(*all),
        _ => None,
    });
    counts.next().is_some_and(|all| all > 0)
}

fn gone_after(history: &[Entry], wanted: &str, at: u64) -> Option<u64> {
    history.iter().filter(|entry| entry.at > at).find_map(|entry| match &entry.what {
        What::Sandbox { sandbox, all: 0, .. } if sandbox == wanted => Some(entry.at),
        _ => None,
    })
}
