//! Buckets that a plugin keeps values in.

use crate::config::file::Section;
use sandbox::{BucketName, BucketTerms};
use std::sync::Arc;

/// Buckets that a plugin may keep values in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyvalueGrant {
    /// Which.
    pub buckets: Vec<BucketName>,
    /// How.
    pub terms: Arc<BucketTerms>,
}

/// `owner` is the plugin as settings name it: the plugin of a tenant's own directory has other values than one of its name in the shared one.
pub(super) fn read(keyvalue: Section<'_, '_>, grant: &Arc<str>, owner: Arc<str>) -> KeyvalueGrant {
    const REFUSED: &str = "the operation is refused";
    let mut buckets: Vec<BucketName> = Vec::new();
    for text in keyvalue.texts("buckets") {
        match BucketName::parse(&text) {
            Ok(name) if buckets.contains(&name) => keyvalue.note("buckets", format!("`{text}` stands there twice")),
            Ok(name) => buckets.push(name),
            Err(wrong) => keyvalue.note("buckets", wrong),
        }
    }
    if !keyvalue.has("buckets") {
        keyvalue.note("buckets", "must name the buckets, such as [\"notes\"]");
    }
    let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let operations_max = keyvalue.limit("operations_per_call_max", 1_000, 1..=100_000, "", REFUSED);
    let terms = BucketTerms {
        grant: Arc::clone(grant),
        owner,
        key_bytes_max: bytes(keyvalue.limit("key_bytes_max", 256, 1..=1_024, "", REFUSED)),
        // A counter has up to 20.
        value_bytes_max: bytes(keyvalue.limit("value_bytes_max", 64 << 10, 32..=1 << 20, "", REFUSED)),
        operations_max: u32::try_from(operations_max).unwrap_or(u32::MAX),
        keys_max: keyvalue.limit("keys_max", 10_000, 1..=10_000_000, "", REFUSED),
        bytes_max: keyvalue.limit("bytes_max", 16 << 20, 1 << 10..=1 << 40, "", REFUSED),
    };
    keyvalue.end();
    KeyvalueGrant { buckets, terms: Arc::new(terms) }
}
