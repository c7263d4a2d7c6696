//! The tree, and what was put into it so lately that sled does not have it yet: read as if it were one.
//!
//! Changes lie in memory, those of now and those that are on their way to sled, as they lie in the redo log's two files. A key's newest change
//! counts; where there is none, what sled has.

use super::redo::Record;
use parking_lot::RwLock;
use sled::IVec;
use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// What stands under a key now, or nothing.
type Changes = BTreeMap<Vec<u8>, Option<IVec>>;
type Entry = Result<(IVec, IVec), sled::Error>;

#[derive(Debug, Default)]
struct Recent {
    /// Since the redo log's turn began.
    fresh: Changes,
    /// Of the turn before, as far as sled does not have it.
    leaving: Changes,
    /// What was put and taken away since the last [`Table::record`].
    record: Record,
}

impl Recent {
    fn change(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.record.push(&key, value.as_deref());
        self.fresh.insert(key, value.map(IVec::from));
    }

    fn get(&self, key: &[u8]) -> Option<&Option<IVec>> {
        self.fresh.get(key).or_else(|| self.leaving.get(key))
    }

    /// The first change in a range.
    fn first(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<(&Vec<u8>, &Option<IVec>)> {
        // The map panics at what sled takes for empty.
        if let (Bound::Included(from), Bound::Included(to)) = (from, to) {
            if from > to {
                return None;
            }
        } else if let (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) = (from, to)
            && from >= to
        {
            return None;
        }
        let [fresh, leaving] = [&self.fresh, &self.leaving].map(|changes| changes.range::<[u8], _>((from, to)).next());
        match (fresh, leaving) {
            (Some(fresh), Some(leaving)) => Some(if fresh.0 <= leaving.0 { fresh } else { leaving }),
            (fresh, leaving) => fresh.or(leaving),
        }
    }
}

/// One writer, who keeps readers out while it puts and takes away, and while it makes sled's what was lately only here.
#[derive(Debug)]
pub(super) struct Table {
    tree: sled::Db,
    recent: Arc<RwLock<Recent>>,
}

impl Table {
    pub(super) fn new(tree: sled::Db) -> Self {
        Self { tree, recent: Arc::default() }
    }

    /// As far as sled has it.
    pub(super) fn tree(&self) -> &sled::Db {
        &self.tree
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<IVec>, sled::Error> {
        match self.recent.read().get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.tree.get(key),
        }
    }

    pub(super) fn contains_key(&self, key: &[u8]) -> Result<bool, sled::Error> {
        Ok(self.get(key)?.is_some())
    }

    /// In order of the keys. What is put or taken away meanwhile is seen where it is not passed yet.
    pub(super) fn range(&self, keys: impl RangeBounds<Vec<u8>>) -> Entries {
        let (from, to) = (keys.start_bound().cloned(), keys.end_bound().cloned());
        let tree = self.tree.range::<Vec<u8>, _>((from.clone(), to.clone()));
        Entries { recent: Arc::clone(&self.recent), tree, of_tree: None, from, to }
    }

    pub(super) fn scan_prefix(&self, prefix: impl Into<Vec<u8>>) -> Entries {
        let prefix = prefix.into();
        let mut behind = prefix.clone();
        // The smallest that does not begin with it: its last byte that can grow grows, what follows falls away.
        while behind.pop_if(|byte| *byte == u8::MAX).is_some() {}
        let to = match behind.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(behind)
            }
            None => Bound::Unbounded,
        };
        self.range((Bound::Included(prefix), to))
    }

    pub(super) fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        self.recent.write().change(key, Some(value));
    }

    pub(super) fn remove(&self, key: Vec<u8>) {
        self.recent.write().change(key, None);
    }

    /// What was put and taken away since this was last asked, to be kept; whoever keeps it empties it.
    pub(super) fn record<T>(&self, keep: impl FnOnce(&mut Record) -> T) -> T {
        keep(&mut self.recent.write().record)
    }

    /// Changes that are not on their way to sled.
    pub(super) fn fresh(&self) -> usize {
        self.recent.read().fresh.len()
    }

    /// Changes that are on their way.
    pub(super) fn leaving(&self) -> usize {
        self.recent.read().leaving.len()
    }

    /// All that was changed up to now begins to leave; what left before must have left.
    pub(super) fn leave(&self) {
        let recent = &mut *self.recent.write();
        debug_assert!(recent.leaving.is_empty(), "changes would be lost");
        std::mem::swap(&mut recent.fresh, &mut recent.leaving);
    }

    /// Gives sled the first of what is on its way, at most so much of it, which it has to sync. For [`Table::left`], the last key of them.
    ///
    /// One by one, because the redo log has all of it until then: a batch of sled's would be atomic, and in no order, where neighbours find their page
    /// at hand.
    pub(super) fn move_some(&self, changes_max: usize, bytes_max: usize) -> Result<Option<Vec<u8>>, sled::Error> {
        let (mut last, mut bytes) = (None, 0);
        for (key, value) in self.recent.read().leaving.iter().take(changes_max) {
            match value {
                Some(value) => self.tree.insert(key, value.clone())?,
                None => self.tree.remove(key)?,
            };
            bytes += key.len() + value.as_ref().map_or(0, |value| value.len());
            last = Some(key.clone());
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(last)
    }

    /// Sled has everything up to that key. No reader may be between two entries now: it would see neither of both.
    pub(super) fn left(&self, last: &[u8]) {
        let recent = &mut *self.recent.write();
        recent.leaving = recent.leaving.split_off(last);
        recent.leaving.remove(last);
    }
}

/// Entries of both.
pub(super) struct Entries {
    recent: Arc<RwLock<Recent>>,
    tree: sled::Iter,
    /// The next one of sled's, if it was looked at.
    of_tree: Option<(IVec, IVec)>,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
}

impl Entries {
    pub(super) fn keys(self) -> impl Iterator<Item = Result<IVec, sled::Error>> {
        self.map(|entry| Ok(entry?.0))
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            if self.of_tree.is_none() {
                match self.tree.next() {
                    Some(Ok(entry)) => self.of_tree = Some(entry),
                    Some(Err(error)) => return Some(Err(error)),
                    None => {}
                }
            }
            let recent = self.recent.read();
            let changed = recent.first(self.from.as_ref().map(Vec::as_slice), self.to.as_ref().map(Vec::as_slice));
            let Some((key, value)) =
                changed.filter(|(key, _)| self.of_tree.as_ref().is_none_or(|(of_tree, _)| of_tree.as_ref() >= key.as_slice()))
            else {
                let (key, value) = self.of_tree.take()?;
                self.from = Bound::Excluded(key.to_vec());
                return Some(Ok((key, value)));
            };
            // What sled has under it is older.
            self.of_tree.take_if(|(of_tree, _)| of_tree.as_ref() == key.as_slice());
            let next = value.clone().map(|value| (IVec::from(key.as_slice()), value));
            self.from = Bound::Excluded(key.clone());
            if let Some(next) = next {
                return Some(Ok(next));
            }
        }
    }
}

#[cfg(test)]
mod tests;
