//! Types of settings that are addresses.

use super::setting::{Raw, Setting, quoted};
use server::{IpNet, ProxyHeader};
use std::net::{IpAddr, SocketAddr};

/// The address of a Messages API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAddress(pub String);

impl Setting for ApiAddress {
    const SHAPE: &'static str = "an http or https address such as https://api.anthropic.com";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?.trim();
        // What is wrong with it is said without repeating a password that may be in it.
        egress::Upstream::new(text, egress::Limits::default())
            .map_err(|error| format!("{error}: expected {}", Self::SHAPE))?;
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// A provider's name for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer(pub String);

impl Issuer {
    /// Its host, and its port when it is an unusual one.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

impl Setting for Issuer {
    const SHAPE: &'static str = "the address of a provider such as https://id.example.org";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?.trim();
        // What is wrong with it is said without repeating a password that may be in it.
        server::check_issuer(text).map_err(|error| format!("expected {}: {error}", Self::SHAPE))?;
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// An address to listen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl Setting for Listen {
    const SHAPE: &'static str = "an address and a port such as 127.0.0.1:8480";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?.trim();
        text.parse().map(Self).map_err(|_| raw.wrong::<Self>())
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

/// A network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl Setting for Network {
    const SHAPE: &'static str = "a network such as 10.0.0.0/8, or an address";

    fn read(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(|| raw.wrong::<Self>())?.trim();
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(|network| Self(network.trunc())).map_err(|_| raw.wrong::<Self>())
    }

    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

impl Setting for ProxyHeader {
    const SHAPE: &'static str = "x-forwarded-for or forwarded";

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw.text().map(str::to_ascii_lowercase).as_deref() {
            Some("x-forwarded-for") => Ok(Self::XForwarded),
            Some("forwarded") => Ok(Self::Forwarded),
            _ => Err(raw.wrong::<Self>()),
        }
    }

    fn show(&self) -> String {
        quoted(match self {
            Self::XForwarded => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_and_without_their_length() {
        let read = |text: &str| Network::read(&Raw::Written(text.to_owned())).map(|network| network.show());
        for (text, shown) in [
            ("10.0.0.0/8", "\"10.0.0.0/8\""),
            ("10.1.2.3/8", "\"10.0.0.0/8\""),
            ("192.0.2.1", "\"192.0.2.1/32\""),
            ("fd00::/8", "\"fd00::/8\""),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown), "{text}");
        }
        for text in ["", "10.0.0.0/33", "proxy.example", "10.0.0"] {
            assert_eq!(read(text).expect_err(text), format!("`{text}` is not {}", Network::SHAPE));
        }
    }
}
