//! Room for request bodies: how many bytes all that are in flight may hold together, and those of one tenant (reliability O10).
//!
//! Room is taken as bytes come, not as they are announced, so that whoever sends slowly holds what it has sent. A first part of each body is
//! free: small requests, which most are, never wait for large ones of others. It is given back when the request was answered, or its
//! stream begins.

use super::body::NoBody;
use crate::config::{HttpLimits, TenantId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Of each body. As many of these as there are connections and streams are within what those may have.
const FREE_BYTES: u64 = 16 << 10;

/// What bodies hold.
#[derive(Debug)]
pub struct Room {
    bytes_max: u64,
    per_tenant_max: u64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: u64,
    /// Tenants that hold something.
    by_tenant: HashMap<TenantId, u64>,
}

/// Why a body is not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// There is none.
    NoBody(NoBody),
    /// All bodies hold as much as they may.
    Full,
    /// Those of the tenant do.
    TenantFull,
}

impl From<NoBody> for Unread {
    fn from(reason: NoBody) -> Self {
        Self::NoBody(reason)
    }
}

/// What one body holds; given back on drop.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Room>,
    tenant: TenantId,
    bytes: u64,
}

impl Room {
    /// Within these limits.
    pub fn new(limits: &HttpLimits) -> Self {
        Self { bytes_max: limits.bodies_bytes_max, per_tenant_max: limits.bodies_per_tenant_bytes_max, held: Mutex::default() }
    }

    /// How many bytes are held, beyond the free parts.
    pub(super) fn held(&self) -> u64 {
        self.held.lock().all
    }

    /// For a body of which nothing has come yet.
    pub(super) fn share(self: &Arc<Self>, tenant: &TenantId) -> Share {
        Share { room: Arc::clone(self), tenant: tenant.clone(), bytes: 0 }
    }
}

impl Share {
    /// So many bytes have come in all.
    pub(super) fn grow(&mut self, received: u64) -> Result<(), Unread> {
        let more = received.saturating_sub(FREE_BYTES).saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut held = self.room.held.lock();
        let of_tenant = held.by_tenant.get(&self.tenant).copied().unwrap_or_default().saturating_add(more);
        if of_tenant > self.room.per_tenant_max {
            return Err(Unread::TenantFull);
        }
        let all = held.all.saturating_add(more);
        if all > self.room.bytes_max {
            return Err(Unread::Full);
        }
        held.all = all;
        held.by_tenant.insert(self.tenant.clone(), of_tenant);
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.room.held.lock();
        held.all = held.all.saturating_sub(self.bytes);
        if let Some(of_tenant) = held.by_tenant.get_mut(&self.tenant) {
            *of_tenant = of_tenant.saturating_sub(self.bytes);
            if *of_tenant == 0 {
                held.by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(bytes_max: u64, per_tenant_max: u64) -> Arc<Room> {
        Arc::new(Room { bytes_max, per_tenant_max, held: Mutex::default() })
    }

    #[test]
    fn a_share_is_what_came_and_comes_back() {
        let room = room(100_000, 60_000);
        let [a, b] = ["a", "b"].map(TenantId::of);
        let mut first = room.share(&a);
        for received in [1, FREE_BYTES, FREE_BYTES + 50_000, FREE_BYTES + 50_000] {
            assert_eq!(first.grow(received), Ok(()));
        }
        let mut second = room.share(&a);
        assert_eq!(second.grow(FREE_BYTES + 10_001), Err(Unread::TenantFull));
        assert_eq!(second.grow(FREE_BYTES + 10_000), Ok(()), "what was refused took nothing");
        let mut third = room.share(&b);
        assert_eq!(third.grow(FREE_BYTES + 40_001), Err(Unread::Full));
        assert_eq!(third.grow(FREE_BYTES + 40_000), Ok(()));
        assert_eq!(room.share(&b).grow(FREE_BYTES), Ok(()), "small ones find room always");
        drop((first, second));
        assert_eq!(room.share(&b).grow(FREE_BYTES + 20_000), Ok(()));
        drop(third);
        let held = room.held.lock();
        assert_eq!((held.all, held.by_tenant.len()), (0, 0), "nothing is left");
    }
}
