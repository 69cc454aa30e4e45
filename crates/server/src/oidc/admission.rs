//! Who may come in, of those for whom the provider vouches. Pure.

use super::{ProviderSettings, token::Vouched};
use crate::people::{checked_email, checked_name};
use domain::{Arrival, UserId};

/// Somebody for whom the provider vouches, with what the settings allow them; `id` is theirs when they are new.
pub fn arrival(settings: &ProviderSettings, vouched: Vouched, id: UserId) -> Arrival {
    let Vouched { subject, name, preferred_username, email, email_verified } = vouched;
    let is_verified = email_verified == Some(true);
    // What a provider says is not verified is nobody's; of one that says nothing, the settings say what that means.
    let counts = is_verified || (email_verified.is_none() && !settings.require_verified_email);
    let email = email.filter(|_| counts).and_then(|email| checked_email(&email).ok());
    let local = email.as_deref().and_then(|email| email.split('@').next()).map(str::to_owned);
    let mut names = [name, preferred_username, local].into_iter().flatten();
    let name = names.find_map(|name| checked_name(&name).ok()).unwrap_or_else(|| "Somebody".to_owned());
    let is_welcome = email.as_deref().is_some_and(|email| {
        let domain = email.rsplit('@').next().unwrap_or_default();
        settings.domains.iter().any(|welcome| welcome.eq_ignore_ascii_case(domain))
    });
    Arrival {
        issuer: settings.issuer.clone(),
        subject,
        id,
        name,
        email,
        link_existing: settings.link_existing && is_verified,
        newcomer: is_welcome.then_some(settings.role),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Role;
    use std::time::Duration;

    fn settings() -> ProviderSettings {
        ProviderSettings {
            issuer: "https://id.example.org".to_owned(),
            client_id: "runyard".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            label: String::new(),
            domains: vec!["example.org".to_owned()],
            role: Role::Maintainer,
            link_existing: true,
            require_verified_email: true,
            sign_in_lasts: Duration::from_hours(1),
        }
    }

    fn vouched(email: &str, email_verified: Option<bool>) -> Vouched {
        Vouched {
            subject: "s-1".to_owned(),
            name: Some("Ada\u{202e}".to_owned()),
            preferred_username: Some("ada".to_owned()),
            email: Some(email.to_owned()),
            email_verified,
        }
    }

    fn of(settings: &ProviderSettings, vouched: Vouched) -> Arrival {
        arrival(settings, vouched, UserId(uuid::Uuid::nil()))
    }

    #[test]
    fn a_mail_address_counts_only_when_it_is_verified() {
        let good = of(&settings(), vouched("Ada@Example.org", Some(true)));
        assert_eq!((good.email.as_deref(), good.newcomer), (Some("Ada@Example.org"), Some(Role::Maintainer)));
        assert_eq!((good.link_existing, good.name.as_str()), (true, "ada"), "a name that hides something is none");
        let lax = ProviderSettings { require_verified_email: false, ..settings() };
        let unsaid = of(&lax, vouched("ada@example.org", None));
        assert_eq!((unsaid.email.is_some(), unsaid.newcomer.is_some()), (true, true));
        assert!(!unsaid.link_existing, "for that it must be said");
        for (settings, said) in [(settings(), None), (settings(), Some(false)), (lax, Some(false))] {
            let none = of(&settings, vouched("ada@example.org", said));
            assert_eq!((none.email, none.newcomer, none.link_existing), (None, None, false), "{said:?}");
        }
    }

    #[test]
    fn domains_are_compared_whole() {
        for email in
            ["a@sub.example.org", "a@example.org.evil.example", "a@notexample.org", "a@example.org@evil.example"]
        {
            assert_eq!(of(&settings(), vouched(email, Some(true))).newcomer, None, "{email}");
        }
        assert_eq!(of(&settings(), vouched("<a@example.org>", Some(true))).email, None, "no mail address");
    }
}
