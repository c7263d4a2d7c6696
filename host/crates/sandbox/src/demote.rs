//! Runs a call where it is polled, and moves it away once it turns out to be long.
//!
//! Most calls end within microseconds: a hop to another thread would cost them more than they do. A guest that computes on until
//! the epoch interrupts it is moved to another runtime, so that it never delays anybody else's input and output: a call to threads of low
//! priority, a decision of a policy to threads of its own, where it does not stand behind calls that compute for seconds.
//! (Yielding alone does not help: a task that wakes itself keeps a worker from its I/O driver for 61 polls.)

use crate::meter::Spent;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// What a call and whoever polls it share.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    pub(crate) spent: Arc<Spent>,
    /// The epoch interrupted the guest: it is not a short call.
    pub(crate) interrupted: AtomicBool,
}

/// A call in progress. Dropping it ends the guest, wherever it runs.
pub(crate) struct Demotable<T> {
    place: Place<T>,
    pulse: Arc<Pulse>,
    elsewhere: Elsewhere,
}

/// Where a call goes on that computes for long.
#[derive(Clone)]
pub(crate) struct Elsewhere {
    pub(crate) runtime: Handle,
    /// The turns that are taken there, and whose; none: it runs whenever a thread is free.
    pub(crate) turns: Option<(fair::Places, fair::Share)>,
}

enum Place<T> {
    Here(Metered<T>),
    There(JoinHandle<T>),
    Gone,
}

impl<T: Send + 'static> Demotable<T> {
    pub(crate) fn new(call: impl Future<Output = T> + Send + 'static, pulse: Arc<Pulse>, elsewhere: Elsewhere) -> Self {
        Self { place: Place::Here(Metered { call: Box::pin(call), pulse: Arc::clone(&pulse) }), pulse, elsewhere }
    }
}

impl<T: Send + 'static> Future for Demotable<T> {
    /// An error says that the call panicked in the other runtime, or that this one is shutting down.
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Place::Here(call) = &mut self.place {
            match Pin::new(call).poll(context) {
                Poll::Ready(done) => {
                    self.place = Place::Gone;
                    return Poll::Ready(Ok(done));
                }
                Poll::Pending if !self.pulse.interrupted.load(Relaxed) => return Poll::Pending,
                Poll::Pending => {
                    if let Place::Here(call) = std::mem::replace(&mut self.place, Place::Gone) {
                        let Elsewhere { runtime, turns } = self.elsewhere.clone();
                        self.place = Place::There(match turns {
                            Some((turns, share)) => runtime.spawn(InTurns { call, turns, share, asking: None }),
                            None => runtime.spawn(call),
                        });
                    }
                }
            }
        }
        match &mut self.place {
            Place::There(call) => Pin::new(call).poll(context),
            // Polled again after it was done, which no executor does.
            Place::Here(_) | Place::Gone => Poll::Pending,
        }
    }
}

impl<T> Drop for Demotable<T> {
    fn drop(&mut self) {
        if let Place::There(call) = &self.place {
            call.abort();
        }
    }
}

/// A guest's slice is as long as the epoch's tick. One that took longer, in one long copy say, has had so many.
const SLICE: Duration = Duration::from_millis(1);

/// Polls a call only when it is its share's turn. What waits for something outside has no turn meanwhile.
struct InTurns<T> {
    call: Metered<T>,
    turns: fair::Places,
    share: fair::Share,
    asking: Option<fair::Asking>,
}

impl<T> Future for InTurns<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let asking = this.asking.get_or_insert_with(|| this.turns.ask(&this.share));
        let turn = ready!(Pin::new(asking).poll(context));
        this.asking = None;
        this.call.pulse.interrupted.store(false, Relaxed);
        let before = this.call.pulse.spent.cpu();
        let polled = Pin::new(&mut this.call).poll(context);
        let slices = (this.call.pulse.spent.cpu().saturating_sub(before)).as_nanos() / SLICE.as_nanos();
        if slices > 1 {
            turn.costs_more(u64::try_from(slices - 1).unwrap_or(u64::MAX));
        }
        if polled.is_pending() && this.call.pulse.interrupted.load(Relaxed) {
            // It goes on: back into line before the turn is given up. The runtime would poll it again only when it has nothing else to do, and
            // a share whose guests are not in line loses its turns to others.
            let mut asking = this.turns.ask(&this.share);
            drop(turn);
            if let Poll::Ready(turn) = Pin::new(&mut asking).poll(context) {
                context.waker().wake_by_ref();
                asking = fair::Asking::of(turn);
            }
            this.asking = Some(asking);
        }
        polled
    }
}

/// Adds each poll's processor time to the meter.
struct Metered<T> {
    call: Pin<Box<dyn Future<Output = T> + Send>>,
    pulse: Arc<Pulse>,
}

impl<T> Future for Metered<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.pulse.spent.cpu.begin();
        let polled = self.call.as_mut().poll(context);
        self.pulse.spent.cpu.end();
        polled
    }
}
