//! A soak: one gateway under a mixed load with faults for minutes, and afterwards everything that it took is back.
//!
//! `make soak MINUTES=30` runs it for longer. The load is open: each lane begins its next step at its next tick, or when the step before is
//! done, so that a busy machine gets less of it and nothing fails for that. What is proven: every answer is one of those that its request may
//! have; descriptors, threads, sessions, streams, permits and rows of the store are exactly where they were; memory does not grow with
//! requests; nothing panicked; the record of calls is whole. The tables are printed; curves and numbers are in `target/soak/`.

mod calls;
mod chart;
mod faults;
mod operator;
mod report;
mod samples;
mod sessions;
mod site;
mod slope;
mod tally;

use crate::harness::root;
use report::Report;
use samples::Sample;
use site::Site;
use std::fs;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

/// Every step at least once, so that what is made at first use is there.
const WARM_UP: Duration = Duration::from_secs(12);
/// Tasks are kept for a minute: in the last minute none begins, so that they are gone as soon as the rest.
const TASKS_END: Duration = Duration::from_secs(60);
/// Threads of the runtime that block go after ten idle seconds.
const QUIET_LOOKS: usize = 14;
const REST_LIMIT: Duration = Duration::from_secs(150);
/// Threads of pools may be so many more after the load. Hundreds would be waited for by nobody.
const POOLED_MORE_MAX: u64 = 24;
/// What memory may drift by in the second half of the load, however long it is: measured, it goes up and down by two thirds of that. With 270
/// requests a second this finds 130 bytes that each leaves behind in a run of three minutes, and 7 in one of an hour.
const HEAP_DRIFT_KIB: f64 = 3.0 * 1024.0;
/// And for each thread that came under the load: each has an allocator of its own, which takes minutes to fill. Measured on one program: 4.4 MiB
/// more in the second half where eight had come, none in a run of nine minutes where two had.
const HEAP_THREAD_KIB: u64 = 2 * 1024;
/// The same of all that guests had: a place that is used for the first time keeps a MiB, a component that is not freed has some more.
const POOLS_DRIFT_KIB: f64 = 12.0 * 1024.0;
/// At rest after the load, beside what it was before.
const HEAP_KEPT_KIB: u64 = 8 << 10;

type Step = fn(Arc<Site>, u64) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// How many do this side by side, how often each begins, and what.
struct Lane(u64, u64, Step);

macro_rules! lane {
    ($lanes:literal every $every_ms:literal ms: $step:path) => {
        Lane($lanes, $every_ms, |site, n| Box::pin($step(site, n)))
    };
}

const LANES: &[Lane] = &[
    lane!(4 every 40 ms: calls::json),
    lane!(2 every 150 ms: calls::progress),
    lane!(1 every 200 ms: calls::lists),
    lane!(1 every 100 ms: calls::others),
    lane!(1 every 300 ms: calls::dialog),
    lane!(2 every 1500 ms: calls::task),
    lane!(1 every 500 ms: calls::gone),
    lane!(1 every 700 ms: calls::listen),
    lane!(1 every 500 ms: calls::guests),
    lane!(4 every 800 ms: sessions::whole),
    lane!(1 every 1000 ms: sessions::left),
    lane!(1 every 1100 ms: sessions::dialog),
    lane!(1 every 30 ms: faults::inputs),
    lane!(1 every 1000 ms: faults::bytes),
    lane!(2 every 3000 ms: faults::slow_readers),
    lane!(1 every 5000 ms: faults::greed),
    lane!(1 every 5000 ms: operator::settings),
    lane!(1 every 4000 ms: operator::plugins),
    lane!(1 every 3000 ms: operator::revocations),
];

async fn drive(site: Arc<Site>, number: u64, every_ms: u64, step: Step) {
    let mut ticks = interval(Duration::from_millis(every_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Neighbours do not do the same at the same time.
    let mut n = number;
    while !site.is_over() {
        ticks.tick().await;
        step(Arc::clone(&site), n).await;
        n += 1;
    }
}

/// The load for a time, looked at each second; then all of its steps are waited for. A step that fails ends it.
async fn load(site: &Arc<Site>, time: Duration, samples: &mut Vec<Sample>) -> Result<(), JoinError> {
    site.set_over(false);
    site.set_tasks_over(false);
    let (began, mut lanes) = (Instant::now(), JoinSet::new());
    for Lane(count, every_ms, step) in LANES {
        for number in 0..*count {
            lanes.spawn(drive(Arc::clone(site), number, *every_ms, *step));
        }
    }
    let mut looks = interval(Duration::from_secs(1));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = lanes.join_next() => match ended {
                Some(ended) => ended?,
                None => return Ok(()),
            },
            _ = looks.tick() => samples.push(Sample::of(site).await),
        }
        if time > TASKS_END && began.elapsed() + TASKS_END > time {
            site.set_tasks_over(true);
        }
        if began.elapsed() > time {
            site.set_over(true);
        }
    }
}

/// Looks each second until `done` with all looks of this rest.
async fn rest(site: &Site, samples: &mut Vec<Sample>, done: impl Fn(&[Sample]) -> bool) -> bool {
    let (began, from) = (Instant::now(), samples.len());
    let mut looks = interval(Duration::from_secs(1));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while began.elapsed() < REST_LIMIT {
        looks.tick().await;
        samples.push(Sample::of(site).await);
        if done(&samples[from..]) {
            return true;
        }
    }
    false
}

/// Nothing is in flight, and nothing that the process holds has changed for a while.
fn is_quiet(looks: &[Sample]) -> bool {
    let held = |look: &Sample| (look.fds, look.threads, look.pooled_threads, look.sessions, look.streams, look.permits);
    let last = looks.len().checked_sub(QUIET_LOOKS).and_then(|from| looks.get(from..)).unwrap_or_default();
    last.last().is_some_and(|now| (now.sessions, now.streams, now.permits) == (0, 0, 0) && last.iter().all(|look| held(look) == held(now)))
}

fn duration() -> Duration {
    let minutes = std::env::var("GATEHOUSE_SOAK_MINUTES").map_or(3.0, |text| text.parse().expect("GATEHOUSE_SOAK_MINUTES: a number"));
    Duration::from_secs_f64(minutes * 60.0)
}

fn publish(report: &Report) {
    let place = root().join("target/soak");
    let times = (report.samples[report.loaded.0].at_s, report.samples[report.loaded.1 - 1].at_s);
    let written = fs::create_dir_all(&place)
        .and_then(|()| fs::write(place.join("soak.svg"), chart::svg(&report.samples, times)))
        .and_then(|()| fs::write(place.join("soak.json"), format!("{:#}\n", report.json())));
    written.expect("target/soak can be written");
    println!("{}", report.tables());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_grows_and_everything_comes_back() {
    let site = Arc::new(Site::start().await);
    let mut samples = vec![Sample::of(&site).await];
    let fresh = samples[0];
    if let Err(error) = load(&site, WARM_UP, &mut samples).await {
        std::panic::resume_unwind(error.into_panic());
    }
    assert!(rest(&site, &mut samples, is_quiet).await, "no rest before the load: {:?}", samples.last());
    // What the warm-up keeps in the store for a minute is no part of the base.
    let base = Sample { rows: fresh.rows, ..samples[samples.len() - 1] };

    let threads = samples::threads(&site);

    site.tally.take();
    let began = samples.len();
    let ended = load(&site, duration(), &mut samples).await;
    let to = samples.len();
    let back = |look: &Sample| look.countable() == base.countable();
    let is_back = ended.is_ok() && rest(&site, &mut samples, |looks| looks.last().is_some_and(back)).await;
    let (end, kinds) = (samples[samples.len() - 1], site.tally.take());
    let report = Report { load: duration(), samples, loaded: (began, to), base, end, kinds };
    publish(&report);
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
    let (now, then) = ((end.countable(), samples::threads(&site)), (base.countable(), threads));
    assert!(is_back, "not back where it was: {now:?} instead of {then:?}");
    judge(&site, &report).await;
}

/// What has to have happened in every run: a kind of request, and how an answer's class begins.
const MUST: [(&str, &str); 22] = [
    ("broken input", "400 -32700"),
    ("broken input", "401"),
    ("broken input", "413"),
    ("broken input", "429"),
    ("call beyond a quota", "429 -31005 quota"),
    ("call of who is restored", "200"),
    ("call, closed by its client", "closed"),
    ("call, forbidden", "403 -31006"),
    ("call, revoked", "403 -31014"),
    ("guest that misbehaves", "200 -31001"),
    ("guest that misbehaves", "200 -31002 tool_trap"),
    ("guest that misbehaves", "200 -31002 stack_exhausted"),
    ("guest that misbehaves", "200 -31003"),
    ("guest that misbehaves", "200 -31008"),
    ("listen, told", "event"),
    ("operator, broken policy", "422"),
    ("operator, broken settings", "422"),
    ("operator, plugin", "served"),
    ("peer with a narrow window", "read to its end"),
    ("session, call, cancelled", "200"),
    ("session, resumed", "200"),
    ("task, fetched", "200"),
];

async fn judge(site: &Site, report: &Report) {
    let (base, end) = (report.base, report.end);
    assert_eq!(end.panics, 0);
    for (kind, class) in MUST {
        let seen = report.kinds.get(kind).is_some_and(|kind| kind.classes.keys().any(|seen| seen.starts_with(class)));
        assert!(seen, "{kind}: never {class}");
    }
    let page = site.metrics().await;
    assert!(page.value("gatehouse_sse_stalled_total", &[]) > 0.0, "no peer that does not read was cut off");
    let pooled = (base.pooled_threads, end.pooled_threads);
    assert!(pooled.1 <= pooled.0 + POOLED_MORE_MAX, "threads of pools: {pooled:?}");
    type Of = fn(&Sample) -> u64;
    let threads_kib = HEAP_THREAD_KIB * report.peak(|sample| sample.pooled_threads).saturating_sub(base.pooled_threads);
    let memory: [(_, Of, _); 2] =
        [("heap", |sample| sample.heap_kib, HEAP_DRIFT_KIB + threads_kib as f64), ("pools", |sample| sample.pools_kib, POOLS_DRIFT_KIB)];
    for (name, of, drift_max_kib) in memory {
        let (drift_kib, leak_bytes) = (report.growth(of, 0.0).drift_kib(), report.finds_from(of, drift_max_kib));
        println!("{name}: drifted by {drift_kib:+.0} of {drift_max_kib:.0} KiB; this run finds leaks from {leak_bytes} bytes a request");
        assert!(drift_kib <= drift_max_kib, "{name} grows");
    }
    assert!(end.heap_kib <= base.heap_kib + HEAP_KEPT_KIB + threads_kib, "a heap of {} KiB became one of {}", base.heap_kib, end.heap_kib);
    let (code, said) = site.gateway().command(&["journal", "verify"]).await;
    assert_eq!(code, 0, "{said}");
    println!("{}", said.lines().next().unwrap_or_default());
}
