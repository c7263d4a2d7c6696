//! What stands under keys of buckets: three entries for each key, which are written and taken away together.

use super::super::layout::{self, BucketHead, Damage, Placed};
use super::super::read;
use super::{Fault, Plan};
use crate::limits::{self, CLEARED_MAX};
use crate::{Bucket, Change, Decide, Filled};
use bytes::Bytes;

impl Plan<'_> {
    pub(in super::super) fn change(&mut self, bucket: &Bucket, changes: Vec<Change>, limits: Filled) -> Result<(), Fault> {
        let last = limits::last(changes, self.settings.event_bytes_max)?;
        let old = read::bucket(self.tree, bucket)?;
        let mut new = old;
        // All of it is worked out before anything is written: it may be too much.
        let mut found = Vec::with_capacity(last.len());
        for (key, value) in last {
            let placed = read::placed(self.tree, bucket, &key)?;
            if let Some(placed) = placed {
                new.filled = less(new.filled, &key, placed);
            }
            if let Some(value) = &value {
                let cost = limits::entry_cost(key.len(), value.len());
                new.filled = Filled { keys: new.filled.keys + 1, bytes: new.filled.bytes + cost };
            }
            found.push((key, value, placed));
        }
        let of_tenant = self.memo.buckets.get(bucket.tenant()).copied().unwrap_or_default();
        limits::check_bucket((old.filled, new.filled), limits, of_tenant, self.settings)?;
        if new.filled.bytes > old.filled.bytes {
            self.make_room(bucket.tenant(), new.filled.bytes - old.filled.bytes)?;
        }
        for (key, value, placed) in found {
            // The new value may have fewer parts.
            if let Some(placed) = placed {
                self.remove_value(bucket, placed);
            }
            match (value, placed) {
                (Some(value), placed) => {
                    let place = placed.map_or(new.last + 1, |placed| placed.place);
                    new.last = new.last.max(place);
                    let placed = Placed { place, bytes: value.len() as u64 };
                    self.put_sealed(layout::key(bucket, &key), &placed.write());
                    self.put_sealed(layout::place(layout::PLACE, bucket, place), &key);
                    self.put_parts(&layout::place(layout::VALUE, bucket, place), &[], &value);
                }
                (None, Some(placed)) => self.remove_key(bucket, &key, placed),
                (None, None) => {}
            }
        }
        self.put_bucket(bucket, old, Some(new));
        Ok(())
    }

    pub(in super::super) fn decide(&mut self, bucket: &Bucket, key: Bytes, decide: Decide, limits: Filled) -> Result<Option<Bytes>, Fault> {
        let old = read::placed(self.tree, bucket, &key)?.map(|placed| read::value(self.tree, bucket, placed)).transpose()?;
        let Some(value) = decide.decide(old.as_deref()) else { return Ok(old) };
        self.change(bucket, vec![Change::Set(key, value.clone())], limits)?;
        Ok(Some(value))
    }

    /// Whether there is more to clear.
    pub(in super::super) fn clear(&mut self, bucket: &Bucket) -> Result<bool, Fault> {
        let old = read::bucket(self.tree, bucket)?;
        let (mut new, mut more) = (old, false);
        for (count, found) in read::places(self.tree, bucket, 0).enumerate() {
            let (_, key) = found?;
            if count == CLEARED_MAX {
                more = true;
                break;
            }
            let placed = read::placed(self.tree, bucket, &key)?.ok_or(Damage)?;
            self.remove_value(bucket, placed);
            self.remove_key(bucket, &key, placed);
            new.filled = less(new.filled, &key, placed);
        }
        self.put_bucket(bucket, old, more.then_some(new));
        Ok(more)
    }

    /// Writes how full a bucket is now, or that there is none any more, and counts the difference.
    fn put_bucket(&mut self, bucket: &Bucket, old: BucketHead, new: Option<BucketHead>) {
        let key = layout::bucket(layout::BUCKET, bucket);
        match new {
            Some(new) => self.put_sealed(key, &new.write()),
            None => self.tree.remove(key),
        }
        let (old, new) = (old.filled, new.unwrap_or_default().filled);
        let sum = self.memo.buckets.entry(bucket.tenant().clone()).or_default();
        *sum = Filled {
            keys: sum.keys.saturating_add(new.keys).saturating_sub(old.keys),
            bytes: sum.bytes.saturating_add(new.bytes).saturating_sub(old.bytes),
        };
        self.add(bucket.tenant(), new.bytes);
        self.subtract(bucket.tenant(), old.bytes);
    }

    fn remove_key(&mut self, bucket: &Bucket, key: &[u8], placed: Placed) {
        self.tree.remove(layout::key(bucket, key));
        self.tree.remove(layout::place(layout::PLACE, bucket, placed.place));
    }

    fn remove_value(&mut self, bucket: &Bucket, placed: Placed) {
        let prefix = layout::place(layout::VALUE, bucket, placed.place);
        for number in 0..layout::parts(placed.value_bytes()) {
            self.tree.remove(layout::part(&prefix, number));
        }
    }
}

/// Without that key.
fn less(filled: Filled, key: &[u8], placed: Placed) -> Filled {
    let cost = limits::entry_cost(key.len(), placed.value_bytes());
    Filled { keys: filled.keys.saturating_sub(1), bytes: filled.bytes.saturating_sub(cost) }
}
