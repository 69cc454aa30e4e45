//! Signing in at a provider (OpenID Connect 1.0, the authorization code flow with PKCE).
//!
//! `errand` is what binds the way there and back to one browser, `provider` speaks to the provider, `token` judges what it
//! says, `admission` says who may come in. `http/oidc.rs` has the two routes.
//!
//! Everything that a provider answers is taken as written by a stranger: bounded, in time, never followed elsewhere.

mod admission;
mod cache;
mod endpoints;
mod errand;
mod failure;
mod provider;
mod signature;
mod token;
mod wire;

pub use errand::{LASTS, Thread, own_path};
pub use failure::{Failure, Turned};
pub use provider::{Provider, Returned};

use domain::Role;
use secrets::Secret;
use std::time::Duration;
use url::Url;

/// How people come in.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Whether they may sign in with a password.
    pub passwords: bool,
    /// The provider that vouches for them.
    pub provider: Option<ProviderSettings>,
}

impl Default for Doors {
    fn default() -> Self {
        Self { passwords: true, provider: None }
    }
}

/// A provider, and for whom it may vouch.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// Its name for itself, to the letter.
    pub issuer: String,
    /// Its name for us.
    pub client_id: String,
    /// What we prove that with; none for a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What the page calls it.
    pub label: String,
    /// Whoever has a mail address of these domains comes in without an invitation.
    pub domains: Vec<String>,
    /// With this role.
    pub role: Role,
    /// Whether somebody who is there already is known by their mail address the first time.
    pub link_existing: bool,
    /// Whether a mail address counts only when the provider says that it is verified.
    pub require_verified_email: bool,
    /// How long it is believed before it is asked again.
    pub sign_in_lasts: Duration,
}

/// Why an address is no provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give `https://` and a host, without user, query and fragment; `http://` only for this machine")]
pub struct BadIssuer;

/// Says whether an address may be a provider's.
pub fn check_issuer(text: &str) -> Result<(), BadIssuer> {
    let url = Url::parse(text).map_err(|_| BadIssuer)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    // The address is compared to the letter with what the provider calls itself.
    let as_written = url.as_str().trim_end_matches('/') == text.trim_end_matches('/');
    if plain && as_written && url.fragment().is_none() && (url.scheme() == "https" || is_here(&url)) {
        Ok(())
    } else {
        Err(BadIssuer)
    }
}

/// Whether an address is on this machine, by a name that nobody else gives out.
fn is_here(url: &Url) -> bool {
    let here = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    here && url.scheme() == "http"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_https_or_here() {
        for good in
            ["https://id.example.org", "https://id.example.org/realms/a", "http://127.0.0.1:1", "http://[::1]:1/"]
        {
            assert_eq!(check_issuer(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "id.example.org",
            "http://id.example.org",
            "http://127.0.0.1.example.org",
            "https://user@id.example.org",
            "https://id.example.org/?a=b",
            "https://id.example.org/#a",
            "https://id.example.org/a/../b",
            "HTTPS://ID.example.org",
            "file:///etc/passwd",
        ] {
            assert_eq!(check_issuer(bad), Err(BadIssuer), "{bad}");
        }
    }
}
