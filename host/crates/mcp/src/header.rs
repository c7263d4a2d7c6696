//! HTTP header values that mirror the body: how often one was sent, and how its text is encoded (1.5).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{borrow::Cow, fmt};

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// What a request says in one header field. The host fills it from its HTTP types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderValues<'a> {
    /// The field is not there.
    Absent,
    /// It is there once, with these bytes.
    Once(&'a [u8]),
    /// It is there more than once.
    Many,
}

impl<'a> HeaderValues<'a> {
    /// From the values of one field in their order.
    #[must_use]
    pub fn collect(mut values: impl Iterator<Item = &'a [u8]>) -> HeaderValues<'a> {
        match (values.next(), values.next()) {
            (None, _) => HeaderValues::Absent,
            (Some(value), None) => HeaderValues::Once(value),
            (Some(_), Some(_)) => HeaderValues::Many,
        }
    }
}

/// Why a header value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// A literal with a byte that is not visible ASCII, blank or tab. Other text must come as base64.
    Literal,
    /// Wrapped as base64, but not canonical standard base64 with padding.
    Base64,
    /// Base64 of bytes that are not UTF-8.
    Utf8,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderError::Literal => "has bytes outside visible ASCII",
            HeaderError::Base64 => "is not canonical base64",
            HeaderError::Utf8 => "is base64 of text that is not UTF-8",
        })
    }
}

impl std::error::Error for HeaderError {}

/// Reads a value: white space around it is dropped; `=?base64?…?=` (exactly so, lower case) is decoded strictly;
/// everything else is literal, even if it is wrapped at one end only.
///
/// # Errors
/// A literal with bytes outside visible ASCII, blank and tab: HTTP says nothing about their meaning, and the sentinel
/// exists for them. Base64 with wrong padding, foreign characters, non-canonical last bits, or of bytes that are not
/// UTF-8.
pub fn decode(value: &[u8]) -> Result<Cow<'_, str>, HeaderError> {
    let literal = literal(value)?;
    let inside = literal.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE));
    let Some(inside) = inside else {
        return Ok(Cow::Borrowed(literal));
    };
    let bytes = STANDARD.decode(inside).map_err(|_| HeaderError::Base64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| HeaderError::Utf8)
}

/// Reads a value that is never encoded, such as a version: white space around it is dropped.
///
/// # Errors
/// [`HeaderError::Literal`].
pub fn literal(value: &[u8]) -> Result<&str, HeaderError> {
    let trimmed = std::str::from_utf8(value).map_err(|_| HeaderError::Literal)?.trim_matches([' ', '\t']);
    let plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    if trimmed.as_bytes().iter().all(plain) { Ok(trimmed) } else { Err(HeaderError::Literal) }
}

/// Writes a value so that [`decode`] gives it back: literal where that is possible, else as base64.
#[must_use]
pub fn encode(text: &str) -> Cow<'_, str> {
    let wrapped = text.starts_with(OPEN) && text.ends_with(CLOSE);
    match literal(text.as_bytes()) {
        Ok(same) if same.len() == text.len() && !wrapped => Cow::Borrowed(text),
        Ok(_) | Err(_) => Cow::Owned(format!("{OPEN}{}{CLOSE}", STANDARD.encode(text))),
    }
}

#[cfg(test)]
mod tests;
