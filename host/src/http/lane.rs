//! On which threads a connection is served: on those of everybody, or, where its tenant takes most of them while others are there, aside, on threads of low
//! priority.
//!
//! A connection is served by whoever polls its future. Its socket and its timers stay with the runtime that they began with; only the computing moves, with all
//! that it does: reading heads and bodies, authenticating, refusing, writing. Moving costs a hop between threads, which only those pay who are moved.

use super::failures::Failures;
use crate::metrics;
use crate::tenant::{Load, clock_ns};
use arc_swap::ArcSwapOption;
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use rustix::time::{ClockId, clock_gettime};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

/// How much lower, as `nice` has it: as low as that of guests that compute for long.
const NICENESS: i32 = 10;

/// The threads of low priority.
#[derive(Debug)]
pub struct Aside {
    runtime: Option<Runtime>,
    failures: Arc<Failures>,
}

impl Aside {
    /// As many as there are processors. Connections of addresses that have failed too often begin there, where nobody's requests take much.
    ///
    /// # Errors
    ///
    /// When the system does not give them.
    pub fn start(failures: Arc<Failures>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(std::thread::available_parallelism().map_or(1, usize::from))
            .thread_name("aside")
            .on_thread_start(|| {
                // Where that is refused they take turns with those of everybody.
                let _ = rustix::process::setpriority_process(None, NICENESS);
            })
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime), failures })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Of one connection; travels with its requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Lane(Arc<Way>);

#[derive(Debug, Default)]
struct Way {
    /// Who is charged with it: the sender of its last request, once it is known.
    whose: ArcSwapOption<Load>,
    /// None: this connection is never moved.
    aside: Option<Handle>,
}

impl Lane {
    pub(super) fn new(aside: Option<&Aside>, peer: IpAddr) -> Self {
        let whose = aside.map(|aside| &aside.failures).filter(|failures| failures.is_over(peer, Instant::now()));
        let whose = ArcSwapOption::new(whose.map(|failures| Arc::clone(failures.load())));
        let aside = aside.and_then(|aside| aside.runtime.as_ref()).map(|runtime| runtime.handle().clone());
        Self(Arc::new(Way { whose, aside }))
    }

    /// From now on this sender is charged with it. One that was not known before and is to be served aside goes there now, before the work begins.
    pub(super) async fn is_of(&self, load: &Arc<Load>) {
        if self.0.whose.load().as_ref().is_none_or(|known| !Arc::ptr_eq(known, load)) {
            self.0.whose.store(Some(Arc::clone(load)));
            if load.is_heavy() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Where it is to be served, if that is aside.
    fn is_aside(&self) -> Option<&Handle> {
        let aside = self.0.aside.as_ref()?;
        self.0.whose.load().as_ref().is_some_and(|load| load.is_heavy()).then_some(aside)
    }

    fn charge(&self, took: Duration, now_ns: u64) {
        if let Some(load) = &*self.0.whose.load() {
            load.add(took, now_ns);
        }
    }

    /// Serves what this future is, on the threads that it is due.
    pub(super) fn serve<F>(&self, serving: F) -> Served<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Served { lane: self.clone(), place: Place::Here(Box::pin(serving)) }
    }
}

/// The streams of an HTTP/2 connection are tasks of their own, which hyper starts.
impl<F> Executor<F> for Lane
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        TokioExecutor::new().execute(self.serve(stream));
    }
}

/// A future on its lane. Dropping it ends the future, wherever it is.
pub(super) struct Served<F> {
    lane: Lane,
    place: Place<F>,
}

enum Place<F> {
    /// With whoever polls this.
    Here(Pin<Box<F>>),
    There(JoinHandle<Left<F>>),
    Gone,
}

/// What becomes of a future aside.
enum Left<F> {
    Done,
    /// Its tenant takes little again.
    Back(Pin<Box<F>>),
}

impl<F> Future for Served<F>
where
    F: Future<Output = ()> + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match &mut this.place {
                Place::Here(serving) => {
                    let Some(aside) = this.lane.is_aside() else {
                        let began_ns = clock_ns();
                        let polled = serving.as_mut().poll(context);
                        let now_ns = clock_ns();
                        this.lane.charge(Duration::from_nanos(now_ns.saturating_sub(began_ns)), now_ns);
                        if polled.is_ready() {
                            this.place = Place::Gone;
                        }
                        return polled;
                    };
                    metrics::PUT_ASIDE.count();
                    if let Place::Here(serving) = std::mem::replace(&mut this.place, Place::Gone) {
                        let low = Low { lane: this.lane.clone(), serving: Some(serving) };
                        this.place = Place::There(aside.spawn(low));
                    }
                }
                Place::There(low) => match ready!(Pin::new(low).poll(context)) {
                    // Whatever woke it on its way back woke the task that it has left: it is polled at once.
                    Ok(Left::Back(serving)) => this.place = Place::Here(serving),
                    Ok(Left::Done) => {
                        this.place = Place::Gone;
                        return Poll::Ready(());
                    }
                    Err(error) => {
                        this.place = Place::Gone;
                        if error.is_panic() {
                            resume_unwind(error.into_panic());
                        }
                        // The threads are gone, and with them what they served.
                        return Poll::Ready(());
                    }
                },
                // Polled again after it was done, which no executor does.
                Place::Gone => return Poll::Pending,
            }
        }
    }
}

impl<F> Drop for Served<F> {
    fn drop(&mut self) {
        if let Place::There(low) = &self.place {
            low.abort();
        }
    }
}

/// Polls it aside, until its tenant takes little.
struct Low<F> {
    lane: Lane,
    serving: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ()>> Future for Low<F> {
    type Output = Left<F>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Left<F>> {
        let Some(mut serving) = self.serving.take() else { return Poll::Pending };
        if self.lane.is_aside().is_none() {
            return Poll::Ready(Left::Back(serving));
        }
        // Not the time that goes by: others go first here, and whoever waits takes nothing.
        let began = computed();
        let polled = serving.as_mut().poll(context);
        self.lane.charge(computed().saturating_sub(began), clock_ns());
        self.serving = Some(serving);
        polled.map(|()| Left::Done)
    }
}

/// Processor time of this thread.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use tokio_util::task::TaskTracker;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn threads() -> Aside {
        Aside::start(Arc::new(Failures::new(0))).unwrap()
    }

    /// A connection of somebody who took much.
    async fn heavy() -> (Aside, Lane, Arc<Load>) {
        let (threads, load) = (threads(), Arc::new(Load::default()));
        load.add(Duration::from_millis(100), clock_ns());
        let lane = Lane::new(Some(&threads), PEER);
        lane.is_of(&load).await;
        (threads, lane, load)
    }

    /// Counts its polls, and those of them that are aside.
    struct Noting {
        polls: Arc<AtomicUsize>,
        aside: Arc<AtomicUsize>,
        takes: Duration,
        until: usize,
    }

    impl Future for Noting {
        type Output = ();

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let began = Instant::now();
            while began.elapsed() < self.takes {}
            if std::thread::current().name() == Some("aside") {
                self.aside.fetch_add(1, Ordering::SeqCst);
            }
            if self.polls.fetch_add(1, Ordering::SeqCst) + 1 == self.until {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    async fn polled(load: &Arc<Load>, takes: Duration, until: usize) -> (usize, usize) {
        let threads = threads();
        let lane = Lane::new(Some(&threads), PEER);
        lane.is_of(load).await;
        let [polls, aside] = [(), ()].map(|()| Arc::new(AtomicUsize::new(0)));
        let noting = Noting { polls: Arc::clone(&polls), aside: Arc::clone(&aside), takes, until };
        lane.serve(noting).await;
        (polls.load(Ordering::SeqCst), aside.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn who_takes_much_is_served_aside_to_its_end() {
        let (polls, aside) = polled(&Arc::new(Load::default()), Duration::from_millis(2), 50).await;
        assert_eq!(polls, 50);
        assert!(aside > 10, "{aside}");
    }

    #[tokio::test]
    async fn who_takes_little_stays() {
        let (polls, aside) = polled(&Arc::new(Load::default()), Duration::ZERO, 50).await;
        assert_eq!((polls, aside), (50, 0));
    }

    #[tokio::test]
    async fn it_comes_back() {
        let ((_threads, lane, load), woken) = (heavy().await, Arc::new(tokio::sync::Notify::new()));
        let (names, waits) = (Arc::new(parking_lot::Mutex::new(Vec::new())), Arc::clone(&woken));
        let noted = Arc::clone(&names);
        let note = move || noted.lock().push(std::thread::current().name() == Some("aside"));
        let serving = TaskTracker::new().spawn(lane.serve(async move {
            for _ in 0..3 {
                note();
                waits.notified().await;
            }
        }));
        let at = async |count: usize| {
            while names.lock().len() < count {
                tokio::task::yield_now().await;
            }
        };
        at(1).await;
        woken.notify_one();
        at(2).await;
        while load.is_heavy() {
            tokio::task::yield_now().await;
        }
        woken.notify_one();
        at(3).await;
        woken.notify_one();
        serving.await.unwrap();
        assert_eq!(names.lock().as_slice(), [true, true, false]);
    }

    #[tokio::test]
    async fn who_failed_too_often_begins_aside() {
        let threads = threads();
        let served_aside = async || {
            let lane = Lane::new(Some(&threads), PEER);
            let is_aside = Arc::new(AtomicBool::new(false));
            let noted = Arc::clone(&is_aside);
            lane.serve(async move { noted.store(std::thread::current().name() == Some("aside"), Ordering::SeqCst) }).await;
            is_aside.load(Ordering::SeqCst)
        };
        threads.failures.load().add(Duration::from_millis(100), clock_ns());
        assert!(!served_aside().await, "others take much; this address did not fail");
        threads.failures.count(PEER, Instant::now());
        assert!(served_aside().await);
    }

    #[tokio::test]
    async fn a_panic_there_is_one_here() {
        let (_threads, lane, _) = heavy().await;
        let serving = TaskTracker::new().spawn(lane.serve(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        }));
        assert!(serving.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn it_ends_with_its_threads() {
        let (threads, lane, _) = heavy().await;
        let serving = TaskTracker::new().spawn(lane.serve(std::future::pending()));
        tokio::task::yield_now().await;
        drop(threads);
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn dropped_is_dropped_there() {
        let (_threads, lane, _) = heavy().await;
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let serving = TaskTracker::new().spawn(lane.serve(async move {
            std::future::pending::<()>().await;
            drop(held);
        }));
        tokio::task::yield_now().await;
        serving.abort();
        while Arc::strong_count(&alive) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
