//! What goes into a statement.

use crate::StoreError;
use domain::{
    AccountId, ActionId, BearerHash, BlobHash, BranchName, ChangeId, CommitId, DeliveryId, ExecId, HostId, KnowledgeId,
    LinkId, RepositoryId, RequestId, RunId, SandboxId, SecretId, ServerId, SessionId, SessionNumber, SignInId, StepId,
    Timestamp, TokenId, UserId, WebhookId,
};
use serde::Serialize;
use uuid::Uuid;

/// A parameter of a statement. Absent values keep their type: PostgreSQL refuses an untyped null.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Int(Option<i64>),
    Bool(Option<bool>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
}

/// The parameters of a statement, `$1` first.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::value::Value::from($value)),*] };
}

pub(super) use values;

/// A value as JSON text.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Damaged { what: "value to store", detail: error.to_string() })
}

/// An enum without fields as the plain word that it serialises to.
pub(super) fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    Ok(json(value)?.trim_matches('"').to_owned())
}

macro_rules! from {
    ($($type:ty => $variant:ident($value:ident) $made:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant(Some($made))
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                Self::$variant(value.map(|$value| $made))
            }
        }
    )*};
}

from! {
    i64 => Int(value) value;
    bool => Bool(value) value;
    String => Text(value) value;
    &str => Text(value) value.to_owned();
    &String => Text(value) value.clone();
    &CommitId => Text(value) value.as_str().to_owned();
    &BranchName => Text(value) value.as_str().to_owned();
    &[u8] => Bytes(value) value.to_owned();
    BlobHash => Bytes(value) value.0.to_vec();
    BearerHash => Bytes(value) value.0.to_vec();
    Timestamp => Int(value) value.0;
    SessionNumber => Int(value) value.0;
    Uuid => Uuid(value) value;
    AccountId => Uuid(value) value.0;
    UserId => Uuid(value) value.0;
    RepositoryId => Uuid(value) value.0;
    SessionId => Uuid(value) value.0;
    StepId => Uuid(value) value.0;
    RunId => Uuid(value) value.0;
    ActionId => Uuid(value) value.0;
    SandboxId => Uuid(value) value.0;
    ExecId => Uuid(value) value.0;
    ChangeId => Uuid(value) value.0;
    RequestId => Uuid(value) value.0;
    ServerId => Uuid(value) value.0;
    HostId => Uuid(value) value.0;
    SecretId => Uuid(value) value.0;
    SignInId => Uuid(value) value.0;
    TokenId => Uuid(value) value.0;
    LinkId => Uuid(value) value.0;
    KnowledgeId => Uuid(value) value.0;
    WebhookId => Uuid(value) value.0;
    DeliveryId => Uuid(value) value.0;
}
