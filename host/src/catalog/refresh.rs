//! Plugins that said that their lists changed: asked again soon, and not more often than that.

use parking_lot::Mutex;
use sandbox::{Digest, Lists};
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
    /// Which component said so, and of which lists; none if it was asked since.
    said: Option<(Digest, Lists)>,
    /// From when on it may be asked.
    due: Instant,
    /// It is being asked: two readings at once could end in the wrong order.
    running: bool,
}

impl Waiting {
    fn is_ready(&self) -> bool {
        self.said.is_some() && !self.running
    }
}

impl Refresh {
    /// A plugin said that these lists changed.
    pub fn ask(&self, plugin: &Arc<str>, digest: Digest, lists: Lists) {
        let mut waiting = self.waiting.lock();
        let plugin = waiting.entry(Arc::clone(plugin)).or_insert(Waiting { said: None, due: Instant::now(), running: false });
        // What another component of that name said is of no interest any more.
        let before = plugin.said.filter(|(before, _)| *before == digest).map_or(Lists::default(), |(_, lists)| lists);
        plugin.said = Some((
            digest,
            Lists {
                tools: before.tools || lists.tools,
                resources: before.resources || lists.resources,
                prompts: before.prompts || lists.prompts,
            },
        ));
        drop(waiting);
        self.woken.notify_one();
    }

    /// Somebody asked. Cancel-safe.
    pub(super) async fn asked(&self) {
        self.woken.notified().await;
    }

    /// Those that are due now.
    pub(super) fn take(&self, now: Instant) -> Vec<(Arc<str>, Digest, Lists)> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, plugin| plugin.said.is_some() || plugin.running || now < plugin.due);
        let due = waiting.iter_mut().filter(|(_, plugin)| plugin.is_ready() && plugin.due <= now);
        let taken = due.filter_map(|(name, plugin)| {
            let (digest, lists) = plugin.said.take()?;
            (plugin.due, plugin.running) = (now + INTERVAL, true);
            Some((Arc::clone(name), digest, lists))
        });
        taken.collect()
    }

    /// A plugin was asked, or could not be.
    pub(super) fn done(&self, plugin: &str) {
        if let Some(waiting) = self.waiting.lock().get_mut(plugin) {
            waiting.running = false;
        }
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.waiting.lock();
        waiting.values().filter(|plugin| plugin.is_ready()).map(|plugin| plugin.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_asked_soon_and_not_all_the_time() {
        let (refresh, plugin, digest) = (Refresh::default(), Arc::from("p"), Digest::of(b"p"));
        let (tools, prompts) = (Lists { tools: true, ..Lists::default() }, Lists { prompts: true, ..Lists::default() });
        refresh.ask(&plugin, digest, tools);
        refresh.ask(&plugin, digest, prompts);
        let now = Instant::now();
        let both = Lists { tools: true, ..prompts };
        assert_eq!(refresh.take(now), [(Arc::clone(&plugin), digest, both)], "once for both");
        refresh.ask(&plugin, digest, tools);
        assert!(refresh.take(now).is_empty(), "not again at once");
        assert!(refresh.take(now + INTERVAL).is_empty() && refresh.next().is_none(), "not while it is being asked");
        refresh.done(&plugin);
        assert_eq!(refresh.next(), Some(now + INTERVAL));
        assert_eq!(refresh.take(now + INTERVAL).len(), 1);
        refresh.done(&plugin);
        assert!(refresh.take(now + 2 * INTERVAL).is_empty() && refresh.waiting.lock().is_empty(), "forgotten");
    }
}
