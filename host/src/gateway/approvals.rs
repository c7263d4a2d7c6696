//! The lock file over time: another one counts as soon as it is whole, and one that is wrong changes nothing.

use crate::catalog::{Lock, LockError};
use crate::config::{Config, Stamp};
use crate::journal::{Event, Journal, Kind};
use std::path::PathBuf;

/// The lock file, as far as it was read.
pub(super) struct LockFile {
    /// None where nobody asks it.
    path: Option<PathBuf>,
    /// As it was before it was read.
    read: Stamp,
    /// As it was at the last look.
    seen: Stamp,
}

impl LockFile {
    /// Of settings whose lock file is not read yet.
    pub(super) fn of(config: &Config) -> Self {
        let path = config.lock_file().map(|named| named.path.to_owned());
        let stamp = path.as_deref().map(Stamp::of).unwrap_or_default();
        Self { path, read: stamp, seen: stamp }
    }

    /// Reads it if it is another one than that which was read, and finished: the same at two looks.
    pub(super) async fn look(&mut self) -> Option<Result<Lock, LockError>> {
        let path = self.path.clone()?;
        // A disk may take its time.
        let (stamp, path) = tokio::task::spawn_blocking(move || (Stamp::of(&path), path)).await.ok()?;
        let quiet = stamp == self.seen;
        self.seen = stamp;
        if !quiet || stamp == self.read {
            return None;
        }
        self.read = stamp;
        let gone = LockError::Unreadable { path: path.clone(), source: std::io::ErrorKind::NotFound.into() };
        let read = tokio::task::spawn_blocking(move || Lock::read(&path)).await.ok()?;
        // Whoever takes it away takes no approval away: that is said in it.
        Some(read.and_then(|lock| lock.ok_or(gone)))
    }
}

/// Tells what is approved now and was not before, and the other way round.
pub(super) fn tell(journal: &Journal, before: &Lock, now: &Lock) {
    let note = |kind, (id, component): (&crate::catalog::PluginId, String)| {
        let event = Event { component: Some(component), ..Event::new(kind).to(&id.to_string()) };
        journal.note(match &id.tenant {
            Some(tenant) => event.of_tenant(tenant.as_str()),
            None => event,
        });
    };
    for (id, approved) in &now.plugins {
        if before.plugins.get(id) != Some(approved) {
            note(Kind::PluginApproved, (id, approved.component.to_string()));
        }
    }
    for (id, approved) in before.plugins.iter().filter(|(id, _)| !now.plugins.contains_key(id)) {
        note(Kind::PluginUnapproved, (id, approved.component.to_string()));
    }
}
