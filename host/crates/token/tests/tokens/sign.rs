//! Tokens of one's own: what is signed here is believed there, and no half of a key is taken for the other.

use crate::world::{AUDIENCE, ISSUER, NOW_S};
use gatehouse_forge::{Signer, bytes_of, claims, part, pem};
use serde_json::{Value, json};
use token::limits::TOKEN_BYTES_MAX;
use token::{Issuer, Key, KeySet, NewKey, Refused, SigningKey, SigningKeyFault, TokenTypes, look, verify};

const SEED: [u8; 32] = [5; 32];

fn issuer(keys: KeySet) -> Issuer {
    Issuer { types: TokenTypes::AccessToken, ..Issuer::new(ISSUER, keys) }
}

fn fault(text: &str) -> SigningKeyFault {
    SigningKey::read(text).expect_err("no key to sign with")
}

#[test]
fn what_a_new_key_signs_is_verified_by_what_it_publishes() {
    let new = NewKey::of_seed(&SEED).unwrap();
    let signed = SigningKey::read(&new.private_jwk).unwrap().token(&claims(ISSUER, AUDIENCE, NOW_S).to_string()).unwrap();
    let published = KeySet::from_jwks(new.jwks.as_bytes()).unwrap();
    assert_eq!(published.ignored, []);
    let verified = verify(&signed, &[issuer(published.keys)], AUDIENCE, NOW_S).unwrap();
    assert_eq!((verified.subject(), verified.key_id()), ("alice", Some(new.kid.as_str())));
    let own = KeySet::new(vec![SigningKey::read(&new.private_jwk).unwrap().public().unwrap()]).unwrap();
    assert_eq!(verify(&signed, &[issuer(own)], AUDIENCE, NOW_S).unwrap(), verified);
    // The same key by another hand.
    let private: Value = serde_json::from_str(&new.private_jwk).unwrap();
    assert_eq!(private["x"], Signer::ed25519("any", 5).jwk()["x"]);
    assert!(!new.jwks.contains(private["d"].as_str().unwrap()), "the private half is not published");
    assert!(!format!("{new:?}").contains(private["d"].as_str().unwrap()));
}

/// RFC 8037, A.3: the thumbprint of the key of A.1.
#[test]
fn a_key_is_named_by_its_thumbprint() {
    let seed = bytes_of("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let new = NewKey::of_seed(&seed.try_into().unwrap()).unwrap();
    assert_eq!(new.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_key_in_pem_has_no_name() {
    // RFC 8410, 7: a seed inside of an octet string inside of another one.
    let der = [&[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20], &SEED[..]].concat();
    let key = SigningKey::read(&pem("PRIVATE KEY", &der)).unwrap();
    let signed = key.token(&claims(ISSUER, AUDIENCE, NOW_S).to_string()).unwrap();
    let public = Signer::ed25519("any", 5).public_pem().unwrap();
    let keys = KeySet::new(vec![Key::from_pem(&public, token::Algorithm::EdDsa, None).unwrap()]).unwrap();
    assert_eq!(verify(&signed, &[issuer(keys)], AUDIENCE, NOW_S).unwrap().key_id(), None);
    assert_eq!(fault(&public), SigningKeyFault::Public);
    assert_eq!(fault(&pem("RSA PRIVATE KEY", &der)), SigningKeyFault::Unsupported);
    assert_eq!(fault(&pem("PRIVATE KEY", &der[1..])), SigningKeyFault::Unsupported);
    assert_eq!(fault(&(pem("PRIVATE KEY", &der) + &pem("PRIVATE KEY", &der))), SigningKeyFault::Malformed);
}

#[test]
fn other_texts_are_no_keys() {
    let private: Value = serde_json::from_str(&NewKey::of_seed(&SEED).unwrap().private_jwk).unwrap();
    let changed = |changes: Value| gatehouse_forge::with(&private, &changes).to_string();
    for (text, expected) in [
        (String::new(), SigningKeyFault::Malformed),
        ("{".to_owned(), SigningKeyFault::Malformed),
        ("a".repeat(10_000), SigningKeyFault::Malformed),
        (changed(json!({ "d": null })), SigningKeyFault::Public),
        (changed(json!({ "x": null })), SigningKeyFault::Malformed),
        (changed(json!({ "d": 5 })), SigningKeyFault::Malformed),
        (changed(json!({ "d": part([6; 32]) })), SigningKeyFault::Pair),
        (changed(json!({ "d": part([5; 31]) })), SigningKeyFault::Pair),
        (changed(json!({ "kty": "EC" })), SigningKeyFault::Unsupported),
        (changed(json!({ "alg": "ES256" })), SigningKeyFault::Unsupported),
        (Signer::ed25519("any", 5).jwk().to_string(), SigningKeyFault::Public),
        (Signer::es256("any").jwk().to_string(), SigningKeyFault::Unsupported),
    ] {
        assert_eq!(fault(&text), expected, "{text}");
    }
}

#[test]
fn a_token_that_nobody_would_read_is_not_signed() {
    let key = SigningKey::read(&NewKey::of_seed(&SEED).unwrap().private_jwk).unwrap();
    let claims = |bytes: usize| json!({ "x": "x".repeat(bytes) }).to_string();
    let longest = (0..TOKEN_BYTES_MAX).rev().find_map(|bytes| key.token(&claims(bytes)).ok()).unwrap();
    assert!((TOKEN_BYTES_MAX - 1..=TOKEN_BYTES_MAX).contains(&longest.len()), "{}", longest.len());
}

/// It believes nothing, so that it may show anything; but of the signature only how long it is.
#[test]
fn a_look_shows_what_is_written() {
    let signer = Signer::ed25519("k", 5);
    let seen = look(&signer.token_of("{\"alg\":\"none\"}", "not JSON")).unwrap();
    assert_eq!((seen.header.as_str(), seen.payload.as_str(), seen.signature_bytes), ("{\"alg\":\"none\"}", "not JSON", 64));
    assert_eq!(look("a.b"), Err(Refused::Parts));
    assert_eq!(look("a b.c.d"), Err(Refused::Encoding));
    assert_eq!(look(&format!("{}.e30.AA", part([0xff]))), Err(Refused::Header));
}
