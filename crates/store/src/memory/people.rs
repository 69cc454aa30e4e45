//! The record's generation, accounts, people, repositories.

use super::tables::{MemoryRows, pick};
use crate::{
    StoreError,
    backend::{AccountRows, GenerationRows},
};
use async_trait::async_trait;
use domain::{Account, AccountId, Generation, Repository, RepositoryId, Role, User, UserId};
use uuid::Uuid;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl GenerationRows for MemoryRows {
    async fn generation(&mut self) -> Result<Option<Generation>> {
        Ok(self.tables.generation.get(&()).copied())
    }

    async fn add_generation(&mut self, new: &Generation) -> Result<()> {
        if self.tables.generation.is_empty() {
            self.put(|tables| &mut tables.generation, (), *new);
        }
        Ok(())
    }

    async fn settle_generation(&mut self, instance: Uuid) -> Result<()> {
        if let Some(known) = self.tables.generation.get(&()).copied().filter(|known| known.instance == instance) {
            self.put(|tables| &mut tables.generation, (), Generation { unsettled: false, ..known });
        }
        Ok(())
    }
}

#[async_trait]
impl AccountRows for MemoryRows {
    async fn add_account(&mut self, new: &Account) -> Result<()> {
        if self.account_named(&new.name).await?.is_some() {
            return Ok(());
        }
        self.add(|tables| &mut tables.accounts, new.id, (new.clone(), 0))
    }

    async fn account(&mut self, id: AccountId) -> Result<Option<Account>> {
        Ok(self.tables.accounts.get(&id).map(|(account, _)| account.clone()))
    }

    async fn account_named(&mut self, name: &str) -> Result<Option<Account>> {
        let mut accounts = self.tables.accounts.values();
        Ok(accounts.find(|(account, _)| account.name == name).map(|(account, _)| account.clone()))
    }

    async fn lock_account(&mut self, id: AccountId) -> Result<bool> {
        Ok(self.tables.accounts.contains_key(&id))
    }

    async fn next_session_number(&mut self, id: AccountId) -> Result<i64> {
        let (account, newest) = self
            .tables
            .accounts
            .get(&id)
            .cloned()
            .ok_or_else(|| StoreError::Missing { what: "account", id: id.to_string() })?;
        self.put(|tables| &mut tables.accounts, id, (account, newest + 1));
        Ok(newest + 1)
    }

    async fn put_user(&mut self, new: &User) -> Result<()> {
        match self.user_with_mail(new.account, &new.email).await? {
            Some(old) => {
                let id = old.id;
                self.put(|tables| &mut tables.users, id, User { name: new.name.clone(), ..old });
                Ok(())
            }
            None => self.add(|tables| &mut tables.users, new.id, new.clone()),
        }
    }

    async fn user(&mut self, id: UserId) -> Result<Option<User>> {
        Ok(self.tables.users.get(&id).cloned())
    }

    async fn user_with_mail(&mut self, account: AccountId, email: &str) -> Result<Option<User>> {
        let mut users = self.tables.users.values();
        Ok(users.find(|user| user.account == account && user.email == email).cloned())
    }

    async fn count_users(&mut self, account: AccountId, role: Role) -> Result<i64> {
        let with_role = |user: &User| user.account == account && user.role == role;
        Ok(i64::try_from(pick(&self.tables.users, with_role).len()).unwrap_or(i64::MAX))
    }

    async fn add_repository(&mut self, new: &Repository) -> Result<()> {
        if self.repository_named(new.account, &new.name).await?.is_some() {
            return Ok(());
        }
        self.add(|tables| &mut tables.repositories, new.id, (new.clone(), 0))
    }

    async fn repository(&mut self, id: RepositoryId) -> Result<Option<Repository>> {
        Ok(self.tables.repositories.get(&id).map(|(repository, _)| repository.clone()))
    }

    async fn repository_named(&mut self, account: AccountId, name: &str) -> Result<Option<Repository>> {
        Ok(self.repositories(account).await?.into_iter().find(|repository| repository.name == name))
    }

    async fn repositories(&mut self, account: AccountId) -> Result<Vec<Repository>> {
        let rows = pick(&self.tables.repositories, |(repository, _)| repository.account == account);
        let mut repositories: Vec<_> = rows.into_iter().map(|(repository, _)| repository).collect();
        repositories.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(repositories)
    }
}
