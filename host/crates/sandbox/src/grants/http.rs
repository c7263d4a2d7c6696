//! Which HTTP requests may leave. Hosts are read strictly: what two readers could take for two hosts is none.

use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// Methods that are no requests to a resource: one opens a tunnel, the other shows what was added to the request.
const NEVER: [&str; 2] = ["CONNECT", "TRACE"];

/// A rule with the terms on which it lets requests leave.
#[derive(Debug, Clone)]
pub struct HttpRule {
    /// Which requests.
    pub pattern: HttpPattern,
    /// How.
    pub terms: Arc<HttpTerms>,
}

/// On which terms requests leave: those of one grant of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTerms {
    /// The grant's name in the settings.
    pub grant: Arc<str>,
    /// Addresses that may be connected to although they are not public.
    pub addresses: Vec<Network>,
    /// Requests of one call.
    pub requests_max: u32,
    /// Those of one call that are under way at once.
    pub in_flight_max: u32,
    /// Bytes of a request's body.
    pub request_bytes_max: u64,
    /// Bytes of a response's body.
    pub response_bytes_max: u64,
    /// Bytes of the head of a request, and of a response.
    pub head_bytes_max: usize,
    /// From the name to the last byte of the response.
    pub timeout: Duration,
}

/// What is sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpScheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
}

impl HttpScheme {
    /// As URLs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Reads it, in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.as_str() == text)
    }

    /// Where none is said.
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host of which there is one reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpHost {
    /// In lower case, without a dot at its end.
    Name(Box<str>),
    /// Of IPv6 in brackets.
    Address(IpAddr),
}

impl HttpHost {
    /// Reads one as it stands in a URL. Numbers other than four decimal ones with dots between, such as `2130706433` and `0x7f.1`, are no host:
    /// some readers take them for addresses.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(inside) = text.strip_prefix('[') {
            return inside.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(|address| Self::Address(address.into()));
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        let hexadecimal = last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
        if hexadecimal || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())) {
            return text.parse::<Ipv4Addr>().ok().map(|address| Self::Address(address.into()));
        }
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let label =
            |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter) && !label.starts_with('-') && !label.ends_with('-');
        (text.len() <= 253 && text.split('.').all(label)).then(|| Self::Name(text.to_ascii_lowercase().into()))
    }

    /// Reads a host and a port as they stand in a URL of that scheme. Who is to be believed there, before an `@`, has no place.
    pub fn with_port(text: &str, scheme: HttpScheme) -> Option<(Self, u16)> {
        // The colons of an address of IPv6 stand in brackets.
        match text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            None => Some((Self::parse(text)?, scheme.port())),
            Some((host, port)) => Some((Self::parse(host)?, port_of(port)?)),
        }
    }
}

impl fmt::Display for HttpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Hosts of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    One(HttpHost),
    /// Every name that ends in a dot and this one, and not this one itself.
    Below(Box<str>),
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            None => HttpHost::parse(text).map(Self::One),
            Some(domain) => match HttpHost::parse(domain)? {
                // Nobody means every host of a top-level domain.
                HttpHost::Name(domain) => domain.contains('.').then_some(Self::Below(domain)),
                HttpHost::Address(_) => None,
            },
        }
    }

    fn has(&self, host: &HttpHost) -> bool {
        match (self, host) {
            (Self::One(one), host) => one == host,
            (Self::Below(domain), HttpHost::Name(name)) => is_below(name, domain),
            (Self::Below(_), HttpHost::Address(_)) => false,
        }
    }

    /// The hosts of both.
    fn meet(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::One(host), other) => other.has(host).then(|| self.clone()),
            (Self::Below(_), Self::One(host)) => self.has(host).then(|| other.clone()),
            (Self::Below(one), Self::Below(two)) if one == two || is_below(one, two) => Some(self.clone()),
            (Self::Below(one), Self::Below(two)) => is_below(two, one).then(|| other.clone()),
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(host) => host.fmt(f),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

/// Some requests: `https://api.example.com`, `GET,HEAD https://*.example.com:8443`. Without methods it is every method but `CONNECT` and
/// `TRACE`, which never are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HttpPattern {
    /// None said: all.
    methods: Vec<Box<str>>,
    scheme: HttpScheme,
    hosts: Hosts,
    port: u16,
}

/// What of a request is in no rule: the last thing that the nearest rule does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// There are no rules.
    Everything,
    /// The host.
    Host,
    /// The scheme for that host.
    Scheme,
    /// The port for that host and scheme.
    Port,
    /// The method for all that.
    Method,
}

impl Mismatch {
    /// One word for records, of a closed set.
    pub fn word(self) -> &'static str {
        match self {
            Self::Everything => "not_granted",
            Self::Host => "host",
            Self::Scheme => "scheme",
            Self::Port => "port",
            Self::Method => "method",
        }
    }
}

impl HttpPattern {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// What it must be like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let text: String = text.chars().filter(|c| !c.is_control()).take(128).collect();
            format!(
                "`{text}` does not say which requests: it must be like `https://api.example.com` or `GET,POST https://*.example.com:8443`, \
                 without a path"
            )
        };
        let (methods, url) = text.rsplit_once(' ').map_or((None, text), |(methods, url)| (Some(methods), url));
        let (scheme, authority) = url.split_once("://").ok_or_else(wrong)?;
        let scheme = HttpScheme::parse(scheme).ok_or_else(wrong)?;
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            None => (authority, scheme.port()),
            Some((host, port)) => (host, port_of(port).ok_or_else(wrong)?),
        };
        let hosts = Hosts::parse(host).ok_or_else(wrong)?;
        let is_method =
            |method: &str| !method.is_empty() && method.len() <= 32 && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let methods: Vec<Box<str>> = methods.map(|methods| methods.split(',').map(Into::into).collect()).unwrap_or_default();
        if methods.iter().any(|method| !is_method(method) || NEVER.contains(&&**method)) {
            return Err(wrong());
        }
        Ok(Self { methods, scheme, hosts, port })
    }

    /// The requests of both.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        if (self.scheme, self.port) != (other.scheme, other.port) {
            return None;
        }
        let methods: Vec<_> = match (&self.methods[..], &other.methods[..]) {
            ([], methods) | (methods, []) => methods.to_vec(),
            (ours, theirs) => {
                let both: Vec<_> = ours.iter().filter(|method| theirs.contains(method)).cloned().collect();
                if both.is_empty() {
                    return None;
                }
                both
            }
        };
        Some(Self { methods, hosts: self.hosts.meet(&other.hosts)?, ..self.clone() })
    }

    /// Whether that host is among its hosts.
    pub fn covers(&self, host: &HttpHost) -> bool {
        self.hosts.has(host)
    }

    /// By what it is sent.
    pub fn scheme(&self) -> HttpScheme {
        self.scheme
    }

    fn judge(&self, scheme: HttpScheme, (host, port): (&HttpHost, u16), method: &str) -> Result<(), Mismatch> {
        if !self.hosts.has(host) {
            return Err(Mismatch::Host);
        }
        if scheme != self.scheme {
            return Err(Mismatch::Scheme);
        }
        if port != self.port {
            return Err(Mismatch::Port);
        }
        let allowed = (self.methods.is_empty() && !NEVER.contains(&method)) || self.methods.iter().any(|allowed| **allowed == *method);
        if allowed { Ok(()) } else { Err(Mismatch::Method) }
    }
}

impl HttpRule {
    /// The first of these rules that lets a request leave.
    ///
    /// # Errors
    ///
    /// What of it is in none of them.
    pub fn find<'a>(rules: &'a [Self], scheme: HttpScheme, place: (&HttpHost, u16), method: &str) -> Result<&'a Self, Mismatch> {
        let mut nearest = Mismatch::Everything;
        for rule in rules {
            match rule.pattern.judge(scheme, place, method) {
                Ok(()) => return Ok(rule),
                Err(mismatch) => nearest = nearest.max(mismatch),
            }
        }
        Err(nearest)
    }
}

fn port_of(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten().filter(|port| *port > 0)
}

impl TryFrom<String> for HttpPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for HttpPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.methods.is_empty() {
            write!(f, "{} ", self.methods.join(","))?;
        }
        write!(f, "{}://{}", self.scheme.as_str(), self.hosts)?;
        if self.port == self.scheme.port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Addresses that begin alike: `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads one. Bits behind those that count must be zero.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let bits = bits.map_or(Some(most), plain).filter(|bits| *bits <= most)?;
        let network = Self { address, bits };
        (network.significant(address) == Some(numeric(address))).then_some(network)
    }

    /// Whether an address is one of them. An address of IPv4 in the clothes of IPv6 is none of IPv4's.
    pub fn has(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && self.significant(address) == self.significant(self.address)
    }

    fn significant(&self, address: IpAddr) -> Option<u128> {
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let behind = width.checked_sub(u32::from(self.bits))?;
        Some(numeric(address).checked_shr(behind).unwrap_or(0).checked_shl(behind).unwrap_or(0))
    }
}

fn numeric(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests;
