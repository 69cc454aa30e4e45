//! Accounts, people, repositories.

use super::{
    row::Row,
    rows::SqlRows,
    statement::statements,
    value::{values, word},
};
use crate::{StoreError, backend::AccountRows};
use async_trait::async_trait;
use domain::{Account, AccountId, Repository, RepositoryId, Role, User, UserId};

statements! {
    ADD_ACCOUNT("add an account") =
        "INSERT INTO accounts (id, name, sessions) VALUES ($1, $2, 0) ON CONFLICT (name) DO NOTHING";
    ACCOUNT("read an account") = "SELECT id, name FROM accounts WHERE id = $1";
    ACCOUNT_NAMED("read an account") = "SELECT id, name FROM accounts WHERE name = $1";
    LOCK_ACCOUNT("lock an account") = "UPDATE accounts SET sessions = sessions WHERE id = $1";
    NEXT_SESSION_NUMBER("number a session") =
        "UPDATE accounts SET sessions = sessions + 1 WHERE id = $1 RETURNING sessions";
    PUT_USER("write a person") =
        "INSERT INTO users (id, account, name, email, role) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (account, email) DO UPDATE SET name = excluded.name";
    USER("read a person") = "SELECT id, account, name, email, role FROM users WHERE id = $1";
    USER_WITH_MAIL("read a person") =
        "SELECT id, account, name, email, role FROM users WHERE account = $1 AND email = $2";
    COUNT_USERS("count people") = "SELECT count(*) FROM users WHERE account = $1 AND role = $2";
    ADD_REPOSITORY("add a repository") =
        "INSERT INTO repositories (id, account, name, forge, location, pull_requests) VALUES ($1, $2, $3, $4, $5, 0)
         ON CONFLICT (account, name) DO NOTHING";
    REPOSITORY("read a repository") = "SELECT id, account, name, forge, location FROM repositories WHERE id = $1";
    REPOSITORY_NAMED("read a repository") =
        "SELECT id, account, name, forge, location FROM repositories WHERE account = $1 AND name = $2";
    REPOSITORIES("list repositories") =
        "SELECT id, account, name, forge, location FROM repositories WHERE account = $1 ORDER BY name";
}

#[async_trait]
impl AccountRows for SqlRows {
    async fn add_account(&mut self, new: &Account) -> Result<(), StoreError> {
        self.write(&ADD_ACCOUNT, values![new.id, &new.name]).await.map(drop)
    }

    async fn account(&mut self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.one(&ACCOUNT, values![id]).await?.as_ref().map(account).transpose()
    }

    async fn account_named(&mut self, name: &str) -> Result<Option<Account>, StoreError> {
        self.one(&ACCOUNT_NAMED, values![name]).await?.as_ref().map(account).transpose()
    }

    async fn lock_account(&mut self, id: AccountId) -> Result<bool, StoreError> {
        Ok(self.write(&LOCK_ACCOUNT, values![id]).await? == 1)
    }

    async fn next_session_number(&mut self, account: AccountId) -> Result<i64, StoreError> {
        match self.one(&NEXT_SESSION_NUMBER, values![account]).await? {
            Some(row) => row.columns("account").int(),
            None => Err(StoreError::Missing { what: "account", id: account.to_string() }),
        }
    }

    async fn put_user(&mut self, new: &User) -> Result<(), StoreError> {
        let role = word(&new.role)?;
        self.write(&PUT_USER, values![new.id, new.account, &new.name, &new.email, role]).await.map(drop)
    }

    async fn user(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.one(&USER, values![id]).await?.as_ref().map(user).transpose()
    }

    async fn user_with_mail(&mut self, account: AccountId, email: &str) -> Result<Option<User>, StoreError> {
        self.one(&USER_WITH_MAIL, values![account, email]).await?.as_ref().map(user).transpose()
    }

    async fn count_users(&mut self, account: AccountId, role: Role) -> Result<i64, StoreError> {
        let row = self.one(&COUNT_USERS, values![account, word(&role)?]).await?;
        row.map_or(Ok(0), |row| row.columns("count").int())
    }

    async fn add_repository(&mut self, new: &Repository) -> Result<(), StoreError> {
        let values = values![new.id, new.account, &new.name, &new.forge, &new.location];
        self.write(&ADD_REPOSITORY, values).await.map(drop)
    }

    async fn repository(&mut self, id: RepositoryId) -> Result<Option<Repository>, StoreError> {
        self.one(&REPOSITORY, values![id]).await?.as_ref().map(repository).transpose()
    }

    async fn repository_named(&mut self, account: AccountId, name: &str) -> Result<Option<Repository>, StoreError> {
        self.one(&REPOSITORY_NAMED, values![account, name]).await?.as_ref().map(repository).transpose()
    }

    async fn repositories(&mut self, account: AccountId) -> Result<Vec<Repository>, StoreError> {
        self.all(&REPOSITORIES, values![account]).await?.iter().map(repository).collect()
    }
}

fn account(row: &Row) -> Result<Account, StoreError> {
    let mut columns = row.columns("account");
    Ok(Account { id: AccountId(columns.uuid()?), name: columns.text()? })
}

fn user(row: &Row) -> Result<User, StoreError> {
    let mut columns = row.columns("person");
    Ok(User {
        id: UserId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        name: columns.text()?,
        email: columns.text()?,
        role: columns.word()?,
    })
}

fn repository(row: &Row) -> Result<Repository, StoreError> {
    let mut columns = row.columns("repository");
    Ok(Repository {
        id: RepositoryId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        name: columns.text()?,
        forge: columns.text()?,
        location: columns.text()?,
    })
}
