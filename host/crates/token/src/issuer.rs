//! Whom the gateway believes, and how far.

use crate::jose::TokenType;
use crate::key_set::KeySet;
use crate::limits::{LEEWAY_S, LIFETIME_MAX_S};
use crate::refused::Refused;

/// An issuer and its rules. The operator names it; a token cannot.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// What `iss` says, byte for byte (RFC 7519, 4.1.1): no slash is added or taken away, no case folded, nothing decoded.
    pub issuer: Box<str>,
    /// Audiences beside the server's own whose tokens count at every server. Usually none. For issuers that cannot be told a resource
    /// (RFC 8707); a token of such an audience, once seen by one server, can be used at all of them.
    pub audiences: Vec<Box<str>>,
    /// Its keys. No other issuer's key verifies its tokens, and its keys verify nobody else's.
    pub keys: KeySet,
    /// By how much its clock may differ, in seconds.
    pub leeway_s: u32,
    /// How long its tokens may be valid, in seconds: from `iat` to `exp`; without `iat`, from now, and the leeway on top.
    pub lifetime_max_s: u32,
    /// Which tokens of its count.
    pub types: TokenTypes,
}

/// What the header's `typ` may say (RFC 8725, 3.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenTypes {
    /// `at+jwt`, `JWT`, or nothing: many issuers do not follow RFC 9068. What keeps ID tokens out is then their audience, which is a client.
    #[default]
    AnyJwt,
    /// `at+jwt` only (RFC 9068, 4): an access token, and nothing else that the issuer signs.
    AccessToken,
}

impl Issuer {
    /// An issuer with the usual rules: the server's audience only, 30 seconds of leeway, tokens of at most 24 hours, of any type.
    pub fn new(issuer: impl Into<Box<str>>, keys: KeySet) -> Issuer {
        Issuer {
            issuer: issuer.into(),
            audiences: Vec::new(),
            keys,
            leeway_s: LEEWAY_S,
            lifetime_max_s: LIFETIME_MAX_S,
            types: TokenTypes::default(),
        }
    }
}

impl TokenTypes {
    pub(crate) fn admit(self, token: TokenType) -> Result<(), Refused> {
        match (self, token) {
            (TokenTypes::AnyJwt, TokenType::AccessToken | TokenType::Jwt | TokenType::Unsaid) => Ok(()),
            (TokenTypes::AccessToken, TokenType::AccessToken) => Ok(()),
            (TokenTypes::AccessToken, TokenType::Jwt | TokenType::Unsaid) => Err(Refused::Type),
        }
    }
}
