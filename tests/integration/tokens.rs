//! Callers by bearer tokens: who has none learns where to get one, who has a wrong one learns nothing, and what belongs to one is nobody
//! else's. The ways in which a token can be wrong are in `tokens_cases`.

use super::command::Place;
use crate::harness::{Answer, Events, Gateway, Modern, Setup, count, fixture, initialize_params, policy, raw, rpc};
use gatehouse_forge::{Signer, claims, jwks, with};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const ISSUER: &str = "https://login.example";
const PUBLIC: &str = "https://gate.example";
const METADATA: &str = "https://gate.example/.well-known/oauth-protected-resource/mcp";

pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

/// A gateway that trusts one key of Ed25519.
pub(super) struct Trusting {
    pub(super) gateway: Gateway,
    pub(super) signer: Signer,
    /// Of the gateway.
    pub(super) settings: String,
    _keys: tempfile::TempDir,
}

impl Trusting {
    pub(super) async fn with(more: &str) -> Self {
        Self::with_plugins(vec!["text-toolbox"], more).await
    }

    /// With these plugins, and this beside the settings of `auth`.
    pub(super) async fn with_plugins(plugins: Vec<&'static str>, more: &str) -> Self {
        let signer = Signer::ed25519("k1", 7);
        let keys = tempfile::tempdir().expect("a directory");
        let file = keys.path().join("jwks.json");
        std::fs::write(&file, jwks(&[signer.jwk()])).expect("written");
        let settings = format!(
            "[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n[auth.issuers.one]\nissuer = \"{ISSUER}\"\njwks_file = \"{}\"\n{more}",
            file.display()
        );
        let gateway = Gateway::with(Setup { plugins, settings: settings.clone(), ..Setup::default() }).await;
        Self { gateway, signer, settings, _keys: keys }
    }

    fn claims(&self, subject: &str, path: &str) -> Value {
        with(&claims(ISSUER, &format!("{PUBLIC}{path}"), now_s()), &json!({ "sub": subject }))
    }

    fn token(&self, subject: &str) -> String {
        self.token_with(subject, &json!({}))
    }

    /// A token for the default server, with some claims set or taken out.
    pub(super) fn token_with(&self, subject: &str, changes: &Value) -> String {
        self.signer.token(&with(&self.claims(subject, "/mcp"), changes))
    }

    pub(super) async fn asks(&self, request: Modern, token: &str) -> Answer {
        self.gateway.modern(request.header("authorization", format!("Bearer {token}"))).await
    }

    async fn legacy(&self, verb: &str, session: Option<&str>, token: &str, body: &Value) -> reqwest::Response {
        let mut request = self.gateway.client.request(verb.parse().expect("a method"), self.gateway.url());
        request = request.header("accept", "application/json, text/event-stream").bearer_auth(token);
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        if verb == "POST" {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.expect("an answer")
    }
}

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

/// T01, T25, H33, and the right one.
#[tokio::test]
async fn who_shows_no_token_learns_where_to_get_one() {
    let trusting = Trusting::with("[servers.one]\ntools = [\"echo\"]\n").await;
    let token = trusting.token("ada");
    assert_eq!(trusting.asks(echo(), &token).await.tool_text(), "hello");
    let challenge = |parameters: &str| format!("Bearer resource_metadata=\"{METADATA}\"{parameters}");
    let invalid = challenge(", error=\"invalid_token\"");
    let table = [
        ("none", vec![], 401, challenge("")),
        ("two", vec![format!("Bearer {token}"), format!("Bearer {token}")], 400, challenge(", error=\"invalid_request\"")),
        ("two words", vec![format!("Bearer {token} x")], 401, invalid.clone()),
        ("another scheme", vec!["Basic YTpi".to_owned()], 401, invalid.clone()),
        ("nothing of ours", vec!["Bearer abc".to_owned()], 401, invalid),
    ];
    for (name, headers, status, wanted) in table {
        let request = headers.iter().fold(echo(), |request, value| request.header("authorization", value));
        let answer = trusting.gateway.modern(request).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (status, Some(wanted.as_str())), "{name}: {answer:?}");
    }
    let lower = trusting.gateway.modern(echo().header("authorization", format!("bearer {token}"))).await;
    assert_eq!(lower.status, 200, "schemes have no case");
    let query = trusting.gateway.modern(echo().path(&format!("/mcp?access_token={token}"))).await;
    assert_eq!(query.status, 401, "a token in the address is none");
    // Nobody without a token is told which servers there are; with one, what is not there is 404.
    for path in ["/servers/one/mcp", "/servers/nothing/mcp"] {
        assert_eq!(trusting.gateway.modern(echo().path(path)).await.status, 401, "{path}");
    }
    let theirs = trusting.signer.token(&trusting.claims("ada", "/servers/nothing/mcp"));
    assert_eq!(trusting.asks(echo().path("/servers/nothing/mcp"), &theirs).await.status, 404);
}

/// N12: a token is for one server. T13 to T18 by the binary: the rest is in the token crate.
#[tokio::test]
async fn a_token_is_for_the_address_that_it_was_made_for() {
    let trusting = Trusting::with("[servers.one]\ntools = [\"echo\"]\n").await;
    let of_one = trusting.signer.token(&trusting.claims("ada", "/servers/one/mcp"));
    assert_eq!(trusting.asks(echo().path("/servers/one/mcp"), &of_one).await.tool_text(), "hello");
    assert_eq!(trusting.asks(echo().path("/servers/one/mcp/"), &of_one).await.tool_text(), "hello");
    assert_eq!(trusting.asks(echo(), &of_one).await.status, 401);
    assert_eq!(trusting.asks(echo().path("/servers/one/mcp"), &trusting.token("ada")).await.status, 401);
    let good = trusting.claims("ada", "/mcp");
    for changes in
        [json!({ "iss": "https://login.example/" }), json!({ "exp": now_s() - 31 }), json!({ "exp": null }), json!({ "sub": "" })]
    {
        assert_eq!(trusting.asks(echo(), &trusting.signer.token(&with(&good, &changes))).await.status, 401, "{changes}");
    }
}

/// S: a session is of issuer and subject, on POST, GET and DELETE; without a token it is nobody's.
#[tokio::test]
async fn a_session_is_its_callers() {
    let trusting = Trusting::with("").await;
    let (ada, eve) = (trusting.token("ada"), trusting.token("eve"));
    let begun = trusting.legacy("POST", None, &ada, &rpc(0, "initialize", initialize_params("2025-11-25"))).await;
    let session = begun.headers()["mcp-session-id"].to_str().expect("text").to_owned();
    let list = rpc(1, "tools/list", json!({}));
    for verb in ["POST", "GET", "DELETE"] {
        assert_eq!(trusting.legacy(verb, Some(&session), &eve, &list).await.status(), 404, "{verb}");
        assert_eq!(trusting.legacy(verb, Some(&session), "nothing", &list).await.status(), 401, "{verb}");
    }
    // Another token of the same subject will do.
    let another = trusting.signer.token(&with(&trusting.claims("ada", "/mcp"), &json!({ "jti": "another" })));
    assert_eq!(trusting.legacy("POST", Some(&session), &another, &list).await.status(), 200);
    assert_eq!(trusting.legacy("DELETE", Some(&session), &ada, &list).await.status(), 204);
}

/// Streams end with the token that opened them.
#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let trusting = Trusting::with("").await;
    let short = |subject: &str| {
        // The leeway of clocks is for tokens that are shown, not for streams that are open.
        trusting.signer.token(&with(&trusting.claims(subject, "/mcp"), &json!({ "exp": now_s() + 2 })))
    };
    let token = short("ada");
    let listen = Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut events = Events::of(listen.header("authorization", format!("Bearer {token}")).build(&trusting.gateway)).await;
    assert_eq!(events.next().await.expect("a word").message()["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(events.next().await.expect("a word").message()["method"], "notifications/cancelled");
    assert_eq!(events.next().await.expect("an end").message()["result"]["resultType"], "complete");
    assert_eq!(events.next().await, None);

    let token = short("ada");
    let begun = trusting.legacy("POST", None, &token, &rpc(0, "initialize", initialize_params("2025-11-25"))).await;
    let session = begun.headers()["mcp-session-id"].to_str().expect("text").to_owned();
    let mut stream = trusting.legacy("GET", Some(&session), &token, &Value::Null).await;
    assert_eq!(stream.status(), 200);
    let mut text = String::new();
    while let Some(chunk) = stream.chunk().await.expect("whole") {
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    assert!(text.contains("retry: "), "{text}");
}

/// RFC 9728: for anybody, about what is there.
#[tokio::test]
async fn the_metadata_says_whose_tokens_count() {
    let trusting = Trusting::with("[servers.one]\ntools = [\"echo\"]\n").await;
    let get = async |path: &str| Answer::of(trusting.gateway.client.get(format!("{}{path}", trusting.gateway.origin))).await;
    let base = "/.well-known/oauth-protected-resource";
    for (path, resource) in [("", "/mcp"), ("/mcp", "/mcp"), ("/servers/one/mcp", "/servers/one/mcp")] {
        let answer = get(&format!("{base}{path}")).await;
        let document: Value = serde_json::from_str(&answer.text).expect("JSON");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("*")), "{path}");
        assert_eq!((&document["resource"], &document["authorization_servers"]), (&json!(format!("{PUBLIC}{resource}")), &json!([ISSUER])));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    }
    assert_eq!(get(&format!("{base}/servers/two/mcp")).await.status, 200, "which servers there are is not said");
    for path in ["/servers/Two/mcp", "/servers//mcp", "/else", "/mcp/x"] {
        assert_eq!(get(&format!("{base}{path}")).await.status, 404, "{path}");
    }
    let open = Gateway::start().await;
    assert_eq!(Answer::of(open.client.get(format!("{}{base}/mcp", open.origin))).await.status, 404, "where no token is asked for");
}

/// RFC 9728, 5.1: who was turned away at a server finds the metadata of that very server, in both forms of the well-known place.
#[tokio::test]
async fn a_challenge_leads_to_the_metadata_of_its_server() {
    let trusting = Trusting::with("[servers.one]\ntools = [\"echo\"]\n").await;
    for (path, resource) in [("/mcp", "/mcp"), ("/mcp/", "/mcp"), ("/servers/one/mcp", "/servers/one/mcp")] {
        let refused = trusting.gateway.modern(echo().path(path)).await;
        let challenge = refused.header("www-authenticate").expect("a challenge");
        let address = challenge.split("resource_metadata=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
        // What stands before the gateway in public stands there for it.
        let here = address.replace(PUBLIC, &trusting.gateway.origin);
        let document = Answer::of(trusting.gateway.client.get(here)).await.messages.remove(0);
        assert_eq!(document["resource"], format!("{PUBLIC}{resource}"), "{path}: {challenge}");
        // What the document names is what a token must be made for.
        let claims = with(&trusting.claims("ada", ""), &json!({ "aud": document["resource"] }));
        assert_eq!(trusting.asks(echo().path(path), &trusting.signer.token(&claims)).await.tool_text(), "hello", "{path}");
    }
    // A path that no server can have is not repeated: it could say more than a path.
    for id in ["x\",resource_metadata=\"https:evil.example", "X", "-x", "%6fne", "one.evil", &"x".repeat(65)] {
        let mut raw = raw::Raw::connect(&trusting.gateway.address()).await;
        let head = format!("POST /servers/{id}/mcp HTTP/1.1\nHost: localhost\nContent-Type: application/json\nAccept: application/json\n");
        raw.send(raw::message(&head, "{}")).await;
        let head = raw.head().await;
        let challenges: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("www-authenticate: ")).collect();
        assert_eq!(challenges, [format!("Bearer resource_metadata=\"{METADATA}\"")], "{id}: {head}");
    }
}

/// P08: a denial that scopes would have helped names them, so that a client can ask its user.
#[tokio::test]
async fn a_policy_can_ask_for_more_scopes() {
    let settings = format!(
        "[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = \"{}\"\n[policies.p.settings]\nforbid = [\"echo\"]\n",
        fixture("verdict").display()
    );
    let trusting = Trusting::with(&settings).await;
    let refused = trusting.asks(echo(), &trusting.token("ada")).await;
    assert_eq!((refused.status, refused.code()), (403, -31006));
    let wanted = format!("Bearer resource_metadata=\"{METADATA}\", error=\"insufficient_scope\", scope=\"tools:read tools:call more\"");
    assert_eq!(refused.header("www-authenticate"), Some(wanted.as_str()));
}

/// The challenge is a status, so it comes before any stream begins; with the scopes that it names, the same call is answered, and in the same
/// session.
#[tokio::test]
async fn more_scopes_are_asked_for_before_a_stream_begins() {
    let rules = "rules = [{ scopes = [], tools = [\"*\"], actions = [\"list-tools\"] }, \
                 { scopes = [\"count\", \"slowly\"], tools = [\"slow_count\"], actions = [\"call-tool\"] }]";
    let settings = format!(
        "[limits]\nstream_after_ms = 0\n[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {:?}\n[policies.p.settings]\n{rules}\n",
        policy("scopes")
    );
    let trusting = Trusting::with(&settings).await;
    let of = |scope: &str| trusting.token_with("ada", &json!({ "scope": scope }));
    let (less, more) = (of("else"), of("else slowly count"));
    let begun = trusting.legacy("POST", None, &less, &rpc(0, "initialize", initialize_params("2025-11-25"))).await;
    let session = begun.headers()["mcp-session-id"].to_str().expect("text").to_owned();
    let modern = |accept: &str| Modern::call_with_progress("slow_count", json!({ "message": "done", "n": 3 })).instead("accept", accept);
    let wanted = format!("Bearer resource_metadata=\"{METADATA}\", error=\"insufficient_scope\", scope=\"else count slowly\"");
    for (token, status) in [(&less, 403), (&more, 200)] {
        for accept in [None, Some("text/event-stream"), Some("application/json, text/event-stream")] {
            let asks = async || match accept {
                None => {
                    let request = trusting.gateway.legacy_request(Some(&session), &count(1, 3, 0));
                    Answer::of(request.bearer_auth(token)).await
                }
                Some(accept) => trusting.asks(modern(accept), token).await,
            };
            let answer = asks().await;
            assert_eq!((answer.status, answer.is_stream()), (status, status == 200), "{accept:?}: {answer:?}");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge, (status == 403).then_some(wanted.as_str()), "{accept:?}");
            match status {
                403 => assert_eq!(answer.code(), -31006, "{answer:?}"),
                _ => assert_eq!(answer.tool_text(), "done", "{answer:?}"),
            }
        }
    }
}

/// Scopes are names, and which of them is the broader one is for the rules to say: whoever has that is not asked for the narrow one.
#[tokio::test]
async fn a_broad_scope_counts_for_the_narrow_ones() {
    let rules = "rules = [{ scopes = [\"texts:echo\"], tools = [\"echo\"] }, { scopes = [\"texts\"], tools = [\"echo\", \"hash\"] }, \
                 { scopes = [], tools = [\"*\"], actions = [\"list-tools\"] }]";
    let settings = format!("[gateway]\npolicies = [\"p\"]\n[policies.p]\nfile = {:?}\n[policies.p.settings]\n{rules}\n", policy("scopes"));
    let trusting = Trusting::with(&settings).await;
    let hash = || Modern::call("hash", json!({ "text": "x" }));
    let table = [("texts", 200, 200), ("texts:echo", 200, 403), ("texts:echo texts", 200, 200), ("text", 403, 403), ("texts:*", 403, 403)];
    for (scope, to_echo, to_hash) in table {
        let token = trusting.token_with("ada", &json!({ "scope": scope }));
        for (request, status) in [(echo(), to_echo), (hash(), to_hash)] {
            let answer = trusting.asks(request, &token).await;
            assert_eq!(answer.status, status, "{scope}: {answer:?}");
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            // With what it holds: whoever comes with a token of the challenge's scopes alone must not have less than before.
            let wanted = format!("error=\"insufficient_scope\", scope=\"{scope} texts");
            assert_eq!(challenge.contains(&wanted), status == 403, "{scope}: {challenge}");
        }
    }
}

/// X05, and whatever else would leave the door open or locked for good.
#[test]
fn settings_that_would_not_hold_are_refused() {
    let place = Place::new();
    let file = |name: &str, text: &str| std::fs::write(place.path().join(name), text).expect("written");
    file("weak", "secretsecretsecretsecretsecretsecret\n");
    file("empty.json", "{\"keys\":[]}");
    let cases = [
        ("mode = \"tokens\"\npublic_url = \"https://g\"", "auth.mode: needs at least one section"),
        ("mode = \"maybe\"", "auth.mode: must be \"none\" or \"tokens\""),
        ("mode = \"tokens\"\npublic_url = \"https://g/mcp\"\n[auth.issuers.a]\nissuer = \"i\"\njwks_file = \"x\"", "without a path"),
        (
            "mode = \"tokens\"\npublic_url = \"https://g\"\n[auth.issuers.a]\nissuer = \"i\"",
            "one of jwks_file, jwks_url, public_key_file and secret_file",
        ),
        ("mode = \"tokens\"\npublic_url = \"https://g\"\n[auth.issuers.a]\nissuer = \"i\"\nsecret_file = \"weak\"", "auth.issuers.a: "),
        (
            "mode = \"tokens\"\npublic_url = \"https://g\"\n[auth.issuers.a]\nissuer = \"i\"\njwks_file = \"empty.json\"",
            "no key that can be used",
        ),
        ("mode = \"tokens\"\npublic_url = \"https://g\"\n[auth.issuers.a]\nissuer = \"i\"\njwks_file = \"missing\"", "No such file"),
    ];
    let plugins = place.plugins();
    for (section, reason) in cases {
        file("gatehouse.toml", &format!("[auth]\n{section}\n"));
        let ran = place.run(&["serve", "--listen", "127.0.0.1:0", "--plugins", plugins.to_str().expect("text")]);
        assert!(ran.code == 78 && ran.err.contains(reason), "{reason}: {ran:?}");
        assert!(!ran.err.contains("secretsecret"), "{ran:?}");
    }
}

/// T29: an address that tries is told to wait; what counts goes on to count, and other addresses are not concerned.
#[tokio::test]
async fn an_address_that_tries_is_told_to_wait() {
    let trusting = Trusting::with("[limits]\nauth_failures_per_minute_max = 5").await;
    let good = trusting.token("ada");
    let shows = async |address: [u8; 4], token: Option<&str>| {
        let from = reqwest::Client::builder().local_address(std::net::IpAddr::from(address)).build().expect("a client");
        let request = token.into_iter().fold(echo(), |request, token| request.header("authorization", format!("Bearer {token}")));
        let request = request.build(&trusting.gateway).build().expect("a request");
        Answer::of(reqwest::RequestBuilder::from_parts(from, request)).await
    };
    let (here, elsewhere) = ([127, 0, 0, 1], [127, 0, 0, 2]);
    for _ in 0..5 {
        assert_eq!(shows(here, Some("abc")).await.status, 401);
    }
    for _ in 0..20 {
        let answer = shows(here, Some("abc")).await;
        assert_eq!(answer.status, 429, "{answer:?}");
        let wait_s: u64 = answer.header("retry-after").expect("a time").parse().expect("seconds");
        assert!((1..=61).contains(&wait_s), "{wait_s}");
    }
    assert_eq!(shows(here, Some(&good)).await.tool_text(), "hello");
    assert_eq!(shows(here, None).await.status, 401, "who shows nothing has not failed");
    assert_eq!(shows(elsewhere, Some("abc")).await.status, 401);
    let said = trusting.gateway.log().lines().filter(|line| line.contains("is told to wait")).count();
    assert_eq!(said, 1, "{}", trusting.gateway.log());
}

/// T29: a hundred a minute, unless the settings say otherwise; and an address is that of the connection, whatever a client says of others.
#[tokio::test]
async fn an_address_may_fail_a_hundred_times_a_minute() {
    let trusting = Trusting::with("").await;
    let fails = async |at: usize| {
        let request =
            echo().header("x-forwarded-for", format!("198.51.100.{}", at % 256)).header("x-real-ip", format!("198.51.100.{}", at % 256));
        trusting.gateway.modern(request.header("forwarded", "for=198.51.100.7").header("authorization", "Bearer abc")).await.status
    };
    let mut statuses = Vec::new();
    for at in 0..103 {
        statuses.push(fails(at).await);
    }
    assert!(statuses[..100].iter().all(|status| *status == 401) && statuses[100..] == [429; 3], "{statuses:?}");
    assert_eq!(trusting.asks(echo(), &trusting.token("ada")).await.tool_text(), "hello");
}
