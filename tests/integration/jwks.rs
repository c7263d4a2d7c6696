//! Keys that issuers serve: fetched, renewed, and kept for a while when their server is gone. The servers here are as bad as servers get, and
//! the shipped binary must live with them: T06 to T08, T10, T27, X14.

use super::command::Place;
use super::tenants::NO_RATES;
use crate::harness::process::resident_kib;
use crate::harness::{Answer, Gateway, JwksServer, Modern, Reserved, Says, Setup, eventually, turn};
use futures_util::StreamExt as _;
use gatehouse_forge::{Signer, claims, jwks, part, with};
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PUBLIC: &str = "https://gate.example";
/// A server that came back is asked again within this.
const BACK_LIMIT: Duration = Duration::from_secs(15);

fn issuer(name: &str) -> String {
    format!("https://{name}.example")
}

/// The settings of issuers by name, each with the address of its keys and whatever else.
fn settings(issuers: &[(&str, String, &str)]) -> String {
    let sections = issuers
        .iter()
        .map(|(name, url, more)| format!("[auth.issuers.{name}]\nissuer = \"{}\"\njwks_url = \"{url}\"\n{more}\n", issuer(name)));
    format!(
        "[limits]\nauth_failures_per_minute_max = 1000000\n{NO_RATES}[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n{}",
        sections.collect::<String>()
    )
}

async fn gateway(issuers: &[(&str, String, &str)]) -> Gateway {
    Gateway::with(Setup { plugins: vec!["text-toolbox"], settings: settings(issuers), ..Setup::default() }).await
}

fn claims_of(name: &str) -> Value {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    claims(&issuer(name), &format!("{PUBLIC}/mcp"), now_s)
}

fn set(signers: &[&Signer]) -> Says {
    Says::Body(jwks(&signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()))
}

async fn show(gateway: &Gateway, token: &str) -> Answer {
    gateway.modern(Modern::call("echo", json!({ "message": "hello" })).header("authorization", format!("Bearer {token}"))).await
}

async fn shows(gateway: &Gateway, signer: &Signer) -> u16 {
    show(gateway, &signer.token(&claims_of("one"))).await.status
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    Answer::of(gateway.client.get(format!("{}{path}", gateway.origin))).await
}

/// Asks until the status is this one.
async fn becomes(what: &str, limit: Duration, gateway: &Gateway, signer: &Signer, status: u16) {
    eventually(what, limit, async || (shows(gateway, signer).await == status).then_some(())).await;
}

#[tokio::test]
async fn keys_are_fetched_once_for_all() {
    let signer = Signer::es256("k1");
    let server = JwksServer::start(set(&[&signer]));
    let gateway = gateway(&[("one", server.url(), "")]).await;
    // At once: the first request waits for the first fetch, if that is not at its end yet.
    for _ in 0..5 {
        assert_eq!(show(&gateway, &signer.token(&claims_of("one"))).await.tool_text(), "hello");
    }
    assert_eq!(server.came(), 1);
    let ready = get(&gateway, "/readyz").await;
    assert_eq!((ready.status, &ready.messages[0]["issuers_without_keys"]), (200, &json!(0)), "{ready:?}");
}

/// T27: the new key counts with the first token that names it, and the old one no longer than until the next fetch.
#[tokio::test]
async fn keys_rotate_without_a_refusal() {
    let (old, new) = (Signer::es256("k1"), Signer::ed25519("k2", 2));
    let server = JwksServer::start(set(&[&old]));
    let gateway = gateway(&[("one", server.url(), "jwks_refresh_s = 3")]).await;
    assert_eq!(shows(&gateway, &old).await, 200);
    server.say(set(&[&old, &new]));
    let together = futures_util::future::join_all((0..40).map(|_| shows(&gateway, &new))).await;
    assert!(together.iter().all(|status| *status == 200), "{together:?}");
    assert!(server.came() <= 3, "one fetch for all of them: {}", server.came());
    // One and the same all the time: that it has counted before says nothing of now.
    let token = old.token(&claims_of("one"));
    for _ in 0..3 {
        assert_eq!(show(&gateway, &token).await.status, 200);
    }
    server.say(set(&[&new]));
    let began = Instant::now();
    eventually("the old key is refused", Duration::from_secs(5), async || {
        assert_eq!(shows(&gateway, &new).await, 200, "the new key counts all the time");
        (shows(&gateway, &old).await == 401).then_some(())
    })
    .await;
    assert_eq!(show(&gateway, &token).await.status, 401);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // What is taken away altogether is taken away, and not a fault of the server's.
    server.say(Says::Body("{\"keys\":[]}".to_owned()));
    becomes("no key counts", Duration::from_secs(5), &gateway, &new, 401).await;
    assert_eq!(get(&gateway, "/readyz").await.status, 200);
}

/// T06, T07: nothing that a token says is an address, a file or a command.
#[tokio::test]
async fn a_token_sends_nobody_anywhere() {
    let signer = Signer::ed25519("k1", 7);
    let server = JwksServer::start(set(&[&signer]));
    let trap = JwksServer::start(set(&[&Signer::ed25519("k1", 9)]));
    let gateway = gateway(&[("one", server.url(), "")]).await;
    assert_eq!(shows(&gateway, &signer).await, 200);
    let evil = Signer::ed25519("k1", 9);
    for member in ["jku", "x5u"] {
        for signer in [&evil, &signer] {
            let header = with(&signer.header(), &json!({ member: trap.url() })).to_string();
            let answer = show(&gateway, &signer.token_of(&header, &claims_of("one").to_string())).await;
            assert_eq!(answer.status, 401, "{member}: {answer:?}");
        }
    }
    assert_eq!((trap.came(), server.came()), (0, 1));
    let trap_url = trap.url();
    let kids = ["../../../../dev/null", "' OR 1=1--", "$(id)", "\u{0}", "a\nb", "\u{202e}", trap_url.as_str(), &"k".repeat(600), ""];
    for kid in kids {
        let token = evil.named(Some(kid)).token(&claims_of("one"));
        assert_eq!(show(&gateway, &token).await.status, 401, "{kid:?}");
    }
    assert_eq!(trap.came(), 0);
    assert!(server.came() <= 2, "one fetch for all unknown kids: {}", server.came());
    let log = gateway.log();
    assert!(!log.contains("OR 1=1") && !log.contains('\u{202e}') && !log.contains("$(id)"), "what kids say is not logged:\n{log}");
}

/// T08: anybody can name a key that is not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_kids_cause_few_fetches() {
    const TOKENS: usize = 10_000;
    let signer = Signer::ed25519("k1", 7);
    let server = JwksServer::start(set(&[&signer]));
    let gateway = gateway(&[("one", server.url(), "")]).await;
    assert_eq!(shows(&gateway, &signer).await, 200);
    let began = Instant::now();
    let payload = claims_of("one").to_string();
    let flood = futures_util::stream::iter(0..TOKENS).map(|at| {
        let token = signer.token_of(&json!({ "alg": "EdDSA", "kid": format!("kid-{at}") }).to_string(), &payload);
        let request = gateway.client.post(gateway.url()).header("content-type", "application/json").bearer_auth(token).body("{}");
        async move { request.send().await.expect("an answer").status().as_u16() }
    });
    let _turn = turn().await;
    let flood = async { flood.buffer_unordered(32).filter(|status| std::future::ready(*status != 401)).count().await };
    let honest = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..100 {
            let began = Instant::now();
            assert_eq!(shows(&gateway, &signer).await, 200);
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    let (others, slowest) = futures_util::future::join(flood, honest).await;
    let took = began.elapsed();
    let allowed = 2 + took.as_secs() as usize / 10;
    println!("{TOKENS} unknown kids in {took:?}: {} fetches; the slowest of 100 honest calls took {slowest:?}", server.came() - 1);
    assert_eq!(others, 0, "all of them are refused");
    assert!(server.came() - 1 <= allowed, "{} fetches in {took:?}", server.came() - 1);
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

/// T10: a key that is unfit does not count, is named in the log once for each set, and spoils nothing.
#[tokio::test]
async fn unfit_keys_do_not_count() {
    let good = Signer::ed25519("good", 1);
    let oct = Signer::hs256("oct", b"yT0bXoZ1Yf5l9mJ3w8Kq2rVdN6uPcH4sGzAeLiQhRx7DvMnBtUjWkCpOaFyEgSIz");
    let (enc, twice, other) = (Signer::es256("enc"), Signer::ed25519("twice", 3), Signer::ed25519("twice", 4));
    let off = with(&Signer::es256("off").jwk(), &json!({ "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE" }));
    let short = json!({ "kty": "RSA", "kid": "short", "n": part([0xf1; 64]), "e": "AQAB" });
    let bad = [oct.jwk(), with(&enc.jwk(), &json!({ "use": "enc" })), off, short, twice.jwk(), other.jwk()];
    let server = JwksServer::start(Says::Body(jwks(&[&bad[..], &[good.jwk()]].concat())));
    let gateway = gateway(&[("one", server.url(), "jwks_refresh_s = 1")]).await;
    assert_eq!(shows(&gateway, &good).await, 200);
    for signer in [&oct, &enc, &twice, &other] {
        assert_eq!(shows(&gateway, signer).await, 401, "{signer:?}");
    }
    let fetched = server.came();
    eventually("the set is fetched again", Duration::from_secs(10), async || (server.came() >= fetched + 2).then_some(())).await;
    let lines = |gateway: &Gateway| gateway.log().lines().filter(|line| line.contains("a key is not used")).count();
    assert_eq!(lines(&gateway), bad.len(), "{}", gateway.log());
    for word in ["symmetric", "use", "point", "too_short", "kid_twice"] {
        assert!(gateway.log().contains(&format!("\"{word}\"")), "{word}: {}", gateway.log());
    }
    // Nothing but unfit keys is a set as well: then nobody's token counts.
    server.say(Says::Body(jwks(&bad)));
    becomes("nothing counts", Duration::from_secs(5), &gateway, &good, 401).await;
    for signer in [&oct, &enc, &twice, &other] {
        assert_eq!(shows(&gateway, signer).await, 401, "{signer:?}");
    }
}

/// Each of these servers keeps its own issuer's callers out, for some seconds each, and does nothing else.
#[tokio::test]
async fn no_server_of_keys_does_harm() {
    let signer = Signer::ed25519("k1", 7);
    let good = jwks(&[signer.jwk()]);
    let trap = JwksServer::start(Says::Body(good.clone()));
    let ways = [
        ("error", Says::Status(500, good.clone()), "the answer is 500"),
        ("created", Says::Status(201, good.clone()), "the answer is 201"),
        ("notmodified", Says::Status(304, String::new()), "the answer is 304"),
        ("moved", Says::Redirect(301, trap.url()), "the answer is 301"),
        ("found", Says::Redirect(302, trap.url()), "the answer is 302"),
        ("temporary", Says::Redirect(307, trap.url()), "the answer is 307"),
        ("huge", Says::Huge(10 << 20), "the response body is larger than request limit"),
        ("edge", Says::Huge(256 << 10), "the response body is larger than request limit"),
        ("endless", Says::Endless, "the response body is larger than request limit"),
        ("head", Says::EndlessHead, "header"),
        ("drip", Says::Drip, "timeout"),
        ("silence", Says::Silence, "timeout"),
        ("hangup", Says::HangUp, ""),
        ("half", Says::Half(good.clone()), ""),
        ("noise", Says::Noise, ""),
        ("broken", Says::Body(good[..good.len() - 2].to_owned()), "not a JSON object"),
        ("html", Says::Body("<html>log in</html>".to_owned()), "not a JSON object"),
        ("deep", Says::Body("[".repeat(200_000)), "not a JSON object"),
        ("shape", Says::Body("{\"keys\":{}}".to_owned()), "no array of keys"),
        ("many", Says::Body(jwks(&vec![signer.jwk(); 65])), "more than 64 keys"),
    ];
    let servers: Vec<_> = ways.iter().map(|(_, says, _)| JwksServer::start(says.clone())).collect();
    let honest = JwksServer::start(Says::Body(good.clone()));
    let mut issuers: Vec<_> = ways.iter().zip(&servers).map(|((name, ..), server)| (*name, server.url(), "")).collect();
    issuers.push(("one", honest.url(), ""));
    let gateway = gateway(&issuers).await;
    becomes("the honest issuer's tokens count", BACK_LIMIT, &gateway, &signer, 200).await;
    let began = Instant::now();
    let refused = futures_util::future::join_all(ways.iter().map(async |(name, ..)| {
        let began = Instant::now();
        let answer = show(&gateway, &signer.token(&claims_of(name))).await;
        assert_eq!((answer.status, (5..=9).contains(&answer.retry_after_s())), (503, true), "{name}: {answer:?}");
        assert!(!answer.text.contains("example") && answer.header("www-authenticate").is_none(), "{name}: {answer:?}");
        began.elapsed()
    }));
    let slowest = refused.await.into_iter().max().expect("some");
    assert!(slowest < Duration::from_secs(7), "{slowest:?}");
    // Each is asked again, later and later; the gateway serves meanwhile.
    let asked = async |times: usize| {
        eventually("every server was asked again", Duration::from_secs(60), async || {
            assert_eq!((get(&gateway, "/healthz").await.status, shows(&gateway, &signer).await), (200, 200));
            servers.iter().all(|server| server.came() >= times).then_some(())
        })
        .await;
    };
    asked(2).await;
    let memory = resident_kib(gateway.pid());
    asked(4).await;
    assert_eq!((trap.came(), honest.came()), (0, 1), "nobody follows a redirect");
    let ready = get(&gateway, "/readyz").await;
    let (reason, without) = (&ready.messages[0]["reason"], &ready.messages[0]["issuers_without_keys"]);
    assert_eq!((ready.status, reason, without), (503, &json!("issuer_keys"), &json!(ways.len())), "{ready:?}");
    let grown = resident_kib(gateway.pid()).saturating_sub(memory);
    let answers: usize = servers.iter().map(JwksServer::came).sum();
    println!("{answers} bad answers in {:?}: the slowest refusal {slowest:?}, {grown} KiB more memory", began.elapsed());
    assert!(grown < 16 << 10, "{grown} KiB more than after the second round");
    let log = gateway.log();
    for (name, _, reason) in ways {
        let lines: Vec<_> =
            log.lines().filter(|line| line.contains("cannot be fetched") && line.contains(&format!("issuer={name} "))).collect();
        assert!(!lines.is_empty() && lines.len() <= 3 && lines.iter().all(|line| line.contains(reason)), "{name}: {lines:#?}");
    }
    // They can mend their ways.
    servers.iter().for_each(|server| server.say(Says::Body(good.clone())));
    eventually("ready", BACK_LIMIT, async || (get(&gateway, "/readyz").await.status == 200).then_some(())).await;
    for (name, ..) in &issuers {
        assert_eq!(show(&gateway, &signer.token(&claims_of(name))).await.status, 200, "{name}");
    }
}

/// X14.
#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_waited_for() {
    let signer = Signer::ed25519("k1", 7);
    let place = Reserved::new();
    let gateway = gateway(&[("one", place.url(), "")]).await;
    assert_eq!(get(&gateway, "/healthz").await.status, 200);
    let ready = get(&gateway, "/readyz").await;
    assert_eq!((ready.status, &ready.messages[0]["reason"]), (503, &json!("issuer_keys")), "{ready:?}");
    assert_eq!(ready.messages[0]["ready"], json!(false));
    for _ in 0..3 {
        assert_eq!(shows(&gateway, &signer).await, 503);
    }
    let bare = gateway.modern(Modern::call("echo", json!({ "message": "hello" }))).await;
    assert_eq!(bare.status, 401, "who shows nothing learns where to get a token");
    assert_eq!(gateway.log().matches("cannot be fetched").count(), 1, "one reason is logged once");
    let server = place.open(set(&[&signer]));
    let began = Instant::now();
    eventually("ready", BACK_LIMIT, async || (get(&gateway, "/readyz").await.status == 200).then_some(())).await;
    println!("ready {:?} after the issuer came back", began.elapsed());
    assert_eq!((shows(&gateway, &signer).await, server.came()), (200, 1));
    assert!(gateway.log().contains("can be fetched again"), "{}", gateway.log());
}

/// Keys outlive their server for as long as the settings say.
#[tokio::test]
async fn keys_count_for_a_while_without_their_server() {
    let signer = Signer::ed25519("k1", 7);
    let server = JwksServer::start(set(&[&signer]));
    let gateway = gateway(&[("one", server.url(), "jwks_refresh_s = 1\njwks_grace_s = 3")]).await;
    let token = signer.token(&claims_of("one"));
    assert_eq!(show(&gateway, &token).await.status, 200);
    server.say(Says::Status(500, String::new()));
    let (began, before) = (Instant::now(), server.came());
    eventually("some fetches fail", Duration::from_secs(10), async || (server.came() >= before + 2).then_some(())).await;
    assert_eq!(shows(&gateway, &signer).await, 200, "the last set goes on");
    becomes("its time is over", Duration::from_secs(8), &gateway, &signer, 503).await;
    assert_eq!(show(&gateway, &token).await.status, 503, "a token that has counted before, too");
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    let ready = get(&gateway, "/readyz").await;
    assert_eq!((ready.status, &ready.messages[0]["issuers_without_keys"]), (200, &json!(1)), "others may have keys: {ready:?}");
    server.say(set(&[&signer]));
    becomes("the keys are back", BACK_LIMIT, &gateway, &signer, 200).await;
}

#[test]
fn settings_that_would_fetch_from_anybody_are_refused() {
    let place = Place::new();
    let no_certificate = place.path().join("no-certificate.pem");
    std::fs::write(&no_certificate, "nothing\n").expect("written");
    let wrong = "must be like https://login.example.com/keys";
    let cases = [
        ("jwks_url = \"http://login.example.com/keys\"", wrong),
        ("jwks_url = \"http://127.0.0.1.example.com/keys\"", wrong),
        ("jwks_url = \"http://127.0.0.1@example.com/keys\"", wrong),
        ("jwks_url = \"https://user:word@example.com/keys\"", wrong),
        ("jwks_url = \"https:///keys\"", wrong),
        ("jwks_url = \"https://example.com/keys#x\"", wrong),
        ("jwks_url = \"https://example.com/ke ys\"", wrong),
        ("jwks_url = \"https://example.com\\\\@127.0.0.1/\"", wrong),
        ("jwks_url = \"file:///etc/passwd\"", wrong),
        ("jwks_url = \"login.example.com\"", wrong),
        ("jwks_url = \"https://example.com/keys\"\njwks_file = \"x\"", "one of jwks_file, jwks_url, public_key_file and secret_file"),
        ("jwks_url = \"https://example.com/keys\"\njwks_refresh_s = 0", "a whole number from 1 to 86400"),
        ("jwks_url = \"https://example.com/keys\"\njwks_ca_file = \"missing.pem\"", "No such file"),
        ("jwks_url = \"https://example.com/keys\"\njwks_ca_file = \"no-certificate.pem\"", "it has no certificate"),
    ];
    let plugins = place.plugins();
    for (keys, reason) in cases {
        place.settings(&format!("[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n[auth.issuers.one]\nissuer = \"i\"\n{keys}\n"));
        let ran = place.run(&["serve", "--listen", "127.0.0.1:0", "--plugins", plugins.to_str().expect("text")]);
        assert!(ran.code == 78 && ran.err.contains(reason), "{keys}: {ran:?}");
    }
}
