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

/// Spans in which no server was at work on a data directory: from, to, and whether one was started at the end.
fn silences(history: &[Entry], wanted: usize) -> Vec<(u64, u64, bool)> {
    let is_of = |life: &usize| {
        let mut started = history.iter().filter_map(|entry| match &entry.what {
            What::Started { life, place, .. } => Some((life, place)),
            _ => None,
        });
        started.any(|(known, place)| known == life && *place == wanted)
    };
    let mut silences = Vec::new();
    let mut since = None;
    let last = history.last().map_or(0, |entry| entry.at);
    for entry in history {
        match &entry.what {
            What::Died { life, .. } | What::Hung { life, hangs: true } if is_of(life) => {
                since.get_or_insert(entry.at);
            }
            What::Up { life } if is_of(life) => silences.extend(since.take().map(|from| (from, entry.at, true))),
            What::Hung { life, hangs: false } if is_of(life) => {
                silences.extend(since.take().map(|from| (from, entry.at, false)));
            }
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
    // A sandbox that is started again has the same id: what counts is each end.
    let mut lives: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for entry in history {
        if let What::Sandbox { sandbox, place, .. } = &entry.what {
            lives.entry(sandbox).or_insert((entry.at, *place));
        }
    }
    let mut overruns = Vec::new();
    let span = |from: u64, to: u64| Duration::from_millis(to.saturating_sub(from));
    for (sandbox, (begun, place)) in &lives {
        for (from, to, restarted) in silences(history, *place) {
            let deadline = from + patience;
            if *begun > from || !alive_at(history, sandbox, from) {
                continue;
            }
            let gone = gone_after(history, sandbox, from).unwrap_or(last);
            if gone <= deadline || to <= deadline {
                continue;
            }
            let other = others_up(history, *place, deadline);
            if gone <= to {
                let up = if other { Up::Server } else { Up::Nobody };
                overruns.push(Overrun { by: span(deadline, gone), up });
            } else {
                let up = if restarted && !other { Up::Restarted } else { Up::Server };
                overruns.push(Overrun { by: span(to, gone), up });
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

/// Whether a server of another data directory was up.
fn others_up(history: &[Entry], place: usize, at: u64) -> bool {
    let mut up = std::collections::BTreeSet::new();
    let mut places = BTreeMap::new();
    for entry in history.iter().filter(|entry| entry.at <= at) {
        match &entry.what {
            What::Started { life, place, .. } => {
                places.insert(*life, *place);
            }
            What::Up { life } | What::Hung { life, hangs: false } => {
                up.insert(*life);
            }
            What::Died { life, .. } | What::Hung { life, hangs: true } => {
                up.remove(life);
            }
            _ => {}
        }
    }
    up.iter().any(|life| places.get(life).is_some_and(|found| *found != place))
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
