//! Everybody who looks at a session: its newest events are read, masked and written as JSON once for all of them.
//!
//! Whoever is further behind than what is kept here reads the record for themselves, at their own pace, until they have
//! caught up; so a viewer that reads nothing costs nobody else anything.

use domain::{Event, Payload, SessionNumber, Timestamp};
use engine::{Backend, Command, Person, Problem, ProblemCode, Reply};
use futures::{Stream, StreamExt as _};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    vec,
};
use tokio::{sync::watch, task::JoinHandle};

/// Events that a viewer holds at once.
const PAGE: usize = 64;
/// Of a session that somebody looks at, so many events are kept at most.
const MOST_EVENTS: usize = 1024;
/// And so many bytes of them, but for the newest one.
const MOST_BYTES: usize = 1024 * 1024;

/// An event as it is shown.
#[derive(Debug)]
pub struct Shown {
    pub number: i64,
    pub at: Timestamp,
    pub kind: String,
    /// The event as it is on record, with its `type`, as JSON.
    pub payload: Arc<RawValue>,
}

impl TryFrom<Event> for Shown {
    type Error = Problem;

    fn try_from(event: Event) -> Result<Self, Problem> {
        let broken =
            |error: serde_json::Error| Problem::new(ProblemCode::Internal, format!("an event is no JSON: {error}"));
        let payload = match event.payload {
            Payload::Known(known) => serde_json::to_value(known).map_err(broken)?,
            Payload::Unknown(value) => value,
        };
        let kind = payload.get("type").and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
        let payload = serde_json::value::to_raw_value(&payload).map_err(broken)?.into();
        Ok(Self { number: event.number, at: event.at, kind, payload })
    }
}

/// Who looks at which session.
#[derive(Debug, Default)]
pub struct Audience {
    tails: Mutex<HashMap<SessionNumber, Weak<Tail>>>,
}

impl Audience {
    /// The events of a session above `after`, each once and in order, and those that come.
    pub fn follow(
        self: Arc<Self>,
        backend: Arc<dyn Backend>,
        who: Option<Person>,
        (session, after): (SessionNumber, i64),
    ) -> impl Stream<Item = Result<Arc<Shown>, Problem>> + Send + use<> {
        let viewer =
            Viewer { audience: self, backend, who, session, seen: after, page: Vec::new().into_iter(), tail: None };
        futures::stream::try_unfold(viewer, |mut viewer| async move {
            let next = viewer.next().await?;
            Ok(next.map(|event| (event, viewer)))
        })
    }

    /// The tail of a session, which begins above `seen` when nobody looks at it yet.
    fn join(&self, backend: &Arc<dyn Backend>, session: SessionNumber, seen: i64) -> Arc<Tail> {
        let mut tails = self.tails.lock();
        if let Some(tail) = tails.get(&session).and_then(Weak::upgrade).filter(|tail| !tail.kept.is_over()) {
            return tail;
        }
        tails.retain(|_, tail| tail.strong_count() > 0);
        let kept = Arc::new(Kept::above(seen));
        let reader = tokio::spawn(read(Arc::clone(backend), (session, seen), Arc::clone(&kept)));
        let tail = Arc::new(Tail { kept, reader });
        tails.insert(session, Arc::downgrade(&tail));
        tail
    }
}

/// Keeps what comes, until there is nobody any more.
async fn read(backend: Arc<dyn Backend>, (session, seen): (SessionNumber, i64), kept: Arc<Kept>) {
    let mut events = backend.follow(session, seen).ready_chunks(PAGE);
    while let Some(some) = events.next().await {
        let shown: Result<Vec<_>, _> = some.into_iter().map(|event| event.and_then(Shown::try_from)).collect();
        match shown {
            Ok(shown) => kept.add(shown),
            Err(problem) => return kept.end(Err(problem)),
        }
    }
    kept.end(Ok(()));
}

/// The newest events of a session that somebody looks at.
#[derive(Debug)]
struct Tail {
    kept: Arc<Kept>,
    reader: JoinHandle<()>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[derive(Debug)]
struct Kept {
    recent: Mutex<Recent>,
    /// Rises with every change of what is kept.
    moved: watch::Sender<u64>,
}

#[derive(Debug)]
struct Recent {
    events: VecDeque<Arc<Shown>>,
    bytes: usize,
    /// Events up to this number are not kept.
    forgotten: i64,
    /// Nothing more comes, or something went wrong.
    over: Option<Result<(), Problem>>,
}

/// What a tail has for a viewer.
#[derive(Debug)]
enum Look {
    /// Some events, in order.
    Events(Vec<Arc<Shown>>),
    /// Some are not kept any more: they are in the record.
    Behind,
    /// Nothing yet.
    Nothing,
    /// Nothing ever.
    Over(Result<(), Problem>),
}

impl Kept {
    fn above(seen: i64) -> Self {
        let recent = Recent { events: VecDeque::new(), bytes: 0, forgotten: seen, over: None };
        Self { recent: Mutex::new(recent), moved: watch::Sender::new(0) }
    }

    fn add(&self, events: Vec<Shown>) {
        let mut recent = self.recent.lock();
        for event in events {
            recent.bytes += event.payload.get().len();
            recent.events.push_back(Arc::new(event));
        }
        while recent.events.len() > MOST_EVENTS || (recent.bytes > MOST_BYTES && recent.events.len() > 1) {
            let Some(oldest) = recent.events.pop_front() else { break };
            recent.bytes -= oldest.payload.get().len();
            recent.forgotten = oldest.number;
        }
        drop(recent);
        self.moved.send_modify(|moved| *moved += 1);
    }

    fn end(&self, why: Result<(), Problem>) {
        self.recent.lock().over = Some(why);
        self.moved.send_modify(|moved| *moved += 1);
    }

    fn is_over(&self) -> bool {
        self.recent.lock().over.is_some()
    }

    fn after(&self, seen: i64) -> Look {
        let recent = self.recent.lock();
        if seen < recent.forgotten {
            return Look::Behind;
        }
        let from = recent.events.partition_point(|event| event.number <= seen);
        let events: Vec<_> = recent.events.range(from..).take(PAGE).cloned().collect();
        match &recent.over {
            _ if !events.is_empty() => Look::Events(events),
            Some(why) => Look::Over(why.clone()),
            None => Look::Nothing,
        }
    }
}

/// One who looks.
struct Viewer {
    audience: Arc<Audience>,
    backend: Arc<dyn Backend>,
    who: Option<Person>,
    session: SessionNumber,
    seen: i64,
    page: vec::IntoIter<Arc<Shown>>,
    tail: Option<(Arc<Tail>, watch::Receiver<u64>)>,
}

impl Viewer {
    async fn next(&mut self) -> Result<Option<Arc<Shown>>, Problem> {
        loop {
            if let Some(event) = self.page.next() {
                self.seen = event.number;
                return Ok(Some(event));
            }
            let Some((tail, moved)) = &mut self.tail else {
                self.page = self.on_record().await?.into_iter();
                if self.page.len() < PAGE {
                    let seen = self.page.as_slice().last().map_or(self.seen, |event| event.number);
                    let tail = self.audience.join(&self.backend, self.session, seen);
                    let moved = tail.kept.moved.subscribe();
                    self.tail = Some((tail, moved));
                }
                continue;
            };
            moved.mark_unchanged();
            match tail.kept.after(self.seen) {
                Look::Events(events) => self.page = events.into_iter(),
                Look::Behind => self.tail = None,
                Look::Over(why) => return why.map(|()| None),
                // What moves a tail lives as long as the tail, which is ours.
                Look::Nothing => moved.changed().await.unwrap_or_default(),
            }
        }
    }

    async fn on_record(&self) -> Result<Vec<Arc<Shown>>, Problem> {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let command = Command::Events { session: self.session, after: self.seen, limit };
        let Reply::Events(events) = self.backend.call(self.who.as_ref(), command).await? else {
            return Err(Problem::new(ProblemCode::Internal, "events were asked for, and something else came"));
        };
        events.into_iter().map(|event| Shown::try_from(event).map(Arc::new)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(number: i64, size: usize) -> Shown {
        let payload = serde_json::value::to_raw_value(&"x".repeat(size)).expect("JSON").into();
        Shown { number, at: Timestamp(0), kind: "note".to_owned(), payload }
    }

    fn numbers(look: Look) -> Vec<i64> {
        match look {
            Look::Events(events) => events.iter().map(|event| event.number).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whoever_has_seen_what_is_forgotten_is_sent_to_the_record() {
        let kept = Kept::above(10);
        assert!(matches!(kept.after(9), Look::Behind));
        assert!(matches!(kept.after(10), Look::Nothing));
        kept.add((11..=13).map(|number| shown(number, 1)).collect());
        assert_eq!(numbers(kept.after(10)), [11, 12, 13]);
        assert_eq!(numbers(kept.after(12)), [13]);
        assert!(matches!(kept.after(20), Look::Nothing), "a viewer may be ahead of the tail");
        let most = i64::try_from(MOST_EVENTS).expect("few");
        kept.add((14..=13 + most).map(|number| shown(number, 1)).collect());
        assert!(matches!(kept.after(12), Look::Behind));
        assert_eq!(numbers(kept.after(13))[0], 14);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_the_newest_is_always_there() {
        let kept = Kept::above(0);
        kept.add((1..=40).map(|number| shown(number, MOST_BYTES / 10)).collect());
        assert!(kept.recent.lock().bytes <= MOST_BYTES);
        kept.add(vec![shown(41, 3 * MOST_BYTES)]);
        assert_eq!(numbers(kept.after(40)), [41]);
        assert!(matches!(kept.after(39), Look::Behind));
    }

    #[test]
    fn the_end_comes_after_everything_else() {
        let kept = Kept::above(0);
        kept.add(vec![shown(1, 1)]);
        kept.end(Ok(()));
        assert_eq!(numbers(kept.after(0)), [1]);
        assert!(matches!(kept.after(1), Look::Over(Ok(()))));
    }
}
