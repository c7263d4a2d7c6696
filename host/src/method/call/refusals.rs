//! What guests of one call may not do with files, told to the operator.

use crate::journal::{Journal, Kind, OfGuest};
use crate::metrics;
use sandbox::{FileRefusal, FileRefusals};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Refusals of one call that have lines of their own. What a call tries beyond is counted.
const TOLD_MAX: u32 = 64;

/// The call that they are of.
pub(super) struct Refusals {
    pub(super) journal: Arc<Journal>,
    pub(super) guest: OfGuest,
    /// So many so far.
    pub(super) told: AtomicU32,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").field("guest", &self.guest).finish_non_exhaustive()
    }
}

impl FileRefusals for Refusals {
    fn refused(&self, FileRefusal { grant, path, word }: FileRefusal<'_>) {
        metrics::FILES_DENIED.count(word);
        if self.told.fetch_add(1, Relaxed) >= TOLD_MAX {
            return;
        }
        self.guest.note_refusal(&self.journal, Kind::FilesDenied, word, Some(format_args!("{grant} {path}")));
    }
}
