//! Which buckets a guest may keep values in, and how much.

use super::BucketName;
use std::sync::Arc;

/// A bucket with the terms on which it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketGrant {
    /// As the guest opens it.
    pub name: BucketName,
    /// How it is kept.
    pub terms: Arc<BucketTerms>,
}

/// On which terms buckets are kept: those of one grant of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketTerms {
    /// The grant's name in the settings.
    pub grant: Arc<str>,
    /// Whose buckets they are, as the host tells them apart.
    pub owner: Arc<str>,
    /// Bytes of a key.
    pub key_bytes_max: usize,
    /// Bytes of a value.
    pub value_bytes_max: usize,
    /// Keys that one call may read, write or list, one page of a list counted as one.
    pub operations_max: u32,
    /// Keys of each bucket.
    pub keys_max: u64,
    /// Bytes of each bucket.
    pub bytes_max: u64,
}
