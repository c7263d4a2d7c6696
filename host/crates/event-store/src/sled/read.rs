//! How things are read from the tree: nothing is believed that does not prove itself.

use super::layout::{self, BucketHead, Damage, Head, Placed};
use super::plan::Fault;
use super::table::{Entries, Table};
use crate::limits;
use crate::{
    Bucket, Event, Filled, Header, KeyPage, Page, Partition, Record, Seq, Space, Statistics, StoreError, StoreTime, StreamKey, TenantKey,
};
use bytes::Bytes;

/// Bytes in front of an event: whether it is the final one.
pub(super) const EVENT_HEADER: usize = 1;
/// Bytes in front of a record: when it expires.
pub(super) const RECORD_HEADER: usize = 8;

/// Puts together what was cut into parts.
pub(super) struct Values {
    entries: Entries,
    header_bytes: usize,
}

/// An event, a record, or what stands under a key.
pub(super) struct Value {
    /// What the keys of its parts begin with.
    pub(super) prefix: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) data: Vec<u8>,
}

impl Values {
    pub(super) fn new(entries: Entries, header_bytes: usize) -> Self {
        Self { entries, header_bytes }
    }

    /// One entry as it lies.
    pub(super) fn next_entry(&mut self) -> Option<Result<(sled::IVec, sled::IVec), sled::Error>> {
        self.entries.next()
    }

    /// The next value with the key of its first part.
    pub(super) fn next_with_key(&mut self) -> Option<(Vec<u8>, Result<Value, Fault>)> {
        Some(match self.entries.next()? {
            Ok((key, value)) => (key.to_vec(), self.next_value(&key, &value)),
            Err(error) => (vec![u8::MAX], Err(error.into())),
        })
    }

    fn next_value(&mut self, key: &[u8], value: &[u8]) -> Result<Value, Fault> {
        let (prefix, number) = key.split_last_chunk::<2>().ok_or(Damage)?;
        let payload = layout::unseal(key, value)?;
        let (header, rest) = payload.split_at_checked(self.header_bytes).ok_or(Damage)?;
        let (length, first) = rest.split_first_chunk::<8>().ok_or(Damage)?;
        if *number != [0, 0] {
            return Err(Damage.into());
        }
        let (length, mut data) = (u64::from_be_bytes(*length), first.to_vec());
        for number in 1_u16.. {
            if data.len() as u64 >= length {
                break;
            }
            let wanted = layout::part(prefix, number);
            let (key, value) = self.entries.next().ok_or(Damage)??;
            if *key != *wanted {
                return Err(Damage.into());
            }
            data.extend(layout::unseal(&key, &value)?);
        }
        if data.len() as u64 == length { Ok(Value { prefix: prefix.to_vec(), header: header.to_vec(), data }) } else { Err(Damage.into()) }
    }
}

impl Iterator for Values {
    type Item = Result<Value, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with_key().map(|(_, value)| value)
    }
}

pub(super) fn head(tree: &Table, stream: &StreamKey) -> Result<Option<Head>, Fault> {
    let key = layout::stream(layout::STREAM, stream);
    let Some(value) = tree.get(&key)? else { return Ok(None) };
    Ok(Some(Head::read(layout::unseal(&key, &value)?)?))
}

pub(super) fn header(tree: &Table, stream: &StreamKey) -> Result<Option<Header>, Fault> {
    Ok(head(tree, stream)?.map(Header::from))
}

/// A stream's events after a place, in order.
pub(super) fn events(tree: &Table, stream: &StreamKey, head: &Head, after: Seq) -> impl Iterator<Item = Result<Event, Fault>> + use<> {
    let in_head: Vec<_> = head.events().filter(|event| event.seq > after).map(Ok).collect();
    let by_themselves = head.said.is_empty().then(|| events_by_themselves(tree, stream, after));
    in_head.into_iter().chain(by_themselves.into_iter().flatten())
}

fn events_by_themselves(tree: &Table, stream: &StreamKey, after: Seq) -> impl Iterator<Item = Result<Event, Fault>> + use<> {
    let stream_bytes = layout::stream(layout::EVENT, stream).len();
    let first = layout::event(stream, Seq(after.0.saturating_add(1)));
    let last = layout::part(&layout::event(stream, Seq(u64::MAX)), u16::MAX);
    let values = Values { entries: tree.range(first..=last), header_bytes: EVENT_HEADER };
    values.map(move |value| {
        let value = value?;
        let seq = layout::read_event_key(stream_bytes, &value.prefix)?;
        Ok(Event { seq, is_final: value.header == [1], data: value.data.into() })
    })
}

pub(super) fn page(tree: &Table, stream: &StreamKey, after: Seq, events_max: usize, bytes_max: usize) -> Result<Page, Fault> {
    let head = head(tree, stream)?.filter(|head| after <= head.last).ok_or(StoreError::Unknown)?;
    let (mut events, mut bytes, mut end) = (Vec::new(), 0, true);
    for event in self::events(tree, stream, &head, after) {
        let event = event?;
        if !events.is_empty() && (events.len() >= events_max || bytes + event.data.len() > bytes_max) {
            end = false;
            break;
        }
        bytes += event.data.len();
        events.push(event);
    }
    Ok(Page { events, gap: head.gone > after, end, complete: head.expires.is_some() })
}

pub(super) fn read_record(value: Value) -> Result<(Partition, Record), Fault> {
    let expires = StoreTime(layout::Reader(&value.header).number()?);
    Ok((layout::read_record_key(&value.prefix)?, Record { data: value.data.into(), expires }))
}

pub(super) fn record(tree: &Table, partition: &Partition) -> Result<Option<Record>, Fault> {
    let mut values = Values { entries: tree.scan_prefix(layout::record(partition)), header_bytes: RECORD_HEADER };
    let Some(value) = values.next() else { return Ok(None) };
    let (found, record) = read_record(value?)?;
    if found == *partition { Ok(Some(record)) } else { Err(Damage.into()) }
}

/// All records of a space, after one.
pub(super) fn records(
    tree: &Table,
    space: Space,
    after: Option<&Partition>,
) -> impl Iterator<Item = Result<(Partition, Record), Fault>> + use<> {
    let first = after.map_or_else(|| layout::records(space), |after| layout::part(&layout::record(after), u16::MAX));
    let mut end = layout::records(space);
    end.push(u8::MAX);
    let values = Values { entries: tree.range(first..end), header_bytes: RECORD_HEADER };
    values.map(|value| read_record(value?))
}

/// Keys that are counted at once: the writer does not wait behind more.
const COUNTED_AT_ONCE: usize = 5_000;

/// Counts some of what is there, from a key on, by the keys alone where they tell. Gives the key to go on at.
pub(super) fn count(tree: &Table, from: &[u8], mut so_far: Statistics) -> Result<(Statistics, Option<Vec<u8>>), Fault> {
    let mut entries = tree.range(from.to_vec()..);
    for entry in entries.by_ref().take(COUNTED_AT_ONCE) {
        let (key, value) = entry?;
        let first_part = u64::from(key.ends_with(&[0, 0]));
        match key.first() {
            Some(&layout::EVENT) => so_far.events += first_part,
            Some(&layout::RECORD) if key.starts_with(&layout::records(Space::Task)) => so_far.tasks += first_part,
            Some(&layout::RECORD) => so_far.sessions += first_part,
            Some(&layout::STREAM) => {
                so_far.streams += 1;
                // Who walks through all of it says what is damaged.
                so_far.events += layout::unseal(&key, &value).and_then(Head::read).map_or(0, |head| head.said.len() as u64);
            }
            _ => {}
        }
    }
    Ok((so_far, entries.next().transpose()?.map(|(key, _)| key.to_vec())))
}

/// How full each bucket is, of all tenants.
pub(super) fn buckets(tree: &Table) -> impl Iterator<Item = Result<(Bucket, Filled), Fault>> + use<> {
    tree.scan_prefix([layout::BUCKET]).map(|entry| {
        let (key, value) = entry?;
        Ok((layout::read_bucket_key(&key)?, BucketHead::read(layout::unseal(&key, &value)?)?.filled))
    })
}

pub(super) fn bucket(tree: &Table, bucket: &Bucket) -> Result<BucketHead, Fault> {
    let key = layout::bucket(layout::BUCKET, bucket);
    let Some(value) = tree.get(&key)? else { return Ok(BucketHead::default()) };
    Ok(BucketHead::read(layout::unseal(&key, &value)?)?)
}

pub(super) fn placed(tree: &Table, bucket: &Bucket, name: &[u8]) -> Result<Option<Placed>, Fault> {
    let key = layout::key(bucket, name);
    let Some(value) = tree.get(&key)? else { return Ok(None) };
    Ok(Some(Placed::read(layout::unseal(&key, &value)?)?))
}

/// The value at a place where there is one.
pub(super) fn value(tree: &Table, bucket: &Bucket, placed: Placed) -> Result<Bytes, Fault> {
    let prefix = layout::place(layout::VALUE, bucket, placed.place);
    let value = Values { entries: tree.scan_prefix(prefix.clone()), header_bytes: 0 }.next().ok_or(Damage)??;
    if value.prefix == prefix && value.data.len() as u64 == placed.bytes { Ok(value.data.into()) } else { Err(Damage.into()) }
}

pub(super) fn values(tree: &Table, bucket: &Bucket, keys: &[Bytes], bytes_max: usize) -> Result<Vec<Option<Bytes>>, Fault> {
    let placed = keys.iter().map(|key| placed(tree, bucket, key)).collect::<Result<Vec<_>, _>>()?;
    // Before any of them is read: one key may be named as often as somebody likes.
    let bytes = placed.iter().flatten().fold(0, |sum: usize, placed| sum.saturating_add(placed.value_bytes()));
    limits::check(bytes, bytes_max)?;
    placed.into_iter().map(|placed| placed.map(|placed| value(tree, bucket, placed)).transpose()).collect()
}

/// A bucket's keys after a place, in order, with their places.
pub(super) fn places(tree: &Table, bucket: &Bucket, after: u64) -> impl Iterator<Item = Result<(u64, Bytes), Fault>> + use<> {
    let [first, last] = [after.saturating_add(1), u64::MAX].map(|place| layout::place(layout::PLACE, bucket, place));
    tree.range(first..=last).map(|entry| {
        let (key, value) = entry?;
        Ok((layout::read_place_key(&key)?.1, Bytes::copy_from_slice(layout::unseal(&key, &value)?)))
    })
}

pub(super) fn keys(tree: &Table, bucket: &Bucket, after: u64, keys_max: usize, bytes_max: usize) -> Result<KeyPage, Fault> {
    let (mut page, mut bytes, mut last) = (KeyPage::default(), 0, after);
    for found in places(tree, bucket, after) {
        let (place, key) = found?;
        if !page.keys.is_empty() && (page.keys.len() >= keys_max || bytes + key.len() > bytes_max) {
            page.next = Some(last);
            break;
        }
        (bytes, last) = (bytes + key.len(), place);
        page.keys.push(key);
    }
    Ok(page)
}

/// What each tenant keeps.
pub(super) fn usages(tree: &Table) -> impl Iterator<Item = Result<(TenantKey, u64), Fault>> + use<> {
    tree.scan_prefix([layout::USAGE]).map(|entry| {
        let (key, value) = entry?;
        Ok((layout::read_usage_key(&key)?, layout::Reader(layout::unseal(&key, &value)?).number()?))
    })
}

/// What each tenant keeps, and what the disk has.
pub(super) fn usage(tree: &Table) -> Result<Statistics, Fault> {
    let mut bytes_by_tenant = usages(tree).collect::<Result<Vec<_>, _>>()?;
    bytes_by_tenant.sort();
    let mut buckets = buckets(tree).collect::<Result<Vec<_>, _>>()?;
    buckets.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Statistics { backend: "sled", buckets, bytes_by_tenant, disk_bytes: tree.tree().size_on_disk()?, ..Statistics::default() })
}
