//! The header of a token (RFC 7515, 4): what it may say about how it is signed.

use crate::algorithm::Algorithm;
use crate::json::Object;
use crate::limits::HEADER_BYTES_MAX;
use crate::refused::Refused;

/// Members that are refused, whatever they say. They demand to be understood (`crit`), change what is signed (`b64`, `zip`), bring a key along
/// or say where to fetch one (`jwk`, `jku`, `x5c`, `x5u`), or are of an encrypted token (`enc`).
const REFUSED: [&str; 8] = ["b64", "crit", "enc", "jku", "jwk", "x5c", "x5u", "zip"];
/// Members that are not used, and must be texts all the same (RFC 7515, 4.1.7 and 4.1.8).
const UNUSED: [&str; 2] = ["x5t", "x5t#S256"];

/// What is used of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    /// Compared with the names of keys, and used for nothing else.
    pub(crate) kid: Option<String>,
    pub(crate) token: TokenType,
}

/// What `typ` says (RFC 7519, 5.1; RFC 9068, 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    AccessToken,
    Jwt,
    Unsaid,
}

impl Header {
    pub(crate) fn read(bytes: &[u8]) -> Result<Header, Refused> {
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(Refused::Header);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Refused::Header)?;
        let header = Object::read(text).ok_or(Refused::Header)?;
        let text = |name| header.text(name).map_err(|_| Refused::Header);
        let (algorithm, kid, typ, cty) = (text("alg")?.ok_or(Refused::Header)?, text("kid")?, text("typ")?, text("cty")?);
        for name in UNUSED {
            text(name)?;
        }
        if header.has_any(&REFUSED) || cty.is_some_and(is_token) {
            return Err(Refused::Member);
        }
        let algorithm = Algorithm::of_name(algorithm).ok_or(Refused::Algorithm)?;
        Ok(Header { algorithm, kid: kid.map(ToOwned::to_owned), token: TokenType::of(typ)? })
    }
}

impl TokenType {
    fn of(typ: Option<&str>) -> Result<TokenType, Refused> {
        match typ.map(media_type).as_deref() {
            None => Ok(TokenType::Unsaid),
            Some("jwt") => Ok(TokenType::Jwt),
            Some("at+jwt") => Ok(TokenType::AccessToken),
            Some(_) => Err(Refused::Type),
        }
    }
}

/// A media type without case, and without the `application/` that may be left out (RFC 7515, 4.1.9).
fn media_type(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.strip_prefix("application/").map(ToOwned::to_owned).unwrap_or(lower)
}

/// Whether a content type says that the payload is another token (RFC 7519, 5.2): `JWT`, or one of the types made of it.
fn is_token(cty: &str) -> bool {
    media_type(cty).split('+').any(|part| matches!(part, "jwt" | "jwe" | "jws" | "jose"))
}
