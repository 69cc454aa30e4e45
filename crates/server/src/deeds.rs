//! Who does what over HTTP, as the audit log tells it, and what was refused to whom.

use crate::{
    from::from,
    gate::{Caller, Proof},
    state::State,
};
use domain::{Deed, DoerKind, Outcome, Via};
use engine::{Command, Problem, Reply, Told};
use std::net::IpAddr;
use store::StoreError;

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
