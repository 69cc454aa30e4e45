//! Who really asks, when a proxy stands between.
//!
//! What a header says about a caller is believed only when a trusted proxy sent it, and of a list of addresses only the
//! part that trusted proxies wrote: whatever is left of the right-most address that is not one of them may be invented.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Which header the trusted proxies write. There is one, since a proxy that writes one passes the other on as a stranger
/// sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyHeader {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Who may speak for others.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their networks.
    pub trusted: Vec<IpNet>,
    /// How they say for whom.
    pub header: ProxyHeader,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// Their address, as far as it is known.
    pub address: IpAddr,
    /// The host that they asked for, when a proxy says so.
    pub host: Option<String>,
    /// A proxy says that they came to it without TLS.
    pub came_plain: bool,
    /// It was a trusted proxy that passed the request on.
    pub by_proxy: bool,
}

/// What one proxy says.
#[derive(Debug, Default)]
struct Said {
    /// From left to right, each added by the next one.
    addresses: Vec<Option<IpAddr>>,
    proto: Option<String>,
    host: Option<String>,
}

impl Proxies {
    /// True for a proxy of ours.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }

    /// Who sent a request that `peer` brought.
    pub fn visitor(&self, peer: IpAddr, headers: &HeaderMap) -> Visitor {
        let mut visitor =
            Visitor { address: peer.to_canonical(), host: None, came_plain: false, by_proxy: self.trusts(peer) };
        if !visitor.by_proxy {
            return visitor;
        }
        let said = match self.header {
            ProxyHeader::XForwarded => by_x_forwarded(headers),
            ProxyHeader::Forwarded => by_forwarded(headers),
        };
        for address in said.addresses.into_iter().rev() {
            // A name that is no address: what is left of it cannot be placed.
            let Some(address) = address else { break };
            visitor.address = address.to_canonical();
            if !self.trusts(address) {
                break;
            }
        }
        visitor.came_plain = said.proto.is_some_and(|proto| proto.eq_ignore_ascii_case("http"));
        visitor.host = said.host;
        visitor
    }
}

/// Takes away what was said about the caller, so that nothing behind believes it by mistake.
pub fn strip(headers: &mut HeaderMap) {
    for name in [FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, header::FORWARDED] {
        headers.remove(name);
    }
}

/// All items of a header that is a list, in order.
fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter().map(|line| HeaderValue::to_str(line).unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

fn by_x_forwarded(headers: &HeaderMap) -> Said {
    // Of several, the proxy that is next to us wrote the last.
    let last = |name| items(headers, &name).last().filter(|text| !text.is_empty()).map(str::to_owned);
    Said {
        addresses: items(headers, &FORWARDED_FOR).map(address).collect(),
        proto: last(FORWARDED_PROTO),
        host: last(FORWARDED_HOST),
    }
}

fn by_forwarded(headers: &HeaderMap) -> Said {
    let mut said = Said::default();
    for element in items(headers, &header::FORWARDED) {
        let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let (mut of_element, mut proto, mut host) = (None, None, None);
        for (name, value) in pairs {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => of_element = address(value),
                "proto" => proto = Some(value.to_owned()),
                "host" => host = Some(value.to_owned()),
                _ => {}
            }
        }
        said.addresses.push(of_element);
        (said.proto, said.host) = (proto, host);
    }
    said
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect("a network"));
        Proxies { trusted: trusted.to_vec(), header }
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn from(peer: &str, lines: &[(&'static str, &'static str)], header: ProxyHeader) -> String {
        proxies(header).visitor(peer.parse().expect("an address"), &headers(lines)).address.to_string()
    }

    #[test]
    fn the_caller_is_the_right_most_address_that_is_no_proxy() {
        let name = "x-forwarded-for";
        for (lines, wanted) in [
            (&[(name, "203.0.113.7")][..], "203.0.113.7"),
            (&[(name, "8.8.8.8, 203.0.113.7")], "203.0.113.7"),
            (&[(name, "8.8.8.8"), (name, "203.0.113.7, 10.1.1.1")], "203.0.113.7"),
            (&[(name, "203.0.113.7:4711")], "203.0.113.7"),
            (&[(name, "[2001:db8::1]:4711")], "2001:db8::1"),
            (&[(name, "2001:db8::1")], "2001:db8::1"),
            (&[(name, "::ffff:203.0.113.7")], "203.0.113.7"),
            (&[(name, "10.9.9.9, 10.1.1.1")], "10.9.9.9"),
            (&[(name, "203.0.113.7, unknown")], "10.0.0.1"),
            (&[(name, "203.0.113.7, evil, 10.1.1.1")], "10.1.1.1"),
            (&[(name, "")], "10.0.0.1"),
            (&[(name, ",,,")], "10.0.0.1"),
            (&[], "10.0.0.1"),
            (&[("forwarded", "for=8.8.8.8")], "10.0.0.1"),
        ] {
            assert_eq!(from("10.0.0.1", lines, ProxyHeader::XForwarded), wanted, "{lines:?}");
            assert_eq!(from("192.0.2.1", lines, ProxyHeader::XForwarded), "192.0.2.1", "a stranger is not believed");
        }
        for (line, wanted) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("for=8.8.8.8, For=\"203.0.113.7:80\";proto=https;by=10.0.0.1", "203.0.113.7"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=8.8.8.8, for=_hidden", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
            ("=;=,;for", "10.0.0.1"),
        ] {
            assert_eq!(from("10.0.0.1", &[("forwarded", line)], ProxyHeader::Forwarded), wanted, "{line}");
        }
        assert_eq!(from("::ffff:10.0.0.1", &[(name, "203.0.113.7")], ProxyHeader::XForwarded), "203.0.113.7");
    }

    #[test]
    fn host_and_scheme_count_only_from_a_proxy() {
        let lines = headers(&[("x-forwarded-host", "evil.example, a.example"), ("x-forwarded-proto", "http")]);
        let ours = proxies(ProxyHeader::XForwarded);
        let visitor = ours.visitor(IpAddr::from([10, 0, 0, 1]), &lines);
        assert_eq!((visitor.host.as_deref(), visitor.came_plain, visitor.by_proxy), (Some("a.example"), true, true));
        let visitor = ours.visitor(IpAddr::from([192, 0, 2, 1]), &lines);
        assert_eq!((visitor.host, visitor.came_plain, visitor.by_proxy), (None, false, false));
        let lines = headers(&[("forwarded", "for=1.1.1.1;host=evil.example;proto=http, for=2.2.2.2;host=a.example")]);
        let visitor = proxies(ProxyHeader::Forwarded).visitor(IpAddr::from([10, 0, 0, 1]), &lines);
        assert_eq!((visitor.host.as_deref(), visitor.came_plain), (Some("a.example"), false));
        let mut lines = lines;
        strip(&mut lines);
        assert!(lines.is_empty());
    }
}
