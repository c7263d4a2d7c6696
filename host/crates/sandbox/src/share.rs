//! What guests run on together: turns at the processor, and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// On whose account a guest runs. Cheap to clone: clones are the same share.
#[derive(Debug, Clone, Default)]
pub struct Share {
    /// Guests that compute for long take turns: fairly between shares, whatever the number of guests in each.
    pub turns: fair::Share,
    /// Linear memory of all guests of this share.
    pub memory: Arc<Memory>,
}

/// So much linear memory for several guests together.
#[derive(Debug)]
pub struct Memory {
    used_bytes: AtomicUsize,
    bytes_max: usize,
    /// Counts what this one counts as well.
    above: Option<Arc<Self>>,
}

/// Which memory is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsedUp {
    /// The share's own.
    Own,
    /// The one above it.
    Above,
}

impl Default for Memory {
    /// As much as there is.
    fn default() -> Self {
        Self::new(usize::MAX, None)
    }
}

impl Memory {
    /// So many bytes, which are a part of those of `above`.
    pub fn new(bytes_max: usize, above: Option<Arc<Self>>) -> Self {
        Self { used_bytes: AtomicUsize::new(0), bytes_max, above }
    }

    /// Takes so many bytes, or none.
    pub(crate) fn take(&self, bytes: usize) -> Result<(), UsedUp> {
        self.take_own(bytes).map_err(|()| UsedUp::Own)?;
        match &self.above {
            Some(above) if above.take(bytes).is_err() => {
                self.used_bytes.fetch_sub(bytes, Relaxed);
                Err(UsedUp::Above)
            }
            _ => Ok(()),
        }
    }

    fn take_own(&self, bytes: usize) -> Result<(), ()> {
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.used_bytes.fetch_update(Relaxed, Relaxed, more).map(|_| ()).map_err(|_| ())
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Relaxed);
        if let Some(above) = &self.above {
            above.give_back(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_counts_above_as_well_and_comes_back() {
        let host = Arc::new(Memory::new(100, None));
        let [a, b] = [(); 2].map(|()| Memory::new(80, Some(Arc::clone(&host))));
        assert_eq!(a.take(60), Ok(()));
        assert_eq!(a.take(21), Err(UsedUp::Own));
        assert_eq!(b.take(41), Err(UsedUp::Above));
        let used = || [&a, &b, &*host].map(|memory| memory.used_bytes.load(Relaxed));
        assert_eq!(used(), [60, 0, 60]);
        assert_eq!(b.take(40), Ok(()));
        a.give_back(60);
        assert_eq!(used(), [0, 40, 40]);
        assert_eq!(a.take(usize::MAX), Err(UsedUp::Own));
    }
}
