//! Who does what over HTTP, as the audit log tells it, and what was refused to whom.

use crate::{
    gate::{Caller, Proof},
    state::State,
};
use domain::{Deed, DoerKind, Outcome, Via};
use engine::{Command, Problem, Reply, Told};
use governor::{Quota, RateLimiter, clock::DefaultClock, state::keyed::HashMapStateStore};
use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use store::StoreError;

tokio::task_local! {
    static FROM: IpAddr;
}

/// Answers a request that came from this address.
pub async fn answering<F: Future>(from: Option<IpAddr>, answer: F) -> F::Output {
    match from {
        Some(from) => FROM.scope(from, answer).await,
        None => answer.await,
    }
}

/// Where the request that is being answered came from.
pub fn from() -> Option<IpAddr> {
    FROM.try_with(|from| *from).ok()
}

/// How many refusals are written down, so that nobody fills the disk with them: a hundred of strangers at once, then one
/// every ten seconds; twenty of somebody who came in, then one a minute. The next that is tells of those that were not.
pub struct Refusals {
    strangers: RateLimiter<(), HashMapStateStore<()>, DefaultClock>,
    callers: RateLimiter<String, HashMapStateStore<String>, DefaultClock>,
    unwritten: AtomicU64,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusals")
    }
}

impl Refusals {
    pub fn new() -> Self {
        let quota = |every: u64, burst: u32| {
            let quota = Quota::with_period(Duration::from_secs(every)).expect("a period that is not zero");
            quota.allow_burst(NonZeroU32::new(burst).expect("not zero"))
        };
        Self {
            strangers: RateLimiter::hashmap(quota(10, 100)),
            callers: RateLimiter::hashmap(quota(60, 20)),
            unwritten: AtomicU64::new(0),
        }
    }

    /// Whether one more is written down, and how many before it were not.
    fn one_more(&self, deed: &Deed) -> Option<u64> {
        let fits = match deed.kind {
            DoerKind::Stranger => self.strangers.check_key(&()).is_ok(),
            // There are no more of them than the account has people and tokens.
            _ => self.callers.check_key(&deed.actor).is_ok(),
        };
        if fits {
            return Some(self.unwritten.swap(0, Ordering::Relaxed));
        }
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Caller {
    /// What this caller does.
    pub fn deed(&self, state: &State, told: Told) -> Deed {
        let via = match self.proof {
            Proof::SignIn(..) => Via::Page,
            Proof::Token(..) => Via::Api,
        };
        let (kind, actor) = match (&self.member, &self.token) {
            (Some(member), _) => (DoerKind::Person, member.user.email.clone()),
            (None, token) => (DoerKind::AccountToken, token.clone().unwrap_or_default()),
        };
        let told = match (&self.member, &self.token) {
            (Some(_), Some(token)) => told.with("token", token),
            _ => told,
        };
        deed(state, (kind, via), actor, self.from, told)
    }
}

/// What somebody does who did not come in yet.
pub fn strangers(state: &State, actor: impl Into<String>, told: Told) -> Deed {
    deed(state, (DoerKind::Stranger, Via::Page), actor.into(), from(), told)
}

/// What the server does by itself.
pub fn own(at: domain::Timestamp, told: Told) -> Deed {
    let Told { action, target, details } = told;
    let (kind, via) = (DoerKind::Server, Via::Server);
    let (actor, action) = ("server".to_owned(), action.to_owned());
    Deed { at, kind, actor, via, address: None, action, target, outcome: Outcome::Done, details }
}

fn deed(state: &State, (kind, via): (DoerKind, Via), actor: String, from: Option<IpAddr>, told: Told) -> Deed {
    let Told { action, target, details } = told;
    let (at, address) = (state.clock.now(), from.map(|from| from.to_string()));
    Deed { at, kind, actor, via, address, action: action.to_owned(), target, outcome: Outcome::Done, details }
}

impl State {
    /// Does what a caller asks, who may; what it changes is written down as theirs.
    pub async fn call(&self, caller: &Caller, command: Command) -> Result<Reply, Problem> {
        let (told, person) = (command.told(), caller.person());
        let work = self.backend.call(person.as_ref(), command);
        match told {
            Some(told) => store::doing(self.account, caller.deed(self, told), work).await,
            None => store::looking(self.account, caller.deed(self, Told::new("look", "")), work).await,
        }
    }

    /// Does what is none of the engine's commands; what it changes is written down as the caller's.
    pub async fn doing<F: Future>(&self, caller: &Caller, told: Told, work: F) -> F::Output {
        store::doing(self.account, caller.deed(self, told), work).await
    }

    /// Writes down what was refused, as far as there is room for it.
    pub async fn refused(&self, deed: Deed) {
        let Some(unwritten) = self.refusals.one_more(&deed) else { return };
        let mut deed = Deed { outcome: Outcome::Refused, ..deed };
        if unwritten > 0 {
            deed.details.insert("refusals_not_written_before".to_owned(), unwritten.to_string());
        }
        if let Err(error) = self.store.note_deed(self.account, &deed).await {
            tracing::error!(%error, action = deed.action, "a refusal could not be written down");
        }
    }

    /// Writes down what changes nothing here and yet matters.
    pub async fn note(&self, caller: &Caller, told: Told) -> Result<(), StoreError> {
        self.store.note_deed(self.account, &caller.deed(self, told)).await
    }
}
