//! One file of the plugin directory over time: when it is tried, what it serves, what is told about it.

use super::directory::Stamp;
use super::trust::{Untrusted, Why};
use super::{Plugin, PluginError};
use crate::metrics;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A file that did not change for this long is taken to be finished.
const QUIET: Duration = Duration::from_millis(300);
/// Between two attempts to load a file that keeps changing.
const RETRY: Duration = Duration::from_millis(100);
/// A plugin whose file is gone for this long is gone: long enough for the same component to be loaded under another name.
const GONE: Duration = Duration::from_millis(500);
/// A newcomer with a taken name is young for this long: its owner may be about to go.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts at a file that the machine, not the file, was to blame for.
const RECOVERY: Duration = Duration::from_secs(2);

/// One file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    /// As it lies there now, and since when.
    pub(super) stamp: Stamp,
    since: Instant,
    gone_since: Option<Instant>,
    /// A load of it is on its way.
    loading: bool,
    tried: Option<Tried>,
    /// What serves, and since which place in the order of arrival: of two tools with one name the earlier keeps it.
    pub(super) serving: Option<Arc<Plugin>>,
    pub(super) arrived: u64,
    /// What is loaded and may serve as soon as it is approved, and no other plugin has one of its names.
    pub(super) candidate: Option<Arc<Plugin>>,
    /// Why the state that was tried last does not serve.
    reason: Option<Reason>,
    /// What was told last: of which file, and what was wrong with it.
    told: Option<(u64, String)>,
}

/// The last attempt.
#[derive(Debug, Clone, Copy)]
struct Tried {
    stamp: Stamp,
    began: Instant,
}

/// Why a file does not serve.
#[derive(Debug)]
struct Reason {
    text: String,
    /// Of what kind it is, for metrics.
    word: &'static str,
    /// Another attempt at the same bytes might end otherwise.
    passing: bool,
    /// They may be only the beginning of a file.
    maybe_unfinished: bool,
    /// It is not approved, or not signed.
    untrusted: Option<Box<Untrusted>>,
}

impl Reason {
    fn new(error: &PluginError, maybe_unfinished: bool) -> Self {
        let passing = maybe_unfinished && error.is_passing();
        let untrusted = error.untrusted().cloned().map(Box::new);
        Self { text: error.to_string(), word: error.word(), passing, maybe_unfinished, untrusted }
    }
}

impl File {
    pub(super) fn new(path: PathBuf, stamp: Stamp, now: Instant) -> Self {
        Self {
            path,
            stamp,
            since: now,
            gone_since: None,
            loading: false,
            tried: None,
            serving: None,
            arrived: 0,
            candidate: None,
            reason: None,
            told: None,
        }
    }

    /// It lies there, in this state.
    pub(super) fn seen(&mut self, stamp: Stamp, now: Instant) {
        self.gone_since = None;
        if self.stamp != stamp {
            self.stamp = stamp;
            self.since = now;
        }
    }

    /// It does not lie there.
    pub(super) fn missed(&mut self, now: Instant) {
        self.gone_since.get_or_insert(now);
    }

    /// It has not been there for so long that it will not come back.
    pub(super) fn is_gone(&self, now: Instant) -> bool {
        self.gone_since.is_some_and(|since| now.duration_since(since) >= GONE)
    }

    /// When it is to be loaded; none while nothing has changed. `finished` says that no file is half-written.
    pub(super) fn due(&self, finished: bool) -> Option<Instant> {
        if self.loading || self.gone_since.is_some() {
            return None;
        }
        let Some(tried) = self.tried else { return Some(self.since) };
        if tried.stamp != self.stamp {
            return Some(tried.began + RETRY);
        }
        let reason = self.reason.as_ref()?;
        if reason.maybe_unfinished && !finished && !self.was_quiet(tried) {
            return Some(self.since + QUIET);
        }
        reason.passing.then(|| tried.began + RECOVERY)
    }

    /// When something of it is due that needs no load.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let waits = self.reason.as_ref().filter(|reason| !reason.maybe_unfinished && !self.is_told());
        let patience = waits.map(|_| self.since + PATIENCE);
        let gone = self.gone_since.map(|since| since + GONE);
        [patience, gone].into_iter().flatten().min()
    }

    pub(super) fn begin(&mut self) {
        self.loading = true;
    }

    /// A load came to its end; `stamp` is the state that it read.
    pub(super) fn loaded(&mut self, stamp: Stamp, began: Instant, result: Result<Plugin, PluginError>) {
        self.loading = false;
        self.tried = Some(Tried { stamp, began });
        match result {
            Ok(plugin) => {
                self.candidate = Some(Arc::new(plugin));
                self.reason = None;
            }
            Err(error) => {
                self.candidate = None;
                self.reason = Some(Reason::new(&error, true));
            }
        }
    }

    /// Its candidate, or its newest lists, cannot serve now.
    pub(super) fn waits(&mut self, error: &PluginError) {
        self.reason = Some(Reason::new(error, false));
    }

    /// Its state is to be tried again: what was asked of it is asked otherwise now.
    pub(super) fn retry(&mut self) {
        self.tried = None;
    }

    /// It is yet to be seen what lies there.
    pub(super) fn is_in_motion(&self) -> bool {
        self.loading || self.tried.is_none()
    }

    /// Why what lies there was turned away, so that nothing of it is loaded: it is not approved or not signed.
    pub(super) fn turned_away(&self) -> Option<&Untrusted> {
        let reason = self.reason.as_ref().filter(|_| self.candidate.is_none());
        reason.and_then(|reason| reason.untrusted.as_deref())
    }

    /// What it serves is not approved any more.
    pub(super) fn withdraw(&mut self, name: &str, untrusted: &Untrusted) {
        let Some(plugin) = self.serving.take() else { return };
        tracing::warn!(plugin = %name, error = %untrusted, "a plugin is not served any more");
        // If it is what lies there it can come back without being loaded.
        if self.candidate.is_none() && self.reason.is_none() {
            self.candidate = Some(plugin);
        }
    }

    /// Its candidate serves from now on, as the `order`th that came.
    pub(super) fn serve(&mut self, order: u64) {
        let Some(plugin) = self.candidate.take() else { return };
        self.reason = None;
        self.told = None;
        let before = self.serving.as_ref().map(|plugin| plugin.made_of());
        let (digest, offers) = (plugin.guest.digest(), plugin.counts());
        match before {
            Some(before) if before == plugin.made_of() => {
                // It may be signed by somebody else.
                self.serving = Some(plugin);
                return;
            }
            Some(_) => tracing::info!(plugin = %plugin.name, plugin.digest = %digest.short(), offers, "plugin replaced"),
            None => {
                self.arrived = order;
                tracing::info!(plugin = %plugin.name, plugin.digest = %digest.short(), offers, "plugin loaded");
            }
        }
        for skipped in &plugin.skipped {
            let (function, reason) = (mcp::text::line(&skipped.path, 200), mcp::text::line(&skipped.reason, 200));
            tracing::warn!(plugin = %plugin.name, function, reason, "a function of a plain component is no tool");
        }
        self.serving = Some(plugin);
    }

    /// What it serves has other lists from now on.
    pub(super) fn listed(&mut self, plugin: Plugin) {
        // Another component may have taken its place meanwhile.
        if self.serving.as_ref().is_some_and(|serving| serving.guest.digest() == plugin.guest.digest()) {
            tracing::debug!(plugin = %plugin.name, offers = plugin.counts(), "plugin changed its lists");
            let of_lists = |untrusted: &Untrusted| untrusted.why == Why::DefinitionChanged;
            if self.candidate.is_none() && self.reason.as_ref().and_then(|reason| reason.untrusted.as_deref()).is_some_and(of_lists) {
                self.reason = None;
            }
            self.serving = Some(Arc::new(plugin));
        }
    }

    /// Logs why it does not serve, once for each file and reason, and not while it may be half-written.
    pub(super) fn tell(&mut self, name: &str, now: Instant, finished: bool) {
        let (Some(reason), Some(tried), false) = (&self.reason, self.tried, self.is_told()) else { return };
        let quiet = if reason.maybe_unfinished { self.was_quiet(tried) } else { now.duration_since(self.since) >= PATIENCE };
        if !(quiet || finished) {
            return;
        }
        metrics::PLUGIN_REJECTED.count(reason.word);
        let error = &reason.text;
        if self.serving.is_some() {
            tracing::warn!(plugin = %name, %error, "the new version of a plugin is not served; the last good one goes on");
        } else {
            tracing::warn!(plugin = %name, %error, "a file in the plugin directory is not served");
        }
        self.told = Some((self.stamp.inode(), error.clone()));
    }

    /// What was told and still holds, by its word and in full.
    pub(super) fn problem(&self) -> Option<(&'static str, &str, Option<&Untrusted>)> {
        let told = self.reason.as_ref().filter(|_| self.is_told());
        told.map(|reason| (reason.word, reason.text.as_str(), reason.untrusted.as_deref()))
    }

    fn is_told(&self) -> bool {
        let now = self.reason.as_ref().map(|reason| (self.stamp.inode(), reason.text.as_str()));
        self.told.as_ref().map(|(inode, text)| (*inode, text.as_str())) == now
    }

    /// The state that was tried had not changed for a while before.
    fn was_quiet(&self, tried: Tried) -> bool {
        tried.stamp == self.stamp && tried.began.duration_since(self.since) >= QUIET
    }
}

#[cfg(test)]
mod tests;
