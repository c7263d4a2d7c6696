//! base64, in the one spelling that each text has.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The bytes of base64url as JOSE writes it (RFC 7515, 2): no padding, no white space, no line breaks, the last bits zero. None for
/// everything else, so that no two texts stand for the same bytes.
pub(crate) fn base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The bytes of base64 as PEM has it (RFC 7468, 3): with padding, line breaks taken out already.
pub(crate) fn base64_standard(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
