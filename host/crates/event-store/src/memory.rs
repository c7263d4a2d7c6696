//! The store in memory: gone with the process. Written plainly, because it is also the model that the durable one is tested against.

use crate::clock::Clock;
use crate::limits::{self, SWEEP_MAX};
use crate::{
    Bucket, Change, Cursor, Decide, Event, EventStore, Filled, Header, Health, Item, KeyPage, Kind, NewEvent, Page, Partition, Pending,
    Record, Seq, Settings, Space, Statistics, StoreError, StoreTime, StreamKey, Swept, TenantKey, Walk,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::ready;

/// See [`memory`](crate::memory()).
#[derive(Debug)]
pub(crate) struct Memory {
    settings: Settings,
    clock: Clock,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    records: BTreeMap<Partition, Record>,
    streams: BTreeMap<StreamKey, Stream>,
    buckets: BTreeMap<Bucket, Entries>,
    usage: HashMap<TenantKey, u64>,
    total: u64,
    newest: StoreTime,
}

#[derive(Debug)]
struct Stream {
    about: Bytes,
    created: StoreTime,
    last: Seq,
    last_sum: u32,
    gone: Seq,
    events: VecDeque<Event>,
    expires: Option<StoreTime>,
}

/// What is in a bucket.
#[derive(Debug, Default)]
struct Entries {
    values: BTreeMap<Bytes, (u64, Bytes)>,
    by_place: BTreeMap<u64, Bytes>,
    last: u64,
}

impl Entries {
    fn filled(&self) -> Filled {
        let bytes = self.values.iter().map(|(key, (_, value))| limits::entry_cost(key.len(), value.len())).sum();
        Filled { keys: self.values.len() as u64, bytes }
    }

    fn remove(&mut self, key: &Bytes) {
        if let Some((place, _)) = self.values.remove(key) {
            self.by_place.remove(&place);
        }
    }

    fn set(&mut self, key: Bytes, value: Bytes) {
        let place = self.values.get(&key).map_or(self.last + 1, |(place, _)| *place);
        self.last = self.last.max(place);
        self.by_place.insert(place, key.clone());
        self.values.insert(key, (place, value));
    }
}

impl Stream {
    fn header(&self) -> Header {
        Header { about: self.about.clone(), last: self.last, gone: self.gone, complete: self.expires.is_some() }
    }

    fn bytes(&self) -> u64 {
        self.events.iter().map(|event| limits::event_cost(event.data.len())).sum()
    }

    /// Adds an event, and takes those out that it pushes out; how many bytes they had.
    fn push(&mut self, event: NewEvent, settings: &Settings, now: StoreTime) -> u64 {
        let sum = limits::event_sum(&event);
        let (is_final, expires) = match event.kind {
            Kind::Message => (false, None),
            Kind::Final { keep_for } => (true, Some(now.after(keep_for))),
        };
        (self.last, self.last_sum, self.expires) = (event.seq, sum, expires);
        self.events.push_back(Event { seq: event.seq, is_final, data: event.data });
        let mut freed = 0;
        while self.events.len() > 1 && (self.events.len() as u64 > settings.ring_events_max || self.bytes() > settings.stream_bytes_max) {
            freed += self.evict().unwrap_or_default();
        }
        freed
    }

    /// Takes the oldest event out, unless it is the final one.
    fn evict(&mut self) -> Option<u64> {
        if self.events.front()?.is_final {
            return None;
        }
        let event = self.events.pop_front()?;
        self.gone = event.seq;
        Some(limits::event_cost(event.data.len()))
    }
}

impl Memory {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, clock: Clock::default(), kept: Mutex::default() }
    }
}

impl Kept {
    fn add(&mut self, tenant: &TenantKey, bytes: u64) {
        *self.usage.entry(tenant.clone()).or_default() += bytes;
        self.total += bytes;
    }

    fn subtract(&mut self, tenant: &TenantKey, bytes: u64) {
        if let Some(usage) = self.usage.get_mut(tenant) {
            *usage = usage.saturating_sub(bytes);
            if *usage == 0 {
                self.usage.remove(tenant);
            }
        }
        self.total = self.total.saturating_sub(bytes);
    }

    fn usage(&self, tenant: &TenantKey) -> u64 {
        self.usage.get(tenant).copied().unwrap_or_default()
    }

    /// Evicts until so many bytes more may come for that tenant.
    fn make_room(&mut self, settings: &Settings, tenant: &TenantKey, needed: u64) -> Result<(), StoreError> {
        if self.usage(tenant) + needed > settings.tenant_bytes_max {
            let target = limits::low_water(settings.tenant_bytes_max).saturating_sub(needed);
            self.evict(tenant, self.usage(tenant).saturating_sub(target));
            if self.usage(tenant) + needed > settings.tenant_bytes_max {
                return Err(StoreError::Full);
            }
        }
        if self.total + needed > settings.total_bytes_max {
            let target = limits::low_water(settings.total_bytes_max).saturating_sub(needed);
            for largest in limits::largest(&self.usage) {
                if self.total <= target {
                    break;
                }
                self.evict(&largest, self.total - target);
            }
            if self.total + needed > settings.total_bytes_max {
                return Err(StoreError::Full);
            }
        }
        Ok(())
    }

    fn evict(&mut self, tenant: &TenantKey, wanted: u64) {
        let mut by_age: Vec<_> = self.streams.iter_mut().filter(|(key, _)| key.partition.tenant == *tenant).collect();
        by_age.sort_by_key(|(key, stream)| (stream.created, (*key).clone()));
        let mut freed = 0;
        for (_, stream) in by_age {
            while freed < wanted
                && let Some(bytes) = stream.evict()
            {
                freed += bytes;
            }
        }
        self.subtract(tenant, freed);
    }

    fn take_stream(&mut self, key: &StreamKey) {
        if let Some(stream) = self.streams.remove(key) {
            self.subtract(&key.partition.tenant, stream.bytes() + limits::stream_cost(stream.about.len()));
        }
    }

    fn take_partition(&mut self, partition: &Partition) {
        let first = StreamKey { partition: partition.clone(), stream: 0 };
        let keys: Vec<_> = self.streams.range(first..).map(|(key, _)| key.clone()).take_while(|key| key.partition == *partition).collect();
        for key in keys {
            self.take_stream(&key);
        }
        if let Some(record) = self.records.remove(partition) {
            self.subtract(&partition.tenant, limits::record_cost(record.data.len()));
        }
    }
}

impl Memory {
    fn open_now(&self, key: &StreamKey, about: Bytes, said: Vec<NewEvent>) -> Result<(), StoreError> {
        let cost = limits::opening_cost(about.len(), &said, self.settings.event_bytes_max)?;
        let kept = &mut *self.kept.lock();
        if let Some(stream) = kept.streams.get(key) {
            let same = stream.about == about && limits::is_at_end_of(&said, stream.last, stream.last_sum);
            return if same { Ok(()) } else { Err(StoreError::Conflict { last: stream.last }) };
        }
        if !kept.records.contains_key(&key.partition) {
            return Err(StoreError::Unknown);
        }
        kept.make_room(&self.settings, &key.partition.tenant, cost)?;
        let created = self.clock.now().max(StoreTime(kept.newest.0 + 1));
        kept.newest = created;
        kept.add(&key.partition.tenant, cost);
        let mut stream = Stream { about, created, last: Seq(0), last_sum: 0, gone: Seq(0), events: VecDeque::new(), expires: None };
        let freed = said.into_iter().map(|event| stream.push(event, &self.settings, self.clock.now())).sum();
        kept.streams.insert(key.clone(), stream);
        kept.subtract(&key.partition.tenant, freed);
        Ok(())
    }

    fn append_now(&self, key: &StreamKey, event: NewEvent) -> Result<(), StoreError> {
        limits::check(event.data.len(), self.settings.event_bytes_max)?;
        let kept = &mut *self.kept.lock();
        let stream = kept.streams.get(key).ok_or(StoreError::Unknown)?;
        let sum = limits::event_sum(&event);
        if event.seq <= stream.last || stream.expires.is_some() {
            let again = event.seq == stream.last && sum == stream.last_sum;
            return if again { Ok(()) } else { Err(StoreError::Conflict { last: stream.last }) };
        }
        let cost = limits::event_cost(event.data.len());
        kept.make_room(&self.settings, &key.partition.tenant, cost)?;
        let stream = kept.streams.get_mut(key).ok_or(StoreError::Unknown)?;
        let freed = stream.push(event, &self.settings, self.clock.now());
        kept.add(&key.partition.tenant, cost);
        kept.subtract(&key.partition.tenant, freed);
        Ok(())
    }

    fn read_now(&self, key: &StreamKey, after: Seq, events_max: usize, bytes_max: usize) -> Result<Page, StoreError> {
        let kept = self.kept.lock();
        let stream = kept.streams.get(key).filter(|stream| after <= stream.last).ok_or(StoreError::Unknown)?;
        let (mut events, mut bytes, mut end) = (Vec::new(), 0, true);
        for event in stream.events.iter().filter(|event| event.seq > after) {
            if !events.is_empty() && (events.len() >= events_max || bytes + event.data.len() > bytes_max) {
                end = false;
                break;
            }
            bytes += event.data.len();
            events.push(event.clone());
        }
        Ok(Page { events, gap: stream.gone > after, end, complete: stream.expires.is_some() })
    }

    fn put_now(&self, partition: &Partition, record: Record) -> Result<(), StoreError> {
        limits::check(record.data.len(), self.settings.event_bytes_max)?;
        let kept = &mut *self.kept.lock();
        let old = kept.records.get(partition).map_or(0, |record| limits::record_cost(record.data.len()));
        let new = limits::record_cost(record.data.len());
        if new > old {
            kept.make_room(&self.settings, &partition.tenant, new - old)?;
        }
        kept.add(&partition.tenant, new);
        kept.subtract(&partition.tenant, old);
        kept.records.insert(partition.clone(), record);
        Ok(())
    }

    fn change_now(&self, bucket: &Bucket, changes: Vec<Change>, limits: Filled) -> Result<(), StoreError> {
        let kept = &mut *self.kept.lock();
        self.change_kept(kept, bucket, changes, limits)
    }

    fn change_kept(&self, kept: &mut Kept, bucket: &Bucket, changes: Vec<Change>, limits: Filled) -> Result<(), StoreError> {
        let last = limits::last(changes, self.settings.event_bytes_max)?;
        let none = Entries::default();
        let entries = kept.buckets.get(bucket).unwrap_or(&none);
        let old = entries.filled();
        let mut new = old;
        for (key, value) in &last {
            if let Some((_, value)) = entries.values.get(key) {
                new = Filled { keys: new.keys - 1, bytes: new.bytes - limits::entry_cost(key.len(), value.len()) };
            }
            if let Some(value) = value {
                new = Filled { keys: new.keys + 1, bytes: new.bytes + limits::entry_cost(key.len(), value.len()) };
            }
        }
        let theirs = kept.buckets.iter().filter(|(other, _)| other.tenant() == bucket.tenant()).map(|(_, entries)| entries.filled());
        let of_tenant = theirs.fold(Filled::default(), |sum, one| Filled { keys: sum.keys + one.keys, bytes: sum.bytes + one.bytes });
        limits::check_bucket((old, new), limits, of_tenant, &self.settings)?;
        if new.bytes > old.bytes {
            kept.make_room(&self.settings, bucket.tenant(), new.bytes - old.bytes)?;
        }
        kept.add(bucket.tenant(), new.bytes);
        kept.subtract(bucket.tenant(), old.bytes);
        let entries = kept.buckets.entry(bucket.clone()).or_default();
        for (key, value) in last {
            match value {
                Some(value) => entries.set(key, value),
                None => entries.remove(&key),
            }
        }
        Ok(())
    }

    fn decide_now(&self, bucket: &Bucket, key: Bytes, decide: Decide, limits: Filled) -> Result<Option<Bytes>, StoreError> {
        let kept = &mut *self.kept.lock();
        let old = kept.buckets.get(bucket).and_then(|entries| entries.values.get(&key)).map(|(_, value)| value.clone());
        let Some(value) = decide.decide(old.as_deref()) else { return Ok(old) };
        self.change_kept(kept, bucket, vec![Change::Set(key, value.clone())], limits)?;
        Ok(Some(value))
    }

    fn values_now(&self, bucket: &Bucket, keys: &[Bytes], bytes_max: usize) -> Result<Vec<Option<Bytes>>, StoreError> {
        let kept = self.kept.lock();
        let entries = kept.buckets.get(bucket);
        let found = keys.iter().map(|key| Some(entries?.values.get(key)?.1.clone()));
        let found: Vec<_> = found.collect();
        limits::check(found.iter().flatten().map(Bytes::len).sum(), bytes_max)?;
        Ok(found)
    }

    fn keys_now(&self, bucket: &Bucket, after: u64, keys_max: usize, bytes_max: usize) -> KeyPage {
        let kept = self.kept.lock();
        let mut page = KeyPage::default();
        let (mut bytes, mut last) = (0, after);
        let later = kept.buckets.get(bucket).into_iter().flat_map(|entries| entries.by_place.range(after.saturating_add(1)..));
        for (place, key) in later {
            if !page.keys.is_empty() && (page.keys.len() >= keys_max || bytes + key.len() > bytes_max) {
                page.next = Some(last);
                break;
            }
            (bytes, last) = (bytes + key.len(), *place);
            page.keys.push(key.clone());
        }
        page
    }

    fn clear_now(&self, bucket: &Bucket) -> bool {
        let kept = &mut *self.kept.lock();
        let Some(entries) = kept.buckets.get_mut(bucket) else { return false };
        let old = entries.filled();
        let keys: Vec<_> = entries.values.keys().take(limits::CLEARED_MAX).cloned().collect();
        keys.iter().for_each(|key| entries.remove(key));
        let new = entries.filled();
        if new.keys == 0 {
            kept.buckets.remove(bucket);
        }
        kept.subtract(bucket.tenant(), old.bytes - new.bytes);
        new.keys > 0
    }

    fn sweep_now(&self) -> Swept {
        let (now, kept) = (self.clock.now(), &mut *self.kept.lock());
        let partitions: Vec<_> =
            kept.records.iter().filter(|(_, record)| record.expires <= now).map(|(key, _)| key.clone()).take(SWEEP_MAX).collect();
        for partition in &partitions {
            kept.take_partition(partition);
        }
        let over = |stream: &Stream| stream.expires.is_some_and(|expires| expires <= now);
        let left = SWEEP_MAX - partitions.len();
        let streams: Vec<_> = kept.streams.iter().filter(|(_, stream)| over(stream)).map(|(key, _)| key.clone()).take(left).collect();
        for key in &streams {
            kept.take_stream(key);
        }
        Swept { more: partitions.len() + streams.len() == SWEEP_MAX, streams: streams.len() as u64, partitions }
    }

    fn statistics_now(&self) -> Statistics {
        let kept = self.kept.lock();
        let records = |space| kept.records.keys().filter(|key| key.space == space).count() as u64;
        let mut bytes_by_tenant: Vec<_> = kept.usage.iter().map(|(tenant, bytes)| (tenant.clone(), *bytes)).collect();
        bytes_by_tenant.sort();
        Statistics {
            backend: "memory",
            sessions: records(Space::Session),
            tasks: records(Space::Task),
            streams: kept.streams.len() as u64,
            events: kept.streams.values().map(|stream| stream.events.len() as u64).sum(),
            buckets: kept.buckets.iter().map(|(bucket, entries)| (bucket.clone(), entries.filled())).collect(),
            bytes_by_tenant,
            disk_bytes: 0,
        }
    }
}

impl EventStore for Memory {
    fn open(&self, stream: &StreamKey, about: Bytes, said: Vec<NewEvent>) -> Pending<()> {
        Box::pin(ready(self.open_now(stream, about, said)))
    }

    fn append(&self, stream: &StreamKey, event: NewEvent) -> Pending<()> {
        Box::pin(ready(self.append_now(stream, event)))
    }

    fn header(&self, stream: &StreamKey) -> Pending<Option<Header>> {
        let header = self.kept.lock().streams.get(stream).map(Stream::header);
        Box::pin(ready(Ok(header)))
    }

    fn read(&self, stream: &StreamKey, after: Seq, events_max: usize, bytes_max: usize) -> Pending<Page> {
        Box::pin(ready(self.read_now(stream, after, events_max, bytes_max)))
    }

    fn put(&self, partition: &Partition, record: Record) -> Pending<()> {
        Box::pin(ready(self.put_now(partition, record)))
    }

    fn get(&self, partition: &Partition) -> Pending<Option<Record>> {
        Box::pin(ready(Ok(self.kept.lock().records.get(partition).cloned())))
    }

    fn remove(&self, partition: &Partition) -> Pending<()> {
        self.kept.lock().take_partition(partition);
        Box::pin(ready(Ok(())))
    }

    fn list(&self, space: Space, after: Option<&Partition>, max: usize) -> Pending<Vec<(Partition, Record)>> {
        let kept = self.kept.lock();
        let later = kept.records.iter().filter(|(key, _)| key.space == space && after.is_none_or(|after| *key > after));
        let page = later.take(max).map(|(key, record)| (key.clone(), record.clone())).collect();
        Box::pin(ready(Ok(page)))
    }

    fn walk(&self, after: Option<Cursor>, _max: usize) -> Pending<Walk> {
        let kept = self.kept.lock();
        let mut items = Vec::new();
        // All in one page.
        if after.is_none() {
            items.extend(kept.records.iter().map(|(key, record)| Item::Record(key.clone(), record.clone())));
            items.extend(kept.streams.iter().map(|(key, stream)| Item::Stream(key.clone(), stream.header())));
            for (key, stream) in &kept.streams {
                items.extend(stream.events.iter().map(|event| Item::Event(key.clone(), event.clone())));
            }
            for (bucket, entries) in &kept.buckets {
                items.extend(entries.values.iter().map(|(key, (_, value))| Item::Entry(bucket.clone(), key.clone(), value.clone())));
            }
        }
        Box::pin(ready(Ok(Walk { items, next: None })))
    }

    fn values(&self, bucket: &Bucket, keys: Vec<Bytes>, bytes_max: usize) -> Pending<Vec<Option<Bytes>>> {
        Box::pin(ready(self.values_now(bucket, &keys, bytes_max)))
    }

    fn keys(&self, bucket: &Bucket, after: u64, keys_max: usize, bytes_max: usize) -> Pending<KeyPage> {
        Box::pin(ready(Ok(self.keys_now(bucket, after, keys_max, bytes_max))))
    }

    fn change(&self, bucket: &Bucket, changes: Vec<Change>, limits: Filled) -> Pending<()> {
        Box::pin(ready(self.change_now(bucket, changes, limits)))
    }

    fn decide(&self, bucket: &Bucket, key: Bytes, decide: Decide, limits: Filled) -> Pending<Option<Bytes>> {
        Box::pin(ready(self.decide_now(bucket, key, decide, limits)))
    }

    fn clear(&self, bucket: &Bucket) -> Pending<bool> {
        Box::pin(ready(Ok(self.clear_now(bucket))))
    }

    fn sweep(&self) -> Pending<Swept> {
        Box::pin(ready(Ok(self.sweep_now())))
    }

    fn usage(&self) -> Pending<Vec<(TenantKey, u64)>> {
        let usage = self.kept.lock().usage.iter().map(|(tenant, bytes)| (tenant.clone(), *bytes)).collect();
        Box::pin(ready(Ok(usage)))
    }

    fn statistics(&self) -> Pending<Statistics> {
        Box::pin(ready(Ok(self.statistics_now())))
    }

    fn health(&self) -> Health {
        Health::default()
    }

    fn incarnation(&self) -> u32 {
        1
    }

    fn now(&self) -> StoreTime {
        self.clock.now()
    }
}
