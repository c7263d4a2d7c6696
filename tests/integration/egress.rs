//! Requests that plugins send: those that are granted arrive, with what the operator adds; all others never leave.

use super::admin::Administered;
use super::audit::{by_reason, events, shown, whole};
use super::grants::beside;
use super::tenants::{ADA, House, OTHER_ADA};
use crate::harness::{Collector, Gateway, Modern, Reserved, Setup, Takes, Upstream, eventually, fixture};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

pub const SOON: Duration = Duration::from_secs(20);
/// What the tests' own upstreams listen on, under both of its names.
pub const LOOPBACK: &str = "private_addresses = [\"127.0.0.1\", \"::1\"]\n";

/// Grants of both guests that send: which requests, and on which terms.
pub fn granting(allow: &[String], terms: &str) -> String {
    let allow = json!(allow);
    ["sender", "fetcher"]
        .map(|plugin| format!("[grants.{plugin}]\nplugin = \"{plugin}\"\n[grants.{plugin}.http]\nallow = {allow}\n{terms}\n"))
        .concat()
}

/// Side files of both that ask for this, and waits until they are served.
pub async fn asking(gateway: &Gateway, asks: &[String]) {
    for plugin in ["sender", "fetcher"] {
        beside(&gateway.plugins, plugin, &format!("[asks]\nhttp = {}\n", json!(asks)));
    }
    eventually("both are served", SOON, async || {
        let tools = gateway.tools().await;
        ["send", "dump", "fetch"].iter().all(|tool| tools.contains(&(*tool).to_owned())).then_some(())
    })
    .await;
}

/// With both guests, which ask for all that is granted.
pub async fn serving(allow: &[String], terms: &str, more: &str) -> Gateway {
    let settings = format!("{}{more}", granting(allow, terms));
    let gateway = Gateway::with(Setup { fixtures: vec!["sender", "fetcher"], settings, ..Setup::default() }).await;
    asking(&gateway, allow).await;
    gateway
}

/// By `gatehouse:host/http`.
pub async fn fetch(gateway: &Gateway, arguments: Value) -> Value {
    gateway.modern(Modern::call("fetch", arguments)).await.result()["structuredContent"].clone()
}

/// By `wasi:http`: what became of each request.
pub async fn send_all(gateway: &Gateway, arguments: Value) -> Vec<Value> {
    let answer = gateway.modern(Modern::call("send", arguments)).await;
    answer.result()["structuredContent"]["all"].as_array().expect("a list").clone()
}

/// The same of one.
pub async fn send(gateway: &Gateway, arguments: Value) -> Value {
    send_all(gateway, arguments).await.into_iter().next().expect("one")
}

/// The words of an error.
pub fn error(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

/// Writes a file that only its owner can read.
fn secret(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("closed");
}

#[tokio::test]
async fn what_is_granted_goes_out_and_comes_back() {
    let place = tempfile::tempdir().expect("a directory");
    let (plain, (tls, ca)) = (Upstream::plain().await, Upstream::tls(&["localhost"]).await);
    fs::write(place.path().join("ca.pem"), ca).expect("written");
    let allow = [format!("http://127.0.0.1:{}", plain.port()), format!("GET,POST https://localhost:{}", tls.port())];
    let terms = format!("{LOOPBACK}ca_file = {:?}\n", place.path().join("ca.pem").display().to_string());
    let gateway = serving(&allow, &terms, "").await;

    let sent = send(
        &gateway,
        json!({ "scheme": "http", "authority": format!("127.0.0.1:{}", plain.port()), "path": "/a?b=c", "headers": { "x-own": "1" } }),
    )
    .await;
    assert_eq!((&sent["status"], &sent["body"], &sent["headers"]["x-kind"]), (&json!(200), &json!("hello"), &json!("fine")), "{sent}");
    let received = plain.request(1).await;
    assert!(received.head.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{received:?}");
    assert_eq!(received.field("host"), Some(format!("127.0.0.1:{}", plain.port())));
    assert_eq!(received.names(), ["host", "x-own"], "nothing is added that nobody asked for");

    // Nothing happens in the clear where TLS is granted, and the certificate's name counts.
    let url = format!("https://localhost:{}/status#fragment", tls.port());
    let fetched = fetch(&gateway, json!({ "url": url })).await;
    assert_eq!(
        (&fetched["status"], &fetched["body"], &fetched["headers"]["x-kind"]),
        (&json!(404), &json!("nothing here"), &json!("missing")),
        "{fetched}"
    );
    assert!(tls.request(1).await.head.starts_with("GET /status HTTP/1.1\r\n"));
    for bytes in [0, 5, 300_000] {
        let url = format!("https://localhost:{}/size", tls.port());
        assert_eq!(fetch(&gateway, json!({ "url": url, "method": "POST", "body_bytes": bytes })).await["body"], bytes.to_string());
    }
    let posted = json!({ "method": "POST", "scheme": "https", "authority": format!("localhost:{}", tls.port()), "path": "/size" });
    let with_length = |bytes: u64| {
        let mut posted = posted.clone();
        (posted["body_bytes"], posted["headers"]) = (bytes.into(), json!({ "content-length": bytes.to_string() }));
        posted
    };
    for bytes in [1, 70_000] {
        assert_eq!(send(&gateway, with_length(bytes)).await["body"], bytes.to_string(), "{bytes}");
    }
    let usage = gateway.command(&["usage", "--json"]).await;
    assert!(usage.0 == 0 && usage.1.contains("\"egress_calls\":7"), "{usage:?}");
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_gets_nothing() {
    let place = tempfile::tempdir().expect("a directory");
    let ((stranger, _), (renamed, ca)) = (Upstream::tls(&["localhost"]).await, Upstream::tls(&["elsewhere.example"]).await);
    fs::write(place.path().join("ca.pem"), ca).expect("written");
    let allow = [stranger.port(), renamed.port()].map(|port| format!("https://localhost:{port}"));
    let gateway = serving(&allow, &format!("{LOOPBACK}ca_file = {:?}\n", place.path().join("ca.pem").display().to_string()), "").await;
    for upstream in [&stranger, &renamed] {
        let url = format!("https://localhost:{}/", upstream.port());
        assert!(error(&fetch(&gateway, json!({ "url": url })).await).starts_with("unreachable the server's certificate"), "{url}");
        let sent = send(&gateway, json!({ "authority": format!("localhost:{}", upstream.port()) })).await;
        assert_eq!(error(&sent), "ErrorCode::TlsCertificateError");
        assert!(upstream.came() >= 2);
    }
    assert!(stranger.requests().is_empty() && renamed.requests().is_empty());
    // Nobody there, and no such name.
    let nobody = Reserved::new();
    let allow = [nobody.url().trim_end_matches("/keys").to_owned(), "https://no-such-name.invalid".to_owned()];
    let gateway = serving(&allow, LOOPBACK, "").await;
    for (url, why) in [(nobody.url(), "there is no connection"), ("https://no-such-name.invalid/".to_owned(), "there is no such host")] {
        assert_eq!(error(&fetch(&gateway, json!({ "url": url })).await), format!("unreachable {why}"));
    }
    assert!(shown(&gateway, &["--event", "egress.denied"]).is_empty(), "the world says no, and not the gateway");
}

#[tokio::test]
async fn r20_sockets_are_refused_beside_granted_requests() {
    let upstream = Upstream::plain().await;
    let allow = [format!("http://127.0.0.1:{}", upstream.port())];
    let settings = format!("[grants.misbehave]\nplugin = \"misbehave\"\n[grants.misbehave.http]\nallow = {}\n{LOOPBACK}", json!(allow));
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], settings, ..Setup::default() }).await;
    beside(&gateway.plugins, "misbehave", &format!("[asks]\nhttp = {}\n", json!(allow)));
    eventually("its side file counts", SOON, async || gateway.log().contains("plugin replaced").then_some(())).await;
    let connected = gateway.modern(Modern::call("connect", json!({ "address": format!("127.0.0.1:{}", upstream.port()) }))).await;
    assert_eq!(connected.result()["isError"], true, "{connected:?}");
    assert_eq!(upstream.came(), 0);
}

/// The hosts of case R21, in URLs.
const R21: [&str; 14] = [
    "127.0.0.1",
    "[::1]",
    "0.0.0.0",
    "169.254.169.254",
    "10.0.0.1",
    "100.64.0.1",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[fec0::1]",
    "2130706433",
    "0x7f.1",
    "localhost.",
];

#[tokio::test]
async fn r21_no_host_but_the_granted_one_gets_a_packet() {
    let upstream = Upstream::plain().await;
    let port = upstream.port();
    let gateway = serving(&[format!("http://example.test:{port}")], LOOPBACK, "").await;
    for host in R21 {
        let word = if R21.iter().position(|known| *known == host) < Some(11) { "host" } else { "host_malformed" };
        let fetched = fetch(&gateway, json!({ "url": format!("http://{host}:{port}/") })).await;
        assert_eq!(error(&fetched), format!("denied {word}"), "{host}");
        let sent = send(&gateway, json!({ "scheme": "http", "authority": format!("{host}:{port}") })).await;
        assert_eq!(error(&sent), "ErrorCode::HttpRequestDenied", "{host}");
    }
    assert_eq!(upstream.came(), 0);
    let denied = events(&gateway, "egress.denied", 28).await;
    assert_eq!(by_reason(&denied), BTreeMap::from([("host".to_owned(), 22), ("host_malformed".to_owned(), 6)]));
    assert!(denied.iter().any(|event| event["target"] == format!("sender GET http://169.254.169.254:{port}")), "{denied:?}");
    assert!(
        denied.iter().all(|event| event["tenant"] == "default" && event["component"].as_str().is_some_and(|sha| sha.len() == 64)),
        "{denied:?}"
    );
    whole(&gateway);
}

/// Who is granted a host is not granted its machine: an address that is not public has to be named for itself.
#[tokio::test]
async fn r21_granted_hosts_with_addresses_that_are_not_public_get_none_either() {
    let upstream = Upstream::plain().await;
    let port = upstream.port();
    let hosts: Vec<_> = R21.iter().take(11).chain(&["localhost"]).collect();
    let allow: Vec<_> = hosts.iter().map(|host| format!("http://{host}:{port}")).collect();
    let gateway = serving(&allow, "private_addresses = [\"10.9.0.0/16\", \"::1\"]\n", "").await;
    for host in hosts.into_iter().filter(|host| **host != "[::1]") {
        let fetched = fetch(&gateway, json!({ "url": format!("http://{host}:{port}/") })).await;
        assert_eq!(error(&fetched), "denied address", "{host}");
        let sent = send(&gateway, json!({ "scheme": "http", "authority": format!("{host}:{port}") })).await;
        assert_eq!(error(&sent), "ErrorCode::DestinationIpProhibited", "{host}");
    }
    assert_eq!(upstream.came(), 0);
    assert_eq!(by_reason(&events(&gateway, "egress.denied", 22).await), BTreeMap::from([("address".to_owned(), 22)]));
}

#[tokio::test]
async fn r23_a_redirect_is_handed_to_the_guest() {
    let upstream = Upstream::plain().await;
    let allow = [format!("http://127.0.0.1:{}", upstream.port()), "http://169.254.169.254".to_owned()];
    let gateway = serving(&allow, &LOOPBACK.replace(']', ", \"169.254.169.254\"]"), "").await;
    let fetched = fetch(&gateway, json!({ "url": format!("http://127.0.0.1:{}/redirect", upstream.port()) })).await;
    let sent =
        send(&gateway, json!({ "scheme": "http", "authority": format!("127.0.0.1:{}", upstream.port()), "path": "/redirect" })).await;
    for answer in [fetched, sent] {
        let location = &answer["headers"]["location"];
        assert_eq!((&answer["status"], location), (&json!(302), &json!("http://169.254.169.254/latest/meta-data/")), "{answer}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn what_of_a_request_is_not_granted_is_named() {
    let upstream = Upstream::plain().await;
    let port = upstream.port();
    let gateway = serving(&[format!("GET,POST http://localhost:{port}")], LOOPBACK, "").await;
    for (method, url, word) in [
        ("GET", format!("http://127.0.0.1:{port}/"), "denied host"),
        ("GET", format!("https://localhost:{port}/"), "denied scheme"),
        ("GET", "http://localhost/".to_owned(), "denied port"),
        ("PUT", format!("http://localhost:{port}/"), "denied method"),
        ("CONNECT", format!("http://localhost:{port}/"), "denied method"),
        ("TRACE", format!("http://localhost:{port}/"), "denied method"),
        ("get", format!("http://localhost:{port}/"), "denied method"),
        ("GET", format!("http://user@localhost:{port}/"), "invalid its URL names a user; there are header fields for that"),
        ("GET", format!("ftp://localhost:{port}/"), "invalid its URL is neither of http nor of https"),
        ("GET", "/".to_owned(), "invalid its URL is neither of http nor of https"),
        ("G T", format!("http://localhost:{port}/"), "invalid this is no method"),
    ] {
        assert_eq!(error(&fetch(&gateway, json!({ "method": method, "url": url })).await), word, "{method} {url}");
    }
    for name in ["Host", "connection", "Transfer-Encoding", "te", "trailer", "upgrade", "expect", "proxy-authorization", "content-length"] {
        let fetched = fetch(&gateway, json!({ "url": format!("http://localhost:{port}/"), "headers": { name: "x" } })).await;
        assert_eq!(error(&fetched), "invalid a header field is the host's to set", "{name}");
    }
    for name in ["Host", "connection", "Transfer-Encoding", "te", "trailer", "upgrade", "expect", "proxy-authorization"] {
        let sent = send(&gateway, json!({ "scheme": "http", "authority": format!("localhost:{port}"), "headers": { name: "x" } })).await;
        assert_eq!(error(&sent), "header: HeaderError::Forbidden", "{name}");
    }
    assert_eq!(upstream.came(), 0);
    let fetched = fetch(&gateway, json!({ "method": "POST", "url": format!("http://LOCALHOST:{port}/") })).await;
    assert_eq!(fetched["status"], 200, "{fetched}");
}

/// Who asks for less than is granted gets less, and who asks for more not more.
#[tokio::test]
async fn what_is_in_force_is_what_both_say_and_follows_both() {
    let upstream = Upstream::plain().await;
    let url = format!("http://127.0.0.1:{}/", upstream.port());
    let allow = [format!("http://127.0.0.1:{}", upstream.port())];
    let gateway = serving(&allow, LOOPBACK, "").await;
    assert_eq!(fetch(&gateway, json!({ "url": url })).await["status"], 200);
    asking(&gateway, &[format!("POST http://127.0.0.1:{}", upstream.port()), "https://api.example.com".to_owned()]).await;
    eventually("the other side file counts", SOON, async || {
        let got = fetch(&gateway, json!({ "url": url })).await;
        (got["error"] == "denied method").then_some(())
    })
    .await;
    assert_eq!(error(&fetch(&gateway, json!({ "url": "https://api.example.com/" })).await), "denied host", "asking grants nothing");
    assert_eq!(fetch(&gateway, json!({ "url": url, "method": "POST" })).await["status"], 200);
    gateway.set(&granting(&[format!("GET http://127.0.0.1:{}", upstream.port())], LOOPBACK));
    let (code, said) = gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(error(&fetch(&gateway, json!({ "url": url, "method": "POST" })).await), "denied not_granted", "nothing is in both");
    gateway.set("");
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(error(&fetch(&gateway, json!({ "url": url, "method": "POST" })).await), "denied not_granted");
}

const CANARY: &str = "Bearer canary-4f1c9e";

#[tokio::test]
async fn r26_what_the_operator_adds_is_nowhere_but_at_its_host() {
    let place = tempfile::tempdir().expect("a directory");
    let (upstream, (tls, ca), other) = (Upstream::plain().await, Upstream::tls(&["localhost"]).await, Upstream::plain().await);
    secret(&place.path().join("key"), &format!("{CANARY}\n"));
    fs::write(place.path().join("ca.pem"), ca).expect("written");
    let at = |name: &str| place.path().join(name).display().to_string();
    let allow = [
        format!("http://127.0.0.1:{}", upstream.port()),
        format!("https://localhost:{}", tls.port()),
        format!("http://localhost:{}", other.port()),
    ];
    let credential = |host: &str, more: &str| {
        ["sender", "fetcher"].map(|plugin| {
            format!("[grants.{plugin}.http.credentials.\"{host}\"]\nheader = \"Authorization\"\nfile = {:?}\n{more}\n", at("key"))
        })
    };
    let (clear, sealed) = (credential("127.0.0.1", "in_clear = true"), credential("localhost", ""));
    let collector = Collector::start(Takes::Everything).await;
    let settings = format!(
        "{}{}{}{}[log]\nfilter = \"trace\"\n{}",
        granting(&allow, &format!("{LOOPBACK}ca_file = {:?}\n", at("ca.pem"))),
        clear.concat(),
        sealed.concat(),
        "",
        collector.settings("")
    );
    let gateway = Gateway::with(Setup { fixtures: vec!["sender", "fetcher"], settings, ..Setup::default() }).await;
    asking(&gateway, &allow).await;

    let dumped = gateway
        .modern(Modern::call("dump", json!({
            "scheme": "http", "authority": format!("127.0.0.1:{}", upstream.port()), "headers": { "authorization": "its own", "x-own": "1" }
        })))
        .await;
    assert_eq!(dumped.result()["structuredContent"]["answer"]["status"], 200, "{dumped:?}");
    let received = upstream.request(1).await;
    assert_eq!(received.field("authorization").as_deref(), Some(CANARY), "in place of the guest's own");
    assert_eq!(received.field("x-own").as_deref(), Some("1"));
    let fetched = fetch(&gateway, json!({ "url": format!("https://localhost:{}/", tls.port()) })).await;
    assert_eq!((&fetched["status"], tls.request(1).await.field("authorization").as_deref()), (&json!(200), Some(CANARY)));
    // Never in the clear, unless that is said.
    let refused = fetch(&gateway, json!({ "url": format!("http://localhost:{}/", other.port()) })).await;
    assert_eq!((error(&refused), other.came()), ("denied credential", 0));

    let denied = events(&gateway, "egress.denied", 1).await;
    collector.trace("the last request", |span| span.name == "tools/call fetch").await;
    let canary = CANARY.trim_start_matches("Bearer ");
    let traces = String::from_utf8_lossy(&collector.bytes()).into_owned();
    for (what, text) in [
        ("what the guest sees", dumped.text.clone()),
        ("the answers", format!("{fetched}{refused}{denied:?}")),
        ("the log", gateway.log()),
        ("the journal", whole(&gateway)),
        ("traces", traces),
    ] {
        assert!(!text.contains(canary), "{what}: {text}");
    }
    // The file counts as it is at a reading.
    secret(&place.path().join("key"), "Bearer another");
    assert_eq!(gateway.reload().await.0, 0);
    let fetched = fetch(&gateway, json!({ "url": format!("https://localhost:{}/", tls.port()) })).await;
    assert_eq!((&fetched["status"], tls.request(2).await.field("authorization").as_deref()), (&json!(200), Some("Bearer another")));
    for (text, mode, wrong) in
        [("Bearer x", 0o644, "others than its owner"), ("", 0o600, "it is empty"), ("two\nlines", 0o600, "one line of plain text")]
    {
        secret(&place.path().join("key"), text);
        fs::set_permissions(place.path().join("key"), fs::Permissions::from_mode(mode)).expect("set");
        let (code, said) = gateway.reload().await;
        assert!(code == 78 && said.contains("http.credentials.") && said.contains(wrong) && !said.contains("key"), "{said}");
    }
    let fetched = fetch(&gateway, json!({ "url": format!("https://localhost:{}/", tls.port()) })).await;
    assert_eq!(
        (&fetched["status"], tls.request(3).await.field("authorization").as_deref()),
        (&json!(200), Some("Bearer another")),
        "the last good one"
    );
}

/// A shared plugin may do for one tenant what it may not for another, and a tenant's own plugin of the same name is another plugin.
#[tokio::test]
async fn grants_are_of_tenants_and_directories() {
    let upstream = Upstream::plain().await;
    let pattern = format!("http://127.0.0.1:{}", upstream.port());
    let grant = |name: &str, plugin: &str, tenants: &str| {
        format!("[grants.{name}]\nplugin = \"{plugin}\"\n{tenants}\n[grants.{name}.http]\nallow = [\"{pattern}\"]\n{LOOPBACK}")
    };
    let settings = [grant("one", "sender", "tenants = [\"acme\"]"), grant("two", "umbrella/fetcher", "")].concat();
    let shared = Setup { fixtures: vec!["sender"], ..Setup::default() };
    let own = [("acme", fixture("fetcher")), ("umbrella", fixture("fetcher"))];
    let house = House::of(shared, &own, ("", "", &settings)).await;
    let asks = format!("[asks]\nhttp = [\"{pattern}\"]\n");
    beside(&house.gateway.plugins, "sender", &asks);
    beside(&house.place.path().join("acme"), "fetcher", &asks);
    beside(&house.place.path().join("umbrella"), "fetcher", &asks);
    for who in [ADA, OTHER_ADA] {
        eventually("both are served", SOON, async || {
            let tools = house.tools(who, "/mcp").await;
            (tools.contains(&"send".to_owned()) && tools.contains(&"fetch".to_owned())).then_some(())
        })
        .await;
    }
    let sends = async |who| {
        let call = Modern::call("send", json!({ "scheme": "http", "authority": format!("127.0.0.1:{}", upstream.port()) }));
        house.asks(who, call).await.result()["structuredContent"]["all"][0].clone()
    };
    let fetches = async |who| {
        house.asks(who, Modern::call("fetch", json!({ "url": format!("{pattern}/") }))).await.result()["structuredContent"].clone()
    };
    assert_eq!(sends(ADA).await["status"], 200);
    assert_eq!(error(&sends(OTHER_ADA).await), "ErrorCode::HttpRequestDenied");
    assert_eq!(error(&fetches(ADA).await), "denied not_granted");
    assert_eq!(fetches(OTHER_ADA).await["status"], 200);
    let denied = events(&house.gateway, "egress.denied", 2).await;
    let mut told: Vec<_> =
        denied.iter().map(|event| [&event["tenant"], &event["reason"]].map(|text| text.as_str().unwrap_or_default())).collect();
    told.sort_unstable();
    assert_eq!(told, [["acme", "not_granted"], ["umbrella", "not_granted"]]);
    assert!(denied.iter().all(|event| event["principal"].as_str().is_some_and(|who| who.ends_with(" ada"))), "{denied:?}");
}

#[tokio::test]
async fn requests_are_seen_in_traces_and_counted() {
    let upstream = Upstream::plain().await;
    let allow = [format!("http://127.0.0.1:{}", upstream.port())];
    let collector = Collector::start(Takes::Everything).await;
    let more = format!("{}{}", granting(&allow, LOOPBACK), collector.settings(""));
    let admin = Administered::with(Vec::new(), vec!["sender", "fetcher"], &more).await;
    asking(&admin.gateway, &allow).await;
    let url = format!("http://127.0.0.1:{}/status?secret=1", upstream.port());
    assert_eq!(fetch(&admin.gateway, json!({ "url": url })).await["status"], 404);
    let trace = collector.trace("the request", |span| span.name == "tools/call fetch").await;
    let (egress, guest) = (trace.part("egress"), trace.part("guest"));
    assert_eq!((&egress.parent, egress.failed), (&guest.id, false));
    let told = ["gatehouse.grant", "http.request.method", "http.response.status_code", "url.scheme"].map(|key| egress.of(key));
    assert_eq!(told, ["fetcher", "GET", "404", "http"], "{egress:?}");

    let before = admin.metrics().await.value("gatehouse_egress_denied_total", &[("reason", "host")]);
    let denied = send_all(&admin.gateway, json!({ "authority": "secret.example", "times": 3 })).await;
    assert_eq!(denied.len(), 3);
    let trace = collector.trace("the denied ones", |span| span.name == "tools/call send").await;
    let spans = trace.all("egress");
    assert!(spans.len() == 3 && spans.iter().all(|span| span.failed && span.of("error.type") == "host"), "{spans:?}");
    assert_eq!(admin.metrics().await.value("gatehouse_egress_denied_total", &[("reason", "host")]) - before, 3.0);
    let bytes = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(!bytes.contains("secret"), "neither a path nor a host of the guest's own words");
}

/// What a gateway that connects to nobody has given up at its start, it does not get back by other settings.
#[tokio::test]
async fn the_first_grant_needs_a_restart_where_the_kernel_holds_the_process() {
    let gateway = Gateway::with(Setup { fixtures: vec!["misbehave"], ..Setup::default() }).await;
    gateway.set(&granting(&["https://api.example.com".to_owned()], ""));
    let (code, said) = gateway.reload().await;
    if gateway.log().contains("the kernel holds this process to the files") {
        assert!(code == 78 && said.contains("grants: http needs connections") && said.contains("restart"), "{code} {said}");
    } else {
        assert_eq!(code, 0, "{said}");
    }
}
