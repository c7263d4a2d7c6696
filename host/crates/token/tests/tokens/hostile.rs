//! Good tokens, spoilt in every way that somebody thought of: none is accepted, each for its reason.

use crate::world::{AUDIENCE, ISSUERS, NOW_S, SIGNERS, STRICT, accepts, at_s1, good, unexpected};
use gatehouse_forge::{P256_ORDER, bits_flipped, bytes_of, hostile, part};
use std::collections::BTreeSet;
use token::verify;

#[test]
fn no_spoilt_token_is_accepted() {
    for signer in SIGNERS.all() {
        accepts(&signer.token(&good()));
        let ways = hostile(signer, &good());
        let names: BTreeSet<_> = ways.iter().map(|way| way.name.as_str()).collect();
        assert!(ways.len() >= 150 && names.len() == ways.len(), "{} ways, {} names", ways.len(), names.len());
        for way in ways {
            for issuers in [&*ISSUERS, &*STRICT] {
                let outcome = verify(&way.token, issuers, AUDIENCE, NOW_S).map_err(|refused| refused.as_str());
                assert_eq!(outcome, Err(way.word), "{}, {}: {}", signer.algorithm(), way.name, way.token.get(..600).unwrap_or(&way.token));
            }
        }
    }
}

/// T19: one bit, at 64 places of each part, in the text and in the bytes.
#[test]
fn no_bit_can_be_flipped() {
    for signer in SIGNERS.all() {
        let token = signer.token(&good());
        for which in 0..3 {
            let flipped = bits_flipped(&token, which);
            assert!(flipped.len() >= 64, "{}", flipped.len());
            for changed in flipped {
                assert_ne!(changed, token);
                assert!(at_s1(&changed).is_err(), "{}: {changed}", signer.algorithm());
            }
        }
    }
}

#[test]
fn nothing_can_be_cut_off_or_put_in() {
    let token = SIGNERS.ed25519.token(&good());
    for at in 0..token.len() {
        let (front, back) = token.split_at(at);
        for changed in
            [front.to_owned(), back.to_owned(), format!("{front}{}", &back[1..]), format!("{front}A{back}"), format!("{front}.{back}")]
        {
            assert!(changed == token || at_s1(&changed).is_err(), "at {at}: {changed}");
        }
    }
}

/// Parts of good tokens, mixed.
#[test]
fn parts_belong_together() {
    let tokens: Vec<_> = SIGNERS.all().iter().map(|signer| signer.token(&good())).collect();
    let parts: Vec<Vec<&str>> = tokens.iter().map(|token| token.split('.').collect()).collect();
    let mut accepted = 0;
    for (h, header) in parts.iter().enumerate() {
        for payload in &parts {
            for (s, signature) in parts.iter().enumerate() {
                let mixed = format!("{}.{}.{}", header[0], payload[1], signature[2]);
                match (at_s1(&mixed), h == s) {
                    (Ok(_), true) => accepted += 1,
                    (Err(_), false) => {}
                    (Ok(_), false) => unexpected("accepted", &mixed),
                    (Err(_), true) => unexpected("refused", &mixed),
                }
            }
        }
    }
    // All five have the same payload.
    assert_eq!(accepted, 25);
}

/// A property of ECDSA that nothing may rely on the absence of: RFC 7518, 3.4 does not ask for the lesser of s and n - s.
#[test]
fn a_signature_on_p256_has_a_twin() {
    let token = SIGNERS.es256.token(&good());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut twin = bytes_of(signature).unwrap();
    let mut borrow = 0_i32;
    for (byte, order) in twin[32..].iter_mut().zip(P256_ORDER).rev() {
        let difference = i32::from(order) - i32::from(*byte) - borrow;
        borrow = i32::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    let other = format!("{signed}.{}", part(twin));
    assert_ne!(other, token);
    assert_eq!(accepts(&other), accepts(&token));
}
