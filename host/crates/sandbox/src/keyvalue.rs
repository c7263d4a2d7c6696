//! Values that guests keep: `wasi:keyvalue` becomes operations on buckets, which the host carries out. Nothing is kept here: a run that was
//! given no [`KeyValue`] keeps nothing.

use crate::bindings::keeping::wasi::keyvalue::store::{Error, KeyResponse};
use crate::bindings::keeping::wasi::keyvalue::{atomics, batch, store};
use crate::grants::{BucketGrant, Several};
use crate::learn::Wanted;
use crate::state::State;
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use wasmtime::component::Resource;

/// An operation under way. Dropping it takes nothing back that was begun.
pub type Keeping<T> = Pin<Box<dyn Future<Output = Result<T, KeyFault>> + Send>>;

/// Some keys of a bucket, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<String>,
    /// None at the end.
    pub next: Option<u64>,
}

/// Keeps values of one call: the host's side of it. A bucket that is named here is one that the permit carries.
pub trait KeyValue: Send + Sync + fmt::Debug {
    /// Hears that the guest wanted a bucket that it does not have.
    fn denied(&self, bucket: &str);

    /// The values of those keys, in their order.
    fn get(&self, bucket: &BucketGrant, keys: Vec<String>) -> Keeping<Vec<Option<Bytes>>>;

    /// Gives all those keys their values, or none of them.
    fn set(&self, bucket: &BucketGrant, values: Vec<(String, Vec<u8>)>) -> Keeping<()>;

    /// Takes all those keys away.
    fn delete(&self, bucket: &BucketGrant, keys: Vec<String>) -> Keeping<()>;

    /// Adds to the number there in one step; what it is then.
    fn increment(&self, bucket: &BucketGrant, key: String, delta: u64) -> Keeping<u64>;

    /// Keys after a place.
    fn keys(&self, bucket: &BucketGrant, after: Option<u64>) -> Keeping<KeyList>;
}

/// Why an operation was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A limit would be passed; which, as one word, and what the guest is told.
    #[error("{1}")]
    Denied(&'static str, String),
    /// It cannot be done, or not now; what the guest is told.
    #[error("{0}")]
    Failed(String),
}

impl From<KeyFault> for Error {
    fn from(fault: KeyFault) -> Self {
        Self::Other(fault.to_string())
    }
}

/// A bucket that a guest has open.
#[expect(unreachable_pub, reason = "the generated bindings give it their own name, which they export")]
pub struct Opened(BucketGrant);

/// What a store has of it.
pub(crate) struct Keeper {
    host: Option<Arc<dyn KeyValue>>,
    granted: Several<BucketGrant>,
}

/// An answer that the guest can handle; what is no answer ends it.
type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Keeper {
    pub(crate) fn new(granted: &Several<BucketGrant>, host: Option<Arc<dyn KeyValue>>) -> Self {
        Self { host, granted: granted.clone() }
    }

    /// Of another call from now on, or of none.
    pub(crate) fn look_outward(&mut self, host: Option<Arc<dyn KeyValue>>) {
        self.host = host;
    }

    fn open(&self, name: &str) -> Result<Opened, Error> {
        let granted = self.granted.iter().find(|granted| granted.name.as_str() == name);
        if granted.is_none()
            && let Some(host) = &self.host
        {
            host.denied(name);
        }
        granted.map(|granted| Opened(granted.clone())).ok_or(Error::AccessDenied)
    }
}

impl State {
    async fn keep<T>(&mut self, bucket: &Resource<Opened>, operation: impl FnOnce(&dyn KeyValue, &BucketGrant) -> Keeping<T>) -> Answer<T> {
        let (keeper, table) = self.keeping();
        let Opened(granted) = table.get(bucket)?;
        let Some(host) = &keeper.host else { return Ok(Err(Error::AccessDenied)) };
        let under_way = operation(&**host, granted);
        Ok(under_way.await.map_err(Error::from))
    }

    async fn get_all(&mut self, bucket: &Resource<Opened>, keys: Vec<String>) -> Answer<Vec<Option<Bytes>>> {
        self.keep(bucket, |host, granted| host.get(granted, keys)).await
    }
}

impl store::Host for State {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Opened>> {
        let (keeper, table) = self.keeping();
        match keeper.open(&identifier) {
            Ok(opened) => Ok(Ok(table.push(opened)?)),
            Err(error) => {
                self.wants(Wanted::Bucket(&identifier));
                Ok(Err(error))
            }
        }
    }
}

impl store::HostBucket for State {
    async fn get(&mut self, bucket: Resource<Opened>, key: String) -> Answer<Option<Vec<u8>>> {
        let values = self.get_all(&bucket, vec![key]).await?;
        Ok(values.map(|values| values.into_iter().flatten().next().map(Vec::from)))
    }

    async fn set(&mut self, bucket: Resource<Opened>, key: String, value: Vec<u8>) -> Answer<()> {
        self.keep(&bucket, |host, granted| host.set(granted, vec![(key, value)])).await
    }

    async fn delete(&mut self, bucket: Resource<Opened>, key: String) -> Answer<()> {
        self.keep(&bucket, |host, granted| host.delete(granted, vec![key])).await
    }

    async fn exists(&mut self, bucket: Resource<Opened>, key: String) -> Answer<bool> {
        let values = self.get_all(&bucket, vec![key]).await?;
        Ok(values.map(|values| values.into_iter().flatten().next().is_some()))
    }

    async fn list_keys(&mut self, bucket: Resource<Opened>, cursor: Option<u64>) -> Answer<KeyResponse> {
        let listed = self.keep(&bucket, |host, granted| host.keys(granted, cursor)).await?;
        Ok(listed.map(|KeyList { keys, next }| KeyResponse { keys, cursor: next }))
    }

    async fn drop(&mut self, bucket: Resource<Opened>) -> wasmtime::Result<()> {
        let (_, table) = self.keeping();
        table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for State {
    async fn increment(&mut self, bucket: Resource<Opened>, key: String, delta: u64) -> Answer<u64> {
        self.keep(&bucket, |host, granted| host.increment(granted, key, delta)).await
    }
}

impl batch::Host for State {
    async fn get_many(&mut self, bucket: Resource<Opened>, keys: Vec<String>) -> Answer<Vec<Option<(String, Vec<u8>)>>> {
        let values = self.get_all(&bucket, keys.clone()).await?;
        let pairs = |values: Vec<Option<Bytes>>| keys.into_iter().zip(values).map(|(key, value)| Some((key, Vec::from(value?)))).collect();
        Ok(values.map(pairs))
    }

    async fn set_many(&mut self, bucket: Resource<Opened>, key_values: Vec<(String, Vec<u8>)>) -> Answer<()> {
        self.keep(&bucket, |host, granted| host.set(granted, key_values)).await
    }

    async fn delete_many(&mut self, bucket: Resource<Opened>, keys: Vec<String>) -> Answer<()> {
        self.keep(&bucket, |host, granted| host.delete(granted, keys)).await
    }
}
