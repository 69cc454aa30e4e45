//! People of the account: who may come in, and the links that let them.

use crate::bearer::{self, Kind};
use domain::{AccountId, Clock, Link, LinkId, LinkPurpose, MemberChange, Mint, Role, UserId};
use engine::Told;
use secrets::Secret;
use std::time::Duration;
use store::{Access, StoreError};

/// How long a link works.
const LINK_LASTS: Duration = Duration::from_hours(7 * 24);
/// How long one that makes an admin, or gives a password, works.
const STRONG_LINK_LASTS: Duration = Duration::from_hours(24);

/// True when an admin can sign in, with a password or at the provider.
pub async fn somebody_can_sign_in(access: &dyn Access, account: AccountId) -> Result<bool, StoreError> {
    let members = access.members(account).await?;
    let mut by_provider = None;
    for admin in members.iter().filter(|member| member.active && member.user.role == Role::Admin) {
        if admin.has_password {
            return Ok(true);
        }
        if by_provider.is_none() {
            by_provider = Some(access.identities(account).await?);
        }
        if by_provider.iter().flatten().any(|identity| identity.user == admin.user.id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// For whom a link is made.
#[derive(Debug, Clone)]
pub struct LinkFor {
    /// What it is for.
    pub purpose: LinkPurpose,
    /// Whose; none for the first admin.
    pub email: Option<String>,
    /// The role that it gives.
    pub role: Role,
    /// Who makes it; none for the command line.
    pub by: Option<UserId>,
}

/// Makes a link; its value is for whoever it is handed to, and is not kept.
pub async fn make_link(
    access: &dyn Access,
    account: AccountId,
    (clock, mint): (&dyn Clock, &dyn Mint),
    wanted: LinkFor,
) -> Result<(Secret, Link), StoreError> {
    let (value, hash) = bearer::mint(Kind::Link);
    let lasts = match wanted.purpose {
        LinkPurpose::Invitation => LINK_LASTS,
        LinkPurpose::FirstAdmin | LinkPurpose::PasswordReset => STRONG_LINK_LASTS,
    };
    let now = clock.now();
    let link = Link {
        id: LinkId::new(mint),
        account,
        purpose: wanted.purpose,
        email: wanted.email,
        role: wanted.role,
        invited_by: wanted.by,
        created_at: now,
        expires_at: now.after(lasts),
    };
    access.add_link(&link, hash).await?;
    Ok((value, link))
}

/// How the audit log tells that a link is made.
pub fn told_of_link(purpose: LinkPurpose, email: &str, role: Role) -> Told {
    match purpose {
        LinkPurpose::FirstAdmin => Told::new("link.first_admin", email),
        LinkPurpose::Invitation => Told::new("link.invite", email).with("role", word(role)),
        LinkPurpose::PasswordReset => Told::new("link.reset_password", email),
    }
}

/// How the audit log tells that a person is changed; whom, the record adds.
pub fn told_of(change: &MemberChange) -> Told {
    match change {
        MemberChange::Role(role) => Told::new("person.role", "").with("role", word(*role)),
        MemberChange::Active(true) => Told::new("person.activate", ""),
        MemberChange::Active(false) => Told::new("person.deactivate", ""),
        MemberChange::Name(name) => Told::new("person.name", "").with("name", name),
        MemberChange::Password(..) => Told::new("person.password", ""),
    }
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Maintainer => "maintainer",
        Role::Admin => "admin",
    }
}

/// A mail address as people write it; what is wrong with it, else.
pub fn checked_email(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>' | ',' | ';' | '"');
    let good =
        text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.len() > 1 && !host.contains('@'));
    if good && text.len() <= 254 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("give a mail address, as in ada@example.org".to_owned())
    }
}

/// A name that can stand in a commit and on a page; what is wrong with it, else.
pub fn checked_name(text: &str) -> Result<String, String> {
    let text = text.trim();
    // Directions and invisible characters would let one name look like another.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '<' | '>' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    match text.chars().count() {
        0 => Err("give a name".to_owned()),
        101.. => Err("a name has at most 100 characters".to_owned()),
        _ if text.chars().any(hidden) => {
            Err("a name has no `<`, no `>`, and no characters that cannot be seen".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_checked() {
        for good in ["ada@example.org", " a@bc ", "ünï@exämple.org", "a+b@c.d", "a@bc\n"] {
            assert!(checked_email(good).is_ok(), "{good:?}");
        }
        let long = format!("{}@bc", "a".repeat(260));
        for bad in ["", "ada", "@example.org", "ada@", "a@b@c", "a b@cd", "a@b\nc", "<a@bc>", &long] {
            assert!(checked_email(bad).is_err(), "{bad:?}");
        }
        assert_eq!(checked_name("  Ada Lovelace "), Ok("Ada Lovelace".to_owned()));
        for bad in ["", " ", "Ada\u{202e}", "A\u{200b}da", "<b>", &"x".repeat(101)] {
            assert!(checked_name(bad).is_err(), "{bad:?}");
        }
    }
}
