//! The keys of one issuer, and the one of them that a token's header names.

use crate::algorithm::Algorithm;
use crate::key::Key;
use crate::limits::KEYS_MAX;
use crate::refused::Refused;
use std::collections::BTreeSet;
use std::sync::Arc;
use thiserror::Error;

/// The keys of one issuer; cheap to copy, and never changed: a rotation makes another set. Without keys, it verifies nothing.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Arc<[Key]>,
}

/// Why keys are no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum KeySetFault {
    /// More than [`KEYS_MAX`].
    #[error("the set has more than {KEYS_MAX} keys")]
    TooMany,
    /// Two keys have one `kid`.
    #[error("two keys of the set have the same kid")]
    KidTwice,
}

impl KeySet {
    /// These keys.
    ///
    /// # Errors
    ///
    /// See [`KeySetFault`].
    pub fn new(keys: Vec<Key>) -> Result<KeySet, KeySetFault> {
        if keys.len() > KEYS_MAX {
            return Err(KeySetFault::TooMany);
        }
        let mut kids = BTreeSet::new();
        if keys.iter().filter_map(Key::kid).any(|kid| !kids.insert(kid)) {
            return Err(KeySetFault::KidTwice);
        }
        Ok(KeySet { keys: keys.into() })
    }

    /// All of them.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key for a header. `kid` is compared byte for byte (RFC 7515, 4.1.4), and with nothing but the names that are in the set.
    ///
    /// A key without a name is found by a header without one only; and a header without one finds a key only if there is one alone for its
    /// algorithm: trying several would let a caller choose.
    pub(crate) fn of_header(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Refused> {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|key| key.algorithm() == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Ok(key),
                (None, _) => Err(Refused::Algorithm),
                (Some(_), Some(_)) => Err(Refused::KidMissing),
            };
        };
        let key = self.keys.iter().find(|key| key.kid() == Some(kid)).ok_or(Refused::KidUnknown)?;
        if key.algorithm() == algorithm { Ok(key) } else { Err(Refused::Algorithm) }
    }
}
