//! The one place where U+0000 is taken out of texts: PostgreSQL cannot keep it, and agents write it.
//!
//! Every NUL becomes U+FFFD, the replacement character, in all three stores, so that they answer alike.

use crate::{Check, Comment, PullRequest, StoreError, Thread, Write};
use domain::{
    Account, Action, ActionKind, Change, EventPayload, Repository, Request, RequestState, Run, RunbookVersion,
    SandboxRecord, Session, User,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

/// A value without NUL in any of its texts.
pub(super) trait Clean: Sized {
    fn clean(&self) -> Result<Self, StoreError>;
}

impl Clean for String {
    fn clean(&self) -> Result<Self, StoreError> {
        Ok(text(self))
    }
}

macro_rules! by_json {
    ($($type:ty),* $(,)?) => {$(
        impl Clean for $type {
            fn clean(&self) -> Result<Self, StoreError> {
                through_json(self)
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
    EventPayload,
    Json,
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
);

impl Clean for Write {
    fn clean(&self) -> Result<Self, StoreError> {
        Ok(match self {
            Self::AddRunbook(version, leaves) => Self::AddRunbook(version.clean()?, leaves.clone()),
            Self::Enqueue(action) => Self::Enqueue(action.clean()?),
            Self::ActionKind(id, kind) => Self::ActionKind(*id, kind.clean()?),
            Self::AddRun(run) => Self::AddRun(run.clean()?),
            Self::Run { id, from, event, message } => {
                Self::Run { id: *id, from: *from, event: *event, message: message.as_deref().map(text) }
            }
            Self::PutChange(change) => Self::PutChange(change.clean()?),
            Self::AddRequest(request) => Self::AddRequest(request.clean()?),
            Self::Request(id, state) => Self::Request(*id, state.clean()?),
            Self::PutSandbox(sandbox) => Self::PutSandbox(sandbox.clean()?),
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
            Self::Journal(key, note) => Self::Journal(text(key), note.clean()?),
            Self::Step { .. }
            | Self::Action { .. }
            | Self::RequestStop(_)
            | Self::RunBase(..)
            | Self::RunCommit(..)
            | Self::Spend(..)
            | Self::Output(_)
            | Self::Transcript(..)
            | Self::Archive(_)
            | Self::Budget { .. } => self.clone(),
        })
    }
}

/// A text without NUL.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn through_json<T: Serialize + DeserializeOwned + Clone>(value: &T) -> Result<T, StoreError> {
    let damaged = |error: serde_json::Error| StoreError::Damaged { what: "value to store", detail: error.to_string() };
    let written = serde_json::to_string(value).map_err(damaged)?;
    if !written.contains("\\u0000") {
        return Ok(value.clone());
    }
    let mut json = serde_json::from_str(&written).map_err(damaged)?;
    clean_json(&mut json);
    serde_json::from_value(json).map_err(damaged)
}

fn clean_json(json: &mut Json) {
    match json {
        Json::String(string) if string.contains('\0') => *string = text(string),
        Json::Array(items) => items.iter_mut().for_each(clean_json),
        Json::Object(fields) => {
            for (key, mut value) in std::mem::take(fields) {
                clean_json(&mut value);
                fields.insert(text(&key), value);
            }
        }
        _ => {}
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
        assert_eq!(dirty.clean().expect("cleans"), clean);
        assert_eq!(clean.clean().expect("cleans"), clean);
    }
}
