//! What guests of one call may not do with files, told to the operator.

use crate::config::TenantId;
use crate::journal::{Event, Journal, Kind, Source};
use crate::metrics;
use sandbox::{Digest, FileRefusal, FileRefusals};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Refusals of one call that have lines of their own. What a call tries beyond is counted.
const TOLD_MAX: u32 = 64;

/// The call that they are of.
pub(super) struct Refusals {
    pub(super) journal: Arc<Journal>,
    pub(super) tenant: TenantId,
    pub(super) principal: Option<String>,
    pub(super) server: Option<String>,
    pub(super) plugin: Arc<str>,
    pub(super) component: Digest,
    /// So many so far.
    pub(super) told: AtomicU32,
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusals").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl FileRefusals for Refusals {
    fn refused(&self, FileRefusal { grant, path, word }: FileRefusal<'_>) {
        metrics::FILES_DENIED.count(word);
        if self.told.fetch_add(1, Relaxed) >= TOLD_MAX {
            return;
        }
        let source = Source::Tenant(self.tenant.clone());
        self.journal.note_often(Kind::FilesDenied, &source, word, |event| {
            let Self { principal, server, component, .. } = self;
            let event = Event { principal: principal.clone(), server: server.clone(), component: Some(component.to_string()), ..event };
            event.to(&format!("{} {grant} {path}", self.plugin))
        });
    }
}
