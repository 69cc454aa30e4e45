//! Which names this server goes by, and which pages may use a browser's cookie.
//!
//! A page elsewhere can make a browser send requests here (forged requests, CSRF), and a name elsewhere can be pointed at
//! this machine (DNS rebinding). Both are refused by looking at `Host` and `Origin`, which a page cannot choose.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use std::net::SocketAddr;

/// The names of one server.
#[derive(Debug, Clone)]
pub struct Origins {
    /// As in links: `https://runyard.example.org`, without a slash at the end.
    public: String,
    /// What `Host` may say, in lower case.
    hosts: Vec<String>,
    /// What pages that are reached where this server listens begin with, if browsers may come there too.
    direct: Option<&'static str>,
}

/// What is wrong with a public address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no address of pages: give `https://` (or `http://`, when there is no TLS) and a host, as in https://runyard.example.org"
)]
pub struct BadAddress(pub String);

/// A cookie came with a request that no page of ours sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this was not sent by a page of this server; programs use a token instead of a cookie")]
pub struct ForeignOrigin;

impl Origins {
    /// The names of a server that listens at `address`, with TLS of its own or without, and that people reach at `public`.
    pub fn new(public: Option<&str>, address: SocketAddr, tls: bool) -> Result<Self, BadAddress> {
        let here = format!("{}{address}", if tls { "https://" } else { "http://" });
        let public = public.unwrap_or(&here).trim_end_matches('/').to_lowercase();
        let bad = || BadAddress(public.clone());
        let (scheme, host) = public.split_once("://").ok_or_else(bad)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if !matches!(scheme, "http" | "https")
            || host.is_empty()
            || !host.chars().all(fits)
            || (tls && scheme == "http")
        {
            return Err(bad());
        }
        let mut hosts = vec![host.to_owned(), address.to_string()];
        if address.ip().is_loopback() {
            hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}:{}", address.port())));
        }
        let direct = match (tls, scheme) {
            (true, _) => Some("https://"),
            (false, "http") => Some("http://"),
            // Their cookie is bound to TLS, and here is none.
            (false, _) => None,
        };
        Ok(Self { public, hosts, direct })
    }

    /// Where people find a page.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public)
    }

    /// True when a host, with its port when that is not the scheme's own, is this server.
    pub fn is_here(&self, host: &str) -> bool {
        self.hosts.contains(&host.to_lowercase())
    }

    /// True when a page of ours that was reached by our public name sent a request.
    pub fn is_public(&self, headers: &HeaderMap) -> bool {
        headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes() == self.public.as_bytes())
    }

    /// True when browsers come over TLS.
    pub fn is_secure(&self) -> bool {
        self.public.starts_with("https://")
    }

    /// True when a request is meant for this server.
    pub fn is_ours(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (lines.next(), lines.next()) else { return false };
        host.to_str().is_ok_and(|host| self.hosts.contains(&host.to_lowercase()))
    }

    /// Refuses a request for which a cookie would speak unless a page of ours sent it: a browser says so in `Origin`
    /// whenever it matters, and `X-Runyard`, which no form and no picture can send, says that it was meant.
    pub fn own_page(&self, method: &Method, headers: &HeaderMap) -> Result<(), ForeignOrigin> {
        let own = match *method {
            Method::GET | Method::HEAD => !headers.contains_key(header::ORIGIN) || self.is_own(headers),
            _ => self.is_own(headers) && is_meant(headers),
        };
        if own { Ok(()) } else { Err(ForeignOrigin) }
    }

    /// The same for what is made for programs: it is not read by following a link either.
    pub fn own_program(&self, method: &Method, headers: &HeaderMap) -> Result<(), ForeignOrigin> {
        if is_meant(headers) { self.own_page(method, headers) } else { Err(ForeignOrigin) }
    }

    /// Refuses a link that is followed from a page of somebody else's, for what is more than a page to look at. Browsers
    /// say so in `Sec-Fetch-Site`, which no page can choose; programs say nothing.
    pub fn own_link(headers: &HeaderMap) -> Result<(), ForeignOrigin> {
        match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => Err(ForeignOrigin),
        }
    }

    /// The same for a request that opens a WebSocket: a browser always says where that is from.
    pub fn own_socket(&self, headers: &HeaderMap) -> Result<(), ForeignOrigin> {
        if self.is_own(headers) { Ok(()) } else { Err(ForeignOrigin) }
    }

    fn is_own(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()).unwrap_or_default();
        origin == self.public
            || self
                .direct
                .and_then(|scheme| origin.strip_prefix(scheme))
                .is_some_and(|host| self.hosts.iter().any(|it| it == host))
    }
}

fn is_meant(headers: &HeaderMap) -> bool {
    headers.get("x-runyard").is_some_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn local() -> Origins {
        Origins::new(None, SocketAddr::from(([127, 0, 0, 1], 8480)), false).expect("an address")
    }

    #[test]
    fn other_names_are_not_ours() {
        for host in ["127.0.0.1:8480", "localhost:8480", "LOCALHOST:8480", "[::1]:8480"] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_str(host).expect("a value"));
            assert!(local().is_ours(&headers), "{host}");
        }
        for lines in [
            &[("host", "evil.example:8480")][..],
            &[("host", "localhost:8481")],
            &[("host", "localhost:8480"), ("host", "localhost:8480")],
            &[],
        ] {
            assert!(!local().is_ours(&headers(lines)), "{lines:?}");
        }
    }

    #[test]
    fn only_our_own_page_may_use_the_cookie() {
        let ours = ("origin", "http://localhost:8480");
        let meant = ("x-runyard", "1");
        let secure = Origins::new(Some("https://Runyard.example.org/"), SocketAddr::from(([10, 0, 0, 1], 80)), false);
        let secure = secure.expect("an address");
        assert_eq!(secure.url("/r/1"), "https://runyard.example.org/r/1");
        assert!(local().own_page(&Method::POST, &headers(&[ours, meant])).is_ok());
        for lines in [
            &[meant][..],
            &[ours],
            &[("origin", "null"), meant],
            &[("origin", "http://evil.example"), meant],
            &[("origin", "http://localhost:8480.evil.example"), meant],
            &[("origin", "https://localhost:8480"), meant],
            &[ours, ("x-runyard", "0")],
        ] {
            assert!(local().own_page(&Method::POST, &headers(lines)).is_err(), "{lines:?}");
        }
        assert!(local().own_page(&Method::GET, &headers(&[])).is_ok(), "a link that is followed");
        assert!(local().own_page(&Method::GET, &headers(&[("origin", "http://evil.example")])).is_err());
        for (site, own) in [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)] {
            assert_eq!(Origins::own_link(&headers(&[("sec-fetch-site", site)])).is_ok(), own, "{site}");
        }
        assert!(Origins::own_link(&headers(&[])).is_ok(), "a program");
        assert!(local().own_socket(&headers(&[])).is_err(), "a socket always says where it is from");
        assert!(local().own_socket(&headers(&[ours])).is_ok());
        let plain = headers(&[("origin", "http://runyard.example.org"), meant]);
        assert!(secure.own_page(&Method::POST, &plain).is_err(), "the same host without TLS");
        let own = Origins::new(None, SocketAddr::from(([127, 0, 0, 1], 8480)), true).expect("an address");
        assert!(own.is_secure() && own.url("/") == "https://127.0.0.1:8480/");
        assert!(own.own_page(&Method::POST, &headers(&[("origin", "https://localhost:8480"), meant])).is_ok());
        assert!(own.own_page(&Method::POST, &headers(&[ours, meant])).is_err(), "without TLS");
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        for text in ["", "runyard", "ftp://x", "https://", "https://a/b", "https://user@host", "http://a b"] {
            assert!(Origins::new(Some(text), here, false).is_err(), "{text}");
        }
        assert!(Origins::new(Some("http://a.example"), here, true).is_err(), "TLS, and yet not");
    }
}
