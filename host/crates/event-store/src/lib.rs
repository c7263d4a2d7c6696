//! The store behind sessions, event streams and tasks: what was acknowledged is there after a crash.
//!
//! It holds bytes that it does not understand. Everything in it belongs to a [`Partition`] (a tenant, and one session or task of it), and
//! every operation names one: isolation is a type, not a filter.
//!
//! # The contract
//!
//! [`EventStore`] is kept by every back end, and `contract` is the test-suite that each of them passes.
//!
//! 1. **Acknowledged is durable.** An operation that writes answers `Ok` only after what it wrote is durable by the back end's
//!    [`Durability`]; only then is it visible to reads. So an event id may be shown to a client once `append` answered, and not before.
//! 2. **Order.** Writes are queued when the method is called, not when its future is polled, and are applied in that order. Dropping the
//!    future takes nothing back. What is queued before the first of its futures is polled is made durable together where a back end can.
//! 3. **A stream is a ring.** It is begun by `open` in a partition that has a record, with events if there are any already, all of it or
//!    nothing; it grows by `append` with numbers that only grow (holes
//!    are allowed: an event that could not be stored leaves one), and keeps its last [`Settings::ring_events_max`] events within
//!    [`Settings::stream_bytes_max`]. What leaves it leaves in the same atomic write that pushed it out. A [`Kind::Final`] event is the
//!    last one of its stream; it stays until its own time is over, whatever else is evicted.
//! 4. **Reads are exact.** Events of that stream alone, strictly after the number given, ascending, each once, byte for byte; and a word
//!    about whether some that came after that number are gone ([`Page::gap`]).
//! 5. **Retries are harmless.** The same event appended again is `Ok`; other bytes under a number that was used, a smaller number, or
//!    anything after the final event is [`StoreError::Conflict`].
//! 6. **Removal is whole.** After `remove` nothing of the partition is there; a late `append` to it is [`StoreError::Unknown`] and brings
//!    nothing back.
//! 7. **Limits hold by tenant.** A tenant beyond [`Settings::tenant_bytes_max`] loses its own oldest events (never a final one within its
//!    time); if that is not enough it gets [`StoreError::Full`]. Others lose nothing. Beyond [`Settings::total_bytes_max`] whoever keeps
//!    the most gives first, in the same way.
//! 8. **Nothing false is served.** Records carry version, length and checksum; one that does not fit is never returned.
//! 9. **Failure is said, and ends.** While the disk refuses, writes answer [`StoreError::Unavailable`] at once, [`EventStore::health`]
//!    says why, and the store tries by itself until it works again.
//! 10. **A bucket is its owner's alone.** What stands under a key of a [`Bucket`] stays until it is changed: nothing of it expires, nothing is
//!     evicted, and rules 1, 2, 8 and 9 hold for it. All changes of one call happen together or not at all. A key's value is read and written
//!     again in one step by [`EventStore::decide`]. Beyond the bucket's limits, or the tenant's for all of its buckets, what would make more of
//!     it is [`StoreError::Quota`]; it counts for the tenant and in total like everything else, and pushes older events out.
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

mod buckets;
mod clock;
mod limits;
mod memory;
mod sled;
#[cfg(test)]
mod tests;

pub use buckets::{Bucket, Change, Decide, Filled, KeyPage, Quota};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// On whose behalf something is kept. 1 to 64 bytes of text; keys prefix it with its length, so no two names run together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantKey(Arc<str>);

impl TenantKey {
    /// `None` if it is empty or longer than 64 bytes.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        (1..=64).contains(&name.len()).then(|| Self(name.into()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a partition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// A session of the handshake era.
    Session,
    /// A task of the tasks extension.
    Task,
}

/// The unit of isolation and of removal: one session or one task of one tenant. Has at most one record, and any number of streams.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    /// Whose.
    pub tenant: TenantKey,
    /// What it is about.
    pub space: Space,
    /// Which one: 128 bits of randomness that the gateway made.
    pub id: [u8; 16],
}

impl Partition {
    /// Its id as 32 hexadecimal digits.
    #[must_use]
    pub fn id_text(&self) -> String {
        HEXLOWER.encode(&self.id)
    }
}

/// One stream of a partition. The number's meaning is the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// Where.
    pub partition: Partition,
    /// Which.
    pub stream: u64,
}

/// A place in a stream: events are numbered from 1, 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(pub u64);

/// What an event means for its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// More may follow.
    Message,
    /// The last one: the stream stays readable for so long after it, counted from when it is stored.
    Final {
        /// How long.
        keep_for: Duration,
    },
}

/// An event to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Larger than every number that the stream has had.
    pub seq: Seq,
    /// Whether it is the last one.
    pub kind: Kind,
    /// At most [`Settings::event_bytes_max`].
    pub data: Bytes,
}

/// An event as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub seq: Seq,
    /// Whether it is its stream's last one.
    pub is_final: bool,
    /// What `append` was given.
    pub data: Bytes,
}

/// What is known of a stream without reading its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What `open` was given.
    pub about: Bytes,
    /// The newest event; 0 if there was none yet.
    pub last: Seq,
    /// Every event up to this one is gone: pushed out of the ring, or evicted.
    pub gone: Seq,
    /// Its final event is stored.
    pub complete: bool,
}

/// Part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Strictly after the number that was asked for, ascending.
    pub events: Vec<Event>,
    /// Some events after that number were stored once and are gone.
    pub gap: bool,
    /// Nothing that is stored now comes after this page.
    pub end: bool,
    /// The final event is stored; not necessarily in this page.
    pub complete: bool,
}

/// A record of a partition: a session's or a task's state, in its owner's own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// At most [`Settings::event_bytes_max`].
    pub data: Bytes,
    /// When the partition may be swept away, by [`EventStore::now`].
    pub expires: StoreTime,
}

/// The store's own time in milliseconds: it never goes back, never jumps when the wall clock is set, and goes on over restarts (while the
/// gateway was down it advanced by the machine's uptime, or, over a reboot, by the wall clock within reason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StoreTime(pub u64);

impl StoreTime {
    /// So much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// When a write is acknowledged, and what can then still be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// The disk has it: survives a power cut.
    #[default]
    Fsync,
    /// The operating system has it: survives a killed process; a power cut may take the last moments.
    Os,
    /// Nothing is promised. The back ends give what [`Durability::Os`] gives.
    None,
}

/// What a store keeps, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When a write is acknowledged.
    pub durability: Durability,
    /// Events that a stream keeps.
    pub ring_events_max: u64,
    /// Bytes of events that a stream keeps; the newest event always stays.
    pub stream_bytes_max: u64,
    /// Bytes of one event or record.
    pub event_bytes_max: usize,
    /// Bytes of everything of one tenant.
    pub tenant_bytes_max: u64,
    /// Bytes of everything.
    pub total_bytes_max: u64,
    /// What all buckets of one tenant hold together.
    pub tenant_buckets_max: Filled,
    /// Memory for what was read lately.
    pub cache_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durability: Durability::Fsync,
            ring_events_max: 100,
            stream_bytes_max: 4 << 20,
            event_bytes_max: 16 << 20,
            tenant_bytes_max: 256 << 20,
            total_bytes_max: 2 << 30,
            tenant_buckets_max: Filled { keys: 100_000, bytes: 64 << 20 },
            cache_bytes: 64 << 20,
        }
    }
}

/// Why an operation was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk refuses, or too much waits for it. Nothing is lost that was acknowledged; the same call may work later.
    #[error("the store cannot be used now: {reason}")]
    Unavailable {
        /// The write may have happened all the same: try the same again, never another one in its place.
        maybe_applied: bool,
        /// Why, for the operator's log.
        reason: String,
    },
    /// There is no such stream: it was never opened, or it is gone.
    #[error("there is no such stream")]
    Unknown,
    /// The stream has gone on without this writer.
    #[error("the stream is at {} already", .last.0)]
    Conflict {
        /// Where it is.
        last: Seq,
    },
    /// More bytes than one event or record may have.
    #[error("{bytes} bytes are more than the {limit} that an event may have")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The tenant, or the whole store, keeps as much as it may, all of it protected by its time to live.
    #[error("the store keeps as much of this tenant as it may")]
    Full,
    /// There would be more in a bucket, or in all buckets of the tenant, than there may be.
    #[error("there would be too many {0}")]
    Quota(Quota),
    /// What is stored there is damaged. It is not served.
    #[error("a stored record is damaged")]
    Damaged,
}

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Why nothing can be stored now; none if all is well.
    pub degraded: Option<String>,
    /// Where a damaged store was set aside by this process; a fresh one took its place.
    pub quarantined: Option<PathBuf>,
    /// Counted up whenever a fresh store took the place of the one before it: whoever keeps records should put them again.
    pub generation: u64,
    /// Operations that failed for the store's own reasons since it was opened.
    pub errors: u64,
    /// Those of them that wanted to read.
    pub read_errors: u64,
}

/// What is in a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// `sled` or `memory`.
    pub backend: &'static str,
    /// Session records.
    pub sessions: u64,
    /// Task records.
    pub tasks: u64,
    /// Streams.
    pub streams: u64,
    /// Events.
    pub events: u64,
    /// Buckets in which there was something once, with what is in them.
    pub buckets: Vec<(Bucket, Filled)>,
    /// Bytes of all of it, as limits count them, by tenant.
    pub bytes_by_tenant: Vec<(TenantKey, u64)>,
    /// Bytes on the disk.
    pub disk_bytes: u64,
}

/// What a sweep took away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Partitions whose time was over, gone with their streams.
    pub partitions: Vec<Partition>,
    /// Streams whose time was over.
    pub streams: u64,
    /// There may be more: sweep again.
    pub more: bool,
}

/// Where a page of a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) Vec<u8>);

/// A page of a walk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    /// In the store's own order.
    pub items: Vec<Item>,
    /// Where to go on; none at the end.
    pub next: Option<Cursor>,
}

/// Something that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A partition's record.
    Record(Partition, Record),
    /// A stream.
    Stream(StreamKey, Header),
    /// An event of a stream.
    Event(StreamKey, Event),
    /// A bucket's key with its value.
    Entry(Bucket, Bytes, Bytes),
    /// Something that does not fit its checksum, its key or its length.
    Damaged,
}

/// An operation under way. See rule 2 of the contract.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'static>>;

/// The store. See the crate's own page for the contract.
pub trait EventStore: Send + Sync + fmt::Debug {
    /// Begins a stream and keeps `about` (at most 4 KiB) with it, and the events that it has already: all of it or nothing. A stream that is
    /// complete at once costs little more than one write. Opening it again with the same words, and as far as those events, is `Ok`; anything
    /// else a conflict. [`StoreError::Unknown`] if the partition has no record.
    fn open(&self, stream: &StreamKey, about: Bytes, said: Vec<NewEvent>) -> Pending<()>;

    /// Adds an event.
    fn append(&self, stream: &StreamKey, event: NewEvent) -> Pending<()>;

    /// What is known of a stream; none if it is not there.
    fn header(&self, stream: &StreamKey) -> Pending<Option<Header>>;

    /// The next events after `after`: at most `events_max`, and no more once `bytes_max` is passed, but one at least if there is one.
    /// [`StoreError::Unknown`] if the stream is not there, or never had an event of a number as large as `after`.
    fn read(&self, stream: &StreamKey, after: Seq, events_max: usize, bytes_max: usize) -> Pending<Page>;

    /// Writes the partition's record, in place of the one before it. Streams of the partition stay.
    fn put(&self, partition: &Partition, record: Record) -> Pending<()>;

    /// The partition's record.
    fn get(&self, partition: &Partition) -> Pending<Option<Record>>;

    /// Takes the partition away with all its streams. One that is not there is no error.
    fn remove(&self, partition: &Partition) -> Pending<()>;

    /// Records of a space in a fixed order, at most `max`, after the one of `after`. For the start of a process, not for requests: it
    /// crosses tenants.
    fn list(&self, space: Space, after: Option<&Partition>, max: usize) -> Pending<Vec<(Partition, Record)>>;

    /// The values of those keys of a bucket, in their order. [`StoreError::TooLarge`] if they have more bytes together than `bytes_max`.
    fn values(&self, bucket: &Bucket, keys: Vec<Bytes>, bytes_max: usize) -> Pending<Vec<Option<Bytes>>>;

    /// The next keys of a bucket after a place, 0 for the first: at most `keys_max`, and no more once `bytes_max` is passed, but one at least
    /// if there is one. A place stays one: keys that stay are neither left out nor told twice, whatever is done to others meanwhile.
    fn keys(&self, bucket: &Bucket, after: u64, keys_max: usize, bytes_max: usize) -> Pending<KeyPage>;

    /// Changes keys of a bucket, all of them or none. Of several changes of one key the last one counts.
    fn change(&self, bucket: &Bucket, changes: Vec<Change>, limits: Filled) -> Pending<()>;

    /// Gives a key the value that is decided on for it, between all other writes. The value that it has then.
    fn decide(&self, bucket: &Bucket, key: Bytes, decide: Decide, limits: Filled) -> Pending<Option<Bytes>>;

    /// Takes some thousand keys of a bucket away. Whether there are more.
    fn clear(&self, bucket: &Bucket) -> Pending<bool>;

    /// Takes away what has expired: partitions by their record's time, streams by their final event's. At most some thousand at once.
    fn sweep(&self) -> Pending<Swept>;

    /// What each tenant keeps, in bytes as limits count them. Cheaper than [`EventStore::statistics`], which looks at everything.
    fn usage(&self) -> Pending<Vec<(TenantKey, u64)>>;

    /// Counts what is there.
    fn statistics(&self) -> Pending<Statistics>;

    /// Some of what is there, as it lies: records first, then streams, then events, some of them behind their streams, then entries of
    /// buckets. A page has about as many as `max`. `after` is where the page before ended. For verifying and exporting, not for requests: it
    /// crosses tenants. What is damaged is told and passed over.
    fn walk(&self, after: Option<Cursor>, max: usize) -> Pending<Walk>;

    /// How it is. Cheap: does not touch the disk.
    fn health(&self) -> Health;

    /// Counted up by every start: tells what this process made from what an earlier one left.
    fn incarnation(&self) -> u32;

    /// The time by which records expire.
    fn now(&self) -> StoreTime;
}

/// A store in memory: keeps the contract while the process lives.
#[must_use]
pub fn memory(settings: Settings) -> Arc<dyn EventStore> {
    Arc::new(memory::Memory::new(settings))
}

/// What to do when the directory cannot be used at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Give up.
    Required,
    /// Begin degraded, and try until it can.
    Degraded,
    /// For looking: a store that is not there is not made, and one that is damaged is told of and left as it is.
    Look,
}

/// Why a store is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process", .path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// Written by a later version. Nothing was touched.
    #[error("{} was written by a newer version: its format is {found}, and this version knows {known}", .path.display())]
    Newer {
        /// The store's directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one that this version knows.
        known: u32,
    },
    /// There is none. Only said to who looks.
    #[error("there is no store in {}", .path.display())]
    Missing {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// It makes no sense. Only said to who looks: otherwise it is set aside.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The store's directory.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The disk refuses.
    #[error("{} cannot be used: {reason}", .path.display())]
    Unusable {
        /// What was not to be opened.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A durable store in a directory, which is made if it is not there. Blocks while it recovers what a crash left. Its writer ends, with
/// everything that was queued written, when the last handle is dropped.
///
/// A damaged database is renamed to `sled.corrupt-…` beside it, and an empty one takes its place: see [`Health::quarantined`].
///
/// # Errors
///
/// [`OpenError::Locked`] and [`OpenError::Newer`] always, [`OpenError::Unusable`] unless it may begin degraded; who only looks gets
/// [`OpenError::Missing`] and [`OpenError::Damaged`] besides.
pub fn sled(directory: &Path, settings: Settings, start: Start) -> Result<Arc<dyn EventStore>, OpenError> {
    sled::open(directory, settings, start)
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Entries of the database, all of which were copied.
    pub entries: u64,
    /// On the disk, before.
    pub bytes_before: u64,
    /// On the disk, after.
    pub bytes_after: u64,
}

/// Writes a store that nobody has open anew, into files that hold nothing else. `progress` is told of entries as they are copied. At no
/// moment is there less than one whole store: the new one takes the old one's place in one step.
///
/// # Errors
///
/// As of opening it to look, and when the disk refuses; the store is then as it was.
pub fn compact(directory: &Path, settings: &Settings, progress: &mut dyn FnMut(u64)) -> Result<Compacted, OpenError> {
    sled::compact(directory, settings, progress)
}
