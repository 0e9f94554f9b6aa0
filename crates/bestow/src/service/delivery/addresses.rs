//! Which addresses a destination may have. What leads inside (this machine, private and link-local networks, the clouds'
//! own addresses) is refused where a connection is about to be made, whatever name led there, unless the operator of the
//! deployment allows it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Networks beyond the public ones that may be called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed(Arc<[IpNet]>);

/// Reads networks with commas between them, as in `10.1.0.0/16, fd00::/8`.
///
/// # Errors
/// The first that is none.
pub(crate) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let parts = text.split(',').map(str::trim).filter(|one| !one.is_empty());
    let networks = parts.map(|one| {
        let address = one.parse::<IpAddr>().map(IpNet::from);
        address.or_else(|_| one.parse::<IpNet>().map_err(|_| one.to_owned()))
    });
    networks.collect()
}

impl Allowed {
    /// As [`networks`].
    ///
    /// # Errors
    /// The first that is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(networks(text)?.into()))
    }

    /// Whether this address may be called.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether every way to this machine is one that may be called.
    fn permits_this_machine(&self) -> bool {
        self.permits(Ipv4Addr::LOCALHOST.into())
    }

    /// Refuses an address that is written down as such, which no resolver is asked for.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), String> {
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err("the address names no host".into()),
        };
        if self.permits(literal) {
            Ok(())
        } else {
            Err(refused(literal))
        }
    }

    /// Whether a host may be called without TLS: one inside, which the operator allowed by its address.
    pub(crate) fn is_inside(&self, url: &Url) -> bool {
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain("localhost")) => return self.permits_this_machine(),
            _ => return false,
        };
        !is_public(literal.to_canonical()) && self.permits(literal)
    }

    /// The addresses of a name that may be called.
    ///
    /// # Errors
    /// Where there are none, or one of them leads inside: a name that does both is not to be trusted.
    pub(crate) fn choose(
        &self,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, String> {
        let mut chosen = Vec::new();
        for address in addresses {
            if !self.permits(address.ip()) {
                return Err(refused(address.ip()));
            }
            chosen.push(address);
        }
        if chosen.is_empty() {
            return Err("the name has no address".into());
        }
        Ok(chosen)
    }
}

fn refused(address: IpAddr) -> String {
    format!("{address} is not a public address, and delivery.allow_networks does not name it")
}

/// Resolves once, and connects to what was checked.
impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(this.choose(found)?.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address can be reached from anywhere, and belongs to nobody in particular (RFC 6890 and its successors).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_protocol = (a, b, c) == (192, 0, 0);
    let is_relay = (a, b, c) == (192, 88, 99);
    let is_benchmark = a == 198 && (b == 18 || b == 19);
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224;
    !(is_special || is_shared || is_protocol || is_relay || is_benchmark)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let octets = address.octets();
    // Only 2000::/3 is handed out, with some of it taken back.
    let is_global_unicast = first & 0xe000 == 0x2000;
    let is_protocol = first == 0x2001 && second < 0x0200;
    let is_documentation =
        (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    let by_6to4 = first == 0x2002;
    let by_nat64 = octets[..12] == [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    if by_nat64 {
        return is_public_v4(Ipv4Addr::new(
            octets[12], octets[13], octets[14], octets[15],
        ));
    }
    is_global_unicast && !is_protocol && !is_documentation && !by_6to4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(text: &str) -> Allowed {
        Allowed::parse(text).unwrap()
    }

    #[test]
    fn no_spelling_of_an_inner_address_is_let_through() {
        let inside = "127.0.0.1 127.1 127.0.1 0x7f.1 0x7f000001 2130706433 017700000001 127.255.255.254 0.0.0.0 0 \
            0.1.2.3 10.0.0.1 10.1 10.255.255.255 0xa.1 167772161 012.1 100.64.0.1 100.127.255.255 169.254.169.254 \
            169.254.1 0xa9fea9fe 2852039166 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.0.1 \
            192.168.1 3232235521 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.1.2.3 240.0.0.1 \
            255.255.255.255 4294967295 [::] [::1] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:10.0.0.1] [::ffff:a9fe:a9fe] \
            [0:0:0:0:0:ffff:c0a8:1] [64:ff9b::7f00:1] [64:ff9b::10.0.0.1] [64:ff9b:1::1] [100::1] [2001::1] [2001:2::1] \
            [2001:10::1] [2001:db8::1] [2002:7f00:1::] [2002:a00:1::] [3fff::1] [fc00::1] [fd00::1] [fdff:ffff::1] \
            [fe80::1] [febf::1] [fec0::1] [ff02::1] [ff0e::1] [5f00::1] [0177.1] 0177.0.0.1 0X7F.0.0.1 127.0.0.1.";
        let mut seen = 0;
        for host in inside.split_whitespace() {
            for form in [
                format!("https://{host}/"),
                format!("https://{host}:8443/x"),
                format!("https://a@{host}/"),
            ] {
                // What is no address at all is refused before it is looked at.
                if let Ok(url) = Url::parse(&form) {
                    assert!(allowed("").check_literal(&url).is_err(), "{form} -> {url}");
                }
                seen += 1;
            }
        }
        assert!(seen >= 200, "{seen} spellings");
    }

    #[test]
    fn the_public_internet_is_open() {
        for host in [
            "8.8.8.8",
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "[2606:4700::1111]",
            "[64:ff9b::8.8.8.8]",
        ] {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            assert_eq!(allowed("").check_literal(&url), Ok(()), "{host}");
        }
    }

    #[test]
    fn the_operator_opens_networks_by_name() {
        let own = allowed("10.1.0.0/16, ::1");
        assert!(own.permits("10.1.2.3".parse().unwrap()));
        assert!(own.permits("::1".parse().unwrap()));
        assert!(own.permits("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!own.permits("10.2.0.1".parse().unwrap()));
        assert!(!own.permits("127.0.0.1".parse().unwrap()));
        assert_eq!(Allowed::parse("10.0.0.0/8, x").unwrap_err(), "x");
    }

    #[test]
    fn a_name_that_also_leads_inside_is_refused() {
        let outside: SocketAddr = "8.8.8.8:0".parse().unwrap();
        let inside: SocketAddr = "10.0.0.1:0".parse().unwrap();
        assert_eq!(
            allowed("").choose([outside].into_iter()).unwrap(),
            [outside]
        );
        assert!(allowed("").choose([outside, inside].into_iter()).is_err());
        assert!(allowed("").choose([].into_iter()).is_err());
    }
}
