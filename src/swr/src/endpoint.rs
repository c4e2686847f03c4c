//! Region or configured text -> the base URL that requests may go to, and which addresses a name
//! may stand for. Resolves nothing and connects to nothing.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use swr_operator_core::desired::Region;

/// The base URL of a service: https, or http on loopback. Invariant: neither user, path, query nor
/// fragment, so that what is appended is what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Without a `/` at its end.
    base: String,
    authority: String,
}

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no URL with a host.
    Syntax,
    /// Neither https nor http on loopback.
    Scheme,
    /// It has a user, a path, a query or a fragment.
    Parts,
    /// Its host is an address of link-local, metadata or other special use.
    Address,
    /// The region is not one: lower-case letters, digits and `-`.
    Region,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Syntax => "is not a URL with a host",
            Refused::Scheme => "must be https://, or http:// on loopback",
            Refused::Parts => "must have neither user, path, query nor fragment",
            Refused::Address => "must not be a link-local, metadata or multicast address",
            Refused::Region => "must be a region: lower-case letters, digits and '-'",
        })
    }
}

impl std::error::Error for Refused {}

/// Regions with an IAM host of their own in the SDK's list (swr-api.md 5, read 2026-11); IAM's
/// global host serves the others.
const REGIONS_WITH_IAM: [&str; 27] = [
    "ae-ad-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-12",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-south-2",
    "cn-southwest-2",
    "eu-west-0",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "na-mexico-1",
    "ru-moscow-1",
    "sa-brazil-1",
    "tr-west-1",
];

impl Endpoint {
    /// From configuration.
    ///
    /// # Errors
    /// What about the text is not acceptable; never the text, which may hold a password.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let url = Url::parse(text).map_err(|_| Refused::Syntax)?;
        let host = url.host_str().ok_or(Refused::Syntax)?;
        let address = address_in(host);
        let is_loopback =
            is_localhost(host) || address.is_some_and(|address| address.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            _ => return Err(Refused::Scheme),
        }
        if has_parts(&url) || url.path() != "/" {
            return Err(Refused::Parts);
        }
        if address.is_some_and(is_special) {
            return Err(Refused::Address);
        }
        Ok(Self::at(&url, host))
    }

    fn at(url: &Url, host: &str) -> Self {
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Endpoint {
            base: format!("{}://{authority}", url.scheme()),
            authority,
        }
    }

    /// From `URL` for every region, or `REGION=URL`; a URL has no `=` before its scheme. Of the former the region
    /// is empty.
    ///
    /// # Errors
    /// What about the URL is not acceptable.
    pub fn regional(text: &str) -> Result<(String, Self), Refused> {
        let text = text.trim();
        let (region, url) = match text.split_once('=') {
            Some((region, url)) if !region.contains(':') => (region, url),
            Some(_) | None => ("", text),
        };
        Ok((region.to_owned(), Endpoint::parse(url)?))
    }

    /// SWR's own host in a region. An unknown region is no error: the list of regions grows.
    ///
    /// # Errors
    /// The region cannot be part of a host.
    pub fn swr(region: &Region) -> Result<Self, Refused> {
        Self::in_region("swr-api", region)
    }

    /// IAM's host for a region.
    ///
    /// # Errors
    /// The region cannot be part of a host.
    pub fn iam(region: &Region) -> Result<Self, Refused> {
        // The European site is separate; its IAM is inferred from its SWR (swr-api.md 5).
        if region.as_str() == EUROPEAN_SITE || REGIONS_WITH_IAM.contains(&region.as_str()) {
            return Self::in_region("iam", region);
        }
        is_region(region.as_str())?;
        Self::parse("https://iam.myhuaweicloud.com")
    }

    fn in_region(service: &str, region: &Region) -> Result<Self, Refused> {
        is_region(region.as_str())?;
        let top = match region.as_str() {
            EUROPEAN_SITE => "eu",
            _ => "com",
        };
        Self::parse(&format!("https://{service}.{region}.myhuaweicloud.{top}"))
    }

    /// STS's host for a region.
    ///
    /// # Errors
    /// The region cannot be part of a host.
    pub fn sts(region: &Region) -> Result<Self, Refused> {
        if region.as_str() == EUROPEAN_SITE || REGIONS_WITH_IAM.contains(&region.as_str()) {
            return Self::in_region("sts", region);
        }
        is_region(region.as_str())?;
        // The SDK's own choice (swr-api.md 5).
        Self::parse("https://sts.cn-north-4.myhuaweicloud.com")
    }

    /// Host and, unless it is the scheme's own, port: the `Host` header.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The URL for a path and a canonical query. `None` if a URL would not keep them byte for
    /// byte, as with a segment of two dots, or if a segment is empty: the signature would not
    /// match, or the request would mean something else.
    pub(super) fn url(&self, path: &str, query: &str) -> Option<Url> {
        let mark = if query.is_empty() { "" } else { "?" };
        let url = Url::parse(&format!("{}{path}{mark}{query}", self.base)).ok()?;
        let is_kept =
            url.path() == path && url.query().unwrap_or_default() == query && !path.contains("//");
        is_kept.then_some(url)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// Where a service of the node itself is, as its metadata service or the agent of pod identity. It comes from
/// the operator's own configuration or pod and never from an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUrl {
    pub(super) endpoint: Endpoint,
    pub(super) path: String,
}

impl NodeUrl {
    /// ECS's metadata service.
    pub const METADATA: &str = "http://169.254.169.254";

    /// http to an address that is of the node or near it (loopback, link-local or private), or https.
    ///
    /// # Errors
    /// What about the text is not acceptable.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let url = Url::parse(text).map_err(|_| Refused::Syntax)?;
        let host = url.host_str().ok_or(Refused::Syntax)?;
        let is_near = match address_in(host) {
            Some(IpAddr::V4(v4)) => v4.is_loopback() || v4.is_link_local() || v4.is_private(),
            Some(IpAddr::V6(v6)) => {
                v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local()
            }
            None => is_localhost(host),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_near => {}
            _ => return Err(Refused::Scheme),
        }
        if has_parts(&url) {
            return Err(Refused::Parts);
        }
        Ok(NodeUrl {
            endpoint: Endpoint::at(&url, host),
            path: url.path().to_owned(),
        })
    }
}

fn has_parts(url: &Url) -> bool {
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
}

const EUROPEAN_SITE: &str = "eu-west-101";

fn is_region(text: &str) -> Result<(), Refused> {
    let fits = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits { Ok(()) } else { Err(Refused::Region) }
}

fn address_in(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

/// Whether a request for this name may go to this address (reliability.md TH03). Checked on every
/// connection, so a name that is pointed elsewhere later gains nothing. `localhost` is loopback
/// and nothing else, because http is allowed there; no other name is loopback. Private addresses
/// are allowed: SWR is reached by them from inside a VPC.
pub(super) fn may_connect(name: &str, address: IpAddr) -> bool {
    !is_special(address) && is_localhost(name) == address.is_loopback()
}

/// Addresses no cloud service has: link-local, metadata, unspecified, multicast, broadcast; also
/// when they are written inside an IPv6 address.
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => is_special_v6(v6),
    }
}

fn is_special_v4(v4: Ipv4Addr) -> bool {
    // 169.254.169.254 is link-local; 100.100.100.200 is another cloud's metadata service.
    v4.is_link_local()
        || v4.octets()[0] == 0
        || v4.is_multicast()
        || v4.is_broadcast()
        || v4 == Ipv4Addr::new(100, 100, 100, 200)
}

fn is_special_v6(v6: Ipv6Addr) -> bool {
    let embedded = match v6.segments() {
        // IPv4-mapped, IPv4-compatible, NAT64; then 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    let embedded = embedded
        .map(|(high, low)| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        // `::1` looks IPv4-compatible and is loopback.
        .filter(|_| !v6.is_loopback());
    v6.is_unicast_link_local()
        || v6.is_multicast()
        || v6.is_unspecified()
        || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        || embedded.is_some_and(|v4| is_special_v4(v4) || v4.is_loopback())
}

/// Endpoints that the operator's configuration sets, by region; the empty region is for all.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// Of SWR.
    pub swr: HashMap<String, Endpoint>,
    /// Of IAM.
    pub iam: HashMap<String, Endpoint>,
    /// Of STS.
    pub sts: HashMap<String, Endpoint>,
}

impl Endpoints {
    /// The endpoint of SWR for a region.
    ///
    /// # Errors
    /// When none follows from the region.
    pub fn swr(&self, region: &Region) -> Result<Endpoint, Refused> {
        pick(&self.swr, region).map_or_else(|| Endpoint::swr(region), Ok)
    }

    /// The endpoint of IAM for a region.
    ///
    /// # Errors
    /// When none follows from the region.
    pub fn iam(&self, region: &Region) -> Result<Endpoint, Refused> {
        pick(&self.iam, region).map_or_else(|| Endpoint::iam(region), Ok)
    }

    /// The endpoint of STS for a region.
    ///
    /// # Errors
    /// When none follows from the region.
    pub fn sts(&self, region: &Region) -> Result<Endpoint, Refused> {
        pick(&self.sts, region).map_or_else(|| Endpoint::sts(region), Ok)
    }
}

fn pick(endpoints: &HashMap<String, Endpoint>, region: &Region) -> Option<Endpoint> {
    endpoints
        .get(region.as_str())
        .or_else(|| endpoints.get(""))
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_or_loopback_and_nothing_but_a_host() {
        for (text, expected) in [
            ("https://swr.example.com", Ok("swr.example.com")),
            ("https://swr.example.com/", Ok("swr.example.com")),
            ("https://swr.example.com:443", Ok("swr.example.com")),
            ("https://swr.example.com:8443", Ok("swr.example.com:8443")),
            ("https://10.0.0.1", Ok("10.0.0.1")),
            ("http://127.0.0.1:8080", Ok("127.0.0.1:8080")),
            ("http://localhost:8080", Ok("localhost:8080")),
            ("http://[::1]:8080", Ok("[::1]:8080")),
            ("http://swr.example.com", Err(Refused::Scheme)),
            ("http://10.0.0.1", Err(Refused::Scheme)),
            ("http://localhost.example.com", Err(Refused::Scheme)),
            ("ftp://swr.example.com", Err(Refused::Scheme)),
            ("swr.example.com", Err(Refused::Syntax)),
            ("", Err(Refused::Syntax)),
            ("https://user:pw@swr.example.com", Err(Refused::Parts)),
            ("https://swr.example.com/v2", Err(Refused::Parts)),
            ("https://swr.example.com?a=b", Err(Refused::Parts)),
            ("https://swr.example.com#a", Err(Refused::Parts)),
            ("https://169.254.169.254", Err(Refused::Address)),
            ("https://2852039166", Err(Refused::Address)),
            ("https://0xa9fea9fe", Err(Refused::Address)),
            ("https://[fe80::1]", Err(Refused::Address)),
            ("https://[::ffff:169.254.169.254]", Err(Refused::Address)),
        ] {
            let endpoint = Endpoint::parse(text);
            assert_eq!(
                endpoint.as_ref().map(Endpoint::authority).map_err(|e| *e),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_service_of_the_node_is_near_or_behind_tls() {
        let parts = |url: NodeUrl| (url.endpoint.to_string(), url.path);
        for (text, expected) in [
            (NodeUrl::METADATA, Ok(("http://169.254.169.254", "/"))),
            (
                "http://169.254.170.23/v1/keys",
                Ok(("http://169.254.170.23", "/v1/keys")),
            ),
            (
                "http://[fd00:ec2::23]/keys",
                Ok(("http://[fd00:ec2::23]", "/keys")),
            ),
            (
                "http://127.0.0.1:5151/keys",
                Ok(("http://127.0.0.1:5151", "/keys")),
            ),
            (
                "http://10.0.0.7:5151/keys",
                Ok(("http://10.0.0.7:5151", "/keys")),
            ),
            (
                "https://agent.example.com/keys",
                Ok(("https://agent.example.com", "/keys")),
            ),
            ("http://agent.example.com/keys", Err(Refused::Scheme)),
            ("http://203.0.113.7/keys", Err(Refused::Scheme)),
            ("ftp://127.0.0.1/keys", Err(Refused::Scheme)),
            ("http://u:p@127.0.0.1/keys", Err(Refused::Parts)),
            ("http://127.0.0.1/keys?a=b", Err(Refused::Parts)),
            ("keys", Err(Refused::Syntax)),
        ] {
            let expected = expected.map(|(base, path)| (base.to_owned(), path.to_owned()));
            assert_eq!(NodeUrl::parse(text).map(parts), expected, "{text}");
        }
    }

    #[test]
    fn hosts_follow_the_region() {
        let region = |text: &str| Region::new(text);
        let text = |endpoint: Result<Endpoint, Refused>| endpoint.map(|e| e.to_string());
        for (name, swr, iam, sts) in [
            (
                "cn-north-4",
                "https://swr-api.cn-north-4.myhuaweicloud.com",
                "https://iam.cn-north-4.myhuaweicloud.com",
                "https://sts.cn-north-4.myhuaweicloud.com",
            ),
            (
                "eu-west-101",
                "https://swr-api.eu-west-101.myhuaweicloud.eu",
                "https://iam.eu-west-101.myhuaweicloud.eu",
                "https://sts.eu-west-101.myhuaweicloud.eu",
            ),
            (
                "xx-new-1",
                "https://swr-api.xx-new-1.myhuaweicloud.com",
                "https://iam.myhuaweicloud.com",
                "https://sts.cn-north-4.myhuaweicloud.com",
            ),
        ] {
            assert_eq!(text(Endpoint::swr(&region(name))), Ok(swr.to_owned()));
            assert_eq!(text(Endpoint::iam(&region(name))), Ok(iam.to_owned()));
            assert_eq!(text(Endpoint::sts(&region(name))), Ok(sts.to_owned()));
        }
        for name in ["", "A", "a.b", "evil.example.com/", "a@b", "-a", "a-"] {
            assert_eq!(Endpoint::swr(&region(name)), Err(Refused::Region), "{name}");
            assert_eq!(Endpoint::iam(&region(name)), Err(Refused::Region), "{name}");
            assert_eq!(Endpoint::sts(&region(name)), Err(Refused::Region), "{name}");
        }
    }

    #[test]
    fn a_name_may_not_stand_for_a_special_address() {
        for (name, address, expected) in [
            ("swr.example.com", "203.0.113.7", true),
            ("swr.example.com", "10.1.2.3", true),
            ("swr.example.com", "2001:db8::7", true),
            ("swr.example.com", "fd00::7", true),
            ("swr.example.com", "127.0.0.1", false),
            ("swr.example.com", "::1", false),
            ("swr.example.com", "::ffff:127.0.0.1", false),
            ("swr.example.com", "169.254.169.254", false),
            ("swr.example.com", "169.254.0.1", false),
            ("swr.example.com", "100.100.100.200", false),
            ("swr.example.com", "0.0.0.0", false),
            ("swr.example.com", "224.0.0.1", false),
            ("swr.example.com", "255.255.255.255", false),
            ("swr.example.com", "fe80::a9fe:a9fe", false),
            ("swr.example.com", "febf::1", false),
            ("swr.example.com", "fd00:ec2::254", false),
            ("swr.example.com", "ff02::1", false),
            ("swr.example.com", "::", false),
            ("swr.example.com", "64:ff9b::a9fe:a9fe", false),
            ("swr.example.com", "2002:a9fe:a9fe::1", false),
            ("localhost", "127.0.0.1", true),
            ("localhost", "::1", true),
            ("localhost", "203.0.113.7", false),
        ] {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(may_connect(name, parsed), expected, "{name} {address}");
        }
    }

    #[test]
    fn a_url_keeps_path_and_query_byte_for_byte_or_there_is_none() {
        let endpoint = Endpoint::parse("https://swr.example.com:8443").expect("an endpoint");
        let url = |path, query| endpoint.url(path, query).map(|url| url.to_string());
        assert_eq!(
            url("/v2/p/instances/i", "limit=100&name=a%20b%2Fc"),
            Some(
                "https://swr.example.com:8443/v2/p/instances/i?limit=100&name=a%20b%2Fc".to_owned()
            )
        );
        for path in [
            "/v2/../v3",
            "/v2/%2e%2e/v3",
            "/v2/./v3",
            "/v2//v3",
            "/v2/a b",
            "/v2/ü",
        ] {
            assert_eq!(url(path, ""), None, "{path}");
        }
    }
}
