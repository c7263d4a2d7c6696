//! On which threads a connection is served: on those of everybody, or, where its tenant takes most of them while others are there, aside, on threads of low
//! priority.
//!
//! A connection is served by whoever polls its future. Its socket and its timers stay with the runtime that they began with; only the computing moves, with all
//! that it does: reading heads and bodies, authenticating, refusing, writing. Moving costs a hop between threads, which only those pay who are moved.

use crate::metrics;
use crate::tenant::Load;
use arc_swap::ArcSwapOption;
use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use rustix::time::{ClockId, clock_gettime};
use std::future::Future;
use std::io;
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
pub struct Aside(Option<Runtime>);

impl Aside {
    /// As many as there are processors.
    ///
    /// # Errors
    ///
    /// When the system does not give them.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(std::thread::available_parallelism().map_or(1, usize::from))
            .thread_name("aside")
            .on_thread_start(|| {
                // Where that is refused they take turns with those of everybody.
                let _ = rustix::process::setpriority_process(None, NICENESS);
            })
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one.
        if let Some(runtime) = self.0.take() {
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
    pub(super) fn new(aside: Option<&Aside>) -> Self {
        Self(Arc::new(Way { whose: ArcSwapOption::empty(), aside: aside.and_then(Aside::handle) }))
    }

    /// From now on this sender is charged with it.
    pub(super) fn is_of(&self, load: &Arc<Load>) {
        if self.0.whose.load().as_ref().is_none_or(|known| !Arc::ptr_eq(known, load)) {
            self.0.whose.store(Some(Arc::clone(load)));
        }
    }

    /// Charges it; says whether it is to be served aside.
    fn charge(&self, took: Duration) -> bool {
        self.0.whose.load().as_ref().is_some_and(|load| {
            load.add(took);
            load.is_heavy()
        })
    }

    /// Serves what this future is, on the threads that it is due.
    pub(super) fn serve<F>(&self, serving: F) -> Served<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        Served { lane: self.clone(), place: Place::Here(Box::pin(serving)) }
    }
}

/// The streams of an HTTP/2 connection are tasks of their own, which hyper starts.
impl<F> Executor<F> for Lane
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        TokioExecutor::new().execute(self.serve(stream));
    }
}

/// A future on its lane. Dropping it ends the future, wherever it is.
pub(super) struct Served<F: Future> {
    lane: Lane,
    place: Place<F>,
}

enum Place<F: Future> {
    /// With whoever polls this.
    Here(Pin<Box<F>>),
    There(JoinHandle<Left<F>>),
    Gone,
}

/// What becomes of a future aside.
enum Left<F: Future> {
    Done(F::Output),
    /// Its tenant takes little again.
    Back(Pin<Box<F>>),
}

impl<F> Future for Served<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        loop {
            match &mut self.place {
                Place::Here(serving) => {
                    let began = Instant::now();
                    let polled = serving.as_mut().poll(context);
                    let is_heavy = self.lane.charge(began.elapsed());
                    match (polled, &self.lane.0.aside) {
                        (Poll::Ready(done), _) => {
                            self.place = Place::Gone;
                            return Poll::Ready(done);
                        }
                        (Poll::Pending, Some(aside)) if is_heavy => {
                            let aside = aside.clone();
                            if let Place::Here(serving) = std::mem::replace(&mut self.place, Place::Gone) {
                                metrics::PUT_ASIDE.count();
                                let lane = self.lane.clone();
                                self.place = Place::There(aside.spawn(Low { lane, serving: Some(serving) }));
                            }
                        }
                        (Poll::Pending, _) => return Poll::Pending,
                    }
                }
                Place::There(low) => match ready!(Pin::new(low).poll(context)) {
                    // Whatever woke it on its way back woke the task that it has left: it is polled at once.
                    Ok(Left::Back(serving)) => self.place = Place::Here(serving),
                    Ok(Left::Done(done)) => {
                        self.place = Place::Gone;
                        return Poll::Ready(done);
                    }
                    Err(error) => {
                        self.place = Place::Gone;
                        if error.is_panic() {
                            resume_unwind(error.into_panic());
                        }
                        // The process ends.
                        return Poll::Pending;
                    }
                },
                // Polled again after it was done, which no executor does.
                Place::Gone => return Poll::Pending,
            }
        }
    }
}

impl<F: Future> Drop for Served<F> {
    fn drop(&mut self) {
        if let Place::There(low) = &self.place {
            low.abort();
        }
    }
}

/// Polls it aside, until its tenant takes little.
struct Low<F: Future> {
    lane: Lane,
    serving: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Low<F> {
    type Output = Left<F>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Left<F>> {
        let Some(serving) = &mut self.serving else { return Poll::Pending };
        // Not the time that goes by: others go first here, and whoever waits takes nothing.
        let began = computed();
        let polled = serving.as_mut().poll(context);
        let is_heavy = self.lane.charge(computed().saturating_sub(began));
        match polled {
            Poll::Ready(done) => Poll::Ready(Left::Done(done)),
            Poll::Pending if is_heavy => Poll::Pending,
            Poll::Pending => self.serving.take().map_or(Poll::Pending, |serving| Poll::Ready(Left::Back(serving))),
        }
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio_util::task::TaskTracker;

    /// Says the names of the threads that poll it.
    struct Noting {
        polls: Arc<AtomicUsize>,
        aside: Arc<AtomicUsize>,
        takes: Duration,
        until: usize,
    }

    impl Future for Noting {
        type Output = &'static str;

        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<&'static str> {
            let began = Instant::now();
            while began.elapsed() < self.takes {}
            if std::thread::current().name() == Some("aside") {
                self.aside.fetch_add(1, Ordering::SeqCst);
            }
            if self.polls.fetch_add(1, Ordering::SeqCst) + 1 == self.until {
                return Poll::Ready("done");
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    async fn polled(load: &Arc<Load>, takes: Duration, until: usize) -> (usize, usize) {
        let threads = Aside::start().unwrap();
        let lane = Lane::new(Some(&threads));
        lane.is_of(load);
        let [polls, aside] = [(), ()].map(|()| Arc::new(AtomicUsize::new(0)));
        let noting = Noting { polls: Arc::clone(&polls), aside: Arc::clone(&aside), takes, until };
        assert_eq!(lane.serve(noting).await, "done");
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
        let load = Arc::new(Load::default());
        load.add(Duration::from_millis(100));
        let (threads, woken) = (Aside::start().unwrap(), Arc::new(tokio::sync::Notify::new()));
        let lane = Lane::new(Some(&threads));
        lane.is_of(&load);
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
        // The first poll is here and says that it is to go; the last one comes from there, and what follows is here again.
        assert_eq!(names.lock().as_slice(), [false, true, true]);
    }

    #[tokio::test]
    async fn a_panic_there_is_one_here() {
        let load = Arc::new(Load::default());
        load.add(Duration::from_millis(100));
        let threads = Aside::start().unwrap();
        let lane = Lane::new(Some(&threads));
        lane.is_of(&load);
        let serving = TaskTracker::new().spawn(lane.serve(async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        }));
        assert!(serving.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn dropped_is_dropped_there() {
        let load = Arc::new(Load::default());
        load.add(Duration::from_millis(100));
        let threads = Aside::start().unwrap();
        let lane = Lane::new(Some(&threads));
        lane.is_of(&load);
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
