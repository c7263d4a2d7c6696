//! The other side, for development: an issuer's key of Ed25519, and tokens by it. The gateway itself signs nothing.

use crate::encoding::base64url;
use crate::json::Object;
use crate::key::{Key, KeyFault, Public, pem};
use crate::limits::{NAME_BYTES_MAX, PEM_BYTES_MAX, TOKEN_BYTES_MAX};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use std::fmt;
use thiserror::Error;

/// A private key of Ed25519. `Debug` shows its name only.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    kid: Option<Box<str>>,
}

/// A new key as an issuer keeps it and publishes it.
pub struct NewKey {
    /// The private key as a JWK (RFC 8037, 2).
    pub private_jwk: String,
    /// A JWK set of its public half alone.
    pub jwks: String,
    /// Its name in both: the thumbprint of the public half (RFC 7638).
    pub kid: String,
}

/// Why a text is no key to sign with. It is never shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum SigningKeyFault {
    /// Neither PEM nor a JWK, or longer than a key.
    #[error("it is neither a private key in PEM (PKCS#8) nor a JWK")]
    Malformed,
    /// Another type than Ed25519.
    #[error("it is no key of Ed25519; make one with `openssl genpkey -algorithm ed25519`")]
    Unsupported,
    /// A public key: there is nothing to sign with.
    #[error("it is a public key, and signing needs the private one")]
    Public,
    /// The two halves do not belong together.
    #[error("its private half does not belong to its public half")]
    Pair,
}

/// The token would be longer than any gateway reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("the token would have more than {TOKEN_BYTES_MAX} bytes")]
pub struct TokenTooLong;

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl NewKey {
    /// Of 32 random bytes.
    ///
    /// # Errors
    ///
    /// When the library fails.
    pub fn of_seed(seed: &[u8; 32]) -> Result<NewKey, SigningKeyFault> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SigningKeyFault::Pair)?;
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        // The members in the order that RFC 7638 wants, and nothing else: base64url needs no escapes.
        let required = format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}");
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, required.as_bytes()));
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA", "use": "sig", "kid": kid });
        let private = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "d": URL_SAFE_NO_PAD.encode(seed), "alg": "EdDSA", "kid": kid });
        Ok(NewKey { private_jwk: private.to_string(), jwks: json!({ "keys": [public] }).to_string(), kid })
    }
}

impl SigningKey {
    /// The private key in a text: a JWK with its name, or one block of PEM, `PRIVATE KEY` (RFC 5958), which has none.
    ///
    /// # Errors
    ///
    /// See [`SigningKeyFault`].
    pub fn read(text: &str) -> Result<SigningKey, SigningKeyFault> {
        if text.len() > PEM_BYTES_MAX {
            return Err(SigningKeyFault::Malformed);
        }
        if text.trim_ascii_start().starts_with('{') { Self::from_jwk(text) } else { Self::from_pem(text) }
    }

    fn from_pem(text: &str) -> Result<SigningKey, SigningKeyFault> {
        let block = pem::read(text).ok_or(SigningKeyFault::Malformed)?;
        match block.label {
            "PRIVATE KEY" => {}
            label if label.contains("PUBLIC") || label.contains("CERTIFICATE") => return Err(SigningKeyFault::Public),
            _ => return Err(SigningKeyFault::Unsupported),
        }
        // With its public half (RFC 5958) or without (RFC 5208), as OpenSSL writes it.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&block.der).map_err(|_| SigningKeyFault::Unsupported)?;
        Ok(SigningKey { pair, kid: None })
    }

    fn from_jwk(text: &str) -> Result<SigningKey, SigningKeyFault> {
        let jwk = Object::read(text).ok_or(SigningKeyFault::Malformed)?;
        let text = |name| jwk.text(name).map_err(|_| SigningKeyFault::Malformed);
        if text("kty")? != Some("OKP") || text("crv")? != Some("Ed25519") || !matches!(text("alg")?, None | Some("EdDSA")) {
            return Err(SigningKeyFault::Unsupported);
        }
        let bytes = |encoded: &str| base64url(encoded).ok_or(SigningKeyFault::Malformed);
        let seed = bytes(text("d")?.ok_or(SigningKeyFault::Public)?)?;
        let point = bytes(text("x")?.ok_or(SigningKeyFault::Malformed)?)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &point).map_err(|_| SigningKeyFault::Pair)?;
        let kid = text("kid")?.filter(|kid| (1..=NAME_BYTES_MAX).contains(&kid.len())).map(Into::into);
        Ok(SigningKey { pair, kid })
    }

    /// Its public half under its name: what a gateway verifies with.
    ///
    /// # Errors
    ///
    /// Never, for a key that was made by this library.
    pub fn public(&self) -> Result<Key, KeyFault> {
        Key::new(&Public::Ed25519 { point: self.pair.public_key().as_ref() }, None, self.kid.as_deref())
    }

    /// An access token (RFC 9068) with these claims, a JSON object as text.
    ///
    /// # Errors
    ///
    /// If it would be too long to be read.
    pub fn token(&self, claims: &str) -> Result<String, TokenTooLong> {
        let mut header = json!({ "alg": "EdDSA", "typ": "at+jwt" });
        if let (Some(kid), Some(members)) = (&self.kid, header.as_object_mut()) {
            members.insert("kid".to_owned(), kid.as_ref().into());
        }
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes())));
        if token.len() <= TOKEN_BYTES_MAX { Ok(token) } else { Err(TokenTooLong) }
    }
}
