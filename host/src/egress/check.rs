//! A request as it is: whether it is one, whether a rule lets it leave, and in which form it does.

use crate::config::FIELDS_OF_HOST;
use crate::trace::Span;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use http::{Method, Uri};
use sandbox::{HttpBody, HttpFault, HttpHost, HttpRule, HttpScheme};

/// Of a place in a line.
const PLACE_BYTES_MAX: usize = 300;

/// A request that may leave, ready for its connection.
#[derive(Debug)]
pub(super) struct Checked {
    /// Its target is the path alone, and it has its `host`.
    pub(super) request: http::Request<HttpBody>,
    pub(super) rule: HttpRule,
    pub(super) scheme: HttpScheme,
    pub(super) host: HttpHost,
    pub(super) port: u16,
}

/// Looks at a request.
///
/// # Errors
///
/// When it is none, or no rule lets it leave.
pub(super) fn check(mut request: http::Request<HttpBody>, rules: &[HttpRule]) -> Result<Checked, HttpFault> {
    let uri = request.uri();
    let scheme = uri.scheme_str().and_then(HttpScheme::parse).ok_or(HttpFault::Invalid("its URL is neither of http nor of https"))?;
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if authority.contains('@') {
        return Err(HttpFault::Invalid("its URL names a user; there are header fields for that"));
    }
    let (host, port) = HttpHost::with_port(authority, scheme).ok_or(HttpFault::Denied("host_malformed"))?;
    let rule = HttpRule::find(rules, scheme, (&host, port), request.method().as_str());
    let rule = rule.map_err(|mismatch| HttpFault::Denied(mismatch.word()))?.clone();
    check_head(request.headers())?;
    let path = uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    if path.len().saturating_add(bytes(request.headers())) > rule.terms.head_bytes_max {
        return Err(HttpFault::Denied("head_size"));
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| HttpFault::Invalid("its path is none"))?;
    let named = if port == scheme.port() { host.to_string() } else { format!("{host}:{port}") };
    let named = HeaderValue::try_from(named).map_err(|_| HttpFault::Denied("host_malformed"))?;
    request.headers_mut().insert(HOST, named);
    *request.version_mut() = http::Version::HTTP_11;
    Ok(Checked { request, rule, scheme, host, port })
}

/// Who a request is for, and where it ends, is the host's to say: what is said twice could be read in two ways.
fn check_head(headers: &HeaderMap) -> Result<(), HttpFault> {
    if FIELDS_OF_HOST.iter().any(|name| headers.contains_key(*name)) {
        return Err(HttpFault::Denied("header"));
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit) => Ok(()),
        _ => Err(HttpFault::Denied("header")),
    }
}

/// As they stand in a head.
fn bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The method, and scheme, host and port as the guest wrote them: neither path nor query.
pub(super) fn place(request: &http::Request<HttpBody>) -> String {
    let uri = request.uri();
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    // Who is named before an `@` may be a secret.
    let host = authority.rsplit('@').next().unwrap_or_default();
    mcp::text::line(&format!("{} {}://{host}", request.method(), uri.scheme_str().unwrap_or_default()), PLACE_BYTES_MAX)
}

/// What of a request is of a closed set.
pub(super) fn tell(span: &Span, request: &http::Request<HttpBody>) {
    const METHODS: [Method; 7] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    if span.is_on() {
        let known = METHODS.iter().zip(NAMES).find(|(method, _)| *method == request.method()).map_or("_OTHER", |(_, name)| name);
        span.word("http.request.method", known);
        let scheme = request.uri().scheme_str().and_then(HttpScheme::parse).map_or("_OTHER", HttpScheme::as_str);
        span.word("url.scheme", scheme);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, Empty};
    use sandbox::{HttpPattern, HttpTerms};
    use std::sync::Arc;
    use std::time::Duration;

    fn rules() -> Vec<HttpRule> {
        let terms = HttpTerms {
            grant: "g".into(),
            addresses: Vec::new(),
            requests_max: 1,
            in_flight_max: 1,
            request_bytes_max: 1,
            response_bytes_max: 1,
            head_bytes_max: 64,
            timeout: Duration::from_secs(1),
        };
        let terms = Arc::new(terms);
        let patterns = ["https://a.example", "http://b.example:81"].map(|text| HttpPattern::parse(text).expect("a pattern"));
        patterns.into_iter().map(|pattern| HttpRule { pattern, terms: Arc::clone(&terms) }).collect()
    }

    fn request(url: &str, headers: &[(&str, &str)]) -> http::Request<HttpBody> {
        let mut builder = http::Request::builder().uri(url);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Empty::new().map_err(|never| match never {}).boxed_unsync()).expect("a request")
    }

    fn refused(url: &str, headers: &[(&str, &str)]) -> &'static str {
        check(request(url, headers), &rules()).err().map_or("", |fault| fault.word())
    }

    #[test]
    fn what_leaves_is_a_path_with_its_host() {
        let checked = check(request("https://A.example/x?y=1#z", &[("content-length", "3")]), &rules()).expect("it may");
        let head = |checked: &Checked| (checked.request.uri().to_string(), checked.request.headers().get(HOST).cloned());
        assert_eq!(head(&checked), ("/x?y=1".to_owned(), Some(HeaderValue::from_static("a.example"))));
        let checked = check(request("http://b.example:81?y", &[]), &rules()).expect("it may");
        assert_eq!(head(&checked), ("/?y".to_owned(), Some(HeaderValue::from_static("b.example:81"))));
        assert_eq!((checked.port, checked.host.to_string().as_str()), (81, "b.example"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_does_not_leave() {
        for (url, headers, word) in [
            ("https://user@a.example/", &[][..], "invalid"),
            ("https://user:a.example@b.example/", &[], "invalid"),
            ("/path", &[], "invalid"),
            ("ftp://a.example/", &[], "invalid"),
            ("https://a.example.:443/", &[], "host_malformed"),
            ("https://a.example:0/", &[], "host_malformed"),
            ("https://2130706433/", &[], "host_malformed"),
            ("https://0x7f.1/", &[], "host_malformed"),
            ("https://127.0.0.1/", &[], "host"),
            ("https://[::ffff:127.0.0.1]/", &[], "host"),
            ("http://a.example/", &[], "scheme"),
            ("http://b.example/", &[], "port"),
            ("https://a.example/", &[("host", "b.example")], "header"),
            ("https://a.example/", &[("Transfer-Encoding", "chunked")], "header"),
            ("https://a.example/", &[("content-length", "1"), ("content-length", "1")], "header"),
            ("https://a.example/", &[("content-length", "+1")], "header"),
            ("https://a.example/", &[("proxy-authorization", "x")], "header"),
            ("https://a.example/", &[("x", "0123456789012345678901234567890123456789012345678901234567890123")], "head_size"),
        ] {
            assert_eq!(refused(url, headers), word, "{url} {headers:?}");
        }
    }

    #[test]
    fn a_line_names_the_place_alone() {
        let line = |url: &str| place(&request(url, &[]));
        assert_eq!(line("https://u:secret@a.example:8443/path?key=1"), "GET https://a.example:8443");
        assert!(line(&format!("https://{}/", "a".repeat(1_000))).len() < 320);
    }
}
