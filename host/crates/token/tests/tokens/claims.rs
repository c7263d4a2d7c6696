//! What a verified token says of its caller.

use crate::world::{AUDIENCE, ISSUER, ISSUERS, NOW_S, SIGNERS, accepts, accepts_claims, good, good_but, refuses_claims};
use serde_json::json;
use token::{Algorithm, Issuer, KeySet, Refused, verify};

#[test]
fn every_algorithm_verifies() {
    for signer in SIGNERS.all() {
        let verified = accepts(&signer.token(&good()));
        assert_eq!((verified.issuer(), verified.subject(), verified.audience()), (ISSUER, "alice", AUDIENCE));
        assert_eq!((verified.token_id(), verified.client_id()), (Some("token-1"), Some("client-1")));
        assert_eq!((verified.expires_at_s(), verified.key_id()), (NOW_S + 600, signer.header()["kid"].as_str()));
        assert_eq!(verified.claims_json(), good().to_string());
    }
}

/// RFC 7515, A.2 and A.3: nobody of ours signed these. That they are refused for their audience says that their signatures hold.
#[test]
fn signatures_of_the_standard_verify() {
    let keys = br#"{"keys":[
        {"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
        {"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
    ]}"#;
    let issuers = [Issuer::new("joe", KeySet::from_jwks(keys).unwrap().keys)];
    let payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let tokens = [
        (
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        ("eyJhbGciOiJFUzI1NiJ9", "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
    ];
    for (header, signature) in tokens {
        let outcome = |signature: &str| verify(&format!("{header}.{payload}.{signature}"), &issuers, AUDIENCE, 1_300_819_379).err();
        assert_eq!(outcome(signature), Some(Refused::Audience));
        let last = signature.replacen('a', "b", 1);
        assert_eq!(outcome(&last), Some(Refused::Signature));
    }
}

#[test]
fn scopes_are_read_in_all_four_spellings() {
    for claims in [
        json!({"scope": "b a"}),
        json!({"scope": ["b", "a"]}),
        json!({"scope": null, "scp": ["b", "a"]}),
        json!({"scope": null, "scp": "b a"}),
        json!({"scope": " b  a a "}),
        json!({"scope": "b a", "scp": ["a", "b"]}),
    ] {
        assert_eq!(accepts_claims(claims).scopes(), ["b".into(), "a".into()]);
    }
    for claims in [json!({"scope": null}), json!({"scope": ""}), json!({"scope": []}), json!({"scope": null, "scp": []})] {
        assert_eq!(accepts_claims(claims).scopes(), []);
    }
}

#[test]
fn scopes_have_limits() {
    let many = |count: usize| (0..count).map(|number| format!("s{number}")).collect::<Vec<_>>();
    assert_eq!(accepts_claims(json!({"scope": many(64).join(" ")})).scopes().len(), 64);
    assert_eq!(accepts_claims(json!({"scope": "a".repeat(128)})).scopes().len(), 1);
    for claims in [
        json!({"scope": many(65).join(" ")}),
        json!({"scope": many(65)}),
        json!({"scope": "a".repeat(129)}),
        json!({"scope": "a\tb"}),
        json!({"scope": "a\nb"}),
        json!({"scope": "a\u{a0}b"}),
        json!({"scope": "é"}),
        json!({"scope": "a\"b"}),
        json!({"scope": "a\\b"}),
        json!({"scope": ["a b"]}),
        json!({"scope": [""]}),
        json!({"scope": "a", "scp": ["a", "b"]}),
        json!({"scope": "", "scp": "admin"}),
    ] {
        refuses_claims(claims, Refused::Scope);
    }
}

#[test]
fn names_have_limits() {
    for name in ["jti", "client_id"] {
        accepts_claims(json!({ name: "a".repeat(256) }));
        refuses_claims(json!({ name: "a".repeat(257) }), Refused::Claim);
    }
    let verified = accepts_claims(json!({"jti": null, "client_id": null, "azp": "client-2"}));
    assert_eq!((verified.token_id(), verified.client_id()), (None, Some("client-2")));
    assert_eq!(accepts_claims(json!({"azp": "client-2"})).client_id(), Some("client-1"));
}

/// Without the right key, a caller cannot tell what is thought of a claim.
#[test]
fn the_signature_comes_before_the_claims() {
    let stranger = gatehouse_forge::Signer::ed25519("key-ed", 66);
    for changes in [
        json!({}),
        json!({"exp": 0}),
        json!({"exp": "x"}),
        json!({"aud": "x"}),
        json!({"sub": null}),
        json!({"scope": 1}),
        json!({"typ": "ID"}),
        json!({"iat": NOW_S + 9_999}),
    ] {
        let token = stranger.token(&good_but(changes));
        assert_eq!(verify(&token, &ISSUERS, AUDIENCE, NOW_S).err(), Some(Refused::Signature));
    }
}

#[test]
fn nothing_personal_is_in_debug_output() {
    let verified = accepts_claims(json!({"email": "alice@mail.example"}));
    assert!(verified.claims_json().contains("alice@mail.example"));
    assert!(!format!("{verified:?}").contains("mail.example"), "{verified:?}");
}

#[test]
fn names_of_algorithms_are_exact() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::of_name(algorithm.as_str()), Some(algorithm));
        assert_eq!(Algorithm::of_name(&algorithm.as_str().to_lowercase()), None);
    }
}

/// `cargo test --release -p gatehouse-token -- --ignored --nocapture verify_speed`
#[test]
#[ignore = "a measurement, not a test"]
fn verify_speed() {
    use std::io::Write as _;
    for signer in SIGNERS.all() {
        let (token, spoilt) = (signer.token(&good()), signer.token(&good_but(json!({"iss": "x"}))));
        for (what, token, rounds) in [("verified", &token, 3_000_u32), ("refused before the signature", &spoilt, 30_000)] {
            let began = std::time::Instant::now();
            for _ in 0..rounds {
                let _ = std::hint::black_box(verify(std::hint::black_box(token), &ISSUERS, AUDIENCE, NOW_S));
            }
            let _ = writeln!(std::io::stdout(), "{} {what}: {:?} each", signer.algorithm(), began.elapsed() / rounds);
        }
    }
}
