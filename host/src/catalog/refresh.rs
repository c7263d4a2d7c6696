//! Plugins that said that their lists changed: asked again soon, and not more often than that.

use parking_lot::Mutex;
use sandbox::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Between two readings of one plugin's lists.
const INTERVAL: Duration = Duration::from_millis(250);

/// Who is to be asked, and when.
#[derive(Debug, Default)]
pub struct Refresh {
    /// By plugin: as many as there are, however often they say it.
    waiting: Mutex<BTreeMap<Arc<str>, Waiting>>,
    woken: Notify,
}

#[derive(Debug)]
struct Waiting {
    /// Which component said so; none if it was asked since.
    digest: Option<Digest>,
    /// From when on it may be asked.
    due: Instant,
}

impl Refresh {
    /// A plugin said that its lists changed.
    pub fn ask(&self, plugin: &Arc<str>, digest: Digest) {
        let mut waiting = self.waiting.lock();
        waiting.entry(Arc::clone(plugin)).or_insert(Waiting { digest: None, due: Instant::now() }).digest = Some(digest);
        drop(waiting);
        self.woken.notify_one();
    }

    /// Somebody asked. Cancel-safe.
    pub(super) async fn asked(&self) {
        self.woken.notified().await;
    }

    /// Those that are due now.
    pub(super) fn take(&self, now: Instant) -> Vec<(Arc<str>, Digest)> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, plugin| plugin.digest.is_some() || now < plugin.due);
        let due = waiting.iter_mut().filter(|(_, plugin)| plugin.due <= now);
        let taken = due.filter_map(|(name, plugin)| {
            let digest = plugin.digest.take()?;
            plugin.due = now + INTERVAL;
            Some((Arc::clone(name), digest))
        });
        taken.collect()
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.waiting.lock();
        waiting.values().filter(|plugin| plugin.digest.is_some()).map(|plugin| plugin.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_asked_soon_and_not_all_the_time() {
        let (refresh, plugin, digest) = (Refresh::default(), Arc::from("p"), Digest::of(b"p"));
        refresh.ask(&plugin, digest);
        refresh.ask(&plugin, digest);
        let now = Instant::now();
        assert_eq!(refresh.take(now).len(), 1, "once for both");
        refresh.ask(&plugin, digest);
        assert!(refresh.take(now).is_empty(), "not again at once");
        assert_eq!(refresh.next(), Some(now + INTERVAL));
        assert_eq!(refresh.take(now + INTERVAL).len(), 1);
        assert!(refresh.take(now + 2 * INTERVAL).is_empty() && refresh.waiting.lock().is_empty(), "forgotten");
    }
}
