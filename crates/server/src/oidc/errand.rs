//! What binds the way to a provider and back to one browser.
//!
//! The browser keeps one value. State, nonce and the verifier of PKCE are made of it, each by a hash of its own, so that
//! nothing but the value's hash is stored here, and whoever sees one of them knows none of the others.

use crate::bearer::{self, Kind};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::BearerHash;
use secrets::Secret;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// How long somebody may take at the provider.
pub const LASTS: Duration = Duration::from_mins(10);
/// The longest path that is found again afterwards.
const LONGEST_PATH: usize = 1024;

/// One way there and back.
#[derive(Debug)]
pub struct Thread {
    value: Secret,
    /// What is kept of it here.
    pub hash: BearerHash,
}

impl Thread {
    /// A new one.
    pub fn spin() -> Self {
        let (value, hash) = bearer::mint(Kind::Errand);
        Self { value, hash }
    }

    /// The one that a browser brings back.
    pub fn read(value: &str) -> Option<Self> {
        let (kind, hash) = bearer::read(value)?;
        (kind == Kind::Errand).then(|| Self { value: Secret::new(value), hash })
    }

    /// What the browser keeps.
    pub fn value(&self) -> &str {
        self.value.expose()
    }

    /// What the provider sends back with the browser.
    pub fn state(&self) -> String {
        self.made("state")
    }

    /// Whether the browser was sent back with our state.
    pub fn is_ours(&self, state: &str) -> bool {
        // Compared as hashes: how long that takes says nothing of the state.
        BearerHash::of(&self.state()) == BearerHash::of(state)
    }

    /// What the provider puts into its token.
    pub fn nonce(&self) -> String {
        self.made("nonce")
    }

    /// What proves to the provider that the code is asked for by whoever asked for the sign-in.
    pub fn verifier(&self) -> String {
        self.made("verifier")
    }

    /// What the provider is told of the verifier beforehand.
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier()))
    }

    fn made(&self, purpose: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(format!("runyard sign-in {purpose}\0"));
        digest.update(self.value.expose());
        URL_SAFE_NO_PAD.encode(digest.finalize())
    }
}

/// A path of our own to see after signing in, or the first page.
pub fn own_path(text: Option<&str>) -> String {
    let is_own = |path: &&str| {
        let mut letters = path.chars();
        letters.next() == Some('/')
            && !matches!(letters.next(), Some('/' | '\\'))
            && path.len() <= LONGEST_PATH
            && path.chars().all(|c| c.is_ascii_graphic() && c != '\\')
            && !["/sign-in", "/auth/"].iter().any(|other| path.starts_with(other))
    };
    text.filter(is_own).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_a_value_is_always_the_same_and_each_its_own() {
        let thread = Thread::spin();
        let again = Thread::read(thread.value()).expect("our own");
        assert_eq!((thread.hash, thread.state(), thread.verifier()), (again.hash, again.state(), again.verifier()));
        let (one, two, three) = (thread.state(), thread.nonce(), thread.verifier());
        assert!(one != two && two != three && one != three);
        assert!((43..=128).contains(&three.len()), "as long as RFC 7636 wants it");
        assert!(thread.is_ours(&one) && !thread.is_ours(&two) && !thread.is_ours(""));
        assert!(!thread.is_ours(&Thread::spin().state()));
        for other in ["", "rye_", "rys_0123"] {
            assert!(Thread::read(other).is_none(), "{other}");
        }
        let (sign_in, _) = bearer::mint(Kind::SignIn);
        assert!(Thread::read(sign_in.expose()).is_none());
    }

    #[test]
    fn a_challenge_is_the_hash_of_its_verifier() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        for own in ["/", "/r/42", "/r/42?tab=steps#s3", "/settings/people"] {
            assert_eq!(own_path(Some(own)), own);
        }
        let long = format!("/{}", "a".repeat(2000));
        for other in [
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "https://evil.example",
            "https:evil",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: a=b",
            "/sign-in?next=/",
            "/auth/oidc/return",
            "",
            "r/42",
            "/ü",
            &long,
        ] {
            assert_eq!(own_path(Some(other)), "/", "{other:?}");
        }
        assert_eq!(own_path(None), "/");
    }
}
