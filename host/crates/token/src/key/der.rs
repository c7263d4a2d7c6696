//! DER (X.690), as far as public keys go: definite lengths in their shortest form, nothing left over.

use super::{KeyFault, Public};

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: &[u8] = &[0x05, 0x00];
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017, A.1).
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// id-ecPublicKey, 1.2.840.10045.2.1 (RFC 5480, 2.1.1).
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// The parameters that name P-256: secp256r1, 1.2.840.10045.3.1.7 (RFC 5480, 2.1.1.1), with tag and length.
const P256: &[u8] = &[OBJECT_IDENTIFIER, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// id-Ed25519, 1.3.101.112 (RFC 8410, 3).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// The bytes that are left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// The content of the next element, which has this tag.
    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.byte()? != tag {
            return None;
        }
        let length = match self.byte()? {
            short @ 0..=0x7f => usize::from(short),
            // One or two bytes of length are enough for every key that is served; each in its shortest form only.
            0x81 => Some(usize::from(self.byte()?)).filter(|length| *length > 0x7f)?,
            0x82 => Some(usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]))).filter(|length| *length > 0xff)?,
            _ => return None,
        };
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// An integer that is not negative, without the zero that only says so.
    fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.element(INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first > 0x7f) => Some(rest),
            number @ ([0..=0x7f] | [1..=0x7f, ..]) => Some(number),
            _ => None,
        }
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// The content of the one element that these bytes are.
fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader(bytes);
    let content = reader.element(tag)?;
    reader.end()?;
    Some(content)
}

/// A `SubjectPublicKeyInfo` (RFC 5280, 4.1).
pub(super) fn subject_public_key(bytes: &[u8]) -> Result<Public<'_>, KeyFault> {
    let (algorithm, parameters, key) = parts(bytes).ok_or(KeyFault::Malformed)?;
    let public = match (algorithm, parameters) {
        (RSA, NULL) => rsa_public_key(key),
        (EC, P256) => point(key),
        (ED25519, []) => Some(Public::Ed25519 { point: key }),
        (_, _) => return Err(KeyFault::Unsupported),
    };
    public.ok_or(KeyFault::Malformed)
}

fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut outer = Reader(only(bytes, SEQUENCE)?);
    let mut identifier = Reader(outer.element(SEQUENCE)?);
    let algorithm = identifier.element(OBJECT_IDENTIFIER)?;
    // The first byte of a bit string says how many bits of the last one do not count.
    let key = outer.element(BIT_STRING)?.strip_prefix(&[0])?;
    outer.end()?;
    Some((algorithm, identifier.0, key))
}

/// An `RSAPublicKey` (RFC 8017, A.1.1).
pub(super) fn rsa_public_key(bytes: &[u8]) -> Option<Public<'_>> {
    let mut reader = Reader(only(bytes, SEQUENCE)?);
    let (modulus, exponent) = (reader.unsigned()?, reader.unsigned()?);
    reader.end()?;
    Some(Public::Rsa { modulus, exponent })
}

/// An uncompressed `ECPoint` (RFC 5480, 2.2): what everybody writes.
fn point(bytes: &[u8]) -> Option<Public<'_>> {
    let (x, y) = bytes.strip_prefix(&[0x04])?.split_at_checked(32)?;
    Some(Public::P256 { x, y })
}
