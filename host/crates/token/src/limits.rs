//! How much of anything is read. Each limit is inclusive; `reliability.md` 5.1 has the table that most of them come from.

/// A token, all three parts.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// The header of a token, decoded.
pub const HEADER_BYTES_MAX: usize = 1_024;
/// Objects and arrays open at once, in a header, in claims, and in a JWK set.
pub const JSON_DEPTH_MAX: usize = 32;
/// `sub`, `jti`, `client_id` and `kid`: they become parts of names, records and log lines.
pub const NAME_BYTES_MAX: usize = 256;
/// Audiences of one token.
pub const AUDIENCES_MAX: usize = 16;
/// Scopes of one token.
pub const SCOPES_MAX: usize = 64;
/// One scope.
pub const SCOPE_BYTES_MAX: usize = 128;

/// By how much the clocks of issuer and gateway may differ, unless an [`Issuer`](crate::Issuer) says otherwise.
pub const LEEWAY_S: u32 = 30;
/// From `iat` to `exp`, unless an [`Issuer`](crate::Issuer) says otherwise.
pub const LIFETIME_MAX_S: u32 = 24 * 3_600;

/// A JWK set as text.
pub const JWKS_BYTES_MAX: usize = 256 << 10;
/// Keys in one set, those that are ignored included.
pub const KEYS_MAX: usize = 64;
/// A public key in PEM: one of 8,192 bits has 1,500 bytes.
pub const PEM_BYTES_MAX: usize = 8 << 10;
/// The modulus of an RSA key, at least (RFC 7518, 3.3 and 3.5).
pub const RSA_BITS_MIN: usize = 2_048;
/// The modulus of an RSA key, at most: what the signature library takes, and what a check may cost.
pub const RSA_BITS_MAX: usize = 8_192;
/// The exponent of an RSA key, at least (FIPS 186-5, 5.1): with 1, every message is its own signature.
pub const RSA_EXPONENT_MIN: u64 = 65_537;
/// The exponent of an RSA key, at most: what the signature library takes.
pub const RSA_EXPONENT_MAX: u64 = (1 << 33) - 1;

/// A secret for HS256, at least: as long as the hash (RFC 7518, 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// A secret for HS256, at most.
pub const SECRET_BYTES_MAX: usize = 1_024;
/// What the bytes of a secret say at least, by how often each of them occurs. 32 random hexadecimal digits say 115.
pub const SECRET_BITS_MIN: f64 = 96.0;
