//! `gatehouse token new-issuer`, `mint` and `inspect`: an issuer of one's own, tokens that a gateway takes, and why it does not take others.

use super::command::{Place, Ran};
use crate::harness::{Gateway, Modern, Setup};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

const PUBLIC: &str = "http://127.0.0.1:8080";

/// A place with an issuer, its settings beside.
struct Issuer {
    place: Place,
    settings: String,
}

impl Issuer {
    fn new() -> Self {
        let place = Place::new();
        let ran = place.run(&["token", "new-issuer", "issuer", "--json"]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        let section = ran.json()["settings"].as_str().expect("text").to_owned();
        let settings = format!("[servers.one]\ntools = [\"*\"]\n[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n{section}");
        place.settings(&settings);
        Self { place, settings }
    }

    fn mint(&self, path: &str, arguments: &[&str]) -> Ran {
        let audience = format!("{PUBLIC}{path}");
        let named = ["token", "mint", "--issuer", "gatehouse-dev", "--audience", &audience, "--key", "issuer/key.json"];
        self.place.run(&[&named, arguments].concat())
    }

    fn token(&self, path: &str, arguments: &[&str]) -> String {
        let ran = self.mint(path, &[&["--subject", "ada"], arguments].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
        ran.out.trim_end().to_owned()
    }

    fn inspect(&self, token: &str, arguments: &[&str]) -> Ran {
        self.place.run(&[&["token", "inspect", token, "--config", "gatehouse.toml"], arguments].concat())
    }
}

#[tokio::test]
async fn what_is_made_lets_in() {
    let issuer = Issuer::new();
    let setup = Setup { plugins: vec!["text-toolbox"], fixtures: vec!["misbehave"], settings: issuer.settings.clone() };
    let gateway = Gateway::with(setup).await;
    let token = issuer.token("/mcp", &["--scope", "a", "--scope", "b", "--claim", "org=acme", "--claim", "level=7"]);
    let answer = gateway.modern(Modern::call("caller", json!({})).header("authorization", format!("Bearer {token}"))).await;
    let known = &answer.result()["structuredContent"];
    assert_eq!((&known["subject"], &known["scopes"]), (&json!("ada"), &json!(["a", "b"])), "{known}");
    let claims = &issuer.inspect(&token, &["--json"]).json()["claims"];
    assert_eq!((&claims["org"], &claims["level"]), (&json!("acme"), &json!(7)), "{claims}");
    let other =
        gateway.modern(Modern::call("caller", json!({})).path("/servers/one/mcp").header("authorization", format!("Bearer {token}"))).await;
    assert_eq!(other.status, 401, "it is made for one address");
}

#[tokio::test]
async fn the_command_line_shows_a_token() {
    let issuer = Issuer::new();
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: issuer.settings.clone(), ..Setup::default() }).await;
    let call = |more: &[&str]| issuer.place.run(&[&["call", "echo", "--arg", "message=hello", "--url", &gateway.url()], more].concat());
    std::fs::write(issuer.place.path().join("token"), issuer.token("/mcp", &[])).expect("written");
    let called = call(&["--token-file", "token"]);
    assert_eq!((called.code, called.out.as_str()), (0, "hello\n"), "{called:?}");
    let none = call(&[]);
    assert!(none.code == 1 && none.err.contains("--token-file FILE"), "{none:?}");
    std::fs::write(issuer.place.path().join("token"), "abc").expect("written");
    let wrong = call(&["--token-file", "token"]);
    assert!(wrong.code == 1 && wrong.err.contains("gatehouse token inspect"), "{wrong:?}");
    let missing = call(&["--token-file", "missing"]);
    assert!(missing.code == 1 && missing.err.contains("missing: No such file"), "{missing:?}");
}

#[test]
fn an_issuer_is_made_once_and_for_its_owner() {
    let issuer = Issuer::new();
    let directory = issuer.place.path().join("issuer");
    let mode = |name: &str| std::fs::metadata(directory.join(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode("key.json"), 0o600);
    let (private, public) = (std::fs::read_to_string(directory.join("key.json")), std::fs::read_to_string(directory.join("jwks.json")));
    let private: Value = serde_json::from_str(&private.expect("there")).expect("JSON");
    assert!(!public.expect("there").contains(private["d"].as_str().expect("text")));
    let again = issuer.place.run(&["token", "new-issuer", "issuer"]);
    assert!(again.code == 1 && again.err.contains("is there already"), "{again:?}");
    let told = issuer.place.run(&["token", "new-issuer", "other"]);
    assert!(told.code == 0 && told.out.contains("[auth.issuers.dev]") && told.out.contains("gatehouse token mint"), "{told:?}");
    assert!(!told.out.contains(private["d"].as_str().expect("text")));
}

/// Whatever no gateway would take is not made.
#[test]
fn wrong_tokens_are_not_made() {
    let issuer = Issuer::new();
    let refused = |arguments: &[&str], code: i32, reason: &str| {
        let ran = issuer.mint("/mcp", arguments);
        assert!(ran.code == code && ran.err.contains(reason) && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    };
    refused(&[], 2, "--subject");
    refused(&["--subject", "ada", "--lifetime", "2d"], 2, "24 hours");
    refused(&["--subject", "ada", "--lifetime", "0s"], 2, "24 hours");
    refused(&["--subject", "ada", "--lifetime", "soon"], 2, "must be like");
    refused(&["--subject", "ada", "--claim", "exp=1"], 64, "there is a flag for that");
    refused(&["--subject", "ada", "--claim", "x"], 64, "must be NAME=VALUE");
    refused(&["--subject", "ada", "--claim", "x=1", "--claim", "x=2"], 64, "given twice");
    refused(&["--subject", "ada", "--scope", "a b"], 64, "a scope has no blanks");
    refused(&["--subject", ""], 64, "no gateway would take this token");
    let long = "x".repeat(9_000);
    refused(&["--subject", &long], 64, "");
    for key in ["missing.json", "issuer/jwks.json", "gatehouse.toml"] {
        let ran = issuer.place.run(&["token", "mint", "--issuer", "i", "--audience", "a", "--subject", "s", "--key", key]);
        assert!(ran.code == 1 && ran.err.contains(key) && ran.out.is_empty(), "{key}: {ran:?}");
    }
    let key = issuer.place.path().join("issuer/key.json");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).expect("set");
    let warned = issuer.mint("/mcp", &["--subject", "ada"]);
    assert!(warned.code == 0 && warned.err.contains("can be read by others"), "{warned:?}");
}

#[test]
fn a_token_is_looked_into() {
    let issuer = Issuer::new();
    let token = issuer.token("/mcp", &["--scope", "files:read", "--claim", "name=\u{202e}x"]);
    let unverified = issuer.place.run(&["token", "inspect", &token]);
    assert!(unverified.code == 0 && unverified.out.contains("NOT VERIFIED") && unverified.out.contains("EdDSA"), "{unverified:?}");
    assert!(
        !unverified.out.contains('\u{202e}') && !unverified.out.contains(token.rsplit('.').next().expect("a signature")),
        "{unverified:?}"
    );
    let taken = issuer.inspect(&token, &[]);
    assert!(taken.code == 0 && taken.out.contains(&format!("VERIFIED for {PUBLIC}/mcp: ada of the tenant default")), "{taken:?}");
    let taken = issuer.inspect(&format!("Bearer {token}"), &["--json"]);
    assert_eq!((&taken.json()["verified"], &taken.json()["scopes"]), (&json!(true), &json!(["files:read"])));
    let elsewhere = issuer.inspect(&token, &["--server", "one", "--json"]);
    assert_eq!((elsewhere.code, &elsewhere.json()["verified"], &elsewhere.json()["reason"]), (1, &json!(false), &json!("audience")));
    let nowhere = issuer.inspect(&token, &["--server", "two"]);
    assert!(nowhere.code == 1 && nowhere.err.contains("[servers.two]"), "{nowhere:?}");
    let (head, _) = token.rsplit_once('.').expect("three parts");
    let forged = issuer.inspect(&format!("{head}.{}", "A".repeat(86)), &[]);
    assert!(forged.code == 1 && forged.out.contains("REFUSED") && forged.out.contains("signature"), "{forged:?}");
    for nonsense in ["nonsense", "a.b.c", "gh_nonsense"] {
        let ran = issuer.inspect(nonsense, &[]);
        assert!(ran.code == 1 && ran.out.contains("REFUSED"), "{nonsense}: {ran:?}");
    }
}
