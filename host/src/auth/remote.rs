//! The keys of an issuer that serves them: fetched by one task, however many requests want them, and good for a limited time.
//!
//! Requests read what is held and wait for nobody. Only one whose key is not held asks for a fetch, and who asks while one is under way waits
//! for that one. Anybody can write a token that names an unknown key, so a fetch that requests asked for is followed by another such one after
//! [`COOL_DOWN`] at the earliest.

mod fetch;

use super::bearer::IssuerError;
use crate::config::JwksUrl;
use crate::metrics;
use arc_swap::ArcSwapOption;
use fetch::Fetched;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use token::KeySet;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep_until, timeout_at};

/// Between two fetches that requests ask for.
const COOL_DOWN: Duration = Duration::from_secs(10);
/// Without a reason to fetch.
const ROUND: Duration = Duration::from_secs(10);
/// After the first failure; doubled with each further one.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);
/// A server that came back is asked again after this and the time of one fetch at the latest.
const BACK_OFF_MAX: Duration = Duration::from_secs(8);

/// SHA-256 of the text of a set of keys.
pub(super) type Digest = [u8; 32];

/// An issuer's keys, by URL.
pub(super) struct Remote {
    /// The issuer's section, for logs.
    name: String,
    settings: JwksUrl,
    /// The certificates of [`JwksUrl::ca_file`], as they were read.
    ca: Option<Vec<u8>>,
    agent: ureq::Agent,
    /// It came when the gateway started, and not into one that works.
    is_of_start: bool,
    /// The newest set; none before the first.
    held: ArcSwapOption<Held>,
    state: Mutex<State>,
    /// Wakes the task that fetches.
    wanted: Notify,
    /// Changes at the end of each fetch.
    finished: watch::Sender<()>,
}

/// A set that was fetched.
pub(super) struct Held {
    pub(super) keys: KeySet,
    /// Of its text, so that an equal one is not read again: another set has another one.
    pub(super) digest: Digest,
    good_until: Instant,
}

/// What the next fetch depends on.
struct State {
    /// When it begins by itself.
    due: Instant,
    running: bool,
    /// A request wants one, and the task has not begun it.
    asked: bool,
    asked_at: Option<Instant>,
    /// In a row.
    failures: u32,
    /// The reason that was logged last; it is logged once until it changes.
    logged: Option<String>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("name", &self.name).field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Remote {
    /// Nothing is fetched yet. One of `previous` goes on if it has the same settings and certificates.
    pub(super) fn new(name: &str, settings: &JwksUrl, previous: Option<&[Arc<Remote>]>) -> Result<Arc<Self>, IssuerError> {
        let failed = |reason| IssuerError::new(name, settings.ca_file.as_deref().unwrap_or_else(|| settings.url.as_ref()), reason);
        let ca = settings.ca_file.as_deref().map(super::bearer::read).transpose().map_err(failed)?;
        let same = |previous: &&Arc<Remote>| previous.name == name && previous.settings == *settings && previous.ca == ca;
        if let Some(previous) = previous.into_iter().flatten().find(same) {
            return Ok(Arc::clone(previous));
        }
        let agent = fetch::agent(settings.url.starts_with("https://"), ca.as_deref()).map_err(failed)?;
        let state = State { due: Instant::now(), running: false, asked: false, asked_at: None, failures: 0, logged: None };
        Ok(Arc::new(Self {
            name: name.to_owned(),
            settings: settings.clone(),
            ca,
            agent,
            is_of_start: previous.is_none(),
            held: ArcSwapOption::empty(),
            state: Mutex::new(state),
            wanted: Notify::new(),
            finished: watch::Sender::new(()),
        }))
    }

    /// The keys that count now; none if none were ever fetched, or not for so long that they are not believed any more.
    pub(super) fn keys(&self) -> Option<KeySet> {
        self.now().map(|held| held.keys.clone())
    }

    /// The same as it is held.
    pub(super) fn now(&self) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| Instant::now() < held.good_until)
    }

    /// Whether a gateway that starts is waiting for its first set.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_of_start && self.held.load().is_none()
    }

    /// Waits for the end of a fetch, which it asks for if none is under way. Says whether one came to its end: not if the last one that was
    /// asked for is too near, nor after `deadline`. If the future is dropped, the fetch goes on.
    pub(super) async fn renewed(&self, deadline: Instant) -> bool {
        let Some(mut finished) = self.ask() else { return false };
        timeout_at(deadline.into(), finished.changed()).await.is_ok_and(|changed| changed.is_ok())
    }

    fn ask(&self) -> Option<watch::Receiver<()>> {
        let mut state = self.state.lock();
        // Under the lock: a fetch that is under way now tells its end after this.
        let finished = self.finished.subscribe();
        // One that is due begins by itself, as at the start: nobody has asked for it, and whoever asks next need not wait.
        if state.running || state.asked || state.due <= Instant::now() {
            return Some(finished);
        }
        if state.asked_at.is_some_and(|at| at.elapsed() < COOL_DOWN) {
            return None;
        }
        (state.asked, state.asked_at) = (true, Some(Instant::now()));
        self.wanted.notify_one();
        Some(finished)
    }

    /// Fetches if it is time, or waits for that, for some seconds at most. To be called without end; when that is over, what is held stays, and
    /// another one can go on.
    pub(super) async fn round(&self) {
        let due = self.state.lock().due;
        tokio::select! {
            () = sleep_until(due.min(Instant::now() + ROUND).into()) => {}
            () = self.wanted.notified() => {}
        }
        let is_time = {
            let state = self.state.lock();
            // A word that came while a fetch began is about that one.
            state.asked || state.due <= Instant::now()
        };
        if is_time {
            self.fetch().await;
        }
    }

    /// Fetches once, or waits for the fetch that is under way.
    pub(super) async fn fetch(&self) {
        let mut finished = self.finished.subscribe();
        let Some(running) = Running::begin(self) else {
            // It cannot fail: the sender is here.
            let _ = finished.changed().await;
            return;
        };
        let began = Instant::now();
        let known = self.held.load().as_ref().map(|held| held.digest);
        match fetch::get(&self.agent, &self.settings.url, known).await {
            Ok(fetched) => {
                metrics::JWKS_FETCH.count("ok");
                self.take(fetched, began);
            }
            Err(reason) => {
                metrics::JWKS_FETCH.count("failed");
                self.failed(reason);
            }
        }
        drop(running);
    }

    fn take(&self, fetched: Fetched, began: Instant) {
        let (keys, digest) = match (fetched, self.held.load_full()) {
            (Fetched::New { jwks, digest }, _) => {
                for ignored in &jwks.ignored {
                    let (position, kid) = (ignored.position, ignored.kid.as_deref());
                    tracing::warn!(issuer = %self.name, position, kid, fault = ignored.fault.as_str(), "a key is not used");
                }
                match jwks.keys.keys().len() {
                    0 => tracing::warn!(issuer = %self.name, "the issuer serves no key that can be used: none of its tokens count"),
                    keys => tracing::info!(issuer = %self.name, keys, "the issuer's keys are another set"),
                }
                (jwks.keys, digest)
            }
            (Fetched::Same, Some(held)) => (held.keys.clone(), held.digest),
            // Nothing is the same as a set that is not there.
            (Fetched::Same, None) => return,
        };
        let good_until = began + self.settings.refresh + self.settings.grace;
        self.held.store(Some(Arc::new(Held { keys, digest, good_until })));
        let mut state = self.state.lock();
        // Not all gateways in the same second, and early enough that a fetch that takes its time is not late.
        state.due = began + self.settings.refresh.mul_f64(0.85 + 0.1 * random());
        state.failures = 0;
        if state.logged.take().is_some() {
            tracing::info!(issuer = %self.name, "the issuer's keys can be fetched again");
        }
    }

    fn failed(&self, reason: String) {
        let mut state = self.state.lock();
        let wait = BACK_OFF_MIN.saturating_mul(1 << state.failures.min(10)).min(BACK_OFF_MAX);
        state.failures = state.failures.saturating_add(1);
        state.due = Instant::now() + wait.mul_f64(0.5 + 0.5 * random());
        if state.logged.as_ref() != Some(&reason) {
            let serves = self.keys().is_some();
            tracing::warn!(issuer = %self.name, reason, serves, "the issuer's keys cannot be fetched; that is tried again");
            state.logged = Some(reason);
        }
    }
}

/// One fetch at a time; over when it is dropped, even in the middle.
struct Running<'r>(&'r Remote);

impl<'r> Running<'r> {
    fn begin(remote: &'r Remote) -> Option<Self> {
        let mut state = remote.state.lock();
        if state.running {
            return None;
        }
        (state.running, state.asked) = (true, false);
        Some(Self(remote))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
        self.0.finished.send_replace(());
    }
}

/// From 0 to 1. Without randomness everybody comes at once, and nothing worse.
fn random() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
