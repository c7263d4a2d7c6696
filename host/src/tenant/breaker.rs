//! What falls again and again is left alone for a while: its calls are refused before they cost anything.
//!
//! Of each caller by itself: whoever finds out what a plugin falls over takes it from nobody else. And of each component: what comes in its place
//! begins anew. (Case R08 of the catalogue.)

use crate::config::BreakerLimits;
use parking_lot::Mutex;
use sandbox::Digest;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// So many are known of a tenant; beyond that the next ones are not counted.
const KNOWN_MAX: usize = 4_096;

/// Those of one tenant.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    /// How many there are, so that nobody takes the lock as long as nothing falls.
    count: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<Box<str>, Breaker>,
    /// When it was last looked for those that are over.
    looked: Option<Instant>,
}

/// One that has fallen lately.
#[derive(Debug)]
struct Breaker {
    component: Digest,
    /// Since its first fall.
    since: Instant,
    calls: u32,
    falls: u32,
    /// Until when its calls are refused. After that one call goes through, and the others wait for what becomes of it.
    shut_until: Option<Instant>,
}

/// It has fallen too often just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Of so many calls.
    pub calls: u32,
    /// So many have fallen.
    pub falls: u32,
}

impl Breakers {
    /// Whether a call may begin. `key` is who calls what.
    ///
    /// # Errors
    ///
    /// For how long it may not.
    pub(super) fn pass(
        &self,
        limits: BreakerLimits,
        component: Digest,
        key: impl FnOnce() -> String,
        now: impl FnOnce() -> Instant,
    ) -> Result<(), Duration> {
        if self.count.load(Relaxed) == 0 {
            return Ok(());
        }
        let mut known = self.known.lock();
        let Some(breaker) = known.by_key.get_mut(key().as_str()).filter(|breaker| breaker.component == component) else { return Ok(()) };
        let Some(until) = breaker.shut_until else { return Ok(()) };
        let now = now();
        if now < until {
            return Err(until.saturating_duration_since(now));
        }
        // The one that tries. Should it never come to an end, another one tries after the same time.
        breaker.shut_until = Some(now + limits.window);
        Ok(())
    }

    /// How a call ended. Says so if calls are refused from now on that were not before.
    pub(super) fn ended(
        &self,
        limits: BreakerLimits,
        component: Digest,
        has_fallen: bool,
        key: impl FnOnce() -> String,
        now: impl FnOnce() -> Instant,
    ) -> Option<Opened> {
        if limits.calls_min == 0 || (!has_fallen && self.count.load(Relaxed) == 0) {
            return None;
        }
        let (mut known, key, now) = (self.known.lock(), key(), now());
        known.forget_over(limits.window, now);
        let opened = if has_fallen { known.falls(limits, component, &key, now) } else { known.is_well(component, &key) };
        self.count.store(known.by_key.len(), Relaxed);
        opened
    }
}

impl Known {
    /// Now and then, so that a fall of long ago costs nobody a lock.
    fn forget_over(&mut self, window: Duration, now: Instant) {
        if self.looked.is_none_or(|looked| now.saturating_duration_since(looked) > window) {
            self.by_key.retain(|_, breaker| !breaker.is_over(window, now));
            self.looked = Some(now);
        }
    }

    fn falls(&mut self, limits: BreakerLimits, component: Digest, key: &str, now: Instant) -> Option<Opened> {
        if self.by_key.get(key).is_some_and(|breaker| breaker.component != component || breaker.is_over(limits.window, now)) {
            self.by_key.remove(key);
        }
        if self.by_key.len() >= KNOWN_MAX && !self.by_key.contains_key(key) {
            return None;
        }
        let begun = || Breaker { component, since: now, calls: 0, falls: 0, shut_until: None };
        self.by_key.entry(key.into()).or_insert_with(begun).falls(limits, now)
    }

    fn is_well(&mut self, component: Digest, key: &str) -> Option<Opened> {
        match self.by_key.get_mut(key).filter(|breaker| breaker.component == component) {
            Some(breaker) if breaker.shut_until.is_some() => drop(self.by_key.remove(key)),
            Some(breaker) => breaker.calls = breaker.calls.saturating_add(1),
            None => {}
        }
        None
    }
}

impl Breaker {
    fn is_over(&self, window: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.shut_until.unwrap_or(self.since)) > window
    }

    fn falls(&mut self, limits: BreakerLimits, now: Instant) -> Option<Opened> {
        self.calls = self.calls.saturating_add(1);
        self.falls = self.falls.saturating_add(1);
        let is_too_much = self.calls >= limits.calls_min && self.falls.saturating_mul(2) >= self.calls;
        let was_shut = self.shut_until.is_some();
        // Those that ran meanwhile, and the one that tried.
        if was_shut || is_too_much {
            self.shut_until = Some(now + limits.window);
        }
        (is_too_much && !was_shut).then_some(Opened { calls: self.calls, falls: self.falls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits { calls_min: 4, window: Duration::from_secs(30) };

    struct Tried {
        breakers: Breakers,
        began: Instant,
    }

    impl Tried {
        fn new() -> Self {
            Self { breakers: Breakers::default(), began: Instant::now() }
        }

        fn at(&self, at_s: u64) -> Instant {
            self.began + Duration::from_secs(at_s)
        }

        /// For how many seconds it may not begin.
        fn pass(&self, who: &str, at_s: u64) -> Option<u64> {
            let passed = self.breakers.pass(LIMITS, Digest::of(b"one"), || who.to_owned(), || self.at(at_s));
            passed.err().map(|wait| wait.as_secs())
        }

        fn ended(&self, who: &str, has_fallen: bool, at_s: u64) -> Option<Opened> {
            self.breakers.ended(LIMITS, Digest::of(b"one"), has_fallen, || who.to_owned(), || self.at(at_s))
        }
    }

    #[test]
    fn what_falls_again_and_again_is_left_alone_and_tried_again() {
        let tried = Tried::new();
        assert_eq!([true, false, true].map(|falls| tried.ended("ada", falls, 1)), [None; 3]);
        assert_eq!(tried.pass("ada", 1), None);
        assert_eq!(tried.ended("ada", true, 2), Some(Opened { calls: 4, falls: 3 }));
        assert_eq!([tried.pass("ada", 2), tried.pass("ada", 31)], [Some(30), Some(1)]);
        assert_eq!(tried.pass("bob", 2), None, "others are not concerned");
        // One tries, and the next has to wait for it.
        assert_eq!([tried.pass("ada", 32), tried.pass("ada", 33)], [None, Some(29)]);
        assert_eq!(tried.ended("ada", true, 34), None, "it was refused before");
        assert_eq!([tried.pass("ada", 63), tried.pass("ada", 64)], [Some(1), None]);
        tried.ended("ada", false, 65);
        assert_eq!([tried.pass("ada", 65), tried.pass("ada", 65)], [None, None]);
        assert_eq!(tried.breakers.count.load(Relaxed), 0);
    }

    #[test]
    fn falls_now_and_then_are_no_matter() {
        let tried = Tried::new();
        for at_s in 0..200 {
            assert_eq!(tried.ended("ada", at_s % 4 == 0, at_s), None, "{at_s}");
            assert_eq!(tried.pass("ada", at_s), None, "{at_s}");
        }
        // Nor are many with long pauses.
        assert!((0..100).all(|at| tried.ended("bob", true, at * 31).is_none()));
    }

    #[test]
    fn another_component_begins_anew() {
        let tried = Tried::new();
        assert_eq!((0..4).filter_map(|_| tried.ended("ada", true, 1)).count(), 1);
        assert!(tried.pass("ada", 1).is_some());
        let (other, key) = (Digest::of(b"two"), || "ada".to_owned());
        assert_eq!(tried.breakers.pass(LIMITS, other, key, || tried.at(1)), Ok(()));
        assert_eq!(tried.breakers.ended(LIMITS, other, true, key, || tried.at(1)), None);
        assert_eq!(tried.pass("ada", 1), None);
    }

    #[test]
    fn it_remembers_so_many_and_can_be_switched_off() {
        let tried = Tried::new();
        for at in 0..KNOWN_MAX + 10 {
            tried.ended(&at.to_string(), true, 1);
        }
        assert_eq!(tried.breakers.count.load(Relaxed), KNOWN_MAX);
        tried.ended("later", false, 40);
        assert_eq!(tried.breakers.count.load(Relaxed), 0, "what is over costs nobody anything");
        tried.ended("later", true, 40);
        assert_eq!(tried.breakers.count.load(Relaxed), 1);
        let off = BreakerLimits { calls_min: 0, ..LIMITS };
        assert!((0..100).all(|_| tried.breakers.ended(off, Digest::of(b"one"), true, || "off".to_owned(), || tried.began).is_none()));
    }
}
