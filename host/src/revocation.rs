//! The kill switch: what an operator has revoked. Asked wherever a caller comes in and wherever a guest is to run; what runs already is
//! stopped.
//!
//! What is revoked counts from one request to the next, and is kept in a file: a killed gateway comes back with it. Where nothing is revoked,
//! asking costs one load and one comparison.

mod file;
mod running;
mod set;
mod target;
#[cfg(test)]
mod tests;

pub use file::{FILE, FileError};
pub use running::{Running, Stopping, Work};
pub use set::{Revocation, Set, now_ms};
pub use target::{Target, What, Who};

use arc_swap::{ArcSwap, Guard};
use parking_lot::Mutex;
use running::AtWork;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an operator asks of a running gateway, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Revokes.
    Revoke(Revocation),
    /// Takes that back.
    Restore(Target),
    /// Tells what is revoked.
    List {},
}

/// Something is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked;

/// All that is revoked, and the calls that it can stop.
#[derive(Debug)]
pub struct Revocations {
    set: ArcSwap<Set>,
    at_work: Arc<AtWork>,
    /// None: nothing is kept.
    directory: Option<PathBuf>,
    /// Held for as long as this is: nobody else changes the file meanwhile.
    _lock: Option<File>,
    /// The file is written by one after the other; nobody waits for it to be heard.
    writing: Mutex<()>,
}

impl Revocations {
    /// Those of a directory, for whoever may change them: one process at a time. Without a place to write to they are what the file says,
    /// and changes are not kept.
    ///
    /// # Errors
    ///
    /// When another process has them, or the file cannot be read: not to know what is revoked is no reason to let everybody in.
    pub fn open(directory: &Path) -> Result<Self, FileError> {
        let lock = match file::lock(directory) {
            Ok(lock) => Some(lock.ok_or_else(|| FileError::Locked(directory.to_owned()))?),
            Err(error) => {
                tracing::warn!(%error, path = %directory.display(), "what is revoked cannot be kept: it will end with this process");
                None
            }
        };
        Ok(Self { _lock: lock, directory: Some(directory.to_owned()), ..Self::look(directory)? })
    }

    /// Those of a directory, to be looked at.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn look(directory: &Path) -> Result<Self, FileError> {
        let mut all = file::read(directory)?;
        let now = now_ms();
        all.retain(|revocation| !revocation.is_over(now));
        Ok(Self { set: ArcSwap::from_pointee(Set::new(all)), ..Self::none() })
    }

    /// Nothing is revoked.
    pub fn none() -> Self {
        Self { set: ArcSwap::default(), at_work: Arc::default(), directory: None, _lock: None, writing: Mutex::default() }
    }

    /// What is revoked now.
    pub fn now(&self) -> Guard<Arc<Set>> {
        self.set.load()
    }

    /// Takes a place among what runs, where a later revocation finds it.
    ///
    /// # Errors
    ///
    /// When the caller, or what it wants to use, is revoked: it may have been allowed a moment ago.
    pub fn enter(&self, work: Work) -> Result<Running, Revoked> {
        let (number, running) = self.at_work.enter(work);
        // In this order: whoever revokes changes the set first and looks at what runs then, so that one of the two sees the other.
        let now = self.now();
        let is_revoked = !now.all().is_empty() && self.at_work.is_any(number, |work| now.covers(work));
        if is_revoked { Err(Revoked) } else { Ok(running) }
    }

    /// Revokes from now on, and stops what runs. One of the same target is replaced. It is not kept yet.
    ///
    /// # Errors
    ///
    /// When its texts are too long, or there are as many as there may be.
    pub fn revoke(&self, revocation: Revocation) -> Result<Stopping, String> {
        if !revocation.is_sound() {
            return Err("a name is empty, or a name or the reason is too long".to_owned());
        }
        if self.now().all().len() >= set::COUNT_MAX {
            return Err(format!("as many as {} are revoked already", set::COUNT_MAX));
        }
        let target = revocation.target.clone();
        self.change(|all| {
            all.retain(|other| other.target != target);
            all.push(revocation.clone());
        });
        Ok(self.at_work.stop(&target))
    }

    /// Takes one back, once that is kept; none if there is none. Blocks.
    ///
    /// # Errors
    ///
    /// When it cannot be kept: then it stays.
    pub fn restore(&self, target: &Target) -> io::Result<Option<Revocation>> {
        let _one = self.writing.lock();
        let mut rest = self.now().all().to_vec();
        let Some(at) = rest.iter().position(|revocation| revocation.target == *target) else { return Ok(None) };
        let restored = rest.remove(at);
        self.write(&rest)?;
        self.change(|all| all.retain(|other| other.target != *target));
        Ok(Some(restored))
    }

    /// Takes those back whose time has passed. The file needs no change for that: whoever reads it looks at the time as well.
    pub fn restore_what_is_over(&self) -> Vec<Revocation> {
        let now = now_ms();
        let over: Vec<_> = self.now().all().iter().filter(|revocation| revocation.is_over(now)).cloned().collect();
        if !over.is_empty() {
            self.change(|all| all.retain(|revocation| !over.contains(revocation)));
        }
        over
    }

    /// Writes what is revoked to the disk. Blocks.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn keep(&self) -> io::Result<()> {
        let _one = self.writing.lock();
        self.write(self.now().all())
    }

    fn change(&self, change: impl Fn(&mut Vec<Revocation>)) {
        self.set.rcu(|set| {
            let mut all = set.all().to_vec();
            change(&mut all);
            Set::new(all)
        });
    }

    fn write(&self, all: &[Revocation]) -> io::Result<()> {
        self.directory.as_deref().map_or(Ok(()), |directory| file::write(directory, all))
    }
}
