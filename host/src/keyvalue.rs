//! Values that guests keep: where, and how much. [`KeyValues`] makes what keeps them for one call, [`Of`]: the sandbox hands operations to it,
//! each with a bucket that the call's permit carries.
//!
//! A bucket is of one plugin of one tenant: its place in the store is made here, of the call's tenant and of what the grant says, and of nothing
//! that a guest says but a name that was granted. Nothing of it is kept in memory between two operations.
//!
//! The store takes writes when it is asked and carries them out by itself: a call that is dropped meanwhile leaves what it asked for, or nothing of
//! it, and never a part.

use crate::journal::{Journal, Kind, OfGuest};
use crate::metrics;
use crate::trace::Span;
use bytes::Bytes;
use event_store::{Bucket, Change, Decide, EventStore, Filled, Quota, StoreError, TenantKey};
use sandbox::{BucketGrant, BucketTerms, Keeping, KeyFault, KeyList, KeyValue};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tokio::sync::oneshot;

/// Keys, and bytes of keys, in one page of a list.
const PAGE_KEYS_MAX: usize = 500;
const PAGE_BYTES_MAX: usize = 64 << 10;
/// Bytes of all values that one operation answers with.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Operations of one call that have spans, and refusals that have lines of their own. What a call tries beyond is counted.
const TOLD_MAX: u32 = 64;
/// Of a bucket's name in a line.
const NAME_BYTES_MAX: usize = 200;

/// Keeps values of guests.
pub struct KeyValues {
    /// None where the settings keep nothing.
    store: Option<Arc<dyn EventStore>>,
    journal: Arc<Journal>,
}

impl fmt::Debug for KeyValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyValues").field("kept", &self.store.is_some()).finish_non_exhaustive()
    }
}

/// The call that values are of.
#[derive(Debug)]
pub struct Of {
    /// Whose values they are.
    pub guest: OfGuest,
    /// The guest's.
    pub span: Span,
}

impl KeyValues {
    /// In that store; without one nothing is kept, and every operation says so.
    pub fn new(store: Option<Arc<dyn EventStore>>, journal: Arc<Journal>) -> Arc<Self> {
        Arc::new(Self { store, journal })
    }

    /// What keeps values of one call.
    pub fn of_call(self: &Arc<Self>, of: Of) -> Arc<dyn KeyValue> {
        Arc::new(Call(Arc::new(Told {
            all: Arc::clone(self),
            of,
            operations: AtomicU32::new(0),
            begun: AtomicU32::new(0),
            refused: AtomicU32::new(0),
        })))
    }
}

#[derive(Debug)]
struct Call(Arc<Told>);

/// What a call did so far, and where it is told.
#[derive(Debug)]
struct Told {
    all: Arc<KeyValues>,
    of: Of,
    /// Keys that it asked for, whatever became of them.
    operations: AtomicU32,
    begun: AtomicU32,
    refused: AtomicU32,
}

/// An operation that may be carried out: where.
struct Place {
    store: Arc<dyn EventStore>,
    bucket: Bucket,
    limits: Filled,
}

impl Told {
    /// Looks at an operation on some keys before anything is done, and finds its place.
    fn enter<'a>(&self, granted: &BucketGrant, count: usize, mut keys: impl Iterator<Item = &'a String>) -> Result<Place, KeyFault> {
        let terms = &granted.terms;
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        let before = self.operations.fetch_update(Relaxed, Relaxed, |before| Some(before.saturating_add(count))).unwrap_or(u32::MAX);
        if before.saturating_add(count) > terms.operations_max {
            return Err(denied("operations", format!("a call may ask for {} keys at most, all operations together", terms.operations_max)));
        }
        if let Some(key) = keys.find(|key| key.len() > terms.key_bytes_max) {
            return Err(denied("key_size", format!("a key has {} bytes; it may have {}", key.len(), terms.key_bytes_max)));
        }
        let Some(store) = &self.all.store else {
            return Err(denied("no_store", "this gateway keeps nothing: its settings say `store.backend = \"none\"`".to_owned()));
        };
        let tenant = TenantKey::new(self.of.guest.tenant.as_str());
        let bucket = tenant.and_then(|tenant| Bucket::new(tenant, &terms.owner, granted.name.as_str()));
        let bucket = bucket.ok_or_else(|| KeyFault::Failed("there is no place for a bucket of this name".to_owned()))?;
        Ok(Place { store: Arc::clone(store), bucket, limits: Filled { keys: terms.keys_max, bytes: terms.bytes_max } })
    }

    fn span(&self, operation: &'static str, terms: &BucketTerms) -> Span {
        let is_told = self.begun.fetch_add(1, Relaxed) < TOLD_MAX;
        let span = if is_told { self.of.span.child("keyvalue") } else { Span::default() };
        span.word("db.operation.name", operation);
        span.text("gatehouse.grant", &terms.grant);
        span
    }

    fn refused(&self, word: &'static str, bucket: &str) {
        metrics::KEYVALUE_DENIED.count(word);
        if self.refused.fetch_add(1, Relaxed) < TOLD_MAX {
            let bucket = mcp::text::line(bucket, NAME_BYTES_MAX);
            self.of.guest.note_refusal(&self.all.journal, Kind::KeyvalueDenied, word, Some(format_args!("{bucket}")));
        }
    }

    /// Says how an operation ended to whoever keeps count.
    fn tell<T>(&self, (span, bucket): (&Span, &BucketGrant), result: Result<T, KeyFault>) -> Result<T, KeyFault> {
        match &result {
            Ok(_) => {}
            Err(KeyFault::Denied(word, _)) => {
                span.failed(word);
                self.refused(word, bucket.name.as_str());
            }
            Err(KeyFault::Failed(_)) => span.failed("store"),
        }
        result
    }
}

impl Call {
    /// One operation, from its first look at the keys to its last word.
    fn operate<T, W>(
        &self,
        (operation, granted): (&'static str, &BucketGrant),
        entered: Result<Place, KeyFault>,
        work: impl FnOnce(Place, Arc<BucketTerms>) -> W + Send + 'static,
    ) -> Keeping<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, KeyFault>> + Send + 'static,
    {
        let (told, granted) = (Arc::clone(&self.0), granted.clone());
        let span = told.span(operation, &granted.terms);
        Box::pin(async move {
            let done = match entered {
                Ok(place) => work(place, Arc::clone(&granted.terms)).await,
                Err(fault) => Err(fault),
            };
            told.tell((&span, &granted), done)
        })
    }
}

impl KeyValue for Call {
    fn denied(&self, bucket: &str) {
        self.0.refused("not_granted", bucket);
    }

    fn get(&self, granted: &BucketGrant, keys: Vec<String>) -> Keeping<Vec<Option<Bytes>>> {
        let entered = self.0.enter(granted, keys.len(), keys.iter());
        self.operate(("get", granted), entered, async move |Place { store, bucket, .. }, terms| {
            let keys = keys.into_iter().map(Bytes::from).collect();
            store.values(&bucket, keys, ANSWER_BYTES_MAX).await.map_err(|error| fault(error, &terms))
        })
    }

    fn set(&self, granted: &BucketGrant, values: Vec<(String, Vec<u8>)>) -> Keeping<()> {
        let max = granted.terms.value_bytes_max;
        let entered = self.0.enter(granted, values.len(), values.iter().map(|(key, _)| key));
        let entered = entered.and_then(|place| match values.iter().find(|(_, value)| value.len() > max) {
            Some((_, value)) => Err(denied("value_size", format!("a value has {} bytes; it may have {max}", value.len()))),
            None => Ok(place),
        });
        self.operate(("set", granted), entered, async move |Place { store, bucket, limits }, terms| {
            let changes = values.into_iter().map(|(key, value)| Change::Set(key.into(), value.into())).collect();
            store.change(&bucket, changes, limits).await.map_err(|error| fault(error, &terms))
        })
    }

    fn delete(&self, granted: &BucketGrant, keys: Vec<String>) -> Keeping<()> {
        let entered = self.0.enter(granted, keys.len(), keys.iter());
        self.operate(("delete", granted), entered, async move |Place { store, bucket, limits }, terms| {
            let changes = keys.into_iter().map(|key| Change::Remove(key.into())).collect();
            store.change(&bucket, changes, limits).await.map_err(|error| fault(error, &terms))
        })
    }

    fn increment(&self, granted: &BucketGrant, key: String, delta: u64) -> Keeping<u64> {
        let entered = self.0.enter(granted, 1, std::iter::once(&key));
        self.operate(("increment", granted), entered, async move |Place { store, bucket, limits }, terms| {
            let (tell, told) = oneshot::channel();
            let decide = Decide::new(move |old| {
                let sum = sum(old, delta);
                let value = sum.as_ref().ok().map(|sum| Bytes::from(sum.to_string()));
                // Whoever does not listen any more does not need to know.
                let _ = tell.send(sum);
                value
            });
            store.decide(&bucket, key.into(), decide, limits).await.map_err(|error| fault(error, &terms))?;
            let sum = told.await.map_err(|_| KeyFault::Failed("the store did not come to it".to_owned()))?;
            sum.map_err(|wrong| KeyFault::Failed(wrong.to_owned()))
        })
    }

    fn keys(&self, granted: &BucketGrant, after: Option<u64>) -> Keeping<KeyList> {
        let entered = self.0.enter(granted, 1, std::iter::empty());
        self.operate(("list", granted), entered, async move |Place { store, bucket, .. }, terms| {
            let page = store.keys(&bucket, after.unwrap_or_default(), PAGE_KEYS_MAX, PAGE_BYTES_MAX).await;
            let page = page.map_err(|error| fault(error, &terms))?;
            // They came as text.
            let keys = page.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
            Ok(KeyList { keys, next: page.next })
        })
    }
}

/// A number of decimal digits, and so much more.
fn sum(old: Option<&[u8]>, delta: u64) -> Result<u64, &'static str> {
    let old = match old {
        None => 0,
        Some(text) if !text.is_empty() && text.iter().all(u8::is_ascii_digit) => {
            let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
            number.ok_or("the value is a number of more than 64 bits")?
        }
        Some(_) => return Err("the value is no number: a counter is decimal digits"),
    };
    old.checked_add(delta).ok_or("the sum has more than 64 bits")
}

fn denied(word: &'static str, text: String) -> KeyFault {
    KeyFault::Denied(word, text)
}

/// What the store said, in words for the guest: nothing of where it is, or of others.
fn fault(error: StoreError, terms: &BucketTerms) -> KeyFault {
    match error {
        StoreError::Quota(Quota::BucketKeys) => denied("bucket_keys", format!("the bucket would have more than {} keys", terms.keys_max)),
        StoreError::Quota(Quota::BucketBytes) => {
            denied("bucket_bytes", format!("the bucket would have more than {} bytes", terms.bytes_max))
        }
        StoreError::Quota(Quota::TenantKeys) => denied("tenant_keys", "the tenant's buckets would have more keys than they may".to_owned()),
        StoreError::Quota(Quota::TenantBytes) => {
            denied("tenant_bytes", "the tenant's buckets would have more bytes than they may".to_owned())
        }
        StoreError::Full => denied("store_full", "the store keeps as much as it may".to_owned()),
        StoreError::TooLarge { bytes, limit } => {
            denied("answer_size", format!("these values have {bytes} bytes together; {limit} may be read at once: ask for fewer keys"))
        }
        StoreError::Unavailable { maybe_applied: true, .. } => {
            KeyFault::Failed("the store cannot be used now; what was asked for may have happened".to_owned())
        }
        StoreError::Unavailable { .. } | StoreError::Unknown | StoreError::Conflict { .. } | StoreError::Damaged => {
            KeyFault::Failed("the store cannot be used now; nothing happened".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TenantId;
    use sandbox::BucketName;

    fn call(store: Option<Arc<dyn EventStore>>, tenant: &str) -> Arc<dyn KeyValue> {
        let tenant = TenantId::parse(tenant).expect("a name");
        let guest = OfGuest { tenant, principal: None, server: None, plugin: "p".into(), component: String::new() };
        let of = Of { guest, span: Span::default() };
        KeyValues::new(store, Arc::new(Journal::off())).of_call(of)
    }

    fn granted(owner: &str, operations_max: u32) -> BucketGrant {
        let terms = BucketTerms {
            grant: "g".into(),
            owner: owner.into(),
            key_bytes_max: 8,
            value_bytes_max: 32,
            operations_max,
            keys_max: 3,
            bytes_max: 1_000,
        };
        BucketGrant { name: BucketName::parse("b").expect("a name"), terms: Arc::new(terms) }
    }

    fn word<T: fmt::Debug>(result: Result<T, KeyFault>) -> &'static str {
        match result.expect_err("it is refused") {
            KeyFault::Denied(word, _) => word,
            KeyFault::Failed(_) => "failed",
        }
    }

    #[tokio::test]
    async fn a_bucket_is_of_one_plugin_of_one_tenant() {
        let store = event_store::memory(event_store::Settings::default());
        let (acme, other) = (call(Some(Arc::clone(&store)), "acme"), call(Some(store), "other"));
        let (ours, theirs) = (granted("p", 100), granted("acme/p", 100));
        acme.set(&ours, vec![("k".to_owned(), b"v".to_vec())]).await.expect("set");
        let get = async |call: &Arc<dyn KeyValue>, granted| call.get(granted, vec!["k".to_owned()]).await.expect("read");
        assert_eq!(get(&acme, &ours).await, [Some(Bytes::from_static(b"v"))]);
        assert_eq!(get(&acme, &theirs).await, [None], "the plugin of that name in the tenant's own directory is another one");
        assert_eq!(get(&other, &ours).await, [None]);
        assert_eq!(other.keys(&ours, None).await, Ok(KeyList::default()));
    }

    #[tokio::test]
    async fn each_limit_has_a_word() {
        let store = event_store::memory(event_store::Settings::default());
        let call = |operations_max| (super::tests::call(Some(Arc::clone(&store)), "acme"), granted("p", operations_max));
        let (one, bucket) = call(100);
        let set = async |key: &str, bytes: usize| one.set(&bucket, vec![(key.to_owned(), vec![b'x'; bytes])]).await;
        assert_eq!(word(set("123456789", 1).await), "key_size");
        assert_eq!(word(set("1", 33).await), "value_size");
        for key in ["", "2", "3"] {
            set(key, 32).await.expect("set");
        }
        assert_eq!(word(set("4", 0).await), "bucket_keys");
        set("3", 0).await.expect("it is less than before");
        assert_eq!(word(one.increment(&bucket, "2".to_owned(), 1).await), "failed", "no number");
        one.delete(&bucket, vec!["2".to_owned(), "3".to_owned()]).await.expect("deleted");
        assert_eq!(one.increment(&bucket, "2".to_owned(), u64::MAX).await, Ok(u64::MAX));
        assert_eq!(word(one.increment(&bucket, "2".to_owned(), 1).await), "failed", "too large");
        let (few, bucket) = call(2);
        assert_eq!(word(few.get(&bucket, vec![String::new(); 3]).await), "operations");
        assert_eq!(word(few.keys(&bucket, None).await), "operations", "what was refused counts");
        assert_eq!(word(super::tests::call(None, "acme").keys(&bucket, None).await), "no_store");
    }

    #[test]
    fn a_counter_is_decimal_digits() {
        assert_eq!(sum(None, 3), Ok(3));
        assert_eq!(sum(Some(b"0041"), 1), Ok(42));
        for wrong in [&b""[..], b"-1", b"+1", b" 1", b"1.0", b"x", b"18446744073709551616", "１".as_bytes()] {
            assert!(sum(Some(wrong), 1).is_err(), "{wrong:?}");
        }
        assert_eq!(sum(Some(b"18446744073709551615"), 1), Err("the sum has more than 64 bits"));
    }
}
