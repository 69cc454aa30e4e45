//! People with what they come in with.

use super::{
    row::{Columns, Row},
    rows::SqlRows,
    statement::statements,
    value::{values, word},
};
use crate::{StoreError, backend::AccessRows};
use async_trait::async_trait;
use domain::{
    AccountId, BearerHash, Errand, Identity, Link, LinkId, Member, Role, SignIn, SignInId, Timestamp, Token, TokenId,
    User, UserId,
};

macro_rules! member_where {
    ($rest:literal) => {
        concat!(
            "SELECT u.id, u.account, u.name, u.email, u.role, u.active, u.password IS NOT NULL FROM users u WHERE ",
            $rest
        )
    };
}

macro_rules! link_where {
    ($rest:literal) => {
        concat!("SELECT id, account, purpose, email, role, invited_by, created_at, expires_at FROM links WHERE ", $rest)
    };
}

macro_rules! identity_where {
    ($rest:literal) => {
        concat!("SELECT account, issuer, subject, person, created_at, used_at FROM identities WHERE ", $rest)
    };
}

statements! {
    MEMBERS("list people") = member_where!("u.account = $1 ORDER BY lower(u.name), u.id");
    MEMBER("read a person") = member_where!("u.id = $1");
    MEMBER_SIGNING_IN("read a person") =
        "SELECT u.id, u.account, u.name, u.email, u.role, u.active, u.password IS NOT NULL, u.password FROM users u
         WHERE u.account = $1 AND lower(u.email) = lower($2) AND u.active AND u.password IS NOT NULL
         ORDER BY u.id LIMIT 1";
    PUT_MEMBER("write a person") = "UPDATE users SET name = $2, role = $3, active = $4 WHERE id = $1";
    PUT_PASSWORD("write a password") = "UPDATE users SET password = $2 WHERE id = $1";
    COUNT_ADMINS("count admins") = "SELECT count(*) FROM users WHERE account = $1 AND role = 'admin' AND active";
    ADD_SIGN_IN("note a sign-in") =
        "INSERT INTO sign_ins (id, person, hash, agent, created_at, used_at, ends_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    SIGN_IN("read a sign-in") =
        "SELECT s.id, s.person, s.agent, s.created_at, s.used_at, s.ends_at FROM sign_ins s
         JOIN users u ON u.id = s.person WHERE s.hash = $1 AND u.active";
    USED_SIGN_IN("note the use of a sign-in") = "UPDATE sign_ins SET used_at = $2 WHERE id = $1";
    SIGN_INS("list sign-ins") =
        "SELECT id, person, agent, created_at, used_at, ends_at FROM sign_ins WHERE person = $1
         ORDER BY created_at DESC, id";
    END_SIGN_IN("end a sign-in") = "DELETE FROM sign_ins WHERE id = $1";
    END_SIGN_INS("end sign-ins") = "DELETE FROM sign_ins WHERE person = $1 AND id IS DISTINCT FROM $2";
    END_STALE_SIGN_INS("end old sign-ins") = "DELETE FROM sign_ins WHERE used_at < $1";
    ADD_TOKEN("add a token") =
        "INSERT INTO tokens (id, account, person, name, hash, created_at, expires_at, used_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    TOKEN("read a token") =
        "SELECT t.id, t.account, t.person, t.name, t.created_at, t.expires_at, t.used_at FROM tokens t
         LEFT JOIN users u ON u.id = t.person WHERE t.hash = $1 AND (t.person IS NULL OR u.active)";
    USED_TOKEN("note the use of a token") = "UPDATE tokens SET used_at = $2 WHERE id = $1";
    TOKENS("list tokens") =
        "SELECT id, account, person, name, created_at, expires_at, used_at FROM tokens WHERE account = $1
         ORDER BY created_at DESC, id";
    REMOVE_TOKEN("remove a token") = "DELETE FROM tokens WHERE account = $1 AND id = $2";
    REMOVE_TOKENS("remove tokens") = "DELETE FROM tokens WHERE person = $1";
    ADD_LINK("add a link") =
        "INSERT INTO links (id, account, purpose, email, role, invited_by, hash, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    REMOVE_OLDER_LINKS("remove a link") =
        "DELETE FROM links WHERE account = $1 AND purpose = $2 AND lower(email) IS NOT DISTINCT FROM lower($3)";
    LINK("read a link") = link_where!("hash = $1");
    LINKS("list links") = link_where!("account = $1 AND expires_at > $2 ORDER BY created_at DESC, id");
    REMOVE_LINK("remove a link") = "DELETE FROM links WHERE account = $1 AND id = $2";
    ADD_ERRAND("note an errand") =
        "INSERT INTO errands (hash, account, issuer, next, expires_at) VALUES ($1, $2, $3, $4, $5)";
    ERRAND("read an errand") = "SELECT account, issuer, next, expires_at FROM errands WHERE hash = $1";
    REMOVE_ERRAND("remove an errand") = "DELETE FROM errands WHERE hash = $1";
    REMOVE_LATE_ERRANDS("remove old errands") = "DELETE FROM errands WHERE expires_at <= $1";
    PUT_IDENTITY("write an identity") =
        "INSERT INTO identities (account, issuer, subject, person, created_at, used_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (account, issuer, subject) DO UPDATE SET used_at = excluded.used_at";
    IDENTITY("read an identity") = identity_where!("account = $1 AND issuer = $2 AND subject = $3");
    IDENTITIES("list identities") = identity_where!("account = $1 ORDER BY created_at, person");
}

#[async_trait]
impl AccessRows for SqlRows {
    async fn members(&mut self, account: AccountId) -> Result<Vec<Member>, StoreError> {
        self.all(&MEMBERS, values![account]).await?.iter().map(|row| member(&mut row.columns("person"))).collect()
    }

    async fn member(&mut self, id: UserId) -> Result<Option<Member>, StoreError> {
        self.one(&MEMBER, values![id]).await?.map(|row| member(&mut row.columns("person"))).transpose()
    }

    async fn credentials(&mut self, account: AccountId, email: &str) -> Result<Option<(Member, String)>, StoreError> {
        let row = self.one(&MEMBER_SIGNING_IN, values![account, email]).await?;
        row.map(|row| {
            let mut columns = row.columns("person");
            Ok((member(&mut columns)?, columns.text()?))
        })
        .transpose()
    }

    async fn put_member(&mut self, member: &Member) -> Result<(), StoreError> {
        let user = &member.user;
        self.write(&PUT_MEMBER, values![user.id, &user.name, word(&user.role)?, member.active]).await.map(drop)
    }

    async fn put_password(&mut self, id: UserId, password: &str) -> Result<(), StoreError> {
        self.write(&PUT_PASSWORD, values![id, password]).await.map(drop)
    }

    async fn count_admins(&mut self, account: AccountId) -> Result<i64, StoreError> {
        let row = self.one(&COUNT_ADMINS, values![account]).await?;
        row.map_or(Ok(0), |row| row.columns("count").int())
    }

    async fn add_sign_in(&mut self, new: &SignIn, hash: BearerHash) -> Result<(), StoreError> {
        let values = values![new.id, new.user, hash, &new.agent, new.created_at, new.used_at, new.ends_at];
        self.write(&ADD_SIGN_IN, values).await.map(drop)
    }

    async fn sign_in(&mut self, hash: BearerHash) -> Result<Option<SignIn>, StoreError> {
        self.one(&SIGN_IN, values![hash]).await?.as_ref().map(sign_in).transpose()
    }

    async fn used_sign_in(&mut self, id: SignInId, now: Timestamp) -> Result<(), StoreError> {
        self.write(&USED_SIGN_IN, values![id, now]).await.map(drop)
    }

    async fn sign_ins(&mut self, user: UserId) -> Result<Vec<SignIn>, StoreError> {
        self.all(&SIGN_INS, values![user]).await?.iter().map(sign_in).collect()
    }

    async fn end_sign_in(&mut self, id: SignInId) -> Result<(), StoreError> {
        self.write(&END_SIGN_IN, values![id]).await.map(drop)
    }

    async fn end_sign_ins(&mut self, user: UserId, except: Option<SignInId>) -> Result<u64, StoreError> {
        self.write(&END_SIGN_INS, values![user, except]).await
    }

    async fn end_stale_sign_ins(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(&END_STALE_SIGN_INS, values![before]).await
    }

    async fn add_token(&mut self, new: &Token, hash: BearerHash) -> Result<(), StoreError> {
        let Token { id, account, user, name, created_at, expires_at, used_at } = new;
        let values = values![*id, *account, *user, name, hash, *created_at, *expires_at, *used_at];
        self.write(&ADD_TOKEN, values).await.map(drop)
    }

    async fn token(&mut self, hash: BearerHash) -> Result<Option<Token>, StoreError> {
        self.one(&TOKEN, values![hash]).await?.as_ref().map(token).transpose()
    }

    async fn used_token(&mut self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        self.write(&USED_TOKEN, values![id, now]).await.map(drop)
    }

    async fn tokens(&mut self, account: AccountId) -> Result<Vec<Token>, StoreError> {
        self.all(&TOKENS, values![account]).await?.iter().map(token).collect()
    }

    async fn remove_token(&mut self, account: AccountId, id: TokenId) -> Result<bool, StoreError> {
        Ok(self.write(&REMOVE_TOKEN, values![account, id]).await? == 1)
    }

    async fn remove_tokens(&mut self, user: UserId) -> Result<(), StoreError> {
        self.write(&REMOVE_TOKENS, values![user]).await.map(drop)
    }

    async fn add_link(&mut self, new: &Link, hash: BearerHash) -> Result<(), StoreError> {
        let values = values![
            new.id,
            new.account,
            word(&new.purpose)?,
            new.email.as_deref(),
            word(&new.role)?,
            new.invited_by,
            hash,
            new.created_at,
            new.expires_at,
        ];
        self.write(&ADD_LINK, values).await.map(drop)
    }

    async fn remove_older_links(&mut self, new: &Link) -> Result<(), StoreError> {
        let values = values![new.account, word(&new.purpose)?, new.email.as_deref()];
        self.write(&REMOVE_OLDER_LINKS, values).await.map(drop)
    }

    async fn link(&mut self, hash: BearerHash) -> Result<Option<Link>, StoreError> {
        self.one(&LINK, values![hash]).await?.as_ref().map(link).transpose()
    }

    async fn links(&mut self, account: AccountId, now: Timestamp) -> Result<Vec<Link>, StoreError> {
        self.all(&LINKS, values![account, now]).await?.iter().map(link).collect()
    }

    async fn remove_link(&mut self, account: AccountId, id: LinkId) -> Result<bool, StoreError> {
        Ok(self.write(&REMOVE_LINK, values![account, id]).await? == 1)
    }

    async fn add_errand(&mut self, new: &Errand, hash: BearerHash) -> Result<(), StoreError> {
        let values = values![hash, new.account, &new.issuer, &new.next, new.expires_at];
        self.write(&ADD_ERRAND, values).await.map(drop)
    }

    async fn errand(&mut self, hash: BearerHash) -> Result<Option<Errand>, StoreError> {
        self.one(&ERRAND, values![hash]).await?.as_ref().map(errand).transpose()
    }

    async fn remove_errand(&mut self, hash: BearerHash) -> Result<bool, StoreError> {
        Ok(self.write(&REMOVE_ERRAND, values![hash]).await? == 1)
    }

    async fn remove_late_errands(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write(&REMOVE_LATE_ERRANDS, values![now]).await.map(drop)
    }

    async fn put_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let Identity { account, issuer, subject, user, created_at, used_at } = identity;
        let values = values![*account, issuer, subject, *user, *created_at, *used_at];
        self.write(&PUT_IDENTITY, values).await.map(drop)
    }

    async fn identity(
        &mut self,
        account: AccountId,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Identity>, StoreError> {
        self.one(&IDENTITY, values![account, issuer, subject]).await?.as_ref().map(identity).transpose()
    }

    async fn identities(&mut self, account: AccountId) -> Result<Vec<Identity>, StoreError> {
        self.all(&IDENTITIES, values![account]).await?.iter().map(identity).collect()
    }
}

fn member(columns: &mut Columns<'_>) -> Result<Member, StoreError> {
    let user = User {
        id: UserId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        name: columns.text()?,
        email: columns.text()?,
        role: columns.word::<Role>()?,
    };
    Ok(Member { user, active: columns.bool()?, has_password: columns.bool()? })
}

fn sign_in(row: &Row) -> Result<SignIn, StoreError> {
    let mut columns = row.columns("sign-in");
    Ok(SignIn {
        id: SignInId(columns.uuid()?),
        user: UserId(columns.uuid()?),
        agent: columns.text()?,
        created_at: columns.time()?,
        used_at: columns.time()?,
        ends_at: columns.maybe_int()?.map(Timestamp),
    })
}

fn token(row: &Row) -> Result<Token, StoreError> {
    let mut columns = row.columns("token");
    Ok(Token {
        id: TokenId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        user: columns.maybe_uuid()?.map(UserId),
        name: columns.text()?,
        created_at: columns.time()?,
        expires_at: columns.maybe_int()?.map(Timestamp),
        used_at: columns.maybe_int()?.map(Timestamp),
    })
}

fn link(row: &Row) -> Result<Link, StoreError> {
    let mut columns = row.columns("link");
    Ok(Link {
        id: LinkId(columns.uuid()?),
        account: AccountId(columns.uuid()?),
        purpose: columns.word()?,
        email: columns.maybe_text()?,
        role: columns.word()?,
        invited_by: columns.maybe_uuid()?.map(UserId),
        created_at: columns.time()?,
        expires_at: columns.time()?,
    })
}

fn errand(row: &Row) -> Result<Errand, StoreError> {
    let mut columns = row.columns("errand");
    Ok(Errand {
        account: AccountId(columns.uuid()?),
        issuer: columns.text()?,
        next: columns.text()?,
        expires_at: columns.time()?,
    })
}

fn identity(row: &Row) -> Result<Identity, StoreError> {
    let mut columns = row.columns("identity");
    Ok(Identity {
        account: AccountId(columns.uuid()?),
        issuer: columns.text()?,
        subject: columns.text()?,
        user: UserId(columns.uuid()?),
        created_at: columns.time()?,
        used_at: columns.time()?,
    })
}
