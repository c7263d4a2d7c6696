//! Settings that the gateway refuses, when it starts and while it runs: X04, X05 and X06. What is refused changes nothing, is named with its
//! key and line, and no secret is repeated.

use super::command::Place;
use super::tokens::now_s;
use crate::harness::{Answer, Gateway, Modern, Setup, eventually, root};
use gatehouse_forge::{Signer, claims, jwks};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

const PUBLIC: &str = "https://gate.example";

/// Of one issuer, with this behind its name.
fn tokens(more: &str) -> String {
    format!("[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n[auth.issuers.one]\nissuer = \"https://one.example\"\n{more}")
}

/// What is wrong, and where: all of them stand in settings that are right but for that.
fn mistakes() -> Vec<(String, &'static str)> {
    let issuer = |line: &str| tokens(&format!("jwks_file = \"jwks.json\"\n{line}\n"));
    let hash = format!("hash = \"sha256:{}\"", "0a".repeat(32));
    let key = |line: &str| format!("[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n[auth.keys.bot]\n{hash}\n{line}\n");
    vec![
        ("[auth]\nmode = \"basic\"\n".to_owned(), "line 2: auth.mode: must be"),
        ("[auth]\nmode = true\n".to_owned(), "line 2: auth.mode: must be a string"),
        ("[auth]\nmode = \"tokens\"\npublic_url = \"https://g\"\n".to_owned(), "line 2: auth.mode: needs at least one section"),
        (tokens("jwks_file = \"jwks.json\"").replace(PUBLIC, "https://gate.example/mcp"), "line 3: auth.public_url: must be an address"),
        (issuer("leeway_s = 301"), "line 7: auth.issuers.one.leeway_s: must be a whole number from 0 to 300"),
        (issuer("lifetime_max_s = 59"), "line 7: auth.issuers.one.lifetime_max_s: must be a whole number from 60 to 2592000"),
        (issuer("access_tokens_only = \"yes\""), "line 7: auth.issuers.one.access_tokens_only: must be true or false"),
        (issuer("audience = [\"x\"]"), "line 7: auth.issuers.one.audience: there is no such setting; did you mean `audiences`?"),
        (issuer("jwks_url = \"http://login.example.com/\""), "line 7: auth.issuers.one.jwks_url: must be like"),
        (issuer("secret_file = \"s\""), "line 6: auth.issuers.one.jwks_file: one of"),
        (issuer("tenant = \"acme\"\ntenant_claim = \"org\""), "line 7: auth.issuers.one.tenant: is given beside tenant_claim"),
        (issuer("tenant = \"acme\""), "line 4: auth.issuers: one: there is no section [tenants.acme]"),
        (tokens("public_key_file = \"key.pem\"\n"), "auth.issuers.one.algorithm: must be given"),
        (key("expires = \"tomorrow\""), "line 6: auth.keys.bot.expires: must be a day"),
        (key("scopes = [\"a b\"]"), "line 6: auth.keys.bot.scopes: must be at most"),
        (key("tenant = \"acme\""), "auth.keys: bot: there is no section [tenants.acme]"),
        ("[servers.one]\ntools = [\"*\"]\ntenant = \"acme\"\n".to_owned(), "line 3: servers.one.tenant: "),
        ("[servers.One]\ntools = [\"*\"]\n".to_owned(), "line 1: servers.One: "),
        ("[tenants.acme]\ncalls_in_flight_max = 0\n".to_owned(), "line 2: tenants.acme.calls_in_flight_max: must be a whole number"),
        ("[limits]\nauth_failures_per_minute_max = 0\n".to_owned(), "line 2: limits.auth_failures_per_minute_max: must be a whole number"),
        (
            "[limits]\nmemory_per_tenant_bytes_max = 2000000\n".to_owned(),
            "line 2: limits.memory_per_tenant_bytes_max: must be no less than",
        ),
        ("[gateway]\nlisten = \"0.0.0.0:0\"\n[auth]\nmode = \"none\"\n".to_owned(), "line 2: gateway.listen: 0.0.0.0:0 can be reached"),
        ("[gateway]\nlisten = \"[::]:0\"\n".to_owned(), "line 2: gateway.listen: [::]:0 can be reached"),
        ("[gateway]\nlisten = \"198.51.100.7:80\"\n".to_owned(), "line 2: gateway.listen: 198.51.100.7:80 can be reached"),
        ("[auth\nmode = \"none\"\n".to_owned(), "line 1: "),
    ]
}

/// X04, X06.
#[test]
fn wrong_settings_are_named_with_key_and_line_at_the_start() {
    let place = Place::new();
    fs::write(place.path().join("jwks.json"), jwks(&[Signer::ed25519("k1", 7).jwk()])).expect("written");
    for (settings, wanted) in mistakes() {
        place.settings(&settings);
        for command in ["serve", "check"] {
            let ran = place.run(&[command]);
            let named = ran.err.starts_with("gatehouse: gatehouse.toml has ") && ran.err.lines().any(|line| says(line, wanted));
            assert!(ran.code == 78 && named && ran.out.is_empty(), "{command} {settings}: {ran:?}");
        }
    }
    assert!(!place.path().join("gatehouse-data").exists(), "nothing was begun");
}

/// Whether a line of a report begins with that, whatever the line number where none is wanted.
fn says(line: &str, wanted: &str) -> bool {
    let line = line.trim_start();
    let key = line.split_once(": ").map_or(line, |(number, rest)| if number.starts_with("line ") { rest } else { line });
    line.starts_with(wanted) || key.starts_with(wanted)
}

/// X04.
#[tokio::test]
async fn wrong_settings_change_nothing_while_it_runs() {
    let signer = Signer::ed25519("k1", 7);
    let keys = tempfile::tempdir().expect("a directory");
    let file = keys.path().join("jwks.json");
    fs::write(&file, jwks(&[signer.jwk()])).expect("written");
    let settings = tokens(&format!("jwks_file = {file:?}\n"));
    // Nobody but the command reads them: what it says is of this very reading.
    let settings = format!("[gateway]\nwatch_settings = false\n{settings}");
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: settings.clone(), ..Setup::default() }).await;
    let token = signer.token(&claims("https://one.example", &format!("{PUBLIC}/mcp"), now_s()));
    let echo = || Modern::call("echo", json!({ "message": "hello" }));
    // This one has its address from the command line.
    let mistakes = mistakes().into_iter().filter(|(_, wanted)| !wanted.contains("gateway.listen"));
    let refused = || gateway.log().matches("the settings were not taken; the running ones go on").count();
    for (count, (settings, wanted)) in mistakes.enumerate() {
        gateway.set(&settings);
        // The command looks at them itself before it asks; a signal makes the gateway do so.
        let (code, said) = gateway.reload().await;
        assert!(code == 78 && said.lines().any(|line| says(line, wanted)), "{settings}: {code} {said}");
        gateway.hang_up();
        eventually("it is in the log", Duration::from_secs(10), async || (refused() > count).then_some(())).await;
        assert!(gateway.log().lines().any(|line| says(line, wanted)), "{wanted}: {}", gateway.log());
        let answer = gateway.modern(echo().header("authorization", format!("Bearer {token}"))).await;
        assert_eq!(answer.tool_text(), "hello", "{settings}");
        assert_eq!(gateway.modern(echo()).await.status, 401, "{settings}");
    }
    gateway.set(&settings);
    assert_eq!(gateway.reload().await.0, 0);
}

/// The report on a secret is the same for whatever secret has that fault, letter by letter: so it repeats nothing of it.
fn report(sentence: &str) -> String {
    format!("gatehouse: auth.issuers.one: secret_file: {sentence}\n")
}

const SHORT: &str = "the secret is shorter than 32 bytes; make one with `openssl rand -base64 48`";
const KNOWN: &str = "the secret is publicly known; make one with `openssl rand -base64 48`";
const PLAIN: &str = "the secret is not random; make one with `openssl rand -base64 48`";
const GOOD: &str = "vQ4r0kW9m1Zt7yB2uXc8Lh5nJs3Pd6Ge/fTaRiK+oNzMq";

/// X05: a secret that can be guessed keeps the gateway from starting, and is not shown.
#[test]
fn weak_secrets_are_refused_and_not_repeated() {
    let place = Place::new();
    place.settings(&tokens("secret_file = \"secret\"\n"));
    let rows: [(&[u8], &str); 18] = [
        (b"", SHORT),
        (b"\n", SHORT),
        (b"secret", SHORT),
        (b"secret\n", SHORT),
        (b"changeme", SHORT),
        (b"admin", SHORT),
        // 31 bytes, and random ones.
        (b"nLkZ3Cq8v0Yt5WmRd7XsGbHj1PfUaEo", SHORT),
        (b"\xff\x01\xfe\x02", SHORT),
        (b"secretsecretsecretsecretsecretsecret", KNOWN),
        (b"changemechangemechangemechangeme", KNOWN),
        (b"your-256-bit-secret-your-256-bit-secret", KNOWN),
        (b"a-string-secret-at-least-256-bits-long", KNOWN),
        (b"gatehouse-example-secret-do-not-use", KNOWN),
        (b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcuUuTwjAzZr1Z9CAow", KNOWN),
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", PLAIN),
        (b"0123456789012345678901234567890123456789", PLAIN),
        (b"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", PLAIN),
        (&[0; 64], PLAIN),
    ];
    let plugins = place.plugins();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--plugins", plugins.to_str().expect("text")];
    for (secret, sentence) in rows {
        fs::write(place.path().join("secret"), secret).expect("written");
        for command in [&serve[..], &["check"]] {
            let ran = place.run(command);
            assert_eq!((ran.code, &*ran.err, &*ran.out), (78, &*report(sentence), ""), "{}", String::from_utf8_lossy(secret));
        }
    }
    // Written where its file belongs: neither a missing file nor an unfit one names it.
    place.settings(&tokens(&format!("secret_file = \"{}\"\n", GOOD.replace('/', "_"))));
    let ran = place.run(&serve);
    assert_eq!((ran.code, &*ran.err), (78, &*report("No such file or directory (os error 2)")));
    // And one that is fine starts.
    fs::write(place.path().join("secret"), GOOD).expect("written");
    place.settings(&tokens("secret_file = \"secret\"\n"));
    assert!(place.serve(&[]).stop().success());
}

/// X05: no value that stands in a page of ours is a secret. Ids and digests of examples look like one.
#[test]
fn what_our_pages_print_is_no_secret() {
    let place = Place::new();
    place.settings(&tokens("secret_file = \"secret\"\n"));
    let listed = Command::new("git").args(["ls-files", "*.md", "*.toml"]).current_dir(root()).output().expect("a clone");
    let mut values = BTreeSet::new();
    for page in String::from_utf8(listed.stdout).expect("text").lines().filter(|page| !page.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(root().join(page)).expect("there");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+/_=-".contains(c));
        // Of paths and of names nobody makes a secret.
        let random = |word: &&str| {
            let has = |kind: fn(&u8) -> bool| word.bytes().any(|byte| kind(&byte));
            let hexadecimal = word.bytes().all(|byte| byte.is_ascii_hexdigit());
            !word.contains('/') && (hexadecimal || has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase))
        };
        values.extend(words.filter(|word| word.len() >= 32).filter(random).map(ToOwned::to_owned));
    }
    assert!(values.len() >= 5, "the scan finds them: {values:?}");
    for value in values {
        fs::write(place.path().join("secret"), &value).expect("written");
        let ran = place.run(&["check"]);
        let refused = ran.code == 78 && [KNOWN, PLAIN].iter().any(|sentence| ran.err == report(sentence));
        assert!(refused, "{value} stands in a page and is taken for a secret; add it to PRINTED in the token crate's secret.rs: {ran:?}");
    }
}

/// X05, X04: a secret that becomes weak, and an API key that stands where its hash belongs, are refused while it runs.
#[tokio::test]
async fn weak_secrets_are_not_taken_while_it_runs() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("secret");
    fs::write(&file, GOOD).expect("written");
    let with = |more: &str| format!("[gateway]\nwatch_settings = false\n{}", tokens(&format!("secret_file = {file:?}\n{more}")));
    let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: with(""), ..Setup::default() }).await;
    let token = Signer::hs256("x", GOOD.as_bytes()).named(None).token(&claims("https://one.example", &format!("{PUBLIC}/mcp"), now_s()));
    let made = Place::new().run(&["token", "key", "bot", "--json"]).json();
    let key = made["key"].as_str().expect("a key");
    let shows = async || {
        gateway.modern(Modern::call("echo", json!({ "message": "hello" })).header("authorization", format!("Bearer {token}"))).await.status
    };
    assert_eq!(shows().await, 200);
    let weak = "changemechangemechangemechangeme";
    let table = [
        (weak, with(""), "auth.issuers.one: secret_file: the secret is publicly known"),
        (GOOD, with(&format!("[auth.keys.bot]\nhash = \"{key}\"\n")), "auth.keys.bot.hash: must be sha256: and 64 hexadecimal digits"),
        (GOOD, with(&format!("[auth.keys.bot]\nkey = \"{key}\"\n")), "auth.keys.bot.key: there is no such setting"),
    ];
    for (secret, settings, reason) in table {
        fs::write(&file, secret).expect("written");
        gateway.set(&settings);
        let (code, said) = gateway.reload().await;
        assert!(code == 78 && said.contains(reason), "{reason}: {said}");
        assert_eq!(shows().await, 200, "{reason}");
        let repeated = |text: &str| [weak, key, GOOD].iter().any(|secret| text.contains(secret));
        assert!(!repeated(&said) && !repeated(&gateway.log()), "{said}\n{}", gateway.log());
    }
}

/// X06: a gateway that other machines can reach does not become an open one while it runs. Its settings may name another address by then.
#[tokio::test]
async fn an_address_that_others_reach_is_never_open() {
    let place = Place::new();
    let signer = Signer::ed25519("k1", 7);
    fs::write(place.path().join("jwks.json"), jwks(&[signer.jwk()])).expect("written");
    let closed = format!("[gateway]\nlisten = \"0.0.0.0:0\"\nwatch_settings = false\n{}", tokens("jwks_file = \"jwks.json\"\n"));
    place.settings(&closed);
    let gateway = place.serve_as_set(&[]);
    let port = gateway.url.trim_end_matches("/mcp").rsplit(':').next().expect("a port");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let bare = async || {
        let request = client.post(format!("http://127.0.0.1:{port}/mcp")).header("content-type", "application/json").body("{}");
        Answer::of(request).await.status
    };
    assert_eq!(bare().await, 401);
    let table = [
        ("[gateway]\nlisten = \"127.0.0.1:0\"\nwatch_settings = false\n", "auth.mode: is \"none\", and 0.0.0.0:"),
        ("[gateway]\nlisten = \"0.0.0.0:0\"\nwatch_settings = false\n", "line 2: gateway.listen: 0.0.0.0:0 can be reached"),
        ("", "auth.mode: is \"none\", and 0.0.0.0:"),
    ];
    for (settings, reason) in table {
        place.settings(settings);
        let ran = place.run(&["reload"]);
        assert!(ran.code == 78 && ran.err.contains(reason), "{settings}: {ran:?}");
        assert_eq!(bare().await, 401, "{settings}");
    }
    place.settings(&closed);
    assert_eq!(place.run(&["reload"]).code, 0);
    assert!(gateway.stop().success());
}
