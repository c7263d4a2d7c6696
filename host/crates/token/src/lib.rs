//! Who is calling: bearer tokens, verified against pinned issuers.
//!
//! Pure: no input or output, no clock (`now_s` is passed in, in seconds since 1970), no HTTP types. Everything that it reads was written by
//! somebody who may be an attacker, and everything that it does not understand is refused. Read it in this order:
//!
//! 1. [`authorization()`]: the token in the `Authorization` headers of a request (RFC 6750, 2.1);
//! 2. [`verify()`]: from a token to a [`Verified`], which nothing else makes, or to a [`Refused`];
//! 3. [`Issuer`]: whom to believe, and what; [`KeySet`]: its keys, from a JWK set (RFC 7517), public keys in PEM, or a secret;
//! 4. [`limits`]: how much of anything is read;
//! 5. [`SigningKey`]: tokens of one's own, for development, and [`look()`]: what a token says, believed by nobody.
//!
//! What is pinned, and against what:
//!
//! - **The algorithm** belongs to the key (RFC 8725, 3.1): a key has exactly one, the header's `alg` must be that one, and it is never a
//!   reason to look for another key. There is no `none`, and a public key cannot become a secret, because secrets are their own kind of key.
//! - **The key** comes from the issuer that `iss` names exactly, never from the token (RFC 8725, 3.8 and 3.10): a header that carries a key
//!   or an address of one (`jwk`, `jku`, `x5c`, `x5u`) is refused, and `kid` is compared, never looked up anywhere else.
//! - **The text** has one reading (RFC 7515, 4 and 10.12; RFC 8725, 2.6): base64url without padding, white space or loose bits; JSON in
//!   which no object says a key twice; registered claims of their registered types, optional or not (CVE-2026-25537 was a claim of a wrong
//!   type that counted as none).
//! - **The purpose**: issued for this server (RFC 8707; RFC 8725, 3.9), as an access token if that is demanded (RFC 9068, 4; RFC 8725,
//!   3.11), and now.
//!
//! Nothing that a payload says but `iss` decides an outcome before the signature holds.
//!
//! The bytes of a token are no name for it: to each ES256 signature (r, s) there is a second one, (r, n-s), that RFC 7518 accepts as well.
#![forbid(unsafe_code)]

pub mod limits;

mod algorithm;
mod authorization;
mod claims;
mod encoding;
mod issuer;
mod jose;
mod json;
mod jwks;
mod key;
mod key_set;
mod refused;
mod sign;
mod verified;
mod verify;

pub use algorithm::Algorithm;
pub use authorization::{HeaderFault, authorization};
pub use claims::is_scope;
pub use issuer::{Issuer, TokenTypes};
pub use jwks::{IgnoredKey, Jwks, JwksFault};
pub use key::{Key, KeyFault, SecretFault};
pub use key_set::{KeySet, KeySetFault};
pub use refused::Refused;
pub use sign::{NewKey, SigningKey, SigningKeyFault, TokenTooLong};
pub use verified::Verified;
pub use verify::{Look, look, verify, verify_with};
