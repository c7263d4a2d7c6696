//! What each operation changes: worked out against what is there and what the group has changed already.
//!
//! If that then cannot be made durable, all of it is forgotten together with the open database.

mod entries;
mod live;

use super::layout::{self, CHUNK_BYTES, Damage, Head, Target};
use super::read;
use super::table::Table;
use crate::limits::{self, SWEEP_MAX};
use crate::{Filled, Kind, NewEvent, Partition, Record, Settings, StoreError, StoreTime, StreamKey, Swept, TenantKey};
use live::Live;
use std::collections::{HashMap, HashSet};

/// Streams that are remembered between groups; all are forgotten when there are more.
const LIVE_STREAMS_MAX: usize = 50_000;
/// Keys that one operation takes away at once of what was removed. The rest follows group by group, so that nobody waits for it.
const BURIED_AT_ONCE: usize = 500;
/// Keys that one sweep takes away.
const SWEPT_AT_ONCE: usize = 2_000;

/// Why an operation is not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// Its caller is told.
    Refused(StoreError),
    /// The disk refuses.
    Disk(String),
    /// What is stored makes no sense.
    Damaged(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Damage> for Fault {
    fn from(Damage: Damage) -> Self {
        Self::Damaged("a record does not fit its checksum, its key or its length".to_owned())
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        use std::io::ErrorKind;
        match &error {
            // sled's own words about bytes that make no sense come as these kinds; all others are the system's.
            sled::Error::Io(io)
                if !matches!(io.kind(), ErrorKind::Other | ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof) =>
            {
                Self::Disk(io.to_string())
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}

/// A stream that is written to.
/// What the committer remembers of the database.
#[derive(Debug, Default)]
pub(super) struct Memo {
    streams: HashMap<StreamKey, Live>,
    pub(super) usage: HashMap<TenantKey, u64>,
    pub(super) total: u64,
    /// What all buckets of a tenant hold.
    buckets: HashMap<TenantKey, Filled>,
    /// Tenants of whom nothing can be evicted.
    full: HashSet<TenantKey>,
    newest: StoreTime,
}

impl Memo {
    /// What tenants keep, read when the database is opened.
    pub(super) fn load(tree: &Table) -> Result<Self, Fault> {
        let mut memo = Self::default();
        for usage in read::usages(tree) {
            let (tenant, bytes) = usage?;
            memo.usage.insert(tenant, bytes);
            memo.total = memo.total.saturating_add(bytes);
        }
        for bucket in read::buckets(tree) {
            let (bucket, filled) = bucket?;
            let sum = memo.buckets.entry(bucket.tenant().clone()).or_default();
            *sum = Filled { keys: sum.keys.saturating_add(filled.keys), bytes: sum.bytes.saturating_add(filled.bytes) };
        }
        Ok(memo)
    }

    /// Between groups.
    pub(super) fn trim(&mut self) {
        if self.streams.len() > LIVE_STREAMS_MAX {
            self.streams.clear();
        }
    }
}

/// Partitions that were removed while their streams are still being taken away.
pub(super) fn doomed(tree: &Table) -> Result<HashSet<Partition>, Fault> {
    tree.scan_prefix([layout::DOOMED]).keys().map(|key| Ok(layout::read_doomed_key(&key?)?)).collect()
}

/// One group of operations.
pub(super) struct Plan<'g> {
    tree: &'g Table,
    memo: &'g mut Memo,
    doomed: &'g mut HashSet<Partition>,
    settings: &'g Settings,
    now: StoreTime,
    /// Tenants whose usage is to be written.
    touched: HashSet<TenantKey>,
}

impl<'g> Plan<'g> {
    pub(super) fn new(
        tree: &'g Table,
        memo: &'g mut Memo,
        doomed: &'g mut HashSet<Partition>,
        settings: &'g Settings,
        now: StoreTime,
    ) -> Self {
        Self { tree, memo, doomed, settings, now, touched: HashSet::new() }
    }

    pub(super) fn open(&mut self, key: &StreamKey, about: &[u8], said: &[NewEvent]) -> Result<(), Fault> {
        let cost = limits::opening_cost(about.len(), said, self.settings.event_bytes_max)?;
        if self.find(key)? {
            let head = &self.live(key)?.head;
            let same = head.about == about && limits::is_at_end_of(said, head.last, head.last_sum);
            return if same { Ok(()) } else { Err(StoreError::Conflict { last: head.last }.into()) };
        }
        if !self.tree.contains_key(&layout::part(&layout::record(&key.partition), 0))? {
            return Err(StoreError::Unknown.into());
        }
        let tenant = &key.partition.tenant;
        self.make_room(tenant, cost)?;
        self.add(tenant, cost);
        let created = self.now.max(StoreTime(self.memo.newest.0 + 1));
        self.memo.newest = created;
        let mut live = Live::new(created, about);
        said.iter().for_each(|event| live.push(event, self.now));
        // What does not stay is not written.
        let (freed, pushed_out) = live.shrink(live.surplus(self.settings));
        self.subtract(tenant, freed);
        let kept = said.get(pushed_out.len()..).unwrap_or_default();
        if !live.take_in(kept) {
            kept.iter().for_each(|event| self.put_event(key, event));
        }
        self.put_sealed(layout::age(created, key), &[]);
        self.put_expiry(key, &live.head);
        self.put_head(key, live);
        Ok(())
    }

    pub(super) fn append(&mut self, key: &StreamKey, event: &NewEvent) -> Result<(), Fault> {
        limits::check(event.data.len(), self.settings.event_bytes_max)?;
        if !self.find(key)? {
            return Err(StoreError::Unknown.into());
        }
        let (tenant, cost) = (&key.partition.tenant, limits::event_cost(event.data.len()));
        let head = &self.live(key)?.head;
        if event.seq <= head.last || head.expires.is_some() {
            let again = limits::is_at_end_of(std::slice::from_ref(event), head.last, head.last_sum);
            return if again { Ok(()) } else { Err(StoreError::Conflict { last: head.last }.into()) };
        }
        self.make_room(tenant, cost)?;
        self.put_event(key, event);
        // Making room may have taken something of it.
        let mut live = self.take_live(key)?;
        live.push(event, self.now);
        self.add(tenant, cost);
        let surplus = live.surplus(self.settings);
        self.evict(key, &mut live, surplus);
        self.put_expiry(key, &live.head);
        self.put_head(key, live);
        Ok(())
    }

    pub(super) fn put(&mut self, partition: &Partition, record: &Record) -> Result<(), Fault> {
        limits::check(record.data.len(), self.settings.event_bytes_max)?;
        if self.doomed.contains(partition) {
            return Err(StoreError::Unknown.into());
        }
        let old = read::record(self.tree, partition)?;
        let old_cost = old.as_ref().map_or(0, |old| limits::record_cost(old.data.len()));
        let cost = limits::record_cost(record.data.len());
        if cost > old_cost {
            self.make_room(&partition.tenant, cost - old_cost)?;
        }
        if let Some(old) = &old {
            self.delete_record(partition, old);
        }
        self.put_parts(&layout::record(partition), &record.expires.0.to_be_bytes(), &record.data);
        self.put_sealed(layout::expiry(record.expires, &Target::Partition(partition.clone())), &[]);
        self.add(&partition.tenant, cost);
        self.subtract(&partition.tenant, old_cost);
        Ok(())
    }

    pub(super) fn remove(&mut self, partition: &Partition) -> Result<(), Fault> {
        self.take_away(partition).map(|_| ())
    }

    /// As `remove`; how many keys that were so far.
    fn take_away(&mut self, partition: &Partition) -> Result<usize, Fault> {
        if let Some(record) = read::record(self.tree, partition)? {
            self.delete_record(partition, &record);
            self.subtract(&partition.tenant, limits::record_cost(record.data.len()));
        }
        let (keys, all) = self.bury(partition)?;
        if !all && self.doomed.insert(partition.clone()) {
            self.put_sealed(layout::partition(layout::DOOMED, partition), &[]);
        }
        Ok(keys)
    }

    /// Goes on with what was removed. Whether there is more to do.
    pub(super) fn go_on_burying(&mut self) -> Result<bool, Fault> {
        if let Some(partition) = self.doomed.iter().next().cloned()
            && self.bury(&partition)?.1
        {
            self.tree.remove(layout::partition(layout::DOOMED, &partition));
            self.doomed.remove(&partition);
        }
        Ok(!self.doomed.is_empty())
    }

    /// Takes some of a partition's streams away: how many keys, and whether that was all.
    fn bury(&mut self, partition: &Partition) -> Result<(usize, bool), Fault> {
        let prefix = layout::partition(layout::STREAM, partition);
        let mut keys = 0;
        for entry in self.tree.scan_prefix(prefix.clone()) {
            if keys > BURIED_AT_ONCE {
                return Ok((keys, false));
            }
            let (found, value) = entry?;
            let head = Head::read(layout::unseal(&found, &value)?)?;
            let stream = layout::Reader(found.get(prefix.len()..).ok_or(Damage)?).number()?;
            keys += self.delete_stream(&StreamKey { partition: partition.clone(), stream }, &head)?;
        }
        Ok((keys, true))
    }

    pub(super) fn sweep(&mut self) -> Result<Swept, Fault> {
        let due = layout::expiry_after(self.now);
        let (mut swept, mut keys) = (Swept::default(), 0);
        for key in self.tree.range(vec![layout::EXPIRY]..due).keys().take(SWEEP_MAX) {
            let key = key?;
            match layout::read_expiry_key(&key)? {
                // A record that was written again has another time, and another key.
                (at, Target::Partition(partition)) => {
                    if read::record(self.tree, &partition)?.is_some_and(|record| record.expires == at) {
                        keys += self.take_away(&partition)? + 2;
                        swept.partitions.push(partition);
                    }
                }
                (at, Target::Stream(stream)) => {
                    if let Some(head) = read::head(self.tree, &stream)?.filter(|head| head.expires == Some(at)) {
                        keys += self.delete_stream(&stream, &head)?;
                        swept.streams += 1;
                    }
                }
            }
            self.tree.remove(key.to_vec());
            if keys > SWEPT_AT_ONCE {
                swept.more = true;
                break;
            }
        }
        swept.more |= swept.partitions.len() as u64 + swept.streams >= SWEEP_MAX as u64;
        Ok(swept)
    }

    /// The last word of a group: how much tenants keep now.
    pub(super) fn end(mut self) {
        for tenant in std::mem::take(&mut self.touched) {
            let key = layout::tenant(layout::USAGE, &tenant);
            match self.memo.usage.get(&tenant) {
                Some(bytes) => self.put_sealed(key, &bytes.to_be_bytes()),
                None => self.tree.remove(key),
            }
        }
    }

    /// Whether the stream is there; it is in the memo then.
    fn find(&mut self, key: &StreamKey) -> Result<bool, Fault> {
        if self.doomed.contains(&key.partition) {
            return Ok(false);
        }
        if self.memo.streams.contains_key(key) {
            return Ok(true);
        }
        let Some(head) = read::head(self.tree, key)? else { return Ok(false) };
        let live = Live::read(self.tree, key, head)?;
        self.memo.streams.insert(key.clone(), live);
        Ok(true)
    }

    fn live(&self, key: &StreamKey) -> Result<&Live, Fault> {
        self.memo.streams.get(key).ok_or(Fault::Refused(StoreError::Unknown))
    }

    /// To be changed, and given to [`Plan::put_head`].
    fn take_live(&mut self, key: &StreamKey) -> Result<Live, Fault> {
        self.memo.streams.remove(key).ok_or(Fault::Refused(StoreError::Unknown))
    }

    fn put_parts(&mut self, prefix: &[u8], header: &[u8], data: &[u8]) {
        let (head, tail) = data.split_at(data.len().min(CHUNK_BYTES));
        let first = [header, &(data.len() as u64).to_be_bytes(), head].concat();
        self.put_sealed(layout::part(prefix, 0), &first);
        for (number, part) in (1..).zip(tail.chunks(CHUNK_BYTES)) {
            self.put_sealed(layout::part(prefix, number), part);
        }
    }

    fn put_event(&mut self, key: &StreamKey, event: &NewEvent) {
        let is_final = matches!(event.kind, Kind::Final { .. });
        self.put_parts(&layout::event(key, event.seq), &[u8::from(is_final)], &event.data);
    }

    /// A stream that is complete is not remembered: hardly anything is asked of it but to go.
    fn put_head(&mut self, key: &StreamKey, live: Live) {
        self.put_sealed(layout::stream(layout::STREAM, key), &live.head.write());
        if live.head.expires.is_none() {
            self.memo.streams.insert(key.clone(), live);
        }
    }

    fn put_expiry(&mut self, key: &StreamKey, head: &Head) {
        if let Some(expires) = head.expires {
            self.put_sealed(layout::expiry(expires, &Target::Stream(key.clone())), &[]);
        }
    }

    fn put_sealed(&mut self, key: Vec<u8>, payload: &[u8]) {
        let value = layout::seal(&key, payload);
        self.tree.put(key, value);
    }

    /// Takes a stream's oldest events away. The caller writes its head.
    fn evict(&mut self, key: &StreamKey, live: &mut Live, count: usize) -> u64 {
        let in_head = !live.head.said.is_empty();
        let (freed, taken) = live.shrink(count);
        for (seq, bytes) in taken.into_iter().filter(|_| !in_head) {
            let prefix = layout::event(key, seq);
            for number in 0..layout::parts(limits::event_bytes(bytes)) {
                self.tree.remove(layout::part(&prefix, number));
            }
        }
        self.subtract(&key.partition.tenant, freed);
        freed
    }

    /// Everything of a stream; how many keys that were.
    fn delete_stream(&mut self, key: &StreamKey, head: &Head) -> Result<usize, Fault> {
        let mut keys = 3;
        if head.said.is_empty() {
            for found in self.tree.scan_prefix(layout::stream(layout::EVENT, key)).keys() {
                self.tree.remove(found?.to_vec());
                keys += 1;
            }
        }
        self.tree.remove(layout::stream(layout::STREAM, key));
        self.tree.remove(layout::age(head.created, key));
        if let Some(expires) = head.expires {
            self.tree.remove(layout::expiry(expires, &Target::Stream(key.clone())));
        }
        self.memo.streams.remove(key);
        self.subtract(&key.partition.tenant, head.bytes + limits::stream_cost(head.about.len()));
        Ok(keys)
    }

    fn delete_record(&mut self, partition: &Partition, record: &Record) {
        let prefix = layout::record(partition);
        for number in 0..layout::parts(record.data.len()) {
            self.tree.remove(layout::part(&prefix, number));
        }
        self.tree.remove(layout::expiry(record.expires, &Target::Partition(partition.clone())));
    }

    fn add(&mut self, tenant: &TenantKey, bytes: u64) {
        *self.memo.usage.entry(tenant.clone()).or_default() += bytes;
        self.memo.total += bytes;
        self.memo.full.remove(tenant);
        self.touched.insert(tenant.clone());
    }

    fn subtract(&mut self, tenant: &TenantKey, bytes: u64) {
        if let Some(usage) = self.memo.usage.get_mut(tenant) {
            *usage = usage.saturating_sub(bytes);
            if *usage == 0 {
                self.memo.usage.remove(tenant);
            }
        }
        self.memo.total = self.memo.total.saturating_sub(bytes);
        self.touched.insert(tenant.clone());
    }

    fn usage(&self, tenant: &TenantKey) -> u64 {
        self.memo.usage.get(tenant).copied().unwrap_or_default()
    }

    /// Evicts until so many bytes more may come for that tenant.
    fn make_room(&mut self, tenant: &TenantKey, needed: u64) -> Result<(), Fault> {
        let (limit, total) = (self.settings.tenant_bytes_max, self.settings.total_bytes_max);
        if self.usage(tenant) + needed > limit {
            let target = limits::low_water(limit).saturating_sub(needed);
            self.evict_from(tenant, self.usage(tenant).saturating_sub(target))?;
            if self.usage(tenant) + needed > limit {
                return Err(StoreError::Full.into());
            }
        }
        if self.memo.total + needed > total {
            let target = limits::low_water(total).saturating_sub(needed);
            for largest in limits::largest(&self.memo.usage) {
                if self.memo.total <= target {
                    break;
                }
                self.evict_from(&largest, self.memo.total - target)?;
            }
            if self.memo.total + needed > total {
                return Err(StoreError::Full.into());
            }
        }
        Ok(())
    }

    /// Takes a tenant's oldest events away, its oldest stream's first.
    fn evict_from(&mut self, tenant: &TenantKey, wanted: u64) -> Result<(), Fault> {
        if self.memo.full.contains(tenant) {
            return Ok(());
        }
        let mut freed = 0;
        for entry in self.tree.scan_prefix(layout::tenant(layout::AGE, tenant)).keys() {
            if freed >= wanted {
                return Ok(());
            }
            let key = layout::read_age_key(&entry?)?;
            if !self.find(&key)? {
                continue;
            }
            let mut live = self.take_live(&key)?;
            let count = live.enough(wanted - freed);
            if live.head.expires.is_some() && count == live.evictable() {
                // It will never have more to give.
                self.tree.remove(layout::age(live.head.created, &key));
            }
            if count > 0 {
                freed += self.evict(&key, &mut live, count);
                self.put_head(&key, live);
            } else if live.head.expires.is_none() {
                self.memo.streams.insert(key, live);
            }
        }
        if freed < wanted {
            self.memo.full.insert(tenant.clone());
        }
        Ok(())
    }
}
