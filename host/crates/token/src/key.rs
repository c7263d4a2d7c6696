//! One key, with the one algorithm that it is for (RFC 8725, 3.1), checked when it is made (RFC 8725, 3.4 and 3.5).

mod der;
pub(crate) mod pem;
mod point;
mod secret;

pub use secret::SecretFault;

use crate::algorithm::Algorithm;
use crate::limits::{NAME_BYTES_MAX, PEM_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT_MAX, RSA_EXPONENT_MIN};
use jsonwebtoken::DecodingKey;
use std::fmt;
use thiserror::Error;

/// A key to verify with. `Debug` shows its name and its algorithm only.
#[derive(Clone)]
pub struct Key {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    material: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why something is no key to verify with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum KeyFault {
    /// A member is missing or has a wrong type, or what should be base64, DER or PEM is not.
    #[error("the key cannot be read")]
    Malformed,
    /// Neither RSA nor P-256 nor Ed25519.
    #[error("keys of this type or curve are not served")]
    Unsupported,
    /// A secret in a JWK set: everybody who reads the set could sign.
    #[error("a secret does not belong into a set of public keys")]
    Symmetric,
    /// The private half is there as well, so it is private no more.
    #[error("the key is private")]
    Private,
    /// `use` is not `sig`.
    #[error("the key is not for signatures")]
    Use,
    /// `key_ops` does not have `verify`, or something twice.
    #[error("the key is not for verifying")]
    Operations,
    /// `alg`, or what the settings say, is not served, or not for a key of this type.
    #[error("the algorithm is not served, or not for keys of this type")]
    Algorithm,
    /// An RSA key of less than [`RSA_BITS_MIN`] bits.
    #[error("the key is shorter than {RSA_BITS_MIN} bits")]
    TooShort,
    /// An RSA key of more than [`RSA_BITS_MAX`] bits.
    #[error("the key is longer than {RSA_BITS_MAX} bits")]
    TooLong,
    /// The exponent of an RSA key is even, or outside [`RSA_EXPONENT_MIN`] and [`RSA_EXPONENT_MAX`].
    #[error("the key's exponent is not safe")]
    Exponent,
    /// The point is not on the curve, or one of those for which everything is a signature.
    #[error("the key's point is not a public key")]
    Point,
    /// `kid` is empty, or longer than [`NAME_BYTES_MAX`].
    #[error("the key's kid has no bytes or more than {NAME_BYTES_MAX}")]
    Kid,
    /// Another key of the set has the same `kid`, so that it names neither.
    #[error("another key of the set has the same kid")]
    KidTwice,
    /// A secret that can be guessed.
    #[error(transparent)]
    Secret(#[from] SecretFault),
}

impl KeyFault {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyFault::Malformed => "malformed",
            KeyFault::Unsupported => "unsupported",
            KeyFault::Symmetric => "symmetric",
            KeyFault::Private => "private",
            KeyFault::Use => "use",
            KeyFault::Operations => "key_ops",
            KeyFault::Algorithm => "algorithm",
            KeyFault::TooShort => "too_short",
            KeyFault::TooLong => "too_long",
            KeyFault::Exponent => "exponent",
            KeyFault::Point => "point",
            KeyFault::Kid => "kid",
            KeyFault::KidTwice => "kid_twice",
            KeyFault::Secret(fault) => fault.as_str(),
        }
    }
}

/// The numbers of a public key, as bytes with the most significant first.
pub(crate) enum Public<'a> {
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
    P256 { x: &'a [u8], y: &'a [u8] },
    Ed25519 { point: &'a [u8] },
}

impl Key {
    /// The public key in a text of PEM, one block: `PUBLIC KEY` (RFC 5280, 4.1; RFC 8410), or `RSA PUBLIC KEY` (RFC 8017, A.1.1). The file
    /// does not say what the key is for, so the settings do.
    ///
    /// # Errors
    ///
    /// See [`KeyFault`]; a private key is refused, because it does not belong on this machine.
    pub fn from_pem(text: &str, algorithm: Algorithm, kid: Option<&str>) -> Result<Key, KeyFault> {
        if text.len() > PEM_BYTES_MAX {
            return Err(KeyFault::TooLong);
        }
        let block = pem::read(text).ok_or(KeyFault::Malformed)?;
        match block.label {
            "PUBLIC KEY" => Key::new(&der::subject_public_key(&block.der)?, Some(algorithm), kid),
            "RSA PUBLIC KEY" => Key::new(&der::rsa_public_key(&block.der).ok_or(KeyFault::Malformed)?, Some(algorithm), kid),
            label if label.contains("PRIVATE") => Err(KeyFault::Private),
            _ => Err(KeyFault::Unsupported),
        }
    }

    /// A secret for HS256, which the operator shares with the issuer.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Secret`] if it can be guessed, and [`KeyFault::Kid`]. None of them shows the secret.
    pub fn from_secret(secret: &[u8], kid: Option<&str>) -> Result<Key, KeyFault> {
        secret::check(secret)?;
        Ok(Key { kid: checked(kid)?, algorithm: Algorithm::Hs256, material: DecodingKey::from_secret(secret) })
    }

    /// A public key for one algorithm; without one, for the usual one of its type. That of RSA is RS256, as RFC 9068, 4 demands it of
    /// everybody: a key for PS256 must say so.
    pub(crate) fn new(public: &Public<'_>, algorithm: Option<Algorithm>, kid: Option<&str>) -> Result<Key, KeyFault> {
        let usual = match public {
            Public::Rsa { .. } => Algorithm::Rs256,
            Public::P256 { .. } => Algorithm::Es256,
            Public::Ed25519 { .. } => Algorithm::EdDsa,
        };
        let algorithm = algorithm.unwrap_or(usual);
        let material = match (public, algorithm) {
            (Public::Rsa { modulus, exponent }, Algorithm::Rs256 | Algorithm::Ps256) => rsa(modulus, exponent)?,
            (Public::P256 { x, y }, Algorithm::Es256) => DecodingKey::from_ec_der(&point::on_p256(x, y)?),
            (Public::Ed25519 { point }, Algorithm::EdDsa) => DecodingKey::from_ed_der(point::on_ed25519(point)?),
            (Public::Rsa { .. }, Algorithm::Es256 | Algorithm::EdDsa | Algorithm::Hs256)
            | (Public::P256 { .. }, Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::EdDsa | Algorithm::Hs256)
            | (Public::Ed25519 { .. }, Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::Hs256) => {
                return Err(KeyFault::Algorithm);
            }
        };
        Ok(Key { kid: checked(kid)?, algorithm, material })
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// What it is for, and nothing else.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this is its signature over `message`; `encoded` is the same signature as base64url. A failure of the library means no.
    pub(crate) fn has_signed(&self, message: &str, signature: &[u8], encoded: &str) -> bool {
        let verify = || jsonwebtoken::crypto::verify(encoded, message.as_bytes(), &self.material, self.algorithm.of_library());
        self.algorithm.is_shape_of(signature) && matches!(verify(), Ok(true))
    }
}

fn checked(kid: Option<&str>) -> Result<Option<Box<str>>, KeyFault> {
    match kid {
        Some(kid) if (1..=NAME_BYTES_MAX).contains(&kid.len()) => Ok(Some(kid.into())),
        Some(_) => Err(KeyFault::Kid),
        None => Ok(None),
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, KeyFault> {
    // RFC 7518, 6.3.1.1 forbids zeros in front, and warns that there are libraries that write one.
    let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
    let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else { return Err(KeyFault::Malformed) };
    let bits = modulus.len().saturating_mul(8).saturating_sub(first.leading_zeros() as usize);
    match bits {
        ..RSA_BITS_MIN => return Err(KeyFault::TooShort),
        RSA_BITS_MIN..=RSA_BITS_MAX => {}
        _ => return Err(KeyFault::TooLong),
    }
    // No product of two large primes is even.
    if last % 2 == 0 {
        return Err(KeyFault::Malformed);
    }
    let number = exponent.iter().try_fold(0_u64, |number, byte| number.checked_mul(256)?.checked_add(u64::from(*byte)));
    match number {
        Some(number @ RSA_EXPONENT_MIN..=RSA_EXPONENT_MAX) if number % 2 == 1 => {
            Ok(DecodingKey::from_rsa_raw_components(modulus, exponent))
        }
        Some(_) | None => Err(KeyFault::Exponent),
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}
