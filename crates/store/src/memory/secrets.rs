//! Sealed secrets.

use super::tables::{MemoryRows, pick};
use crate::{Reseal, SealedSecret, StoreError, backend::SecretRows};
use async_trait::async_trait;
use domain::AccountId;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl SecretRows for MemoryRows {
    async fn add_secret(&mut self, new: &SealedSecret) -> Result<bool> {
        if self.secrets(new.account).await?.iter().any(|other| other.name == new.name) {
            return Ok(false);
        }
        self.add(|tables| &mut tables.secrets, new.id, new.clone()).map(|()| true)
    }

    async fn put_secret(&mut self, new: &SealedSecret) -> Result<bool> {
        let old = self.tables.secrets.get(&new.id);
        let old = old.filter(|old| (old.account, &old.name) == (new.account, &new.name)).cloned();
        let Some(old) = old else { return Ok(false) };
        let row = SealedSecret { created_at: old.created_at, ..new.clone() };
        self.put(|tables| &mut tables.secrets, new.id, row);
        Ok(true)
    }

    async fn reseal_secret(&mut self, reseal: &Reseal) -> Result<bool> {
        let old = self.tables.secrets.get(&reseal.id).filter(|old| old.sealed == reseal.from).cloned();
        let Some(old) = old else { return Ok(false) };
        self.put(|tables| &mut tables.secrets, reseal.id, SealedSecret { sealed: reseal.to.clone(), ..old });
        Ok(true)
    }

    async fn remove_secret(&mut self, account: AccountId, name: &str) -> Result<bool> {
        let found = pick(&self.tables.secrets, |row| row.account == account && row.name == name);
        let Some(found) = found.first() else { return Ok(false) };
        self.take(|tables| &mut tables.secrets, found.id);
        Ok(true)
    }

    async fn secrets(&mut self, account: AccountId) -> Result<Vec<SealedSecret>> {
        let mut rows = pick(&self.tables.secrets, |row| row.account == account);
        rows.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(rows)
    }
}
