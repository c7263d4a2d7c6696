//! The calls in flight, as far as a revocation has to find them.

use super::target::{Target, What, Who};
use crate::config::{ServerId, TenantId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What runs, and for whom.
#[derive(Debug, Clone)]
pub struct Work {
    /// On whose behalf.
    pub tenant: TenantId,
    /// Who vouches for the caller.
    pub issuer: Option<Arc<str>>,
    /// Who calls.
    pub subject: Option<Arc<str>>,
    /// Where; none for the default server.
    pub server: Option<ServerId>,
    /// Whose guest runs.
    pub plugin: Arc<str>,
    /// The tool's own name; none for anything else.
    pub tool: Option<Box<str>>,
}

impl Work {
    pub(super) fn who(&self) -> Who<'_> {
        Who { tenant: self.tenant.as_str(), issuer: self.issuer.as_deref(), subject: self.subject.as_deref() }
    }

    pub(super) fn what(&self) -> What<'_> {
        What { plugin: &self.plugin, tool: self.tool.as_deref(), server: self.server.as_ref().map(ServerId::as_str) }
    }
}

/// Everything that runs.
#[derive(Debug, Default)]
pub(super) struct AtWork {
    all: Mutex<All>,
    /// Something that was stopped has gone.
    left: Notify,
}

#[derive(Debug, Default)]
struct All {
    next: u64,
    by_number: HashMap<u64, (Work, Arc<CancellationToken>)>,
}

/// A place among what runs; given back on drop.
#[derive(Debug)]
pub struct Running {
    /// Fires when it is revoked. (To clone a token takes a lock.)
    pub revoked: Arc<CancellationToken>,
    number: u64,
    at_work: Arc<AtWork>,
}

impl AtWork {
    pub(super) fn enter(self: &Arc<Self>, work: Work) -> (u64, Running) {
        let revoked = Arc::new(CancellationToken::new());
        let mut all = self.all.lock();
        let number = all.next;
        all.next += 1;
        all.by_number.insert(number, (work, Arc::clone(&revoked)));
        drop(all);
        (number, Running { revoked, number, at_work: Arc::clone(self) })
    }

    pub(super) fn is_any(&self, number: u64, wanted: impl Fn(&Work) -> bool) -> bool {
        self.all.lock().by_number.get(&number).is_some_and(|(work, _)| wanted(work))
    }

    /// Stops what a target covers, once.
    pub(super) fn stop(self: &Arc<Self>, target: &Target) -> Stopping {
        let covered = |work: &Work| target.bars(work.who()) || target.hides(work.tenant.as_str(), work.what());
        let all = self.all.lock();
        let running = all.by_number.iter().filter(|(_, (work, revoked))| !revoked.is_cancelled() && covered(work));
        let (numbers, tokens): (Vec<_>, Vec<_>) = running.map(|(number, (_, revoked))| (*number, Arc::clone(revoked))).unzip();
        drop(all);
        tokens.iter().for_each(|revoked| revoked.cancel());
        Stopping { numbers, at_work: Arc::clone(self) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.at_work.all.lock().by_number.remove(&self.number);
        if self.revoked.is_cancelled() {
            self.at_work.left.notify_waiters();
        }
    }
}

/// Calls that were told to stop.
#[derive(Debug)]
pub struct Stopping {
    numbers: Vec<u64>,
    at_work: Arc<AtWork>,
}

impl Stopping {
    /// How many.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Waits until they have gone, and not longer than `limit`. Says how many have not.
    pub async fn gone(&self, limit: Duration) -> usize {
        let all = async {
            loop {
                let left = self.at_work.left.notified();
                tokio::pin!(left);
                // Before it is looked: what goes from here on is heard.
                left.as_mut().enable();
                if self.still_there() == 0 {
                    return;
                }
                left.await;
            }
        };
        match tokio::time::timeout(limit, all).await {
            Ok(()) => 0,
            Err(_) => self.still_there(),
        }
    }

    fn still_there(&self) -> usize {
        let all = self.at_work.all.lock();
        self.numbers.iter().filter(|number| all.by_number.contains_key(number)).count()
    }
}
