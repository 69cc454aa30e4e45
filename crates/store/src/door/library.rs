//! What teams know, for every backend.

use super::{
    audit::change,
    clean::{Clean as _, Cleaned},
    commit::missing,
};
use crate::{
    Library, StoreError,
    backend::{Backend, Rows},
};
use async_trait::async_trait;
use domain::{AccountId, Knowledge, KnowledgeId, KnowledgeKind, Lesson};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl<B: Backend> Library for B {
    async fn add_knowledge(&self, new: &Knowledge) -> Result<()> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| add(rows, &new))
    }

    async fn change_knowledge(&self, new: &Knowledge, seen: i64) -> Result<()> {
        let new = new.clean(&self.known().redactor())?;
        change!(self, |rows| change(rows, &new, seen))
    }

    async fn remove_knowledge(&self, account: AccountId, id: KnowledgeId, seen: i64) -> Result<()> {
        change!(self, |rows| remove(rows, account, id, seen))
    }

    async fn knowledge(&self, account: AccountId, kind: KnowledgeKind) -> Result<Vec<Knowledge>> {
        self.read().await?.knowledge(account, kind).await
    }

    async fn piece_of_knowledge(&self, account: AccountId, id: KnowledgeId) -> Result<Option<Knowledge>> {
        self.read().await?.piece_of_knowledge(account, id).await
    }

    async fn lessons(&self, account: AccountId) -> Result<Vec<Lesson>> {
        self.read().await?.lessons(account).await
    }
}

async fn add(rows: &mut dyn Rows, new: &Cleaned<Knowledge>) -> Result<()> {
    rows.account(new.account).await?.ok_or_else(|| missing("account", new.account))?;
    if rows.add_knowledge(new).await? {
        Ok(())
    } else {
        Err(StoreError::Conflict { what: new.piece.kind().words(), detail: new.piece.title().to_owned() })
    }
}

async fn change(rows: &mut dyn Rows, new: &Cleaned<Knowledge>, seen: i64) -> Result<()> {
    if let Some(likeness) = new.piece.likeness()
        && let Some(other) = rows.alike(new.account, &likeness).await?
        && other.id != new.id
    {
        return Err(StoreError::Conflict { what: other.piece.kind().words(), detail: other.id.to_string() });
    }
    let won = rows.put_knowledge(new, seen).await?;
    judged(rows, won, new.account, new.id, seen).await
}

async fn remove(rows: &mut dyn Rows, account: AccountId, id: KnowledgeId, seen: i64) -> Result<()> {
    let won = rows.remove_knowledge(account, id, seen).await?;
    if won {
        rows.forget_lessons(id).await?;
    }
    judged(rows, won, account, id, seen).await
}

async fn judged(rows: &mut dyn Rows, won: bool, account: AccountId, id: KnowledgeId, seen: i64) -> Result<()> {
    if won {
        return Ok(());
    }
    match rows.piece_of_knowledge(account, id).await? {
        None => Err(missing("knowledge", id)),
        Some(found) => Err(StoreError::Stale {
            what: format!("{} {id}", found.piece.kind()),
            expected: format!("version {seen}"),
            found: format!("version {}", found.version),
        }),
    }
}
