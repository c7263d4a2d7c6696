//! Only so many lines a second come from one place of the code where requests are worked on: whoever sends ten thousand bad ones a second
//! must not fill the disk that the log is on, nor push out the lines that matter. How many were left out is a line of its own.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Lines of one place in a second. Two places may have something to say of one request.
const LINES_PER_SECOND_MAX: u32 = 40;
const SECOND: Duration = Duration::from_secs(1);
/// Rooms whose lines a client can cause. What guests say is bounded for each call.
const PACED: [&str; 6] =
    ["gatehouse::http", "gatehouse::auth", "gatehouse::method", "gatehouse::session", "gatehouse::stream", "gatehouse::task"];

/// What was written and left out, by place.
#[derive(Debug, Default)]
pub(super) struct Pace {
    places: Mutex<HashMap<Identifier, Place>>,
}

#[derive(Debug)]
struct Place {
    since: Instant,
    lines: u32,
    left_out: u64,
    metadata: &'static Metadata<'static>,
}

impl Pace {
    /// Whether a line of that place is written.
    fn allows(&self, metadata: &'static Metadata<'static>, now: Instant) -> bool {
        // Whoever has more logged than usual looks for something, and wants to see all of it.
        if LevelFilter::current() > LevelFilter::INFO || !PACED.iter().any(|room| metadata.target().starts_with(room)) {
            return true;
        }
        let mut places = self.places.lock();
        let place = places.entry(metadata.callsite()).or_insert(Place { since: now, lines: 0, left_out: 0, metadata });
        if now.saturating_duration_since(place.since) >= SECOND {
            (place.since, place.lines) = (now, 0);
        }
        place.lines = place.lines.saturating_add(1);
        let allowed = place.lines <= LINES_PER_SECOND_MAX;
        place.left_out += u64::from(!allowed);
        allowed
    }

    /// What was left out since it was asked last: how many lines, and of which place.
    pub(super) fn take_left_out(&self) -> Vec<(u64, String)> {
        let mut places = self.places.lock();
        let left_out = places.values_mut().filter(|place| place.left_out > 0).map(|place| {
            let at = format!("{}:{}", place.metadata.target(), place.metadata.line().unwrap_or_default());
            (std::mem::take(&mut place.left_out), at)
        });
        left_out.collect()
    }
}

/// Stands before whoever writes the lines.
pub(super) struct Paced(pub(super) Arc<Pace>);

impl<S: Subscriber> Layer<S> for Paced {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.allows(event.metadata(), Instant::now())
    }
}
