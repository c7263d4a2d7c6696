//! The guest of a running call: who drives it.

use super::product::{Ended, Gate, Said};
use super::run::About;
use crate::metrics;
use crate::revocation::Running;
use crate::scratch::Scratch;
use crate::tenant::Slot;
use crate::trace::Span;
use sandbox::{Call, Fault, Finished, Permit, Profile, Sandbox, Spent, Usage};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// A slot, and who is told what was used in it, however the call ends.
struct Occupied {
    slot: Slot,
    spent: Arc<Spent>,
    began: Instant,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.slot.bill().used(self.spent.cpu(), self.spent.memory_bytes(), self.began.elapsed());
    }
}

/// The span of a guest that runs, told what it used, however it ends.
struct Ran {
    span: Span,
    spent: Arc<Spent>,
    told: bool,
}

impl Ran {
    fn over(mut self, finished: &Finished) {
        self.told = true;
        match &finished.outcome {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => self.span.failed("guest_failed"),
            Err(fault) => self.span.failed(fault.word()),
        }
        self.used(finished.usage.cpu, finished.usage.memory_bytes);
    }

    fn used(&self, cpu: Duration, memory_bytes: usize) {
        self.span.number("gatehouse.guest.cpu_us", super::micros(cpu));
        self.span.number("gatehouse.guest.memory_bytes", memory_bytes as u64);
    }
}

impl Drop for Ran {
    fn drop(&mut self) {
        if !self.told {
            self.span.failed("stopped");
            self.used(self.spent.cpu(), self.spent.memory_bytes());
        }
    }
}

/// The guest's part of a request.
pub(super) fn span(about: &About) -> Span {
    let span = about.span.child("guest");
    if span.is_on() {
        span.text("gatehouse.plugin", about.target.plugin());
        span.word(
            "gatehouse.guest.engine",
            match about.target.guest().profile() {
                Profile::Fast => "fast",
                Profile::Heavy => "heavy",
            },
        );
    }
    span
}

/// A guest with its call's slot. Dropping it ends the guest and gives the slot back.
pub(super) enum Guest {
    /// Whoever reads the replies drives it: no other thread, no task.
    Here(Pin<Box<dyn Future<Output = Ended> + Send>>),
    /// It runs by itself.
    There(AbortOnDropHandle<Ended>),
    /// It ended.
    Gone,
}

impl Guest {
    /// Filters look at its answer while it still has its slot, and within its time: they end with it, and cannot be outrun. A revocation ends
    /// it here, where it is driven, whether or not anybody reads what it says.
    pub(super) fn new(
        sandbox: Arc<Sandbox>,
        permit: Permit,
        (call, span): (Call, Span),
        (slot, running, scratch): (Slot, Arc<Running>, Option<Arc<Scratch>>),
        gate: Gate,
    ) -> Self {
        let ran = Ran { span, spent: Arc::clone(&call.spent), told: false };
        let began = Instant::now();
        let occupied = Occupied { slot, spent: Arc::clone(&call.spent), began };
        // Its place first: what is made before it would be copied there, and it is large.
        let guest = Box::write(Box::new_uninit(), async move {
            // Given back when the guest is gone, whenever its answer is read.
            let _occupied = occupied;
            // Removed then, if it is of this call alone.
            let _scratch = scratch;
            let (limit, cpu_limit) = (call.limits.wall, call.limits.cpu);
            let deadline = began + limit;
            let revoked = || Ended { outcome: Ok(Ok(Said::Revoked)), usage: Usage::default(), stdio: Vec::new() };
            if running.revoked.is_cancelled() {
                return revoked();
            }
            // In its place at once, or it would be here twice: it is by far the largest part.
            let mut work = pin!(async {
                let mut finished = sandbox.call(permit, call).await;
                ran.over(&finished);
                let usage = finished.usage;
                // An answer that nobody looks at is there at once, however late it is.
                let late = |_| Ended { outcome: Err(Fault::WallTime { limit }), usage, stdio: Vec::new() };
                let again = std::mem::take(&mut finished.again);
                let ended = tokio::time::timeout_at(deadline, gate.pass(finished)).await.unwrap_or_else(late);
                // An answer that is refused, or not wanted any more, leaves a doubt about who gave it.
                if let Ok(Ok(Said::Product(_))) = &ended.outcome {
                    again.keep();
                }
                ended
            });
            // The guest first: most end before there is anybody to wait for.
            tokio::select! {
                biased;
                ended = work.as_mut() => {
                    observe_overshoot(&ended, deadline, cpu_limit);
                    if running.revoked.is_cancelled() { revoked() } else { ended }
                }
                () = running.revoked.cancelled() => revoked(),
            }
        });
        Self::Here(Box::into_pin(guest))
    }

    /// Lets it run by itself from now on.
    ///
    /// Once a client has something to read, it may stop reading. Were it still the reader that drives, the guest would then stand still
    /// for as long as the connection is open: with its slot and its memory, and out of reach of its time limit.
    pub(super) fn let_go(&mut self, tasks: &TaskTracker) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Here(call) => Self::There(AbortOnDropHandle::new(tasks.spawn(call))),
            other => other,
        };
    }

    /// Its end, which comes once. Cancel-safe.
    pub(super) async fn ended(&mut self) -> Ended {
        let ended = match self {
            Self::Here(call) => call.await,
            Self::There(task) => task.await.unwrap_or_else(|error| Ended {
                outcome: Err(Fault::Engine(error.to_string())),
                usage: Usage::default(),
                stdio: Vec::new(),
            }),
            Self::Gone => std::future::pending().await,
        };
        *self = Self::Gone;
        ended
    }
}

/// A limit holds as well as the time is short from it to the end.
fn observe_overshoot(ended: &Ended, deadline: Instant, cpu_limit: Duration) {
    match ended.outcome {
        Err(Fault::WallTime { .. }) => metrics::OVERSHOOT.observe(Instant::now().saturating_duration_since(deadline)),
        Err(Fault::CpuTime { .. }) => metrics::OVERSHOOT.observe(ended.usage.cpu.saturating_sub(cpu_limit)),
        _ => {}
    }
}
