//! JWK sets (RFC 7517): the public keys of an issuer, as it publishes them.

use crate::algorithm::Algorithm;
use crate::encoding::base64url;
use crate::json::{Object, Texts, Value};
use crate::key::{Key, KeyFault, Public};
use crate::key_set::KeySet;
use crate::limits::{JWKS_BYTES_MAX, KEYS_MAX, NAME_BYTES_MAX};
use std::collections::BTreeSet;
use thiserror::Error;

/// Members that only a private key has (RFC 7518, 6.2.2 and 6.3.2; RFC 8037, 2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// What a JWK set says.
#[derive(Clone, Debug)]
pub struct Jwks {
    /// The keys to verify with; perhaps none.
    pub keys: KeySet,
    /// The others, in their order (RFC 7517, 5: what is not understood is ignored, and does not spoil the rest).
    pub ignored: Vec<IgnoredKey>,
}

/// A key of a JWK set that nothing is verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredKey {
    /// Its place in `keys`, from 0.
    pub position: usize,
    /// Its `kid`, if it has one that is short and of visible ASCII, and thereby safe to log.
    pub kid: Option<Box<str>>,
    /// Why.
    pub fault: KeyFault,
}

/// Why a text is no JWK set, so that the one before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum JwksFault {
    /// More than [`JWKS_BYTES_MAX`].
    #[error("the JWK set is longer than {JWKS_BYTES_MAX} bytes")]
    TooLong,
    /// Not a JSON object in UTF-8, or an object in it says a key twice.
    #[error("the JWK set is not a JSON object, or one in it has a key twice")]
    NotJson,
    /// `keys` is missing or no array.
    #[error("the JWK set has no array of keys")]
    Shape,
    /// More than [`KEYS_MAX`].
    #[error("the JWK set has more than {KEYS_MAX} keys")]
    TooMany,
}

impl JwksFault {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            JwksFault::TooLong => "jwks_too_long",
            JwksFault::NotJson => "jwks_not_json",
            JwksFault::Shape => "jwks_shape",
            JwksFault::TooMany => "jwks_too_many",
        }
    }
}

impl KeySet {
    /// The public keys of a JWK set. Keys that are unfit are left out, and reported; if two have one `kid`, both are.
    ///
    /// # Errors
    ///
    /// See [`JwksFault`]. A set without one usable key is none: a caller that fetches may prefer the set that it had.
    pub fn from_jwks(text: &[u8]) -> Result<Jwks, JwksFault> {
        if text.len() > JWKS_BYTES_MAX {
            return Err(JwksFault::TooLong);
        }
        let text = std::str::from_utf8(text).map_err(|_| JwksFault::NotJson)?;
        let set = Object::read(text).ok_or(JwksFault::NotJson)?;
        let Some(Value::Array(values)) = set.get("keys") else { return Err(JwksFault::Shape) };
        if values.len() > KEYS_MAX {
            return Err(JwksFault::TooMany);
        }
        let mut read: Vec<_> = values.iter().map(key).collect();
        // Among those that could be meant: an issuer may publish one name for signing and for encrypting.
        let names = || read.iter().flatten().filter_map(Key::kid);
        let mut once = BTreeSet::new();
        let twice: BTreeSet<Box<str>> = names().filter(|kid| !once.insert(*kid)).map(Into::into).collect();
        for key in &mut read {
            if key.as_ref().is_ok_and(|key| key.kid().is_some_and(|kid| twice.contains(kid))) {
                *key = Err(KeyFault::KidTwice);
            }
        }
        let (mut keys, mut ignored) = (Vec::new(), Vec::new());
        for (position, (key, value)) in read.into_iter().zip(values).enumerate() {
            match key {
                Ok(key) => keys.push(key),
                Err(fault) => ignored.push(IgnoredKey { position, kid: shown(value), fault }),
            }
        }
        // It cannot fail any more: there are few, and no two have one name.
        let keys = KeySet::new(keys).map_err(|_| JwksFault::TooMany)?;
        Ok(Jwks { keys, ignored })
    }
}

fn shown(value: &Value) -> Option<Box<str>> {
    let Value::Object(jwk) = value else { return None };
    let kid = jwk.text("kid").ok()??;
    let safe = (1..=NAME_BYTES_MAX).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic());
    safe.then(|| kid.into())
}

fn key(value: &Value) -> Result<Key, KeyFault> {
    let Value::Object(jwk) = value else { return Err(KeyFault::Malformed) };
    let text = |name| jwk.text(name).map_err(|_| KeyFault::Malformed);
    let (kty, kid) = (text("kty")?.ok_or(KeyFault::Malformed)?, text("kid")?);
    if kty == "oct" {
        return Err(KeyFault::Symmetric);
    }
    if jwk.has_any(&PRIVATE) {
        return Err(KeyFault::Private);
    }
    if text("use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyFault::Use);
    }
    operations(jwk)?;
    let algorithm = match text("alg")? {
        Some(name) => Some(Algorithm::of_name(name).ok_or(KeyFault::Algorithm)?),
        None => None,
    };
    let bytes = |name| base64url(text(name)?.ok_or(KeyFault::Malformed)?).ok_or(KeyFault::Malformed);
    match (kty, text("crv")?) {
        ("RSA", _) => Key::new(&Public::Rsa { modulus: &bytes("n")?, exponent: &bytes("e")? }, algorithm, kid),
        ("EC", Some("P-256")) => Key::new(&Public::P256 { x: &bytes("x")?, y: &bytes("y")? }, algorithm, kid),
        ("OKP", Some("Ed25519")) => Key::new(&Public::Ed25519 { point: &bytes("x")? }, algorithm, kid),
        (_, _) => Err(KeyFault::Unsupported),
    }
}

/// RFC 7517, 4.3.
fn operations(jwk: &Object) -> Result<(), KeyFault> {
    let operations = match jwk.texts("key_ops") {
        Ok(None) => return Ok(()),
        Ok(Some(Texts::Many(operations))) => operations,
        Ok(Some(Texts::One(_))) | Err(_) => return Err(KeyFault::Malformed),
    };
    let distinct: BTreeSet<_> = operations.iter().collect();
    if distinct.len() == operations.len() && operations.contains(&"verify") { Ok(()) } else { Err(KeyFault::Operations) }
}
