//! Credentials that a policy knows and the gateway does not: what the policy is shown, what its word is worth, and that without one nobody
//! comes in.

use super::command::Place;
use super::tokens::Trusting;
use crate::harness::{Answer, Events, Gateway, Modern, Setup, fixture, initialize_params, rpc};
use serde_json::{Value, json};
use std::fmt::Write as _;

const PUBLIC: &str = "https://gate.example";

/// TOML of a JSON value; there is no null in it.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?} = {}", toml(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// The sections of policies, by name, that know these badges.
fn sections(policies: &[(&str, Value)]) -> String {
    let file = fixture("badge");
    policies.iter().fold(String::new(), |mut text, (name, badges)| {
        let badges = toml(badges);
        writeln!(text, "[policies.{name}]\nfile = {file:?}\nsettings = {{ badges = {badges} }}").expect("a text takes everything");
        text
    })
}

fn settings(policies: &[(&str, Value)]) -> String {
    let names: Vec<_> = policies.iter().map(|(name, _)| *name).collect();
    format!(
        "[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\npolicies = {names:?}\n[tenants.default]\n[tenants.acme]\n\
         [servers.one]\ntools = [\"*\"]\n[limits]\nauth_failures_per_minute_max = 1000\n{}",
        sections(policies)
    )
}

async fn gateway(policies: &[(&str, Value)]) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings: settings(policies) }).await
}

async fn shows(gateway: &Gateway, path: &str, header: &str) -> Answer {
    gateway.modern(Modern::call("caller", json!({})).path(path).header("authorization", header)).await
}

async fn known(gateway: &Gateway, path: &str, header: &str) -> Value {
    shows(gateway, path, header).await.result()["structuredContent"].clone()
}

#[tokio::test]
async fn a_policy_says_who_somebody_is() {
    let first = json!({ "a": { "subject": "ada", "tenant": "acme", "scopes": ["x"], "issuer": "https://login.example" } });
    let second = json!({ "a": { "subject": "eve" }, "b": { "subject": "bob", "claims": "{\"team\":7}" } });
    let gateway = gateway(&[("first", first), ("second", second)]).await;
    let ada = known(&gateway, "/mcp", "Badge a").await;
    assert_eq!((&ada["subject"], &ada["tenant"], &ada["scopes"]), (&json!("ada"), &json!("acme"), &json!(["x"])), "the first that knows");
    let bob = known(&gateway, "/servers/one/mcp", "Bearer b").await;
    assert_eq!((&bob["subject"], &bob["tenant"], &bob["scopes"]), (&json!("bob"), &json!("default"), &json!([])), "an opaque token");
    assert!(gateway.modern(Modern::new("tools/list", json!({})).header("authorization", "Badge a")).await.status == 200);
    for header in ["Badge c", "Bearer c", "Basic a", "Badge", "badge  ", "Bad/ge a"] {
        let answer = shows(&gateway, "/mcp", header).await;
        assert_eq!(answer.status, 401, "{header}: {answer:?}");
        assert!(answer.header("www-authenticate").is_some_and(|challenge| challenge.ends_with(", error=\"invalid_token\"")), "{header}");
    }
    assert_eq!(gateway.modern(Modern::call("caller", json!({}))).await.status, 401);
    // A session is of the policy's word and the subject.
    let post = async |header: &str, session: Option<&str>, body: Value| {
        Answer::of(gateway.legacy_request(session, &body).header("authorization", header)).await
    };
    let begun = post("Badge a", None, rpc(0, "initialize", initialize_params("2025-11-25"))).await;
    let session = begun.header("mcp-session-id").expect("a session").to_owned();
    assert_eq!(post("Badge a", Some(&session), rpc(1, "tools/list", json!({}))).await.status, 200);
    assert_eq!(post("Badge b", Some(&session), rpc(1, "tools/list", json!({}))).await.status, 404);
    // In whose name is a matter of record.
    let journal = crate::harness::eventually("the journal", std::time::Duration::from_secs(5), async || {
        let files = std::fs::read_dir(gateway.data().join("journal")).ok()?;
        let text: String = files.map(|entry| std::fs::read_to_string(entry.expect("a file").path()).expect("text")).collect();
        Some(text).filter(|text| text.contains("policy:second bob"))
    });
    assert!(journal.await.contains("\"policy:first ada\""), "whatever issuer it names");
}

/// What the gateway knows by itself it does not ask about, and least of all what it refused.
#[tokio::test]
async fn a_pinned_issuers_tokens_are_the_gateways_own_affair() {
    let trusting = Trusting::with("").await;
    let (good, over) = (trusting.token_with("ada", &json!({})), trusting.token_with("ada", &json!({ "exp": 1 })));
    let foreign = trusting.token_with("ada", &json!({ "iss": "https://other.example" }));
    let badges =
        json!({ &good: { "subject": "eve" }, &over: { "subject": "eve" }, "gh_a": { "subject": "eve" }, &foreign: { "subject": "fay" } });
    let pinned = trusting.settings.replace("[auth]\n", "[auth]\npolicies = [\"p\"]\n");
    let settings = format!("{pinned}\n{}", sections(&[("p", badges)]));
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await;
    assert_eq!(known(&gateway, "/mcp", &format!("Bearer {good}")).await["subject"], "ada");
    assert_eq!(known(&gateway, "/mcp", &format!("Bearer {foreign}")).await["subject"], "fay");
    for token in [&over, "gh_a"] {
        assert_eq!(shows(&gateway, "/mcp", &format!("Bearer {token}")).await.status, 401, "{token}");
    }
}

/// A no is a no, and whatever is no answer lets nobody in.
#[tokio::test]
async fn policies_that_fail_let_nobody_in() {
    let long = "x".repeat(300);
    let badges = json!({
        "denied": { "deny": "the reason" }, "trap": { "fail": "trap" }, "loop": { "fail": "loop" }, "nobody": {}, "empty": { "subject": "" },
        "long": { "subject": long }, "control": { "subject": "a\nb" }, "nowhere": { "subject": "a", "tenant": "none" },
        "scope": { "subject": "a", "scopes": ["a b"] }, "claims": { "subject": "a", "claims": "[]" },
        "twice": { "subject": "a", "claims": "{\"a\":1,\"a\":2}" },
    });
    let second = json!({ "denied": { "subject": "eve" }, "trap": { "subject": "eve" }, "nobody": { "subject": "eve" } });
    let gateway = gateway(&[("first", badges), ("second", second)]).await;
    for (badge, status) in [("denied", 401), ("nowhere", 401), ("trap", 503), ("loop", 503), ("nobody", 503), ("empty", 503)] {
        assert_eq!(shows(&gateway, "/mcp", &format!("Badge {badge}")).await.status, status, "{badge}");
    }
    for badge in ["long", "control", "scope", "claims", "twice"] {
        let answer = shows(&gateway, "/mcp", &format!("Badge {badge}")).await;
        assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{badge}: {answer:?}");
    }
    assert!(gateway.log().contains("the reason") && !shows(&gateway, "/mcp", "Badge denied").await.text.contains("the reason"));
}

/// What it is told comes back as claims, which other policies see.
#[tokio::test]
async fn a_policy_sees_the_credential_and_where_it_came_from() {
    let badges = [("p", json!({ "a": { "subject": "ada", "echo": true } }))];
    let with = |forbidden: &str| {
        let seen = format!("[policies.seen]\nfile = {:?}\nsettings = {{ forbid_claims = '{forbidden}' }}\n", fixture("verdict"));
        format!("[gateway]\npolicies = [\"seen\"]\n{}{seen}", settings(&badges))
    };
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: with("nothing"), ..Setup::default() }).await;
    let call = || Modern::call("echo", json!({ "message": "x" })).path("/servers/one/mcp").header("authorization", "Badge a");
    assert_eq!(gateway.modern(call()).await.status, 200);
    for claim in [r#""address":"127.0.0.1""#, r#""scheme":"Badge""#, r#""server":"one""#] {
        gateway.set(&with(claim));
        assert_eq!(gateway.reload().await.0, 0);
        assert_eq!(gateway.modern(call()).await.status, 403, "{claim}");
    }
}

/// A reload with another policy, or with other settings of it, ends what was begun by its word.
#[tokio::test]
async fn a_word_that_was_taken_back_counts_no_more() {
    let badges = |who: &str| json!({ "a": { "subject": who } });
    let gateway = gateway(&[("stays", badges("ada")), ("goes", json!({ "b": { "subject": "bob" } }))]).await;
    let listen = |header: &str| {
        let listen = Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
        Events::of(listen.header("authorization", header).build(&gateway))
    };
    let (mut stays, mut goes) = (listen("Badge a").await, listen("Badge b").await);
    for events in [&mut stays, &mut goes] {
        assert_eq!(events.next().await.expect("a word").message()["method"], "notifications/subscriptions/acknowledged");
    }
    gateway.set(&settings(&[("stays", badges("ada"))]));
    let (code, said) = gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(goes.next().await.expect("a word").message()["method"], "notifications/cancelled");
    assert_eq!(stays.next().await.expect("a word").message()["method"], "notifications/tools/list_changed");
    assert_eq!(shows(&gateway, "/mcp", "Badge b").await.status, 401);
    gateway.set(&settings(&[("stays", badges("eve"))]));
    assert_eq!(gateway.reload().await.0, 0);
    assert_eq!(stays.next().await.expect("a word").message()["method"], "notifications/cancelled");
}

/// It costs more to ask a policy than to try: who tries too much is not asked about.
#[tokio::test]
async fn who_tries_is_not_asked_about() {
    let text = settings(&[("p", json!({ "a": { "subject": "ada" } }))]).replace("max = 1000", "max = 3");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings: text }).await;
    assert_eq!(shows(&gateway, "/mcp", "Badge a").await.status, 200);
    for _ in 0..3 {
        assert_eq!(shows(&gateway, "/mcp", "Badge x").await.status, 401);
    }
    for badge in ["x", "a"] {
        assert_eq!(shows(&gateway, "/mcp", &format!("Badge {badge}")).await.status, 429, "{badge}");
    }
}

#[test]
fn settings_that_would_not_hold_are_refused() {
    let place = Place::new();
    let good = sections(&[("p", json!({}))]);
    let verdict = format!("[policies.p]\nfile = {:?}\n", fixture("verdict"));
    let tokens = |more: &str| format!("[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n{more}\n");
    let cases = [
        (tokens("policies = [\"none\"]"), "there is no section [policies.none]"),
        (format!("[auth]\npolicies = [\"p\"]\n{good}"), "auth.policies: counts with auth.mode = \"tokens\" only"),
        (tokens("policies = [\"p\"]") + &verdict, "it exports no `authenticator` of `gatehouse:policy`"),
        (tokens("policies = [\"p\"]") + &good + "[gateway]\npolicies = [\"p\"]", "neither `authorizer` nor `call-filter`"),
        (tokens("[auth.issuers.a]\nissuer = \"policy:p\"\njwks_file = \"x\""), "must not begin with \"policy:\""),
    ];
    let plugins = place.plugins();
    for (text, reason) in cases {
        place.settings(&text);
        let ran = place.run(&["serve", "--listen", "127.0.0.1:0", "--plugins", plugins.to_str().expect("text")]);
        assert!(ran.code == 78 && ran.err.contains(reason), "{reason}: {ran:?}");
    }
}

#[test]
fn cases_of_credentials_are_tried() {
    let place = Place::new();
    let badges =
        json!({ "a": { "subject": "ada", "tenant": "acme", "scopes": ["x"], "claims": "{\"n\":1}" }, "no": { "deny": "not you" } });
    let head = format!("[defaults]\nsettings = {{ badges = {} }}\n", toml(&badges));
    let entry =
        |value: &str, expect: &str| format!("[[credential]]\nname = \"one\"\nscheme = \"Badge\"\nvalue = \"{value}\"\nexpect = {expect}\n");
    let ada = "{ tenant = \"acme\", subject = \"ada\", scopes = [\"x\"], claims = { n = 1 } }";
    let tried = |entries: &str| {
        std::fs::write(place.path().join("cases.toml"), format!("{head}{entries}")).expect("written");
        place.run(&["policy", "test", fixture("badge").to_str().expect("text"), "--cases", "cases.toml"])
    };
    let good = [entry("a", ada), entry("x", "\"unknown\""), entry("no", "\"deny\"\nsays = [\"not you\"]")].concat();
    let ran = tried(&good);
    assert!(ran.code == 0 && ran.out.contains("3 of 3"), "{ran:?}");
    for (value, expect, reason) in [
        ("a", "\"unknown\"", "it is of"),
        ("a", "{ tenant = \"acme\", subject = \"eve\" }", "not of"),
        ("x", ada, "does not know it"),
        ("no", "\"unknown\"", "it is denied: not you"),
        ("no", "\"deny\"\nsays = [\"you not\"]", "is not said in"),
        ("a", "\"allow\"", "neither 'unknown' nor 'deny'"),
        ("a", "{ subjekt = \"ada\" }", "subjekt"),
    ] {
        let ran = tried(&entry(value, expect));
        assert!(ran.code == 1 && (ran.out.clone() + &ran.err).contains(reason), "{expect}: {ran:?}");
    }
}
