//! Callers by API keys: secrets that `gatehouse token key` made, known to the gateway by their SHA-256 alone.
//!
//! `gh_`, and in base64url 32 random bytes and four of checksum. The prefix is for programs that look for secrets in places where none
//! belong; the checksum lets them, and the gateway, tell a key from a typing error without knowing any key.
//!
//! A slow hash, as passwords need it, would protect nothing: who has the digests would have to try 2^256 keys.

use super::{Owner, Principal, Refusal};
use crate::config::{KEY_ISSUER, KeyConfig};
use crate::tenant::TenantId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What every key begins with; no JWT does, whose first byte is that of a JSON object.
const PREFIX: &str = "gh_";
const SECRET_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
/// Of a digest: enough that no two keys share it.
const INDEX_BYTES: usize = 8;

/// SHA-256 of a key.
pub(super) type Digest = [u8; 32];

/// A key that nobody has seen yet. `Debug` does not show it.
pub struct NewApiKey {
    /// What its owner shows.
    pub text: String,
    /// What the settings say.
    pub hash: String,
}

/// The keys that count.
#[derive(Debug, Default)]
pub(super) struct ApiKeys {
    by_index: HashMap<[u8; INDEX_BYTES], ApiKey>,
}

/// One of them, as the gateway knows it.
#[derive(Debug)]
pub(super) struct ApiKey {
    pub(super) digest: Digest,
    pub(super) principal: Principal,
    pub(super) tenant: TenantId,
    /// In seconds since 1970.
    pub(super) expires_at_s: Option<u64>,
}

impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewApiKey").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl NewApiKey {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// When the system gives no randomness.
    pub fn make() -> Result<Self, getrandom::Error> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&secret[..], &checksum(&secret)].concat()));
        let hash = format!("sha256:{}", HEXLOWER.encode(&digest(&text)));
        Ok(Self { text, hash })
    }
}

impl ApiKeys {
    pub(super) fn new(keys: &[KeyConfig]) -> Self {
        let by_index = keys.iter().map(|key| {
            let scopes = key.scopes.iter().map(|scope| Arc::from(scope.as_str())).collect();
            let principal = Principal { issuer: Some(KEY_ISSUER.into()), subject: Some(key.subject.as_str().into()), scopes };
            (index(&key.digest), ApiKey { digest: key.digest, principal, tenant: key.tenant.clone(), expires_at_s: key.expires_at_s })
        });
        Self { by_index: by_index.collect() }
    }

    /// Whether a bearer token is meant as an API key.
    pub(super) fn is_one(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Who shows this key.
    pub(super) fn find(&self, text: &str, now_s: u64) -> Result<&ApiKey, Refusal> {
        if !is_well_formed(text) {
            return Err(Refusal::KeyShape);
        }
        self.get(&digest(text), now_s)
    }

    /// Whose the key of that digest is.
    pub(super) fn get(&self, digest: &Digest, now_s: u64) -> Result<&ApiKey, Refusal> {
        // Whoever can time this learns how a digest begins, and cannot choose keys by their digests.
        let found = self.by_index.get(&index(digest)).filter(|key| is_equal(&key.digest, digest)).ok_or(Refusal::KeyUnknown)?;
        if found.expires_at_s.is_some_and(|at| now_s >= at) {
            return Err(Refusal::KeyExpired);
        }
        Ok(found)
    }

    /// Whether one of them is that owner's.
    pub(super) fn knows(&self, owner: &Owner) -> bool {
        let of = |key: &ApiKey| (key.principal.issuer.as_deref(), key.principal.subject.as_deref()) == owner.identity();
        self.by_index.values().any(|key| of(key) && key.tenant == *owner.tenant())
    }
}

fn is_well_formed(text: &str) -> bool {
    let bytes = text.strip_prefix(PREFIX).and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok());
    let parts = bytes.as_deref().and_then(|bytes| bytes.split_at_checked(SECRET_BYTES));
    parts.is_some_and(|(secret, sum)| sum == checksum(secret))
}

fn checksum(secret: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    // Not that of the whole text, which the settings have.
    sum.iter_mut().zip(Sha256::digest(secret)).for_each(|(to, from)| *to = from);
    sum
}

pub(super) fn digest(text: &str) -> Digest {
    Sha256::digest(text).into()
}

fn index(digest: &Digest) -> [u8; INDEX_BYTES] {
    let mut index = [0; INDEX_BYTES];
    index.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    index
}

/// In the same time, wherever they differ.
pub(super) fn is_equal(one: &Digest, other: &Digest) -> bool {
    std::hint::black_box(one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b))) == 0
}
