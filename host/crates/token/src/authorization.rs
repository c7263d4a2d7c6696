//! The token in a request's `Authorization` headers (RFC 6750, 2.1; RFC 9110, 11.6.2).

use thiserror::Error;

/// Why the headers hold no token. A request without any has no fault, and no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum HeaderFault {
    /// More than one header: which of them a proxy before us looked at cannot be known. 400.
    #[error("the request has more than one Authorization header")]
    Many,
    /// Another scheme than `Bearer`. 401.
    #[error("the Authorization header has another scheme than Bearer")]
    Scheme,
    /// `Bearer`, but not followed by exactly one token. 401.
    #[error("the Authorization header is not Bearer and one token")]
    Shape,
}

impl HeaderFault {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            HeaderFault::Many => "authorization_many",
            HeaderFault::Scheme => "authorization_scheme",
            HeaderFault::Shape => "authorization_shape",
        }
    }
}

/// The token that these values of the `Authorization` header carry; none if there are no values.
///
/// The scheme is compared without case, blanks follow it, and one `token68` follows them up to the end. Whether that is a JWT, and how long it
/// may be, is [`verify`](crate::verify())'s to say.
///
/// # Errors
///
/// See [`HeaderFault`]; an empty value is a fault, and never "no token".
pub fn authorization<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a str>, HeaderFault> {
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(HeaderFault::Many),
    };
    let value = std::str::from_utf8(value).map_err(|_| HeaderFault::Shape)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(HeaderFault::Scheme);
    }
    let token = token.trim_start_matches(' ');
    if is_token68(token) { Ok(Some(token)) } else { Err(HeaderFault::Shape) }
}

/// RFC 9110, 11.2.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
