//! Sealed secrets.

use super::{row::Row, rows::SqlRows, statement::statements, value::values};
use crate::{Reseal, SealedSecret, StoreError, backend::SecretRows};
use async_trait::async_trait;
use domain::{AccountId, SecretId};

statements! {
    ADD_SECRET("store a secret") =
        "INSERT INTO secrets (id, account, name, sealed, created_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (account, name) DO NOTHING";
    PUT_SECRET("store a secret") =
        "UPDATE secrets SET sealed = $4, changed_at = $5 WHERE id = $1 AND account = $2 AND name = $3";
    RESEAL_SECRET("seal a secret anew") = "UPDATE secrets SET sealed = $3 WHERE id = $1 AND sealed = $2";
    REMOVE_SECRET("remove a secret") = "DELETE FROM secrets WHERE account = $1 AND name = $2";
    SECRETS("read secrets") =
        "SELECT id, account, name, sealed, created_at, changed_at FROM secrets WHERE account = $1 ORDER BY name";
}

#[async_trait]
impl SecretRows for SqlRows {
    async fn add_secret(&mut self, new: &SealedSecret) -> Result<bool, StoreError> {
        let values = values![new.id, new.account, &new.name, new.sealed.as_slice(), new.created_at, new.changed_at];
        Ok(self.write(&ADD_SECRET, values).await? == 1)
    }

    async fn put_secret(&mut self, new: &SealedSecret) -> Result<bool, StoreError> {
        let values = values![new.id, new.account, &new.name, new.sealed.as_slice(), new.changed_at];
        Ok(self.write(&PUT_SECRET, values).await? == 1)
    }

    async fn reseal_secret(&mut self, reseal: &Reseal) -> Result<bool, StoreError> {
        let values = values![reseal.id, reseal.from.as_slice(), reseal.to.as_slice()];
        Ok(self.write(&RESEAL_SECRET, values).await? == 1)
    }

    async fn remove_secret(&mut self, account: AccountId, name: &str) -> Result<bool, StoreError> {
        Ok(self.write(&REMOVE_SECRET, values![account, name]).await? == 1)
    }

    async fn secrets(&mut self, account: AccountId) -> Result<Vec<SealedSecret>, StoreError> {
        self.all(&SECRETS, values![account]).await?.iter().map(secret).collect()
    }
}

fn secret(row: &Row) -> Result<SealedSecret, StoreError> {
    let mut columns = row.columns("secret");
    Ok(SealedSecret {
        id: SecretId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        name: columns.text()?,
        sealed: columns.bytes()?,
        created_at: columns.time()?,
        changed_at: columns.time()?,
    })
}
