//! A gateway's settings: two issuers, each with its keys.

use gatehouse_forge::{Signer, claims, jwks, with};
use serde_json::Value;
use std::sync::LazyLock;
use token::{Issuer, Key, KeySet, Refused, TokenTypes, Verified, verify};

pub(crate) const ISSUER: &str = "https://issuer.example/tenant";
pub(crate) const OTHER_ISSUER: &str = "https://other.example";
pub(crate) const AUDIENCE: &str = "https://gateway.example/servers/s1/mcp";
pub(crate) const NOW_S: u64 = 1_800_000_000;

/// 48 bytes as `openssl rand -base64 48` writes them.
pub(crate) const SECRET: &[u8] = b"yT0bXoZ1Yf5l9mJ3w8Kq2rVdN6uPcH4sGzAeLiQhRx7DvMnBtUjWkCpOaFyEgSIz";

/// One signer for each algorithm, all of the first issuer.
pub(crate) struct Signers {
    pub(crate) rs256: Signer,
    pub(crate) ps256: Signer,
    pub(crate) es256: Signer,
    pub(crate) ed25519: Signer,
    pub(crate) hs256: Signer,
    /// Of the other issuer, whose keys have the same names.
    pub(crate) others: Signer,
}

impl Signers {
    pub(crate) fn all(&self) -> [&Signer; 5] {
        [&self.rs256, &self.ps256, &self.es256, &self.ed25519, &self.hs256]
    }
}

pub(crate) static SIGNERS: LazyLock<Signers> = LazyLock::new(|| Signers {
    rs256: Signer::rs256("key-rs"),
    ps256: Signer::ps256("key-ps"),
    es256: Signer::es256("key-es"),
    ed25519: Signer::ed25519("key-ed", 7),
    hs256: Signer::hs256("key-hs", SECRET),
    others: Signer::ed25519("key-ed", 9),
});

pub(crate) static ISSUERS: LazyLock<Vec<Issuer>> = LazyLock::new(|| {
    let signers = &*SIGNERS;
    let public = [&signers.rs256, &signers.ps256, &signers.es256, &signers.ed25519].map(Signer::jwk);
    let mut keys = key_set(&public).keys().to_vec();
    keys.push(Key::from_secret(SECRET, Some("key-hs")).expect("a good secret"));
    let keys = KeySet::new(keys).expect("distinct names");
    vec![Issuer::new(ISSUER, keys), Issuer::new(OTHER_ISSUER, key_set(&[signers.others.jwk()]))]
});

/// The same, of whom only access tokens count.
pub(crate) static STRICT: LazyLock<Vec<Issuer>> =
    LazyLock::new(|| ISSUERS.iter().map(|issuer| Issuer { types: TokenTypes::AccessToken, ..issuer.clone() }).collect());

/// A set of which nothing is ignored.
pub(crate) fn key_set(keys: &[Value]) -> KeySet {
    let set = KeySet::from_jwks(jwks(keys).as_bytes()).expect("a JWK set");
    assert_eq!(set.ignored, [], "nothing is wrong with the keys");
    set.keys
}

/// Good claims for the first issuer and its server.
pub(crate) fn good() -> Value {
    claims(ISSUER, AUDIENCE, NOW_S)
}

/// Good claims with some members set, or taken out by `null`.
pub(crate) fn good_but(changes: Value) -> Value {
    with(&good(), &changes)
}

/// What becomes of a token at the first server.
pub(crate) fn at_s1(token: &str) -> Result<Verified, Refused> {
    verify(token, &ISSUERS, AUDIENCE, NOW_S)
}

/// What becomes of a payload that the first issuer signs, as it is.
pub(crate) fn payload(text: &str) -> Result<Verified, Refused> {
    let signer = &SIGNERS.ed25519;
    at_s1(&signer.token_of(&signer.header().to_string(), text))
}

#[track_caller]
pub(crate) fn accepts(token: &str) -> Verified {
    match at_s1(token) {
        Ok(verified) => verified,
        Err(refused) => unexpected(&format!("refused ({})", refused.as_str()), token),
    }
}

#[track_caller]
pub(crate) fn refuses(token: &str, expected: Refused) {
    assert_eq!(at_s1(token).err(), Some(expected), "{}", token.chars().take(200).collect::<String>());
}

/// Claims that the first issuer signs.
#[track_caller]
pub(crate) fn accepts_claims(changes: Value) -> Verified {
    accepts(&SIGNERS.ed25519.token(&good_but(changes)))
}

#[track_caller]
pub(crate) fn refuses_claims(changes: Value, expected: Refused) {
    let shown = changes.to_string();
    let outcome = at_s1(&SIGNERS.ed25519.token(&good_but(changes)));
    assert_eq!(outcome.err(), Some(expected), "{shown}");
}

#[track_caller]
#[expect(clippy::panic, reason = "a test's verdict")]
pub(crate) fn unexpected(what: &str, token: &str) -> ! {
    panic!("{what}: {token}")
}
