//! People with what they come in with.

use super::tables::{MemoryRows, pick};
use crate::{
    StoreError,
    backend::{AccessRows, AccountRows},
};
use async_trait::async_trait;
use domain::{
    AccountId, BearerHash, Errand, Identity, Link, LinkId, Member, Role, SignIn, SignInId, Timestamp, Token, TokenId,
    User, UserId,
};

type Result<T> = std::result::Result<T, StoreError>;

/// What there is of a person beside who they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub password: Option<String>,
    pub sent_away: bool,
}

impl MemoryRows {
    fn entry(&self, id: UserId) -> Entry {
        self.tables.entries.get(&id).cloned().unwrap_or_default()
    }

    fn as_member(&self, user: User) -> Member {
        let entry = self.entry(user.id);
        Member { active: !entry.sent_away, has_password: entry.password.is_some(), user }
    }
}

#[async_trait]
impl AccessRows for MemoryRows {
    async fn members(&mut self, account: AccountId) -> Result<Vec<Member>> {
        let mut users = pick(&self.tables.users, |user| user.account == account);
        users.sort_by_key(|user| (user.name.to_ascii_lowercase(), user.id));
        Ok(users.into_iter().map(|user| self.as_member(user)).collect())
    }

    async fn member(&mut self, id: UserId) -> Result<Option<Member>> {
        Ok(self.user(id).await?.map(|user| self.as_member(user)))
    }

    async fn credentials(&mut self, account: AccountId, email: &str) -> Result<Option<(Member, String)>> {
        let named = pick(&self.tables.users, |user| user.account == account && user.email.eq_ignore_ascii_case(email));
        Ok(named.into_iter().find_map(|user| {
            let password = self.entry(user.id).password?;
            Some((self.as_member(user), password)).filter(|(member, _)| member.active)
        }))
    }

    async fn put_member(&mut self, member: &Member) -> Result<()> {
        let id = member.user.id;
        self.put(|tables| &mut tables.users, id, member.user.clone());
        let entry = Entry { sent_away: !member.active, ..self.entry(id) };
        self.put(|tables| &mut tables.entries, id, entry);
        Ok(())
    }

    async fn put_password(&mut self, id: UserId, password: &str) -> Result<()> {
        let entry = Entry { password: Some(password.to_owned()), ..self.entry(id) };
        self.put(|tables| &mut tables.entries, id, entry);
        Ok(())
    }

    async fn count_admins(&mut self, account: AccountId) -> Result<i64> {
        let admins = pick(&self.tables.users, |user| user.account == account && user.role == Role::Admin);
        let active = admins.iter().filter(|user| !self.entry(user.id).sent_away).count();
        Ok(i64::try_from(active).unwrap_or(i64::MAX))
    }

    async fn add_sign_in(&mut self, new: &SignIn, hash: BearerHash) -> Result<()> {
        self.add(|tables| &mut tables.sign_ins, new.id, (hash, new.clone()))
    }

    async fn sign_in(&mut self, hash: BearerHash) -> Result<Option<SignIn>> {
        let found = self.tables.sign_ins.values().find(|(known, _)| *known == hash);
        Ok(found.map(|(_, sign_in)| sign_in.clone()).filter(|sign_in| !self.entry(sign_in.user).sent_away))
    }

    async fn used_sign_in(&mut self, id: SignInId, now: Timestamp) -> Result<()> {
        if let Some((hash, old)) = self.tables.sign_ins.get(&id).cloned() {
            self.put(|tables| &mut tables.sign_ins, id, (hash, SignIn { used_at: now, ..old }));
        }
        Ok(())
    }

    async fn sign_ins(&mut self, user: UserId) -> Result<Vec<SignIn>> {
        let rows = pick(&self.tables.sign_ins, |(_, sign_in)| sign_in.user == user);
        let mut found: Vec<_> = rows.into_iter().map(|(_, sign_in)| sign_in).collect();
        found.sort_by_key(|sign_in| (std::cmp::Reverse(sign_in.created_at), sign_in.id));
        Ok(found)
    }

    async fn end_sign_in(&mut self, id: SignInId) -> Result<()> {
        self.take(|tables| &mut tables.sign_ins, id);
        Ok(())
    }

    async fn end_sign_ins(&mut self, user: UserId, except: Option<SignInId>) -> Result<u64> {
        let found = self.sign_ins(user).await?;
        let ended = found.iter().filter(|sign_in| Some(sign_in.id) != except).map(|sign_in| sign_in.id);
        let ended: Vec<_> = ended.collect();
        for id in &ended {
            self.take(|tables| &mut tables.sign_ins, *id);
        }
        Ok(ended.len() as u64)
    }

    async fn end_stale_sign_ins(&mut self, before: Timestamp) -> Result<u64> {
        let stale = pick(&self.tables.sign_ins, |(_, sign_in)| sign_in.used_at < before);
        for (_, sign_in) in &stale {
            self.take(|tables| &mut tables.sign_ins, sign_in.id);
        }
        Ok(stale.len() as u64)
    }

    async fn add_token(&mut self, new: &Token, hash: BearerHash) -> Result<()> {
        self.add(|tables| &mut tables.tokens, new.id, (hash, new.clone()))
    }

    async fn token(&mut self, hash: BearerHash) -> Result<Option<Token>> {
        let found = self.tables.tokens.values().find(|(known, _)| *known == hash);
        let found = found.map(|(_, token)| token.clone());
        Ok(found.filter(|token| token.user.is_none_or(|user| !self.entry(user).sent_away)))
    }

    async fn used_token(&mut self, id: TokenId, now: Timestamp) -> Result<()> {
        if let Some((hash, old)) = self.tables.tokens.get(&id).cloned() {
            self.put(|tables| &mut tables.tokens, id, (hash, Token { used_at: Some(now), ..old }));
        }
        Ok(())
    }

    async fn tokens(&mut self, account: AccountId) -> Result<Vec<Token>> {
        let rows = pick(&self.tables.tokens, |(_, token)| token.account == account);
        let mut found: Vec<_> = rows.into_iter().map(|(_, token)| token).collect();
        found.sort_by_key(|token| (std::cmp::Reverse(token.created_at), token.id));
        Ok(found)
    }

    async fn remove_token(&mut self, account: AccountId, id: TokenId) -> Result<bool> {
        let is_theirs = self.tables.tokens.get(&id).is_some_and(|(_, token)| token.account == account);
        if is_theirs {
            self.take(|tables| &mut tables.tokens, id);
        }
        Ok(is_theirs)
    }

    async fn remove_tokens(&mut self, user: UserId) -> Result<()> {
        for (_, token) in pick(&self.tables.tokens, |(_, token)| token.user == Some(user)) {
            self.take(|tables| &mut tables.tokens, token.id);
        }
        Ok(())
    }

    async fn add_link(&mut self, new: &Link, hash: BearerHash) -> Result<()> {
        self.add(|tables| &mut tables.links, new.id, (hash, new.clone()))
    }

    async fn remove_older_links(&mut self, new: &Link) -> Result<()> {
        let mail = |link: &Link| link.email.as_deref().map(str::to_ascii_lowercase);
        let older = |link: &Link| (link.account, link.purpose, mail(link)) == (new.account, new.purpose, mail(new));
        for (_, link) in pick(&self.tables.links, |(_, link)| older(link)) {
            self.take(|tables| &mut tables.links, link.id);
        }
        Ok(())
    }

    async fn link(&mut self, hash: BearerHash) -> Result<Option<Link>> {
        Ok(self.tables.links.values().find(|(known, _)| *known == hash).map(|(_, link)| link.clone()))
    }

    async fn links(&mut self, account: AccountId, now: Timestamp) -> Result<Vec<Link>> {
        let rows = pick(&self.tables.links, |(_, link)| link.account == account && link.expires_at > now);
        let mut found: Vec<_> = rows.into_iter().map(|(_, link)| link).collect();
        found.sort_by_key(|link| (std::cmp::Reverse(link.created_at), link.id));
        Ok(found)
    }

    async fn remove_link(&mut self, account: AccountId, id: LinkId) -> Result<bool> {
        let is_theirs = self.tables.links.get(&id).is_some_and(|(_, link)| link.account == account);
        if is_theirs {
            self.take(|tables| &mut tables.links, id);
        }
        Ok(is_theirs)
    }

    async fn add_errand(&mut self, new: &Errand, hash: BearerHash) -> Result<()> {
        self.add(|tables| &mut tables.errands, hash, new.clone())
    }

    async fn errand(&mut self, hash: BearerHash) -> Result<Option<Errand>> {
        Ok(self.tables.errands.get(&hash).cloned())
    }

    async fn remove_errand(&mut self, hash: BearerHash) -> Result<bool> {
        let is_there = self.tables.errands.contains_key(&hash);
        self.take(|tables| &mut tables.errands, hash);
        Ok(is_there)
    }

    async fn remove_late_errands(&mut self, now: Timestamp) -> Result<()> {
        let late = self.tables.errands.iter().filter(|(_, errand)| errand.expires_at <= now);
        let late: Vec<_> = late.map(|(hash, _)| *hash).collect();
        for hash in late {
            self.take(|tables| &mut tables.errands, hash);
        }
        Ok(())
    }

    async fn put_identity(&mut self, identity: &Identity) -> Result<()> {
        let key = (identity.account, identity.issuer.clone(), identity.subject.clone());
        let new = match self.tables.identities.get(&key) {
            Some(known) => Identity { used_at: identity.used_at, ..known.clone() },
            None => identity.clone(),
        };
        self.put(|tables| &mut tables.identities, key, new);
        Ok(())
    }

    async fn identity(&mut self, account: AccountId, issuer: &str, subject: &str) -> Result<Option<Identity>> {
        Ok(self.tables.identities.get(&(account, issuer.to_owned(), subject.to_owned())).cloned())
    }

    async fn identities(&mut self, account: AccountId) -> Result<Vec<Identity>> {
        let mut found = pick(&self.tables.identities, |identity| identity.account == account);
        found.sort_by_key(|identity| (identity.created_at, identity.user));
        Ok(found)
    }
}
