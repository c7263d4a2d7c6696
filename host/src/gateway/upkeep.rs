//! What is done every few seconds, and by whom: loops that are too small for files of their own.

use super::supervise::Rounds;
use crate::auth::KeyFetcher;
use crate::catalog::Library;
use crate::control::Answering;
use crate::http::Front;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

/// Between two looks for peers that do not read.
const STALL_LOOK: Duration = Duration::from_secs(1);
/// Between two looks for sessions and streams whose time is over.
const SWEEP: Duration = Duration::from_secs(5);

/// Ends connections whose peers do not read. By itself: what waits for the disk must not hold it up.
pub(super) struct Stalled {
    front: Arc<Front>,
    ticks: Interval,
}

impl Stalled {
    pub(super) fn new(front: Arc<Front>) -> Self {
        Self { front, ticks: tokio::time::interval(STALL_LOOK) }
    }
}

impl Rounds for Stalled {
    const TASK: &'static str = "stalls";

    async fn round(&mut self) {
        self.ticks.tick().await;
        self.front.stalls.sweep();
    }
}

/// Ends what is over, and brings the store up to date.
pub(super) struct Over {
    front: Arc<Front>,
    ticks: Interval,
}

impl Over {
    pub(super) fn new(front: Arc<Front>) -> Self {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { front, ticks }
    }
}

impl Rounds for Over {
    const TASK: &'static str = "sweep";

    async fn round(&mut self) {
        self.ticks.tick().await;
        let rooms = &self.front.rooms;
        for session in rooms.sessions.sweep().await {
            rooms.streams.forget(&session.partition);
        }
        rooms.streams.sweep();
        rooms.task_store.sweep().await;
        // A store that cannot be written is swept when it can.
        while rooms.store.sweep().await.is_ok_and(|swept| swept.more) {}
    }
}

impl Rounds for Library {
    const TASK: &'static str = "watcher";

    async fn round(&mut self) {
        Library::round(self).await;
    }
}

impl Rounds for KeyFetcher {
    const TASK: &'static str = "keys";

    async fn round(&mut self) {
        KeyFetcher::round(self).await;
    }
}

impl Rounds for Answering {
    const TASK: &'static str = "control";

    async fn round(&mut self) {
        Answering::round(self).await;
    }
}
