//! Sealed secrets, for every backend.

use super::{audit::change, commit::missing};
use crate::{
    Reseal, SealedSecret, StoreError, Vault,
    backend::{Backend, Rows},
};
use async_trait::async_trait;
use domain::AccountId;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl<B: Backend> Vault for B {
    async fn add_secret(&self, new: &SealedSecret) -> Result<()> {
        change!(self, |rows| add(rows, new))
    }

    async fn replace_secret(&self, new: &SealedSecret) -> Result<()> {
        change!(self, |rows| replace(rows, new))?;
        Vault::wipe_removed(self).await
    }

    async fn secrets(&self, account: AccountId) -> Result<Vec<SealedSecret>> {
        self.read().await?.secrets(account).await
    }

    async fn remove_secret(&self, account: AccountId, name: &str) -> Result<bool> {
        let removed = change!(self, |rows| rows.remove_secret(account, name))?;
        Vault::wipe_removed(self).await?;
        Ok(removed)
    }

    async fn reseal_secrets(&self, reseals: &[Reseal]) -> Result<usize> {
        change!(self, |rows| reseal(rows, reseals))
    }

    async fn wipe_removed(&self) -> Result<()> {
        Backend::wipe_removed(self).await
    }
}

async fn add(rows: &mut dyn Rows, new: &SealedSecret) -> Result<()> {
    rows.account(new.account).await?.ok_or_else(|| missing("account", new.account))?;
    if rows.add_secret(new).await? {
        Ok(())
    } else {
        Err(StoreError::Conflict { what: "secret", detail: new.name.clone() })
    }
}

async fn replace(rows: &mut dyn Rows, new: &SealedSecret) -> Result<()> {
    if rows.put_secret(new).await? { Ok(()) } else { Err(missing("secret", &new.name)) }
}

async fn reseal(rows: &mut dyn Rows, reseals: &[Reseal]) -> Result<usize> {
    let mut changed = 0;
    for reseal in reseals {
        changed += usize::from(rows.reseal_secret(reseal).await?);
    }
    Ok(changed)
}
