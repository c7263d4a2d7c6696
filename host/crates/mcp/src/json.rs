//! Is a text JSON (RFC 8259), and within limits? One strict pass over the bytes, before anything else reads them.
//!
//! Two parsers that read one text differently are how a policy is shown one method and the tool another, so duplicate
//! keys are refused at any depth after unescaping (`reliability.md` 2.1). The pass keeps its own stack: nesting cannot
//! exhaust the machine's. What it accepts, `serde_json` accepts; a property test holds the two together.

mod scan;
mod tokens;

use std::fmt;

/// What a text may weigh. All limits are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Arrays and objects open at once.
    pub depth_max: usize,
    /// Values in the text, containers and scalars alike; keys are not counted.
    pub nodes_max: usize,
    /// Bytes of one string or key, in UTF-8, after unescaping.
    pub string_bytes_max: usize,
}

impl Default for JsonLimits {
    /// 64 levels, 100,000 values, 1 MiB a string (`reliability.md` 5.1).
    fn default() -> JsonLimits {
        JsonLimits { depth_max: 64, nodes_max: 100_000, string_bytes_max: 1 << 20 }
    }
}

/// Why a text is refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The reason.
    pub kind: JsonErrorKind,
    /// Where it was noticed, in bytes from the start of the text.
    pub offset_bytes: usize,
    /// Whether it was noticed inside `params.arguments` of the root object.
    pub(crate) in_arguments: bool,
}

/// The reasons to refuse a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// It is not JSON: -32700.
    NotJson,
    /// More than [`JsonLimits::depth_max`] levels: -32600.
    TooDeep,
    /// More than [`JsonLimits::nodes_max`] values: -32600.
    TooManyNodes,
    /// A string longer than [`JsonLimits::string_bytes_max`]: -32600.
    StringTooLong,
    /// An object says a key twice: -32600.
    DuplicateKey,
}

impl JsonErrorKind {
    /// The word for `data.kind`; none for what is not JSON at all.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            JsonErrorKind::NotJson => None,
            JsonErrorKind::TooDeep => Some("json_too_deep"),
            JsonErrorKind::TooManyNodes => Some("json_too_many_nodes"),
            JsonErrorKind::StringTooLong => Some("json_string_too_long"),
            JsonErrorKind::DuplicateKey => Some("duplicate_key"),
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.kind {
            JsonErrorKind::NotJson => "not valid JSON",
            JsonErrorKind::TooDeep => "nested too deeply",
            JsonErrorKind::TooManyNodes => "too many values",
            JsonErrorKind::StringTooLong => "a string is too long",
            JsonErrorKind::DuplicateKey => "an object has a key twice",
        };
        write!(f, "{reason} (at byte {})", self.offset_bytes)
    }
}

impl std::error::Error for JsonError {}

/// Checks that `bytes` are one JSON value within `limits` and gives them back as text.
///
/// Memory: one entry per open container and per key of the open objects, whose text is borrowed.
///
/// # Errors
/// The first fault in reading order, except that bytes that are not UTF-8 are found before any other.
pub fn check<'a>(bytes: &'a [u8], limits: &JsonLimits) -> Result<&'a str, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError {
        kind: JsonErrorKind::NotJson,
        offset_bytes: error.valid_up_to(),
        in_arguments: false,
    })?;
    scan::scan(text, limits)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
