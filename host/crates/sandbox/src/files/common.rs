//! What several directories may hold together: those that one tenant's guests write, and nobody keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A bound that directories share. Whoever adds something takes it from here first, so that together they are never beyond it.
#[derive(Debug)]
pub struct CommonQuota {
    bytes_max: u64,
    bytes: AtomicU64,
}

impl CommonQuota {
    /// So many bytes of all files, by their sizes.
    pub fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: AtomicU64::new(0) }
    }

    fn take(&self, more: u64) -> bool {
        let fits = |held: u64| held.checked_add(more).filter(|sum| *sum <= self.bytes_max);
        self.bytes.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }
}

/// The part of one directory in it, given back on drop.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// None: it shares with nobody.
    of: Option<Arc<CommonQuota>>,
    bytes: u64,
}

impl Part {
    pub(super) fn of(common: Arc<CommonQuota>) -> Self {
        Self { of: Some(common), bytes: 0 }
    }

    /// Takes room for something that is about to be added.
    pub(super) fn take(&mut self, more: u64) -> bool {
        let taken = self.of.as_ref().is_none_or(|of| of.take(more));
        if taken {
            self.bytes = self.bytes.saturating_add(more);
        }
        taken
    }

    /// What was added or taken away has become that much in all.
    pub(super) fn set(&mut self, bytes: u64) {
        if let Some(of) = &self.of {
            // What is there is there, even where it is more than was asked for.
            match bytes.checked_sub(self.bytes) {
                Some(more) => of.bytes.fetch_add(more, Relaxed),
                None => of.bytes.fetch_sub(self.bytes.saturating_sub(bytes), Relaxed),
            };
        }
        self.bytes = bytes;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_never_more_than_the_whole_and_are_given_back() {
        let common = Arc::new(CommonQuota::new(10));
        let held = || common.bytes.load(Relaxed);
        let (mut one, mut other) = (Part::of(Arc::clone(&common)), Part::of(Arc::clone(&common)));
        assert!(one.take(6) && !other.take(5) && other.take(4) && !one.take(1) && one.take(0));
        assert_eq!(held(), 10);
        // Less was written than was taken, or nothing.
        one.set(3);
        assert_eq!(held(), 7);
        assert!(!other.take(u64::MAX) && other.take(3));
        other.set(2);
        assert_eq!(held(), 5);
        drop(one);
        assert_eq!(held(), 2);
        drop(other);
        assert_eq!(held(), 0);
        let mut alone = Part::default();
        assert!(alone.take(u64::MAX));
    }
}
