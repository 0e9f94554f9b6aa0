//! What is looked at before a request is read: the name it was sent to, and the address it came from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Request, StatusCode, Version};
use ipnet::IpNet;

use crate::config::HttpLimits;
use crate::error::{Error, Result};
use crate::service::delivery::addresses::networks;

/// Where proxies write for whom they ask.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Bits of an IPv6 address that name a network; its owner has all addresses in it.
const IPV6_NETWORK_BITS: u32 = 64;

/// Names that are ours, and proxies that are believed.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    hosts: Vec<String>,
    proxies: Vec<IpNet>,
}

impl Edge {
    /// As the settings say. Where they name no hosts, the public URL's is ours.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no network or no name.
    pub(crate) fn new(limits: &HttpLimits, public_url: &str) -> Result<Self> {
        let proxies = networks(&limits.trusted_proxies).map_err(|one| {
            let message =
                format!("http.trusted_proxies: `{one}` is no network, such as 10.0.0.0/8");
            Error::invalid("bad_trusted_proxies", message)
        })?;
        let named = limits.hosts.split(',').map(str::trim);
        let mut hosts: Vec<_> = named.filter(|one| !one.is_empty()).map(plain).collect();
        if let Some(wrong) = hosts.iter().find(|host| host.parse::<Authority>().is_err()) {
            let message = format!("http.hosts: `{wrong}` is no name of a host");
            return Err(Error::invalid("bad_hosts", message));
        }
        let public = url::Url::parse(public_url).ok();
        hosts.extend(public.as_ref().and_then(url::Url::host_str).map(plain));
        Ok(Self { hosts, proxies })
    }

    /// Refuses what was sent to somebody else's name, or to none.
    ///
    /// A name in a page's address is what an attack by rebinding it to our address comes with. An address written as
    /// such cannot be rebound, so it is always taken; so is a client of HTTP/1.0, which knows no names.
    pub(crate) fn refusal<B>(&self, request: &Request<B>) -> Option<StatusCode> {
        let mut named = request.headers().get_all(HOST).iter();
        let host = match (named.next(), named.next()) {
            (None, _) if request.version() == Version::HTTP_10 => None,
            (Some(host), None) => match host.to_str().ok().and_then(|host| host.parse().ok()) {
                Some(host) => Some(host),
                None => return Some(StatusCode::BAD_REQUEST),
            },
            _ => return Some(StatusCode::BAD_REQUEST),
        };
        let asked = [host.as_ref(), request.uri().authority()];
        let is_ours = |name: &Authority| self.is_ours(name);
        let all_ours = asked.into_iter().flatten().all(is_ours);
        (!all_ours).then_some(StatusCode::MISDIRECTED_REQUEST)
    }

    fn is_ours(&self, name: &Authority) -> bool {
        let host = name.host();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        literal.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|ours| *ours == plain(host))
    }

    /// Whether a connection comes from a proxy that is believed.
    pub(crate) fn is_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.iter().any(|network| network.contains(&peer))
    }

    /// Who asks: the last address that was not written by a proxy of ours. What anybody else writes there counts for
    /// nothing.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.is_proxy(nearest) {
            return nearest;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let told = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for told in told {
            let Ok(before) = told.trim().parse::<IpAddr>() else {
                break;
            };
            nearest = before.to_canonical();
            if !self.is_proxy(nearest) {
                break;
            }
        }
        nearest
    }
}

/// A name of a host as names are compared.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// All addresses that one client may have.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> IPV6_NETWORK_BITS << IPV6_NETWORK_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

/// How many connections each address has.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Crowd {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            open: Mutex::default(),
        })
    }

    /// A place for one more connection of this address; `None` where it has enough of them.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = neighbourhood(address);
        // Numbers, each changed in one step.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place {
            of: Arc::clone(self),
            address,
        })
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Crowd>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.of.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn edge(hosts: &str, proxies: &str) -> Edge {
        let mut limits = Config::default().http;
        hosts.clone_into(&mut limits.hosts);
        proxies.clone_into(&mut limits.trusted_proxies);
        Edge::new(&limits, "https://promo.example.com/below").unwrap()
    }

    fn refusal(edge: &Edge, uri: &str, hosts: &[&str]) -> Option<u16> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        edge.refusal(&request.body(()).unwrap())
            .map(|status| status.as_u16())
    }

    #[test]
    fn only_names_of_ours_are_taken() {
        let edge = edge("bestow.internal, other.example.", "");
        for ours in [
            "promo.example.com",
            "PROMO.example.com:443",
            "promo.example.com.",
            "bestow.internal:8080",
            "other.example",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
        ] {
            assert_eq!(refusal(&edge, "/healthz", &[ours]), None, "{ours}");
        }
        for foreign in [
            "example.com",
            "evil.promo.example.com",
            "promo.example.com.evil.org",
            "127.0.0.1.evil.org",
            "user@evil.org",
        ] {
            assert_eq!(refusal(&edge, "/", &[foreign]), Some(421), "{foreign}");
        }
        for wrong in [&[][..], &[""], &["a b"], &["localhost", "localhost"]] {
            assert_eq!(refusal(&edge, "/", wrong), Some(400), "{wrong:?}");
        }
        let absolute = "http://evil.org/healthz";
        assert_eq!(refusal(&edge, absolute, &["localhost"]), Some(421));
    }

    #[test]
    fn what_is_written_of_addresses_counts_as_far_as_proxies_wrote_it() {
        let edge = edge("", "10.0.0.0/8, 192.0.2.7");
        let client = |peer: &str, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let client = edge.client(peer.parse().unwrap(), &headers);
            client.to_string()
        };
        assert_eq!(client("203.0.113.9", &["1.2.3.4"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6, 1.2.3.4, 192.0.2.7"]),
            "1.2.3.4"
        );
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "1.2.3.4"]), "1.2.3.4");
        assert_eq!(client("10.0.0.1", &["1.2.3.4, nonsense"]), "10.0.0.1");
    }

    #[test]
    fn each_address_has_so_many_connections_and_a_network_counts_as_one() {
        let crowd = Crowd::new(2);
        let enter = |address: &str| crowd.enter(address.parse().unwrap());
        let (first, _second) = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::3").is_none());
        let other = enter("192.0.2.1");
        assert!(other.is_some());
        drop((first, other));
        assert!(enter("2001:db8::3").is_some());
        assert_eq!(crowd.open.lock().unwrap().len(), 1);
    }

    #[test]
    fn settings_that_cannot_be_read_are_refused() {
        let mut limits = Config::default().http;
        limits.trusted_proxies = "10.0.0.0/8, proxy".to_owned();
        assert!(Edge::new(&limits, "").is_err());
        limits.trusted_proxies.clear();
        limits.hosts = "a b".to_owned();
        assert!(Edge::new(&limits, "").is_err());
    }
}
