//! Inputs that nobody thought of: tokens, signed payloads and headers, key sets, `Authorization` headers. `make fuzz` looks for longer.

use crate::world::{AUDIENCE, ISSUER, NOW_S, SIGNERS, at_s1, good, good_but, payload};
use gatehouse_forge::{Signer, jwks, part};
use gatehouse_mutator::{Mutator, fuzz};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use token::{Algorithm, Key, KeySet, authorization, limits};

/// Of every day.
const INPUTS: u64 = 40_000;

const CLAIM_WORDS: &[&str] = &[
    "\"exp\":",
    "\"nbf\":",
    "\"iat\":1800000000,",
    "\"iss\":\"https://other.example\",",
    "\"aud\":[",
    "\"sub\":\"\",",
    "\"scp\":[\"a\"],",
    "\"scope\":\"",
    "\"azp\":\"x\",",
    "\"\\u0065xp\":",
    "null",
    "1e308",
    "1.8e9",
    "-1",
    "9223372036854775808",
    "1800000060",
    "[[[[[[[[[[[[[[[[",
    "\\ud800",
    "\\u0000",
    "{}",
    "\u{feff}",
    "true",
];

/// The keys of these tokens are the same in every run, and so are the tokens.
fn given_out() -> Vec<String> {
    let claims =
        [good(), good_but(json!({"aud": [AUDIENCE, "x"], "scope": null, "scp": ["a", "b"]})), good_but(json!({"sub": "bob", "iat": null}))];
    let signers = [&SIGNERS.ed25519, &SIGNERS.hs256];
    signers.iter().flat_map(|signer| claims.iter().map(|claims| signer.token(claims))).collect()
}

/// Whatever is accepted is, byte for byte, a token that was given out.
#[test]
fn tokens_that_were_not_given_out_are_refused() {
    let given = given_out();
    for token in &given {
        assert!(at_s1(token).is_ok());
    }
    let mut words: Vec<String> = [".", "..", "=", "A", "-", "_", "+", "/", "AAAA", "\n", " "].map(ToOwned::to_owned).to_vec();
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "EdDSA"}),
        json!({"alg": "HS256", "kid": "key-ed"}),
        json!({"alg": "HS256", "kid": "key-hs"}),
    ] {
        words.push(format!("{}.", part(header.to_string())));
    }
    words.push(part(SIGNERS.ed25519.sign(b"")));
    let known: HashSet<&[u8]> = given.iter().map(|token| token.as_bytes()).collect();
    let inputs = fuzz("tokens", Mutator::new(&given, &words), INPUTS, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return None };
        let outcome = at_s1(text);
        assert_eq!(outcome.is_ok(), known.contains(input), "accepted is what was given out, and the other way round");
        Some(outcome.err())
    });
    assert!(inputs > 0);
}

/// An issuer that signs anything: what is accepted keeps the rules by somebody else's reading, too.
#[test]
fn payloads_that_an_issuer_signs_keep_the_rules() {
    let corpus = [
        good().to_string(),
        good_but(json!({"aud": [AUDIENCE, "x"], "scope": null, "scp": ["a"], "nbf": NOW_S, "azp": "c", "client_id": null})).to_string(),
        good_but(json!({"iat": null, "jti": null, "more": {"deep": [1, 2.5, null]}})).to_string(),
    ];
    fuzz("payloads", Mutator::new(&corpus, CLAIM_WORDS), INPUTS, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return None };
        let verified = match payload(text) {
            Ok(verified) => verified,
            Err(refused) => return Some(Some(refused)),
        };
        assert_eq!(verified.claims_json(), text);
        let claims: Value = serde_json::from_str(text).expect("what is accepted is JSON");
        assert_eq!(claims.get("iss").and_then(Value::as_str), Some(ISSUER));
        assert_eq!(claims.get("sub").and_then(Value::as_str), Some(verified.subject()));
        assert!((1..=limits::NAME_BYTES_MAX).contains(&verified.subject().len()));
        let audience = |value: &Value| value.as_str() == Some(AUDIENCE);
        assert!(
            claims
                .get("aud")
                .is_some_and(|aud| audience(aud) || aud.as_array().is_some_and(|all| all.len() <= 16 && all.iter().any(audience)))
        );
        let seconds = |name: &str| claims.get(name).map(|value| value.as_f64().expect("a number"));
        let (now, leeway) = (NOW_S as f64, f64::from(limits::LEEWAY_S));
        let (exp, iat) = (seconds("exp").expect("exp"), seconds("iat"));
        assert!(exp > now - leeway && exp - iat.unwrap_or(now - leeway) <= f64::from(limits::LIFETIME_MAX_S) + 1.0);
        assert!([seconds("nbf"), iat].into_iter().flatten().all(|start| start <= now + leeway));
        assert!(verified.scopes().len() <= limits::SCOPES_MAX);
        let visible = |scope: &str| scope.len() <= limits::SCOPE_BYTES_MAX && scope.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(verified.scopes().iter().all(|scope| visible(scope)));
        Some(None)
    });
}

/// Headers that are signed by the right key, whatever they say.
#[test]
fn headers_that_an_issuer_signs_keep_the_rules() {
    let signer = &SIGNERS.ed25519;
    let corpus = [
        signer.header().to_string(),
        json!({"alg": "EdDSA", "kid": "key-ed"}).to_string(),
        json!({"alg": "EdDSA", "typ": "JWT", "x5t": "x", "more": [{}]}).to_string(),
    ];
    let words = [
        "\"alg\":\"none\",",
        "\"crit\":[],",
        "\"b64\":false,",
        "\"jwk\":{},",
        "\"kid\":",
        "\"typ\":\"at+jwt\",",
        "\"\\u0061lg\":",
        "null",
        "HS256",
        "RS256",
        "\"cty\":\"JWT\",",
        "\"zip\":",
    ];
    fuzz("headers", Mutator::new(&corpus, &words), INPUTS, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return None };
        if let Err(refused) = at_s1(&signer.token_of(text, &good().to_string())) {
            return Some(Some(refused));
        }
        let header: BTreeMap<String, Value> = serde_json::from_str(text).expect("what is accepted is an object");
        assert_eq!(header.get("alg"), Some(&json!("EdDSA")));
        assert!(header.get("kid").is_none_or(|kid| *kid == json!("key-ed")));
        assert!(["crit", "b64", "zip", "jwk", "jku", "x5u", "x5c", "enc"].iter().all(|name| !header.contains_key(*name)));
        Some(None)
    });
}

/// Whatever is made of a set, its keys are what they were, or none: each that is left verifies, or is unlike all that were published.
#[test]
fn key_sets_are_read_or_refused() {
    let signers = [&SIGNERS.es256, &SIGNERS.ed25519, &SIGNERS.rs256];
    let mut sets = vec![jwks(&signers.map(Signer::jwk))];
    sets.extend(signers.iter().map(|signer| jwks(&[signer.jwk()])));
    let words = [
        "\"kty\":\"oct\",",
        "\"use\":\"enc\",",
        "\"alg\":\"HS256\",",
        "\"kid\":\"key-ed\",",
        "\"d\":\"AQ\",",
        "\"key_ops\":[\"verify\"],",
        "{},",
        "AAAA",
        "\"keys\":[",
    ];
    fuzz("key sets", Mutator::new(&sets, &words), INPUTS / 2, |input| match KeySet::from_jwks(input) {
        Err(fault) => format!("{fault:?}"),
        Ok(set) => {
            serde_json::from_slice::<Value>(input).expect("what is taken is JSON");
            let kids: HashSet<_> = set.keys.keys().iter().filter_map(Key::kid).collect();
            let named = set.keys.keys().iter().filter(|key| key.kid().is_some()).count();
            assert_eq!(kids.len(), named, "no name twice");
            assert!(set.keys.keys().iter().all(|key| key.algorithm() != Algorithm::Hs256), "no secret from a public set");
            format!("{:?} {:?}", set.keys.keys().len(), set.ignored.iter().map(|key| key.fault).collect::<Vec<_>>())
        }
    });
}

#[test]
fn public_keys_in_pem_are_read_or_refused() {
    let texts = [&SIGNERS.es256, &SIGNERS.ed25519, &SIGNERS.rs256].map(|signer| signer.public_pem().expect("a public key"));
    let words = ["-----BEGIN ", "-----END ", "PRIVATE KEY", "-----", "\n", "=", "MIIB", "MCow"];
    fuzz("PEM", Mutator::new(&texts, &words), INPUTS / 2, |input| {
        let text = std::str::from_utf8(input).ok()?;
        Some(Algorithm::ALL.map(|algorithm| Key::from_pem(text, algorithm, None).err()))
    });
}

#[test]
fn secrets_are_taken_or_refused() {
    let secrets = ["nLkZ3Cq8v0Yt5WmRd7XsGbHj1PfUaEoz", "your-256-bit-secret-your-256-bit-secret", "abcdefghijklmnopqrstuvwxyz012345"];
    fuzz("secrets", Mutator::new(&secrets, &["secret", "changeme", "aaaaaaaa", "0123456789"]), INPUTS / 2, |input| {
        let outcome = Key::from_secret(input, None).err();
        assert!(outcome.is_some() || (limits::SECRET_BYTES_MIN..=limits::SECRET_BYTES_MAX).contains(&input.len()));
        outcome
    });
}

#[test]
fn authorization_headers_hold_one_token_or_none() {
    let values = ["Bearer a.b.c", "bearer  a-b_c~+/==", "Basic x"];
    fuzz("authorization", Mutator::new(&values, &["Bearer ", "bearer", " ", "=", ",", "\t"]), INPUTS, |input| {
        let outcome = authorization(std::iter::once(input));
        if let Ok(token) = outcome {
            let token = token.expect("one header is one token");
            assert!(input.ends_with(token.as_bytes()) && input.to_ascii_lowercase().starts_with(b"bearer "));
            assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)));
        }
        outcome.is_ok()
    });
}
