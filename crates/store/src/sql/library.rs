//! What teams know.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{json, values, word},
};
use crate::{StoreError, backend::LibraryRows};
use async_trait::async_trait;
use domain::{
    AccountId, Knowledge, KnowledgeId, KnowledgeKind, Lesson, RunId, SessionId, SessionNumber, Timestamp, UserId,
};

macro_rules! knowledge_where {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, owner, version, piece, author, created_at, changed_at, used, used_at
             FROM knowledge WHERE ",
            $rest
        )
    };
}

statements! {
    ADD_KNOWLEDGE("add knowledge") =
        "INSERT INTO knowledge
            (id, account, kind, owner, version, piece, author, created_at, changed_at, used, used_at, likeness)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
    PUT_KNOWLEDGE("write knowledge") =
        "UPDATE knowledge SET version = $4, piece = $5, author = $6, changed_at = $7, likeness = $8
         WHERE account = $1 AND id = $2 AND version = $3";
    REMOVE_KNOWLEDGE("remove knowledge") = "DELETE FROM knowledge WHERE account = $1 AND id = $2 AND version = $3";
    USED_KNOWLEDGE("note the use of knowledge") =
        "UPDATE knowledge SET used = used + 1, used_at = $2 WHERE id = $1";
    KNOWLEDGE("read knowledge") = knowledge_where!("account = $1 AND kind = $2 ORDER BY created_at, id");
    PIECE_OF_KNOWLEDGE("read knowledge") = knowledge_where!("account = $1 AND id = $2");
    ALIKE("read knowledge") = knowledge_where!("account = $1 AND likeness = $2");
    ADD_LESSON("note who taught a learning") =
        "INSERT INTO lessons (learning, run, session, moment, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    FORGET_LESSONS("forget who taught a learning") = "DELETE FROM lessons WHERE learning = $1";
    LESSONS("read who taught learnings") =
        "SELECT l.learning, l.session, s.number, l.run, l.moment, l.at
         FROM lessons l JOIN knowledge k ON k.id = l.learning JOIN sessions s ON s.id = l.session
         WHERE k.account = $1 ORDER BY l.at, l.learning, l.run";
}

#[async_trait]
impl LibraryRows for SqlRows {
    async fn add_knowledge(&mut self, new: &Knowledge) -> Result<bool, StoreError> {
        let values = values![
            new.id,
            new.account,
            word(&new.piece.kind())?,
            new.owner,
            new.version,
            json(&new.piece)?,
            new.author,
            new.created_at,
            new.changed_at,
            new.used,
            new.used_at,
            new.piece.likeness(),
        ];
        Ok(self.write(&ADD_KNOWLEDGE, values).await? == 1)
    }

    async fn put_knowledge(&mut self, new: &Knowledge, seen: i64) -> Result<bool, StoreError> {
        let values = values![
            new.account,
            new.id,
            seen,
            new.version,
            json(&new.piece)?,
            new.author,
            new.changed_at,
            new.piece.likeness(),
        ];
        Ok(self.write(&PUT_KNOWLEDGE, values).await? == 1)
    }

    async fn remove_knowledge(&mut self, account: AccountId, id: KnowledgeId, seen: i64) -> Result<bool, StoreError> {
        Ok(self.write(&REMOVE_KNOWLEDGE, values![account, id, seen]).await? == 1)
    }

    async fn used_knowledge(&mut self, id: KnowledgeId, now: Timestamp) -> Result<(), StoreError> {
        self.write(&USED_KNOWLEDGE, values![id, now]).await.map(drop)
    }

    async fn knowledge(&mut self, account: AccountId, kind: KnowledgeKind) -> Result<Vec<Knowledge>, StoreError> {
        self.all(&KNOWLEDGE, values![account, word(&kind)?]).await?.iter().map(knowledge).collect()
    }

    async fn piece_of_knowledge(
        &mut self,
        account: AccountId,
        id: KnowledgeId,
    ) -> Result<Option<Knowledge>, StoreError> {
        self.one(&PIECE_OF_KNOWLEDGE, values![account, id]).await?.as_ref().map(knowledge).transpose()
    }

    async fn alike(&mut self, account: AccountId, likeness: &str) -> Result<Option<Knowledge>, StoreError> {
        self.one(&ALIKE, values![account, likeness]).await?.as_ref().map(knowledge).transpose()
    }

    async fn add_lesson(&mut self, lesson: &Lesson) -> Result<(), StoreError> {
        let Lesson { learning, session, run, moment, at, number: _ } = lesson;
        self.write(&ADD_LESSON, values![*learning, *run, *session, word(moment)?, *at]).await.map(drop)
    }

    async fn forget_lessons(&mut self, learning: KnowledgeId) -> Result<(), StoreError> {
        self.write(&FORGET_LESSONS, values![learning]).await.map(drop)
    }

    async fn lessons(&mut self, account: AccountId) -> Result<Vec<Lesson>, StoreError> {
        self.all(&LESSONS, values![account]).await?.iter().map(lesson).collect()
    }
}

fn knowledge(row: &Row) -> Result<Knowledge, StoreError> {
    let mut columns = row.columns("knowledge");
    Ok(Knowledge {
        id: KnowledgeId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        owner: columns.maybe_uuid()?.map(UserId),
        version: columns.int()?,
        piece: columns.json()?,
        author: columns.maybe_uuid()?.map(UserId),
        created_at: columns.time()?,
        changed_at: columns.time()?,
        used: columns.int()?,
        used_at: columns.maybe_int()?.map(Timestamp),
    })
}

fn lesson(row: &Row) -> Result<Lesson, StoreError> {
    let mut columns = row.columns("lessons");
    Ok(Lesson {
        learning: KnowledgeId(columns.uuid()?),
        session: SessionId(columns.uuid()?),
        number: SessionNumber(columns.int()?),
        run: RunId(columns.uuid()?),
        moment: columns.word()?,
        at: columns.time()?,
    })
}
