//! The algorithms that are served, each by the one name that it has in RFC 7518, 3.1 and RFC 8037, 3.1.

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA with PKCS#1 v1.5 padding, and SHA-256.
    Rs256,
    /// RSA with PSS padding, and SHA-256.
    Ps256,
    /// ECDSA on P-256, and SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// HMAC with SHA-256: whoever verifies could sign as well. Only for secrets that the operator gives, never for a key of a JWK set.
    Hs256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Algorithm; 5] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256];

    /// The algorithm of this name; names are compared byte for byte (RFC 7515, 4.1.1), so that `nOnE` and `rs256` are none.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Its name in `alg`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Ps256 => "PS256",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Hs256 => "HS256",
        }
    }

    /// Whether a signature of this algorithm can look like this. The library asks it as well; it is asked here too, because a library that
    /// did not was CVE-2022-21449: zeros were a signature of anything by anybody (RFC 8725, 3.4).
    pub(crate) fn is_shape_of(self, signature: &[u8]) -> bool {
        let is_set = |half: &[u8]| half.iter().any(|byte| *byte != 0);
        match self {
            // As long as the modulus, which the key knows.
            Algorithm::Rs256 | Algorithm::Ps256 => is_set(signature),
            // r and s, 32 bytes each (RFC 7518, 3.4); DER is longer, or shorter, or begins with a sequence and fails.
            Algorithm::Es256 => signature.len() == 64 && signature.chunks(32).all(is_set),
            Algorithm::EdDsa => signature.len() == 64,
            Algorithm::Hs256 => signature.len() == 32,
        }
    }

    pub(crate) const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

#[cfg(test)]
mod tests;
