//! Where a span is: ids, and the words of W3C Trace Context for them.

use mcp::meta::TraceContext;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// Ids are hashes of a counter under a key that the system's randomness made: as good as random to anybody, and without a system call each.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
static COUNTER: AtomicU64 = AtomicU64::new(0);

fn random() -> u64 {
    // Zero is no id.
    KEY.hash_one(COUNTER.fetch_add(1, Relaxed)).max(1)
}

/// One span of one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) trace: u128,
    pub(super) span: u64,
}

/// A span of whoever sent the request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) place: Place,
    pub(super) is_sampled: bool,
    pub(super) state: Option<Box<str>>,
}

impl Place {
    /// The first of a trace.
    pub(super) fn root() -> Self {
        Self { trace: (u128::from(random()) << 64) | u128::from(random()), span: random() }
    }

    /// Another one of the same trace.
    pub(super) fn next(self) -> Self {
        Self { span: random(), ..self }
    }

    /// As the parent of what is done for this span, which is recorded.
    pub(super) fn context(self, state: Option<&str>) -> TraceContext {
        let traceparent = format!("00-{:032x}-{:016x}-{SAMPLED:02x}", self.trace, self.span);
        TraceContext { traceparent: Some(traceparent.into()), tracestate: state.map(Into::into), baggage: None }
    }
}

impl Parent {
    /// What a request says of its parent; the text is well formed already, of whatever version.
    pub(super) fn of(context: &TraceContext) -> Option<Self> {
        let mut parts = context.traceparent.as_deref()?.split('-').skip(1);
        let trace = u128::from_str_radix(parts.next()?, 16).ok()?;
        let span = u64::from_str_radix(parts.next()?, 16).ok()?;
        let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
        Some(Self { place: Place { trace, span }, is_sampled: flags & SAMPLED != 0, state: context.tracestate.clone() })
    }
}

/// Which traces are recorded that begin here: `TraceIdRatioBased` of OpenTelemetry, so that all who take the same share take the same traces.
/// Those that begin elsewhere are recorded as their parent says (`ParentBased`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampler {
    /// Of 63 bits of the trace's id; none for all of them.
    below: Option<u64>,
}

impl Sampler {
    pub(super) fn new(ratio: f64) -> Self {
        // Ratios are from 0 to 1, and the product fits.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 2^63")]
        let below = if ratio < 1.0 { Some((ratio * 9_223_372_036_854_775_808.0) as u64) } else { None };
        Self { below }
    }

    pub(super) fn takes(self, root: Place) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is what decides")]
        self.below.is_none_or(|below| (root.trace as u64) >> 1 < below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn parent(text: &str) -> Option<Parent> {
        Parent::of(&TraceContext::of_headers(text, Some("a=1")))
    }

    #[test]
    fn what_is_read_is_written() {
        let read = parent(&format!("00-{TRACE}-b7ad6b7169203331-01")).expect("well formed");
        let written = read.place.context(read.state.as_deref());
        assert_eq!(written.traceparent.as_deref(), Some(format!("00-{TRACE}-b7ad6b7169203331-01").as_str()));
        assert_eq!(written.tracestate.as_deref(), Some("a=1"));
        assert!(read.is_sampled);
        let next = read.place.next();
        assert!(next.trace == read.place.trace && next.span != read.place.span);
    }

    #[test]
    fn flags_beside_the_first_do_not_count() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("03", true), ("ff", true)] {
            assert_eq!(parent(&format!("00-{TRACE}-b7ad6b7169203331-{flags}")).map(|parent| parent.is_sampled), Some(sampled), "{flags}");
        }
        assert!(parent(&format!("cc-{TRACE}-b7ad6b7169203331-01-more")).is_some());
        assert!(parent(&format!("ff-{TRACE}-b7ad6b7169203331-01")).is_none() && parent("").is_none());
    }

    #[test]
    fn a_ratio_is_a_share_of_traces() {
        let taken = |ratio| (0..10_000).filter(|_| Sampler::new(ratio).takes(Place::root())).count();
        assert_eq!((taken(0.0), taken(1.0)), (0, 10_000));
        // Ten standard deviations around the middle.
        assert!((2_000..=3_000).contains(&taken(0.25)));
        let of = |low: u64| Sampler::new(0.5).takes(Place { trace: u128::from(low), span: 1 });
        assert!(of(0) && of(u64::MAX / 2 - 1) && !of(u64::MAX / 2 + 1) && !of(u64::MAX));
    }
}
