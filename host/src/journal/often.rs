//! Events that come as fast as somebody likes: the first ones of a source have lines of their own, the others are counted and share a line a
//! minute. So whoever tries a thousand tokens a second fills neither the disk nor the queue, and no attempt is left out of the sum.

use super::event::{Event, Kind};
use crate::config::TenantId;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// For how long is counted before there is a line.
const WINDOW: Duration = Duration::from_secs(60);
/// Lines of its own that a source and reason gets in that time.
const OWN_MAX: u32 = 100;
/// Such lines of all sources together in a second.
const OWN_PER_SECOND_MAX: u32 = 100;
/// Sources and reasons that are told apart: half of the queue. What comes beyond is counted without its source.
const KEYS_MAX: usize = 4_096;

/// Where such an event comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// An address; of IPv6 its network counts.
    Address(IpAddr),
    /// A tenant's callers.
    Tenant(TenantId),
    /// More of them than are told apart.
    Many,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    reason: &'static str,
    source: Source,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    own: u32,
    counted: u64,
}

/// What came how often.
#[derive(Debug)]
pub(super) struct Often {
    seen: HashMap<Key, Seen>,
    second: Instant,
    own_in_second: u32,
}

impl Often {
    pub(super) fn new() -> Self {
        Self { seen: HashMap::new(), second: Instant::now(), own_in_second: 0 }
    }

    /// Counts one. Says whether it has a line of its own, and gives the line of those before whose time is over.
    pub(super) fn count(&mut self, kind: Kind, source: &Source, reason: &'static str, now: Instant) -> (bool, Option<Event>) {
        let mut key = Key { kind, reason, source: source.counted() };
        if self.seen.len() >= KEYS_MAX && !self.seen.contains_key(&key) {
            key.source = Source::Many;
        }
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.own_in_second) = (now, 0);
        }
        let seen = self.seen.entry(key.clone()).or_insert(Seen { since: now, own: 0, counted: 0 });
        let mut line = None;
        if now.saturating_duration_since(seen.since) >= WINDOW {
            line = key.line(seen.counted);
            *seen = Seen { since: now, own: 0, counted: 0 };
        }
        let is_own = key.source != Source::Many && seen.own < OWN_MAX && self.own_in_second < OWN_PER_SECOND_MAX;
        if is_own {
            seen.own += 1;
            self.own_in_second += 1;
        } else {
            seen.counted = seen.counted.saturating_add(1);
        }
        (is_own, line)
    }

    /// The lines of those whose time is over, or of all.
    pub(super) fn take(&mut self, now: Instant, all: bool) -> Vec<Event> {
        let mut lines = Vec::new();
        self.seen.retain(|key, seen| {
            let over = all || now.saturating_duration_since(seen.since) >= WINDOW;
            if over {
                lines.extend(key.line(seen.counted));
            }
            !over
        });
        lines
    }
}

impl Key {
    /// None if there is nothing to say.
    fn line(&self, count: u64) -> Option<Event> {
        (count > 0).then(|| Event { count: Some(count), ..self.source.of(Event::new(self.kind)).because(self.reason) })
    }
}

impl Source {
    fn counted(&self) -> Self {
        match self {
            Self::Address(address) => Self::Address(network(*address)),
            Self::Tenant(_) | Self::Many => self.clone(),
        }
    }

    /// An event that comes from there.
    pub(super) fn of(&self, event: Event) -> Event {
        match self {
            Self::Address(address) => Event { address: Some(address.to_canonical()), ..event },
            Self::Tenant(tenant) => event.of_tenant(tenant.as_str()),
            Self::Many => event,
        }
    }
}

/// One customer has as many addresses of IPv6 as it likes, all of one /64.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(at: u32) -> Source {
        Source::Address(IpAddr::V4(at.into()))
    }

    /// Lines of their own, and what the others add up to.
    fn sum(own: usize, lines: &[Event]) -> u64 {
        own as u64 + lines.iter().filter_map(|line| line.count).sum::<u64>()
    }

    #[test]
    fn none_is_left_out_of_the_sum() {
        let (mut often, began) = (Often::new(), Instant::now());
        let (mut own, mut lines) = (0, Vec::new());
        for at in 0..100_000_u32 {
            // Two minutes and a bit, of three addresses.
            let now = began + Duration::from_micros(u64::from(at) * 1_300);
            let (is_own, line) = often.count(Kind::AuthDenied, &address(at % 3), "signature", now);
            own += usize::from(is_own);
            lines.extend(line);
        }
        lines.extend(often.take(began, true));
        assert_eq!((own, lines.len(), sum(own, &lines)), (3 * 3 * 100, 9, 100_000));
        assert!(lines.iter().all(|line| line.address.is_some() && line.reason.as_deref() == Some("signature")), "{lines:?}");
        assert!(often.take(began, true).is_empty());
    }

    #[test]
    fn a_second_has_only_so_many_and_sources_are_bounded() {
        let (mut often, now) = (Often::new(), Instant::now());
        let own = (0..50_000).filter(|at| often.count(Kind::AuthDenied, &address(*at), "expired", now).0).count();
        assert_eq!(own, OWN_PER_SECOND_MAX as usize);
        assert_eq!(often.seen.len(), KEYS_MAX + 1);
        let lines = often.take(now + WINDOW, false);
        assert_eq!(sum(own, &lines), 50_000);
        assert_eq!(lines.iter().filter(|line| line.address.is_none()).count(), 1, "those of whom nobody is told apart");
    }

    #[test]
    fn a_quiet_source_has_no_shared_line() {
        let (mut often, now) = (Often::new(), Instant::now());
        assert_eq!(often.count(Kind::QuotaHit, &Source::Tenant(TenantId::default()), "principal.calls", now), (true, None));
        assert!(often.take(now + WINDOW, false).is_empty() && often.seen.is_empty());
    }

    #[test]
    fn one_network_is_one_source() {
        let [c, d] = ["2001:db8::1", "2001:db8::2:0:0:1"].map(|text| text.parse().expect("an address"));
        assert_eq!(network(c), network(d));
        assert_eq!(network("::ffff:192.0.2.1".parse().expect("an address")), IpAddr::V4([192, 0, 2, 1].into()));
    }
}
