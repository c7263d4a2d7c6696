use super::*;

fn host(text: &str) -> HttpHost {
    HttpHost::parse(text).unwrap_or_else(|| panic!("{text} is a host"))
}

fn pattern(text: &str) -> HttpPattern {
    HttpPattern::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_host_has_one_reading() {
    for (text, shown) in [
        ("API.Example.com", "api.example.com"),
        ("localhost", "localhost"),
        ("a_b.example", "a_b.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[0:0::1]", "[::1]"),
        ("1.example", "1.example"),
    ] {
        assert_eq!(host(text).to_string(), shown);
    }
    let long = format!("{}.example", "a".repeat(64));
    for text in [
        "",
        ".",
        "localhost.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a b",
        "a%2eb",
        "ä.example",
        "user@a",
        "a:1",
        "::1",
        "[::1",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0X7f.0X1",
        "127.1",
        "0177.0.0.1",
        "127.0.0.01",
        "1.2.3.4.5",
        "a.0x1",
        "256.1.1.1",
        &long,
    ] {
        assert_eq!(HttpHost::parse(text), None, "{text}");
    }
}

#[test]
fn a_pattern_is_written_as_it_is_read() {
    for text in [
        "https://api.example.com",
        "GET https://*.example.com:8443",
        "GET,POST http://127.0.0.1:81",
        "https://[::1]",
        "M-SEARCH http://a:8080",
    ] {
        assert_eq!(pattern(text).to_string(), text);
    }
    assert_eq!(pattern("https://A.example:443").to_string(), "https://a.example");
    for text in [
        "",
        "https://",
        "api.example.com",
        "ftp://a.example",
        "HTTPS://a.example",
        "https://a.example/",
        "https://a.example/path",
        "https://*",
        "https://*.com",
        "https://*.10.0.0.1",
        "https://a.*.example.com",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:+1",
        "get https://a.example",
        "GET, POST https://a.example",
        "GET,,POST https://a.example",
        "CONNECT https://a.example",
        "GET,TRACE https://a.example",
        "https://u@a.example",
        " https://a.example",
    ] {
        assert!(HttpPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn only_what_both_say_is_in_force() {
    let meet = |one: &str, two: &str| {
        let (one, two) = (pattern(one), pattern(two));
        let met = one.meet(&two);
        assert_eq!(met, two.meet(&one), "who asks and who grants changes nothing");
        met.map(|met| met.to_string())
    };
    for (one, two, both) in [
        ("https://a.example.com", "https://a.example.com", Some("https://a.example.com")),
        ("https://a.example.com", "https://*.example.com", Some("https://a.example.com")),
        ("https://*.b.example.com", "https://*.example.com", Some("https://*.b.example.com")),
        ("GET https://*.example.com", "https://a.example.com", Some("GET https://a.example.com")),
        ("GET,PUT https://a.example", "PUT https://a.example", Some("PUT https://a.example")),
        ("GET https://a.example", "PUT https://a.example", None),
        ("https://a.example", "http://a.example", None),
        ("https://a.example", "https://a.example:8443", None),
        ("https://example.com", "https://*.example.com", None),
        ("https://*.example.com", "https://*.example.org", None),
        ("https://badexample.com", "https://*.example.com", None),
    ] {
        assert_eq!(meet(one, two).as_deref(), both, "{one} and {two}");
    }
}

#[test]
fn what_is_missing_is_the_last_thing_of_the_nearest_rule() {
    let terms = Arc::new(HttpTerms {
        grant: "g".into(),
        addresses: Vec::new(),
        requests_max: 1,
        in_flight_max: 1,
        request_bytes_max: 1,
        response_bytes_max: 1,
        head_bytes_max: 1,
        timeout: Duration::from_secs(1),
    });
    let rules: Vec<_> = ["GET https://a.example", "https://*.b.example:8443"]
        .map(|text| HttpRule { pattern: pattern(text), terms: Arc::clone(&terms) })
        .into();
    let find = |rules: &[HttpRule], scheme, name: &str, port, method: &str| {
        HttpRule::find(rules, scheme, (&host(name), port), method).map(|rule| rule.pattern.to_string()).map_err(Mismatch::word)
    };
    use HttpScheme::{Http, Https};
    assert_eq!(find(&rules, Https, "a.example", 443, "GET").as_deref(), Ok("GET https://a.example"));
    assert_eq!(find(&rules, Https, "x.y.b.example", 8443, "DELETE").as_deref(), Ok("https://*.b.example:8443"));
    assert_eq!(find(&rules, Https, "b.example", 8443, "GET"), Err("host"));
    assert_eq!(find(&rules, Http, "a.example", 80, "GET"), Err("scheme"));
    assert_eq!(find(&rules, Https, "a.example", 444, "GET"), Err("port"));
    assert_eq!(find(&rules, Https, "a.example", 443, "POST"), Err("method"));
    assert_eq!(find(&rules, Https, "x.b.example", 8443, "CONNECT"), Err("method"));
    assert_eq!(find(&[], Https, "a.example", 443, "GET"), Err("not_granted"));
}

#[test]
fn networks_are_read_strictly() {
    let has = |network: &str, address: &str| Network::parse(network).expect("a network").has(address.parse().expect("an address"));
    assert!(has("10.0.0.0/8", "10.255.0.1") && has("127.0.0.1", "127.0.0.1") && has("::1/128", "::1") && has("fd00::/8", "fdff::1"));
    assert!(has("0.0.0.0/0", "1.2.3.4") && !has("10.0.0.0/8", "11.0.0.1") && !has("127.0.0.1", "127.0.0.2"));
    assert!(!has("10.0.0.0/8", "::ffff:10.0.0.1") && !has("::/0", "10.0.0.1"));
    for text in ["", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "a", "10.0.0.0/8/8"] {
        assert_eq!(Network::parse(text), None, "{text}");
    }
}
