//! The audit log.

use super::{row::Row, rows::SqlRows, statement::statements, value::values};
use crate::{StoreError, audit::AuditPage, backend::AuditRows};
use async_trait::async_trait;
use domain::{AccountId, AuditEntry, AuditFilter, AuditHash, AuditIndex, AuditMark};

macro_rules! audit {
    ($order:literal) => {
        concat!(
            "SELECT number, deed, hash FROM audit WHERE account = $1 AND number > $2 AND number < $3
             AND at >= $4 AND at < $5 AND actor LIKE $6 ESCAPE '!' AND target LIKE $7 ESCAPE '!'
             AND words LIKE $8 ESCAPE '!' AND (action LIKE $9 ESCAPE '!' OR action LIKE $10 ESCAPE '!')
             ORDER BY number ",
            $order,
            " LIMIT $11"
        )
    };
}

statements! {
    ADD_AUDIT("write the audit log") =
        "INSERT INTO audit (account, number, at, actor, action, target, words, deed, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    LAST_AUDIT("read the audit log") =
        "SELECT number, hash FROM audit WHERE account = $1 ORDER BY number DESC LIMIT 1";
    NEWEST("read the audit log") = audit!("DESC");
    OLDEST("read the audit log") = audit!("ASC");
    CHAINED("read the audit log") =
        "SELECT number, deed, hash, at, actor, action, target, words FROM audit
         WHERE account = $1 AND number > $2 ORDER BY number LIMIT $3";
}

#[async_trait]
impl AuditRows for SqlRows {
    async fn add_audit(&mut self, account: AccountId, new: &AuditEntry, by: &AuditIndex) -> Result<(), StoreError> {
        let hash = new.hash.0.as_slice();
        let values = values![account, new.number, by.at, &by.actor, &by.action, &by.target, &by.words, &new.deed, hash];
        self.write(&ADD_AUDIT, values).await.map(drop)
    }

    async fn last_audit(&mut self, account: AccountId) -> Result<Option<AuditMark>, StoreError> {
        let Some(row) = self.one(&LAST_AUDIT, values![account]).await? else { return Ok(None) };
        let mut columns = row.columns("audit entry");
        Ok(Some(AuditMark { number: columns.int()?, hash: AuditHash(columns.hash()?.0) }))
    }

    async fn audit(
        &mut self,
        account: AccountId,
        filter: &AuditFilter,
        page: AuditPage,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (statement, above, below) = match page {
            AuditPage::Newest(before) => (&NEWEST, i64::MIN, before.unwrap_or(i64::MAX)),
            AuditPage::Oldest(after) => (&OLDEST, after, i64::MAX),
        };
        let kind = filter.action.as_deref().map(literal);
        let values = values![
            account,
            above,
            below,
            filter.since.map_or(i64::MIN, |since| since.0),
            filter.until.map_or(i64::MAX, |until| until.0),
            part(filter.who.as_deref()),
            part(filter.target.as_deref()),
            part(filter.text.as_deref()),
            kind.clone().unwrap_or_else(|| "%".to_owned()),
            kind.map_or_else(|| "%".to_owned(), |kind| format!("{kind}.%")),
            limit,
        ];
        self.all(statement, values).await?.iter().map(entry).collect()
    }

    async fn chained(
        &mut self,
        account: AccountId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<(AuditEntry, AuditIndex)>, StoreError> {
        self.all(&CHAINED, values![account, after, limit]).await?.iter().map(link).collect()
    }
}

/// A pattern for texts that hold this one.
fn part(text: Option<&str>) -> String {
    text.map_or_else(|| "%".to_owned(), |text| format!("%{}%", literal(text)))
}

/// A pattern for this text and no other.
fn literal(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

fn entry(row: &Row) -> Result<AuditEntry, StoreError> {
    let mut columns = row.columns("audit entry");
    Ok(AuditEntry { number: columns.int()?, deed: columns.text()?, hash: AuditHash(columns.hash()?.0) })
}

fn link(row: &Row) -> Result<(AuditEntry, AuditIndex), StoreError> {
    let mut columns = row.columns("audit entry");
    let entry = AuditEntry { number: columns.int()?, deed: columns.text()?, hash: AuditHash(columns.hash()?.0) };
    let index = AuditIndex {
        at: columns.time()?,
        actor: columns.text()?,
        action: columns.text()?,
        target: columns.text()?,
        words: columns.text()?,
    };
    Ok((entry, index))
}
