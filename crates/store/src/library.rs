//! What teams know: context files, personas and learnings, with versions.

use crate::StoreError;
use async_trait::async_trait;
use domain::{AccountId, Knowledge, KnowledgeId, KnowledgeKind, Lesson};

/// What the account knows. Who changes something says which version they saw.
#[async_trait]
pub trait Library: Send + Sync {
    /// Adds something, as it is. Fails with [`StoreError::Conflict`] when the id is taken, or when the account has one
    /// that is alike ([`domain::Piece::likeness`]).
    async fn add_knowledge(&self, new: &Knowledge) -> Result<(), StoreError>;

    /// Replaces what something says, who wrote it, when, and its version. Fails with [`StoreError::Stale`] when its
    /// version is not `seen`, with [`StoreError::Missing`] when the account has nothing with this id, and with
    /// [`StoreError::Conflict`] when another one would be alike.
    async fn change_knowledge(&self, new: &Knowledge, seen: i64) -> Result<(), StoreError>;

    /// Removes something, and what is known of who taught it. Fails as [`Library::change_knowledge`].
    async fn remove_knowledge(&self, account: AccountId, id: KnowledgeId, seen: i64) -> Result<(), StoreError>;

    /// Everything of one kind, oldest first.
    async fn knowledge(&self, account: AccountId, kind: KnowledgeKind) -> Result<Vec<Knowledge>, StoreError>;

    /// One thing that the account knows.
    async fn piece_of_knowledge(&self, account: AccountId, id: KnowledgeId) -> Result<Option<Knowledge>, StoreError>;

    /// Which runs taught the learnings that there are, oldest first.
    async fn lessons(&self, account: AccountId) -> Result<Vec<Lesson>, StoreError>;
}
