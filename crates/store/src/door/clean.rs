//! The one place where texts are made fit to be kept: everything that is written passes here.
//!
//! What is known to be secret becomes [`secrets::MASK`]. Every NUL becomes U+FFFD, the replacement character, in all
//! three stores, so that they answer alike: PostgreSQL cannot keep it, and agents write it.

use crate::{Check, Comment, PullRequest, StoreError, Thread, Write};
use domain::{
    Account, Action, ActionKind, Change, Delivery, EventPayload, Knowledge, Repository, Request, RequestState, Run,
    RunbookVersion, SandboxRecord, Session, User, Webhook,
};
use secrets::Redactor;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;
use std::{borrow::Cow, ops::Deref};

/// A value with nothing in its texts that may not be kept. Only this file makes one, and the rules of the store take
/// nothing else, so that nobody can forget to look.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cleaned<T>(T);

impl<T> Deref for Cleaned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A value that can be made fit to be kept.
pub(super) trait Clean: Sized {
    /// The value with nothing in its texts that may not be kept.
    fn clean(&self, redactor: &Redactor) -> Result<Cleaned<Self>, StoreError> {
        self.without(redactor).map(Cleaned)
    }

    #[doc(hidden)]
    fn without(&self, redactor: &Redactor) -> Result<Self, StoreError>;
}

/// All of them, cleaned.
pub(super) fn all<T: Clean>(values: &[T], redactor: &Redactor) -> Result<Vec<Cleaned<T>>, StoreError> {
    values.iter().map(|value| value.clean(redactor)).collect()
}

/// Bytes that are complete, with nothing secret in them.
pub(super) fn bytes<'b>(bytes: &'b [u8], redactor: &Redactor) -> Cleaned<Cow<'b, [u8]>> {
    Cleaned(if redactor.finds_in(bytes) { Cow::Owned(redactor.redact(bytes)) } else { Cow::Borrowed(bytes) })
}

macro_rules! by_json {
    ($($type:ty),* $(,)?) => {$(
        impl Clean for $type {
            fn without(&self, redactor: &Redactor) -> Result<Self, StoreError> {
                through_json(self, redactor)
            }
        }
    )*};
}

by_json!(
    Account,
    Action,
    ActionKind,
    Change,
    Check,
    Comment,
    Delivery,
    EventPayload,
    Json,
    Knowledge,
    PullRequest,
    Repository,
    Request,
    RequestState,
    Run,
    RunbookVersion,
    SandboxRecord,
    Session,
    Thread,
    User,
    Webhook,
);

impl Clean for Write {
    fn without(&self, redactor: &Redactor) -> Result<Self, StoreError> {
        let text = |it: &str| text(it, redactor);
        Ok(match self {
            Self::AddRunbook(version, leaves) => Self::AddRunbook(version.without(redactor)?, leaves.clone()),
            Self::Enqueue(action) => Self::Enqueue(action.without(redactor)?),
            Self::ActionKind(id, kind) => Self::ActionKind(*id, kind.without(redactor)?),
            Self::AddRun(run) => Self::AddRun(run.without(redactor)?),
            Self::Run { id, from, event, message } => {
                Self::Run { id: *id, from: *from, event: *event, message: message.as_deref().map(text) }
            }
            Self::PutChange(change) => Self::PutChange(change.without(redactor)?),
            Self::AddRequest(request) => Self::AddRequest(request.without(redactor)?),
            Self::Request(id, state) => Self::Request(*id, state.without(redactor)?),
            Self::PutSandbox(sandbox) => Self::PutSandbox(sandbox.without(redactor)?),
            Self::AddExec(exec) => {
                let mut exec = exec.clone();
                exec.purpose = text(&exec.purpose);
                exec.ended = exec.ended.as_deref().map(text);
                Self::AddExec(exec)
            }
            Self::ExecProgress { id, consumed, ended } => {
                Self::ExecProgress { id: *id, consumed: *consumed, ended: ended.as_deref().map(text) }
            }
            Self::Stdin(line) => {
                let mut line = line.clone();
                line.key = text(&line.key);
                line.line = text(&line.line);
                Self::Stdin(line)
            }
            Self::Title(title) => Self::Title(text(title)),
            Self::Describe { labels, description } => Self::Describe {
                labels: labels.iter().map(|label| text(label)).collect(),
                description: description.as_deref().map(text),
            },
            Self::Learn(learning, run, moment) => Self::Learn(Box::new(learning.without(redactor)?), *run, *moment),
            Self::Journal(key, note) => Self::Journal(text(key), note.without(redactor)?),
            Self::Step { .. }
            | Self::Action { .. }
            | Self::RequestStop(_)
            | Self::RunBase(..)
            | Self::RunCommit(..)
            | Self::Spend(..)
            | Self::Output(_)
            | Self::Transcript(..)
            | Self::Archive(_)
            | Self::Budget { .. }
            | Self::Persona(_)
            | Self::UsedKnowledge(_) => self.clone(),
        })
    }
}

/// A text with nothing in it that may not be kept.
pub(super) fn text(text: &str, redactor: &Redactor) -> String {
    redactor.redact_text(text).replace('\0', "\u{fffd}")
}

fn through_json<T: Serialize + DeserializeOwned + Clone>(value: &T, redactor: &Redactor) -> Result<T, StoreError> {
    let damaged = |error: serde_json::Error| StoreError::Damaged { what: "value to store", detail: error.to_string() };
    let mut json = serde_json::to_value(value).map_err(damaged)?;
    let changed = redactor.redact_json(&mut json) | clean_json(&mut json);
    if changed { serde_json::from_value(json).map_err(damaged) } else { Ok(value.clone()) }
}

/// True when there was a NUL.
fn clean_json(json: &mut Json) -> bool {
    match json {
        Json::String(string) if string.contains('\0') => {
            *string = string.replace('\0', "\u{fffd}");
            true
        }
        Json::Array(items) => items.iter_mut().fold(false, |changed, item| clean_json(item) | changed),
        Json::Object(fields) => {
            let mut changed = fields.values_mut().fold(false, |changed, field| clean_json(field) | changed);
            if fields.keys().any(|name| name.contains('\0')) {
                changed = true;
                *fields =
                    std::mem::take(fields).into_iter().map(|(name, it)| (name.replace('\0', "\u{fffd}"), it)).collect();
            }
            changed
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nul_goes_from_texts_keys_and_depths_and_nothing_else_changes() {
        let dirty = json!({"a\0": ["x\0y", {"b": "\0"}], "n": 1.5, "literal": "\\u0000"});
        let clean = json!({"a\u{fffd}": ["x\u{fffd}y", {"b": "\u{fffd}"}], "n": 1.5, "literal": "\\u0000"});
        let nothing = Redactor::new([]);
        assert_eq!(*dirty.clean(&nothing).expect("cleans"), clean);
        assert_eq!(*clean.clean(&nothing).expect("cleans"), clean);
    }
}
