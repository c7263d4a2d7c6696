//! The cases of group T, "JWT and keys", by the shipped binary: each with the status that it must have, and with the reason that stands in
//! the log, so that no row passes for another's. T01, T25 and T29 are in `tokens`, T08, T10 and T27 in `jwks`, T28 is a unit test of `auth`.

use super::tenants::{ADA, House};
use super::tokens::now_s;
use crate::harness::{Answer, Gateway, Modern, Setup, eventually, raw};
use gatehouse_forge::{Signer, bits_flipped, claims, hostile, jwks, part, with};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use std::time::Duration;

const PUBLIC: &str = "https://gate.example";
const HERE: &str = "https://gate.example/mcp";
const ONE: &str = "https://one.example";
const TWO: &str = "https://two.example";
const REFUSED: &str = "Bearer resource_metadata=\"https://gate.example/.well-known/oauth-protected-resource/mcp\", error=\"invalid_token\"";

fn echo() -> Modern {
    Modern::call("echo", json!({ "message": "hello" }))
}

/// A gateway with two issuers: one has a key for each algorithm, the other one key of its own, and one that is called like the first's.
struct World {
    gateway: Gateway,
    rs: Signer,
    es: Signer,
    ed: Signer,
    of_two: Signer,
    namesake: Signer,
    _keys: tempfile::TempDir,
}

/// What is refused: its name, the token, the word in the log; none where HTTP sees another token than the one that was made.
type Row = (String, String, Option<&'static str>);

impl World {
    /// With this for the first issuer beside its keys, and more settings.
    async fn with(issuer: &str, more: &str) -> Self {
        let (rs, es, ed) = (Signer::rs256("rs"), Signer::es256("es"), Signer::ed25519("ed", 7));
        let (of_two, namesake) = (Signer::ed25519("two", 8), Signer::ed25519("ed", 9));
        let keys = tempfile::tempdir().expect("a directory");
        let set = |name: &str, signers: &[&Signer]| {
            let file = keys.path().join(name);
            std::fs::write(&file, jwks(&signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>())).expect("written");
            file.display().to_string()
        };
        let (one, two) = (set("one.json", &[&rs, &es, &ed]), set("two.json", &[&of_two, &namesake]));
        let settings = format!(
            // One line for each, however fast they come.
            "[log]\nfilter = \"info,gatehouse::http=debug\"\n[limits]\nauth_failures_per_minute_max = 100000\n{more}\n[auth]\nmode = \"tokens\"\npublic_url = \"{PUBLIC}\"\n\
             [auth.issuers.two]\nissuer = \"{TWO}\"\njwks_file = \"{two}\"\n\
             [auth.issuers.one]\nissuer = \"{ONE}\"\njwks_file = \"{one}\"\n{issuer}\n"
        );
        let gateway = Gateway::with(Setup { plugins: vec!["text-toolbox"], settings, ..Setup::default() }).await;
        Self { gateway, rs, es, ed, of_two, namesake, _keys: keys }
    }

    async fn shows(&self, token: &str) -> Answer {
        self.gateway.modern(echo().header("authorization", format!("Bearer {token}"))).await
    }

    /// Every row is 401 and says no more than that; the words in the log are theirs, in their order.
    async fn refuses(&self, rows: impl IntoIterator<Item = Row>) {
        let before = words(&self.gateway.log()).len();
        let mut expected = Vec::new();
        for (name, token, word) in rows {
            refused(&name, &self.shows(&token).await);
            expected.push((name, word));
        }
        let found = async || Some(words(&self.gateway.log())).filter(|words| words.len() >= before + expected.len());
        let found = eventually("the log has a line for each", Duration::from_secs(10), found).await;
        assert_eq!(found.len(), before + expected.len());
        for ((name, word), found) in expected.iter().zip(&found[before..]) {
            assert!(word.is_none_or(|word| word == found), "{name}: {found} and not {word:?}");
        }
        assert_eq!(self.shows(&self.ed.token(&good())).await.tool_text(), "hello", "the right one goes on to count");
    }

    async fn takes(&self, name: &str, token: &str) {
        let answer = self.shows(token).await;
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
    }
}

fn good() -> Value {
    claims(ONE, HERE, now_s())
}

fn refused(name: &str, answer: &Answer) {
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(REFUSED)), "{name}: {answer:?}");
    assert_eq!(answer.text, "a bearer token is needed\n", "{name}: the reason is for the log");
}

/// The reasons in a log, in their order.
fn words(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains("a token was refused"));
    lines.map(|line| line.split("reason=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a reason").to_owned()).collect()
}

fn row(name: impl Into<String>, token: String, word: &'static str) -> Row {
    (name.into(), token, Some(word))
}

/// Whether HTTP carries it as it is: blanks around a value are the header's own, line breaks never come to the gateway.
fn can_be_sent(token: &str) -> bool {
    let value = format!("Bearer {token}");
    token.trim() == token && HeaderValue::from_str(&value).is_ok() && value.len() <= 12_000
}

/// T02, T03, T05 to T07, T19 to T21, T23: every way to forge one that is known, against a key of each kind.
#[tokio::test]
async fn no_forged_token_is_taken() {
    let world = World::with("", "").await;
    for signer in [&world.rs, &world.es, &world.ed] {
        let ways: Vec<_> = hostile(signer, &good()).into_iter().filter(|way| can_be_sent(&way.token)).collect();
        assert!(ways.len() >= 150, "{} ways for {}", ways.len(), signer.algorithm());
        let rows = ways.into_iter().map(|way| {
            // What is not even one word is refused for that.
            let is_a_word = !way.token.is_empty() && way.token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
            (format!("{}: {}", signer.algorithm(), way.name), way.token, is_a_word.then_some(way.word))
        });
        world.refuses(rows).await;
    }
}

/// T03: the public key, which everybody has, as a secret.
#[tokio::test]
async fn t03_a_public_key_is_no_secret() {
    let world = World::with("", "").await;
    let (pem, der) = (world.rs.public_pem().expect("PEM"), world.rs.public_der().expect("DER"));
    let secrets = [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without the last line break", pem.trim_end().as_bytes().to_vec()),
        ("DER", der),
        ("JWK", world.rs.jwk().to_string().into_bytes()),
    ];
    let token = |secret: &[u8], kid| Signer::hs256("x", secret).named(kid).token(&good());
    let named = secrets.iter().map(|(name, secret)| row(format!("T03 {name}"), token(secret, Some("rs")), "algorithm"));
    let unnamed = secrets.iter().map(|(name, secret)| row(format!("T03 {name}, no kid"), token(secret, None), "algorithm"));
    world.refuses(named.chain(unnamed)).await;
}

/// T07: a name of 64 KiB does not fit into a head. Where a head may be that long, the token is too long.
#[tokio::test]
async fn t07_a_long_name_of_a_key_is_never_looked_for() {
    let header = json!({ "alg": "EdDSA", "kid": "k".repeat(64 << 10) }).to_string();
    for (settings, status) in [("", 431), ("header_bytes_max = 1048576", 401)] {
        let world = World::with("", settings).await;
        assert_eq!(head_only(&world, &world.ed.token_of(&header, &good().to_string())).await, status, "{settings}");
        world.takes("T07 the right one", &world.ed.token(&good())).await;
    }
}

/// The status of a request that shows a token, however long that is.
async fn head_only(world: &World, token: &str) -> u16 {
    let address = world.gateway.address();
    let head = format!(
        "POST /mcp HTTP/1.1\nHost: {address}\nContent-Type: application/json\nAccept: application/json\nAuthorization: Bearer {token}\n"
    );
    raw::last_status(&address, raw::message(&format!("{head}Connection: close"), "{}")).await
}

/// T11: an end that is no number of seconds is no end.
#[tokio::test]
async fn t11_exp_is_a_number_that_makes_sense() {
    let world = World::with("", "").await;
    let without = with(&good(), &json!({ "exp": null })).to_string();
    let exp = |text: &str| world.ed.token_of(&world.ed.header().to_string(), &without.replacen('{', &format!("{{\"exp\":{text},"), 1));
    world.takes("T11 a number", &exp(&(now_s() + 600).to_string())).await;
    world.takes("T11 a number with a fraction", &exp(&format!("{}.5", now_s() + 600))).await;
    let rows = [
        ("a text", "\"9999999999\"", "claim"),
        ("1e308", "1e308", "claim"),
        ("-1", "-1", "expired"),
        ("2^64", "18446744073709551616", "claim"),
        ("null", "null", "claim"),
        ("an array", "[9999999999]", "claim"),
    ];
    let missing = row("T11 missing", world.ed.token(&with(&good(), &json!({ "exp": null }))), "expiry_missing");
    world.refuses(rows.map(|(name, text, word)| row(format!("T11 {name}"), exp(text), word)).into_iter().chain([missing])).await;
}

/// T13, T14.
#[tokio::test]
async fn t13_t14_a_token_is_of_now_and_not_for_long() {
    let world = World::with("", "").await;
    let changed = |changes: Value| world.ed.token(&with(&good(), &changes));
    world.takes("T14 24 h", &changed(json!({ "iat": now_s(), "exp": now_s() + 86_400 }))).await;
    let rows = [
        ("T13 exp = now - 31 s", json!({ "exp": now_s() - 31 }), "expired"),
        ("T13 iat = now + 1 h", json!({ "iat": now_s() + 3_600, "exp": now_s() + 7_200 }), "issued_later"),
        ("T14 25 h", json!({ "iat": now_s(), "exp": now_s() + 25 * 3_600 }), "lifetime"),
        ("T14 24 h and a second", json!({ "iat": now_s(), "exp": now_s() + 86_401 }), "lifetime"),
        ("T14 no iat, 25 h left", json!({ "iat": null, "exp": now_s() + 25 * 3_600 }), "lifetime"),
    ];
    world.refuses(rows.map(|(name, changes, word)| row(name, changed(changes), word))).await;
    // What hangs on a second: an answer counts if the clock did not go on meanwhile.
    let table = [
        ("T13 exp = now - 29 s", "exp", -29, 200),
        ("T13 exp = now - 30 s", "exp", -30, 401),
        ("T13 nbf = now + 30 s", "nbf", 30, 200),
        ("T13 nbf = now + 31 s", "nbf", 31, 401),
        ("T13 iat = now + 30 s", "iat", 30, 200),
        ("T13 iat = now + 31 s", "iat", 31, 401),
    ];
    for (name, claim, seconds, status) in table {
        let in_one_second = async || {
            let now = now_s();
            let before = json!({ "iat": now - 600 });
            let token = world.ed.token(&with(&with(&good(), &before), &json!({ claim: now.strict_add_signed(seconds) })));
            let answer = world.shows(&token).await;
            (now_s() == now).then_some(answer.status)
        };
        assert_eq!(eventually(name, Duration::from_secs(30), in_one_second).await, status, "{name}");
    }
}

/// T15, T16: made for this very address, and not for many others.
#[tokio::test]
async fn t15_t16_a_token_is_made_for_this_address() {
    let world = World::with("", "").await;
    let audience = |audience: Value| world.ed.token(&with(&good(), &json!({ "aud": audience })));
    let many = |others: usize| Value::from_iter((0..others).map(|at| format!("https://{at}.example")).chain([HERE.to_owned()]));
    world.takes("T15 an array with the right one", &audience(json!(["https://other.example/mcp", HERE]))).await;
    world.takes("T16 16 with the right one", &audience(many(15))).await;
    let rows = [
        ("T15 missing", Value::Null, "audience"),
        ("T15 another server's", json!("https://gate.example/servers/one/mcp"), "audience"),
        ("T15 another gateway's", json!("https://other.example/mcp"), "audience"),
        ("T15 .evil behind", json!(format!("{HERE}.evil")), "audience"),
        ("T15 upper case path", json!("https://gate.example/MCP"), "audience"),
        ("T15 upper case host", json!("https://GATE.example/mcp"), "audience"),
        ("T15 a slash behind", json!(format!("{HERE}/")), "audience"),
        ("T15 an array without the right one", json!([format!("{HERE}/"), "https://gate.example"]), "audience"),
        ("T16 17 with the right one", many(16), "audience"),
        ("T16 an object", json!({ "aud": HERE }), "claim"),
        ("T16 a number", json!(7), "claim"),
    ];
    world.refuses(rows.map(|(name, value, word)| row(name, audience(value), word))).await;
}

/// T17: an issuer speaks for itself, under its own name, with its own keys.
#[tokio::test]
async fn t17_an_issuer_speaks_for_itself() {
    let world = World::with("", "").await;
    let issuer = |signer: &Signer, issuer: Value| signer.token(&with(&good(), &json!({ "iss": issuer })));
    world.takes("T17 the other issuer's own", &issuer(&world.of_two, json!(TWO))).await;
    world
        .refuses([
            row("T17 wrong", issuer(&world.ed, json!("https://three.example")), "issuer"),
            row("T17 missing", issuer(&world.ed, Value::Null), "issuer"),
            row("T17 a slash behind", issuer(&world.ed, json!(format!("{ONE}/"))), "issuer"),
            row("T17 upper case", issuer(&world.ed, json!("https://ONE.example")), "issuer"),
            row("T17 an array", issuer(&world.ed, json!([ONE])), "issuer"),
            row("T17 the name of the keys' own", issuer(&world.ed, json!("gatehouse")), "issuer"),
            row("T17 by the other issuer's key", issuer(&world.of_two, json!(ONE)), "kid_unknown"),
            row("T17 by the other issuer's key of the same kid", issuer(&world.namesake, json!(ONE)), "signature"),
            row("T17 by the first issuer's key for the other", issuer(&world.ed, json!(TWO)), "signature"),
        ])
        .await;
}

/// T18: of a tenant that there is, and of somebody.
#[tokio::test]
async fn t18_a_caller_is_somebody_of_some_tenant() {
    let house = House::with(&[], ("", "", "")).await;
    let shows = async |changes: &Value| {
        let token = house.signer.token(&with(&House::claims(ADA, "/mcp"), changes));
        house.gateway.modern(echo().header("authorization", format!("Bearer {token}"))).await
    };
    assert_eq!(shows(&json!({ "sub": "a".repeat(256) })).await.tool_text(), "hello");
    let rows = [
        ("tenant claim missing", json!({ "org": null }), "tenant"),
        ("tenant claim an array", json!({ "org": ["acme"] }), "tenant"),
        ("tenant claim unknown", json!({ "org": "nobody" }), "tenant"),
        ("the default tenant, which there is not", json!({ "org": "default" }), "tenant"),
        ("sub missing", json!({ "sub": null }), "subject"),
        ("sub empty", json!({ "sub": "" }), "subject"),
        ("sub of 257 bytes", json!({ "sub": "a".repeat(257) }), "subject"),
        ("sub of 4 KiB", json!({ "sub": "a".repeat(4 << 10) }), "subject"),
    ];
    for (name, changes, _) in &rows {
        refused(&format!("T18 {name}"), &shows(changes).await);
    }
    let found = async || Some(words(&house.gateway.log())).filter(|words| words.len() >= rows.len());
    assert_eq!(eventually("a line for each", Duration::from_secs(10), found).await, rows.map(|(_, _, word)| word));
}

/// T19: a signature is whole or it is none.
#[tokio::test]
async fn t19_one_bit_is_enough() {
    let world = World::with("", "").await;
    for signer in [&world.rs, &world.es, &world.ed] {
        let token = signer.token(&good());
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let bytes = gatehouse_forge::bytes_of(signature).expect("base64");
        let mut rows = vec![
            row("T19 stripped", format!("{signed}."), "parts"),
            row("T19 stripped with its point", signed.to_owned(), "parts"),
            row("T19 cut by a byte", format!("{signed}.{}", part(&bytes[..bytes.len() - 1])), "signature"),
        ];
        for which in 0..3 {
            let flipped: Vec<_> = bits_flipped(&token, which).into_iter().filter(|token| can_be_sent(token)).collect();
            assert!(flipped.len() >= 64 || which == 0, "{} of part {which}", flipped.len());
            rows.extend(flipped.into_iter().map(|token| (format!("T19 a bit of part {which}: {token}"), token, None)));
        }
        world.refuses(rows).await;
    }
}

/// T20, T21: zeros are no signature, DER is none, and a token has one spelling.
#[tokio::test]
async fn t20_t21_a_token_has_one_spelling() {
    let world = World::with("", "").await;
    let token = world.es.token(&good());
    world.takes("T20 the right one", &token).await;
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let bytes = gatehouse_forge::bytes_of(signature).expect("base64");
    let der = |number: &[u8]| [&[2, 33, 0][..], number].concat();
    let der = [vec![0x30, 70], der(&bytes[..32]), der(&bytes[32..])].concat();
    let with_signature = |signature: &str| format!("{signed}.{signature}");
    let (front, last) = signature.split_at(signature.len() - 1);
    // 64 bytes are 85 characters and 2 bits: of the last one's 6 bits, 4 stand for nothing.
    let next = char::from(last.as_bytes()[0] + 1);
    let mut rows = vec![
        row("T20 64 zero bytes", with_signature(&part([0; 64])), "signature"),
        row("T20 DER", with_signature(&part(der)), "signature"),
        row("T21 padding", with_signature(&format!("{signature}==")), "encoding"),
        row("T21 a plus", with_signature(&format!("+{}", &signature[1..])), "encoding"),
        row("T21 a slash", with_signature(&format!("/{}", &signature[1..])), "encoding"),
        row("T21 other last bits", with_signature(&format!("{front}{next}")), "encoding"),
        row("T21 a blank inside", with_signature(&format!("{} {}", &signature[..40], &signature[40..])), "authorization_shape"),
        row("T21 a tab inside", with_signature(&format!("{}\t{}", &signature[..40], &signature[40..])), "authorization_shape"),
    ];
    // In the header as well; padding in the middle of a value is no value of this header at all.
    rows.push(row("T21 a plus in front", format!("+{}", &token[1..]), "encoding"));
    rows.push(row("T21 padding in the middle", token.replacen('.', "=.", 1), "authorization_shape"));
    world.refuses(rows).await;
}

/// T23: nothing that has to be unpacked is. A hundred of each, so that the kernel's hundredths of seconds say something.
#[tokio::test]
async fn t23_what_must_be_unpacked_is_refused_at_once() {
    const TIMES: u64 = 100;
    let world = World::with("", "").await;
    let header = |changes: Value| world.rs.token_of(&with(&world.rs.header(), &changes).to_string(), &good().to_string());
    let (nested, token) = (world.rs.token(&good()), world.rs.token(&good()));
    let parts: Vec<_> = token.split('.').collect();
    let json_form = json!({ "payload": parts[1], "protected": parts[0], "signature": parts[2] }).to_string();
    let jwe = json!({ "alg": "dir", "enc": "A128GCM", "zip": "DEF" }).to_string();
    let rows = [
        ("crit", header(json!({ "crit": ["x"], "x": 1 })), Some("header_member")),
        ("b64", header(json!({ "b64": false })), Some("header_member")),
        ("zip", header(json!({ "zip": "DEF" })), Some("header_member")),
        ("a JWE of five parts", format!("{}..{}.{}.AA", part(jwe), part([0; 12]), "A".repeat(7_000)), Some("parts")),
        (
            "a token inside",
            world.rs.token_of(&with(&world.rs.header(), &json!({ "cty": "JWT" })).to_string(), &nested),
            Some("header_member"),
        ),
        ("JWS in JSON", json_form, None),
    ];
    world.refuses(rows.iter().map(|(name, token, word)| (format!("T23 {name}"), token.clone(), *word))).await;
    for (name, token, _) in &rows {
        let before = processor_ms(&world.gateway);
        for _ in 0..TIMES {
            refused(name, &world.shows(token).await);
        }
        let spent = processor_ms(&world.gateway) - before;
        println!("T23 {name}: {} µs of processor time", spent * 1_000 / TIMES);
        assert!(spent <= 5 * TIMES, "{name}: {spent} ms for {TIMES}");
    }
}

/// Of all threads of a gateway, in milliseconds.
fn processor_ms(gateway: &Gateway) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", gateway.pid())).expect("it runs");
    let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    // utime and stime, in hundredths of a second, are the 14th and the 15th field of the line.
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number") * 10).sum()
}

/// T24: 8,192 bytes are a token, more are none, and what does not fit into a head has its own status.
#[tokio::test]
async fn t24_a_token_has_8192_bytes_at_most() {
    let world = World::with("", "").await;
    let padded = |length: usize| {
        let bare = world.ed.token(&with(&good(), &json!({ "pad": "" }))).len();
        // Three bytes are four characters: one of the next lengths fits.
        let tokens = (0..8).map(|more| world.ed.token(&with(&good(), &json!({ "pad": "x".repeat((length - bare) * 3 / 4 + more - 4) }))));
        tokens.into_iter().find(|token| token.len() == length)
    };
    let longest = (8_180..=8_192).rev().find_map(padded).expect("one of these lengths");
    assert!(longest.len() >= 8_190, "{}", longest.len());
    world.takes("T24 as long as it may be", &longest).await;
    let of = |length: usize| format!("{longest}{}", "A".repeat(length - longest.len()));
    world.refuses([row("T24 8,193 bytes", of(8_193), "too_long"), row("T24 15 KiB", of(15 << 10), "too_long")]).await;
    let signed = (8_193..=8_196).find_map(padded).expect("one of these lengths");
    world.refuses([row("T24 well signed, and too long", signed, "too_long")]).await;
    assert_eq!(head_only(&world, &of(1 << 20)).await, 431, "T24 1 MiB");
    assert_eq!(head_only(&world, &of(15 << 10)).await, 401, "T24 15 KiB");
}

/// T26: what an issuer signs for other uses.
#[tokio::test]
async fn t26_only_an_access_token_is_one() {
    let world = World::with("access_tokens_only = true", "").await;
    let of = |typ: Value, changes: Value| {
        let header = with(&world.ed.header(), &json!({ "typ": typ })).to_string();
        world.ed.token_of(&header, &with(&good(), &changes).to_string())
    };
    let id_token = json!({ "nonce": "n-0S6_WzA2Mj", "auth_time": now_s() });
    world.takes("T26 at+jwt", &of(json!("at+jwt"), json!({}))).await;
    world.takes("T26 application/at+jwt", &of(json!("application/at+jwt"), json!({}))).await;
    world
        .refuses([
            row("T26 an ID token", of(json!("JWT"), id_token.clone()), "type"),
            row("T26 an ID token of no type", of(Value::Null, id_token), "type"),
            row("T26 a refresh token", of(json!("refresh+jwt"), json!({})), "type"),
            row("T26 a refresh token of type JWT", of(json!("JWT"), json!({ "typ": "Refresh" })), "type"),
            row("T26 a refresh token that calls itself an access token", of(json!("at+jwt"), json!({ "typ": "Refresh" })), "purpose"),
            row("T26 a logout token", of(json!("logout+jwt"), json!({})), "type"),
        ])
        .await;
    // Where types are not asked for, what a token says inside still counts.
    let open = World::with("", "").await;
    let header = with(&open.ed.header(), &json!({ "typ": "JWT" })).to_string();
    let inside = |changes: Value| open.ed.token_of(&header, &with(&good(), &changes).to_string());
    open.takes("T26 JWT", &inside(json!({}))).await;
    open.refuses([
        row("T26 an ID token by its claim", inside(json!({ "typ": "ID" })), "purpose"),
        row("T26 a refresh token by its claim", inside(json!({ "token_use": "refresh" })), "purpose"),
        row("T26 an ID token for its client", inside(json!({ "aud": "client-1", "nonce": "n" })), "audience"),
    ])
    .await;
}
