//! The admin listener: nobody without its token is told anything, the public listener serves nothing of it, and what it does is done.

use super::clients::installed;
use super::command::Place;
use super::metrics::Page;
use crate::harness::{Answer, Gateway, Modern, Setup, eventually, fixture, raw, root};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// For a client that sends some hundred requests.
const CLIENT_LIMIT: Duration = Duration::from_secs(240);
/// Paths that the gateway has on one listener or the other, and some that it has on none.
const PATHS: [&str; 21] = [
    "/metrics",
    "/v1",
    "/v1/",
    "/v1/status",
    "/v1/tenants",
    "/v1/servers",
    "/v1/plugins",
    "/v1/sessions",
    "/v1/usage",
    "/v1/revocations",
    "/v1/revocations/0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
    "/v1/reload",
    "/v1/log",
    "/v1/openapi.json",
    "/v1/status/",
    "/V1/status",
    "//v1/status",
    "/admin",
    "/admin/v1/status",
    "/debug/pprof",
    "/",
];

/// Random, as `openssl rand -hex 32` makes it.
pub(super) fn random_token() -> String {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_token(file: &Path, token: &str, mode: u32) {
    fs::write(file, format!("{token}\n")).expect("written");
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// A gateway with an admin listener.
pub(super) struct Administered {
    pub(super) gateway: Gateway,
    pub(super) token: String,
    /// Where the admin listener is: host and port.
    pub(super) address: String,
    file: PathBuf,
    _place: tempfile::TempDir,
}

impl Administered {
    /// With these plugins and fixtures, and these settings beside those of the listener.
    pub(super) async fn with(plugins: Vec<&'static str>, fixtures: Vec<&'static str>, more: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let (file, token) = (place.path().join("admin-token"), random_token());
        write_token(&file, &token, 0o600);
        let gateway = Gateway::with(Setup { plugins, fixtures, settings: section(&file, more) }).await;
        let address = eventually("the admin listener", SOON, async || {
            let log = gateway.log();
            let (_, rest) = log.split_once("the admin listener answers address=")?;
            Some(rest.split_whitespace().next()?.to_owned())
        });
        let address = address.await;
        Self { gateway, token, address, file, _place: place }
    }

    pub(super) async fn start(more: &str) -> Self {
        Self::with(vec!["text-toolbox"], Vec::new(), more).await
    }

    /// Puts other settings in place, beside those of the listener.
    pub(super) fn set(&self, more: &str) {
        self.gateway.set(&section(&self.file, more));
    }

    pub(super) fn ask(&self, verb: Method, path: &str) -> RequestBuilder {
        self.gateway.client.request(verb, format!("http://{}{path}", self.address))
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path).bearer_auth(&self.token)
    }

    pub(super) async fn json(&self, path: &str) -> Value {
        let answer = Answer::of(self.get(path)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{path}: {answer:?}");
        answer.message().clone()
    }

    async fn reload(&self) -> Answer {
        Answer::of(self.ask(Method::POST, "/v1/reload").bearer_auth(&self.token)).await
    }

    pub(super) async fn revoke(&self, body: impl Into<String>) -> Answer {
        let request = self.ask(Method::POST, "/v1/revocations").bearer_auth(&self.token).header("content-type", "application/json");
        Answer::of(request.body(body.into())).await
    }

    pub(super) async fn restore(&self, id: &str) -> Answer {
        Answer::of(self.ask(Method::DELETE, &format!("/v1/revocations/{id}")).bearer_auth(&self.token)).await
    }

    async fn set_log(&self, body: impl Into<String>) -> Answer {
        let request = self.ask(Method::PUT, "/v1/log").bearer_auth(&self.token).header("content-type", "application/json");
        Answer::of(request.body(body.into())).await
    }

    pub(super) async fn metrics(&self) -> Page {
        let answer = Answer::of(self.get("/metrics")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
        Page::read(&answer.text)
    }
}

fn section(file: &Path, more: &str) -> String {
    format!("{more}\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = {file:?}\n")
}

/// A problem in the words of RFC 9457.
pub(super) fn problem(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let told: Value = serde_json::from_str(&answer.text).expect("JSON");
    let members: BTreeSet<_> = told.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["detail", "status", "title", "type"]));
    assert_eq!(told["status"], answer.status);
    (answer.status, told["detail"].as_str().expect("text").to_owned())
}

#[tokio::test]
async fn nobody_without_the_token_is_told_anything() {
    let admin = Administered::start("").await;
    let good = format!("Bearer {}", admin.token);
    let wrong = format!("Bearer {}", random_token());
    let (short, long) = (good[..good.len() - 1].to_owned(), format!("{good}0"));
    for path in PATHS.into_iter().chain(["/readyz", "/mcp", "/nothing"]) {
        for header in [None, Some(&wrong), Some(&short), Some(&long), Some(&admin.token), Some(&"Basic YTpi".to_owned())] {
            let request = header.iter().fold(admin.ask(Method::GET, path), |request, value| request.header("authorization", *value));
            let answer = Answer::of(request).await;
            assert_eq!(problem(&answer).0, if answer.status == 429 { 429 } else { 401 }, "{path} {header:?}");
            assert!(answer.status == 429 || answer.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        }
    }
    let twice = admin.get("/v1/status").header("authorization", &good);
    assert_eq!(Answer::of(twice).await.status / 100, 4, "two tokens are none");
    let query = admin.ask(Method::GET, &format!("/v1/status?token={}", admin.token));
    assert_eq!(Answer::of(query).await.status / 100, 4, "a token in the address is none");
    assert_eq!(Answer::of(admin.ask(Method::GET, "/healthz")).await.text, "ok\n");
    assert_eq!(Answer::of(admin.get("/v1/status")).await.status, 200);
    assert_eq!(problem(&Answer::of(admin.get("/nothing")).await).0, 404);
    let verb = Answer::of(admin.ask(Method::DELETE, "/v1/log").bearer_auth(&admin.token)).await;
    assert_eq!((problem(&verb).0, verb.header("allow")), (405, Some("GET, PUT")));
    assert_eq!(Answer::of(admin.ask(Method::POST, "/healthz")).await.status, 405);
}

/// Whoever tries is told to wait; the token goes on to count.
#[tokio::test]
async fn who_tries_tokens_is_slowed() {
    let admin = Administered::start("[limits]\nauth_failures_per_minute_max = 3\n").await;
    let wrong = random_token();
    let tries = async || Answer::of(admin.ask(Method::GET, "/v1/status").bearer_auth(&wrong)).await;
    for _ in 0..3 {
        assert_eq!(tries().await.status, 401);
    }
    let slowed = tries().await;
    assert_eq!((problem(&slowed).0, slowed.header("retry-after").is_some()), (429, true));
    assert_eq!(Answer::of(admin.get("/v1/status")).await.status, 200);
    // The public listener counts for itself.
    assert_eq!(admin.gateway.call("echo", json!({ "message": "x" })).await.status, 200);
    assert_eq!(admin.metrics().await.value("gatehouse_auth_failures_total", &[("reason", "admin")]), 4.0);
}

/// DNS rebinding, and names that clients of the public listener may use.
#[tokio::test]
async fn only_this_machine_is_a_host() {
    let admin = Administered::start("[http]\nallowed_hosts = [\"mcp.example\"]\nallowed_origins = [\"https://app.example\"]\n").await;
    for host in ["evil.example", "mcp.example", "127.0.0.2", "localhost.evil.example"] {
        assert_eq!(problem(&Answer::of(admin.get("/v1/status").header("host", host)).await).0, 403, "{host}");
    }
    for origin in ["https://app.example", "http://evil.example", "null"] {
        let answer = Answer::of(admin.get("/v1/status").header("origin", origin)).await;
        assert_eq!(problem(&answer).0, 403, "{origin}");
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    assert_eq!(Answer::of(admin.get("/v1/status").header("host", "localhost:1")).await.status, 200);
    let without = format!("GET /v1/status HTTP/1.1\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", admin.token);
    assert_eq!(raw::status(&admin.address, without).await, 400);
    let long = format!("/v1/status?{}", "a".repeat(9_000));
    assert_eq!(problem(&Answer::of(admin.get(&long)).await).0, 414);
}

/// Each listener has its own paths, and nothing of the other's but health.
#[tokio::test]
async fn the_listeners_share_nothing_but_health() {
    let admin = Administered::start("[servers.one]\ntools = [\"echo\"]\n").await;
    for verb in
        ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"].map(|verb| Method::from_bytes(verb.as_bytes()).expect("a method"))
    {
        for path in PATHS {
            let request = admin.gateway.client.request(verb.clone(), format!("{}{path}", admin.gateway.origin));
            let answer = Answer::of(request.bearer_auth(&admin.token)).await;
            assert_eq!(answer.status, 404, "{verb} {path} of the public listener: {answer:?}");
        }
        for path in
            ["/mcp", "/mcp/", "/servers/one/mcp", "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]
        {
            let answer = Answer::of(admin.ask(verb.clone(), path).bearer_auth(&admin.token)).await;
            assert_eq!(answer.status, 404, "{verb} {path} of the admin listener: {answer:?}");
        }
    }
    // The token is none of the public listener's.
    let as_client = Modern::call("echo", json!({ "message": "x" })).header("authorization", format!("Bearer {}", admin.token));
    assert_eq!(admin.gateway.modern(as_client).await.status, 200, "nobody asks for one there");
    for origin in [&admin.gateway.origin, &format!("http://{}", admin.address)] {
        let ready = Answer::of(admin.gateway.client.get(format!("{origin}/readyz")).bearer_auth(&admin.token)).await;
        assert_eq!((ready.status, &ready.message()["ready"]), (200, &json!(true)));
    }
}

#[test]
fn settings_that_would_open_it_are_refused() {
    let place = Place::new();
    let good = random_token();
    let file = |name: &str, token: &str, mode: u32| write_token(&place.path().join(name), token, mode);
    file("good", &good, 0o600);
    file("weak", "correct-horse-battery-staple-secret-password", 0o600);
    file("short", &good[..31], 0o600);
    file("repeated", &"ab".repeat(32), 0o600);
    file("spaced", &format!("{} {}", &good[..40], &good[20..]), 0o600);
    file("seen", &good, 0o644);
    file("grouped", &good, 0o660);
    let section = |listen: &str, token: &str| format!("[admin]\nlisten = \"{listen}\"\ntoken_file = \"{token}\"\n");
    let local = |token: &str| section("127.0.0.1:0", token);
    let table = [
        (section("0.0.0.0:9090", "good"), "line 2: admin.listen: 0.0.0.0:9090 can be reached from other machines"),
        (section("192.0.2.1:9090", "good"), "can be reached from other machines"),
        (section("[::]:9090", "good"), "can be reached from other machines"),
        (section("127.0.0.1:18080", "good"), "admin.listen: is where clients are served"),
        (section("localhost:9090", "good"), "admin.listen: must be an address with a port"),
        ("[admin]\ntoken_file = \"good\"\n".to_owned(), "admin.listen: must be given"),
        ("[admin]\nlisten = \"127.0.0.1:0\"\n".to_owned(), "admin.token_file: must be given"),
        ("[admin]\n".to_owned(), "admin.token_file: must be given"),
        (local("good") + "tokens = 1\n", "admin.tokens: there is no such setting"),
        (local("missing"), "admin.token_file: it cannot be read"),
        (local("."), "admin.token_file: it is no file"),
        (local("weak"), "admin.token_file: the secret is"),
        (local("short"), "admin.token_file: the secret is shorter than 32 bytes"),
        (local("repeated"), "admin.token_file: the secret is not random"),
        (local("spaced"), "admin.token_file: it has bytes that no bearer token has"),
        (local("seen"), "admin.token_file: others than its owner can read"),
        (local("grouped"), "admin.token_file: others than its owner can read"),
    ];
    for (settings, reason) in table {
        place.settings(&settings);
        let ran = place.run(&["serve", "--listen", "127.0.0.1:18080"]);
        assert!(ran.code == 78 && ran.err.contains(reason), "{settings}: {ran:?}");
        assert!(![&ran.out, &ran.err].iter().any(|text| text.contains(&good[..31])), "{settings}");
    }
}

/// New settings, and a new token with them.
#[tokio::test]
async fn settings_are_read_again_by_request() {
    let mut admin = Administered::start("[servers.one]\ntools = [\"echo\"]\n[gateway]\nwatch_settings = false\n").await;
    assert_eq!(admin.json("/v1/status").await["last_reload"], Value::Null);
    let two = "[servers.two]\ntools = [\"echo\"]\n[gateway]\nwatch_settings = false\n";
    admin.set(two);
    let answer = admin.reload().await;
    assert!(answer.status == 200 && answer.text.contains("the settings are in force (generation 2)"), "{answer:?}");
    let status = admin.json("/v1/status").await;
    assert_eq!((&status["generation"], &status["last_reload"]["ok"]), (&json!(2), &json!(true)));
    let servers = admin.json("/v1/servers").await;
    assert_eq!(
        servers["servers"][1],
        json!({
            "tenant": "default", "id": "two", "path": "/servers/two/mcp", "tools": 1, "resources": 0, "resource_templates": 0, "prompts": 0,
        })
    );
    admin.set("[servers.two]\ntools = 7\n");
    let (status, detail) = problem(&admin.reload().await);
    assert!(status == 422 && detail.contains("servers.two.tools"), "{detail}");
    assert_eq!(admin.json("/v1/status").await["last_reload"]["ok"], false);
    // A token that can be read by others is not taken, and the one before goes on.
    let new = random_token();
    admin.set(two);
    write_token(&admin.file, &new, 0o644);
    assert_eq!(admin.reload().await.status, 422);
    write_token(&admin.file, &new, 0o600);
    assert_eq!(admin.reload().await.status, 200);
    assert_eq!(Answer::of(admin.get("/v1/status")).await.status, 401);
    admin.token = new;
    assert_eq!(admin.json("/v1/status").await["generation"], 3);
    // Without the section nobody may any more.
    admin.gateway.set(two);
    let (code, said) = admin.gateway.reload().await;
    assert!(code == 0 && said.contains("admin.listen"), "{said}");
    assert_eq!(Answer::of(admin.get("/v1/status")).await.status, 401);
    let page = admin.gateway.log();
    assert!(!page.contains(&admin.token));
}

/// What is logged changes at once; the token and ids of sessions are in none of it, whatever is logged.
#[tokio::test]
async fn the_log_filter_is_changed_by_request() {
    let admin = Administered::start("").await;
    let call = async |message: &str| assert_eq!(admin.gateway.call("echo", json!({ "message": message })).await.tool_text(), message);
    assert_eq!(admin.json("/v1/log").await, json!({ "filter": "info" }));
    call("before").await;
    assert_eq!(admin.set_log(r#"{"filter":"info,gatehouse=debug"}"#).await.message(), &json!({ "filter": "info,gatehouse=debug" }));
    call("after").await;
    eventually("the line of a call", SOON, async || admin.gateway.log().contains("outcome=\"result\"").then_some(())).await;
    assert_eq!(admin.gateway.log().matches("outcome=\"result\"").count(), 1, "the first call was not logged");
    let long = format!(r#"{{"filter":"{}"}}"#, "info,".repeat(1_000));
    for (body, reason) in [
        ("", "no JSON"),
        ("{", "no JSON"),
        (r#"{"filter":"info","filter":"debug"}"#, "no JSON"),
        (r#"{"filter":"info","more":1}"#, "not as described"),
        (r#"{"filter":7}"#, "not as described"),
        ("{}", "not as described"),
        ("[]", "not as described"),
        (r#"{"filter":"gatehouse=loud"}"#, "no log filter"),
        (&long, "4096 bytes at most"),
    ] {
        let (status, detail) = problem(&admin.set_log(body).await);
        assert!(status == 400 && detail.contains(reason), "{body}: {detail}");
    }
    assert_eq!(problem(&admin.set_log("x".repeat(70_000)).await).0, 413);
    let plain = admin.ask(Method::PUT, "/v1/log").bearer_auth(&admin.token).header("content-type", "text/plain").body("{}");
    assert_eq!(problem(&Answer::of(plain).await).0, 415);
    assert_eq!(admin.json("/v1/log").await["filter"], "info,gatehouse=debug");

    assert_eq!(admin.set_log(r#"{"filter":"trace"}"#).await.status, 200);
    let session = admin.gateway.session("2025-11-25").await;
    let wrong = random_token();
    Answer::of(admin.ask(Method::GET, "/v1/status").bearer_auth(&wrong)).await;
    let pages = [admin.json("/v1/sessions").await.to_string(), admin.json("/v1/status").await.to_string()].concat();
    call("traced").await;
    assert_eq!(admin.set_log(r#"{"filter":"off,gatehouse=warn"}"#).await.status, 200);
    // Lines come in their order, so that with this one all before it are there.
    let log =
        eventually("the last line", SOON, async || Some(admin.gateway.log()).filter(|log| log.contains("filter=off,gatehouse=warn"))).await;
    assert_eq!(log.matches("outcome=\"result\"").count(), 2, "the call was logged");
    for secret in [&admin.token, &wrong, &session] {
        assert!(!log.contains(secret.as_str()) && !pages.contains(secret.as_str()));
    }
}

#[tokio::test]
async fn sessions_are_shown_page_by_page() {
    let settings = format!("[tenants.default]\n[tenants.acme]\ncalls_in_flight_max = 7\n[policies.p]\nfile = {:?}\n", fixture("verdict"));
    let admin = Administered::start(&settings).await;
    for _ in 0..7 {
        admin.gateway.session("2025-06-18").await;
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = admin.json(&format!("/v1/sessions?limit=3{after}")).await;
        let sessions = page["sessions"].as_array().expect("a list");
        assert!(sessions.len() <= 3);
        for session in sessions {
            assert_eq!(
                (&session["tenant"], &session["revision"], &session["subject"]),
                (&json!("default"), &json!("2025-06-18"), &Value::Null)
            );
            assert!(session["age_s"].is_u64() && session["idle_s"].is_u64());
            seen.push(session["id"].as_str().expect("an id").to_owned());
        }
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!((pages, seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (3, 7, 7));
    assert_eq!(admin.json("/v1/sessions?tenant=acme").await, json!({ "sessions": [], "next": null }));
    assert_eq!(admin.json("/v1/sessions?tenant=default").await["sessions"].as_array().map(Vec::len), Some(7));
    for query in ["tenant=A", "tenant=a&tenant=b", "after=x", "limit=0", "limit=1001", "limit=+1", "limit=", "order=asc", "a", "tenant=%61"]
    {
        assert_eq!(problem(&Answer::of(admin.get(&format!("/v1/sessions?{query}"))).await).0, 400, "{query}");
    }
    let tenants = admin.json("/v1/tenants").await;
    assert_eq!(
        tenants["tenants"],
        json!([
            { "id": "acme", "isolation": "shared", "calls_in_flight": 0, "calls_in_flight_max": 7, "sessions": 0 },
            { "id": "default", "isolation": "shared", "calls_in_flight": 0, "calls_in_flight_max": 256, "sessions": 7 },
        ])
    );
    assert_eq!(Answer::of(admin.get("/v1/tenants?x=1")).await.status, 400, "this takes no query");
    let fat = admin.get("/v1/tenants").body("x");
    assert_eq!(Answer::of(fat).await.status, 400, "nor a body");
}

#[tokio::test]
async fn plugins_are_shown_with_their_problems() {
    let admin = Administered::start("").await;
    admin.gateway.drop_in("broken", b"\0asm, or not");
    let shown = eventually("the problem", SOON, async || {
        let shown = admin.json("/v1/plugins").await;
        (!shown["problems"].as_array().expect("a list").is_empty()).then_some(shown)
    });
    let shown = shown.await;
    assert_eq!((&shown["problems"][0]["plugin"], &shown["problems"][0]["last_good_serves"]), (&json!("broken"), &json!(false)));
    let plugin = &shown["plugins"][0];
    assert_eq!((&plugin["name"], &plugin["tenant"]), (&json!("text-toolbox"), &Value::Null));
    assert!(
        plugin["tools"].as_array().expect("a list").contains(&json!("echo"))
            && plugin["sha256"].as_str().is_some_and(|hash| hash.len() == 64)
    );
    let page = admin.metrics().await;
    assert_eq!(page.value("gatehouse_plugins", &[("state", "problem")]), 1.0);
    assert_eq!(page.value("gatehouse_plugin_rejected_total", &[("reason", "component")]), 1.0);
}

/// What is answered has the members that the description says, and no others.
#[tokio::test]
async fn answers_are_as_described() {
    let admin = Administered::start("[servers.one]\ntools = [\"echo\"]\n").await;
    admin.gateway.session("2025-11-25").await;
    admin.gateway.drop_in("broken", b"\0asm, or not");
    eventually("the problem", SOON, async || {
        let shown = admin.json("/v1/plugins").await;
        (!shown["problems"].as_array().expect("a list").is_empty()).then_some(())
    })
    .await;
    assert_eq!(admin.reload().await.status, 200);
    assert_eq!(admin.revoke(r#"{"target":{"kind":"tool","tool":"x","server":"one"}}"#).await.status, 200);
    assert_eq!(admin.gateway.call("echo", json!({ "message": "x" })).await.status, 200);
    let described = admin.json("/v1/openapi.json").await;
    let source = fs::read_to_string(root().join("host/src/http/admin/openapi.json")).expect("it is there");
    assert_eq!(described, serde_json::from_str::<Value>(&source).expect("JSON"));
    let mut looked = 0;
    for (path, item) in described["paths"].as_object().expect("paths") {
        let Some(schema) = item["get"].pointer("/responses/200/content/application~1json/schema") else { continue };
        fits(&described, schema, &admin.json(path).await, path);
        looked += 1;
    }
    assert_eq!(looked, 10);
    let refused = Answer::of(admin.get("/nothing")).await;
    let told = serde_json::from_str(&refused.text).expect("JSON");
    fits(&described, &described["components"]["schemas"]["Problem"], &told, "a problem");
}

/// Somebody else's reader of descriptions sends what ours allows and what it forbids, with the token and without, and compares the answers.
#[tokio::test]
async fn a_client_of_the_description_finds_nothing_wrong() {
    let admin = Administered::start("[limits]\nauth_failures_per_minute_max = 1000000\n").await;
    let work = tempfile::tempdir().expect("a directory");
    let mut client = tokio::process::Command::new(installed("target/clients/python/bin/schemathesis"));
    client.args([
        "run",
        &format!("http://{}/v1/openapi.json", admin.address),
        "--header",
        &format!("Authorization: Bearer {}", admin.token),
    ]);
    // That a text is a log filter is more than a schema can say.
    client.args(["--checks", "all", "--exclude-checks", "positive_data_acceptance"]);
    client.args(["--max-examples", "40", "--seed", "7", "--no-color", "--generation-database", "none"]);
    let ran = client.current_dir(work.path()).stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let ran = tokio::time::timeout(CLIENT_LIMIT, ran).await.expect("it ends in time").expect("it starts");
    let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("Tested: 15"), "each operation that takes something, or answers: {said}");
    assert_eq!(admin.metrics().await.value("gatehouse_panics_total", &[]), 0.0);
}

/// As much of JSON Schema as the description uses.
pub(super) fn fits(described: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = described.pointer(reference.trim_start_matches('#')).expect("a place of its own");
        return fits(described, target, value, place);
    }
    if let Some(either) = schema["oneOf"].as_array() {
        if let Some(kind) = value.get("kind") {
            let schema = either.iter().find(|schema| schema["properties"]["kind"]["const"] == *kind);
            return fits(described, schema.unwrap_or_else(|| panic!("{place}: {kind} is not described")), value, place);
        }
        let null = either.iter().any(|schema| schema["type"] == "null");
        return if value.is_null() { assert!(null, "{place}") } else { fits(described, &either[0], value, place) };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = &schema["type"];
    assert!(kinds.is_null() || kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind))), "{place}: {kind}");
    if let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, value) in members {
            fits(
                described,
                known.get(name).unwrap_or_else(|| panic!("{place}: {name} is not described")),
                value,
                &format!("{place}/{name}"),
            );
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        required.for_each(|name| assert!(members.contains_key(name), "{place}: {name} is missing"));
    }
    value.as_array().into_iter().flatten().for_each(|item| fits(described, &schema["items"], item, place));
}
