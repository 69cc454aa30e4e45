//! What teams know.

use super::tables::{MemoryRows, pick};
use crate::{StoreError, backend::LibraryRows};
use async_trait::async_trait;
use domain::{AccountId, Knowledge, KnowledgeId, KnowledgeKind, Lesson, Timestamp};

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl LibraryRows for MemoryRows {
    async fn add_knowledge(&mut self, new: &Knowledge) -> Result<bool> {
        let alike = match new.piece.likeness() {
            Some(likeness) => self.alike(new.account, &likeness).await?.is_some(),
            None => false,
        };
        if alike || self.tables.knowledge.contains_key(&new.id) {
            return Ok(false);
        }
        self.add(|tables| &mut tables.knowledge, new.id, new.clone()).map(|()| true)
    }

    async fn put_knowledge(&mut self, new: &Knowledge, seen: i64) -> Result<bool> {
        let old = self.piece_of_knowledge(new.account, new.id).await?.filter(|old| old.version == seen);
        let Some(old) = old else { return Ok(false) };
        let row = Knowledge {
            version: new.version,
            piece: new.piece.clone(),
            author: new.author,
            changed_at: new.changed_at,
            ..old
        };
        self.put(|tables| &mut tables.knowledge, new.id, row);
        Ok(true)
    }

    async fn remove_knowledge(&mut self, account: AccountId, id: KnowledgeId, seen: i64) -> Result<bool> {
        let there = self.piece_of_knowledge(account, id).await?.is_some_and(|old| old.version == seen);
        if there {
            self.take(|tables| &mut tables.knowledge, id);
        }
        Ok(there)
    }

    async fn used_knowledge(&mut self, id: KnowledgeId, now: Timestamp) -> Result<()> {
        if let Some(old) = self.tables.knowledge.get(&id).cloned() {
            let row = Knowledge { used: old.used + 1, used_at: Some(now), ..old };
            self.put(|tables| &mut tables.knowledge, id, row);
        }
        Ok(())
    }

    async fn knowledge(&mut self, account: AccountId, kind: KnowledgeKind) -> Result<Vec<Knowledge>> {
        let mut rows = pick(&self.tables.knowledge, |row| row.account == account && row.piece.kind() == kind);
        rows.sort_by_key(|row| (row.created_at, row.id));
        Ok(rows)
    }

    async fn piece_of_knowledge(&mut self, account: AccountId, id: KnowledgeId) -> Result<Option<Knowledge>> {
        Ok(self.tables.knowledge.get(&id).filter(|row| row.account == account).cloned())
    }

    async fn alike(&mut self, account: AccountId, likeness: &str) -> Result<Option<Knowledge>> {
        let alike = |row: &&Knowledge| row.account == account && row.piece.likeness().as_deref() == Some(likeness);
        Ok(self.tables.knowledge.values().find(alike).cloned())
    }

    async fn add_lesson(&mut self, lesson: &Lesson) -> Result<()> {
        let key = (lesson.learning, lesson.run);
        if !self.tables.lessons.contains_key(&key) {
            self.put(|tables| &mut tables.lessons, key, lesson.clone());
        }
        Ok(())
    }

    async fn forget_lessons(&mut self, learning: KnowledgeId) -> Result<()> {
        let lessons = pick(&self.tables.lessons, |row| row.learning == learning);
        for lesson in lessons {
            self.take(|tables| &mut tables.lessons, (lesson.learning, lesson.run));
        }
        Ok(())
    }

    async fn lessons(&mut self, account: AccountId) -> Result<Vec<Lesson>> {
        let knowledge = &self.tables.knowledge;
        let mut rows = pick(&self.tables.lessons, |row| {
            knowledge.get(&row.learning).is_some_and(|learning| learning.account == account)
        });
        rows.sort_by_key(|row| (row.at, row.learning, row.run));
        Ok(rows)
    }
}
