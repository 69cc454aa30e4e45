//! What can be changed about people, links and tokens.

use super::{
    Call, call,
    enums::Role,
    error::{Code, Failure},
    people::{Invitation, Person, Token, Viewer},
    query,
    scalars::DateTime,
};
use crate::{
    bearer::{self, Kind},
    brake::TooMany,
    password,
    people::{LinkFor, checked_email, checked_name, make_link, told_of, told_of_link},
    time,
};
use async_graphql::{Context, ID, Object, Result, SimpleObject};
use domain::{LinkPurpose, Member, MemberChange, TokenId, UserId};
use engine::{Right, Told};
use store::StoreError;
use zeroize::Zeroizing;

/// A link to hand over. It is shown once.
#[derive(Debug, SimpleObject)]
pub struct Link {
    url: String,
    expires_at: DateTime,
}

/// A token and its value, which is never shown again.
#[derive(Debug, SimpleObject)]
pub struct NewToken {
    token: Token,
    value: String,
}

/// What can be changed about people, links and tokens.
#[derive(Debug, Default)]
pub struct PeopleMutations;

#[Object]
impl PeopleMutations {
    /// Lets somebody in who has the link. Sends nothing: the link is in the answer, to be handed over. Admins only.
    async fn invite(&self, ctx: &Context<'_>, email: String, role: Role) -> Result<Link> {
        let email = checked_email(&email).map_err(|why| Failure::new(Code::BadRequest, why).field("email"))?;
        self.link(ctx, LinkPurpose::Invitation, email, role.into()).await
    }

    /// A link with which somebody who is known gives themselves another password. Admins only.
    async fn reset_password(&self, ctx: &Context<'_>, person: ID) -> Result<Link> {
        let call = call(ctx)?;
        call.must(Right::Administer)?;
        let known = call.person(user(&person)?).await?.filter(|member| member.active);
        let user = known.ok_or_else(|| Failure::new(Code::NotFound, "there is no such active person"))?.user.clone();
        self.link(ctx, LinkPurpose::PasswordReset, user.email, user.role).await
    }

    /// Takes a link back. Admins only.
    async fn revoke_invitation(&self, ctx: &Context<'_>, id: ID) -> Result<Vec<Invitation>> {
        let call = call(ctx)?;
        call.must(Right::Administer)?;
        let link = id.parse().map_err(|_| missing("link"))?;
        let links = call.state.access.links(call.state.account, call.state.clock.now()).await.map_err(Failure::from)?;
        let of = links.into_iter().find(|known| known.id == link).and_then(|known| known.email).unwrap_or_default();
        let work = call.state.access.remove_link(call.state.account, link);
        let removed = call.doing(Told::new("link.revoke", of), work).await.map_err(Failure::from)?;
        if !removed {
            return Err(missing("link").into());
        }
        query::invitations(&call).await
    }

    /// Gives a person another role. Admins only; the last admin stays one.
    async fn set_role(&self, ctx: &Context<'_>, person: ID, role: Role) -> Result<Person> {
        self.change(ctx, &person, MemberChange::Role(role.into())).await
    }

    /// Sends a person away: every sign-in and token of theirs ends at once. Admins only; the last admin stays.
    async fn deactivate_person(&self, ctx: &Context<'_>, person: ID) -> Result<Person> {
        self.change(ctx, &person, MemberChange::Active(false)).await
    }

    /// Lets a person in again who was sent away. Admins only.
    async fn activate_person(&self, ctx: &Context<'_>, person: ID) -> Result<Person> {
        self.change(ctx, &person, MemberChange::Active(true)).await
    }

    /// Gives the viewer another password; all other sign-ins of theirs end.
    async fn change_password(&self, ctx: &Context<'_>, current: String, new: String) -> Result<Viewer> {
        let (current, new) = (Zeroizing::new(current), Zeroizing::new(new));
        let call = call(ctx)?;
        let member = call.must_be_signed_in()?;
        let (state, user) = (&call.state, &member.user);
        state.brake.attempt(Some(&user.email), None).map_err(|TooMany(wait)| {
            Failure::new(Code::TooManyRequests, format!("too many attempts; try again in {} s", wait.as_secs() + 1))
        })?;
        let known = state.access.credentials(state.account, &user.email).await.map_err(Failure::from)?;
        if !state.passwords.verify(current, known.map(|(_, phc)| phc)).await {
            state.refused(call.caller.deed(state, Told::new("person.password", &user.email))).await;
            return Err(Failure::new(Code::Forbidden, "this is not your password").field("current").into());
        }
        password::check(&new, &[&user.name, &user.email])
            .map_err(|why| Failure::new(Code::BadRequest, why.to_string()).field("new"))?;
        let phc = state.passwords.hash(new).await;
        let change = MemberChange::Password(phc, sign_in(&call));
        let work = state.access.change_member(state.account, user.id, &change);
        call.doing(told_of(&change), work).await.map_err(Failure::from)?;
        Ok(query::viewer(&call))
    }

    /// Gives the viewer another name.
    async fn rename_myself(&self, ctx: &Context<'_>, name: String) -> Result<Person> {
        let name = checked_name(&name).map_err(|why| Failure::new(Code::BadRequest, why).field("name"))?;
        let call = call(ctx)?;
        let id = call.must_be_person()?.user.id;
        let change = MemberChange::Name(name);
        let work = call.state.access.change_member(call.state.account, id, &change);
        let changed = call.doing(told_of(&change), work).await.map_err(Failure::from)?;
        Ok((&changed).into())
    }

    /// Makes a token that acts as the viewer, or with `account` one of the account (admins only). Its value is in the
    /// answer and is never shown again.
    async fn create_token(
        &self,
        ctx: &Context<'_>,
        name: String,
        expires_at: Option<DateTime>,
        #[graphql(default = false)] account: bool,
    ) -> Result<NewToken> {
        let name = checked_name(&name).map_err(|why| Failure::new(Code::BadRequest, why).field("name"))?;
        let call = call(ctx)?;
        let member = call.must_be_signed_in()?;
        if account {
            call.must(Right::Administer)?;
        }
        let (state, now) = (&call.state, call.state.clock.now());
        if expires_at.is_some_and(|DateTime(end)| end <= now) {
            return Err(Failure::new(Code::BadRequest, "this time is over already").field("expiresAt").into());
        }
        let (value, hash) = bearer::mint(if account { Kind::AccountToken } else { Kind::UserToken });
        let token = domain::Token {
            id: TokenId::new(state.mint.as_ref()),
            account: state.account,
            user: (!account).then_some(member.user.id),
            name,
            created_at: now,
            expires_at: expires_at.map(|DateTime(end)| end),
            used_at: None,
        };
        let of = if account { "the account" } else { &member.user.email };
        let ends = token.expires_at.map_or_else(|| "never".to_owned(), time::rfc3339);
        let told = Told::new("token.create", &token.name).with("of", of).with("ends", ends).with("id", token.id);
        call.doing(told, state.access.add_token(&token, hash)).await.map_err(Failure::from)?;
        Ok(NewToken { token: token.into(), value: value.expose().to_owned() })
    }

    /// Takes a token back: one of the viewer, or for admins any of the account.
    async fn revoke_token(&self, ctx: &Context<'_>, id: ID) -> Result<Vec<Token>> {
        let call = call(ctx)?;
        let own = call.must_be_person()?.user.id;
        let (state, wanted) = (&call.state, id.parse().map_err(|_| missing("token"))?);
        let tokens = state.access.tokens(state.account).await.map_err(Failure::from)?;
        let may = |token: &domain::Token| token.user == Some(own) || call.must(Right::Administer).is_ok();
        let found = tokens.iter().find(|token| token.id == wanted).filter(|token| may(token));
        let token = found.ok_or_else(|| missing("token"))?;
        let told = Told::new("token.revoke", &token.name).with("id", token.id);
        if !call.doing(told, state.access.remove_token(state.account, wanted)).await.map_err(Failure::from)? {
            return Err(missing("token").into());
        }
        query::tokens(&call).await
    }

    /// Ends all other sign-ins of the viewer.
    async fn sign_out_everywhere(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let call = call(ctx)?;
        let id = call.must_be_signed_in()?.user.id;
        let (access, current) = (&call.state.access, sign_in(&call));
        let others = access.sign_ins(id).await.map_err(Failure::from)?;
        let others: Vec<_> = others.into_iter().filter(|other| Some(other.id) != current).collect();
        let told = Told::new("sign_in.end_others", &call.must_be_signed_in()?.user.email).with("count", others.len());
        let work = async {
            for other in &others {
                access.end_sign_in(other.id).await?;
            }
            Ok(())
        };
        call.doing(told, work).await.map_err(|error: StoreError| Failure::from(error))?;
        Ok(query::viewer(&call))
    }
}

impl PeopleMutations {
    async fn link(&self, ctx: &Context<'_>, purpose: LinkPurpose, email: String, role: domain::Role) -> Result<Link> {
        let call = call(ctx)?;
        call.must(Right::Administer)?;
        let by = call.must_be_signed_in()?.user.id;
        let state = &call.state;
        let wanted = LinkFor { purpose, email: Some(email), role, by: Some(by) };
        let parts = (state.clock.as_ref(), state.mint.as_ref());
        let told = told_of_link(purpose, wanted.email.as_deref().unwrap_or_default(), role);
        let work = make_link(state.access.as_ref(), state.account, parts, wanted);
        let (value, link) = call.doing(told, work).await.map_err(Failure::from)?;
        let url = state.origins.url(&format!("/welcome/{}", value.expose()));
        Ok(Link { url, expires_at: DateTime(link.expires_at) })
    }

    async fn change(&self, ctx: &Context<'_>, person: &ID, change: MemberChange) -> Result<Person> {
        let call = call(ctx)?;
        call.must(Right::Administer)?;
        call.must_be_signed_in()?;
        let id = user(person)?;
        let work = call.state.access.change_member(call.state.account, id, &change);
        let changed: Member = call.doing(told_of(&change), work).await.map_err(Failure::from)?;
        Ok((&changed).into())
    }
}

fn user(id: &ID) -> Result<UserId, Failure> {
    id.parse().map_err(|_| missing("person"))
}

fn missing(what: &str) -> Failure {
    Failure::new(Code::NotFound, format!("there is no such {what}"))
}

fn sign_in(call: &Call) -> Option<domain::SignInId> {
    match call.caller.proof {
        crate::gate::Proof::SignIn(id, _) => Some(id),
        crate::gate::Proof::Token(..) => None,
    }
}
