//! X12: secrets stay where they belong. A gateway that logs all that it can goes through good and bad requests, denials, broken settings and
//! crashes, and in the end what nobody but their owner may know is looked for in everything that it said and wrote.
//!
//! Secrets are the issuer's secret, the API key, tokens, and the settings of policies: they are nowhere at all. What a tool is sent and what
//! it answers are data and no secrets: they are in the answers to their own caller, and in the store, which keeps results until they were
//! fetched; never in the log, and in the journal by size and digest only.

use super::command::{Place, Serving};
use super::tokens::now_s;
use crate::harness::http2::{DATA, END_HEADERS, END_STREAM, HEADERS, Http2, block};
use crate::harness::{Answer, MODERN, Modern, call_params, count, eventually, fixture, initialize_params, plugin, raw, root, rpc};
use gatehouse_forge::{Signer, bits_flipped, claims, hostile, jwks, with};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

const PUBLIC: &str = "https://gate.example";
/// Of the issuer, for HS256. Random, so that it is taken for a secret.
const SECRET: &str = "vQ4r0kW9m1Zt7yB2uXc8Lh5nJs3Pd6GeFfTaRiKoNzMqY";
const POLICY: &str = "CANARY-POLICY-Hk3v9Qe2";
const ARGUMENT: &str = "CANARY-ARGUMENT-7Yw1Zb";

/// All that there is, but for what guests hand to WASI, which the engine would write.
const LOGGED: &str = "trace,wasmtime_wasi=debug";

/// Headers that a token does not belong into.
const ELSEWHERE: [&str; 14] = [
    "x-api-key",
    "cookie",
    "x-upstream-authorization",
    "proxy-authorization",
    "mcp-session-id",
    "last-event-id",
    "origin",
    "accept",
    "content-type",
    "traceparent",
    "host",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
];

fn base64_of(text: &str) -> String {
    gatehouse_forge::part(text)
}

/// A gateway, who may call it, and all that it ever answered.
struct World {
    place: Place,
    gateway: Serving,
    client: reqwest::Client,
    shared: Signer,
    key: String,
    section: String,
    /// Every token that was shown, and other secrets.
    secrets: Vec<String>,
    said: String,
}

impl World {
    fn settings(section: &str, policy: &str) -> String {
        let verdict = fixture("verdict").display().to_string();
        let cache = root().join("target/test-code-cache");
        format!(
            "[log]\nfilter = \"{LOGGED}\"\n[limits]\nauth_failures_per_minute_max = 100000\nstream_after_ms = 0\n\
             [plugins]\ncode_cache = {cache:?}\n[gateway]\npolicies = [\"p\", \"q\"]\nwatch_settings = false\n\
             [auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n{section}\n\
             [auth.issuers.shared]\nissuer = \"https://shared.example\"\nsecret_file = \"secret\"\n\
             [auth.issuers.keys]\nissuer = \"https://keys.example\"\njwks_file = \"jwks.json\"\n\
             [servers.one]\ntools = [\"*\"]\n\
             [policies.q]\nfile = \"{verdict}\"\nmode = \"dry-run\"\n[policies.q.settings]\nfail = \"trap\"\nknows = \"{POLICY}\"\n\
             [policies.p]\nfile = \"{verdict}\"\n[policies.p.settings]\nforbid = [\"hash\"]\nforbid_argument = \"{POLICY}\"\n{policy}\n"
        )
    }

    fn start() -> Self {
        let components = [("text-toolbox", plugin("text-toolbox")), ("misbehave", fixture("misbehave"))];
        let place = Place::with(&components);
        let made = place.run(&["token", "key", "bot", "--json"]).json();
        let text = |member: &str| made[member].as_str().expect("text").to_owned();
        let (key, section) = (text("key"), text("settings"));
        let (shared, signer) = (Signer::hs256("x", SECRET.as_bytes()).named(None), Signer::ed25519("k1", 7));
        fs::write(place.path().join("secret"), SECRET).expect("written");
        fs::write(place.path().join("jwks.json"), jwks(&[signer.jwk()])).expect("written");
        place.settings(&Self::settings(&section, ""));
        let gateway = place.serve(&[]);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        let secrets = vec![SECRET.to_owned(), base64_of(SECRET), key.clone(), POLICY.to_owned()];
        Self { place, gateway, client, shared, key, section, secrets, said: String::new() }
    }

    fn address(&self) -> String {
        self.gateway.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned()
    }

    /// A token that counts, made anew.
    fn token(&mut self, subject: &str, path: &str) -> String {
        let claims = claims("https://shared.example", &format!("{PUBLIC}{path}"), now_s());
        let token = self.shared.token(&with(&claims, &json!({ "sub": subject, "jti": self.secrets.len().to_string() })));
        self.shows(&token);
        token
    }

    /// Remembers a token that is shown: none of its parts may come up, but for the header, which says nothing.
    fn shows(&mut self, token: &str) {
        let parts = token.split('.').skip(1).filter(|part| part.len() >= 16).map(ToOwned::to_owned);
        self.secrets.extend(parts);
    }

    fn build(&self, request: &Modern, token: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{}", self.address(), request.path);
        let built = self.client.request(request.verb.clone(), url).body(request.body.to_string()).bearer_auth(token);
        request.headers.iter().fold(built, |built, (name, value)| built.header(name, value.as_slice()))
    }

    async fn hears(&mut self, request: reqwest::RequestBuilder) -> Answer {
        let answer = Answer::of(request).await;
        self.said += &format!("{:?}\n{}\n", answer.headers, answer.text);
        answer
    }

    async fn asks(&mut self, request: Modern, token: &str) -> Answer {
        let request = self.build(&request, token);
        self.hears(request).await
    }

    async fn posts(&mut self, session: Option<&str>, token: &str, body: &Value) -> Answer {
        let request = self.client.post(&self.gateway.url).bearer_auth(token).header("content-type", "application/json");
        let request = request.header("accept", "application/json, text/event-stream").body(body.to_string());
        let request = session.iter().fold(request, |request, session| request.header("mcp-session-id", *session));
        self.hears(request).await
    }

    /// Good requests of both eras, and tools that fail in every way.
    async fn goes_on_well(&mut self) {
        let (token, key) = (self.token("ada", "/mcp"), self.key.clone());
        for shown in [&token, &key] {
            let answer = self.asks(Modern::call("echo", json!({ "message": ARGUMENT })), shown).await;
            assert_eq!(answer.tool_text(), ARGUMENT, "an answer is its caller's");
            for request in [
                Modern::new("tools/list", json!({})),
                Modern::new("server/discover", json!({})),
                Modern::call("caller", json!({})),
                Modern::call("env", json!({})),
                Modern::call("trap", json!({})),
                Modern::call("panic", json!({})),
                Modern::call("exit", json!({ "code": 3 })),
                Modern::call("recurse", json!({})),
                Modern::call("fail_internal", json!({})),
                Modern::call("fail_arguments", json!({})),
                Modern::call("bad_structured", json!({})),
                Modern::call("bad_utf8", json!({})),
                Modern::call("read_file", json!({ "path": format!("/{ARGUMENT}") })),
                Modern::call("connect", json!({ "address": format!("{ARGUMENT}:1") })),
                Modern::call("json_query", json!({ "json": format!("{{{ARGUMENT}"), "query": "$" })),
                Modern::call("regex_extract", json!({ "pattern": format!("({ARGUMENT}"), "text": "x" })),
                Modern::call("sleep", json!({ "ms": ARGUMENT })),
                Modern::call("echo", json!({ "message": 7, "more": ARGUMENT })),
                Modern::call("ask", json!({})),
                Modern::call_with_progress("slow_count", json!({ "message": ARGUMENT, "n": 3, "interval_ms": 1 })),
                // Denied, by its name and by what it is sent; the latter is the policy's own word, and of the request.
                Modern::call("hash", json!({ "text": ARGUMENT })),
                Modern::call("word_stats", json!({ "text": format!("x {POLICY}") })),
                Modern::call("nothing", json!({ "text": ARGUMENT })),
                Modern::new("nothing/at/all", json!({})),
            ] {
                self.asks(request, shown).await;
            }
        }
        let begun = self.posts(None, &token, &rpc(0, "initialize", initialize_params("2025-11-25"))).await;
        let session = begun.header("mcp-session-id").expect("a session").to_owned();
        let mut counts = count(1, 3, 1);
        counts["params"]["arguments"]["message"] = ARGUMENT.into();
        for body in [
            counts,
            rpc(2, "tools/call", call_params("echo", json!({ "message": ARGUMENT }))),
            rpc(3, "tools/call", call_params("trap", json!({}))),
            rpc(4, "tools/call", call_params("hash", json!({ "text": ARGUMENT }))),
            rpc(5, "tools/list", json!({})),
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 77, "reason": ARGUMENT } }),
        ] {
            self.posts(Some(&session), &token, &body).await;
        }
        let eve = self.token("eve", "/mcp");
        assert_eq!(self.posts(Some(&session), &eve, &rpc(6, "ping", json!({}))).await.status, 404);
    }

    /// Tokens that do not count, and tokens in places where they do not belong.
    async fn goes_wrong(&mut self) {
        let (token, other) = (self.token("ada", "/mcp"), self.token("ada", "/servers/one/mcp"));
        let good = claims("https://shared.example", &format!("{PUBLIC}/mcp"), now_s());
        let forged: Vec<_> = hostile(&self.shared, &good).into_iter().map(|way| way.token).chain(bits_flipped(&token, 2)).collect();
        let forged = forged.into_iter().filter(|token| token.len() < 12_000 && token.bytes().all(|byte| byte.is_ascii_graphic()));
        for token in forged.chain([other.clone(), self.key.replace("gh_", "gh-"), self.key[..40].to_owned(), format!("{}x", self.key)]) {
            self.shows(&token);
            assert_eq!(self.asks(Modern::call("echo", json!({ "message": ARGUMENT })), &token).await.status, 401, "{token}");
        }
        // The origin is another one's, the host is, and so on; each with a token somewhere.
        let echo = || Modern::call("echo", json!({ "message": ARGUMENT }));
        for name in ELSEWHERE {
            for shown in [token.clone(), self.key.clone()] {
                let request = self.build(&echo().instead(name, &shown), &token);
                let get = self.client.get(&self.gateway.url).header(name, &shown).header("authorization", format!("Basic {shown}"));
                for request in [request, get] {
                    let answer = Answer::of(request).await;
                    // Whoever sends one of the protocol's own names wrong is told which it sent.
                    if !name.starts_with("mcp-") || name == "mcp-session-id" {
                        self.said += &format!("{:?}\n{}\n", answer.headers, answer.text);
                    }
                }
            }
        }
        for path in [
            format!("/mcp?access_token={token}"),
            format!("/servers/{token}/mcp"),
            format!("/{token}"),
            format!("/.well-known/oauth-protected-resource/{token}"),
            format!("/readyz?{token}"),
        ] {
            let request = self.build(&echo().path(&path), &other).header("authorization", format!("Bearer {token}"));
            self.hears(request).await;
            let get = self.client.get(format!("http://{}{path}", self.address()));
            self.hears(get).await;
        }
        // Bytes that are no request, and a request that breaks off.
        let address = self.address();
        for bytes in [
            format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Length: x{token}\r\n\r\n"),
            format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization Bearer {token}\r\n\r\n"),
            format!("{token} /mcp HTTP/1.1\r\nHost: {address}\r\n\r\n"),
            format!("POST /mcp HTTP/9.9\r\nAuthorization: Bearer {token}\r\n\r\n"),
        ] {
            self.said += &raw_answer(&address, &bytes).await;
        }
        self.over_http2(&token).await;
    }

    /// The other library of heads.
    async fn over_http2(&mut self, token: &str) {
        let (address, bearer) = (self.address(), format!("Bearer {token}"));
        let mut connection = Http2::connect(&address).await;
        let request = Modern::call("echo", json!({ "message": ARGUMENT }));
        for (stream, path, content_type) in
            [(1, "/mcp".to_owned(), "application/json"), (3, format!("/mcp/{token}"), token), (5, "/mcp".to_owned(), token)]
        {
            let head = block(&[
                (":method", "POST"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", &path),
                ("content-type", content_type),
                ("mcp-protocol-version", MODERN),
                ("mcp-method", "tools/call"),
                ("mcp-name", "echo"),
                ("authorization", &bearer),
            ]);
            assert!(connection.send(HEADERS, END_HEADERS, stream, &head).await);
            assert!(connection.send(DATA, END_STREAM, stream, request.body.to_string().as_bytes()).await);
            let head = connection.next_of(&[HEADERS]).await.expect("an answer");
            assert_eq!(head.is_ok(), stream == 1, "{head:?}");
            self.said += &String::from_utf8_lossy(&head.payload);
        }
    }

    /// Settings that are not taken, each with a secret in the line that is wrong.
    async fn is_set_wrong(&mut self) {
        let right = Self::settings(&self.section, "");
        let wrong = [
            right.replace(&format!("forbid_argument = \"{POLICY}\""), &format!("forbid_argument = \"{POLICY}")),
            right.replace(&format!("forbid_argument = \"{POLICY}\""), &format!("forbid_argument = \"{POLICY}\" \"{POLICY}\"")),
            right.replace(&format!("forbid_argument = \"{POLICY}\""), &format!("forbid_argument = {POLICY}")),
            right.replace(
                &format!("forbid_argument = \"{POLICY}\""),
                &format!("forbid_argument = \"{POLICY}\"\nforbid_argument = \"{POLICY}\""),
            ),
            Self::settings(&self.section, "refuse = \"no such rule\""),
            right.replace("secret_file = \"secret\"", &format!("secret_file = \"{SECRET}\"")),
            right.replace("secret_file = \"secret\"", &format!("secret = \"{SECRET}\"")),
            right.replace("secret_file = \"secret\"", &format!("secret_file = [\"{SECRET}\"]")),
            right.replace("hash = \"sha256:", &format!("hash = \"{} sha256:", self.key)),
            right.replace("hash = \"sha256:", &format!("key = \"{}\"\nhash = \"sha256:", self.key)),
            right.replace("public_url = \"", &format!("public_url = \"https://{SECRET}@")),
        ];
        for settings in wrong {
            assert_ne!(settings, right);
            self.place.settings(&settings);
            let plugins = self.place.plugins();
            for command in [
                &["reload"][..],
                &["check"],
                &["serve", "--listen", "127.0.0.1:0", "--plugins", plugins.to_str().expect("text"), "--data", "other"],
            ] {
                let ran = self.place.run(command);
                assert_eq!(ran.code, 78, "{command:?} {settings}: {ran:?}");
                self.said += &(ran.out + &ran.err);
            }
            let before = self.refusals();
            self.hangs_up();
            let refused = async || (self.refusals() > before).then_some(());
            eventually("the running gateway refuses them", Duration::from_secs(10), refused).await;
        }
        self.place.settings(&right);
        let ran = self.place.run(&["reload"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        for command in ["check", "store stats", "store export", "journal show --json", "token inspect --config gatehouse.toml a.b.c"] {
            let ran = self.place.run(&command.split(' ').collect::<Vec<_>>());
            // What the store keeps of calls is data; what it has of secrets is looked for below.
            self.said += &(ran.out + &ran.err).replace(ARGUMENT, "");
        }
    }

    /// How often the running gateway did not take its settings.
    fn refusals(&self) -> usize {
        self.gateway.log().matches("the settings were not taken").count()
    }

    fn hangs_up(&self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.gateway.pid()).expect("a pid")).expect("not 0");
        rustix::process::kill_process(pid, Signal::HUP).expect("it runs");
    }
}

async fn raw_answer(address: &str, bytes: &str) -> String {
    let mut connection = raw::Raw::connect(address).await;
    connection.send(bytes).await;
    connection.head().await
}

/// All files below a directory, as text as far as they are.
fn written(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(written(&path));
        } else if path.is_file() {
            found.push((path.display().to_string(), String::from_utf8_lossy(&fs::read(&path).expect("readable")).into_owned()));
        }
    }
    found
}

#[tokio::test]
async fn no_secret_gets_out() {
    let mut world = World::start();
    world.goes_on_well().await;
    world.goes_wrong().await;
    world.is_set_wrong().await;
    world.goes_on_well().await;

    let data = world.place.path().join("gatehouse-data");
    let journal = async || written(&data.join("journal")).iter().any(|(_, text)| text.contains("\"fail_internal\"")).then_some(());
    eventually("the journal", Duration::from_secs(10), journal).await;
    let (pid, secrets, said) = (world.gateway.pid(), world.secrets.clone(), world.said.clone());
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let log = {
        let World { gateway, place, .. } = world;
        let out = gateway.out();
        assert!(gateway.stop().success());
        let log = fs::read_to_string(place.path().join("stderr")).expect("a log");
        assert!(log.contains(" TRACE ") && log.contains(" DEBUG ") && log.lines().count() > 500, "it logs all that it can");
        let files = written(&place.path().join("gatehouse-data"));
        assert!(files.len() >= 4 && files.iter().any(|(path, _)| path.contains("/store/")), "{files:?}");
        // What calls said is in there in plain text, so that secrets would be seen.
        assert!(files.iter().any(|(path, text)| path.contains("/store/") && text.contains(ARGUMENT)), "the store keeps results");
        for secret in &secrets {
            for (path, text) in &files {
                assert!(!text.contains(secret), "{secret} is in {path}");
            }
            assert!(!out.contains(secret), "{secret} is on the screen");
        }
        for (path, text) in files.iter().filter(|(path, _)| path.contains("/journal/")) {
            assert!(!text.contains(ARGUMENT), "what a tool is sent is in {path}");
        }
        log
    };
    for (name, text) in [("the log", &log), ("an answer", &said)] {
        for secret in &secrets {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in {name}");
        }
    }
    assert_eq!(log.lines().find(|line| line.contains(ARGUMENT)), None, "what a tool is sent is not logged");
    println!("X12: {} secrets in none of {} bytes of log and {} bytes of answers", secrets.len(), log.len(), said.len());
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
}

/// A process that may leave a core file starts one that never does, however it ends.
#[test]
fn a_crash_leaves_no_core_file() {
    let limit = getrlimit(Resource::Core);
    setrlimit(Resource::Core, Rlimit { current: limit.maximum, maximum: limit.maximum }).expect("it is one's own");
    let place = Place::with(&[("mirrored", fixture("mirrored"))]);
    let gateway = place.serve(&[]);
    let before = written(place.path()).len();
    let status = gateway.end_by(Signal::ABORT);
    assert_eq!((status.signal(), status.core_dumped()), (Some(Signal::ABORT.as_raw()), false));
    let files = written(place.path());
    assert!(files.len() <= before && files.iter().all(|(path, _)| !path.contains("/core")), "{} files, {before} before", files.len());
}
