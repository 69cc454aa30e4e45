//! What becomes of somebody for whom a provider vouches.

use super::clean::{self, Clean as _, Cleaned};
use crate::{StoreError, backend::Rows};
use domain::{AccountId, Admission, Arrival, Identity, LinkPurpose, Member, Role, Timestamp, User, Welcomed};
use secrets::Redactor;

type Result<T> = std::result::Result<T, StoreError>;

/// The account is locked, so that of two who arrive at once as the same one, the second is known.
pub(super) async fn admit(
    rows: &mut dyn Rows,
    account: AccountId,
    arrival: &Arrival,
    redactor: &Redactor,
    now: Timestamp,
) -> Result<Admission> {
    rows.lock_account(account).await?;
    if let Some(known) = rows.identity(account, &arrival.issuer, &arrival.subject).await?
        && let Some(member) = rows.member(known.user).await?
    {
        if !member.active {
            return Ok(Admission::SentAway);
        }
        rows.put_identity(&Identity { used_at: now, ..known }).await?;
        return Ok(Admission::In(member, Welcomed::Again));
    }
    let Some(email) = &arrival.email else { return Ok(Admission::Unnamed) };
    let (member, how) = match by_mail(rows, account, arrival, email).await? {
        Some(Err(refused)) => return Ok(refused),
        Some(Ok(member)) => (member, Welcomed::Linked),
        None => match invited_as(rows, account, email, now).await? {
            Some(role) => (add(rows, account, (arrival, email), role, redactor).await?, Welcomed::Invited),
            None => match arrival.newcomer {
                Some(role) => (add(rows, account, (arrival, email), role, redactor).await?, Welcomed::New),
                None => return Ok(Admission::Uninvited),
            },
        },
    };
    let identity = Identity {
        account,
        issuer: arrival.issuer.clone(),
        subject: arrival.subject.clone(),
        user: member.user.id,
        created_at: now,
        used_at: now,
    };
    rows.put_identity(&identity).await?;
    Ok(Admission::In(member, how))
}

/// The person who is there with a mail address, if whoever arrives may be them. A provider that knows them already by
/// another name has given the address to somebody else since.
async fn by_mail(
    rows: &mut dyn Rows,
    account: AccountId,
    arrival: &Arrival,
    email: &str,
) -> Result<Option<std::result::Result<Member, Admission>>> {
    let known = rows.members(account).await?;
    let Some(member) = known.into_iter().find(|member| member.user.email.eq_ignore_ascii_case(email)) else {
        return Ok(None);
    };
    if !member.active {
        return Ok(Some(Err(Admission::SentAway)));
    }
    let user = member.user.id;
    let known = rows.identities(account).await?;
    let is_other = known.iter().any(|identity| identity.user == user && identity.issuer == arrival.issuer);
    Ok(Some(if arrival.link_existing && !is_other { Ok(member) } else { Err(Admission::Taken) }))
}

/// The role for which a mail address is invited; the invitation is used up.
async fn invited_as(rows: &mut dyn Rows, account: AccountId, email: &str, now: Timestamp) -> Result<Option<Role>> {
    let links = rows.links(account, now).await?;
    let mut links = links.into_iter().filter(|link| link.purpose == LinkPurpose::Invitation);
    let theirs = links.find(|link| link.email.as_deref().is_some_and(|mail| mail.eq_ignore_ascii_case(email)));
    let Some(link) = theirs else { return Ok(None) };
    // Whoever takes the row away first has used the link.
    Ok(rows.remove_link(account, link.id).await?.then_some(link.role))
}

async fn add(
    rows: &mut dyn Rows,
    account: AccountId,
    (arrival, email): (&Arrival, &str),
    role: Role,
    redactor: &Redactor,
) -> Result<Member> {
    let (name, email) = (clean::text(&arrival.name, redactor), clean::text(email, redactor));
    let new: Cleaned<User> = User { id: arrival.id, account, name, email, role }.clean(redactor)?;
    rows.put_user(&new).await?;
    let member = Member { user: User::clone(&new), active: true, has_password: false };
    rows.put_member(&member).await?;
    Ok(member)
}
