//! Why somebody does not come in from a provider.

/// What the person is told: a word that the page has a sentence for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// They took too long, came back twice, or in another browser.
    Expired,
    /// The provider did not let them in, or they did not want to.
    Denied,
    /// The provider could not be reached.
    Unreachable,
    /// The provider answered what makes no sense, or does not accept this server.
    Provider,
    /// What the provider vouches with is not good.
    Untrusted,
    /// The provider does not say that their mail address is theirs.
    Unverified,
    /// Nobody invited them.
    Uninvited,
    /// Somebody is there with their mail address.
    Taken,
    /// They were sent away.
    SentAway,
    /// Too many attempts.
    TooMany,
    /// The record could not be read.
    Unavailable,
}

impl Turned {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
            Self::Provider => "provider",
            Self::Untrusted => "untrusted",
            Self::Unverified => "unverified",
            Self::Uninvited => "uninvited",
            Self::Taken => "taken",
            Self::SentAway => "sent-away",
            Self::TooMany => "too-many",
            Self::Unavailable => "unavailable",
        }
    }

    /// True when whoever runs the server should look.
    pub fn is_ours_to_mend(self) -> bool {
        matches!(self, Self::Unreachable | Self::Provider | Self::Untrusted | Self::Unavailable)
    }
}

/// Why, with what the log should hold. Nothing secret is in it.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// For the person.
    pub turned: Turned,
    /// For the log.
    pub why: String,
}

impl Failure {
    /// What happened, for the log.
    pub fn new(turned: Turned, why: impl Into<String>) -> Self {
        Self { turned, why: why.into() }
    }

    /// The provider answered what makes no sense.
    pub fn provider(why: impl Into<String>) -> Self {
        Self::new(Turned::Provider, why)
    }

    /// What the provider vouches with is not good.
    pub fn untrusted(why: impl Into<String>) -> Self {
        Self::new(Turned::Untrusted, why)
    }
}

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Self {
        Self::new(Turned::Unavailable, format!("the record could not be read or written: {error}"))
    }
}

/// A word that a stranger sent, fit for the log.
pub fn word(text: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.chars().filter(fits).take(64).collect()
}
