//! What is known of a caller whose token was verified.

use std::fmt;

/// Who calls, by the word of an issuer. Only [`verify`](crate::verify()) makes one.
///
/// `Debug` leaves out the claims: they are personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified {
    pub(crate) issuer: Box<str>,
    pub(crate) subject: Box<str>,
    pub(crate) audience: Box<str>,
    pub(crate) scopes: Vec<Box<str>>,
    pub(crate) expires_at_s: u64,
    pub(crate) token_id: Option<Box<str>>,
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) key_id: Option<Box<str>>,
    pub(crate) claims_json: Box<str>,
}

impl Verified {
    /// Who vouches: [`Issuer::issuer`](crate::Issuer::issuer), which `iss` is equal to.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: 1 to 256 bytes, unique at the issuer and nowhere else. Any characters: escape it where it is shown.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The audience that made the token count here.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// What was granted, in the token's order, nothing twice; each is visible ASCII.
    #[must_use]
    pub fn scopes(&self) -> &[Box<str>] {
        &self.scopes
    }

    /// `exp`, in seconds since 1970, without leeway: what it began must end then.
    #[must_use]
    pub fn expires_at_s(&self) -> u64 {
        self.expires_at_s
    }

    /// `jti`.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// `client_id` (RFC 9068, 2.2), or `azp` where there is none: the program that the subject uses.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The name of the key that verified it.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// All claims: the payload as it was signed, a JSON object in which no object says a key twice.
    #[must_use]
    pub fn claims_json(&self) -> &str {
        &self.claims_json
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .field("audience", &self.audience)
            .field("scopes", &self.scopes)
            .field("expires_at_s", &self.expires_at_s)
            .field("token_id", &self.token_id)
            .field("client_id", &self.client_id)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}
