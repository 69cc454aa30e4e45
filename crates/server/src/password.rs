//! Passwords: Argon2id with the parameters that OWASP names as the least, a few at a time.

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use rand::TryRngCore as _;
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The least and the most characters of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 10..=500;
/// Each takes 19 MiB and a processor for some tens of milliseconds.
const AT_ONCE: usize = 2;

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Too short.
    #[error("a password needs at least {} characters", LENGTH.start())]
    Short,
    /// Too long.
    #[error("a password has at most {} characters", LENGTH.end())]
    Long,
    /// It is the mail address or the name.
    #[error("a password must not be the name or the mail address")]
    Known,
    /// One character over and over.
    #[error("a password needs at least four different characters")]
    Simple,
}

/// Says whether a password is taken; `known` are words that others would try first.
pub fn check(password: &str, known: &[&str]) -> Result<(), Unfit> {
    let length = password.chars().count();
    if length < *LENGTH.start() {
        return Err(Unfit::Short);
    }
    if length > *LENGTH.end() {
        return Err(Unfit::Long);
    }
    if known.iter().any(|word| word.eq_ignore_ascii_case(password)) {
        return Err(Unfit::Known);
    }
    let mut characters: Vec<_> = password.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    if characters.len() < 4 { Err(Unfit::Simple) } else { Ok(()) }
}

/// Hashes and verifies passwords without holding up anything else.
#[derive(Debug)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    decoy: Arc<OnceLock<String>>,
}

impl Passwords {
    /// Readies, beside everything else, a hash to verify against when there is nobody with a name, so that both take the
    /// same time.
    pub fn new() -> Self {
        let decoy = Arc::new(OnceLock::new());
        let readied = Arc::clone(&decoy);
        tokio::task::spawn_blocking(move || _ = readied.get_or_init(make_decoy));
        Self { slots: Arc::new(Semaphore::new(AT_ONCE)), decoy }
    }

    /// The password as a PHC string.
    pub async fn hash(&self, password: Zeroizing<String>) -> String {
        self.with_slot(move || hash(&password)).await
    }

    /// Whether a password belongs to a PHC string; without one it is tried against a decoy and is wrong.
    pub async fn verify(&self, password: Zeroizing<String>, known: Option<String>) -> bool {
        let decoy = Arc::clone(&self.decoy);
        let is_there = known.is_some();
        let right = self.with_slot(move || {
            let decoy = decoy.get_or_init(make_decoy);
            Argon2::default().verify_password(password.as_bytes(), known.as_deref().unwrap_or(decoy)).is_ok()
        });
        right.await && is_there
    }

    async fn with_slot<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let slot = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work()
        });
        work.await.expect("hashing does not panic")
    }
}

fn make_decoy() -> String {
    hash("nobody has this password")
}

fn hash(password: &str) -> String {
    let mut salt = [0; 16];
    rand::rngs::OsRng.try_fill_bytes(&mut salt).expect("the operating system gives random bytes");
    let hashed = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hashed.expect("the parameters are the library's own").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_its_own_and_nobodys_is_none() {
        let passwords = Passwords::new();
        let phc = passwords.hash(text("correct horse battery")).await;
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(passwords.verify(text("correct horse battery"), Some(phc.clone())).await);
        assert!(!passwords.verify(text("correct horse batterY"), Some(phc.clone())).await);
        assert!(!passwords.verify(text("nobody has this password"), None).await);
        assert_ne!(passwords.hash(text("correct horse battery")).await, phc, "each with a salt of its own");
    }

    #[test]
    fn weak_ones_are_told_why() {
        assert_eq!(check("short", &[]), Err(Unfit::Short));
        assert_eq!(check(&"long".repeat(126), &[]), Err(Unfit::Long));
        assert_eq!(check("Ada@Example.org", &["ada@example.org"]), Err(Unfit::Known));
        assert_eq!(check("ababababababab", &[]), Err(Unfit::Simple));
        assert_eq!(check("ünïcödé wörds", &[]), Ok(()));
    }
}
