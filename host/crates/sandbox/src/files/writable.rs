//! A directory that guests write, and how much they may: what is in it, counted while they write.
//!
//! Whoever changes what is in it holds its lock for as long as that takes, looks at what is there before and after, and counts the difference. So
//! calls that write side by side share one count, and none of them is ahead of it.

use super::common::{CommonQuota, Part};
use super::walk::{self, Tally};
use crate::GuestPath;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much a directory may hold, with all that is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuota {
    /// Bytes of all files, by their sizes.
    pub bytes_max: u64,
    /// Files, directories and links.
    pub files_max: u64,
}

/// What of a quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    #[error("the directory may hold no more bytes")]
    Bytes,
    #[error("the directory may hold no more files")]
    Files,
    #[error("this directory and others of the tenant may hold no more bytes together")]
    Common,
}

/// A directory that guests may write, open.
#[derive(Debug)]
pub struct Writable {
    grant: Arc<str>,
    path: GuestPath,
    directory: Arc<File>,
    counted: Mutex<Counted>,
    /// Who changes what is in it waits here first: those that wait hold no threads.
    turn: Arc<Semaphore>,
    /// Never held over anything that waits: files are closed wherever a call ends.
    opens: Mutex<Opens>,
}

/// What is in it.
#[derive(Debug)]
pub(super) struct Counted {
    quota: FileQuota,
    bytes: u64,
    /// The same, in what others share with it.
    part: Part,
    files: u64,
    /// Everything was counted; else nothing may be added.
    is_whole: bool,
}

/// A file, as the library tells one from another.
pub(super) type Key = (u64, u64);

/// Files that guests have open. One that is removed meanwhile takes its room until it is closed.
#[derive(Debug, Default)]
struct Opens {
    files: BTreeMap<Key, Opened>,
    /// Bytes and files that were closed after they had been removed, not counted yet.
    given_back: (u64, u64),
}

#[derive(Debug, Default)]
struct Opened {
    times: usize,
    /// It has no name any more, and that many bytes.
    gone: Option<u64>,
}

impl Writable {
    /// Opens a directory. Until it is [counted](Self::count) nothing can be added to it.
    ///
    /// `grant` and `path` are what refusals say of it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn open(directory: &Path, grant: Arc<str>, path: GuestPath) -> io::Result<Self> {
        let quota = FileQuota { bytes_max: 0, files_max: 0 };
        let counted = Counted { quota, bytes: 0, part: Part::default(), files: 0, is_whole: false };
        let directory = Arc::new(super::open_directory(directory)?);
        Ok(Self { grant, path, directory, counted: Mutex::new(counted), turn: Arc::new(Semaphore::new(1)), opens: Mutex::default() })
    }

    /// What is in it counts among what others hold as well, until it is dropped. Before it is [counted](Self::count).
    #[must_use]
    pub fn sharing(mut self, common: Arc<CommonQuota>) -> Self {
        self.counted.get_mut().part = Part::of(common);
        self
    }

    /// Whether this path leads to it.
    pub fn is_at(&self, directory: &Path) -> bool {
        let (Ok(ours), Ok(theirs)) = (self.directory.metadata(), directory.metadata()) else { return false };
        (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino())
    }

    /// Whether it is what that grant gives as that path.
    pub fn is_of(&self, grant: &str, path: &GuestPath) -> bool {
        *self.grant == *grant && self.path == *path
    }

    /// Counts everything that is in it; this is how much it may hold from now on. Nobody writes meanwhile, so that it takes a thread that may
    /// wait.
    ///
    /// # Errors
    ///
    /// When it cannot be counted. Nothing can be added then, until it is counted again.
    pub fn count(&self, quota: FileQuota) -> Result<(), String> {
        let mut counted = self.counted.lock();
        let walked = walk::walk(&self.directory);
        let mut opens = self.opens.lock();
        opens.given_back = (0, 0);
        let gone = opens.files.values().filter_map(|open| open.gone);
        let (bytes, files) = gone.fold((0_u64, 0_u64), |(bytes, files), gone| (bytes.saturating_add(gone), files + 1));
        let is_whole = walked.is_ok();
        let Tally { bytes: there, files: found } = *walked.as_ref().unwrap_or(&Tally::default());
        (counted.quota, counted.files, counted.is_whole) = (quota, files + found, is_whole);
        counted.hold(bytes.saturating_add(there));
        walked.map(drop)
    }

    /// Nothing is added to it any more, whoever has it open.
    pub fn close(&self) {
        self.counted.lock().is_whole = false;
    }

    /// The right to change what is in it, which is given back on drop.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Counted> {
        let mut counted = self.counted.lock();
        let (bytes, files) = std::mem::take(&mut self.opens.lock().given_back);
        let held = counted.bytes.saturating_sub(bytes);
        counted.hold(held);
        counted.files = counted.files.saturating_sub(files);
        counted
    }

    pub(crate) fn directory(&self) -> &Arc<File> {
        &self.directory
    }

    pub(super) fn grant(&self) -> &str {
        &self.grant
    }

    pub(super) fn path(&self) -> &GuestPath {
        &self.path
    }

    /// A guest has that file open.
    pub(super) fn opened(&self, key: Key) {
        self.opens.lock().files.entry(key).or_default().times += 1;
    }

    /// It has it open once less.
    pub(super) fn closed(&self, key: Key) {
        let mut opens = self.opens.lock();
        let Some(open) = opens.files.get_mut(&key) else { return };
        open.times = open.times.saturating_sub(1);
        if open.times > 0 {
            return;
        }
        if let Some(bytes) = open.gone {
            opens.given_back.0 = opens.given_back.0.saturating_add(bytes);
            opens.given_back.1 += 1;
        }
        opens.files.remove(&key);
    }

    /// A file has another size than before.
    pub(super) fn resized(&self, counted: &mut Counted, key: Key, before: u64, after: u64) {
        counted.hold(counted.bytes.saturating_sub(before).saturating_add(after));
        if let Some(gone) = self.opens.lock().files.get_mut(&key).and_then(|open| open.gone.as_mut()) {
            *gone = after;
        }
    }

    /// The last name of a file is gone.
    pub(super) fn removed(&self, counted: &mut Counted, key: Key, bytes: u64) {
        match self.opens.lock().files.get_mut(&key) {
            Some(open) => open.gone = Some(bytes),
            None => {
                counted.hold(counted.bytes.saturating_sub(bytes));
                counted.gone();
            }
        }
    }
}

impl Counted {
    /// Takes room for what is about to be added.
    pub(super) fn room_for_bytes(&mut self, more: u64) -> Result<(), Exceeded> {
        let fits = self.is_whole && self.bytes.checked_add(more).is_some_and(|sum| sum <= self.quota.bytes_max);
        match (more, fits) {
            (0, _) => Ok(()),
            (_, false) => Err(Exceeded::Bytes),
            (_, true) if self.part.take(more) => Ok(()),
            (_, true) => Err(Exceeded::Common),
        }
    }

    fn hold(&mut self, bytes: u64) {
        self.bytes = bytes;
        self.part.set(bytes);
    }

    pub(super) fn room_for_file(&self) -> Result<(), Exceeded> {
        if self.is_whole && self.files < self.quota.files_max { Ok(()) } else { Err(Exceeded::Files) }
    }

    /// One name more.
    pub(super) fn made(&mut self) {
        self.files = self.files.saturating_add(1);
    }

    /// One name less.
    pub(super) fn gone(&mut self) {
        self.files = self.files.saturating_sub(1);
    }
}
