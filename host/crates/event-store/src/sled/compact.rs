//! Writing a database anew: sled's files grow with what was overwritten, and only a fresh one is as small as what it holds.

use super::open::{Lock, open_database, read_format, recover};
use super::plan::Fault;
use crate::{Compacted, OpenError, Settings};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::path::Path;

/// Entries that are copied between two words of progress.
const BATCH: usize = 1_000;

/// See [`compact`](crate::compact).
pub(crate) fn compact(directory: &Path, settings: &Settings, progress: &mut dyn FnMut(u64)) -> Result<Compacted, OpenError> {
    let unusable = |reason: String| OpenError::Unusable { path: directory.to_owned(), reason };
    let (old, new) = (directory.join("sled"), directory.join("sled.new"));
    if !old.is_dir() || read_format(directory)?.is_none() {
        return Err(OpenError::Missing { path: directory.to_owned() });
    }
    let _lock = Lock::take(directory)?;
    // What an earlier attempt left.
    if new.exists() {
        fs::remove_dir_all(&new).map_err(|error| unusable(error.to_string()))?;
    }
    let copied = (|| {
        let (from, to) = (open_database(&old, settings)?, open_database(&new, settings)?);
        // Whatever happens now, it stays in its log until the copy takes the place of both.
        recover(&old, &from)?;
        let (mut batch, mut entries, mut waiting) = (sled::Batch::default(), 0, 0);
        for entry in from.iter() {
            let (key, value) = entry?;
            batch.insert(key, value);
            (entries, waiting) = (entries + 1, waiting + 1);
            if waiting == BATCH {
                to.apply_batch(std::mem::take(&mut batch))?;
                waiting = 0;
                progress(entries);
            }
        }
        to.apply_batch(batch)?;
        to.flush()?;
        let bytes_before = from.size_on_disk()?;
        Ok((entries, bytes_before))
    })();
    let (entries, bytes_before) = copied.map_err(|fault: Fault| match fault {
        Fault::Damaged(reason) => OpenError::Damaged { path: directory.to_owned(), reason },
        Fault::Disk(reason) => unusable(reason),
        Fault::Refused(error) => unusable(error.to_string()),
    })?;
    let bytes_after = (|| {
        // Opened once more: what counts is what is on the disk.
        let to = open_database(&new, settings).map_err(|fault| std::io::Error::other(format!("{fault:?}")))?;
        if to.len() as u64 != entries {
            return Err(std::io::Error::other("the copy is not whole"));
        }
        let bytes = to.size_on_disk().map_err(std::io::Error::other)?;
        drop(to);
        for path in [new.join("db"), new.clone()] {
            File::open(path)?.sync_all()?;
        }
        renameat_with(CWD, &new, CWD, &old, RenameFlags::EXCHANGE)?;
        File::open(directory)?.sync_all()?;
        fs::remove_dir_all(&new)?;
        Ok(bytes)
    })()
    .map_err(|error: std::io::Error| unusable(error.to_string()))?;
    progress(entries);
    Ok(Compacted { entries, bytes_before, bytes_after })
}
