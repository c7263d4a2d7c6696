//! How things lie in the database: keys that sort as they are read, and values that prove themselves.
//!
//! Everything is in one tree. A key begins with a letter for its kind; a tenant's name stands behind its length, so no two names run
//! together. A value is `version | length | CRC-32 over key and payload | payload`: one that was damaged, or
//! lies under another key than it was written for, is not believed.

use crate::{Bucket, Event, Filled, Header, Partition, Seq, Space, StoreTime, StreamKey, TenantKey};
use bytes::Bytes;

const VERSION: u8 = 1;
/// Of one value, so that no page of the tree grows into a blob file, which sled does not sync.
pub(super) const CHUNK_BYTES: usize = 16 << 10;

pub(super) const EVENT: u8 = b'e';
pub(super) const STREAM: u8 = b's';
pub(super) const RECORD: u8 = b'r';
pub(super) const EXPIRY: u8 = b'x';
pub(super) const AGE: u8 = b'a';
pub(super) const USAGE: u8 = b'u';
/// Partitions that were removed, and whose streams are being taken away.
pub(super) const DOOMED: u8 = b'd';
/// How full a bucket is, and the place of its newest key.
pub(super) const BUCKET: u8 = b'b';
/// A bucket's keys: each with its place, and how many bytes its value has.
pub(super) const KEY: u8 = b'k';
/// The same keys by their places.
pub(super) const PLACE: u8 = b'p';
/// Their values, by the places too.
pub(super) const VALUE: u8 = b'v';
pub(super) const INCARNATION: &[u8] = b"m incarnation";
pub(super) const CLOCK: &[u8] = b"m clock";

/// A value that is not what was written, or a key that is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage;

fn space_byte(space: Space) -> u8 {
    match space {
        Space::Session => 1,
        Space::Task => 2,
    }
}

fn push_tenant(key: &mut Vec<u8>, tenant: &TenantKey) {
    let name = tenant.as_str().as_bytes();
    key.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    key.extend(name);
}

fn push_partition(key: &mut Vec<u8>, partition: &Partition) {
    push_tenant(key, &partition.tenant);
    key.push(space_byte(partition.space));
    key.extend(partition.id);
}

pub(super) fn tenant(kind: u8, tenant: &TenantKey) -> Vec<u8> {
    let mut key = vec![kind];
    push_tenant(&mut key, tenant);
    key
}

/// What all keys of a kind and a partition begin with.
pub(super) fn partition(kind: u8, partition: &Partition) -> Vec<u8> {
    let mut key = vec![kind];
    push_partition(&mut key, partition);
    key
}

pub(super) fn stream(kind: u8, stream: &StreamKey) -> Vec<u8> {
    let mut key = partition(kind, &stream.partition);
    key.extend(stream.stream.to_be_bytes());
    key
}

/// What all parts of an event begin with.
pub(super) fn event(stream: &StreamKey, seq: Seq) -> Vec<u8> {
    let mut key = self::stream(EVENT, stream);
    key.extend(seq.0.to_be_bytes());
    key
}

/// What all parts of a record begin with. Records sort by space first: they are listed by it.
pub(super) fn record(partition: &Partition) -> Vec<u8> {
    let mut key = records(partition.space);
    push_partition(&mut key, partition);
    key
}

pub(super) fn records(space: Space) -> Vec<u8> {
    vec![RECORD, space_byte(space)]
}

/// What all keys of a kind and a bucket begin with.
pub(super) fn bucket(kind: u8, bucket: &Bucket) -> Vec<u8> {
    let mut key = vec![kind];
    push_tenant(&mut key, bucket.tenant());
    for name in [bucket.owner(), bucket.name()] {
        key.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        key.extend(name.as_bytes());
    }
    key
}

/// The entry of a bucket's key. The key is the last thing in it, so that it needs no length of its own.
pub(super) fn key(bucket: &Bucket, name: &[u8]) -> Vec<u8> {
    let mut key = self::bucket(KEY, bucket);
    key.extend(name);
    key
}

/// The entry of a place of a bucket, or what all parts of the value there begin with.
pub(super) fn place(kind: u8, bucket: &Bucket, place: u64) -> Vec<u8> {
    let mut key = self::bucket(kind, bucket);
    key.extend(place.to_be_bytes());
    key
}

/// The key of a part of an event, a record or a value.
pub(super) fn part(prefix: &[u8], number: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 2);
    key.extend(prefix);
    key.extend(number.to_be_bytes());
    key
}

/// Into how many parts so many bytes are cut.
pub(super) fn parts(bytes: usize) -> u16 {
    u16::try_from(bytes.div_ceil(CHUNK_BYTES).max(1)).unwrap_or(u16::MAX)
}

/// What expires: a partition with its record, or one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Partition(Partition),
    Stream(StreamKey),
}

pub(super) fn expiry(at: StoreTime, target: &Target) -> Vec<u8> {
    let mut key = vec![EXPIRY];
    key.extend(at.0.to_be_bytes());
    match target {
        Target::Partition(partition) => push_partition(&mut key, partition),
        Target::Stream(stream) => {
            push_partition(&mut key, &stream.partition);
            key.extend(stream.stream.to_be_bytes());
        }
    }
    key
}

/// Greater than the key of everything that has expired at that time, smaller than all others.
pub(super) fn expiry_after(now: StoreTime) -> Vec<u8> {
    let mut key = vec![EXPIRY];
    key.extend(now.0.saturating_add(1).to_be_bytes());
    key
}

pub(super) fn age(created: StoreTime, stream: &StreamKey) -> Vec<u8> {
    let mut key = tenant(AGE, &stream.partition.tenant);
    key.extend(created.0.to_be_bytes());
    key.push(space_byte(stream.partition.space));
    key.extend(stream.partition.id);
    key.extend(stream.stream.to_be_bytes());
    key
}

/// Takes keys apart.
pub(super) struct Reader<'k>(pub(super) &'k [u8]);

impl<'k> Reader<'k> {
    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (first, rest) = self.0.split_first_chunk::<N>().ok_or(Damage)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn number(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    /// Bytes behind their length.
    fn bytes(&mut self) -> Result<&'k [u8], Damage> {
        let length = usize::try_from(u32::from_be_bytes(self.take()?)).map_err(|_| Damage)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Damage)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A text behind its length.
    fn name(&mut self) -> Result<&'k str, Damage> {
        let [length] = self.take()?;
        let (name, rest) = self.0.split_at_checked(length.into()).ok_or(Damage)?;
        self.0 = rest;
        std::str::from_utf8(name).map_err(|_| Damage)
    }

    fn tenant(&mut self) -> Result<TenantKey, Damage> {
        TenantKey::new(self.name()?).ok_or(Damage)
    }

    pub(super) fn bucket(&mut self) -> Result<Bucket, Damage> {
        let tenant = self.tenant()?;
        let (owner, name) = (self.name()?, self.name()?);
        Bucket::new(tenant, owner, name).ok_or(Damage)
    }

    fn space(&mut self) -> Result<Space, Damage> {
        match self.take()? {
            [1] => Ok(Space::Session),
            [2] => Ok(Space::Task),
            _ => Err(Damage),
        }
    }

    pub(super) fn partition(&mut self) -> Result<Partition, Damage> {
        Ok(Partition { tenant: self.tenant()?, space: self.space()?, id: self.take()? })
    }
}

/// The number in what an event's parts begin with, behind what its stream begins with.
pub(super) fn read_event_key(stream_bytes: usize, prefix: &[u8]) -> Result<Seq, Damage> {
    Ok(Seq(Reader(prefix.get(stream_bytes..).ok_or(Damage)?).number()?))
}

pub(super) fn read_record_key(prefix: &[u8]) -> Result<Partition, Damage> {
    Reader(prefix.get(2..).ok_or(Damage)?).partition()
}

/// The stream in a key of it alone, or in what its events' keys begin with.
pub(super) fn read_stream_key(key: &[u8]) -> Result<StreamKey, Damage> {
    let mut reader = Reader(key.get(1..).ok_or(Damage)?);
    let partition = reader.partition()?;
    let stream = reader.number()?;
    if reader.0.is_empty() { Ok(StreamKey { partition, stream }) } else { Err(Damage) }
}

pub(super) fn read_doomed_key(key: &[u8]) -> Result<Partition, Damage> {
    Reader(key.get(1..).ok_or(Damage)?).partition()
}

pub(super) fn read_bucket_key(key: &[u8]) -> Result<Bucket, Damage> {
    let mut reader = Reader(key.get(1..).ok_or(Damage)?);
    let bucket = reader.bucket()?;
    if reader.0.is_empty() { Ok(bucket) } else { Err(Damage) }
}

/// The place in an entry of it, or in what the parts of its value begin with.
pub(super) fn read_place_key(key: &[u8]) -> Result<(Bucket, u64), Damage> {
    let mut reader = Reader(key.get(1..).ok_or(Damage)?);
    let (bucket, place) = (reader.bucket()?, reader.number()?);
    if reader.0.is_empty() { Ok((bucket, place)) } else { Err(Damage) }
}

pub(super) fn read_usage_key(key: &[u8]) -> Result<TenantKey, Damage> {
    Reader(key.get(1..).ok_or(Damage)?).tenant()
}

pub(super) fn read_expiry_key(key: &[u8]) -> Result<(StoreTime, Target), Damage> {
    let mut reader = Reader(key.get(1..).ok_or(Damage)?);
    let at = StoreTime(reader.number()?);
    let partition = reader.partition()?;
    let target =
        if reader.0.is_empty() { Target::Partition(partition) } else { Target::Stream(StreamKey { partition, stream: reader.number()? }) };
    Ok((at, target))
}

pub(super) fn read_age_key(key: &[u8]) -> Result<StreamKey, Damage> {
    let mut reader = Reader(key.get(1..).ok_or(Damage)?);
    let tenant = reader.tenant()?;
    reader.number()?;
    let partition = Partition { tenant, space: reader.space()?, id: reader.take()? };
    Ok(StreamKey { partition, stream: reader.number()? })
}

/// A value to be written under a key.
pub(super) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(payload.len() + 9);
    value.push(VERSION);
    value.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    value.extend(checksum(key, payload).to_be_bytes());
    value.extend(payload);
    value
}

/// What was written under that key.
pub(super) fn unseal<'v>(key: &[u8], value: &'v [u8]) -> Result<&'v [u8], Damage> {
    let mut reader = Reader(value);
    let [version] = reader.take()?;
    let (length, sum) = (u32::from_be_bytes(reader.take()?), u32::from_be_bytes(reader.take()?));
    let payload = reader.0;
    let right = version == VERSION && length as usize == payload.len() && sum == checksum(key, payload);
    if right { Ok(payload) } else { Err(Damage) }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

/// A bucket as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BucketHead {
    /// The place of the newest key: places are never used again.
    pub(super) last: u64,
    pub(super) filled: Filled,
}

impl BucketHead {
    pub(super) fn write(&self) -> Vec<u8> {
        [self.last, self.filled.keys, self.filled.bytes].map(u64::to_be_bytes).concat()
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(payload);
        let last = reader.number()?;
        Ok(Self { last, filled: Filled { keys: reader.number()?, bytes: reader.number()? } })
    }
}

/// Where a key's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) place: u64,
    /// Of the value.
    pub(super) bytes: u64,
}

impl Placed {
    pub(super) fn write(&self) -> Vec<u8> {
        [self.place, self.bytes].map(u64::to_be_bytes).concat()
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(payload);
        Ok(Self { place: reader.number()?, bytes: reader.number()? })
    }

    pub(super) fn value_bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

/// A stream's header as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) last: Seq,
    pub(super) gone: Seq,
    /// Of the events that are there, as limits count them.
    pub(super) bytes: u64,
    pub(super) created: StoreTime,
    /// Of the final event; none while there is none.
    pub(super) expires: Option<StoreTime>,
    /// Of the last event, to know it again.
    pub(super) last_sum: u32,
    pub(super) about: Vec<u8>,
    /// All of its events, the last of them final: of a stream that was complete when it began. Of others, each lies by itself.
    pub(super) said: Vec<Said>,
}

/// An event that lies in its stream's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) seq: Seq,
    pub(super) data: Bytes,
}

impl Said {
    /// What one takes of a head.
    pub(super) fn bytes(data_bytes: usize) -> usize {
        data_bytes.saturating_add(12)
    }
}

/// What a head says of itself: there is a final event; or all events lie behind `about`, which has its length before it then.
const COMPLETE: u8 = 1;
const WHOLE: u8 = 3;

impl From<Head> for Header {
    fn from(head: Head) -> Self {
        Self { about: head.about.into(), last: head.last, gone: head.gone, complete: head.expires.is_some() }
    }
}

impl Head {
    /// Those that lie in it.
    pub(super) fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let last = self.last;
        self.said.iter().map(move |said| Event { seq: said.seq, is_final: said.seq == last, data: said.data.clone() })
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let said_bytes: usize = self.said.iter().map(|said| Said::bytes(said.data.len())).sum();
        let mut bytes = Vec::with_capacity(49 + self.about.len() + said_bytes);
        for number in [self.last.0, self.gone.0, self.bytes, self.created.0] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.push(match self.expires {
            None => 0,
            Some(_) if self.said.is_empty() => COMPLETE,
            Some(_) => WHOLE,
        });
        bytes.extend(self.expires.unwrap_or_default().0.to_be_bytes());
        bytes.extend(self.last_sum.to_be_bytes());
        // Both are far shorter than such a number can say.
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
        if !self.said.is_empty() {
            bytes.extend(length(&self.about));
        }
        bytes.extend(&self.about);
        for said in &self.said {
            bytes.extend(said.seq.0.to_be_bytes());
            bytes.extend(length(&said.data));
            bytes.extend(&said.data);
        }
        bytes
    }

    pub(super) fn read(payload: &[u8]) -> Result<Self, Damage> {
        let mut reader = Reader(payload);
        let (last, gone) = (Seq(reader.number()?), Seq(reader.number()?));
        let (bytes, created) = (reader.number()?, StoreTime(reader.number()?));
        let [form] = reader.take()?;
        let expires = Some(StoreTime(reader.number()?)).filter(|_| form != 0);
        let last_sum = u32::from_be_bytes(reader.take()?);
        let (about, mut said) = match form {
            0 | COMPLETE => (std::mem::take(&mut reader.0), Vec::new()),
            WHOLE => (reader.bytes()?, Vec::new()),
            _ => return Err(Damage),
        };
        while !reader.0.is_empty() {
            said.push(Said { seq: Seq(reader.number()?), data: Bytes::copy_from_slice(reader.bytes()?) });
        }
        Ok(Self { last, gone, bytes, created, expires, last_sum, about: about.to_vec(), said })
    }
}
