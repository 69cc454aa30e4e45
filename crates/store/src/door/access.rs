//! Who may come in, for every backend.

use super::{
    arrivals::admit,
    audit::change,
    clean::{self, Clean as _, Cleaned},
    commit::missing,
    transact,
};
use crate::{
    Access, StoreError,
    backend::{Backend, Rows},
};
use async_trait::async_trait;
use domain::{
    AccountId, Admission, Arrival, BearerHash, Errand, Identity, Link, LinkId, LinkPurpose, Member, MemberChange, Role,
    SignIn, SignInId, Timestamp, Token, TokenId, User, UserId, Welcome,
};
use secrets::Redactor;

type Result<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl<B: Backend> Access for B {
    async fn members(&self, account: AccountId) -> Result<Vec<Member>> {
        self.read().await?.members(account).await
    }

    async fn member(&self, id: UserId) -> Result<Option<Member>> {
        self.read().await?.member(id).await
    }

    async fn credentials(&self, account: AccountId, email: &str) -> Result<Option<(Member, String)>> {
        self.read().await?.credentials(account, email).await
    }

    async fn change_member(&self, account: AccountId, id: UserId, change: &MemberChange) -> Result<Member> {
        let change = match change {
            MemberChange::Name(name) => MemberChange::Name(clean::text(name, &self.known().redactor())),
            other => other.clone(),
        };
        change!(self, |rows| change_member(rows, account, id, &change))
    }

    async fn add_sign_in(&self, new: &SignIn, hash: BearerHash) -> Result<()> {
        let agent = clean::text(&new.agent, &self.known().redactor());
        let new = SignIn { agent, ..new.clone() };
        change!(self, |rows| add_sign_in(rows, &new, hash))
    }

    async fn sign_in(&self, hash: BearerHash) -> Result<Option<(SignIn, Member)>> {
        let mut rows = self.read().await?;
        let Some(found) = rows.sign_in(hash).await? else { return Ok(None) };
        Ok(rows.member(found.user).await?.map(|member| (found, member)))
    }

    async fn used_sign_in(&self, id: SignInId, now: Timestamp) -> Result<()> {
        transact!(self, |rows| rows.used_sign_in(id, now))
    }

    async fn sign_ins(&self, user: UserId) -> Result<Vec<SignIn>> {
        self.read().await?.sign_ins(user).await
    }

    async fn end_sign_in(&self, id: SignInId) -> Result<()> {
        change!(self, |rows| rows.end_sign_in(id))
    }

    async fn end_sign_ins(&self, user: UserId) -> Result<u64> {
        change!(self, |rows| rows.end_sign_ins(user, None))
    }

    async fn end_stale_sign_ins(&self, before: Timestamp) -> Result<u64> {
        change!(self, |rows| rows.end_stale_sign_ins(before))
    }

    async fn add_token(&self, new: &Token, hash: BearerHash) -> Result<()> {
        let name = clean::text(&new.name, &self.known().redactor());
        let new = Token { name, ..new.clone() };
        change!(self, |rows| add_token(rows, &new, hash))
    }

    async fn token(&self, hash: BearerHash) -> Result<Option<(Token, Option<Member>)>> {
        let mut rows = self.read().await?;
        let Some(found) = rows.token(hash).await? else { return Ok(None) };
        let member = match found.user {
            Some(user) => rows.member(user).await?,
            None => None,
        };
        Ok(Some((found, member)))
    }

    async fn used_token(&self, id: TokenId, now: Timestamp) -> Result<()> {
        transact!(self, |rows| rows.used_token(id, now))
    }

    async fn tokens(&self, account: AccountId) -> Result<Vec<Token>> {
        self.read().await?.tokens(account).await
    }

    async fn remove_token(&self, account: AccountId, id: TokenId) -> Result<bool> {
        change!(self, |rows| rows.remove_token(account, id))
    }

    async fn add_link(&self, new: &Link, hash: BearerHash) -> Result<()> {
        let redactor = self.known().redactor();
        let email = new.email.as_deref().map(|email| clean::text(email, &redactor));
        let new = Link { email, ..new.clone() };
        change!(self, |rows| add_link(rows, &new, hash))
    }

    async fn link(&self, hash: BearerHash, now: Timestamp) -> Result<Option<Link>> {
        Ok(self.read().await?.link(hash).await?.filter(|link| link.expires_at > now))
    }

    async fn links(&self, account: AccountId, now: Timestamp) -> Result<Vec<Link>> {
        self.read().await?.links(account, now).await
    }

    async fn remove_link(&self, account: AccountId, id: LinkId) -> Result<bool> {
        change!(self, |rows| rows.remove_link(account, id))
    }

    async fn use_link(&self, hash: BearerHash, welcome: &Welcome, now: Timestamp) -> Result<Option<Member>> {
        let redactor = self.known().redactor();
        change!(self, |rows| use_link(rows, hash, welcome, &redactor, now))
    }

    async fn add_errand(&self, new: &Errand, hash: BearerHash, now: Timestamp) -> Result<()> {
        let next = clean::text(&new.next, &self.known().redactor());
        let new = Errand { next, ..new.clone() };
        transact!(self, |rows| add_errand(rows, &new, hash, now))
    }

    async fn take_errand(&self, hash: BearerHash, now: Timestamp) -> Result<Option<Errand>> {
        transact!(self, |rows| take_errand(rows, hash, now))
    }

    async fn admit(&self, account: AccountId, arrival: &Arrival, now: Timestamp) -> Result<Admission> {
        let redactor = self.known().redactor();
        change!(self, |rows| admit(rows, account, arrival, &redactor, now))
    }

    async fn identities(&self, account: AccountId) -> Result<Vec<Identity>> {
        self.read().await?.identities(account).await
    }
}

/// The person, if they are of the account, which is locked: whether an admin is left does not change meanwhile.
async fn member_of(rows: &mut dyn Rows, account: AccountId, id: UserId) -> Result<Member> {
    rows.lock_account(account).await?;
    let member = rows.member(id).await?.filter(|member| member.user.account == account);
    member.ok_or_else(|| missing("person", id))
}

async fn change_member(rows: &mut dyn Rows, account: AccountId, id: UserId, change: &MemberChange) -> Result<Member> {
    let mut member = member_of(rows, account, id).await?;
    match change {
        MemberChange::Role(role) => member.user.role = *role,
        MemberChange::Name(name) => member.user.name.clone_from(name),
        MemberChange::Active(active) => member.active = *active,
        MemberChange::Password(password, except) => {
            rows.put_password(id, password).await?;
            rows.end_sign_ins(id, *except).await?;
            member.has_password = true;
        }
    }
    rows.put_member(&member).await?;
    if !member.active {
        rows.end_sign_ins(id, None).await?;
        rows.remove_tokens(id).await?;
    }
    if rows.count_admins(account).await? == 0 {
        return Err(StoreError::LastAdmin);
    }
    Ok(member)
}

async fn add_sign_in(rows: &mut dyn Rows, new: &SignIn, hash: BearerHash) -> Result<()> {
    let active = rows.member(new.user).await?.is_some_and(|member| member.active);
    if active { rows.add_sign_in(new, hash).await } else { Err(missing("person", new.user)) }
}

async fn add_token(rows: &mut dyn Rows, new: &Token, hash: BearerHash) -> Result<()> {
    if let Some(user) = new.user {
        let theirs = |member: &Member| member.active && member.user.account == new.account;
        rows.member(user).await?.filter(theirs).ok_or_else(|| missing("person", user))?;
    }
    rows.add_token(new, hash).await
}

async fn add_link(rows: &mut dyn Rows, new: &Link, hash: BearerHash) -> Result<()> {
    rows.account(new.account).await?.ok_or_else(|| missing("account", new.account))?;
    rows.remove_older_links(new).await?;
    rows.add_link(new, hash).await
}

async fn use_link(
    rows: &mut dyn Rows,
    hash: BearerHash,
    welcome: &Welcome,
    redactor: &Redactor,
    now: Timestamp,
) -> Result<Option<Member>> {
    let Some(link) = rows.link(hash).await?.filter(|link| link.expires_at > now) else { return Ok(None) };
    // Whoever takes the row away first has used the link.
    if !rows.remove_link(link.account, link.id).await? {
        return Ok(None);
    }
    rows.lock_account(link.account).await?;
    let email = link.email.as_ref().or(welcome.email.as_ref()).ok_or_else(|| missing("mail address", link.id))?;
    let known = rows.members(link.account).await?;
    let known = known.into_iter().find(|member| member.user.email.eq_ignore_ascii_case(email));
    let member = match (link.purpose, known) {
        (LinkPurpose::PasswordReset, known) => {
            known.filter(|member| member.active).ok_or_else(|| missing("person", email))?
        }
        (_, Some(known)) => {
            Member { active: true, user: with_role(&known.user, welcome, link.role, redactor), ..known }
        }
        (_, None) => {
            let new = User {
                id: welcome.id,
                account: link.account,
                name: clean::text(welcome.name.as_deref().unwrap_or(email), redactor),
                email: clean::text(email, redactor),
                role: link.role,
            };
            let new: Cleaned<User> = new.clean(redactor)?;
            rows.put_user(&new).await?;
            Member { user: User::clone(&new), active: true, has_password: true }
        }
    };
    rows.put_member(&member).await?;
    rows.put_password(member.user.id, &welcome.password).await?;
    rows.end_sign_ins(member.user.id, None).await?;
    Ok(Some(Member { has_password: true, ..member }))
}

/// A person who is known already: a link never takes a right away.
fn with_role(user: &User, welcome: &Welcome, role: Role, redactor: &Redactor) -> User {
    let name = welcome.name.as_deref().map_or_else(|| user.name.clone(), |name| clean::text(name, redactor));
    User { name, role: user.role.max(role), ..user.clone() }
}

async fn add_errand(rows: &mut dyn Rows, new: &Errand, hash: BearerHash, now: Timestamp) -> Result<()> {
    rows.account(new.account).await?.ok_or_else(|| missing("account", new.account))?;
    rows.remove_late_errands(now).await?;
    rows.add_errand(new, hash).await
}

async fn take_errand(rows: &mut dyn Rows, hash: BearerHash, now: Timestamp) -> Result<Option<Errand>> {
    let Some(errand) = rows.errand(hash).await? else { return Ok(None) };
    // Whoever takes the row away first has used it.
    let is_first = rows.remove_errand(hash).await?;
    Ok(Some(errand).filter(|errand| is_first && errand.expires_at > now))
}
