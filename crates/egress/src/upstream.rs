//! Where calls go, and how long we wait for it.

use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;

/// Bounds of patience and size.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To establish a connection.
    pub connect: Duration,
    /// Silence of the upstream in an answer, or before it begins.
    pub idle: Duration,
    /// To receive a request whole from the sandbox.
    pub receive: Duration,
    /// Largest request body in bytes (the vendor's own limit is 32 MB).
    pub request_bytes: usize,
    /// Largest answer that is no stream, in bytes.
    pub answer_bytes: usize,
    /// Calls of one sandbox at a time; more wait.
    pub in_flight: usize,
    /// Connections of one sandbox at a time; more wait.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            idle: Duration::from_mins(10),
            receive: Duration::from_mins(1),
            request_bytes: 32 << 20,
            answer_bytes: 32 << 20,
            in_flight: 32,
            connections: 128,
        }
    }
}

/// A Messages API with a pool of connections to it. Cheap to clone; make one and use it for all sandboxes.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub(crate) base: Url,
    pub(crate) client: reqwest::Client,
    pub(crate) limits: Limits,
}

/// Why an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUpstream {
    /// Not an address of a Messages API.
    #[error("`{0}` is not an http or https address without user, query and fragment")]
    Address(String),
    /// The HTTP client cannot be made (its certificates, for one).
    #[error("the HTTP client cannot start: {0}")]
    Client(String),
}

impl Upstream {
    /// An upstream in the form of `ANTHROPIC_BASE_URL`: `https://api.anthropic.com`, perhaps with a path prefix.
    pub fn new(base_url: &str, limits: Limits) -> Result<Self, InvalidUpstream> {
        let invalid = || InvalidUpstream::Address(base_url.chars().filter(|c| !c.is_control()).take(200).collect());
        // An address with a password in it must not be repeated in a message.
        let base = Url::parse(base_url).map_err(|_| InvalidUpstream::Address("the given text".to_owned()))?;
        let bare = base.username().is_empty() && base.password().is_none();
        if !bare {
            return Err(InvalidUpstream::Address("the given address with a user name".to_owned()));
        }
        if !matches!(base.scheme(), "http" | "https") || base.query().is_some() || base.fragment().is_some() {
            return Err(invalid());
        }
        // A redirect would carry the key elsewhere, and a second try would be counted and paid twice.
        let mut builder = reqwest::Client::builder()
            .connect_timeout(limits.connect)
            .read_timeout(limits.idle)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")));
        // A proxy for plain http would read the key.
        if base.scheme() == "http" {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| InvalidUpstream::Client(error.to_string()))?;
        Ok(Self { base, client, limits })
    }

    pub(crate) fn address(&self, path: &str, query: Option<&str>) -> Url {
        let mut address = self.base.clone();
        address.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        address.set_query(query);
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_stays() {
        for (base, address) in [
            ("https://api.example.com", "https://api.example.com/v1/messages?beta=true"),
            ("https://api.example.com/", "https://api.example.com/v1/messages?beta=true"),
            ("http://127.0.0.1:9/gateway/", "http://127.0.0.1:9/gateway/v1/messages?beta=true"),
        ] {
            let upstream = Upstream::new(base, Limits::default()).unwrap();
            assert_eq!(upstream.address("/v1/messages", Some("beta=true")).as_str(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_a_password() {
        for base in
            ["api.example.com", "ftp://x", "unix:/run/x", "https://x/?a=b", "https://x/#f", "https://u:hidden@x"]
        {
            let error = Upstream::new(base, Limits::default()).unwrap_err().to_string();
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
