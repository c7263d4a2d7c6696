//! Carries out what an operator orders about revocations, one order after the other, each as a line of the log and of the journal; and ends
//! those whose time has passed.

use super::supervise::Rounds;
use crate::control::Ordered;
use crate::journal::{Event, Kind};
use crate::method::{Effect, Rooms};
use crate::revocation::{FILE, Order, Revocation, Target, now_ms};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Between two attempts to write to a disk that refuses.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks at the clock, which may be set.
const LOOK: Duration = Duration::from_secs(10);
/// For the disk. What is revoked counts without it.
const DISK_WAIT: Duration = Duration::from_secs(5);

/// Who carries them out.
pub(super) struct Orders {
    rooms: Arc<Rooms>,
    ordered: mpsc::Receiver<Ordered>,
    /// The disk does not have what is revoked.
    unkept: bool,
}

impl Orders {
    pub(super) fn new(rooms: Arc<Rooms>, ordered: mpsc::Receiver<Ordered>) -> Self {
        Self { rooms, ordered, unkept: false }
    }
}

impl Rounds for Orders {
    const TASK: &'static str = "orders";

    async fn round(&mut self) {
        let Self { rooms, ordered, unkept } = self;
        tokio::select! {
            Some((order, answer)) = ordered.recv() => {
                let said = obey(rooms, order, unkept).await;
                // Whoever ordered may have gone.
                let _ = answer.send(said);
            }
            () = tokio::time::sleep(pause(rooms, *unkept)) => {
                for revocation in rooms.restore_what_is_over() {
                    record(rooms, Kind::RevocationOver, &revocation.target, None, 0);
                    *unkept = true;
                }
                *unkept = *unkept && kept(rooms).await.is_err();
            }
        }
    }
}

/// Until there is something to do without an order.
fn pause(rooms: &Rooms, unkept: bool) -> Duration {
    let now = now_ms();
    let ends = rooms.revocations.now().all().iter().filter_map(|revocation| revocation.until_ms).min();
    let next = ends.map_or(LOOK, |end| Duration::from_millis(end.saturating_sub(now)).min(LOOK));
    if unkept { next.max(RETRY) } else { next }
}

async fn obey(rooms: &Arc<Rooms>, order: Order, unkept: &mut bool) -> Vec<Value> {
    match order {
        Order::List {} => rooms.revocations.now().all().iter().filter_map(|revocation| serde_json::to_value(revocation).ok()).collect(),
        Order::Revoke(revocation) => vec![revoke(rooms, revocation, unkept).await],
        Order::Restore(target) => vec![restore(rooms, target).await],
    }
}

async fn revoke(rooms: &Arc<Rooms>, revocation: Revocation, unkept: &mut bool) -> Value {
    let (began, target, reason) = (Instant::now(), revocation.target.clone(), revocation.reason.clone());
    let Effect { is_there, calls, calls_left, sessions, streams, tasks } = match rooms.revoke(revocation).await {
        Ok(effect) => effect,
        Err(reason) => return json!({ "ok": false, "text": reason }),
    };
    let took = began.elapsed();
    let before = std::mem::replace(unkept, true);
    record(rooms, Kind::Revoke, &target, reason, calls);
    let kept = kept(rooms).await;
    *unkept = before || kept.is_err();
    json!({
        "ok": true, "there": is_there, "calls": calls, "calls_left": calls_left, "sessions": sessions, "streams": streams, "tasks": tasks,
        "ms": took.as_secs_f64() * 1e3, "not_kept": kept.err(),
    })
}

async fn restore(rooms: &Arc<Rooms>, target: Target) -> Value {
    let (there, wanted) = (Arc::clone(rooms), target.clone());
    match on_disk(move || there.restore(&wanted)).await {
        Ok(restored) => {
            if restored.is_some() {
                record(rooms, Kind::Restore, &target, None, 0);
            }
            json!({ "ok": true, "restored": restored.is_some() })
        }
        Err(reason) => json!({ "ok": false, "text": format!("it stays revoked: {FILE} cannot be written: {reason}") }),
    }
}

/// Brings the disk up to date.
async fn kept(rooms: &Arc<Rooms>) -> Result<(), String> {
    let there = Arc::clone(rooms);
    let kept = on_disk(move || there.revocations.keep()).await;
    if let Err(reason) = &kept {
        tracing::error!(%reason, "what is revoked is in force and cannot be kept; it is tried again every two seconds");
    }
    kept
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, String> {
    match tokio::time::timeout(DISK_WAIT, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done.map_err(|error| error.to_string()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the disk takes too long".to_owned()),
    }
}

/// In the log, where the names may be those that a token says, and in the journal.
fn record(rooms: &Rooms, kind: Kind, target: &Target, reason: Option<String>, calls: usize) {
    let shown = mcp::text::line(&target.to_string(), 512);
    let why = mcp::text::line(reason.as_deref().unwrap_or("none given"), 512);
    tracing::warn!(event = kind.word(), what = %shown, reason = %why, calls, "what is revoked has changed");
    let event = Event::new(kind).to(&target.to_string());
    rooms.journal.note(Event { reason: reason.map(Cow::Owned), calls: Some(calls as u64), ..event });
}
