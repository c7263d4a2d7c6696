//! PEM (RFC 7468): one block, nothing around it but white space.

use crate::encoding::base64_standard;

/// What stands between the lines.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    pub(crate) der: Vec<u8>,
}

/// None for what is not exactly one block: of two keys in one file it would be chance which one counts.
pub(crate) fn read(text: &str) -> Option<Block<'_>> {
    let (label, rest) = text.trim_ascii().strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let body = rest.strip_suffix("-----")?.strip_suffix(label)?.strip_suffix("-----END ")?;
    // What is left of a second block is no base64.
    let joined: String = body.split_ascii_whitespace().collect();
    Some(Block { label, der: base64_standard(&joined)? })
}
