//! Is a point a public key (RFC 8725, 3.4)?

use super::KeyFault;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};

/// The points of Ed25519 whose order divides 8, in every spelling of theirs, sign aside. Under such a key there is a signature of every
/// message that everybody can write, and RFC 8032 does not say that verifying notices.
const ED25519_SMALL_ORDER: [[u8; 32]; 7] = [
    with_ends(0x00, 0x00, 0x00),
    with_ends(0x01, 0x00, 0x00),
    // p - 1, and the two spellings p and p + 1, which stand for 0 and 1.
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
    // The two of order 8.
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// 32 bytes that are the same between the first and the last.
const fn with_ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    let [start, .., end] = &mut bytes;
    *start = first;
    *end = last;
    bytes
}

/// The uncompressed form of a point on P-256 (SEC 1, 2.3.3). Coordinates have their full length (RFC 7518, 6.2.1.2).
pub(super) fn on_p256(x: &[u8], y: &[u8]) -> Result<Vec<u8>, KeyFault> {
    if (x.len(), y.len()) != (32, 32) {
        return Err(KeyFault::Malformed);
    }
    let point = [&[0x04], x, y].concat();
    match ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point) {
        Ok(_) => Ok(point),
        Err(_) => Err(KeyFault::Point),
    }
}

/// A point of Ed25519 that has a large order; that it is one at all shows in its first signature (RFC 8032, 5.1.3).
pub(super) fn on_ed25519(point: &[u8]) -> Result<&[u8], KeyFault> {
    let bytes: [u8; 32] = point.try_into().map_err(|_| KeyFault::Malformed)?;
    let mut unsigned = bytes;
    if let Some(last) = unsigned.last_mut() {
        *last &= 0x7f;
    }
    if ED25519_SMALL_ORDER.contains(&unsigned) { Err(KeyFault::Point) } else { Ok(point) }
}
