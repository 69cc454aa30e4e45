//! Where webhooks may be. An address is judged when it is connected to, after its name was looked up, and it is the
//! judged address that is connected to: a name that leads elsewhere the next time (DNS rebinding) gains nothing.

use super::WebhookSettings;
use ipnet::IpNet;
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// The longest address of a webhook, in bytes.
const LONGEST: usize = 2048;

/// IPv4 networks that are not of the public internet (IANA's registry of special purposes), and an address at which a
/// cloud answers its own machines.
const NOT_PUBLIC_V4: [([u8; 4], u8); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Of IPv6 only 2000::/3 is public, without these: protocols, Teredo, documentation, 6to4.
const NOT_PUBLIC_V6: [([u16; 2], u8); 4] =
    [([0x2001, 0], 23), ([0x2001, 0xdb8], 32), ([0x2002, 0], 16), ([0x3fff, 0], 20)];

/// Where webhooks may be.
#[derive(Debug, Clone)]
pub struct Reach {
    http: bool,
    networks: Vec<IpNet>,
}

/// A name leads only where webhooks may not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it leads to no address that webhooks may reach")]
pub struct OutOfReach;

impl Reach {
    /// What the settings say.
    pub fn new(settings: &WebhookSettings) -> Self {
        Self { http: settings.http, networks: settings.networks.clone() }
    }

    /// The address of a webhook, as far as it can be judged before its name is looked up; what is wrong with it, else.
    pub fn check(&self, text: &str) -> Result<Url, &'static str> {
        if text.len() > LONGEST {
            return Err("an address has at most 2048 bytes");
        }
        let url =
            Url::parse(text.trim()).map_err(|_| "give a whole address, as in https://hooks.example.org/runyard")?;
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            "http" => return Err("give an https address; webhooks.http in the configuration allows http as well"),
            _ => return Err("give an https address"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a webhook's address has no user and no password in it");
        }
        if url.fragment().is_some() {
            return Err("a webhook's address has no `#` in it");
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err("give an address with a host"),
        };
        if literal.is_some_and(|address| !self.allows(address)) {
            return Err("this address is not public; webhooks.networks in the configuration allows others");
        }
        Ok(url)
    }

    /// Whether webhooks may be at an address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        is_public(address) || self.networks.iter().any(|network| network.contains(&address))
    }

    /// A client that connects only to addresses that are allowed, follows no redirect (which could lead elsewhere, and
    /// takes the signature along), and uses no proxy that the environment names.
    pub fn client(&self, settings: &WebhookSettings) -> reqwest::Result<Client> {
        Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(Names { reach: self.clone() }))
            .https_only(!self.http)
            .pool_max_idle_per_host(0)
            .timeout(settings.within)
            .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
            .build()
    }
}

/// Looks names up, and keeps of what they lead to what is allowed.
struct Names {
    reach: Reach,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::from(OutOfReach));
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The IPv4 address within an IPv6 one, when there is one that it leads to.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    match v6.segments() {
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => address.to_canonical(),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let within = |(network, length): &([u8; 4], u8)| {
                let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
                u32::from(address) & mask == u32::from_be_bytes(*network)
            };
            !NOT_PUBLIC_V4.iter().any(within)
        }
        IpAddr::V6(address) => {
            let within = |([first, second], length): &([u16; 2], u8)| {
                let network = Ipv6Addr::new(*first, *second, 0, 0, 0, 0, 0, 0);
                let mask = u128::MAX << (128 - u32::from(*length));
                u128::from(address) & mask == u128::from(network)
            };
            address.segments()[0] & 0xe000 == 0x2000 && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(http: bool, networks: &[&str]) -> Reach {
        let networks = networks.iter().map(|network| network.parse().expect("a network")).collect();
        Reach::new(&WebhookSettings { http, networks, ..WebhookSettings::default() })
    }

    #[test]
    fn only_public_addresses_are_in_reach() {
        let reach = reach(false, &[]);
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(reach.allows(public.parse().expect(public)), "{public}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!reach.allows(other.parse().expect(other)), "{other}");
        }
    }

    #[test]
    fn networks_that_are_named_are_in_reach_and_no_others() {
        let reach = reach(true, &["10.1.0.0/16", "fd00:1::/32"]);
        for (address, wanted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd00:1::5", true),
            ("fd00:2::5", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(reach.allows(address.parse().expect(address)), wanted, "{address}");
        }
    }

    #[test]
    fn addresses_are_judged_however_they_are_written() {
        let strict = reach(false, &[]);
        for good in
            ["https://hooks.example.org/x?y=z", "https://1.1.1.1/", "https://[2606:4700::1]:8443/", "HTTPS://a.b"]
        {
            assert!(strict.check(good).is_ok(), "{good}");
        }
        let long = format!("https://hooks.example.org/{}", "x".repeat(LONGEST));
        for bad in [
            "",
            "hooks.example.org",
            "/runyard",
            "http://hooks.example.org/",
            "ftp://hooks.example.org/",
            "file:///etc/passwd",
            "gopher://hooks.example.org/",
            "unix:/run/docker.sock",
            "javascript:alert(1)",
            "data:text/plain,x",
            "https://",
            "https://ada@hooks.example.org/",
            "https://ada:secret@hooks.example.org/",
            "https://hooks.example.org/#x",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[fd00:ec2::254]/",
            "https://192.168.0.1:8443/",
            "https://１２７.0.0.1/",
            &long,
        ] {
            assert!(strict.check(bad).is_err(), "{bad}");
        }
        assert!(reach(true, &[]).check("http://hooks.example.org/").is_ok());
        assert!(reach(true, &[]).check("http://127.0.0.1/").is_err());
        assert!(reach(true, &["127.0.0.0/8"]).check("http://127.0.0.1:8080/").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let url = format!("http://localhost:{}/", listener.local_addr().expect("an address").port());
        let settings = WebhookSettings { http: true, ..WebhookSettings::default() };
        let client = Reach::new(&settings).client(&settings).expect("a client");
        let error = client.post(url).send().await.expect_err("refused");
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        let mut found = false;
        while let Some(error) = cause {
            found |= error.downcast_ref::<OutOfReach>().is_some();
            cause = error.source();
        }
        assert!(found, "{error:?}");
        let nobody = tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "somebody connected");
    }
}
