//! Keys: which are taken, which are not, and why.

use crate::world::{AUDIENCE, ISSUER, NOW_S, SECRET, SIGNERS, good, key_set};
use gatehouse_forge::{Signer, bytes_of, jwks, part, pem, with};
use serde_json::{Value, json};
use token::{Algorithm, Issuer, JwksFault, Key, KeyFault, KeySet, KeySetFault, SecretFault, verify};

/// A JWK set of one key is taken, or the key ignored for this reason.
#[track_caller]
fn check(jwk: &Value, expected: Result<Algorithm, KeyFault>) {
    let set = KeySet::from_jwks(jwks(std::slice::from_ref(jwk)).as_bytes()).expect("a JWK set");
    let outcome = match (set.keys.keys(), set.ignored.as_slice()) {
        ([key], []) => Ok(key.algorithm()),
        ([], [ignored]) => Err(ignored.fault),
        both => {
            assert_eq!(both.0.len() + both.1.len(), 1, "one key");
            return;
        }
    };
    assert_eq!(outcome, expected, "{jwk}");
}

fn number(bytes: usize, last: u8) -> String {
    part([&vec![0xc5; bytes - 1][..], &[last]].concat())
}

#[test]
fn each_type_of_key_has_its_algorithm() {
    let without = |signer: &Signer| with(&signer.jwk(), &json!({"alg": null, "use": null, "kid": null}));
    check(&without(&SIGNERS.rs256), Ok(Algorithm::Rs256));
    check(&without(&SIGNERS.ps256), Ok(Algorithm::Rs256));
    check(&without(&SIGNERS.es256), Ok(Algorithm::Es256));
    check(&without(&SIGNERS.ed25519), Ok(Algorithm::EdDsa));
    check(&SIGNERS.ps256.jwk(), Ok(Algorithm::Ps256));
    check(&with(&SIGNERS.rs256.jwk(), &json!({"key_ops": ["verify"], "x5t": "x", "more": [1]})), Ok(Algorithm::Rs256));
    // A zero in front of a number, which RFC 7518 forbids and libraries write.
    let jwk = SIGNERS.rs256.jwk();
    let modulus = [&[0][..], &bytes_of(jwk["n"].as_str().unwrap()).unwrap()].concat();
    check(&with(&jwk, &json!({"n": part(modulus)})), Ok(Algorithm::Rs256));
}

/// T10.
#[test]
fn a_key_that_is_unfit_is_ignored() {
    let rsa = |changes: Value| with(&SIGNERS.rs256.jwk(), &changes);
    let ec = |changes: Value| with(&SIGNERS.es256.jwk(), &changes);
    let ed = |changes: Value| with(&SIGNERS.ed25519.jwk(), &changes);
    let rows = [
        (Signer::hs256("a", SECRET).jwk(), KeyFault::Symmetric),
        (rsa(json!({"kty": "oct", "k": part(SECRET)})), KeyFault::Symmetric),
        (rsa(json!({"n": number(64, 1)})), KeyFault::TooShort),
        (rsa(json!({"n": number(128, 1)})), KeyFault::TooShort),
        (rsa(json!({"n": number(255, 1)})), KeyFault::TooShort),
        (rsa(json!({"n": part([&[0x7f], &[0xff; 255][..]].concat())})), KeyFault::TooShort),
        (rsa(json!({"n": number(1_025, 1)})), KeyFault::TooLong),
        (rsa(json!({"n": number(256, 2)})), KeyFault::Malformed),
        (rsa(json!({"n": part([0; 256])})), KeyFault::Malformed),
        (rsa(json!({"n": null})), KeyFault::Malformed),
        (rsa(json!({"n": 1})), KeyFault::Malformed),
        (rsa(json!({"n": "AQ=="})), KeyFault::Malformed),
        (rsa(json!({"e": part([1])})), KeyFault::Exponent),
        (rsa(json!({"e": part([3])})), KeyFault::Exponent),
        (rsa(json!({"e": part([1, 0, 2])})), KeyFault::Exponent),
        (rsa(json!({"e": part([2, 0, 0, 0, 1])})), KeyFault::Exponent),
        (rsa(json!({"e": part([1; 9])})), KeyFault::Exponent),
        (rsa(json!({"e": part([0])})), KeyFault::Exponent),
        (rsa(json!({"use": "enc"})), KeyFault::Use),
        (rsa(json!({"use": "SIG"})), KeyFault::Use),
        (rsa(json!({"use": 1})), KeyFault::Malformed),
        (rsa(json!({"key_ops": ["encrypt"]})), KeyFault::Operations),
        (rsa(json!({"key_ops": []})), KeyFault::Operations),
        (rsa(json!({"key_ops": ["verify", "verify"]})), KeyFault::Operations),
        (rsa(json!({"key_ops": "verify"})), KeyFault::Malformed),
        (rsa(json!({"key_ops": [1]})), KeyFault::Malformed),
        (rsa(json!({"d": "AQ"})), KeyFault::Private),
        (ec(json!({"d": "AQ"})), KeyFault::Private),
        (rsa(json!({"alg": "HS256"})), KeyFault::Algorithm),
        (rsa(json!({"alg": "ES256"})), KeyFault::Algorithm),
        (rsa(json!({"alg": "EdDSA"})), KeyFault::Algorithm),
        (rsa(json!({"alg": "RS512"})), KeyFault::Algorithm),
        (rsa(json!({"alg": "RSA-OAEP"})), KeyFault::Algorithm),
        (rsa(json!({"alg": "none"})), KeyFault::Algorithm),
        (rsa(json!({"alg": ["RS256"]})), KeyFault::Malformed),
        (ec(json!({"alg": "RS256"})), KeyFault::Algorithm),
        (ec(json!({"alg": "ES384"})), KeyFault::Algorithm),
        (ed(json!({"alg": "ES256"})), KeyFault::Algorithm),
        (ec(json!({"crv": "P-384"})), KeyFault::Unsupported),
        (ec(json!({"crv": "secp256k1"})), KeyFault::Unsupported),
        (ec(json!({"crv": null})), KeyFault::Unsupported),
        (ed(json!({"crv": "X25519"})), KeyFault::Unsupported),
        (ed(json!({"crv": "Ed448"})), KeyFault::Unsupported),
        (ed(json!({"kty": "rsa"})), KeyFault::Unsupported),
        (ed(json!({"kty": null})), KeyFault::Malformed),
        (ec(json!({"y": part([1; 32])})), KeyFault::Point),
        (ec(json!({"x": part([0; 32]), "y": part([0; 32])})), KeyFault::Point),
        (ec(json!({"x": part([0xff; 32]), "y": part([0xff; 32])})), KeyFault::Point),
        (ec(json!({"x": part([1; 31])})), KeyFault::Malformed),
        (ec(json!({"x": part([0; 33])})), KeyFault::Malformed),
        (ed(json!({"x": part([0; 32])})), KeyFault::Point),
        (ed(json!({"x": part([9; 31])})), KeyFault::Malformed),
        (ed(json!({"kid": ""})), KeyFault::Kid),
        (ed(json!({"kid": "k".repeat(257)})), KeyFault::Kid),
        (ed(json!({"kid": 1})), KeyFault::Malformed),
        (json!(1), KeyFault::Malformed),
        (json!({}), KeyFault::Malformed),
    ];
    for (jwk, fault) in rows {
        check(&jwk, Err(fault));
    }
}

/// Under each of these keys, everybody could sign.
#[test]
fn points_of_small_order_are_no_keys() {
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for point in [[0; 32], one, minus_one] {
        for sign in [0, 0x80] {
            let mut point = point;
            point[31] |= sign;
            check(&json!({"kty": "OKP", "crv": "Ed25519", "x": part(point)}), Err(KeyFault::Point));
        }
    }
}

#[test]
fn a_name_that_two_keys_have_names_neither() {
    let (a, b, c) = (Signer::ed25519("same", 1), Signer::ed25519("same", 2), Signer::ed25519("other", 3));
    let encrypting = with(&Signer::ed25519("other", 4).jwk(), &json!({"use": "enc"}));
    let set = KeySet::from_jwks(jwks(&[a.jwk(), c.jwk(), b.jwk(), SIGNERS.rs256.jwk(), encrypting]).as_bytes()).unwrap();
    assert_eq!(set.keys.keys().iter().map(|key| key.kid().unwrap()).collect::<Vec<_>>(), ["other", "key-rs"]);
    let ignored: Vec<_> = set.ignored.iter().map(|key| (key.position, key.kid.as_deref(), key.fault)).collect();
    assert_eq!(ignored, [(0, Some("same"), KeyFault::KidTwice), (2, Some("same"), KeyFault::KidTwice), (4, Some("other"), KeyFault::Use)]);
    assert_eq!(KeySet::new(vec![key(&a), key(&b)]).err(), Some(KeySetFault::KidTwice));
    assert_eq!(KeySet::new(vec![key(&a.named(None)), key(&b.named(None))]).unwrap().keys().len(), 2);
}

#[test]
fn what_an_ignored_key_calls_itself_is_shown_only_if_that_is_safe() {
    for (kid, shown) in [("a-b_c", Some("a-b_c")), ("a b", None), ("\u{202e}", None), ("a\n", None), ("", None)] {
        let jwk = json!({"kty": "oct", "kid": kid});
        let set = KeySet::from_jwks(jwks(&[jwk]).as_bytes()).unwrap();
        assert_eq!(set.ignored[0].kid.as_deref(), shown);
    }
}

#[test]
fn a_text_is_a_set_or_none_of_it_counts() {
    let jwk = SIGNERS.ed25519.jwk().to_string();
    let fault = |text: &str| KeySet::from_jwks(text.as_bytes()).err();
    assert_eq!(fault(&format!("{{\"keys\":[{jwk}],\"more\":1}}")), None);
    assert_eq!(fault("{\"keys\":[]}"), None);
    for text in [
        "",
        "[]",
        "null",
        &jwk[1..],
        &format!("{{\"keys\":[{jwk}]}}x"),
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[{\"kid\":\"a\",\"k\\u0069d\":\"b\"}]}",
    ] {
        assert_eq!(fault(text), Some(JwksFault::NotJson), "{text}");
    }
    assert_eq!(KeySet::from_jwks(b"{\"keys\":[\"\xff\"]}").err(), Some(JwksFault::NotJson));
    for text in ["{}", "{\"keys\":{}}", "{\"keys\":null}", "{\"Keys\":[]}", &jwk] {
        assert_eq!(fault(text), Some(JwksFault::Shape), "{text}");
    }
    let many = |count: usize| jwks(&(0..count).map(|_| json!({})).collect::<Vec<_>>());
    assert_eq!(KeySet::from_jwks(many(64).as_bytes()).unwrap().ignored.len(), 64);
    assert_eq!(fault(&many(65)), Some(JwksFault::TooMany));
    let padded = |bytes: usize| format!("{{\"keys\":[]{}}}", " ".repeat(bytes - 11));
    assert_eq!(fault(&padded(256 << 10)), None);
    assert_eq!(fault(&padded((256 << 10) + 1)), Some(JwksFault::TooLong));
}

fn key(signer: &Signer) -> Key {
    key_set(&[signer.jwk()]).keys().first().expect("one key").clone()
}

#[test]
fn public_keys_come_in_pem() {
    for signer in [&SIGNERS.rs256, &SIGNERS.ps256, &SIGNERS.es256, &SIGNERS.ed25519] {
        let algorithm = Algorithm::of_name(signer.algorithm()).unwrap();
        let pem = signer.public_pem().unwrap();
        for text in [pem.clone(), pem.trim_end().to_owned(), pem.replace('\n', "\r\n"), format!("\n {pem}\n\n")] {
            let key = Key::from_pem(&text, algorithm, Some("a")).unwrap();
            assert_eq!((key.kid(), key.algorithm()), (Some("a"), algorithm));
            let issuers = [Issuer::new(ISSUER, KeySet::new(vec![key]).unwrap())];
            assert!(verify(&signer.named(Some("a")).token(&good()), &issuers, AUDIENCE, NOW_S).is_ok());
        }
        for other in Algorithm::ALL {
            let rsa = |algorithm: Algorithm| matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256);
            let expected = if other == algorithm || (rsa(other) && rsa(algorithm)) { None } else { Some(KeyFault::Algorithm) };
            assert_eq!(Key::from_pem(&pem, other, None).err(), expected, "{algorithm:?} as {other:?}");
        }
    }
}

#[test]
fn an_rsa_key_may_stand_alone_in_pem() {
    let der = SIGNERS.rs256.public_der().unwrap();
    // Behind the algorithm, the bit string, and the byte that says that all its bits count.
    let inner = &der[24..];
    assert!(Key::from_pem(&pem("RSA PUBLIC KEY", inner), Algorithm::Rs256, None).is_ok());
    assert_eq!(Key::from_pem(&pem("RSA PUBLIC KEY", &der), Algorithm::Rs256, None).err(), Some(KeyFault::Malformed));
    assert_eq!(Key::from_pem(&pem("PUBLIC KEY", inner), Algorithm::Rs256, None).err(), Some(KeyFault::Malformed));
}

#[test]
fn other_pem_is_refused() {
    let good = SIGNERS.ed25519.public_pem().unwrap();
    let fault = |text: &str| Key::from_pem(text, Algorithm::EdDsa, None).err();
    assert_eq!(fault(&good), None);
    for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"] {
        assert_eq!(fault(&good.replace("PUBLIC KEY", label)), Some(KeyFault::Private), "{label}");
    }
    for label in ["CERTIFICATE", "EC PARAMETERS", "public key"] {
        assert_eq!(fault(&good.replace("PUBLIC KEY", label)), Some(KeyFault::Unsupported), "{label}");
    }
    let header_first = good.replacen('\n', "\nProc-Type: 4\n\n", 1);
    let end_differs = good.replace("END PUBLIC", "END RSA PUBLIC");
    for text in [
        "",
        "x",
        &format!("{good}{good}"),
        &format!("comment\n{good}"),
        &good[..60],
        &header_first,
        &end_differs,
        &good.replace('=', ""),
        &good[1..],
    ] {
        assert_eq!(fault(text), Some(KeyFault::Malformed), "{text}");
    }
    assert_eq!(fault(&" ".repeat((8 << 10) + 1)), Some(KeyFault::TooLong));
    // Each byte less, more or other is another key, or none.
    let der = SIGNERS.es256.public_der().unwrap();
    let read = |der: &[u8]| Key::from_pem(&pem("PUBLIC KEY", der), Algorithm::Es256, None).err();
    assert_eq!(read(&der), None);
    for at in 0..der.len() {
        assert!(read(&der[..at]).is_some(), "cut at {at}");
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_some(), "changed at {at}");
    }
    assert_eq!(read(&[&der[..], &[0]].concat()), Some(KeyFault::Malformed));
    // One element more than there should be, and all lengths right.
    let der = SIGNERS.ed25519.public_der().unwrap();
    let longer = [&[der[0], der[1] + 2], &der[2..], &[0x05, 0x00]].concat();
    assert_eq!(fault(&pem("PUBLIC KEY", &longer)), Some(KeyFault::Malformed));
    // The length of the outer sequence in more bytes than it needs.
    assert_eq!(fault(&pem("PUBLIC KEY", &[&[0x30, 0x81], &der[1..]].concat())), Some(KeyFault::Malformed));
}

#[test]
fn secrets_are_for_one_algorithm() {
    let key = Key::from_secret(SECRET, None).unwrap();
    assert_eq!((key.kid(), key.algorithm()), (None, Algorithm::Hs256));
    assert_eq!(Key::from_secret(b"secret", None).err(), Some(KeyFault::Secret(SecretFault::TooShort)));
    assert_eq!(Key::from_secret(SECRET, Some("")).err(), Some(KeyFault::Kid));
    assert_eq!(KeyFault::Secret(SecretFault::TooShort).as_str(), "secret_too_short");
}
