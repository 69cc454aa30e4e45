//! People, links, tokens and sign-ins.

use super::{call, enums, scalars::DateTime};
use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject};
use domain::{Member, UserId};

/// Who asks, and where.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Viewer {
    /// The person; null for a token of the account.
    pub person: Option<Person>,
    /// The account.
    pub account: Account,
    /// What the viewer may do.
    pub role: enums::Role,
    /// The version of the server.
    pub version: &'static str,
}

#[ComplexObject]
impl Viewer {
    /// Where the viewer is signed in. Empty for tokens.
    async fn sign_ins(&self, ctx: &Context<'_>) -> Result<Vec<SignIn>> {
        let call = call(ctx)?;
        let crate::gate::Proof::SignIn(current, _) = call.caller.proof else { return Ok(Vec::new()) };
        let member = call.must_be_person()?;
        let found = call.state.access.sign_ins(member.user.id).await.map_err(super::error::Failure::from)?;
        let now = call.state.clock.now();
        let each = found.into_iter().filter(|it| !it.is_over(now, crate::gate::SIGN_IN_LASTS)).map(|sign_in| SignIn {
            id: sign_in.id.to_string().into(),
            created_at: DateTime(sign_in.created_at),
            used_at: DateTime(sign_in.used_at),
            agent: sign_in.agent,
            current: sign_in.id == current,
        });
        Ok(each.collect())
    }
}

/// A tenant.
#[derive(Debug, SimpleObject)]
pub struct Account {
    /// Its id.
    pub id: ID,
    /// Its name.
    pub name: String,
}

/// A person of the account.
#[derive(Debug, Clone, SimpleObject)]
pub struct Person {
    /// Their id.
    pub id: ID,
    /// Their name.
    pub name: String,
    /// Their mail address.
    pub email: String,
    /// What they may do.
    pub role: enums::Role,
    /// False once they were sent away.
    pub active: bool,
    /// Whether they can sign in with a password.
    pub has_password: bool,
}

impl From<&Member> for Person {
    fn from(member: &Member) -> Self {
        Self {
            id: member.user.id.to_string().into(),
            name: member.user.name.clone(),
            email: member.user.email.clone(),
            role: member.user.role.into(),
            active: member.active,
            has_password: member.has_password,
        }
    }
}

/// The person with this id, from what the request read once.
pub async fn person(ctx: &Context<'_>, id: Option<UserId>) -> Result<Option<Person>> {
    let Some(id) = id else { return Ok(None) };
    let call = call(ctx)?;
    Ok(call.person(id).await?.map(Person::from))
}

/// A repository.
#[derive(Debug, SimpleObject)]
pub struct Repository {
    /// Its id.
    pub id: ID,
    /// Its name.
    pub name: String,
    /// Which forge it is on, such as `local`.
    pub forge: String,
    /// Where the forge finds it.
    pub location: String,
}

impl From<domain::Repository> for Repository {
    fn from(found: domain::Repository) -> Self {
        Self { id: found.id.to_string().into(), name: found.name, forge: found.forge, location: found.location }
    }
}

/// A link that was handed out and not used yet.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Invitation {
    /// Its id.
    pub id: ID,
    /// For whom; empty for the first admin.
    pub email: String,
    /// The role that it gives.
    pub role: enums::Role,
    /// What it is for.
    pub purpose: enums::InvitationPurpose,
    /// When it was made.
    pub created_at: DateTime,
    /// From when on it is refused.
    pub expires_at: DateTime,
    #[graphql(skip)]
    pub by: Option<UserId>,
}

#[ComplexObject]
impl Invitation {
    /// Who made it; null when the command line did.
    async fn invited_by(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.by).await
    }
}

impl From<domain::Link> for Invitation {
    fn from(link: domain::Link) -> Self {
        Self {
            id: link.id.to_string().into(),
            email: link.email.unwrap_or_default(),
            role: link.role.into(),
            purpose: link.purpose.into(),
            created_at: DateTime(link.created_at),
            expires_at: DateTime(link.expires_at),
            by: link.invited_by,
        }
    }
}

/// A token for programs. Its value is shown once, when it is made.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub struct Token {
    /// Its id.
    pub id: ID,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: DateTime,
    /// From when on it is refused.
    pub expires_at: Option<DateTime>,
    /// When it was used last, give or take a minute.
    pub used_at: Option<DateTime>,
    #[graphql(skip)]
    pub user: Option<UserId>,
}

#[ComplexObject]
impl Token {
    /// As whom it acts; null for a token of the account.
    async fn person(&self, ctx: &Context<'_>) -> Result<Option<Person>> {
        person(ctx, self.user).await
    }
}

impl From<domain::Token> for Token {
    fn from(token: domain::Token) -> Self {
        Self {
            id: token.id.to_string().into(),
            name: token.name,
            created_at: DateTime(token.created_at),
            expires_at: token.expires_at.map(DateTime),
            used_at: token.used_at.map(DateTime),
            user: token.user,
        }
    }
}

/// A browser in which the viewer is signed in.
#[derive(Debug, SimpleObject)]
pub struct SignIn {
    /// Its id.
    pub id: ID,
    /// When.
    pub created_at: DateTime,
    /// When it was used last, give or take a minute.
    pub used_at: DateTime,
    /// What the browser says that it is.
    pub agent: String,
    /// True for this one.
    pub current: bool,
}
