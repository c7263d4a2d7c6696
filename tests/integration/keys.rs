//! Callers by API keys: made by the command, known by their hash, and good everywhere until their day is over.

use super::command::{Place, Ran};
use crate::harness::{Answer, Events, Gateway, Modern, Setup, eventually, initialize_params, rpc};
use gatehouse_forge::{Signer, claims, part};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PUBLIC: &str = "https://gate.example";

/// Makes a key and gives it with its settings.
fn make(name: &str, arguments: &[&str]) -> (String, String) {
    let ran = Place::new().run(&[&["token", "key", name, "--json"], arguments].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let text = |member: &str| ran.json()[member].as_str().expect("text").to_owned();
    (text("key"), text("settings"))
}

async fn gateway(sections: &[&str]) -> Gateway {
    let settings = format!(
        "[limits]\nauth_failures_per_minute_max = 1000\n[servers.one]\ntools = [\"*\"]\n[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n{}",
        sections.concat()
    );
    Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await
}

async fn shows(gateway: &Gateway, path: &str, token: &str) -> Answer {
    gateway.modern(Modern::call("caller", json!({})).path(path).header("authorization", format!("Bearer {token}"))).await
}

#[tokio::test]
async fn a_key_lets_its_owner_in_everywhere() {
    let (ada, ada_section) = make("ada", &["--scope", "files:read", "--scope", "files:write"]);
    let (bob, bob_section) = make("bob", &["--tenant", "acme"]);
    assert_ne!(ada, bob);
    let gateway = gateway(&[&ada_section, &bob_section, "subject = \"robert\"\n", "[tenants.default]\n[tenants.acme]\n"]).await;
    for path in ["/mcp", "/servers/one/mcp"] {
        let answer = shows(&gateway, path, &ada).await;
        let known = &answer.result()["structuredContent"];
        assert_eq!((&known["subject"], &known["claims"]), (&json!("ada"), &Value::Null), "{known}");
        assert_eq!(known["scopes"], json!(["files:read", "files:write"]), "{known}");
    }
    let answer = shows(&gateway, "/mcp", &bob).await;
    let known = &answer.result()["structuredContent"];
    assert_eq!((&known["subject"], &known["scopes"], &known["tenant"]), (&json!("robert"), &json!([]), &json!("acme")), "{known}");
    // A session is its key's owner's.
    let post = async |token: &str, session: Option<&str>, body: Value| {
        let request = gateway.legacy_request(session, &body).bearer_auth(token);
        Answer::of(request).await
    };
    let begun = post(&ada, None, rpc(0, "initialize", initialize_params("2025-11-25"))).await;
    let session = begun.header("mcp-session-id").expect("a session").to_owned();
    assert_eq!(post(&ada, Some(&session), rpc(1, "tools/list", json!({}))).await.status, 200);
    assert_eq!(post(&bob, Some(&session), rpc(1, "tools/list", json!({}))).await.status, 404);
    assert_eq!(shows(&gateway, "/servers/nothing/mcp", &ada).await.status, 404);
    // Nothing that the gateway writes has a key in it.
    let files = eventually("the journal", Duration::from_secs(5), async || {
        let directory = gateway.data().join("journal");
        let files = std::fs::read_dir(directory).ok()?.map(|entry| std::fs::read_to_string(entry.expect("a file").path()).expect("text"));
        Some(files.collect::<String>()).filter(|text| text.contains("robert"))
    });
    let written = files.await + &gateway.log();
    assert!(!written.contains(&ada) && !written.contains(&bob), "{written}");
    assert!(written.contains("\"gatehouse robert\""), "who vouches is named: {written}");
}

/// A key that the settings have no more ends what its owner has open; another of the same owner's keeps the session.
#[tokio::test]
async fn a_key_goes() {
    let [(old, old_section), (new, new_section)] = ["old", "new"].map(|name| make(name, &[]));
    let same = "subject = \"ada\"\n";
    let auth = format!("[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n");
    let with = |sections: &[&str]| auth.clone() + &sections.iter().flat_map(|section| [*section, same]).collect::<String>();
    let settings = with(&[&old_section, &new_section]);
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings }).await;
    let begin = gateway.legacy_request(None, &rpc(0, "initialize", initialize_params("2025-11-25"))).bearer_auth(&old);
    let session = Answer::of(begin).await.header("mcp-session-id").expect("a session").to_owned();
    let listen = |token: &str| {
        let listen = Modern::new("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
        Events::of(listen.header("authorization", format!("Bearer {token}")).build(&gateway))
    };
    let (mut goes, mut stays) = (listen(&old).await, listen(&new).await);
    for events in [&mut goes, &mut stays] {
        assert_eq!(events.next().await.expect("a word").message()["method"], "notifications/subscriptions/acknowledged");
    }
    gateway.set(&with(&[&new_section]));
    let (code, said) = gateway.reload().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(goes.next().await.expect("a word").message()["method"], "notifications/cancelled");
    assert_eq!(stays.next().await.expect("a word").message()["method"], "notifications/tools/list_changed");
    assert_eq!((shows(&gateway, "/mcp", &old).await.status, shows(&gateway, "/mcp", &new).await.status), (401, 200));
    let asks = gateway.legacy_request(Some(&session), &rpc(1, "tools/list", json!({}))).bearer_auth(&new);
    assert_eq!(Answer::of(asks).await.status, 200);
}

/// Where nobody but owners of keys comes in, there is no issuer to be sent to.
#[tokio::test]
async fn keys_alone_are_enough() {
    let (key, section) = make("ada", &[]);
    let gateway = gateway(&[&section]).await;
    assert_eq!(shows(&gateway, "/mcp", &key).await.status, 200);
    let metadata = Answer::of(gateway.client.get(format!("{}/.well-known/oauth-protected-resource/mcp", gateway.origin))).await;
    let document: Value = serde_json::from_str(&metadata.text).expect("JSON");
    assert_eq!((&document["resource"], document.get("authorization_servers")), (&json!(format!("{PUBLIC}/mcp")), None));
    assert_eq!(Answer::of(gateway.client.get(format!("{}/readyz", gateway.origin))).await.status, 200);
}

#[tokio::test]
async fn whatever_is_no_key_is_refused() {
    let (key, section) = make("ada", &[]);
    let (unknown, _) = make("eve", &[]);
    let (old, old_section) = make("old", &["--expires", "2020-02-29"]);
    let (new, new_section) = make("new", &["--expires", "9998-12-31"]);
    let signer = Signer::ed25519("k1", 7);
    let gateway = gateway(&[&section, &old_section, &new_section]).await;
    for (key, status) in [(&key, 200), (&new, 200), (&old, 401), (&unknown, 401)] {
        assert_eq!(shows(&gateway, "/mcp", key).await.status, status);
    }
    // One letter another one, anywhere.
    for at in 0..key.len() {
        let wrong = if &key[at..=at] == "a" { "b" } else { "a" };
        let token = format!("{}{wrong}{}", &key[..at], &key[at + 1..]);
        let answer = shows(&gateway, "/mcp", &token).await;
        assert_eq!(answer.status, 401, "letter {at}");
        let challenge = answer.header("www-authenticate").expect("a challenge");
        assert!(challenge.ends_with(", error=\"invalid_token\""), "{challenge}");
    }
    let others = [
        key.to_uppercase(),
        key.replace("gh_", "GH_"),
        key.replace("gh_", ""),
        format!("{key}="),
        format!("{key}a"),
        key[..key.len() - 1].to_owned(),
        "gh_".to_owned(),
        format!("gh_{}", "a".repeat(8_000)),
        format!("gh_{}", part([0; 36])),
        section.split('"').nth(1).expect("the hash").replace("sha256:", ""),
        section.split('"').nth(1).expect("the hash").replace("sha256:", "gh_"),
    ];
    for token in others {
        assert_eq!(shows(&gateway, "/mcp", &token).await.status, 401, "{token}");
    }
    // A token that says who vouches for keys is still one of an unknown issuer.
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let token = signer.token(&claims("gatehouse", &format!("{PUBLIC}/mcp"), now_s));
    assert_eq!(shows(&gateway, "/mcp", &token).await.status, 401);
    for word in ["key_shape", "key_unknown", "key_expired"] {
        assert!(gateway.log().contains(&format!("\"{word}\"")), "{word}: {}", gateway.log());
    }
}

#[test]
fn the_command_prints_a_key_and_what_to_do_with_it() {
    let place = Place::new();
    let ran = place.run(&["token", "key", "build-bot_2", "--scope", "a", "--expires", "2027-01-31"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let (key, rest) = ran.out.split_once('\n').expect("lines");
    assert!(key.len() == 51 && key.starts_with("gh_") && !rest.contains(key), "{ran:?}");
    let section = &rest[rest.find("[auth.keys.build-bot_2]").expect("the section")..];
    assert!(section.contains("hash = \"sha256:") && section.contains("scopes = [\"a\"]\nexpires = \"2027-01-31\"\n"), "{section}");
    assert!(std::fs::read_dir(place.path()).expect("there").count() == 1, "nothing is written");
    let refused = |arguments: &[&str], code: i32, reason: &str| {
        let ran: Ran = place.run(&[&["token", "key"], arguments].concat());
        assert!(ran.code == code && ran.err.contains(reason) && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    };
    refused(&[], 2, "NAME");
    refused(&["a.b"], 2, "a name has");
    refused(&[""], 2, "a name has");
    refused(&["a", "--scope", "b c"], 64, "auth.keys.a.scopes: ");
    refused(&["a", "--scope", "\u{7f}"], 64, "");
    refused(&["a", "--tenant", "b.c"], 2, "a name has");
    refused(&["a", "--tenant", "B"], 64, "tenants");
    refused(&["a", "--expires", "2027-02-29"], 64, "auth.keys.a.expires: must be a day");
}

#[test]
fn settings_that_would_not_hold_are_refused() {
    let place = Place::new();
    let hash = format!("sha256:{}", "0a".repeat(32));
    let tokens = format!("mode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n");
    let one = |more: &str| format!("{tokens}[auth.keys.one]\nhash = \"{hash}\"\n{more}\n");
    let cases = [
        (tokens.clone(), "auth.mode: needs at least one section [auth.issuers.NAME] or [auth.keys.NAME]"),
        (format!("[auth.keys.one]\nhash = \"{hash}\""), "auth.keys: counts with auth.mode = \"tokens\" only"),
        (format!("{tokens}[auth.keys.one]\n"), "auth.keys.one.hash: must be given"),
        (format!("{tokens}[auth.keys.one]\nhash = \"{}\"", &hash[..70]), "must be sha256: and 64 hexadecimal digits"),
        (format!("{tokens}[auth.keys.one]\nhash = \"{}\"", hash.replace("sha256", "md5")), "must be sha256: and 64 hexadecimal digits"),
        (
            one("[auth.keys.two]\nhash = \"sha256:0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A\""),
            "two of them have one hash",
        ),
        (one("scopes = [\"a b\"]"), "auth.keys.one.scopes: must be"),
        (one("subject = \"\""), "auth.keys.one.subject: must have"),
        (one("expires = \"2027-1-31\""), "auth.keys.one.expires: must be a day"),
        (one("expires = 2027-01-31"), "auth.keys.one.expires: must be a string"),
        (one("tenant = \"acme\""), "auth.keys: one: there is no section [tenants.acme]"),
        (one("key = \"gh_x\""), "auth.keys.one.key: there is no such setting"),
        (format!("{tokens}[auth.issuers.a]\nissuer = \"gatehouse\"\njwks_file = \"x\""), "must not be \"gatehouse\""),
    ];
    let plugins = place.plugins();
    for (section, reason) in cases {
        place.settings(&format!("[auth]\n{section}\n"));
        let ran = place.run(&["serve", "--listen", "127.0.0.1:0", "--plugins", plugins.to_str().expect("text")]);
        assert!(ran.code == 78 && ran.err.contains(reason), "{reason}: {ran:?}");
    }
}
