//! Whom the gateway answers: `Host` and `Origin`, checked before anything else of a request.
//!
//! A web page can make a browser on this machine call a loopback address, and by DNS rebinding can make it believe that address to be
//! the page's own host. `Host` then names the page's host, and `Origin` the page: both are refused unless configured.

use crate::config::{HttpConfig, Origin, is_loopback_name};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, Version, header};
use std::net::SocketAddr;

/// Which hosts and origins are answered.
#[derive(Debug, Clone)]
pub struct OriginPolicy {
    hosts: Vec<String>,
    origins: Vec<Origin>,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAnswered {
    /// `Host` is missing, there twice, malformed, or contradicts the request target.
    HostMalformed,
    /// `Host` names somebody else.
    HostForeign,
    /// `Origin` is there twice.
    OriginRepeated,
    /// `Origin` is not one that may call.
    OriginForeign,
}

impl OriginPolicy {
    /// The names of the loopback interface and of the address that is listened on, and what is configured.
    pub fn new(config: &HttpConfig, listen: SocketAddr) -> Self {
        let mut hosts: Vec<String> = config.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.push(match listen {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        });
        Self { hosts, origins: config.allowed_origins.clone() }
    }

    /// Looks at a request. The value is the origin that may be told so by CORS headers.
    pub(super) fn check<'h>(&self, version: Version, uri: &Uri, headers: &'h HeaderMap) -> Result<Option<&'h HeaderValue>, NotAnswered> {
        let authority = host(version, uri, headers)?;
        let name = authority.host();
        let with_port = authority.as_str();
        let known =
            is_loopback_name(name) || self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name) || host.eq_ignore_ascii_case(with_port));
        if !known {
            return Err(NotAnswered::HostForeign);
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(NotAnswered::OriginRepeated),
            (Some(value), None) => {
                let origin = value.to_str().ok().and_then(Origin::parse).ok_or(NotAnswered::OriginForeign)?;
                if self.origins.contains(&origin) {
                    Ok(Some(value))
                } else if origin.is_loopback() {
                    // A page of this machine may call, and is told nothing that the browser would let it read.
                    Ok(None)
                } else {
                    Err(NotAnswered::OriginForeign)
                }
            }
        }
    }
}

/// The one host that a request names: in `Host`, or in the target of HTTP/2 and of an absolute form, which must then agree.
fn host(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<Authority, NotAnswered> {
    let mut values = headers.get_all(header::HOST).iter();
    let in_header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| NotAnswered::HostMalformed)?;
            let authority: Authority = text.parse().map_err(|_| NotAnswered::HostMalformed)?;
            if text.contains(['/', '?', '#', '@']) {
                return Err(NotAnswered::HostMalformed);
            }
            Some(authority)
        }
        (Some(_), Some(_)) => return Err(NotAnswered::HostMalformed),
    };
    match (in_header, uri.authority()) {
        (Some(header), Some(target)) if header.as_str().eq_ignore_ascii_case(target.as_str()) => Ok(header),
        (Some(_), Some(_)) => Err(NotAnswered::HostMalformed),
        (Some(header), None) => Ok(header),
        (None, Some(target)) if version == Version::HTTP_2 => Ok(target.clone()),
        (None, _) => Err(NotAnswered::HostMalformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &HttpConfig, uri: &str, headers: &[(&str, &str)]) -> Result<bool, NotAnswered> {
        let policy = OriginPolicy::new(config, SocketAddr::from(([127, 0, 0, 1], 8080)));
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<axum::http::HeaderName>().expect("a name"), value.parse().expect("a value")))
            .collect();
        policy.check(Version::HTTP_11, &uri.parse().expect("a target"), &map).map(|cors| cors.is_some())
    }

    #[test]
    fn loopback_is_known_and_others_are_not() {
        let none = HttpConfig::default();
        for host in ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:1", "[::1]:9"] {
            assert_eq!(check(&none, "/mcp", &[("host", host)]), Ok(false), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.2", "127.0.0.1.nip.io", "[::2]"] {
            assert_eq!(check(&none, "/mcp", &[("host", host)]), Err(NotAnswered::HostForeign), "{host}");
        }
        let some = HttpConfig { allowed_hosts: vec!["mcp.example".into(), "other.example:444".into()], ..HttpConfig::default() };
        assert_eq!(check(&some, "/mcp", &[("host", "MCP.example:1")]), Ok(false));
        assert_eq!(check(&some, "/mcp", &[("host", "other.example:444")]), Ok(false));
        assert_eq!(check(&some, "/mcp", &[("host", "other.example")]), Err(NotAnswered::HostForeign));
    }

    #[test]
    fn a_request_names_one_host() {
        let none = HttpConfig::default();
        for headers in
            [&[][..], &[("host", "localhost"), ("host", "localhost")], &[("host", "a/?x=")], &[("host", "u@localhost")], &[("host", "")]]
        {
            assert_eq!(check(&none, "/mcp", headers), Err(NotAnswered::HostMalformed), "{headers:?}");
        }
        assert_eq!(check(&none, "http://evil.example/mcp", &[("host", "localhost")]), Err(NotAnswered::HostMalformed));
        assert_eq!(check(&none, "http://localhost/mcp", &[("host", "localhost")]), Ok(false));
    }

    #[test]
    fn origins_are_compared_as_rfc_6454_does() {
        let some = HttpConfig { allowed_origins: Origin::parse("https://App.example").into_iter().collect(), ..HttpConfig::default() };
        let with = |origin| check(&some, "/mcp", &[("host", "localhost"), ("origin", origin)]);
        assert_eq!(with("https://app.example"), Ok(true));
        assert_eq!(with("HTTPS://app.example:443"), Ok(true));
        assert_eq!(with("http://localhost:6274"), Ok(false));
        for foreign in ["http://app.example", "https://app.example:444", "https://evil.example", "null", "https://app.example/", "file://"]
        {
            assert_eq!(with(foreign), Err(NotAnswered::OriginForeign), "{foreign}");
        }
        assert_eq!(
            check(&some, "/mcp", &[("host", "localhost"), ("origin", "null"), ("origin", "null")]),
            Err(NotAnswered::OriginRepeated)
        );
    }
}
