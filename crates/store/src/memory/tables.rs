//! Tables of rows, and transactions that can be taken back.

use super::access::Entry;
use crate::{
    Check, Comment, ExecRow, OutputChunk, PullRequest, SealedSecret, StdinLine, StoreError, Thread, backend::LeaseRow,
};
use domain::{
    Account, AccountId, Action, ActionId, AuditEntry, AuditIndex, BearerHash, BlobHash, Change, ChangeId, Delivery,
    DeliveryId, Errand, ExecId, Generation, Identity, Knowledge, KnowledgeId, Lesson, Link, LinkId, Repository,
    RepositoryId, Request, RequestId, Run, RunId, RunbookVersion, SandboxId, SandboxRecord, SecretId, Session,
    SessionId, SignIn, SignInId, Step, StepId, Timestamp, Token, TokenId, User, UserId, Webhook, WebhookId,
};
use serde_json::Value as Json;
use std::{collections::BTreeMap, fmt::Debug};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

/// One table: rows by key.
pub(super) type Table<K, V> = BTreeMap<K, V>;

#[derive(Debug, Default)]
pub(super) struct Tables {
    /// At most one.
    pub generation: Table<(), Generation>,
    /// With the number of the account's newest session.
    pub accounts: Table<AccountId, (Account, i64)>,
    pub users: Table<UserId, User>,
    /// With the number of the repository's newest pull request.
    pub repositories: Table<RepositoryId, (Repository, i64)>,
    /// With the place in the line of those who are served.
    pub sessions: Table<SessionId, (Session, i64)>,
    pub leases: Table<SessionId, LeaseRow>,
    pub events: Table<(SessionId, i64), (Timestamp, String)>,
    pub runbooks: Table<(SessionId, i64), RunbookVersion>,
    pub steps: Table<StepId, Step>,
    pub journal: Table<(SessionId, String), Json>,
    pub actions: Table<ActionId, Action>,
    pub runs: Table<RunId, Run>,
    pub execs: Table<ExecId, ExecRow>,
    pub stdin: Table<(ExecId, i64), StdinLine>,
    pub outputs: Table<(ExecId, u64), OutputChunk>,
    pub transcripts: Table<Uuid, BlobHash>,
    pub changes: Table<ChangeId, Change>,
    pub requests: Table<RequestId, Request>,
    pub sandboxes: Table<SandboxId, SandboxRecord>,
    pub blobs: Table<BlobHash, i64>,
    pub blob_chunks: Table<(BlobHash, i64), Vec<u8>>,
    /// With the place of the pull request's newest thread.
    pub pull_requests: Table<(RepositoryId, i64), (PullRequest, i64)>,
    pub comments: Table<Uuid, ((RepositoryId, i64), Comment)>,
    /// With the place among the pull request's threads.
    pub threads: Table<Uuid, ((RepositoryId, i64), i64, Thread)>,
    pub checks: Table<(RepositoryId, String, String), Check>,
    pub secrets: Table<SecretId, SealedSecret>,
    /// Only of those about whom there is something to know.
    pub entries: Table<UserId, Entry>,
    pub sign_ins: Table<SignInId, (BearerHash, SignIn)>,
    pub tokens: Table<TokenId, (BearerHash, Token)>,
    pub links: Table<LinkId, (BearerHash, Link)>,
    pub errands: Table<BearerHash, Errand>,
    pub identities: Table<(AccountId, String, String), Identity>,
    pub knowledge: Table<KnowledgeId, Knowledge>,
    pub lessons: Table<(KnowledgeId, RunId), Lesson>,
    pub webhooks: Table<WebhookId, Webhook>,
    pub deliveries: Table<DeliveryId, Delivery>,
    pub audit: Table<(AccountId, i64), (AuditEntry, AuditIndex)>,
}

/// Finds a table.
type Find<K, V> = fn(&mut Tables) -> &mut Table<K, V>;

/// Takes one write back.
type Undo = Box<dyn FnOnce(&mut Tables) + Send>;

/// The tables within a transaction; what it wrote is taken back when it is dropped without [`MemoryRows::keep`].
pub(super) struct MemoryRows {
    pub tables: OwnedMutexGuard<Tables>,
    undo: Vec<Undo>,
}

impl MemoryRows {
    pub fn new(tables: OwnedMutexGuard<Tables>) -> Self {
        Self { tables, undo: Vec::new() }
    }

    /// Makes everything that was written last.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Writes a row, new or not.
    pub fn put<K, V>(&mut self, find: Find<K, V>, key: K, row: V)
    where
        K: Ord + Clone + Send + 'static,
        V: Send + Sync + 'static,
    {
        let old = find(&mut self.tables).insert(key.clone(), row);
        self.undo.push(Box::new(move |tables| {
            match old {
                Some(old) => find(tables).insert(key, old),
                None => find(tables).remove(&key),
            };
        }));
    }

    /// Writes a new row.
    pub fn add<K, V>(&mut self, find: Find<K, V>, key: K, row: V) -> Result<(), StoreError>
    where
        K: Ord + Clone + Debug + Send + 'static,
        V: Send + Sync + 'static,
    {
        if find(&mut self.tables).contains_key(&key) {
            return Err(StoreError::Conflict { what: "row", detail: format!("{key:?}") });
        }
        self.put(find, key, row);
        Ok(())
    }
}

impl MemoryRows {
    /// Takes a row out.
    pub fn take<K, V>(&mut self, find: Find<K, V>, key: K)
    where
        K: Ord + Clone + Send + 'static,
        V: Send + Sync + 'static,
    {
        if let Some(old) = find(&mut self.tables).remove(&key) {
            self.undo.push(Box::new(move |tables| {
                find(tables).insert(key, old);
            }));
        }
    }
}

impl Drop for MemoryRows {
    fn drop(&mut self) {
        while let Some(undo) = self.undo.pop() {
            undo(&mut self.tables);
        }
    }
}

/// The rows that a condition picks, by key.
pub(super) fn pick<K, V: Clone>(table: &Table<K, V>, condition: impl Fn(&V) -> bool) -> Vec<V> {
    table.values().filter(|row| condition(row)).cloned().collect()
}
