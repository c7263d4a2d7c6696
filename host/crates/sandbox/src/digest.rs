//! The name of a component's bytes.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// SHA-256 of a component's bytes: what it is known by in logs, in the cache and in `plugins.lock`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The one that these 64 hexadecimal digits are; none if they are anything else.
    pub fn parse(digits: &str) -> Option<Self> {
        let whole = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = digits.as_bytes().chunks_exact(2).filter(|_| whole);
        let bytes = digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        Some(Self(bytes.collect::<Option<Vec<_>>>()?.try_into().ok()?))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 12 hexadecimal digits: enough to tell versions apart in a log line.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEXLOWER.encode_mut_str(&self.0, &mut [0; 64]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}
