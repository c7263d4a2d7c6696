//! The rows of `cases.jsonl` that concern a token by itself, one test each. Those of headers (T01, T25) are with `authorization`, those of
//! secrets (X05) with `secret`.

use crate::world::{
    AUDIENCE, ISSUER, ISSUERS, NOW_S, OTHER_ISSUER, SECRET, SIGNERS, STRICT, accepts, accepts_claims, at_s1, good, good_but, key_set,
    payload, refuses, refuses_claims,
};
use gatehouse_forge::{Signer, part};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use token::{Issuer, Key, KeyFault, KeySet, Refused, SecretFault, authorization, verify};

/// A header signed by the key that the issuer has for it.
#[track_caller]
fn refuses_header(changes: Value, expected: Refused) {
    let signer = &SIGNERS.rs256;
    let header = gatehouse_forge::with(&signer.header(), &changes);
    refuses(&signer.token_of(&header.to_string(), &good().to_string()), expected);
}

#[test]
fn t01_no_header_is_no_token_and_no_fault() {
    assert_eq!(authorization(std::iter::empty()), Ok(None));
}

#[test]
fn t02_none_is_no_algorithm() {
    let payload = part(good().to_string());
    let signature = part(SIGNERS.rs256.sign(b"x"));
    for alg in ["none", "None", "nOnE"] {
        let header = part(json!({"alg": alg, "kid": "key-rs"}).to_string());
        refuses(&format!("{header}.{payload}."), Refused::Parts);
        refuses(&format!("{header}.{payload}"), Refused::Parts);
        refuses(&format!("{header}.{payload}.{signature}"), Refused::Algorithm);
        refuses(&format!("{header}.{payload}.AA"), Refused::Algorithm);
        refuses_header(json!({ "alg": alg }), Refused::Algorithm);
    }
}

#[test]
fn t03_a_public_key_is_no_secret() {
    for signer in [&SIGNERS.rs256, &SIGNERS.es256, &SIGNERS.ed25519] {
        let (pem, der) = (signer.public_pem().unwrap(), signer.public_der().unwrap());
        let secrets = [pem.clone().into_bytes(), pem.trim_end().as_bytes().to_vec(), der, signer.jwk().to_string().into_bytes()];
        for secret in secrets {
            let forged = Signer::hs256("x", &secret).named(signer.header()["kid"].as_str());
            refuses(&forged.token(&good()), Refused::Algorithm);
            refuses(&forged.named(None).token(&good()), Refused::Signature);
        }
    }
    // Nor where the issuer has that one key only.
    let issuers = [Issuer::new(ISSUER, key_set(&[SIGNERS.rs256.jwk()]))];
    let forged = Signer::hs256("key-rs", SIGNERS.rs256.public_pem().unwrap().as_bytes());
    for token in [forged.token(&good()), forged.named(None).token(&good())] {
        assert_eq!(verify(&token, &issuers, AUDIENCE, NOW_S).err(), Some(Refused::Algorithm));
    }
}

#[test]
fn t05_t06_a_token_brings_no_key_along() {
    let stranger = Signer::ed25519("key-ed", 66);
    for extra in [
        json!({"jwk": stranger.jwk()}),
        json!({"jku": "http://127.0.0.1:9/keys"}),
        json!({"x5u": "http://127.0.0.1:9/cert"}),
        json!({"x5c": [part(stranger.public_der().unwrap())]}),
    ] {
        let header = gatehouse_forge::with(&stranger.header(), &extra);
        refuses(&stranger.token_of(&header.to_string(), &good().to_string()), Refused::Member);
    }
    refuses(&stranger.token(&good()), Refused::Signature);
}

#[test]
fn t07_t08_a_name_of_a_key_is_compared_and_nothing_else() {
    for kid in ["../../../../dev/null", "' OR 1=1--", "$(id)", "\0", "\u{202e}", "key-rs\0", "KEY-RS", ""] {
        refuses_header(json!({ "kid": kid }), Refused::KidUnknown);
    }
    refuses_header(json!({"kid": "k".repeat(64 << 10)}), Refused::TooLong);
    refuses_header(json!({"kid": "k".repeat(1_000)}), Refused::Header);
    refuses_header(json!({"kid": ["key-rs"]}), Refused::Header);
    for number in 0..100 {
        refuses_header(json!({"kid": format!("unknown-{number}")}), Refused::KidUnknown);
    }
}

#[test]
fn t07_a_key_without_a_name_is_found_if_it_is_the_only_one() {
    let (one, other) = (Signer::ed25519("a", 1), Signer::ed25519("b", 2));
    let verify_with = |keys: &[Value], token: &str| verify(token, &[Issuer::new(ISSUER, key_set(keys))], AUDIENCE, NOW_S).err();
    let unnamed = one.named(None);
    assert_eq!(verify_with(&[one.jwk(), SIGNERS.rs256.jwk()], &unnamed.token(&good())), None);
    assert_eq!(verify_with(&[unnamed.jwk()], &unnamed.token(&good())), None);
    // A name that is said must be there.
    assert_eq!(verify_with(&[unnamed.jwk()], &one.token(&good())), Some(Refused::KidUnknown));
    // Of several, none is tried.
    assert_eq!(verify_with(&[one.jwk(), other.jwk()], &unnamed.token(&good())), Some(Refused::KidMissing));
    assert_eq!(verify_with(&[unnamed.jwk(), other.named(None).jwk()], &unnamed.token(&good())), Some(Refused::KidMissing));
    assert_eq!(verify_with(&[SIGNERS.rs256.jwk()], &unnamed.token(&good())), Some(Refused::Algorithm));
    assert_eq!(verify_with(&[], &unnamed.token(&good())), Some(Refused::Algorithm));
    assert_eq!(verify_with(&[], &one.token(&good())), Some(Refused::KidUnknown));
}

/// Which keys are ignored is in `keys`; here, that their tokens are refused although they are signed.
#[test]
fn t10_tokens_by_unfit_keys_are_refused() {
    let with = |signer: &Signer, changes: Value| gatehouse_forge::with(&signer.jwk(), &changes);
    let (good_key, encrypting, twice) = (Signer::ed25519("good", 1), Signer::ed25519("enc", 2), Signer::ed25519("twice", 3));
    let (twin, symmetric) = (Signer::ed25519("twice", 4), Signer::hs256("oct", SECRET));
    let set = json!({"keys": [
        good_key.jwk(), with(&encrypting, json!({"use": "enc"})), twice.jwk(), twin.jwk(), symmetric.jwk(),
    ]});
    let keys = KeySet::from_jwks(set.to_string().as_bytes()).unwrap();
    assert_eq!(keys.ignored.len(), 4);
    let issuers = [Issuer::new(ISSUER, keys.keys)];
    assert!(verify(&good_key.token(&good()), &issuers, AUDIENCE, NOW_S).is_ok());
    for signer in [&encrypting, &twice, &twin, &symmetric] {
        assert_eq!(verify(&signer.token(&good()), &issuers, AUDIENCE, NOW_S).err(), Some(Refused::KidUnknown), "{signer:?}");
    }
}

#[test]
fn t11_exp_is_a_number_that_makes_sense() {
    refuses_claims(json!({"exp": null}), Refused::ExpiryMissing);
    for (text, expected) in [
        ("\"9999999999\"", Refused::Claim),
        ("1e308", Refused::Claim),
        ("18446744073709551616", Refused::Claim),
        ("9223372036854775808", Refused::Claim),
        ("null", Refused::Claim),
        ("[1800000600]", Refused::Claim),
        ("{}", Refused::Claim),
        ("true", Refused::Claim),
        ("-1", Refused::Expired),
        ("0", Refused::Expired),
        ("-9223372036854775808", Refused::Expired),
        ("9223372036854775807", Refused::Lifetime),
        ("1e999", Refused::Payload),
        ("01800000600", Refused::Payload),
        ("NaN", Refused::Payload),
    ] {
        let claims = good().to_string().replace("\"exp\":1800000600", &format!("\"exp\":{text}"));
        assert_eq!(payload(&claims).err(), Some(expected), "{text}");
    }
    let claims = good().to_string().replace("\"exp\":1800000600", "\"exp\":1800000600.9");
    assert_eq!(payload(&claims).unwrap().expires_at_s(), 1_800_000_600);
}

#[test]
fn t11_claims_that_may_be_missing_may_not_be_wrong() {
    for name in ["exp", "nbf", "iat"] {
        for value in [json!("1800000000"), json!([1]), json!({}), json!(true), json!(1e300)] {
            refuses_claims(json!({ name: value }), Refused::Claim);
        }
        let claims = format!("{{\"{name}\":null,{}", &good_but(json!({ name: null })).to_string()[1..]);
        assert_eq!(payload(&claims).err(), Some(Refused::Claim), "{name}: null");
    }
    for name in ["sub", "jti", "client_id", "azp"] {
        for value in [json!(1), json!(["a"]), json!({}), json!(false)] {
            refuses_claims(json!({ name: value }), Refused::Claim);
        }
    }
    for name in ["aud", "scope", "scp"] {
        for value in [json!(1), json!([1]), json!([AUDIENCE, null]), json!({"a": 1}), json!(true)] {
            refuses_claims(json!({ name: value }), Refused::Claim);
        }
    }
}

#[test]
fn t13_clocks_differ_by_30_seconds_at_most() {
    let times = |exp: i64, changes: Value| {
        let now = i64::try_from(NOW_S).unwrap();
        let claims = good_but(json!({"exp": now + exp, "iat": now - 600}));
        at_s1(&SIGNERS.ed25519.token(&gatehouse_forge::with(&claims, &changes))).err()
    };
    assert_eq!(times(-31, json!({})), Some(Refused::Expired));
    assert_eq!(times(-30, json!({})), Some(Refused::Expired));
    assert_eq!(times(-29, json!({})), None);
    assert_eq!(times(600, json!({"nbf": NOW_S + 31})), Some(Refused::NotYet));
    assert_eq!(times(600, json!({"nbf": NOW_S as f64 + 30.5})), Some(Refused::NotYet));
    assert_eq!(times(600, json!({"nbf": NOW_S + 30})), None);
    assert_eq!(times(7_200, json!({"iat": NOW_S + 3_600})), Some(Refused::IssuedLater));
    assert_eq!(times(600, json!({"iat": NOW_S + 31})), Some(Refused::IssuedLater));
    assert_eq!(times(600, json!({"iat": NOW_S as f64 + 30.5})), Some(Refused::IssuedLater));
    assert_eq!(times(600, json!({"iat": NOW_S + 30})), None);
}

#[test]
fn t13_a_clock_at_the_end_of_time_ends_everything() {
    let token = SIGNERS.ed25519.token(&good());
    for now_s in [u64::MAX, i64::MAX.unsigned_abs(), 1 << 40] {
        assert_eq!(verify(&token, &ISSUERS, AUDIENCE, now_s).err(), Some(Refused::Expired));
    }
    assert_eq!(verify(&token, &ISSUERS, AUDIENCE, 0).err(), Some(Refused::IssuedLater));
}

#[test]
fn t14_a_token_lives_for_24_hours_at_most() {
    let day = 24 * 3_600;
    refuses_claims(json!({"iat": NOW_S, "exp": NOW_S + 25 * 3_600}), Refused::Lifetime);
    refuses_claims(json!({"iat": NOW_S, "exp": NOW_S + day + 1}), Refused::Lifetime);
    accepts_claims(json!({"iat": NOW_S, "exp": NOW_S + day}));
    // Without `iat`, what is left counts.
    refuses_claims(json!({"iat": null, "exp": NOW_S + day + 31}), Refused::Lifetime);
    accepts_claims(json!({"iat": null, "exp": NOW_S + day + 30}));
    // Never valid, but for the leeway.
    refuses_claims(json!({"iat": NOW_S, "exp": NOW_S}), Refused::Lifetime);
    refuses_claims(json!({"iat": NOW_S + 20, "exp": NOW_S + 10}), Refused::Lifetime);
    refuses_claims(json!({"iat": i64::MIN, "exp": NOW_S + 10}), Refused::Lifetime);
    // The settings may say less.
    let short = [Issuer { lifetime_max_s: 300, ..ISSUERS[0].clone() }];
    assert_eq!(verify(&SIGNERS.ed25519.token(&good()), &short, AUDIENCE, NOW_S).err(), Some(Refused::Lifetime));
}

#[test]
fn t15_the_audience_is_this_server() {
    for audience in [
        json!(null),
        json!(""),
        json!([]),
        json!([""]),
        json!("https://gateway.example/servers/s2/mcp"),
        json!(format!("{AUDIENCE}.evil")),
        json!("https://gateway.example/Servers/S1/mcp"),
        json!("https://GATEWAY.example/servers/s1/mcp"),
        json!(format!("{AUDIENCE}/")),
        json!(format!("{AUDIENCE}#")),
        json!(format!("{AUDIENCE} ")),
        json!("https://gateway.example/servers/s1/mc%70"),
        json!("https://gateway.example"),
        json!("*"),
    ] {
        refuses_claims(json!({ "aud": audience }), Refused::Audience);
    }
    let verified = accepts_claims(json!({"aud": ["https://gateway.example/servers/s2/mcp", AUDIENCE]}));
    assert_eq!(verified.audience(), AUDIENCE);
}

#[test]
fn t16_there_are_16_audiences_at_most() {
    let audiences = |others: usize| {
        let others = (0..others).map(|number| json!(format!("https://other.example/{number}")));
        json!({"aud": others.chain([json!(AUDIENCE)]).collect::<Vec<_>>()})
    };
    accepts_claims(audiences(15));
    refuses_claims(audiences(16), Refused::Audience);
    refuses_claims(json!({"aud": {"a": AUDIENCE}}), Refused::Claim);
    refuses_claims(json!({"aud": 1}), Refused::Claim);
    refuses_claims(json!({"aud": [[AUDIENCE]]}), Refused::Claim);
}

#[test]
fn t17_an_issuer_speaks_for_itself() {
    for issuer in [
        "https://issuer.example",
        "https://issuer.example/tenant/",
        "HTTPS://issuer.example/tenant",
        "https://issuer.example/tenan",
        "",
        "x",
    ] {
        refuses_claims(json!({ "iss": issuer }), Refused::Issuer);
    }
    refuses_claims(json!({"iss": null}), Refused::Issuer);
    refuses_claims(json!({"iss": [ISSUER]}), Refused::Issuer);
    refuses_claims(json!({"iss": 1}), Refused::Issuer);
    // The other issuer's key, which has the same name.
    refuses(&SIGNERS.others.token(&good()), Refused::Signature);
    refuses_claims(json!({"iss": OTHER_ISSUER}), Refused::Signature);
    let others = SIGNERS.others.token(&good_but(json!({"iss": OTHER_ISSUER})));
    assert_eq!(accepts(&others).issuer(), OTHER_ISSUER);
    // A name that only the first issuer has.
    refuses(&SIGNERS.rs256.token(&good_but(json!({"iss": OTHER_ISSUER}))), Refused::KidUnknown);
}

#[test]
fn t18_there_is_a_subject() {
    refuses_claims(json!({"sub": null}), Refused::Subject);
    refuses_claims(json!({"sub": ""}), Refused::Subject);
    refuses_claims(json!({"sub": "a".repeat(257)}), Refused::Subject);
    refuses_claims(json!({"sub": "é".repeat(129)}), Refused::Subject);
    refuses_claims(json!({"sub": "a".repeat(4 << 10)}), Refused::Subject);
    assert_eq!(accepts_claims(json!({"sub": "a".repeat(256)})).subject().len(), 256);
    // Nothing is trimmed, folded or decoded.
    for subject in [" ", "Alice", "alice ", "al%69ce", "\u{202e}ecila", "a\0b"] {
        assert_eq!(accepts_claims(json!({ "sub": subject })).subject(), subject);
    }
    // Which claim names the tenant is the settings' to say; whatever it is, it is there as it was signed.
    for tenant in [json!("acme"), json!(["acme"]), json!(7)] {
        let verified = accepts_claims(json!({ "tenant": tenant.clone() }));
        assert_eq!(serde_json::from_str::<Value>(verified.claims_json()).unwrap()["tenant"], tenant);
    }
}

/// The rest of T19, T20 and T21 is in `hostile`, for each algorithm.
#[test]
fn t20_zeros_are_no_signature() {
    let token = SIGNERS.es256.token(&good());
    let signed = &token[..token.rfind('.').unwrap()];
    for signature in [vec![0; 64], vec![0; 32], vec![0; 0], vec![0; 70], vec![0x30, 6, 2, 1, 0, 2, 1, 0]] {
        let expected = if signature.is_empty() { Refused::Parts } else { Refused::Signature };
        refuses(&format!("{signed}.{}", part(signature)), expected);
    }
}

#[test]
fn t23_t24_what_is_refused_is_refused_at_once() {
    let began = Instant::now();
    for changes in
        [json!({"crit": ["x"]}), json!({"b64": false}), json!({"zip": "DEF"}), json!({"cty": "JWT"}), json!({"cty": "application/JWT"})]
    {
        refuses_header(changes, Refused::Member);
    }
    let good = SIGNERS.rs256.token(&good());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    refuses(&format!("{signed}.{signature}.{signature}.{signature}"), Refused::Parts);
    for bytes in [8_193, 15 << 10, 1 << 20] {
        let long = format!("{signed}{}.{signature}", "A".repeat(bytes - good.len()));
        assert_eq!(long.len(), bytes);
        refuses(&long, Refused::TooLong);
    }
    let fits = format!("{signed}{}.{signature}", "A".repeat(8_192 - good.len()));
    assert_ne!(at_s1(&fits).err(), Some(Refused::TooLong));
    assert!(began.elapsed() < Duration::from_secs(5), "no check costs more than a signature");
}

#[test]
fn t26_an_access_token_says_that_it_is_one() {
    let strict = |header: Value, claims: &Value| {
        let signer = &SIGNERS.ed25519;
        let header = gatehouse_forge::with(&signer.header(), &header);
        verify(&signer.token_of(&header.to_string(), &claims.to_string()), &STRICT, AUDIENCE, NOW_S).err()
    };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert_eq!(strict(json!({ "typ": typ }), &good()), None, "{typ}");
    }
    for typ in [json!("JWT"), json!("jwt"), json!("application/jwt"), json!(null), json!("refresh+jwt"), json!("at+jwt2")] {
        let id_token = good_but(json!({"nonce": "n-0S6_WzA2Mj"}));
        assert_eq!(strict(json!({ "typ": typ }), &id_token), Some(Refused::Type), "{typ}");
    }
    // Where it need not say so, it may at least not say the opposite.
    for claim in [json!({"typ": "ID"}), json!({"typ": "Refresh"}), json!({"typ": "offline"}), json!({"token_use": "id"})] {
        refuses_claims(claim, Refused::Purpose);
    }
    for claim in [json!({"typ": "Bearer"}), json!({"token_use": "access"}), json!({"typ": 1}), json!({"nonce": "n"})] {
        accepts_claims(claim);
    }
    for typ in [json!("JWT"), json!(null), json!("at+jwt")] {
        let signer = &SIGNERS.ed25519;
        let header = gatehouse_forge::with(&signer.header(), &json!({ "typ": typ }));
        accepts(&signer.token_of(&header.to_string(), &good().to_string()));
    }
}

#[test]
fn t27_a_set_takes_the_place_of_another() {
    let (old, new) = (Signer::ed25519("2026-10", 1), Signer::ed25519("2026-11", 2));
    let mut issuer = Issuer::new(ISSUER, key_set(&[old.jwk()]));
    let outcomes = |issuer: &Issuer| {
        let issuers = std::slice::from_ref(issuer);
        [&old, &new].map(|signer| verify(&signer.token(&good()), issuers, AUDIENCE, NOW_S).err())
    };
    assert_eq!(outcomes(&issuer), [None, Some(Refused::KidUnknown)]);
    issuer.keys = key_set(&[old.jwk(), new.jwk()]);
    assert_eq!(outcomes(&issuer), [None, None]);
    issuer.keys = key_set(&[new.jwk()]);
    assert_eq!(outcomes(&issuer), [Some(Refused::KidUnknown), None]);
}

#[test]
fn t28_nothing_fails_into_being_accepted() {
    let token = SIGNERS.ed25519.token(&good());
    assert_eq!(verify(&token, &[], AUDIENCE, NOW_S).err(), Some(Refused::Issuer));
    assert_eq!(verify(&token, &[Issuer::new(ISSUER, KeySet::default())], AUDIENCE, NOW_S).err(), Some(Refused::KidUnknown));
    let for_nobody = SIGNERS.ed25519.token(&good_but(json!({"aud": ""})));
    assert_eq!(verify(&for_nobody, &ISSUERS, "", NOW_S).err(), Some(Refused::Audience));
    assert_eq!(verify("", &ISSUERS, AUDIENCE, NOW_S).err(), Some(Refused::Parts));
}

#[test]
fn n12_another_server_of_the_same_tenant_is_another_audience() {
    let token = SIGNERS.ed25519.token(&good());
    let s2 = "https://gateway.example/servers/s2/mcp";
    assert_eq!(verify(&token, &ISSUERS, s2, NOW_S).err(), Some(Refused::Audience));
    // Unless the operator says that the issuer has one audience for all.
    let shared = [Issuer { audiences: vec!["api://gatehouse".into()], ..ISSUERS[0].clone() }];
    let token = SIGNERS.ed25519.token(&good_but(json!({"aud": "api://gatehouse"})));
    assert_eq!(verify(&token, &shared, s2, NOW_S).unwrap().audience(), "api://gatehouse");
    assert_eq!(verify(&token, &ISSUERS, s2, NOW_S).err(), Some(Refused::Audience));
}

#[test]
fn p09_scopes_are_those_of_this_token() {
    let before = SIGNERS.ed25519.token(&good());
    let after = SIGNERS.ed25519.token(&good_but(json!({"scope": "tools:read"})));
    assert_eq!(accepts(&before).scopes(), ["tools:read".into(), "tools:call".into()]);
    assert_eq!(accepts(&after).scopes(), ["tools:read".into()]);
    assert_eq!(accepts(&before).subject(), accepts(&after).subject());
}

#[test]
fn x05_a_secret_is_a_secret() {
    for secret in ["secret", "changeme", "nLkZ3Cq8v0Yt5WmRd7XsGbHj1PfUaEo", "your-256-bit-secret-your-256-bit-secret"] {
        let fault = Key::from_secret(secret.as_bytes(), None).unwrap_err();
        // What is said is a word of our own, and the sentence that belongs to it.
        assert!(matches!(fault, KeyFault::Secret(SecretFault::TooShort | SecretFault::WellKnown)), "{fault}");
    }
    let key = Key::from_secret(SECRET, Some("key-hs")).unwrap();
    assert!(!format!("{key:?}").contains(std::str::from_utf8(&SECRET[..8]).unwrap()), "{key:?}");
}
