//! Keys and tokens for tests, well-formed and hostile. No gateway trusts a key that was made here.
//!
//! [`Signer`] is an issuer's key: it publishes itself as JWK, PEM and DER, and signs whatever it is given, which need not be a token.
//! [`hostile()`] is a list of tokens that nobody may accept, each with the reason why. The keys of Ed25519 and the secrets are the same in every
//! run, and so are their signatures; those of RSA and P-256 are made anew, so that no private key has to lie in a repository.

#![forbid(unsafe_code)]

mod hostile;

pub use hostile::{Hostile, P256_ORDER, bits_flipped, hostile};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use aws_lc_rs::{hmac, signature::RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;

/// A private key, or a secret, and its name.
#[derive(Clone)]
pub struct Signer {
    kid: Option<String>,
    pair: Pair,
}

#[derive(Clone)]
enum Pair {
    Rs256(Arc<RsaKeyPair>),
    Ps256(Arc<RsaKeyPair>),
    Es256(Arc<EcdsaKeyPair>),
    EdDsa(Arc<Ed25519KeyPair>),
    Hs256(Vec<u8>),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

/// # Panics
///
/// All of it, if the library fails: tests end then.
impl Signer {
    /// A new RSA key of 2,048 bits. Takes a part of a second: make it once.
    pub fn rs256(kid: &str) -> Signer {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        Signer { kid: Some(kid.to_owned()), pair: Pair::Rs256(Arc::new(pair)) }
    }

    /// The same for PSS.
    pub fn ps256(kid: &str) -> Signer {
        Signer::rs256(kid).with_other_padding()
    }

    /// A new key on P-256.
    pub fn es256(kid: &str) -> Signer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key on P-256");
        Signer { kid: Some(kid.to_owned()), pair: Pair::Es256(Arc::new(pair)) }
    }

    /// The key of Ed25519 whose seed is this byte, 32 times.
    pub fn ed25519(kid: &str, seed: u8) -> Signer {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key of Ed25519");
        Signer { kid: Some(kid.to_owned()), pair: Pair::EdDsa(Arc::new(pair)) }
    }

    /// A secret.
    pub fn hs256(kid: &str, secret: &[u8]) -> Signer {
        Signer { kid: Some(kid.to_owned()), pair: Pair::Hs256(secret.to_vec()) }
    }

    /// The same key under another name, or none.
    #[must_use]
    pub fn named(&self, kid: Option<&str>) -> Signer {
        Signer { kid: kid.map(ToOwned::to_owned), pair: self.pair.clone() }
    }

    /// The same RSA key for the other algorithm of RSA; any other key as it is.
    #[must_use]
    pub fn with_other_padding(&self) -> Signer {
        let pair = match &self.pair {
            Pair::Rs256(pair) => Pair::Ps256(Arc::clone(pair)),
            Pair::Ps256(pair) => Pair::Rs256(Arc::clone(pair)),
            other @ (Pair::Es256(_) | Pair::EdDsa(_) | Pair::Hs256(_)) => other.clone(),
        };
        Signer { kid: self.kid.clone(), pair }
    }

    /// What `alg` says.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rs256(_) => "RS256",
            Pair::Ps256(_) => "PS256",
            Pair::Es256(_) => "ES256",
            Pair::EdDsa(_) => "EdDSA",
            Pair::Hs256(_) => "HS256",
        }
    }

    /// The public half as a JWK; a secret as the one that it must not be.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rs256(pair) | Pair::Ps256(pair) => {
                let public = pair.public_key();
                let number = |bytes: &[u8]| part(bytes);
                let (n, e) = (public.modulus(), public.exponent());
                json!({"kty": "RSA", "n": number(n.big_endian_without_leading_zero()), "e": number(e.big_endian_without_leading_zero())})
            }
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let coordinate = |from: usize| part(point.get(from..from + 32).expect("an uncompressed point"));
                json!({"kty": "EC", "crv": "P-256", "x": coordinate(1), "y": coordinate(33)})
            }
            Pair::EdDsa(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": part(pair.public_key().as_ref())}),
            Pair::Hs256(secret) => json!({"kty": "oct", "k": part(secret)}),
        };
        let members = jwk.as_object_mut().expect("an object");
        members.insert("alg".to_owned(), json!(self.algorithm()));
        members.insert("use".to_owned(), json!("sig"));
        members.extend(self.kid.as_ref().map(|kid| ("kid".to_owned(), json!(kid))));
        jwk
    }

    /// The public half as `SubjectPublicKeyInfo`; none for a secret.
    pub fn public_der(&self) -> Option<Vec<u8>> {
        let der: PublicKeyX509Der<'_> = match &self.pair {
            Pair::Rs256(pair) | Pair::Ps256(pair) => pair.public_key().as_der(),
            Pair::Es256(pair) => pair.public_key().as_der(),
            Pair::EdDsa(pair) => pair.public_key().as_der(),
            Pair::Hs256(_) => return None,
        }
        .expect("DER");
        Some(der.as_ref().to_vec())
    }

    /// The public half as PEM; none for a secret.
    pub fn public_pem(&self) -> Option<String> {
        Some(pem("PUBLIC KEY", &self.public_der()?))
    }

    /// The signature of these bytes, whatever they are.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let rsa = |pair: &RsaKeyPair, padding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &SystemRandom::new(), message, &mut signature).expect("a signature");
            signature
        };
        match &self.pair {
            Pair::Rs256(pair) => rsa(pair, &RSA_PKCS1_SHA256),
            Pair::Ps256(pair) => rsa(pair, &RSA_PSS_SHA256),
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Hs256(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
        }
    }

    /// The header of an access token (RFC 9068).
    pub fn header(&self) -> Value {
        let mut header = json!({"alg": self.algorithm(), "typ": "at+jwt"});
        let members = header.as_object_mut().expect("an object");
        members.extend(self.kid.as_ref().map(|kid| ("kid".to_owned(), json!(kid))));
        header
    }

    /// An access token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_of(&self.header().to_string(), &claims.to_string())
    }

    /// A token with this header and this payload, as they are.
    pub fn token_of(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", part(header), part(payload));
        let signature = part(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

/// base64url without padding: a part of a token.
pub fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a part; none if it is not well-formed.
pub fn bytes_of(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// A block of PEM, with lines of 64 characters.
pub fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A JWK set.
pub fn jwks(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// The claims of an access token for `alice` (RFC 9068, 2.2), issued a minute ago and valid for ten more.
pub fn claims(issuer: &str, audience: &str, now_s: u64) -> Value {
    json!({
        "iss": issuer,
        "aud": audience,
        "sub": "alice",
        "exp": now_s + 600,
        "iat": now_s - 60,
        "jti": "token-1",
        "client_id": "client-1",
        "scope": "tools:read tools:call",
    })
}

/// The same claims with some members set, or taken out where the new value is `null`.
///
/// # Panics
///
/// If one of the two is not an object.
pub fn with(claims: &Value, changes: &Value) -> Value {
    let mut changed = claims.clone();
    let members = changed.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    changed
}
