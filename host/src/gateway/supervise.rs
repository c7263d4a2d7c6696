//! The gateway's own loops do not end without a word: a panic ends one round, and the next begins a moment later, with what the loop holds.
//! A loop whose rounds go on to end so has the gateway stop (reliability X09): whoever started it sees that, where a part that is missing
//! would not be seen.

use crate::metrics::{self, Beat};
use futures_util::FutureExt as _;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Between a panic and the next round.
const PAUSE: Duration = Duration::from_millis(200);
/// So many restarts within so long are as many as there may be.
const RESTARTS_MAX: usize = 5;
const RESTARTS_TIME: Duration = Duration::from_secs(60);

/// A loop without an end. What it has to remember from one round to the next is its own, so that a panic loses a round and no more.
pub(super) trait Rounds: Send {
    /// Its name in logs and metrics, one of those that `metrics::TASK_RESTARTS` knows.
    const TASK: &'static str;

    /// Waits for something to do, ten seconds at most, and does it.
    fn round(&mut self) -> impl Future<Output = ()> + Send;
}

/// Who starts loops, and hears of those that cannot go on.
#[derive(Debug, Clone)]
pub(super) struct Supervisor {
    tasks: TaskTracker,
    failed: CancellationToken,
}

impl Supervisor {
    /// Its loops are among these tasks.
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self { tasks, failed: CancellationToken::new() }
    }

    /// The same, with loops among other tasks.
    pub(super) fn among(&self, tasks: TaskTracker) -> Self {
        Self { tasks, failed: self.failed.clone() }
    }

    /// Runs it until the handle is dropped.
    pub(super) fn start<R: Rounds + 'static>(&self, mut rounds: R) -> AbortOnDropHandle<()> {
        let supervisor = self.clone();
        AbortOnDropHandle::new(self.tasks.spawn(async move { supervisor.keep(&mut rounds).await }))
    }

    /// Runs it until the future is dropped, or the loop cannot go on.
    pub(super) async fn keep<R: Rounds>(&self, rounds: &mut R) {
        let (beat, mut restarts) = (Beat::begin(R::TASK), Restarts::default());
        loop {
            beat.beat();
            // What a round leaves half done is looked at by the next one: nothing of it is kept between rounds but what the loop holds.
            if AssertUnwindSafe(rounds.round()).catch_unwind().await.is_ok() {
                continue;
            }
            if !restarts.another(Instant::now()) {
                tracing::error!(task = R::TASK, restarts = RESTARTS_MAX, "a part of the gateway fails again and again; the gateway stops");
                return self.failed.cancel();
            }
            metrics::TASK_RESTARTS.count(R::TASK);
            tracing::error!(task = R::TASK, restarts = restarts.0.len(), "a part of the gateway panicked; it goes on");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until one cannot go on.
    pub(super) async fn failed(&self) {
        self.failed.cancelled().await;
    }
}

/// The restarts of a loop that are not long ago.
#[derive(Default)]
struct Restarts(VecDeque<Instant>);

impl Restarts {
    /// Whether there may be one more, which is counted then.
    fn another(&mut self, now: Instant) -> bool {
        self.0.retain(|at| now.duration_since(*at) < RESTARTS_TIME);
        let room = self.0.len() < RESTARTS_MAX;
        if room {
            self.0.push_back(now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// Panics when it is told to; says what it was told otherwise.
    struct Parrot {
        heard: mpsc::Receiver<Option<u32>>,
        says: mpsc::Sender<u32>,
        sum: u32,
    }

    impl Rounds for Parrot {
        const TASK: &'static str = "other";

        async fn round(&mut self) {
            if let Some(word) = self.heard.recv().await {
                self.sum += word.expect("told to");
                self.says.send(self.sum).await.expect("heard");
            }
        }
    }

    fn parrot() -> (Parrot, mpsc::Sender<Option<u32>>, mpsc::Receiver<u32>) {
        let ((tell, heard), (says, hear)) = (mpsc::channel(16), mpsc::channel(16));
        (Parrot { heard, says, sum: 0 }, tell, hear)
    }

    fn restarts() -> u64 {
        metrics::TASK_RESTARTS.each().find(|(word, _)| *word == "other").map_or(0, |(_, count)| count)
    }

    /// X09, of a loop that is made for it.
    #[tokio::test]
    async fn a_loop_goes_on_with_what_it_holds_and_gives_up_in_the_end() {
        let supervisor = Supervisor::new(TaskTracker::new());
        let (parrot, tell, mut hear) = parrot();
        let before = restarts();
        let handle = supervisor.start(parrot);
        tell.send(Some(1)).await.expect("taken");
        assert_eq!(hear.recv().await, Some(1));
        for at in 1..=5 {
            let began = Instant::now();
            tell.send(None).await.expect("taken");
            tell.send(Some(1)).await.expect("taken");
            assert_eq!(hear.recv().await, Some(1 + at), "it has its channels and its sum");
            assert!(began.elapsed() >= PAUSE, "not at once, or it would spin");
        }
        assert_eq!(restarts() - before, 5);
        assert!(!supervisor.failed.is_cancelled());
        tell.send(None).await.expect("taken");
        tokio::time::timeout(Duration::from_secs(20), supervisor.failed()).await.expect("it gives up");
        handle.await.expect("it ended by itself");
        assert_eq!((hear.recv().await, restarts() - before), (None, 5));
    }

    #[test]
    fn what_happens_now_and_then_is_no_reason_to_stop() {
        let (mut restarts, began) = (Restarts::default(), Instant::now());
        let mut at = |seconds: u64| restarts.another(began + Duration::from_secs(seconds));
        assert!((0..100).all(|turn| at(turn * 12)), "five in each minute");
        assert!(!at(99 * 12 + 11), "the sixth");
        assert!(at(99 * 12 + 12), "one of them is long ago");
    }
}
