//! The audit log.

use super::tables::MemoryRows;
use crate::{StoreError, audit::AuditPage, backend::AuditRows};
use async_trait::async_trait;
use domain::{AccountId, AuditEntry, AuditFilter, AuditIndex, AuditMark};

type Result<T> = std::result::Result<T, StoreError>;

impl MemoryRows {
    fn of(&self, account: AccountId, above: i64) -> impl DoubleEndedIterator<Item = &(AuditEntry, AuditIndex)> {
        let all = (account, above.saturating_add(1))..=(account, i64::MAX);
        self.tables.audit.range(all).map(|(_, row)| row)
    }
}

#[async_trait]
impl AuditRows for MemoryRows {
    async fn add_audit(&mut self, account: AccountId, new: &AuditEntry, by: &AuditIndex) -> Result<()> {
        self.add(|tables| &mut tables.audit, (account, new.number), (new.clone(), by.clone()))
    }

    async fn last_audit(&mut self, account: AccountId) -> Result<Option<AuditMark>> {
        let last = self.of(account, 0).next_back();
        Ok(last.map(|(entry, _)| AuditMark { number: entry.number, hash: entry.hash }))
    }

    async fn audit(
        &mut self,
        account: AccountId,
        filter: &AuditFilter,
        page: AuditPage,
        limit: i64,
    ) -> Result<Vec<AuditEntry>> {
        let limit = usize::try_from(limit).unwrap_or(0);
        let take = |(entry, index): &(AuditEntry, AuditIndex)| filter.fits(index).then(|| entry.clone());
        Ok(match page {
            AuditPage::Newest(before) => {
                let below =
                    self.of(account, 0).rev().filter(|(entry, _)| before.is_none_or(|before| entry.number < before));
                below.filter_map(take).take(limit).collect()
            }
            AuditPage::Oldest(after) => self.of(account, after).filter_map(take).take(limit).collect(),
        })
    }

    async fn chained(&mut self, account: AccountId, after: i64, limit: i64) -> Result<Vec<(AuditEntry, AuditIndex)>> {
        Ok(self.of(account, after).take(usize::try_from(limit).unwrap_or(0)).cloned().collect())
    }
}
