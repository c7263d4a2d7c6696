//! Buckets: values under keys that plugins keep beyond their calls. See rule 10 of the contract.

use crate::TenantKey;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Bytes of an owner's or a bucket's name: its length stands before it in one byte.
const NAME_BYTES_MAX: usize = 255;

/// The unit of isolation of what is kept under keys: one bucket of one owner of one tenant. In keys each of the three names stands behind its
/// length, so that no two buckets run together, whatever they are called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    tenant: TenantKey,
    owner: Arc<str>,
    name: Arc<str>,
}

impl Bucket {
    /// Of this tenant and this owner, such as a plugin, by its name. `None` if owner or name are empty or longer than 255 bytes.
    #[must_use]
    pub fn new(tenant: TenantKey, owner: &str, name: &str) -> Option<Self> {
        let right = |text: &str| (1..=NAME_BYTES_MAX).contains(&text.len());
        (right(owner) && right(name)).then(|| Self { tenant, owner: owner.into(), name: name.into() })
    }

    /// On whose behalf it is kept.
    #[must_use]
    pub fn tenant(&self) -> &TenantKey {
        &self.tenant
    }

    /// Whose it is within the tenant.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Which one of the owner's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// How much of something there is, or may be: bytes are those of keys and values, and 128 for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Filled {
    /// Keys.
    pub keys: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this value, of at most [`Settings::event_bytes_max`](crate::Settings::event_bytes_max).
    Set(Bytes, Bytes),
    /// It is not there.
    Remove(Bytes),
}

/// Makes a key's new value of the one that it has; none leaves that as it is. It runs on the thread that writes: it must neither wait nor panic.
pub struct Decide(Box<Deciding>);

type Deciding = dyn FnOnce(Option<&[u8]>) -> Option<Bytes> + Send;

impl Decide {
    /// By that function.
    pub fn new(decide: impl FnOnce(Option<&[u8]>) -> Option<Bytes> + Send + 'static) -> Self {
        Self(Box::new(decide))
    }

    pub(crate) fn decide(self, old: Option<&[u8]>) -> Option<Bytes> {
        (self.0)(old)
    }
}

impl fmt::Debug for Decide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decide")
    }
}

/// Some keys of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// In the order in which they came into the bucket.
    pub keys: Vec<Bytes>,
    /// Where to go on; none at the end.
    pub next: Option<u64>,
}

/// Of what there would be more than there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Keys of the bucket.
    BucketKeys,
    /// Bytes of the bucket.
    BucketBytes,
    /// Keys of all buckets of the tenant.
    TenantKeys,
    /// Bytes of all buckets of the tenant.
    TenantBytes,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BucketKeys => "keys of the bucket",
            Self::BucketBytes => "bytes of the bucket",
            Self::TenantKeys => "keys of the tenant",
            Self::TenantBytes => "bytes of the tenant",
        })
    }
}
