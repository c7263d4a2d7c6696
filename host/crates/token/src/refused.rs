//! Why a token is not believed.

use thiserror::Error;

/// Why a token is not believed, in the order of the checks. For logs and metrics only: a caller learns that its token is invalid, and not
/// why (`reliability.md` 2.1). It carries nothing of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refused {
    /// Longer than [`TOKEN_BYTES_MAX`](crate::limits::TOKEN_BYTES_MAX).
    #[error("the token is too long")]
    TooLong,
    /// Not exactly three parts with something in each: no JWS in compact form (RFC 7515, 7.1), perhaps a JWE.
    #[error("the token does not have three parts")]
    Parts,
    /// A part is not canonical base64url.
    #[error("a part of the token is not canonical base64url")]
    Encoding,
    /// The header is longer than [`HEADER_BYTES_MAX`](crate::limits::HEADER_BYTES_MAX), no JSON object, says a key twice, or has a registered
    /// member of a wrong type.
    #[error("the token's header cannot be read")]
    Header,
    /// The header has a member that would change what is verified, or with what: `crit`, `b64`, `zip`, `jwk`, `jku`, `x5c`, `x5u`, `enc`, or
    /// a `cty` that says that there is a token inside.
    #[error("the token's header has a member that is not served")]
    Member,
    /// `alg` is not one that is served, or not that of the key; or the issuer has no key for it.
    #[error("the token's algorithm is not that of the key")]
    Algorithm,
    /// `typ` is not one that counts.
    #[error("the token is not of a type that counts")]
    Type,
    /// The payload is no JSON object, or says a key twice at any depth. `iss` must be read before anything can be verified, and must have one
    /// reading.
    #[error("the token's payload cannot be read")]
    Payload,
    /// `iss` is missing, no text, or not the name of an issuer.
    #[error("the token's issuer is unknown")]
    Issuer,
    /// No key of the issuer has this `kid`. The only outcome for which fetching the keys again can help.
    #[error("the token's key is unknown")]
    KidUnknown,
    /// No `kid`, and the issuer has several keys for the algorithm.
    #[error("the token does not say which of several keys signed it")]
    KidMissing,
    /// The signature is not that of the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// A registered claim has a wrong type, or is longer than [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX).
    #[error("a claim of the token has a wrong type or is too long")]
    Claim,
    /// There is no `exp`.
    #[error("the token does not say when it ends")]
    ExpiryMissing,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYet,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    IssuedLater,
    /// Valid for longer than the issuer's tokens may be, or for no time at all.
    #[error("the token is valid for too long")]
    Lifetime,
    /// Not issued for this server, or for more than [`AUDIENCES_MAX`](crate::limits::AUDIENCES_MAX).
    #[error("the token is not for this server")]
    Audience,
    /// No `sub`, or one that is empty or longer than [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX).
    #[error("the token has no usable subject")]
    Subject,
    /// The claims say that it is an ID token or a refresh token.
    #[error("the token is no access token")]
    Purpose,
    /// More than [`SCOPES_MAX`](crate::limits::SCOPES_MAX), or one that is none, or two claims that differ.
    #[error("the token's scopes cannot be read")]
    Scope,
}

impl Refused {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Refused::TooLong => "too_long",
            Refused::Parts => "parts",
            Refused::Encoding => "encoding",
            Refused::Header => "header",
            Refused::Member => "header_member",
            Refused::Algorithm => "algorithm",
            Refused::Type => "type",
            Refused::Payload => "payload",
            Refused::Issuer => "issuer",
            Refused::KidUnknown => "kid_unknown",
            Refused::KidMissing => "kid_missing",
            Refused::Signature => "signature",
            Refused::Claim => "claim",
            Refused::ExpiryMissing => "expiry_missing",
            Refused::Expired => "expired",
            Refused::NotYet => "not_yet",
            Refused::IssuedLater => "issued_later",
            Refused::Lifetime => "lifetime",
            Refused::Audience => "audience",
            Refused::Subject => "subject",
            Refused::Purpose => "purpose",
            Refused::Scope => "scope",
        }
    }
}
